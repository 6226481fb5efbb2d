//! Pods that differ only in their nodes for the scheduler.
//!
//! What a constraint selects, it selects by namespace and labels; what a pod
//! asks of its neighbours stands in its template. Both are asked once per
//! class instead of once per pod.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::cluster::PodId;
use crate::observe::object::pod::Pod;
use crate::observe::object::template::Template;
use crate::observe::value::name::{Labels, Name};

/// Pods with the same namespace, labels and template that hold a place.
#[derive(Clone, Debug)]
pub struct PodClass {
    /// Their namespace.
    pub namespace: Name,
    /// Their labels.
    pub labels: Arc<Labels>,
    /// Their template.
    pub template: Arc<Template>,
    pods: Vec<PodId>,
}

impl PodClass {
    /// The pods, in no order.
    #[must_use]
    pub fn pods(&self) -> &[PodId] {
        &self.pods
    }
}

/// Addresses of shared labels and templates: a class keeps both alive, so
/// nothing else can get their address.
type Key = (usize, usize);

type ByNamespace = FxHashMap<Name, FxHashMap<Key, PodClass>>;

/// Every class.
#[derive(Clone, Debug, Default)]
pub(in crate::observe) struct PodClasses {
    plain: ByNamespace,
    /// Those with affinity or anti-affinity to pods.
    with_pod_affinity: ByNamespace,
}

impl PodClasses {
    /// Adds a pod; gives its position in the class.
    pub(in crate::observe) fn add(&mut self, id: PodId, pod: &Pod) -> usize {
        let side = if pod.template.has_pod_terms() {
            &mut self.with_pod_affinity
        } else {
            &mut self.plain
        };
        let pods = &mut side
            .entry(Name::clone(&pod.namespace))
            .or_default()
            .entry(key(pod))
            .or_insert_with(|| PodClass {
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
    pub(in crate::observe) fn remove(&mut self, position: usize, pod: &Pod) -> Option<PodId> {
        let side = if pod.template.has_pod_terms() {
            &mut self.with_pod_affinity
        } else {
            &mut self.plain
        };
        let pod_classes = side.get_mut(&pod.namespace)?;
        let key = key(pod);
        let pod_class = pod_classes.get_mut(&key)?;
        if position < pod_class.pods.len() {
            pod_class.pods.swap_remove(position);
        }
        let moved = pod_class.pods.get(position).copied();
        if pod_class.pods.is_empty() {
            pod_classes.remove(&key);
            if pod_classes.is_empty() {
                side.remove(&pod.namespace);
            }
        }
        moved
    }

    pub(in crate::observe) fn of_namespace(
        &self,
        namespace: &str,
    ) -> impl Iterator<Item = &PodClass> {
        [&self.plain, &self.with_pod_affinity]
            .into_iter()
            .filter_map(move |side| side.get(namespace))
            .flat_map(FxHashMap::values)
    }

    pub(in crate::observe) fn all(&self) -> impl Iterator<Item = &PodClass> {
        self.plain.values().flat_map(FxHashMap::values).chain(self.with_pod_affinity())
    }

    pub(in crate::observe) fn with_pod_affinity(&self) -> impl Iterator<Item = &PodClass> {
        self.with_pod_affinity.values().flat_map(FxHashMap::values)
    }
}

fn key(pod: &Pod) -> Key {
    (Arc::as_ptr(&pod.labels).addr(), Arc::as_ptr(&pod.template).addr())
}
