//! The cluster as the scheduler sees it: nodes, the pods on them, and what
//! their constraints refer to.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::Selector;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Deserialize;

use crate::predict::SchedulerConfig;

use super::change::Kind;
use super::cohort::{Cohort, Cohorts};
use super::intern::{Labels, Name};
use super::node::Node;
use super::pod::Pod;
use super::resources::Resources;
use super::volume::{Claim, PersistentVolume, StorageClass};
use super::workload::{Workload, WorkloadKey};
use super::zone::Zone;

/// A pod's place in the index; valid until the pod is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId(u32);

/// Which pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodKey {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
}

/// The watched part of a Service.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Service)]
pub struct WatchedService {
    /// Name and namespace.
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedServiceSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedServiceSpec {
    selector: Option<Labels>,
}

/// A Service: the default spread constraints select by it.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// Labels of its pods; empty selects none.
    pub selector: Labels,
}

impl Service {
    /// The service that `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedService) -> Self {
        Self {
            namespace: Name::from(watched.metadata.namespace.unwrap_or_default()),
            name: Name::from(watched.metadata.name.unwrap_or_default()),
            selector: watched.spec.selector.unwrap_or_default(),
        }
    }
}

/// A node and what is on it.
#[derive(Clone, Debug, Default)]
pub struct NodeEntry {
    /// The node; none while pods name a node that is not (or no longer) known.
    pub node: Option<Node>,
    /// Pods that hold their place on it, terminating ones included.
    pub pods: FxHashSet<PodId>,
    /// What these ask for.
    pub requested: Resources,
    /// What these ask for in scores: thousandths of a core.
    pub scored_cpu_milli: i64,
    /// What these ask for in scores: bytes.
    pub scored_memory: i64,
}

/// Nodes, pods, and what their constraints refer to.
#[derive(Debug, Default)]
pub struct Cluster {
    nodes: BTreeMap<Name, NodeEntry>,
    pods: Vec<Option<Pod>>,
    free: Vec<u32>,
    by_namespace: FxHashMap<Name, FxHashMap<Name, PodId>>,
    cohorts: Cohorts,
    services: FxHashMap<Name, BTreeMap<Name, Service>>,
    owners: FxHashMap<WorkloadKey, Option<Selector>>,
    namespaces: FxHashMap<Name, Labels>,
    claims: FxHashMap<Name, FxHashMap<Name, Claim>>,
    volumes: FxHashMap<Name, PersistentVolume>,
    classes: FxHashMap<Name, StorageClass>,
    scheduler: SchedulerConfig,
}

