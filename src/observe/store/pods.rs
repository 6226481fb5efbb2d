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
#[derive(Clone, Debug, Default)]
pub(in crate::observe) struct PodStore {
    slots: Slots,
    free: Vec<PodId>,
    by_namespace: FxHashMap<Name, HashTable<PodId>>,
}

/// A pod and where else the index knows it.
#[derive(Clone, Debug, Default)]
struct Slot {
    pod: Option<Pod>,
    /// The node on which it takes room.
    node: Option<NodeSlot>,
    /// Its position among the pods of its class.
    rank: u32,
}

/// How many slots are made at once.
const CHUNK: usize = 4096;

/// Slots by pod id, in chunks: a single vector of 90,000 grows by making one twice as long
/// and copying, and stays half empty.
#[derive(Clone, Debug, Default)]
struct Slots(Vec<Vec<Slot>>);

impl Slots {
    fn get(&self, id: PodId) -> Option<&Slot> {
        self.0.get(id.index() / CHUNK)?.get(id.index() % CHUNK)
    }

    fn get_mut(&mut self, id: PodId) -> Option<&mut Slot> {
        self.0.get_mut(id.index() / CHUNK)?.get_mut(id.index() % CHUNK)
    }

    /// Adds a slot.
    fn push(&mut self, slot: Slot) -> PodId {
        match self.0.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(slot),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(slot);
                self.0.push(chunk);
            }
        }
        let last = self.0.last().map_or(0, Vec::len);
        PodId::at((self.0.len() - 1) * CHUNK + last - 1)
    }

    fn iter(&self) -> impl Iterator<Item = (PodId, &Slot)> {
        self.0.iter().flatten().enumerate().map(|(at, slot)| (PodId::at(at), slot))
    }
}

fn hash(name: &str) -> u64 {
    FxBuildHasher.hash_one(name)
}

impl PodStore {
    pub(in crate::observe) fn get(&self, id: PodId) -> Option<&Pod> {
        self.slots.get(id)?.pod.as_ref()
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
        self.slots.iter().filter_map(|(id, slot)| Some((id, slot.pod.as_ref()?)))
    }

    /// The node on which the pod takes room.
    pub(in crate::observe) fn node(&self, id: PodId) -> Option<NodeSlot> {
        self.slots.get(id)?.node
    }

    pub(in crate::observe) fn set_node(&mut self, id: PodId, node: Option<NodeSlot>) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.node = node;
        }
    }

    pub(in crate::observe) fn rank(&self, id: PodId) -> usize {
        self.slots.get(id).map_or(0, |slot| slot.rank as usize)
    }

    pub(in crate::observe) fn set_rank(&mut self, id: PodId, rank: usize) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.rank = u32::try_from(rank).unwrap_or(u32::MAX);
        }
    }

    /// A slot for a pod that is new.
    pub(in crate::observe) fn add(&mut self, pod: Pod) -> PodId {
        let id = self.free.pop().unwrap_or_else(|| self.slots.push(Slot::default()));
        let slots = &mut self.slots;
        let name = hash(&pod.name);
        let ids = self.by_namespace.entry(Name::clone(&pod.namespace)).or_default();
        if let Some(slot) = slots.get_mut(id) {
            slot.pod = Some(pod);
        }
        let hash_of = |id: &PodId| {
            slots.get(*id).and_then(|slot| slot.pod.as_ref()).map(|pod| hash(&pod.name))
        };
        ids.insert_unique(name, id, |id| hash_of(id).unwrap_or_default());
        id
    }

    /// Puts a pod of the same name in the slot of one that is there.
    pub(in crate::observe) fn replace(&mut self, id: PodId, pod: Pod) -> Option<Pod> {
        self.slots.get_mut(id)?.pod.replace(pod)
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
        std::mem::take(self.slots.get_mut(id)?).pod
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixtures::pod;
    use crate::observe::{Interner, Pod};

    #[test]
    fn pods_are_found_in_whichever_chunk_they_are() {
        let mut interner = Interner::default();
        let mut pods = PodStore::default();
        let name = |number: usize| format!("web-{number}");
        let of = |number, interner: &mut Interner| Pod::new(pod(&name(number)).watched(), interner);
        let ids: Vec<PodId> =
            (0..=2 * CHUNK).map(|number| pods.add(of(number, &mut interner))).collect();
        for (number, id) in ids.iter().enumerate() {
            assert_eq!(id.index(), number);
            assert_eq!(pods.find("default", &name(number)), Some(*id));
        }
        assert_eq!(pods.all().map(|(id, _)| id).collect::<Vec<_>>(), ids);
        let gone = ids[CHUNK];
        assert_eq!(&*pods.remove(gone).unwrap().name, name(CHUNK));
        assert_eq!((pods.find("default", &name(CHUNK)), pods.get(gone)), (None, None));
        // The slot is used again before a new one is made.
        assert_eq!(pods.add(of(CHUNK, &mut interner)), gone);
        assert_eq!(pods.all().count(), ids.len());
        assert!(pods.get(PodId::at(3 * CHUNK)).is_none());
    }
}
