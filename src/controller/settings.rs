//! What `zonespread run` is told, and why it could not run.

use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::predict::{KnownVersion, SchedulerConfig};

use super::error_text::error_text;

/// Settings of `zonespread run`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where metrics and probes are served.
    pub metrics_bind_address: SocketAddr,
    /// Whether replicas elect a leader.
    pub leader_elect: bool,
    /// The namespace of the lease.
    pub namespace: String,
    /// This replica's name in the lease.
    pub identity: String,
    /// How the cluster's scheduler is configured.
    pub scheduler: SchedulerConfig,
    /// Which version of it the operator was told; none asks the API server.
    pub scheduler_version: Option<KnownVersion>,
    /// How many moves may be under way in the cluster at once.
    pub concurrent_moves: usize,
    /// The name of the pod that this process runs in, if it is known.
    pub pod: Option<String>,
    /// How long a probe pod may take to become Ready.
    pub probe_timeout: Duration,
    /// The image of probe pods; none is that of the operator's own pod.
    pub probe_image: Option<String>,
}

/// Why the operator could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The address is taken, or not ours.
    #[error("cannot listen on --metrics-bind-address {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No client for the cluster.
    #[error("cannot set up a client for the cluster: {}", error_text(.0))]
    Client(#[source] Box<kube::Error>),
    /// The metrics could not be registered.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The metrics server failed.
    #[error("the metrics server failed: {0}")]
    Serve(#[source] std::io::Error),
    /// A part of the operator ended by itself.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}
