//! Pods that the scheduler can tell apart by their nodes only.
//!
//! What a constraint selects, it selects by namespace and labels; what a pod
//! asks of its neighbours stands in its template. Both are asked once per
//! cohort instead of once per pod.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cluster::PodId;
use crate::observe::object::pod::Pod;
use crate::observe::object::template::Template;
use crate::observe::value::name::{Labels, Name};

/// Pods with the same namespace, labels and template that hold a place.
#[derive(Clone, Debug)]
pub struct Cohort {
    /// Their namespace.
    pub namespace: Name,
    /// Their labels.
    pub labels: Arc<Labels>,
    /// Their template.
    pub template: Arc<Template>,
    pods: Vec<PodId>,
}

impl Cohort {
    /// The pods, in no order.
    #[must_use]
    pub fn pods(&self) -> &[PodId] {
        &self.pods
    }
}

/// Addresses of shared labels and templates: a cohort keeps both alive, so
/// nothing else can get their address.
type Key = (usize, usize);

type ByNamespace = FxHashMap<Name, FxHashMap<Key, Cohort>>;

/// Every cohort.
#[derive(Debug, Default)]
pub(in crate::observe) struct Cohorts {
    plain: ByNamespace,
    /// Those with affinity or anti-affinity to pods.
    choosy: ByNamespace,
}

impl Cohorts {
    /// Adds a pod; gives its position in the cohort.
    pub(in crate::observe) fn join(&mut self, id: PodId, pod: &Pod) -> usize {
        let side = if pod.template.has_pod_terms() { &mut self.choosy } else { &mut self.plain };
        let pods = &mut side
            .entry(Name::clone(&pod.namespace))
            .or_default()
            .entry(key(pod))
            .or_insert_with(|| Cohort {
                namespace: Name::clone(&pod.namespace),
                labels: Arc::clone(&pod.labels),
                template: Arc::clone(&pod.template),
                pods: Vec::new(),
            })
            .pods;
        pods.push(id);
        pods.len() - 1
    }

    /// Removes the pod at this position; gives the one that takes it over.
    pub(in crate::observe) fn leave(&mut self, position: usize, pod: &Pod) -> Option<PodId> {
        let side = if pod.template.has_pod_terms() { &mut self.choosy } else { &mut self.plain };
        let cohorts = side.get_mut(&pod.namespace)?;
        let key = key(pod);
        let cohort = cohorts.get_mut(&key)?;
        if position < cohort.pods.len() {
            cohort.pods.swap_remove(position);
        }
        let moved = cohort.pods.get(position).copied();
        if cohort.pods.is_empty() {
            cohorts.remove(&key);
            if cohorts.is_empty() {
                side.remove(&pod.namespace);
            }
        }
        moved
    }

    pub(in crate::observe) fn of_namespace(
        &self,
        namespace: &str,
    ) -> impl Iterator<Item = &Cohort> {
        [&self.plain, &self.choosy]
            .into_iter()
            .filter_map(move |side| side.get(namespace))
            .flat_map(FxHashMap::values)
    }

    pub(in crate::observe) fn all(&self) -> impl Iterator<Item = &Cohort> {
        self.plain.values().flat_map(FxHashMap::values).chain(self.choosy())
    }

    pub(in crate::observe) fn choosy(&self) -> impl Iterator<Item = &Cohort> {
        self.choosy.values().flat_map(FxHashMap::values)
    }
}

fn key(pod: &Pod) -> Key {
    (Arc::as_ptr(&pod.labels).addr(), Arc::as_ptr(&pod.template).addr())
}
