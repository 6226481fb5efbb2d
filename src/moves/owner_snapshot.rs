//! What an owner had when a move was decided: by that its replacement is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::observe::{EventSeq, Index, Name, Owner, Pod, Uid};

use super::tracked_move::Move;

/// The pods that an owner had when a move of one of them was decided: none of them is
/// the replacement, and each that leaves gets one too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerSnapshot {
    owner: Option<Arc<Owner>>,
    /// How many pods there were, or were to be, where the owner is known.
    pods: Option<i32>,
    /// Whether one that leaves is replaced before the pod that was moved: not if it
    /// terminated already, or was still there when that left.
    replaced_first: BTreeMap<Uid, bool>,
    /// Whether the pod that was moved is seen to have left.
    has_left: bool,
    /// When it was, if that is known: what was seen before was made for something else.
    left_at: Option<EventSeq>,
}

impl OwnerSnapshot {
    /// Those of a pod, and the pod itself.
    #[must_use]
    pub fn of(index: &Index, pod: &Pod) -> Self {
        let owned = index.cluster().pods_in(&pod.namespace).map(|(_, other)| other);
        let own = owned.filter(|other| other.owner.is_some() && other.owner == pod.owner);
        let mut snapshot = Self {
            owner: pod.owner.clone(),
            replaced_first: own.map(|other| (other.uid.clone(), !other.terminating)).collect(),
            ..Self::default()
        };
        let there = snapshot.replaced_first.values().filter(|stays| **stays).count();
        snapshot.pods = snapshot.pods_with(index, &pod.namespace, there);
        snapshot
    }

    /// Whether the pod that was moved had the same owner.
    #[must_use]
    pub fn is_of(&self, moved: &Move) -> bool {
        let owner = self.owner.as_deref().zip(moved.owner.as_ref());
        owner.is_some_and(|(own, known)| known.is(own))
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn has(&self, uid: &Uid) -> bool {
        self.replaced_first.contains_key(uid)
    }

    /// The replacement is known: these others are there besides, and what left before
    /// has been made up for.
    pub(super) fn replacement_seen(
        &mut self,
        index: &Index,
        namespace: &Name,
        others: &BTreeSet<&Uid>,
    ) {
        for replaced_first in self.replaced_first.values_mut() {
            *replaced_first = false;
        }
        self.replaced_first.extend(others.iter().map(|uid| (Uid::clone(uid), true)));
        self.has_left = false;
        self.left_at = None;
        self.pods = self.pods_with(index, namespace, others.len() + 1);
    }

    /// The pod that was moved has left, and these others are there: should they leave
    /// later, they are replaced later.
    pub(super) fn pod_left(&mut self, others: &BTreeSet<&Uid>, at: Option<EventSeq>) {
        if !std::mem::replace(&mut self.has_left, true) {
            self.left_at = at;
            for uid in others {
                self.replaced_first
                    .entry(Uid::clone(uid))
                    .and_modify(|replaced_first| *replaced_first = false);
            }
        }
    }

    /// Whether it was made before the pod that was moved left.
    pub(super) fn is_older(&self, pod: &Pod) -> bool {
        self.left_at.is_some_and(|left| pod.seen < left)
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
    pub(super) fn departures(
        &self,
        index: &Index,
        namespace: &Name,
        there: &BTreeSet<&Uid>,
        but: &BTreeSet<Uid>,
    ) -> (usize, bool) {
        let before = self
            .replaced_first
            .iter()
            .filter(|(_, replaced_first)| **replaced_first)
            .map(|(uid, _)| uid);
        let left = before.filter(|uid| !there.contains(uid) && !but.contains(*uid)).count();
        // If the owner was scaled down since, that many fewer pods are replaced.
        let wanted = self.wanted(index, namespace);
        let fewer = self.pods.zip(wanted).map(|(pods, wanted)| (pods - wanted).max(0));
        let fewer_pods = usize::try_from(fewer.unwrap_or(0)).unwrap_or(0);
        (left.saturating_sub(fewer_pods), fewer.is_some())
    }
}
