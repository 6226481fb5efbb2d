//! What not every installation may do.

use tokio::sync::watch;

use crate::plan::{OpeningRight, SteeringRight, SurgeRight};

/// What is known of the rights that not every installation has.
pub struct Rights {
    /// To replace pods before they stop.
    pub surge: watch::Receiver<SurgeRight>,
    /// To make probe pods.
    pub opening: watch::Receiver<OpeningRight>,
    /// Whether new pods can be steered.
    pub steering: watch::Receiver<SteeringRight>,
}