impl Cluster {
    /// Every node, by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&Node, &NodeEntry)> {
        self.nodes.values().filter_map(|entry| Some((entry.node.as_ref()?, entry)))
    }

    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes().count()
    }

    /// The node with this name, and what is on it.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<(&Node, &NodeEntry)> {
        let entry = self.nodes.get(name)?;
        Some((entry.node.as_ref()?, entry))
    }

    /// The zone of a node.
    #[must_use]
    pub fn zone_of_node(&self, name: &str) -> Option<&Zone> {
        self.node(name)?.0.zone.as_ref()
    }

    /// The zone of a pod's node.
    #[must_use]
    pub fn zone_of(&self, pod: &Pod) -> Option<&Zone> {
        self.zone_of_node(pod.node.as_deref()?)
    }

    /// The pod with this id.
    #[must_use]
    pub fn pod(&self, id: PodId) -> Option<&Pod> {
        self.pods.get(id.0 as usize)?.as_ref()
    }

    /// The id of the pod with this name.
    #[must_use]
    pub fn pod_id(&self, namespace: &str, name: &str) -> Option<PodId> {
        self.by_namespace.get(namespace)?.get(name).copied()
    }

    /// Every pod of a namespace, in no order.
    pub fn pods_in(&self, namespace: &str) -> impl Iterator<Item = (PodId, &Pod)> {
        self.by_namespace
            .get(namespace)
            .into_iter()
            .flat_map(FxHashMap::values)
            .filter_map(|id| Some((*id, self.pod(*id)?)))
    }

    /// Every pod.
    pub fn pods(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.pods
            .iter()
            .enumerate()
            .filter_map(|(at, pod)| Some((PodId(u32::try_from(at).ok()?), pod.as_ref()?)))
    }

    /// Pods of a namespace that hold a place, alike in all but their nodes, in no order.
    pub fn cohorts_in(&self, namespace: &str) -> impl Iterator<Item = &Cohort> {
        self.cohorts.of_namespace(namespace)
    }

    /// Pods that hold a place, alike in all but their nodes, in no order.
    pub fn cohorts(&self) -> impl Iterator<Item = &Cohort> {
        self.cohorts.all()
    }

    /// Those of [`Self::cohorts`] that care which pods are near them.
    pub fn choosy_cohorts(&self) -> impl Iterator<Item = &Cohort> {
        self.cohorts.choosy()
    }

    /// Which pods a `ReplicaSet` or `StatefulSet` takes for its own. The outer
    /// none: it is not known; the inner: its selector cannot be read.
    #[must_use]
    pub fn owner_selector(&self, key: &WorkloadKey) -> Option<Option<&Selector>> {
        self.owners.get(key).map(Option::as_ref)
    }

    /// The storage class of claims that name none.
    #[must_use]
    pub fn default_storage_class(&self) -> Option<&StorageClass> {
        self.classes.values().filter(|class| class.is_default).min_by_key(|class| &class.name)
    }

    /// The services of a namespace, by name.
    pub fn services_in(&self, namespace: &str) -> impl Iterator<Item = &Service> {
        self.services.get(namespace).into_iter().flat_map(BTreeMap::values)
    }

    /// The labels of a namespace.
    #[must_use]
    pub fn namespace_labels(&self, namespace: &str) -> Option<&Labels> {
        self.namespaces.get(namespace)
    }

    /// A claim.
    #[must_use]
    pub fn claim(&self, namespace: &str, name: &str) -> Option<&Claim> {
        self.claims.get(namespace)?.get(name)
    }

    /// A volume.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&PersistentVolume> {
        self.volumes.get(name)
    }

    /// A storage class.
    #[must_use]
    pub fn storage_class(&self, name: &str) -> Option<&StorageClass> {
        self.classes.get(name)
    }

    /// How its scheduler is configured; the default unless told otherwise.
    #[must_use]
    pub const fn scheduler_config(&self) -> &SchedulerConfig {
        &self.scheduler
    }

    /// Tells how its scheduler is configured.
    pub fn set_scheduler_config(&mut self, config: SchedulerConfig) {
        self.scheduler = config;
    }

    /// Services, claims, volumes, storage classes or namespaces that are
    /// known: namespace (empty for none) and name. Nothing for other kinds.
    #[must_use]
    pub fn known(&self, kind: Kind) -> Vec<(Name, Name)> {
        let none = Name::from("");
        let unscoped = |name: &Name| (Name::clone(&none), Name::clone(name));
        match kind {
            Kind::Service => self
                .services
                .values()
                .flat_map(BTreeMap::values)
                .map(|service| (Name::clone(&service.namespace), Name::clone(&service.name)))
                .collect(),
            Kind::Claim => self
                .claims
                .values()
                .flat_map(FxHashMap::values)
                .map(|claim| (Name::clone(&claim.namespace), Name::clone(&claim.name)))
                .collect(),
            Kind::Volume => self.volumes.keys().map(unscoped).collect(),
            Kind::StorageClass => self.classes.keys().map(unscoped).collect(),
            Kind::Namespace => self.namespaces.keys().map(unscoped).collect(),
            _ => Vec::new(),
        }
    }

    /// Adds or replaces a node; says whether anything changed.
    pub fn put_node(&mut self, node: Node) -> bool {
        let entry = self.nodes.entry(Name::clone(&node.name)).or_default();
        let changed = entry.node.as_ref() != Some(&node);
        entry.node = Some(node);
        changed
    }

    /// Removes a node; its pods stay until they are removed themselves.
    pub fn remove_node(&mut self, name: &str) -> bool {
        let Some(entry) = self.nodes.get_mut(name) else {
            return false;
        };
        let known = entry.node.take().is_some();
        if entry.pods.is_empty() {
            self.nodes.remove(name);
        }
        known
    }

    /// Adds or replaces a pod; gives its id and what was there before.
    pub fn put_pod(&mut self, pod: Pod) -> (PodId, Option<Pod>) {
        let known = self.pod_id(&pod.namespace, &pod.name);
        let before = known.and_then(|id| self.take_pod(id));
        let id = known.unwrap_or_else(|| {
            let id = self.free_id();
            self.by_namespace
                .entry(Name::clone(&pod.namespace))
                .or_default()
                .insert(Name::clone(&pod.name), id);
            id
        });
        if let Some(node) = pod.node.as_ref().filter(|_| pod.holds_place()) {
            let entry = self.nodes.entry(Name::clone(node)).or_default();
            entry.pods.insert(id);
            entry.requested.add(&pod.template.requests);
            entry.scored_cpu_milli += pod.template.scored_cpu_milli;
            entry.scored_memory += pod.template.scored_memory;
            self.cohorts.join(id, &pod);
        }
        if let Some(place) = self.pods.get_mut(id.0 as usize) {
            *place = Some(pod);
        }
        (id, before)
    }

    /// Removes a pod.
    pub fn remove_pod(&mut self, namespace: &str, name: &str) -> Option<(PodId, Pod)> {
        let names = self.by_namespace.get_mut(namespace)?;
        let id = names.remove(name)?;
        if names.is_empty() {
            self.by_namespace.remove(namespace);
        }
        let pod = self.take_pod(id)?;
        self.free.push(id.0);
        Some((id, pod))
    }

    fn free_id(&mut self) -> PodId {
        if let Some(id) = self.free.pop() {
            return PodId(id);
        }
        self.pods.push(None);
        // 4 billion pods do not fit into memory.
        PodId(u32::try_from(self.pods.len() - 1).unwrap_or(u32::MAX))
    }

    fn take_pod(&mut self, id: PodId) -> Option<Pod> {
        let pod = self.pods.get_mut(id.0 as usize)?.take()?;
        if let Some(node) = pod.node.as_ref().filter(|_| pod.holds_place())
            && let Some(entry) = self.nodes.get_mut(node)
        {
            entry.pods.remove(&id);
            entry.requested.subtract(&pod.template.requests);
            entry.scored_cpu_milli -= pod.template.scored_cpu_milli;
            entry.scored_memory -= pod.template.scored_memory;
            self.cohorts.leave(id, &pod);
            if entry.node.is_none() && entry.pods.is_empty() {
                self.nodes.remove(node);
            }
        }
        Some(pod)
    }

    /// Adds or replaces a service.
    pub fn put_service(&mut self, service: Service) {
        self.services
            .entry(Name::clone(&service.namespace))
            .or_default()
            .insert(Name::clone(&service.name), service);
    }

    /// Removes a service.
    pub fn remove_service(&mut self, namespace: &str, name: &str) {
        if let Some(services) = self.services.get_mut(namespace) {
            services.remove(name);
        }
    }

    /// Adds or replaces what the scheduler asks of a pod's owner: its selector.
    pub fn put_owner(&mut self, workload: &Workload) {
        self.owners.insert(workload.key.clone(), workload.selector.clone());
    }

    /// Removes an owner.
    pub fn remove_owner(&mut self, key: &WorkloadKey) {
        self.owners.remove(key);
    }

    /// Adds or replaces a namespace's labels.
    pub fn put_namespace(&mut self, name: Name, labels: Labels) {
        self.namespaces.insert(name, labels);
    }

    /// Removes a namespace.
    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    /// Adds or replaces a claim.
    pub fn put_claim(&mut self, claim: Claim) {
        self.claims
            .entry(Name::clone(&claim.namespace))
            .or_default()
            .insert(Name::clone(&claim.name), claim);
    }

    /// Removes a claim.
    pub fn remove_claim(&mut self, namespace: &str, name: &str) {
        if let Some(claims) = self.claims.get_mut(namespace) {
            claims.remove(name);
        }
    }

    /// Adds or replaces a volume.
    pub fn put_volume(&mut self, volume: PersistentVolume) {
        self.volumes.insert(Name::clone(&volume.name), volume);
    }

    /// Removes a volume.
    pub fn remove_volume(&mut self, name: &str) {
        self.volumes.remove(name);
    }

    /// Adds or replaces a storage class.
    pub fn put_storage_class(&mut self, class: StorageClass) {
        self.classes.insert(Name::clone(&class.name), class);
    }

    /// Removes a storage class.
    pub fn remove_storage_class(&mut self, name: &str) {
        self.classes.remove(name);
    }
}
