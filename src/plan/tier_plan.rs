//! A tier's plan: its moves, and what they reach.

use crate::api::Blocked;
use crate::observe::{Name, PodId, Zone};

/// A pod that would be evicted, and where its replacement is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMove {
    /// The pod.
    pub pod: PodId,
    /// Its zone.
    pub from: Zone,
    /// The zones in which its replacement may land: one if that is certain, else
    /// zones with equal scores, each of which lowers the skew.
    pub to: Vec<Zone>,
    /// The nodes with the best score; at most the first few by name.
    pub nodes: Vec<Name>,
    /// How many nodes have the best score.
    pub tied: usize,
}

/// The moves of a tier, and how far they bring it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierPlan {
    /// The moves, in order.
    pub moves: Vec<PlannedMove>,
    /// The skew after them.
    pub reachable_skew: i32,
    /// Why it is not lower, if it is above what is allowed.
    pub obstacle: Option<Blocked>,
}

/// A move under way that the pod counts do not include yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The zone that still counts the evicted pod.
    pub leaving: Option<Zone>,
    /// The zone that will count the replacement.
    pub coming: Option<Zone>,
}
