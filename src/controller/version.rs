//! Asks the API server which version it is, and tells what is made of that.

use std::time::Duration;

use kube::Client;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::operator::Operator;
use crate::predict::KnownVersion;

/// A control plane is upgraded now and then, and its scheduler after its API servers.
pub const ASK_EVERY: Duration = Duration::from_mins(1);
/// It takes no longer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What the API server calls itself: `v1.37.1`; none if it does not say so in time.
pub async fn server_version(client: Client) -> Option<String> {
    match timeout(ANSWERS_WITHIN, client.apiserver_version()).await {
        Ok(Ok(version)) => Some(version.git_version),
        Ok(Err(error)) => {
            warn!(%error, "the API server does not say which version it is");
            None
        }
        Err(_) => {
            warn!("the API server does not say in time which version it is");
            None
        }
    }
}

/// Logs which scheduler is predicted, and what speaks against it, whenever that changes.
#[derive(Debug, Default)]
pub struct VersionLog {
    told: Option<KnownVersion>,
    suspected: Option<String>,
}

impl VersionLog {
    /// Which one it is now.
    pub fn tell(&mut self, operator: &Operator) {
        let suspected = operator.scheduler_suspicion();
        if let Some(suspicion) = suspected.as_ref().filter(|_| suspected != self.suspected) {
            warn!("{suspicion}");
        }
        self.suspected = suspected;
        let known = operator.scheduler_version();
        if self.told.as_ref() == Some(known) {
            return;
        }
        info!("predictions are those of {}", known.describe());
        if let Some(warning) = known.warning() {
            warn!("{warning}");
        }
        self.told = Some(known.clone());
    }
}
