//! Telling users: status, events and metrics, the same numbers everywhere.

mod events;
mod metrics;
mod metrics_family;
mod metrics_outcome;
mod metrics_series;
mod status;

pub use events::{Note, story};
pub use metrics::Metrics;
pub use metrics_outcome::{EvictionResult, MoveOutcome};
pub use status::{Assessment, TierReport, invalid_status, status_of};
