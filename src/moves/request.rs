//! What the operator wants done.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::ZoneSpreadPolicyStatus;
use crate::observe::{Labels, Name, Pod, PolicyKey, Uid, Zone};

use super::eligible_nodes::EligibleNodes;
use super::event::Event;
use super::owner_snapshot::OwnerSnapshot;

/// Something to be done, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write a status, and publish the events about it.
    WriteStatus(StatusWrite),
    /// Change the cluster for a move, once a status of the policy is stored that holds the
    /// move (law 7).
    Act(ActionRequest),
}

/// A status to be written, and the events about it.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusWrite {
    /// The policy.
    pub policy: PolicyKey,
    /// Its uid: a policy of the same name made since then is another one.
    pub uid: Name,
    /// What to write.
    pub status: Arc<ZoneSpreadPolicyStatus>,
    /// The events, published once it is written.
    pub events: Vec<Event>,
}

/// What a move asks of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Evict the pod.
    Evict,
    /// Make its owner let the pod go: the beginning of a surge.
    Release,
    /// Evict the released pod: the end of a surge.
    Retire,
    /// Make the replacement the first to be removed: a surge is undone.
    Demote,
    /// Give the pod back to its owner.
    Restore,
    /// The replacement stays after all, and is like any other.
    Promote,
    /// Evict the pod from a zone that a drill closes.
    Vacate,
    /// Have a pod made anew that waits since a drill kept it out of a zone.
    Remake,
    /// Change what it costs to delete the pod: part of no move.
    SetCost,
}

/// What is looked at anew before a verb is carried out: a watch may be behind without
/// knowing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The tier is as the decision left it, and whole enough (law 3).
    Pods,
    /// The tier's zones are not out, and the target still takes pods (laws 1 and 2).
    Nodes,
    /// The API server refuses to let us change anything else of the pod.
    Fence,
    /// The replacement is steered as predicted.
    Steering,
    /// The API server would say yes.
    DryRun,
    /// The probe that keeps the node and the room gives both up, if there is one.
    Probe,
    /// Nobody else has given the pod a cost.
    Cost,
}

impl Verb {
    /// What is checked before it, in this order.
    #[must_use]
    pub const fn checks(self) -> &'static [Check] {
        match self {
            // A failed uid precondition spends the budget all the same; a dry run does not.
            Self::Evict => {
                &[Check::Pods, Check::Nodes, Check::Steering, Check::DryRun, Check::Probe]
            }
            Self::Retire | Self::Vacate => &[Check::Pods, Check::Nodes, Check::DryRun],
            Self::Release => &[
                Check::Pods,
                Check::Nodes,
                Check::Fence,
                Check::Steering,
                Check::DryRun,
                Check::Probe,
            ],
            Self::Demote | Self::Restore | Self::Promote => &[Check::DryRun],
            Self::Remake => &[Check::Pods, Check::DryRun],
            Self::SetCost => &[Check::Cost],
        }
    }

    /// Whether a move begins with it: it waits until the move is in a stored status, and is not
    /// made while evictions must not start. What follows is the end of what was begun, and the
    /// pod says that it is.
    #[must_use]
    pub const fn begins(self) -> bool {
        matches!(self, Self::Evict | Self::Release)
    }

    /// Whether a pod is evicted.
    #[must_use]
    pub const fn evicts(self) -> bool {
        matches!(self, Self::Evict | Self::Retire | Self::Vacate | Self::Remake)
    }

    /// Whether it is part of a drill, and of no move.
    #[must_use]
    pub const fn is_of_drill(self) -> bool {
        matches!(self, Self::Vacate | Self::Remake)
    }

    /// What it is, in a word, for logs.
    #[must_use]
    pub const fn what(self, dry_run: bool) -> &'static str {
        match (self, dry_run) {
            (Self::Evict, true) => "evict (dry run)",
            (Self::Evict, false) => "evict",
            (Self::Release, true) => "release (dry run)",
            (Self::Release, false) => "release",
            (Self::Retire, true) => "evict the released pod (dry run)",
            (Self::Retire, false) => "evict the released pod",
            (Self::Demote, true) => "demote the replacement (dry run)",
            (Self::Demote, false) => "demote the replacement",
            (Self::Restore, true) => "give the pod back (dry run)",
            (Self::Restore, false) => "give the pod back",
            (Self::Promote, true) => "promote the replacement (dry run)",
            (Self::Promote, false) => "promote the replacement",
            (Self::Vacate, true) => "evict for a drill (dry run)",
            (Self::Vacate, false) => "evict for a drill",
            (Self::Remake, true) => "have the waiting pod made anew (dry run)",
            (Self::Remake, false) => "have the waiting pod made anew",
            (Self::SetCost, true) => "set the deletion cost (dry run)",
            (Self::SetCost, false) => "set the deletion cost",
        }
    }
}

