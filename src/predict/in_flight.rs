//! Moves that the cluster does not show yet.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::observe::{Cluster, Labels, Name, Owner, Pod, PodId, Template, Zone};

use super::scheduler::Scheduler;
use super::{replacement, revision};

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
    /// What it needs if it is made like the pod before it is now, where that is something
    /// else: `replacement` says which.
    pub as_now: Option<Arc<Template>>,
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
            template: as_asked(&pod.template),
            as_now: None,
            owner: pod.owner.clone(),
            unknown: None,
        }
    }

    /// The pod that the controller makes in place of `pod`, from its template: of a
    /// `StatefulSet` it depends on the revision.
    #[must_use]
    pub fn replacing(cluster: &Cluster, pod: &Pod) -> Self {
        let other_revision = revision::next_pod(cluster, pod);
        let mut pending = other_revision.unwrap_or_else(|| replacement::next_pod(cluster, pod));
        if pod.owner.as_ref().is_none_or(|owner| !owner.keeps_names()) {
            pending.name = None;
        }
        pending
    }

    /// The same pod, steered to a zone if it is to be.
    #[must_use]
    pub fn steered(self, zone: Option<&Zone>) -> Self {
        let Some(zone) = zone else { return self };
        let template = Arc::new(self.template.steered_to(zone));
        let as_now = self.as_now.map(|template| Arc::new(template.steered_to(zone)));
        Self { template, as_now, ..self }
    }

    /// The same pod as it would be if it were made like the one before it is now.
    #[must_use]
    pub(super) fn made_as_now(&self) -> Self {
        let template = Arc::clone(self.as_now.as_ref().unwrap_or(&self.template));
        Self { template, as_now: None, ..self.clone() }
    }

    /// Whether it can exist only once `pod` is gone: a `StatefulSet` gives the
    /// replacement the name of the pod.
    #[must_use]
    pub fn replaces(&self, pod: &Pod) -> bool {
        self.namespace == pod.namespace
            && self.name.as_ref() == Some(&pod.name)
            && pod.owner.as_ref().is_some_and(|owner| owner.keeps_names())
    }

    /// Whether `pod`, once evicted, is gone when this one is placed. Pods with
    /// a grace period stay on their nodes while they terminate.
    pub(super) fn outlives(&self, pod: &Pod, order: DeletionOrder) -> bool {
        self.replaces(pod) || (pod.template.vanishes && order != DeletionOrder::PlacedFirst)
    }
}

/// What a pod with this template asks for, whatever one that is being resized still holds.
fn as_asked(template: &Arc<Template>) -> Arc<Template> {
    if template.held.is_none() {
        return Arc::clone(template);
    }
    Arc::new(Template { held: None, ..Template::clone(template) })
}

/// What kube-scheduler knows of an eviction when it places the replacement.
///
/// The API server removes an evicted pod without a grace period at once, while its controller
/// makes the replacement: either may be first. And before 1.35 the scheduler hears of the two
/// by handlers without an order (`pkg/scheduler/eventhandlers.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeletionOrder {
    /// The pod is gone when its replacement is placed.
    GoneFirst,
    /// It is still there, terminating.
    PlacedFirst,
    /// It is there as if nothing had happened to it. Only of the pod that left last: what
    /// happened to others before is known by then.
    Unseen,
}

/// Moves that the cluster does not show yet: pods that are evicted, and the pods that
/// replace them, which the scheduler is assumed to have placed (kube-scheduler's
/// `AssumePod`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InFlightPods {
    evicted: FxHashSet<PodId>,
    /// Those of them that are gone.
    removed: FxHashSet<PodId>,
    /// Pods that are released, with their labels from then on.
    released: FxHashMap<PodId, Arc<Labels>>,
    /// The one that was evicted or released last, unless it is gone.
    last: Option<PodId>,
    assumed: Vec<(PendingPod, Name)>,
}

impl InFlightPods {
    /// The pod is evicted: it no longer counts for spreading. Until it is gone
    /// it holds its place on the node, and other pods still mind it.
    pub fn evict(&mut self, pod: PodId) {
        self.evicted.insert(pod);
        self.last = Some(pod);
    }

    /// The pod is evicted and gone: nothing is left of it on the node.
    pub fn remove(&mut self, pod: PodId) {
        self.evicted.insert(pod);
        self.removed.insert(pod);
        self.released.remove(&pod);
        self.forget_last(pod);
    }

