//! What plugins count from before any node is looked at: the pods that are on the nodes
//! when the pod is scheduled.

use crate::observe::{Labels, Name, Pod, PodClass, PodId, Template};

use super::in_flight::{DeletionOrder, InFlightPods, PendingPod};
use super::scheduler::Scheduler;

/// The scheduling of one pod, as far as it is the same for all plugins.
#[derive(Debug)]
pub(super) struct Cycle<'s> {
    pub scheduler: &'s Scheduler<'s>,
    pub pod: PendingPod,
    pub in_flight: InFlightPods,
    /// What is known of the pod that leaves.
    pub order: DeletionOrder,
}

/// A pod, or pods that are alike, as far as plugins look at other pods.
#[derive(Clone, Copy, Debug)]
pub(super) struct PodRef<'p> {
    pub namespace: &'p Name,
    /// None for several pods, and for one that is still to be named.
    pub name: Option<&'p Name>,
    pub labels: &'p Labels,
    pub template: &'p Template,
}

impl<'p> From<&'p Pod> for PodRef<'p> {
    fn from(pod: &'p Pod) -> Self {
        Self {
            namespace: &pod.namespace,
            name: Some(&pod.name),
            labels: &pod.labels,
            template: &pod.template,
        }
    }
}

impl<'p> From<&'p PendingPod> for PodRef<'p> {
    fn from(pod: &'p PendingPod) -> Self {
        Self {
            namespace: &pod.namespace,
            name: pod.name.as_ref(),
            labels: &pod.labels,
            template: &pod.template,
        }
    }
}

impl<'p> From<&'p PodClass> for PodRef<'p> {
    fn from(pods: &'p PodClass) -> Self {
        Self {
            namespace: &pods.namespace,
            name: None,
            labels: &pods.labels,
            template: &pods.template,
        }
    }
}

impl Cycle<'_> {
    /// The rows of all nodes.
    pub(super) fn rows(&self) -> std::ops::Range<usize> {
        0..self.scheduler.rows().len()
    }

    /// The pod that leaves and of which kube-scheduler does not know that yet.
    pub(super) fn unseen(&self) -> Option<PodId> {
        self.in_flight.last().filter(|_| self.order == DeletionOrder::Unseen)
    }

    /// Whether kube-scheduler tries again if it finds no node now: the evicted pod will be
    /// gone, which it hears of.
    pub(super) fn is_tried_again(&self) -> bool {
        let unseen = self.unseen().and_then(|id| self.scheduler.cluster.pod(id));
        unseen.is_none_or(|pod| self.pod.outlives(pod, DeletionOrder::GoneFirst))
    }

    /// Whether kube-scheduler knows that a pod is evicted.
    pub(super) fn sees_eviction_of(&self, id: PodId) -> bool {
        self.in_flight.is_evicted(id) && self.unseen() != Some(id)
    }

    /// Whether a pod is gone by the time the pod is scheduled, as far as kube-scheduler knows.
    pub(super) fn is_gone(&self, id: PodId, other: &Pod) -> bool {
        self.scheduler.is_gone(id)
            || self.sees_eviction_of(id)
                && (self.in_flight.is_removed(id) || self.pod.outlives(other, self.order))
    }

    /// The nodes of those of the pods that `counts`, by row.
    pub(super) fn rows_of(
        &self,
        pods: &PodClass,
        counts: impl Fn(PodId, &Pod) -> bool,
    ) -> Vec<usize> {
        let rows = pods.pods().iter().filter_map(|id| {
            self.scheduler.cluster.pod(*id).filter(|pod| counts(*id, pod))?;
            self.scheduler.row_of_pod(*id)
        });
        rows.collect()
    }

    /// The nodes of those of the pods that are not gone by then, by row.
    pub(super) fn rows_of_present(&self, pods: &PodClass) -> Vec<usize> {
        self.rows_of(pods, |id, pod| !self.is_gone(id, pod))
    }

    /// The pods on a node: those that are not gone by then, and those that are assumed
    /// to come.
    pub(super) fn pods_on(&self, row: usize) -> impl Iterator<Item = PodRef<'_>> {
        let node = &self.scheduler.rows()[row].node.name;
        let there = self.scheduler.entry(row).pods.iter().filter_map(|id| {
            let other = self.scheduler.cluster.pod(*id)?;
            (!self.is_gone(*id, other)).then(|| PodRef::from(other))
        });
        let assumed = self.in_flight.assumed().filter(move |(_, known)| known == node);
        let supposed = self.scheduler.supposed.into_iter();
        let placed = supposed.flat_map(move |supposed| supposed.placed_on(row));
        there.chain(placed).chain(assumed.map(|(pod, _)| PodRef::from(pod)))
    }

    /// The pods that are evicted and gone by then, and the rows of their nodes.
    pub(super) fn gone(&self) -> impl Iterator<Item = (&Pod, usize)> {
        self.in_flight.evicted().filter_map(|id| {
            let pod = self.scheduler.cluster.pod(id)?;
            let is_gone = pod.holds_place() && self.is_gone(id, pod);
            Some((pod, self.row_of(pod).filter(|_| is_gone)?))
        })
    }

    /// The row of the node that a pod is on.
    pub(super) fn row_of(&self, pod: &Pod) -> Option<usize> {
        self.scheduler.row_of(pod.node.as_deref()?)
    }
}
