//! The cluster as the scheduler sees it: nodes, the pods on them, and what
//! their constraints refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::api::PROBE;

use super::changed_slots::ChangedSlots;
use super::pod_class::{PodClass, PodClasses};
use super::pods::PodStore;
use crate::observe::object::budget::Budget;
use crate::observe::object::csi::{CsiDriver, CsiNode};
use crate::observe::object::node::Node;
use crate::observe::object::pod::{Pod, PodPhase};
use crate::observe::object::pod_requests::MoreByContainer;
use crate::observe::object::resources::Resources;
use crate::observe::object::service::Service;
use crate::observe::object::template::Template;
use crate::observe::object::volume::{Claim, PersistentVolume, StorageClass};
use crate::observe::object::workload::{Workload, WorkloadKey, WorkloadKind};
use crate::observe::value::event_seq::EventSeq;
use crate::observe::value::generation::Generation;
use crate::observe::value::name::{Labels, Name};
use crate::observe::value::zone::Zone;

/// A pod's place in the index; valid until the pod is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId(u32);

impl PodId {
    /// 4 billion pods do not fit into memory.
    pub(in crate::observe) fn at(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(in crate::observe) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A node's place in the index; valid until the node and its pods are removed.
/// Never 0, so that none takes no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeSlot(NonZeroU32);

impl NodeSlot {
    fn at(index: usize) -> Self {
        Self(u32::try_from(index + 1).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX))
    }

    /// Its number: below [`Cluster::slots`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Which pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodKey {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
}

/// A node and what is on it.
#[derive(Clone, Debug, Default)]
pub struct NodeEntry {
    /// The node; none while pods name a node that is not (or no longer) known.
    pub node: Option<Arc<Node>>,
    /// Pods that hold their place on it, terminating ones included, in no order.
    pub pods: Vec<PodId>,
    /// What these ask for.
    pub requested: Resources,
    /// What these ask for in scores: thousandths of a core.
    pub scored_cpu_milli: i64,
    /// What these ask for in scores: bytes.
    pub scored_memory: i64,
    /// What is to be added for pods that are resized in place where sizes are compared
    /// container by container; none with most nodes.
    pub more_by_container: Option<Box<MoreByContainer>>,
}

impl NodeEntry {
    /// A pod's part of it comes, or with -1 goes.
    fn count_more(&mut self, template: &Template, times: i64) {
        let Some(more) = template.more_by_container() else { return };
        self.more_by_container.get_or_insert_default().add(more, times);
        let is_nothing = self.more_by_container.as_deref() == Some(&MoreByContainer::default());
        if is_nothing {
            self.more_by_container = None;
        }
    }
}

/// Nodes, pods, and what their constraints refer to.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    nodes: BTreeMap<Name, NodeSlot>,
    entries: Vec<NodeEntry>,
    free: Vec<NodeSlot>,
    pods: PodStore,
    pod_classes: PodClasses,
    /// Pods that are part of a surge.
    surging: BTreeSet<PodId>,
    /// Pods that a drill kept out of a zone when they were made.
    kept_out: BTreeSet<PodId>,
    /// The operator's own pods that open zones.
    probes: BTreeSet<PodId>,
    /// The operator's own namespace; none where nobody said.
    own_namespace: Option<Name>,
    pub(in crate::observe) services: FxHashMap<Name, BTreeMap<Name, Service>>,
    pub(in crate::observe) workloads: FxHashMap<WorkloadKey, Workload>,
    pub(in crate::observe) budgets: FxHashMap<Name, BTreeMap<Name, Budget>>,
    pub(in crate::observe) namespaces: FxHashMap<Name, Labels>,
    pub(in crate::observe) claims: FxHashMap<Name, FxHashMap<Name, Claim>>,
    pub(in crate::observe) volumes: FxHashMap<Name, PersistentVolume>,
    pub(in crate::observe) classes: FxHashMap<Name, StorageClass>,
    pub(in crate::observe) csi_nodes: FxHashMap<Name, CsiNode>,
    pub(in crate::observe) csi_drivers: FxHashMap<Name, CsiDriver>,
    /// The nodes that pods without a node wait for.
    reserved: FxHashMap<PodId, Name>,
    nodes_generation: Generation,
    pods_generation: Generation,
    changed_slots: ChangedSlots,
    /// Pods of `ReplicaSets` and `StatefulSets` that are meant to run, and
    /// those of them without a node.
    wanted: usize,
    waiting: usize,
    /// That of the event that is being folded in.
    event_seq: EventSeq,
}

