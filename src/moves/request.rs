//! What the operator wants done.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::ZoneSpreadPolicyStatus;
use crate::observe::{Name, PolicyKey, Uid, Zone};

use super::event::Note;
use super::owner_snapshot::Siblings;

/// Something to be done, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write a status, and publish the events that tell of it.
    WriteStatus(StatusWrite),
    /// Evict a pod, once a status of the policy is stored that holds its move (law 7).
    Evict(EvictionRequest),
}

/// A status to be written, and the events that tell of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusWrite {
    /// The policy.
    pub policy: PolicyKey,
    /// Its uid: a policy of the same name made since then is another one.
    pub uid: Name,
    /// What to write.
    pub status: Arc<ZoneSpreadPolicyStatus>,
    /// The events, published once it is written.
    pub notes: Vec<Note>,
}

/// What a move asks of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Evict the pod.
    Evict,
}

/// A pod to be evicted, and what must still be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvictionRequest {
    /// The policy.
    pub policy: PolicyKey,
    /// The tier.
    pub tier: Name,
    /// The pod's name.
    pub pod: Name,
    /// The pod's uid.
    pub uid: Name,
    /// The node that the pod must still be on.
    pub node: Name,
    /// The node on which the replacement is expected; it must still take pods.
    pub target: Name,
    /// The zone that this node must still be in.
    pub zone: Name,
    /// What the decision stands on, to be read anew.
    pub ground: Ground,
    /// When this was decided.
    pub decided: Timestamp,
    /// When the window closes in which it may start; none if there are no windows.
    pub closes: Option<Timestamp>,
}

/// What a decision stands on, to be read anew before it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// What selects the tier's pods, as in a URL. None when they are too many
    /// to be listed for one move: then only the pod itself is read.
    pub tier_selector: Option<String>,
    /// The pods that the owner of the pod to be evicted has: if there is another one, who
    /// knows whose replacement it is.
    pub siblings: Arc<Siblings>,
    /// How many more it may have: replacements for other moves that are under way.
    pub awaited: usize,
    /// How many of the tier's other pods must be Available: all but those under way (law 3).
    pub available: usize,
    /// Replacements that are known of those under way: whether they are Available by now
    /// says nothing about the others.
    pub coming: Box<[Uid]>,
    /// How long a pod must be Ready to be Available, in seconds.
    pub min_ready_seconds: i64,
    /// The tier's zones with nodes: none of them may be out (law 1).
    pub zones: Vec<Zone>,
    /// Whether all nodes are read: there are not too many.
    pub all_nodes: bool,
}
