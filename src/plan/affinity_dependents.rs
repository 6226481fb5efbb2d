//! Pods that other pods require nearby (required podAffinity).
//!
//! The scheduler checks required affinity when it places a pod, so dependents
//! keep running when the last pod they depend on moves away. But the next
//! replacement of a dependent would find no node: a move of one tier must not
//! do that to another.

use crate::observe::{Index, Name, Pod, PodClass, PodId};
use crate::predict::{InFlightPods, Scheduler};

use super::evictable::EvictionBlocker;

/// The pods of the cluster that require others nearby.
#[derive(Debug)]
pub struct AffinityDependents<'a> {
    index: &'a Index,
    scheduler: &'a Scheduler<'a>,
    in_flight: &'a InFlightPods,
    /// Pods with required affinity to others.
    dependents: Vec<&'a PodClass>,
}

impl<'a> AffinityDependents<'a> {
    pub fn of(index: &'a Index, scheduler: &'a Scheduler<'a>, in_flight: &'a InFlightPods) -> Self {
        let dependents = index
            .cluster()
            .pod_classes_with_pod_affinity()
            .filter(|pod_class| !pod_class.template.required_affinity.is_empty())
            .collect();
        Self { index, scheduler, in_flight, dependents }
    }

    /// Set if the pod is the only match of another pod's required affinity.
    pub fn eviction_blocker(&self, id: PodId, pod: &Pod) -> Option<EvictionBlocker> {
        let dependents = self.dependents.iter();
        let mut dependents = dependents
            .filter(|dependents| self.scheduler.is_needed(dependents, &pod.namespace, &pod.labels));
        dependents.find_map(|dependents| {
            let mut terms = dependents.template.required_affinity.iter();
            terms.find_map(|term| self.last_for(dependents, &term.topology_key, id, pod))
        })
    }

    /// Set if one of the dependents runs in the pod's domain of the topology
    /// `key`, and no other match of its affinity does.
    fn last_for(
        &self,
        dependents: &PodClass,
        key: &Name,
        id: PodId,
        pod: &Pod,
    ) -> Option<EvictionBlocker> {
        let cluster = self.index.cluster();
        let here = self.domain(pod, key)?;
        let stays = |other: PodId| {
            let other_pod = cluster.pod(other).filter(|pod| {
                let leaves = self.in_flight.is_leaving(other) || pod.is_released();
                other != id && pod.is_counted() && !leaves
            })?;
            (self.domain(other_pod, key) == Some(here)).then_some(other_pod)
        };
        let (who, dependent) =
            dependents.pods().iter().find_map(|other| Some((*other, stays(*other)?)))?;
        let another = cluster.pod_classes().any(|others| {
            self.scheduler.is_needed(dependents, &others.namespace, &others.labels)
                && others.pods().iter().any(|other| *other != who && stays(*other).is_some())
        });
        (!another).then(|| EvictionBlocker::Needed {
            by: Name::clone(&dependent.name),
            near: Name::clone(key),
        })
    }

    /// The pod's topology domain: the value of the label `key` of its node.
    fn domain(&self, pod: &Pod, key: &str) -> Option<&'a String> {
        let (node, _) = self.index.cluster().node(pod.node.as_deref()?)?;
        node.labels.get(key)
    }
}
