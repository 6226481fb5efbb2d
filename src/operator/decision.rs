//! What the operator wants done, all in all.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::{ZoneDrillStatus, ZoneSpreadPolicyStatus, ZoneStatus};
use crate::moves::{Effect, Signal};
use crate::observe::{DrillMark, Name, PolicyKey, Resources, Template, Uid, Zone};

/// A Zone that could not be written within this time is decided anew.
const WRITTEN_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// The status of a Zone object to be written; the object is made if there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneWrite {
    /// The name of the object.
    pub name: Name,
    /// Its status.
    pub status: Arc<ZoneStatus>,
    /// When this was decided.
    pub decided: Timestamp,
}

impl ZoneWrite {
    /// Whether it was decided so short a time ago that nobody else can have led since.
    #[must_use]
    pub fn is_of_late(&self, now: Timestamp) -> bool {
        now.duration_since(self.decided).abs() <= WRITTEN_WITHIN
    }
}

/// The status of a drill to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct DrillWrite {
    /// The drill.
    pub name: Name,
    /// Its uid: one of the same name made since then is another.
    pub uid: Name,
    /// Its status.
    pub status: Arc<ZoneDrillStatus>,
    /// When this was decided.
    pub decided: Timestamp,
}

impl DrillWrite {
    /// Whether it was decided so short a time ago that nobody else can have led since.
    #[must_use]
    pub fn is_of_late(&self, now: Timestamp) -> bool {
        now.duration_since(self.decided).abs() <= WRITTEN_WITHIN
    }
}

/// Something to be done to a node for a drill.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeAsk {
    /// The node.
    pub node: Name,
    /// What to do.
    pub verb: NodeVerb,
    /// When this was decided.
    pub decided: Timestamp,
}

/// What to do to a node for a drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeVerb {
    /// Add the taint and this mark.
    Close(DrillMark),
    /// Remove both.
    Open,
}

impl NodeAsk {
    /// Whether it was decided so short a time ago that nobody else can have led since.
    #[must_use]
    pub fn is_of_late(&self, now: Timestamp) -> bool {
        now.duration_since(self.decided).abs() <= WRITTEN_WITHIN
    }
}

/// Something to be done about a probe pod, in the operator's own namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeAsk {
    /// The zone that it is for; none where the pod does not say.
    pub zone: Option<Zone>,
    /// The pod's name.
    pub name: Name,
    /// What to do.
    pub what: ProbeVerb,
    /// When this was decided.
    pub decided: Timestamp,
}

/// What to do about a probe pod.
#[derive(Clone, Debug, PartialEq)]
pub enum ProbeVerb {
    /// Make it, to wait in the zone like a pod with this template would.
    Start {
        /// A pod that waits.
        template: Arc<Template>,
        /// What it asks for.
        requests: Resources,
    },
    /// Delete it.
    Remove {
        /// Its uid.
        uid: Uid,
    },
    /// Say what its events say.
    Explain {
        /// Its uid.
        uid: Uid,
    },
}

/// What became of a [`ProbeAsk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// It is done, or needs not to be.
    Done,
    /// What others say of it; none if they say nothing.
    Explained(Option<String>),
    /// It is not done, or nobody knows.
    Failed(String),
}

impl ProbeAsk {
    /// Whether it was decided so short a time ago that nobody else can have led since.
    #[must_use]
    pub fn is_of_late(&self, now: Timestamp) -> bool {
        now.duration_since(self.decided).abs() <= WRITTEN_WITHIN
    }
}

/// What to do, in order, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What to do; nothing while another process leads.
    pub effects: Vec<Effect>,
    /// Zone objects to be written; of each, one after the other. Whatever relies on one
    /// waits for the answer (law 7), so these need no order among the effects.
    pub zones: Vec<ZoneWrite>,
    /// What to do about probe pods; of each, one thing at a time.
    pub probes: Vec<ProbeAsk>,
    /// Statuses of drills to be written; of each, one after the other.
    pub drills: Vec<DrillWrite>,
    /// What to do to nodes for drills; to each, one thing at a time.
    pub nodes: Vec<NodeAsk>,
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
