//! `zonespread ui`: a page on this machine that shows the zones, the policies and what is done
//! for them, as it happens. It reads, with the rights of whoever starts it, and changes nothing.

mod board;
mod follow;
mod guard;
mod server;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use clap::Args;
use kube::api::Api;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::{Client, Resource};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[cfg(test)]
pub use board::Feed;
pub use board::{Board, BoardPolicy};

use crate::api::{ZoneDrill, ZoneObject, ZoneSpreadPolicy};

use super::Failure;
use super::cluster::Access;
use super::live::{client, policies_error};
use super::output::note;
use super::scope::Scope;

/// Arguments of `zonespread ui`.
#[derive(Debug, Args)]
pub struct Ui {
    /// Where the page is served, on loopback only; by default on a free port
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS", value_parser = guard::loopback)]
    bind_address: SocketAddr,
    #[command(flatten)]
    scope: Scope,
}

impl Ui {
    /// Serves the page until SIGTERM or SIGINT.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(self.serve(access));
        // Watches that hang must not keep the process from ending.
        runtime.shutdown_background();
        result
    }

    async fn serve(&self, access: &Access) -> Result<(), Failure> {
        let config = access.config().await?;
        let address = config.cluster_url.to_string();
        let namespace = self.scope.namespace(Some(&config.default_namespace)).map(str::to_owned);
        let client = client(follow::attentive(config))?;
        let policies: Api<ZoneSpreadPolicy> = policies_in(&client, namespace.as_deref());
        // What cannot work is said here, and not on the page.
        follow::ask(&policies).await.map_err(|error| match error {
            Some(error) => policies_error(error, &address).into(),
            None => Failure::from(format!("{address} does not answer")),
        })?;
        let listener = TcpListener::bind(self.bind_address)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", self.bind_address))?;
        let board = Arc::new(Mutex::new(Board::new(address, namespace.clone())));
        let watched: Api<DeserializeGuard<ZoneSpreadPolicy>> =
            policies_in(&client, namespace.as_deref());
        tokio::spawn(follow::listen(policies, Arc::clone(&board)));
        tokio::spawn(follow::follow(watched, Arc::clone(&board), |board| &mut board.policies));
        let zones: Api<DeserializeGuard<ZoneObject>> = Api::all(client.clone());
        tokio::spawn(follow::follow(zones, Arc::clone(&board), |board| &mut board.zones));
        let drills: Api<DeserializeGuard<ZoneDrill>> = Api::all(client);
        tokio::spawn(follow::follow(drills, Arc::clone(&board), |board| &mut board.drills));
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        writeln!(std::io::stdout(), "http://{}/", listener.local_addr()?)?;
        note("open this page in a browser of this machine; Ctrl-C ends it");
        tokio::select! {
            served = axum::serve(listener, server::router(board)).into_future() => Ok(served?),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    }
}

/// The policies of a namespace, or of all.
fn policies_in<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}