impl Cluster {
    /// Every node, by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&Node, &NodeEntry)> {
        self.nodes.values().filter_map(|slot| {
            let entry = self.entry(*slot)?;
            Some((entry.node.as_deref()?, entry))
        })
    }

    /// Every node, by name, and its place in the index.
    pub fn nodes_by_slot(&self) -> impl Iterator<Item = (NodeSlot, &Arc<Node>)> {
        self.nodes.values().filter_map(|slot| Some((*slot, self.entry(*slot)?.node.as_ref()?)))
    }

    /// What is on a node.
    #[must_use]
    pub fn entry(&self, slot: NodeSlot) -> Option<&NodeEntry> {
        self.entries.get(slot.index())
    }

    /// How many places for nodes there are.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.entries.len()
    }

    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes().count()
    }

    /// The node with this name, and what is on it.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<(&Node, &NodeEntry)> {
        let entry = self.entry(*self.nodes.get(name)?)?;
        Some((entry.node.as_deref()?, entry))
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

    /// The node on which a pod holds a place.
    #[must_use]
    pub fn slot_of(&self, id: PodId) -> Option<NodeSlot> {
        self.pods.node(id)
    }

    /// The zone of the node on which a pod holds a place.
    #[must_use]
    pub fn zone_of_slot(&self, id: PodId) -> Option<&Zone> {
        self.entry(self.slot_of(id)?)?.node.as_ref()?.zone.as_ref()
    }

    /// The pod with this id.
    #[must_use]
    pub fn pod(&self, id: PodId) -> Option<&Pod> {
        self.pods.get(id)
    }

    /// The id of the pod with this name.
    #[must_use]
    pub fn pod_id(&self, namespace: &str, name: &str) -> Option<PodId> {
        self.pods.find(namespace, name)
    }

    /// Every pod of a namespace, in no order.
    pub fn pods_in(&self, namespace: &str) -> impl Iterator<Item = (PodId, &Pod)> {
        self.pods.of_namespace(namespace)
    }

    /// How many pods of `ReplicaSets` and `StatefulSets` wait for a node, and
    /// how many there are. Jobs may queue as long as they like.
    #[must_use]
    pub const fn waiting_pods(&self) -> (usize, usize) {
        (self.waiting, self.wanted)
    }

    /// Pods that are part of a surge: released, or marked.
    pub fn surging_pods(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.surging.iter().filter_map(|id| Some((*id, self.pod(*id)?)))
    }

    /// Pods that a drill kept out of a zone when they were made.
    pub fn kept_out_pods(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.kept_out.iter().filter_map(|id| Some((*id, self.pod(*id)?)))
    }

    /// The operator's own pods that open zones.
    pub fn probes(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.probes.iter().filter_map(|id| Some((*id, self.pod(*id)?)))
    }

    pub(in crate::observe) fn set_own_namespace(&mut self, namespace: Name) {
        self.own_namespace = Some(namespace);
    }

    /// Every pod.
    pub fn pods(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.pods.all()
    }

    /// Pods of a namespace that hold a place, alike in all but their nodes, in no order.
    pub fn pod_classes_in(&self, namespace: &str) -> impl Iterator<Item = &PodClass> {
        self.pod_classes.of_namespace(namespace)
    }

    /// Pods that hold a place, alike in all but their nodes, in no order.
    pub fn pod_classes(&self) -> impl Iterator<Item = &PodClass> {
        self.pod_classes.all()
    }

    /// Those of [`Self::pod_classes`] that care which pods are near them.
    pub fn pod_classes_with_pod_affinity(&self) -> impl Iterator<Item = &PodClass> {
        self.pod_classes.with_pod_affinity()
    }

    /// Changes whenever a node does.
    #[must_use]
    pub const fn nodes_generation(&self) -> Generation {
        self.nodes_generation
    }

    /// Changes whenever a pod takes or leaves its place on a node.
    #[must_use]
    pub const fn pods_generation(&self) -> Generation {
        self.pods_generation
    }

    /// The nodes on which pods changed after that generation of pods, some of them more than
    /// once; none if that is so long ago that it is not known any more.
    #[must_use]
    pub fn slots_changed_since(
        &self,
        generation: Generation,
    ) -> Option<impl Iterator<Item = NodeSlot>> {
        self.changed_slots.since(generation)
    }

    /// Adds or replaces a node; says whether anything changed.
    pub fn put_node(&mut self, node: Node) -> bool {
        let slot = self.slot(&node.name);
        let Some(entry) = self.entries.get_mut(slot.index()) else {
            return false;
        };
        let changed = entry.node.as_deref() != Some(&node);
        if changed {
            entry.node = Some(Arc::new(node));
            self.nodes_generation = Generation::next();
        }
        changed
    }

    /// Removes a node; its pods stay until they are removed themselves.
    pub fn remove_node(&mut self, name: &str) -> bool {
        let Some(slot) = self.nodes.get(name).copied() else {
            return false;
        };
        let entry = self.entries.get_mut(slot.index());
        let known = entry.and_then(|entry| entry.node.take()).is_some();
        self.nodes_generation = Generation::next();
        self.forget_if_empty(name, slot);
        known
    }

    /// The place of the node with this name, be it known or not.
    fn slot(&mut self, name: &Name) -> NodeSlot {
        if let Some(slot) = self.nodes.get(name) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(NodeEntry::default());
            NodeSlot::at(self.entries.len() - 1)
        });
        self.nodes.insert(Name::clone(name), slot);
        slot
    }

    fn forget_if_empty(&mut self, name: &str, slot: NodeSlot) {
        if let Some(entry) = self.entries.get_mut(slot.index())
            && entry.node.is_none()
            && entry.pods.is_empty()
        {
            *entry = NodeEntry::default();
            self.nodes.remove(name);
            self.free.push(slot);
        }
    }

    /// Adds or replaces a pod; gives its id and what was there before.
    pub fn put_pod(&mut self, mut pod: Pod) -> (PodId, Option<Pod>) {
        let known = self.pods.find(&pod.namespace, &pod.name);
        self.sight(known, &mut pod);
        if let Some(id) = known {
            self.take_off_node(id);
        }
        self.wanted += usize::from(is_wanted(&pod));
        self.waiting += usize::from(is_waiting(&pod));
        let (is_surging, is_kept_out) = (pod.is_in_a_surge(), pod.kept_out);
        let is_own = self.own_namespace.as_ref() == Some(&pod.namespace);
        let is_probe = is_own && pod.labels.contains_key(PROBE);
        let (id, before) = match known {
            Some(id) => (id, self.pods.replace(id, pod)),
            None => (self.pods.add(pod), None),
        };
        if let Some(before) = &before {
            self.forget(before);
        }
        self.reserve(id, None);
        list(&mut self.surging, id, is_surging);
        list(&mut self.kept_out, id, is_kept_out);
        list(&mut self.probes, id, is_probe);
        self.place_on_node(id);
        (id, before)
    }

    /// Notes when a pod was first seen, and first seen terminating or released.
    fn sight(&self, known: Option<PodId>, pod: &mut Pod) {
        let before = known.and_then(|id| self.pod(id)).filter(|before| before.uid == pod.uid);
        pod.seen = before.map_or(self.event_seq, |before| before.seen);
        let seen_leaving = before.and_then(|before| before.seen_leaving);
        let leaves = pod.terminating || pod.is_released();
        pod.seen_leaving = leaves.then(|| seen_leaving.unwrap_or(self.event_seq));
    }

    /// What comes now is seen later than all before.
    pub(in crate::observe) fn advance(&mut self) {
        self.event_seq = self.event_seq.next();
    }

    /// A pod no longer counts as wanted, or waiting.
    fn forget(&mut self, pod: &Pod) {
        self.wanted -= usize::from(is_wanted(pod));
        self.waiting -= usize::from(is_waiting(pod));
    }

    /// Room is being made for a pod on a node (`status.nominatedNodeName`).
    pub(in crate::observe) fn nominate(&mut self, id: PodId, node: &Name) {
        self.reserve(id, Some(node));
    }

    /// Notes the node that a pod waits for: the one on which room is being made for it, or
    /// that of a `DaemonSet`'s pod.
    fn reserve(&mut self, id: PodId, nominated: Option<&Name>) {
        let node = self.pods.get(id).filter(|pod| pod.waits()).and_then(|pod| {
            let is_daemon = pod.owner.as_ref().is_some_and(|owner| &*owner.kind == "DaemonSet");
            let own = || pod.template.only_node().filter(|_| is_daemon).map(Name::from);
            nominated.cloned().or_else(own)
        });
        let before = match node.clone() {
            Some(node) => self.reserved.insert(id, node),
            None => self.reserved.remove(&id),
        };
        if before != node {
            self.pods_generation = Generation::next();
        }
    }

    /// Pods without a node that wait for a certain one, and that node, in no order.
    pub fn reserved(&self) -> impl Iterator<Item = (PodId, &Pod, &Name)> {
        self.reserved.iter().filter_map(|(id, node)| Some((*id, self.pods.get(*id)?, node)))
    }

    /// Removes a pod.
    pub fn remove_pod(&mut self, namespace: &str, name: &str) -> Option<(PodId, Pod)> {
        let id = self.pods.find(namespace, name)?;
        self.take_off_node(id);
        if self.reserved.remove(&id).is_some() {
            self.pods_generation = Generation::next();
        }
        let pod = self.pods.remove(id)?;
        list(&mut self.surging, id, false);
        list(&mut self.kept_out, id, false);
        list(&mut self.probes, id, false);
        self.forget(&pod);
        Some((id, pod))
    }

    fn pods_changed(&mut self, slot: NodeSlot) {
        self.pods_generation = Generation::next();
        self.changed_slots.note(self.pods_generation, slot);
    }

    /// A pod takes its place on its node, if it holds one.
    fn place_on_node(&mut self, id: PodId) {
        let Some(node) = self.pods.get(id).and_then(Pod::place).cloned() else { return };
        let slot = self.slot(&node);
        self.pods.set_node(id, Some(slot));
        self.pods_changed(slot);
        let Some(pod) = self.pods.get(id) else { return };
        if let Some(entry) = self.entries.get_mut(slot.index()) {
            entry.pods.push(id);
            let counted = pod.template.counted();
            entry.requested.add(counted.requests);
            entry.scored_cpu_milli += counted.scored_cpu_milli;
            entry.scored_memory += counted.scored_memory;
            entry.count_more(&pod.template, 1);
        }
        let rank = self.pod_classes.add(id, pod);
        self.pods.set_rank(id, rank);
    }

    /// A pod leaves its place.
    fn take_off_node(&mut self, id: PodId) {
        let Some(slot) = self.pods.node(id) else { return };
        self.pods.set_node(id, None);
        self.pods_changed(slot);
        let rank = self.pods.rank(id);
        let Some(pod) = self.pods.get(id) else { return };
        if let Some(entry) = self.entries.get_mut(slot.index()) {
            if let Some(at) = entry.pods.iter().position(|known| *known == id) {
                entry.pods.swap_remove(at);
            }
            let counted = pod.template.counted();
            entry.requested.subtract(counted.requests);
            entry.scored_cpu_milli -= counted.scored_cpu_milli;
            entry.scored_memory -= counted.scored_memory;
            entry.count_more(&pod.template, -1);
        }
        let node = pod.node.clone();
        if let Some(moved) = self.pod_classes.remove(rank, pod) {
            self.pods.set_rank(moved, rank);
        }
        if let Some(node) = node {
            self.forget_if_empty(&node, slot);
        }
    }
}

fn is_wanted(pod: &Pod) -> bool {
    let owner = pod.owner.as_ref().and_then(|owner| WorkloadKind::parse(&owner.kind));
    // Those of negative priority hold room for others, and wait while there is none.
    owner.is_some()
        && pod.template.priority >= 0
        && !pod.terminating
        && pod.phase != PodPhase::Finished
}

fn is_waiting(pod: &Pod) -> bool {
    is_wanted(pod) && pod.node.is_none()
}

/// Puts a pod on a list of pods, or takes it off.
fn list(pods: &mut BTreeSet<PodId>, id: PodId, is_on: bool) {
    if is_on {
        pods.insert(id);
    } else {
        pods.remove(&id);
    }
}
