//! The index: the cluster, and which pod belongs to which tier of which policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::api::ZoneObject;

use super::Service;
use super::change::{Change, Kind};
use super::object::autoscaler::Autoscaler;
use super::object::budget::Budget;
use super::object::csi::{CsiDriver, CsiNode};
use super::object::interner::Interner;
use super::object::node::Node;
use super::object::owner::Owner;
use super::object::pod::Pod;
use super::object::volume::{Claim, PersistentVolume, StorageClass};
use super::object::workload::{Workload, WorkloadKey, WorkloadKind};
use super::policy::entry::{PolicyEntry, PolicyKey};
use super::policy::label_index::LabelIndex;
use super::policy::pause::{Pauses, is_paused};
use super::policy::selector_index::SelectorIndex;
use super::store::cluster::Cluster;
use super::value::name::Name;
use super::value::zone::Zone;
use super::zones::departure::left_in_order;
use super::zones::object::{ZoneEntry, holds_of};

/// What changed since it was last asked for.
#[derive(Debug, Default)]
pub struct Changed {
    /// Policies whose answer may have changed.
    pub policies: FxHashSet<PolicyKey>,
    /// Whether nodes changed, which may change any answer.
    pub nodes: bool,
    /// Zones that nodes were taken from or given to, by another label.
    pub regrouped: BTreeSet<Zone>,
    /// Zones that nodes have left, and whether each of them was removed in order.
    pub left: BTreeMap<Zone, bool>,
    /// Whether what users ask for changed in any policy.
    pub specs: bool,
    /// Names of Zone objects that are gone.
    pub zones_gone: BTreeSet<Name>,
}

/// The cluster, and which pod belongs to which tier of which policy.
#[derive(Debug, Default)]
pub struct Index {
    pub(super) interner: Interner,
    cluster: Cluster,
    autoscalers: FxHashMap<Name, BTreeMap<Name, Autoscaler>>,
    pub(super) policies: BTreeMap<PolicyKey, PolicyEntry>,
    /// By namespace.
    pub(super) selector_indexes: FxHashMap<Name, SelectorIndex>,
    /// By namespace.
    pub(super) label_indexes: FxHashMap<Name, LabelIndex>,
    /// Zone objects, by their names.
    zones: BTreeMap<Name, ZoneEntry>,
    pauses: Arc<Pauses>,
    pub(super) changed: Changed,
    /// How often anything changed that decides where pods are, or would go.
    pub(super) changes: u64,
}

