//! `zonespread run`: the operator.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::api::{DurationBounds, parse_duration};
use crate::controller::{Settings, run};

use super::Failure;
use super::cluster::Access;
use super::cluster_args::ClusterArgs;
use super::log::Lines;

/// Arguments of `zonespread run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Where metrics, /livez and /readyz are served
    #[arg(long, default_value = "[::]:8080", value_name = "ADDRESS", value_parser = address)]
    metrics_bind_address: SocketAddr,
    /// Elect one leader among the replicas
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    leader_elect: bool,
    /// The namespace of the lease
    #[arg(long, env = "POD_NAMESPACE", default_value = "zonespread-system", value_name = "NAME")]
    namespace: String,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// How many moves may be under way in the cluster at once, whatever the budgets of
    /// the tiers allow: a mass recovery must not drown registries and the zone
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_concurrent_moves: u16,
    /// The image of the pods that open zones; default that of the operator's own pod
    #[arg(long, value_name = "IMAGE")]
    probe_image: Option<String>,
    /// How long a pod that opens a zone may take to become Ready; the pause before the next is
    /// as long, and doubles each time
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = probe_timeout)]
    probe_timeout: Duration,
    /// How logs are written
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
    /// What is logged, such as `debug` or `info,zonespread=debug`
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    log_level: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// A length from a second to six hours.
fn probe_timeout(text: &str) -> Result<Duration, String> {
    parse_duration(text, DurationBounds { least: "1s", most: "6h" })
}

/// An address; `:8080` is every address of this host.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("[::]{text}") } else { text.to_owned() };
    full.parse().map_err(|_| "expected ADDRESS:PORT or :PORT, such as :8080".to_owned())
}

impl Run {
    /// Runs until SIGTERM or SIGINT.
    pub fn run(self, access: &Access) -> Result<(), Failure> {
        self.log()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let result = runtime.block_on(self.operate(access));
        // Watches that hang must not keep the process from ending.
        runtime.shutdown_timeout(Duration::from_secs(1));
        result
    }

    async fn operate(self, access: &Access) -> Result<(), Failure> {
        let config = access.config().await?;
        let settings = Settings {
            metrics_bind_address: self.metrics_bind_address,
            leader_elect: self.leader_elect,
            namespace: self.namespace,
            identity: identity(),
            scheduler: self.cluster.scheduler()?,
            scheduler_version: self.cluster.scheduler_version(),
            concurrent_moves: usize::from(self.max_concurrent_moves),
            pod: pod_name(),
            probe_timeout: self.probe_timeout,
            probe_image: self.probe_image,
        };
        let (stopper, stop) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stopper.send_replace(true);
        });
        Ok(Box::pin(run(config, settings, stop)).await?)
    }

    fn log(&self) -> Result<(), Failure> {
        // kube logs any 5xx and any 403 by itself, structs included; we report what matters.
        let filter = format!(
            "{},kube_client::client::builder=off,kube_runtime::watcher=error",
            self.log_level
        );
        let filter = EnvFilter::try_new(&filter)
            .map_err(|error| format!("--log-level {}: {error}", self.log_level))?;
        let json = matches!(self.log_format, LogFormat::Json);
        let logger = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(move || Lines::new(std::io::stderr(), json));
        if json {
            logger.json().init();
        } else {
            logger.init();
        }
        Ok(())
    }
}

/// The name of the pod that this process runs in: a pod's host is named like it.
fn pod_name() -> Option<String> {
    ["POD_NAME", "HOSTNAME"].into_iter().find_map(|name| std::env::var(name).ok())
}

/// This replica's name in the lease: the pod's name, and what tells two
/// processes of that name apart.
fn identity() -> String {
    let host = pod_name();
    let started = jiff::Timestamp::now().as_nanosecond();
    format!("{}_{}_{started:x}", host.as_deref().unwrap_or("zonespread"), std::process::id())
}