    /// The pod is not evicted after all.
    pub fn undo_evict(&mut self, pod: PodId) {
        self.evicted.remove(&pod);
        self.forget_last(pod);
    }

    fn forget_last(&mut self, pod: PodId) {
        self.last = self.last.filter(|last| *last != pod);
    }

    /// What happened to the pod that left last is known from now on.
    pub(super) const fn see_last(&mut self) {
        self.last = None;
    }

    /// The pod that was evicted or released last, unless it is gone.
    pub(super) const fn last(&self) -> Option<PodId> {
        self.last
    }

    /// The pod is released: it stays where it is, with other labels, and another one is
    /// made in its place.
    pub fn release(&mut self, pod: PodId, labels: Arc<Labels>) {
        self.released.insert(pod, labels);
        self.last = Some(pod);
    }

    /// The pod is not released after all.
    pub fn undo_release(&mut self, pod: PodId) {
        self.released.remove(&pod);
        self.forget_last(pod);
    }

    /// Pods that are released, with their labels from then on, in no order.
    pub fn released(&self) -> impl Iterator<Item = (PodId, &Arc<Labels>)> {
        self.released.iter().map(|(id, labels)| (*id, labels))
    }

    /// The labels that a pod is released with.
    #[must_use]
    pub fn released_as(&self, pod: PodId) -> Option<&Arc<Labels>> {
        self.released.get(&pod)
    }

    /// Whether the pod leaves, now or later.
    #[must_use]
    pub fn is_leaving(&self, pod: PodId) -> bool {
        self.is_evicted(pod) || self.released.contains_key(&pod)
    }

    /// The pod is assumed to be on this node.
    pub fn assume(&mut self, pod: PendingPod, node: Name) {
        self.assumed.push((pod, node));
    }

    /// The same with the pods that are assumed as they would be if they were made like
    /// those before them are now.
    #[must_use]
    pub(super) fn made_as_now(&self) -> Self {
        let assumed = self.assumed.iter().map(|(pod, node)| (pod.made_as_now(), Name::clone(node)));
        Self { assumed: assumed.collect(), ..self.clone() }
    }

    /// Pods that wait for a certain node, and are not assumed there already.
    pub(super) fn reserved<'c>(
        &self,
        scheduler: &Scheduler<'c>,
    ) -> impl Iterator<Item = (PodId, &'c Pod, &'c Name)> {
        let is_any = scheduler.reserved().next().is_some();
        let mut assumed: Vec<&(PendingPod, Name)> =
            if is_any { self.assumed().collect() } else { Vec::new() };
        scheduler.reserved().filter(move |(_, pod, node)| {
            let is_it = |(known, at): &&(PendingPod, Name)| {
                at == *node && known.namespace == pod.namespace && known.owner == pod.owner
            };
            match assumed.iter().position(is_it) {
                Some(at) => {
                    assumed.swap_remove(at);
                    false
                }
                None => true,
            }
        })
    }

    /// Pods that wait for a certain node are placed there, and those that have to leave for
    /// them are gone.
    pub(super) fn assume_reserved(&mut self, scheduler: &Scheduler<'_>) {
        let cluster = scheduler.cluster;
        let reserved: Vec<(&Pod, &Name)> =
            self.reserved(scheduler).map(|(_, pod, node)| (pod, node)).collect();
        for (pod, node) in reserved {
            let pods = cluster.node(node).map(|(_, entry)| entry.pods.iter().copied());
            for id in pods.into_iter().flatten() {
                let leaves = |other: &Pod| {
                    other.terminating && other.template.priority < pod.template.priority
                };
                if cluster.pod(id).is_some_and(leaves) {
                    self.remove(id);
                }
            }
            self.assume(PendingPod::like(pod), Name::clone(node));
        }
    }

    /// Whether some pod that is assumed may be of two sizes.
    pub(super) fn may_be_as_now(&self) -> bool {
        self.assumed.iter().any(|(pod, _)| pod.as_now.is_some())
    }

    /// Whether the pod is evicted.
    #[must_use]
    pub fn is_evicted(&self, pod: PodId) -> bool {
        self.evicted.contains(&pod)
    }

    /// Whether the pod is evicted and gone.
    pub(super) fn is_removed(&self, pod: PodId) -> bool {
        self.removed.contains(&pod)
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
