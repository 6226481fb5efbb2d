//! Every pod, by id and by name.
//!
//! 150,000 of them are the largest part of the index, so names are kept once,
//! in the pod itself, and found by their hash.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::cluster::{NodeSlot, PodId};
use crate::observe::object::pod::Pod;
use crate::observe::value::name::Name;

/// Every pod.
#[derive(Debug, Default)]
pub(in crate::observe) struct PodStore {
    slots: Vec<Slot>,
    free: Vec<PodId>,
    by_namespace: FxHashMap<Name, HashTable<PodId>>,
}

/// A pod and where else the index knows it.
#[derive(Debug, Default)]
struct Slot {
    pod: Option<Pod>,
    /// The node on which it holds a slot.
    node: Option<NodeSlot>,
    /// Its position among the pods of its class.
    rank: u32,
}

fn hash(name: &str) -> u64 {
    FxBuildHasher.hash_one(name)
}

impl PodStore {
    pub(in crate::observe) fn get(&self, id: PodId) -> Option<&Pod> {
        self.slots.get(id.index())?.pod.as_ref()
    }

    pub(in crate::observe) fn find(&self, namespace: &str, name: &str) -> Option<PodId> {
        let is_it = |id: &PodId| self.get(*id).is_some_and(|pod| *pod.name == *name);
        self.by_namespace.get(namespace)?.find(hash(name), is_it).copied()
    }

    pub(in crate::observe) fn of_namespace(
        &self,
        namespace: &str,
    ) -> impl Iterator<Item = (PodId, &Pod)> {
        let ids = self.by_namespace.get(namespace).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.get(*id)?)))
    }

    pub(in crate::observe) fn all(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(at, slot)| Some((PodId::at(at), slot.pod.as_ref()?)))
    }

    /// The node on which the pod holds a slot.
    pub(in crate::observe) fn node(&self, id: PodId) -> Option<NodeSlot> {
        self.slots.get(id.index())?.node
    }

    pub(in crate::observe) fn set_node(&mut self, id: PodId, node: Option<NodeSlot>) {
        if let Some(slot) = self.slots.get_mut(id.index()) {
            slot.node = node;
        }
    }

    pub(in crate::observe) fn rank(&self, id: PodId) -> usize {
        self.slots.get(id.index()).map_or(0, |slot| slot.rank as usize)
    }

    pub(in crate::observe) fn set_rank(&mut self, id: PodId, rank: usize) {
        if let Some(slot) = self.slots.get_mut(id.index()) {
            slot.rank = u32::try_from(rank).unwrap_or(u32::MAX);
        }
    }

    /// A slot for a pod that is new.
    pub(in crate::observe) fn add(&mut self, pod: Pod) -> PodId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            PodId::at(self.slots.len() - 1)
        });
        let slots = &mut self.slots;
        let name = hash(&pod.name);
        let ids = self.by_namespace.entry(Name::clone(&pod.namespace)).or_default();
        slots[id.index()].pod = Some(pod);
        ids.insert_unique(name, id, |id| {
            slots
                .get(id.index())
                .and_then(|slot| slot.pod.as_ref())
                .map_or(0, |pod| hash(&pod.name))
        });
        id
    }

    /// Puts a pod of the same name in the slot of one that is there.
    pub(in crate::observe) fn replace(&mut self, id: PodId, pod: Pod) -> Option<Pod> {
        self.slots.get_mut(id.index())?.pod.replace(pod)
    }

    pub(in crate::observe) fn remove(&mut self, id: PodId) -> Option<Pod> {
        let pod = self.get(id)?;
        let (namespace, name) = (Name::clone(&pod.namespace), hash(&pod.name));
        if let Some(ids) = self.by_namespace.get_mut(&namespace) {
            if let Ok(entry) = ids.find_entry(name, |known| *known == id) {
                entry.remove();
            }
            if ids.is_empty() {
                self.by_namespace.remove(&namespace);
            }
        }
        self.free.push(id);
        std::mem::take(self.slots.get_mut(id.index())?).pod
    }
}
