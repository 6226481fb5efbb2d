//! Telling users: status, events and metrics, the same numbers everywhere.

mod effective;
mod events;
mod local_traffic;
mod losses;
mod message;
mod metrics;
mod status;
mod unzoned;
mod zones;

pub use events::events_between;
pub use message::wrong_approval;
pub use metrics::{Metrics, ZoneLossSeries};
pub use status::{
    StatusInput, TierReport, common_prefix, hold_down_of, invalid_status, plan_of, status_of,
};
pub use unzoned::NO_ZONE;
pub use zones::policy_zones;
