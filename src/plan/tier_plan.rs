//! A tier's plan: its moves, and what they reach.

use std::collections::BTreeSet;

use crate::api::{Blocked, MoveKind};
use crate::observe::{Name, PodId, Zone};
use crate::predict::InFlightPods;

use super::approval::Approval;
use super::steering::Steering;
use super::surge::SurgeRight;

/// A pod that would be moved, and where its replacement is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMove {
    /// How it is moved.
    pub kind: MoveKind,
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
    /// By how many points they beat the nodes of other zones.
    pub margin: i64,
    /// How many nodes others may take until it is by less.
    pub spare: usize,
    /// The pods of negative priority that the replacement pushes out of the first node.
    pub preempts: Vec<PodId>,
    /// Whether it lands there only once a move is over that is under way already.
    pub waits: bool,
    /// The zone that the replacement is steered to.
    pub steered: Option<Zone>,
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
    /// A zone without a node for the tier, if pods could be moved there if it had one.
    pub opens: Option<Zone>,
    /// The zone that has no room, if that is the obstacle.
    pub lacks_room: Option<Zone>,
}

/// A move under way that the pod counts do not include yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The zone that still counts the evicted pod.
    pub leaving: Option<Zone>,
    /// The zone that will count the replacement.
    pub coming: Option<Zone>,
}

/// What a tier's plan is made from, besides the tier, the cluster and its zones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanInput {
    /// The published plan and the approved moves, in mode Approve.
    pub approval: Approval,
    /// What the cluster does not show yet of all moves under way.
    pub in_flight: InFlightPods,
    /// Pods of the tier that its moves under way make leave, and that are still there; the
    /// first to leave in front.
    pub leaving: Vec<PodId>,
    /// What the counts of the tier do not show yet of its own.
    pub expected: Vec<Expected>,
    /// Names of pods that recent moves made: the last to be moved again.
    pub just_moved: BTreeSet<Name>,
    /// Names of pods that surges under way have made: whether they stay is not decided yet.
    pub surge_replacements: BTreeSet<Name>,
    /// Whether pods may be replaced before they stop.
    pub surge: SurgeRight,
    /// How new pods of the tier are steered, and may be.
    pub steering: Steering,
}
