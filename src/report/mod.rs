//! Telling users: status, events and metrics, the same numbers everywhere.

mod events;
mod metrics;
mod status;
mod unzoned;

pub use events::events_between;
pub use metrics::Metrics;
pub use status::{StatusInput, TierReport, invalid_status, plan_of, status_of};
pub use unzoned::NO_ZONE;
