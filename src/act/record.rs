//! A move: one eviction, its replacement, and where that landed. What must
//! survive a restart is in its status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{MoveState, MoveStatus};
use crate::observe::{Index, Name, Owner, Pod, PodId, Sighting, Uid};
use crate::plan::PlannedMove;
use crate::predict::PendingPod;

/// A move that this process made, or took over from the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// What users see, and what is restored.
    pub status: MoveStatus,
    /// When the API server granted it; before that, when it was decided or taken over.
    pub started: Timestamp,
    /// What is known of the eviction request.
    pub asked: Asked,
    /// Pods that the owner had when the move was decided. Unknown after a restart.
    pub siblings: Option<Arc<Siblings>>,
    /// The pod that is expected, and the node where.
    pub expected: Option<(PendingPod, Name)>,
    /// The replacement's uid, once it is there.
    pub replacement: Option<Uid>,
}

/// The pods that an owner had when a move of one of them was decided: none of them is
/// the replacement, and each that leaves gets one too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Siblings {
    owner: Option<Arc<Owner>>,
    /// How many pods there were, or were to be, where the owner is known.
    pods: Option<i32>,
    /// Whether one that leaves is replaced before the pod that was moved: not if it
    /// terminated already, or was still there when that left.
    precedes: BTreeMap<Uid, bool>,
    /// Whether the pod that was moved is seen to have left.
    parted: bool,
    /// When it was, if that is known: what was seen before was made for something else.
    parted_at: Option<Sighting>,
}

impl Siblings {
    /// Those of a pod, and the pod itself.
    #[must_use]
    pub fn of(index: &Index, pod: &Pod) -> Self {
        let owned = index.cluster().pods_in(&pod.namespace).map(|(_, other)| other);
        let siblings = owned.filter(|other| other.owner.is_some() && other.owner == pod.owner);
        let mut siblings = Self {
            owner: pod.owner.clone(),
            precedes: siblings.map(|other| (other.uid.clone(), !other.terminating)).collect(),
            ..Self::default()
        };
        let there = siblings.precedes.values().filter(|stays| **stays).count();
        siblings.pods = siblings.pods_with(index, &pod.namespace, there);
        siblings
    }

    /// Whether the pod that was moved had the same owner.
    #[must_use]
    pub fn are_of(&self, moved: &Move) -> bool {
        let owner = self.owner.as_ref().zip(moved.status.owner.split_once('/'));
        owner.is_some_and(|(own, (kind, name))| *own.kind == *kind && *own.name == *name)
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn has(&self, uid: &Uid) -> bool {
        self.precedes.contains_key(uid)
    }

    /// The replacement is known: these others are there besides, and what left before
    /// has been made up for.
    pub(super) fn meet(&mut self, index: &Index, namespace: &Name, others: &BTreeSet<&Uid>) {
        for precedes in self.precedes.values_mut() {
            *precedes = false;
        }
        self.precedes.extend(others.iter().map(|uid| (Uid::clone(uid), true)));
        self.parted = false;
        self.parted_at = None;
        self.pods = self.pods_with(index, namespace, others.len() + 1);
    }

    /// The pod that was moved has left, and these others are there: should they leave
    /// later, they are replaced later.
    pub(super) fn part(&mut self, others: &BTreeSet<&Uid>, at: Option<Sighting>) {
        if !std::mem::replace(&mut self.parted, true) {
            self.parted_at = at;
            for uid in others {
                self.precedes.entry(Uid::clone(uid)).and_modify(|precedes| *precedes = false);
            }
        }
    }

    /// Whether it was made before the pod that was moved left.
    pub(super) fn is_older(&self, pod: &Pod) -> bool {
        self.parted_at.is_some_and(|parted| pod.seen < parted)
    }

    fn pods_with(&self, index: &Index, namespace: &Name, there: usize) -> Option<i32> {
        Some(self.wanted(index, namespace)?.max(i32::try_from(there).unwrap_or(i32::MAX)))
    }

    fn wanted(&self, index: &Index, namespace: &Name) -> Option<i32> {
        let workload = index.workload(namespace, self.owner.as_ref()?)?;
        Some(workload.replicas)
    }

    /// How many have left before, but for these, and are to be replaced; and whether that
    /// is certain.
    pub(super) fn left(
        &self,
        index: &Index,
        namespace: &Name,
        there: &BTreeSet<&Uid>,
        but: &BTreeSet<Uid>,
    ) -> (usize, bool) {
        let before = self.precedes.iter().filter(|(_, precedes)| **precedes).map(|(uid, _)| uid);
        let left = before.filter(|uid| !there.contains(uid) && !but.contains(*uid)).count();
        // Who wants fewer pods than there were then replaces so many fewer.
        let wanted = self.wanted(index, namespace);
        let fewer = self.pods.zip(wanted).map(|(pods, wanted)| (pods - wanted).max(0));
        let fewer_pods = usize::try_from(fewer.unwrap_or(0)).unwrap_or(0);
        (left.saturating_sub(fewer_pods), fewer.is_some())
    }
}

/// What is known of an eviction request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// On its way.
    Waiting,
    /// Whether it was made is not known: a time-out, or a restart.
    Unknown,
    /// The API server said yes.
    Granted,
}

