//! `zonespread probe`: what a probe pod runs in a zone that is to be opened.
//!
//! That it runs at all shows that the zone has a node, room and an image. What it checks shows
//! that a pod there reaches what every other pod needs: DNS and the API server.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use clap::Args;
use kube::{Client, Config};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::controller::error_text;

use super::cluster::Access;
use super::{Failure, Unmet, run};

/// How long a step may take.
const STEP_WITHIN: Duration = Duration::from_secs(5);
/// How soon it is tried again while a step fails, and how often it is looked at after that.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Arguments of `zonespread probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// Where /readyz is served: 200 once every check holds
    #[arg(long, default_value = "[::]:8080", value_name = "ADDRESS", value_parser = run::address)]
    bind_address: SocketAddr,
    /// The name of the API server that is looked up
    #[arg(long, default_value = "kubernetes.default.svc", value_name = "NAME")]
    api_server_name: String,
    /// Check once, say what holds, and exit with 3 if something does not
    #[arg(long)]
    once: bool,
}

/// A check that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Failed {
    #[error("DNS: {name} cannot be looked up: {why}")]
    Dns { name: String, why: String },
    #[error("API server: no connection to {address}: {why}")]
    Unreachable { address: String, why: String },
    #[error("API server: /readyz says {0}")]
    NotReady(String),
}

impl Probe {
    /// Checks until SIGTERM or SIGINT, or once.
    pub fn run(self, access: &Access) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            let config = access.config().await?;
            if self.once { self.check_once(config).await } else { self.serve(config).await }
        });
        // A lookup that hangs must not keep the process from ending.
        runtime.shutdown_timeout(Duration::from_secs(1));
        result
    }

    async fn check_once(&self, config: Config) -> Result<(), Failure> {
        let checks = Checks::new(self.api_server_name.clone(), config)?;
        checks.all(|held| println!("{held}")).await.map_err(|failed| Unmet(failed.to_string()))?;
        Ok(())
    }

    async fn serve(self, config: Config) -> Result<(), Failure> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let listener = TcpListener::bind(self.bind_address)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", self.bind_address))?;
        let (told, failing) = watch::channel(Some("nothing is checked yet".to_owned()));
        let router = Router::new().route("/readyz", get(readyz)).with_state(failing);
        let checks = Checks::new(self.api_server_name, config)?;
        tokio::select! {
            served = axum::serve(listener, router).into_future() => Ok(served?),
            () = checks.watch(told) => Ok(()),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    }
}

async fn readyz(State(failing): State<watch::Receiver<Option<String>>>) -> (StatusCode, String) {
    match &*failing.borrow() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why.clone()),
    }
}

/// What is checked, in this order.
struct Checks {
    name: String,
    host: String,
    port: u16,
    client: Client,
}

impl Checks {
    fn new(name: String, mut config: Config) -> Result<Self, Failure> {
        let host = config.cluster_url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_plain = config.cluster_url.scheme_str() == Some("http");
        let port = config.cluster_url.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        // A refusal is an answer.
        config.default_retry = false;
        Ok(Self { name, host, port, client: Client::try_from(config)? })
    }

    /// Goes through them until one does not hold; tells what does.
    async fn all(&self, mut held: impl FnMut(&str)) -> Result<(), Failed> {
        self.dns().await?;
        held(&format!("DNS: {} is known", self.name));
        self.connection().await?;
        held(&format!("API server: {} can be reached", self.host));
        self.readyz().await?;
        held("API server: /readyz says ok");
        Ok(())
    }

    async fn dns(&self) -> Result<(), Failed> {
        let failed = |why: String| Failed::Dns { name: self.name.clone(), why };
        match tokio::time::timeout(STEP_WITHIN, lookup_host((&*self.name, self.port))).await {
            Ok(Ok(mut known)) => {
                known.next().map(drop).ok_or_else(|| failed("it has no address".to_owned()))
            }
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(no_answer())),
        }
    }

    async fn connection(&self) -> Result<(), Failed> {
        let failed =
            |why| Failed::Unreachable { address: format!("{}:{}", self.host, self.port), why };
        let connecting = TcpStream::connect((&*self.host, self.port));
        match tokio::time::timeout(STEP_WITHIN, connecting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(no_answer())),
        }
    }

    async fn readyz(&self) -> Result<(), Failed> {
        let request = http::Request::get("/readyz").body(Vec::new());
        let request = request.map_err(|error| Failed::NotReady(error.to_string()))?;
        match tokio::time::timeout(STEP_WITHIN, self.client.request_text(request)).await {
            Ok(Ok(said)) if said.trim() == "ok" => Ok(()),
            Ok(Ok(said)) => Err(Failed::NotReady(said.trim().to_owned())),
            Ok(Err(error)) => Err(Failed::NotReady(error_text(&error))),
            Err(_) => Err(Failed::NotReady(no_answer())),
        }
    }

    /// Checks for ever; tells what fails, in the log and to whoever asks.
    async fn watch(&self, told: watch::Sender<Option<String>>) {
        loop {
            let failing = self.all(|_| ()).await.err().map(|failed| failed.to_string());
            if *told.borrow() != failing {
                match &failing {
                    None => println!("every check holds"),
                    Some(why) => eprintln!("{why}"),
                }
                told.send_replace(failing);
            }
            tokio::time::sleep(CHECK_EVERY).await;
        }
    }
}

fn no_answer() -> String {
    format!("no answer within {}s", STEP_WITHIN.as_secs())
}
