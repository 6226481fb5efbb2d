//! Pods that others must run near: their loss would break a promise made to
//! those.
//!
//! Required affinity is looked at when a pod is placed, so the others would go
//! on running where they are. But the next time that one of them is replaced
//! it would find no place: a move for the sake of one tier must not do that to
//! another.

use crate::observe::{Cohort, Index, Name, Pod, PodId};
use crate::predict::{InFlightPods, Scheduler};

use super::pinned::Pin;

/// What the pods of the cluster need near them.
#[derive(Debug)]
pub struct Needs<'a> {
    index: &'a Index,
    scheduler: &'a Scheduler<'a>,
    in_flight: &'a InFlightPods,
    /// Pods with required affinity to others.
    needy: Vec<&'a Cohort>,
}

impl<'a> Needs<'a> {
    pub fn of(index: &'a Index, scheduler: &'a Scheduler<'a>, in_flight: &'a InFlightPods) -> Self {
        let needy = index
            .cluster()
            .choosy_cohorts()
            .filter(|cohort| !cohort.template.required_affinity.is_empty())
            .collect();
        Self { index, scheduler, in_flight, needy }
    }

    pub const fn in_flight(&self) -> &'a InFlightPods {
        self.in_flight
    }

    /// The pin of a pod that is the last one near which another pod may run.
    pub fn pin_of(&self, id: PodId, pod: &Pod) -> Option<Pin> {
        let needy = self.needy.iter();
        let mut needy =
            needy.filter(|needy| self.scheduler.is_needed(needy, &pod.namespace, &pod.labels));
        needy.find_map(|needy| {
            let mut terms = needy.template.required_affinity.iter();
            terms.find_map(|term| self.last_for(needy, &term.topology_key, id, pod))
        })
    }

    /// The pin, if one of the needy shares a value of the node label `key` with
    /// the pod, and with no other that it could run near.
    fn last_for(&self, needy: &Cohort, key: &Name, id: PodId, pod: &Pod) -> Option<Pin> {
        let cluster = self.index.cluster();
        let here = self.place(pod, key)?;
        let stays = |other: PodId| {
            let other_pod = cluster.pod(other).filter(|pod| {
                other != id && pod.is_counted() && !self.in_flight.is_evicted(other)
            })?;
            (self.place(other_pod, key) == Some(here)).then_some(other_pod)
        };
        let (who, needing) =
            needy.pods().iter().find_map(|other| Some((*other, stays(*other)?)))?;
        let another = cluster.cohorts().any(|others| {
            self.scheduler.is_needed(needy, &others.namespace, &others.labels)
                && others.pods().iter().any(|other| *other != who && stays(*other).is_some())
        });
        (!another).then(|| Pin::Needed { by: Name::clone(&needing.name), near: Name::clone(key) })
    }

    /// The value of a label of the pod's node.
    fn place(&self, pod: &Pod, key: &str) -> Option<&'a String> {
        let (node, _) = self.index.cluster().node(pod.node.as_deref()?)?;
        node.labels.get(key)
    }
}