impl Move {
    /// A move that is about to be made.
    #[must_use]
    pub fn begin(
        tier: &str,
        pod: &Pod,
        planned: &PlannedMove,
        siblings: Arc<Siblings>,
        now: Timestamp,
    ) -> Self {
        let owner = pod.owner.as_ref();
        let mut zones = planned.to.iter().map(ToString::to_string);
        Self {
            status: MoveStatus {
                tier: tier.to_owned(),
                pod: pod.name.to_string(),
                uid: pod.uid.to_string(),
                owner: owner
                    .map_or_else(String::new, |owner| format!("{}/{}", owner.kind, owner.name)),
                from: planned.from.to_string(),
                to: zones.next().unwrap_or_default(),
                alternatives: zones.collect(),
                replacement: None,
                node: None,
                state: MoveState::Evicting,
                started_at: seconds(now),
                finished_at: None,
                message: String::new(),
            },
            started: now,
            asked: Asked::Waiting,
            siblings: Some(siblings),
            expected: planned.nodes.first().map(|node| (PendingPod::like(pod), Name::clone(node))),
            replacement: None,
        }
    }

    /// A move that an earlier process recorded.
    #[must_use]
    pub fn restore(status: MoveStatus, now: Timestamp) -> Self {
        Self {
            started: if status.state == MoveState::Evicting { now } else { status.started_at.0 },
            asked: if status.state == MoveState::Evicting {
                Asked::Unknown
            } else {
                Asked::Granted
            },
            siblings: None,
            expected: None,
            replacement: None,
            status,
        }
    }

    /// The pod that is moved, while it is there.
    #[must_use]
    pub fn pod<'a>(&self, index: &'a Index, namespace: &str) -> Option<(PodId, &'a Pod)> {
        let id = index.cluster().pod_id(namespace, &self.status.pod)?;
        let pod = index.cluster().pod(id)?;
        (pod.uid == *self.status.uid).then_some((id, pod))
    }

    /// Whether its replacement is still awaited.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.status.state.is_under_way()
    }

    /// The uid of the pod that replaced its pod, as far as is known: no other
    /// move's pod was replaced by it.
    #[must_use]
    pub fn claims(&self, index: &Index, namespace: &str) -> Option<Uid> {
        if self.replacement.is_some() {
            return self.replacement.clone();
        }
        // After a restart there is the name only. A StatefulSet gives it to each
        // pod in turn, so there it says nothing.
        let name = self.status.replacement.as_deref().filter(|name| *name != self.status.pod)?;
        let pod = index.cluster().pod(index.cluster().pod_id(namespace, name)?)?;
        Some(pod.uid.clone())
    }

    /// Whether a landing in `zone` is what was expected.
    #[must_use]
    pub fn is_expected_in(&self, zone: &str) -> bool {
        self.status.to == zone || self.status.alternatives.iter().any(|known| known == zone)
    }
}

/// A time as it is written to a status: in whole seconds, so that what is
/// read back equals what was written.
#[must_use]
pub fn seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}