impl Index {
    /// Nodes, pods and what their constraints refer to.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Every policy, by name.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyEntry> {
        self.policies.values()
    }

    /// The policies of a namespace, by name.
    pub fn policies_in(&self, namespace: &Name) -> impl Iterator<Item = &PolicyEntry> {
        let first = PolicyKey { namespace: Name::clone(namespace), name: Name::from("") };
        let policies = self.policies.range(first..).map(|(_, policy)| policy);
        policies.take_while(move |policy| policy.key.namespace == *namespace)
    }

    /// A policy.
    #[must_use]
    pub fn policy(&self, key: &PolicyKey) -> Option<&PolicyEntry> {
        self.policies.get(key)
    }

    /// Every Zone object, by its name.
    pub fn zone_objects(&self) -> impl Iterator<Item = (&Name, &ZoneEntry)> {
        self.zones.iter()
    }

    /// The Zone object of this name.
    #[must_use]
    pub fn zone_object(&self, name: &str) -> Option<&ZoneEntry> {
        self.zones.get(name)
    }

    /// The policies and namespaces that are paused, and the zones that are held; another
    /// one after each change.
    #[must_use]
    pub const fn pauses(&self) -> &Arc<Pauses> {
        &self.pauses
    }

    /// The workload that owns a pod, see [`Cluster::owner_of`].
    #[must_use]
    pub fn workload_of(&self, pod: &Pod) -> Option<&Workload> {
        self.cluster.owner_of(pod)
    }

    /// A workload, by the reference of what it owns, see [`Cluster::owned_by`].
    #[must_use]
    pub fn workload(&self, namespace: &Name, owner: &Owner) -> Option<&Workload> {
        self.cluster.owned_by(namespace, owner)
    }

    /// The workloads whose pods a policy selects, by kind and name.
    pub fn workloads_of(&self, policy: &PolicyEntry) -> impl Iterator<Item = &Workload> {
        policy.workloads.iter().filter_map(|key| self.cluster.workload(key))
    }

    #[cfg(test)]
    pub(super) fn workload_named(&self, namespace: &Name, name: &Name) -> Option<&Workload> {
        let kind = WorkloadKind::ReplicaSet;
        let key = WorkloadKey { namespace: namespace.clone(), kind, name: name.clone() };
        self.cluster.workload(&key)
    }

    /// The budgets that protect a pod, by name.
    pub fn budgets_of<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = &'a Budget> {
        self.cluster.budgets_of(pod)
    }

    /// The budgets of a namespace, by name.
    pub fn budgets_in(&self, namespace: &str) -> impl Iterator<Item = &Budget> {
        self.cluster.budgets.get(namespace).into_iter().flat_map(BTreeMap::values)
    }

    /// The autoscalers of a namespace, by name.
    pub fn autoscalers_in(&self, namespace: &str) -> impl Iterator<Item = &Autoscaler> {
        self.autoscalers.get(namespace).into_iter().flat_map(BTreeMap::values)
    }

    /// Where the operator's own pods are; before the first of them is folded in.
    pub fn set_own_namespace(&mut self, namespace: Name) {
        self.cluster.set_own_namespace(namespace);
    }

    /// Takes what changed since the last call.
    pub fn take_changed(&mut self) -> Changed {
        std::mem::take(&mut self.changed)
    }

    /// A number that grows whenever anything changes that decides where pods are, or would
    /// go: all but statuses of policies, Zone objects and autoscalers.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// What comes now is seen later than all before; see [`super::EventSeq`].
    pub fn advance(&mut self) {
        self.cluster.advance();
    }

    /// Folds one event into the index.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Node(node) => {
                let node = Node::new(node, &mut self.interner);
                self.note_regrouping(&node);
                if self.cluster.put_node(node) {
                    self.changed.nodes = true;
                    self.changes += 1;
                }
            }
            Change::Pod(mut pod) => {
                let nominated = pod.status.nominated_node_name.take();
                let nominated = nominated.filter(|node| !node.is_empty());
                let nominated = nominated.map(|node| self.interner.name(&node));
                let pod = Pod::new(pod, &mut self.interner);
                self.put_pod(pod, nominated.as_ref());
            }
            Change::Deployment(deployment) => {
                let workload = Workload::deployment(deployment, &mut self.interner);
                self.put_workload(workload);
            }
            Change::ReplicaSet(set) => {
                let workload = Workload::replica_set(set, &mut self.interner);
                self.put_workload(workload);
            }
            Change::StatefulSet(set) => {
                let workload = Workload::stateful_set(set, &mut self.interner);
                self.put_workload(workload);
            }
            Change::Budget(budget) => {
                let budget = Budget::new(budget, &mut self.interner);
                self.put_budget(budget);
            }
            Change::Autoscaler(autoscaler) => {
                let autoscaler = Autoscaler::new(autoscaler, &mut self.interner);
                self.put_autoscaler(autoscaler);
            }
            Change::Service(_)
            | Change::Claim(_)
            | Change::Volume(_)
            | Change::StorageClass(_)
            | Change::CsiNode(_)
            | Change::CsiDriver(_) => self.put_reference(change),
            Change::Namespace(namespace) => self.put_namespace(namespace.metadata),
            Change::Policy(policy) => self.put_policy(policy),
            Change::Zone(zone) => self.put_zone(zone),
            Change::Gone(kind, namespace, name) => self.remove(kind, &namespace, &name),
        }
    }

    /// What pods and the scheduler refer to by name.
    fn put_reference(&mut self, change: Change) {
        self.changes += 1;
        match change {
            Change::Service(service) => self.cluster.put_service(Service::new(service)),
            Change::Claim(claim) => {
                let claim = Claim::new(claim, &mut self.interner);
                self.cluster.put_claim(claim);
            }
            Change::Volume(volume) => self.cluster.put_volume(PersistentVolume::new(volume)),
            Change::StorageClass(class) => self.cluster.put_storage_class(StorageClass::new(class)),
            Change::CsiNode(node) => {
                let node = CsiNode::new(node, &mut self.interner);
                self.cluster.put_csi_node(node);
            }
            Change::CsiDriver(driver) => self.cluster.put_csi_driver(CsiDriver::new(driver)),
            _ => {}
        }
    }

    fn remove(&mut self, kind: Kind, namespace: &Name, name: &Name) {
        self.changes += u64::from(!matches!(kind, Kind::Zone | Kind::Autoscaler));
        match kind {
            Kind::Node => {
                self.note_departure(name);
                self.changed.nodes |= self.cluster.remove_node(name);
            }
            Kind::Pod => {
                if let Some((id, pod)) = self.cluster.remove_pod(namespace, name) {
                    self.drop_pod(id, namespace, &pod.labels);
                }
            }
            Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet => {
                let kind = match kind {
                    Kind::Deployment => WorkloadKind::Deployment,
                    Kind::ReplicaSet => WorkloadKind::ReplicaSet,
                    _ => WorkloadKind::StatefulSet,
                };
                let key = WorkloadKey { namespace: namespace.clone(), kind, name: name.clone() };
                if let Some(workload) = self.cluster.remove_workload(&key) {
                    self.assign_workload(&workload, false);
                }
            }
            Kind::Budget => {
                let budgets = self.cluster.budgets.get_mut(namespace);
                if let Some(budget) = budgets.and_then(|budgets| budgets.remove(name)) {
                    self.mark_protected(&budget);
                }
            }
            Kind::Autoscaler => {
                let autoscalers = self.autoscalers.get_mut(namespace);
                if autoscalers.is_some_and(|autoscalers| autoscalers.remove(name).is_some()) {
                    self.mark_namespace(namespace);
                }
            }
            Kind::Service => self.cluster.remove_service(namespace, name),
            Kind::Claim => self.cluster.remove_claim(namespace, name),
            Kind::Volume => self.cluster.remove_volume(name),
            Kind::StorageClass => self.cluster.remove_storage_class(name),
            Kind::CsiNode => self.cluster.remove_csi_node(name),
            Kind::CsiDriver => self.cluster.remove_csi_driver(name),
            Kind::Namespace => {
                self.cluster.remove_namespace(name);
                self.pause_namespace(name, false);
            }
            Kind::Policy => {
                let key = PolicyKey { namespace: namespace.clone(), name: name.clone() };
                self.pause_policy(&key, false);
                self.remove_policy(&key);
            }
            Kind::Zone => {
                self.zones.remove(name);
                self.changed.zones_gone.insert(Name::clone(name));
                self.note_holds();
            }
        }
    }

    fn put_workload(&mut self, workload: Workload) {
        if self.cluster.workload(&workload.key) == Some(&workload) {
            return;
        }
        self.changes += 1;
        if let Some(before) = self.cluster.put_workload(workload.clone()) {
            self.assign_workload(&before, false);
        }
        self.assign_workload(&workload, true);
    }

    fn put_budget(&mut self, budget: Budget) {
        let budgets = self.cluster.budgets.entry(Name::clone(&budget.namespace)).or_default();
        let before = budgets.insert(Name::clone(&budget.name), budget.clone());
        if before.as_ref() == Some(&budget) {
            return;
        }
        self.changes += 1;
        if let Some(before) = before {
            self.mark_protected(&before);
        }
        self.mark_protected(&budget);
    }

    fn put_autoscaler(&mut self, autoscaler: Autoscaler) {
        let namespace = Name::clone(&autoscaler.namespace);
        let autoscalers = self.autoscalers.entry(Name::clone(&namespace)).or_default();
        let before = autoscalers.insert(Name::clone(&autoscaler.name), autoscaler.clone());
        if before.as_ref() != Some(&autoscaler) {
            self.mark_namespace(&namespace);
        }
    }

    fn put_zone(&mut self, object: ZoneObject) {
        let (name, entry) = ZoneEntry::new(object);
        self.zones.insert(name, entry);
        self.note_holds();
    }

    fn note_holds(&mut self) {
        let holds = holds_of(self.zones.values());
        if *self.pauses.holds() != holds {
            Arc::make_mut(&mut self.pauses).set_holds(holds);
        }
    }

    fn note_regrouping(&mut self, node: &Node) {
        let Some((known, _)) = self.cluster.node(&node.name) else { return };
        if known.zone.is_some() && known.zone != node.zone {
            self.changed.regrouped.extend(known.zone.iter().chain(&node.zone).cloned());
        }
    }

    fn note_departure(&mut self, name: &Name) {
        let Some((node, entry)) = self.cluster.node(name) else { return };
        let is_counted = !node.is_virtual() && !node.runs_control_plane();
        let Some(zone) = node.zone.clone().filter(|_| is_counted) else { return };
        let pods = entry.pods.iter().filter_map(|id| self.cluster.pod(*id));
        let in_order = left_in_order(node, pods);
        *self.changed.left.entry(zone).or_insert(true) &= in_order;
    }

    fn put_pod(&mut self, pod: Pod, nominated: Option<&Name>) {
        let labels = Arc::clone(&pod.labels);
        let namespace = Name::clone(&pod.namespace);
        let (id, before) = self.cluster.put_pod(pod);
        if let Some(node) = nominated {
            self.cluster.nominate(id, node);
        }
        match before {
            Some(before) if before.labels == labels => {
                if self.cluster.pod(id) != Some(&before) {
                    self.changes += 1;
                    self.mark_selecting(&namespace, &labels);
                }
                return;
            }
            Some(before) => self.drop_pod(id, &namespace, &before.labels),
            None => {}
        }
        self.changes += 1;
        self.add_pod(id, &namespace, &labels);
    }

    fn put_namespace(&mut self, metadata: ObjectMeta) {
        let paused = is_paused(&metadata);
        let name = self.interner.name(metadata.name.as_deref().unwrap_or_default());
        self.pause_namespace(&name, paused);
        self.cluster.put_namespace(name, metadata.labels.unwrap_or_default());
    }

    /// An annotation does not change a policy's generation, but its answer.
    pub(super) fn pause_policy(&mut self, key: &PolicyKey, paused: bool) {
        if self.pauses.is_marked(key) != paused {
            Arc::make_mut(&mut self.pauses).mark(key, paused);
            self.changed.policies.insert(key.clone());
        }
    }

    fn pause_namespace(&mut self, name: &Name, paused: bool) {
        if self.pauses.is_namespace_marked(name) != paused {
            Arc::make_mut(&mut self.pauses).mark_namespace(name, paused);
            self.mark_namespace(name);
        }
    }

    /// The objects of a kind that are known: namespace (empty for none) and name.
    #[must_use]
    pub fn known(&self, kind: Kind) -> Vec<(Name, Name)> {
        let none = Name::from("");
        let workloads = |kind: WorkloadKind| -> Vec<(Name, Name)> {
            self.cluster
                .workload_keys()
                .filter(|key| key.kind == kind)
                .map(|key| (Name::clone(&key.namespace), Name::clone(&key.name)))
                .collect()
        };
        match kind {
            Kind::Node => self
                .cluster
                .nodes()
                .map(|(node, _)| (Name::clone(&none), Name::clone(&node.name)))
                .collect(),
            Kind::Pod => self
                .cluster
                .pods()
                .map(|(_, pod)| (Name::clone(&pod.namespace), Name::clone(&pod.name)))
                .collect(),
            Kind::Deployment => workloads(WorkloadKind::Deployment),
            Kind::ReplicaSet => workloads(WorkloadKind::ReplicaSet),
            Kind::StatefulSet => workloads(WorkloadKind::StatefulSet),
            Kind::Budget => self
                .cluster
                .budgets
                .values()
                .flat_map(BTreeMap::values)
                .map(|budget| (Name::clone(&budget.namespace), Name::clone(&budget.name)))
                .collect(),
            Kind::Autoscaler => self
                .autoscalers
                .values()
                .flat_map(BTreeMap::values)
                .map(|known| (Name::clone(&known.namespace), Name::clone(&known.name)))
                .collect(),
            Kind::Zone => {
                self.zones.keys().map(|name| (Name::clone(&none), Name::clone(name))).collect()
            }
            Kind::Policy => self
                .policies
                .keys()
                .map(|key| (Name::clone(&key.namespace), Name::clone(&key.name)))
                .collect(),
            Kind::Service
            | Kind::Claim
            | Kind::Volume
            | Kind::StorageClass
            | Kind::CsiNode
            | Kind::CsiDriver
            | Kind::Namespace => self.cluster.known(kind),
        }
    }
}
