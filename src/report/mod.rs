//! Telling users: status, events and metrics, the same numbers everywhere.

mod events;
mod metrics;
mod status;
pub mod untrusted;

pub use events::{Note, story};
pub use metrics::{EvictionResult, Metrics, MoveOutcome};
pub use status::{Assessment, TierReport, invalid_status, plan_of, status_of};
