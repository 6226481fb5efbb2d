//! Moves that the cluster does not show yet.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::observe::{Cluster, Labels, Name, Owner, Pod, PodId, Template};

use super::revision;

const BOUND_LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// A pod that is to be placed.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingPod {
    /// Its namespace.
    pub namespace: Name,
    /// Its name, where that is known: a `StatefulSet`'s pods keep theirs.
    pub name: Option<Name>,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// What it needs.
    pub template: Arc<Template>,
    /// Its controller; the default spread constraints select by it.
    pub owner: Option<Arc<Owner>>,
    /// Why its landing cannot be predicted, if so.
    pub unknown: Option<String>,
}

impl PendingPod {
    /// A pod like `pod`.
    #[must_use]
    pub fn like(pod: &Pod) -> Self {
        Self {
            namespace: Name::clone(&pod.namespace),
            name: Some(Name::clone(&pod.name)),
            labels: Arc::clone(&pod.labels),
            template: Arc::clone(&pod.template),
            owner: pod.owner.clone(),
            unknown: None,
        }
    }

    /// The pod that the controller makes in place of `pod`. A `ReplicaSet`'s
    /// pods carry its template; of a `StatefulSet` it depends on the revision.
    #[must_use]
    pub fn replacing(cluster: &Cluster, pod: &Pod) -> Self {
        let mut pending = revision::next_pod(cluster, pod).unwrap_or_else(|| Self::like(pod));
        // The API server writes the node's zone and region on a pod when it is
        // bound (the admission plugin PodTopologyLabels, 1.35).
        if BOUND_LABELS.iter().any(|label| pending.labels.contains_key(*label)) {
            let mut labels = Labels::clone(&pending.labels);
            labels.retain(|label, _| !BOUND_LABELS.contains(&label.as_str()));
            pending.labels = Arc::new(labels);
        }
        // Only a StatefulSet's pods keep their name.
        if pod.owner.as_ref().is_none_or(|owner| &*owner.kind != "StatefulSet") {
            pending.name = None;
        }
        pending
    }

    /// Whether it can exist only once `pod` is gone: a `StatefulSet` gives the
    /// replacement the name of the pod.
    #[must_use]
    pub fn replaces(&self, pod: &Pod) -> bool {
        self.namespace == pod.namespace
            && self.name.as_ref() == Some(&pod.name)
            && pod.owner.as_ref().is_some_and(|owner| &*owner.kind == "StatefulSet")
    }

    /// Whether `pod`, once evicted, is gone when this one is placed. Pods with
    /// a grace period stay on their nodes while they terminate.
    pub(super) fn outlives(&self, pod: &Pod, order: DeletionOrder) -> bool {
        self.replaces(pod) || (pod.template.vanishes && order == DeletionOrder::GoneFirst)
    }
}

/// The API server removes an evicted pod without a grace period at once, while
/// its controller makes the replacement: either may be first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeletionOrder {
    /// The pod is gone when its replacement is placed.
    GoneFirst,
    /// It is still there, terminating.
    PlacedFirst,
}

/// Moves that the cluster does not show yet: pods that are evicted, and the pods that
/// replace them, which the scheduler is assumed to have placed (kube-scheduler's
/// `AssumePod`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InFlightPods {
    evicted: FxHashSet<PodId>,
    assumed: Vec<(PendingPod, Name)>,
}

impl InFlightPods {
    /// The pod is evicted: it no longer counts for spreading. Until it is gone
    /// it holds its place on the node, and other pods still mind it.
    pub fn evict(&mut self, pod: PodId) {
        self.evicted.insert(pod);
    }

    /// The pod is not evicted after all.
    pub fn undo_evict(&mut self, pod: PodId) {
        self.evicted.remove(&pod);
    }

    /// The pod is assumed to be on this node.
    pub fn assume(&mut self, pod: PendingPod, node: Name) {
        self.assumed.push((pod, node));
    }

    /// Whether the pod is evicted.
    #[must_use]
    pub fn is_evicted(&self, pod: PodId) -> bool {
        self.evicted.contains(&pod)
    }

    /// Pods that are evicted, in no order.
    pub fn evicted(&self) -> impl Iterator<Item = PodId> {
        self.evicted.iter().copied()
    }

    /// Pods that are assumed to be placed, and their nodes.
    pub fn assumed(&self) -> impl Iterator<Item = &(PendingPod, Name)> {
        self.assumed.iter()
    }
}
