//! What the operator wants done, all in all.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::ZoneSpreadPolicyStatus;
use crate::moves::{Effect, Signal};
use crate::observe::PolicyKey;

/// What to do, in order, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What to do; nothing while another process leads.
    pub effects: Vec<Effect>,
    /// The statuses of the policies that were asked, for the metrics.
    pub statuses: Vec<(PolicyKey, Arc<ZoneSpreadPolicyStatus>)>,
    /// Policies that are gone.
    pub gone: Vec<PolicyKey>,
    /// What counters want to know.
    pub signals: Vec<Signal>,
    /// How long it took to plan for each of the policies that were asked.
    pub plans_took: Vec<Duration>,
    /// When to ask again at the latest.
    pub next: Option<Timestamp>,
}
