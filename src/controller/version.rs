//! Asks the API server which version it is, and tells what is made of that.

use std::time::Duration;

use kube::Client;
use tokio::time::timeout;
use tracing::{info, warn};

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

/// Logs which scheduler is predicted, whenever that is another one.
#[derive(Debug, Default)]
pub struct VersionLog(Option<KnownVersion>);

impl VersionLog {
    /// Which one it is now.
    pub fn tell(&mut self, known: &KnownVersion) {
        if self.0.as_ref() == Some(known) {
            return;
        }
        info!("predictions are those of {}", known.describe());
        if let Some(warning) = known.warning() {
            warn!("{warning}");
        }
        self.0 = Some(known.clone());
    }
}