/// What is changed of a pod: labels and annotations, and only of the pod with this uid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPatch {
    /// The pod's name.
    pub pod: Name,
    /// The pod's uid.
    pub uid: Uid,
    /// Labels that get another value.
    pub labels: Vec<(&'static str, String)>,
    /// Annotations that get a value, or go.
    pub annotations: Vec<(&'static str, Option<String>)>,
    /// The pod as it was read: only that is changed. None: whatever it is by then.
    pub resource_version: Option<String>,
}

/// What to do with a pod, and what must still be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRequest {
    /// What to do.
    pub verb: Verb,
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
    /// The preconditions of the decision, checked again by a fresh read.
    pub preconditions: Box<Preconditions>,
    /// When this was decided.
    pub decided: Timestamp,
    /// What is changed of a pod; none where one is evicted.
    pub patch: Option<Arc<PodPatch>>,
    /// How the replacement is steered, if it must be, or lately was.
    pub steering: Option<Arc<SteeredPod>>,
    /// When the window closes in which it may start; none if there are no windows.
    pub closes: Option<Timestamp>,
    /// The probe pod that holds the room for the replacement: it goes right before.
    pub probe: Option<ProbePod>,
}

impl ActionRequest {
    /// What to do with a pod as it is, whose replacement is not looked for; nothing else needs
    /// to be true.
    #[must_use]
    pub fn of_pod(verb: Verb, policy: PolicyKey, tier: &Name, pod: &Pod, now: Timestamp) -> Self {
        let node = pod.node.clone().unwrap_or_else(|| Name::from(""));
        Self {
            verb,
            policy,
            tier: Name::clone(tier),
            pod: Name::clone(&pod.name),
            uid: Name::from(pod.uid.to_string()),
            target: Name::clone(&node),
            node,
            zone: Name::from(""),
            preconditions: Box::default(),
            decided: now,
            patch: None,
            steering: None,
            closes: None,
            probe: None,
        }
    }
}

/// A probe pod that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbePod {
    /// Its namespace: the operator's own.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// Its uid.
    pub uid: Uid,
}

/// A pod that is to be made, and how it is to be steered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SteeredPod {
    /// Its labels.
    pub labels: Arc<Labels>,
    /// The zone that it is to prefer; none if it must not be steered.
    pub zone: Option<Zone>,
}

/// The preconditions of a decision, checked again before it is carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// What selects the tier's pods, as in a URL. None when they are too many
    /// to be listed for one move: then only the pod itself is read.
    pub tier_selector: Option<Name>,
    /// The pods that the owner of the pod to be evicted has: if there is another one, who
    /// knows whose replacement it is.
    pub snapshot: Arc<OwnerSnapshot>,
    /// How many more it may have: replacements for other moves that are under way.
    pub awaited: u32,
    /// How many of the tier's other pods must be Available: all but those under way (law 3).
    pub available: usize,
    /// The pods of moves under way of the tier, and their replacements as far as they are
    /// known: whether they are still, or already, Available says nothing about the others.
    pub moving: Box<[Uid]>,
    /// How long a pod must be Ready to be Available, in seconds.
    pub min_ready_seconds: i64,
    /// The tier's zones with nodes: none of them may be out (law 1).
    pub zones: Box<[Zone]>,
    /// The nodes that count for that: all that the tier may use, or only the target.
    pub eligible: Arc<EligibleNodes>,
    /// Whether all nodes are read: there are not too many.
    pub all_nodes: bool,
}
