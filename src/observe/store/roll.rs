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
pub(in crate::observe) struct Roll {
    places: Vec<Place>,
    free: Vec<PodId>,
    by_namespace: FxHashMap<Name, HashTable<PodId>>,
}

/// A pod and where else the index knows it.
#[derive(Debug, Default)]
struct Place {
    pod: Option<Pod>,
    /// The node on which it holds a place.
    seat: Option<NodeSlot>,
    /// Its position among the pods of its cohort.
    rank: u32,
}

fn hash(name: &str) -> u64 {
    FxBuildHasher.hash_one(name)
}

impl Roll {
    pub(in crate::observe) fn get(&self, id: PodId) -> Option<&Pod> {
        self.places.get(id.index())?.pod.as_ref()
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
        let places = self.places.iter().enumerate();
        places.filter_map(|(at, place)| Some((PodId::at(at), place.pod.as_ref()?)))
    }

    /// The node on which the pod holds a place.
    pub(in crate::observe) fn seat(&self, id: PodId) -> Option<NodeSlot> {
        self.places.get(id.index())?.seat
    }

    pub(in crate::observe) fn set_seat(&mut self, id: PodId, seat: Option<NodeSlot>) {
        if let Some(place) = self.places.get_mut(id.index()) {
            place.seat = seat;
        }
    }

    pub(in crate::observe) fn rank(&self, id: PodId) -> usize {
        self.places.get(id.index()).map_or(0, |place| place.rank as usize)
    }

    pub(in crate::observe) fn set_rank(&mut self, id: PodId, rank: usize) {
        if let Some(place) = self.places.get_mut(id.index()) {
            place.rank = u32::try_from(rank).unwrap_or(u32::MAX);
        }
    }

    /// A place for a pod that is new.
    pub(in crate::observe) fn add(&mut self, pod: Pod) -> PodId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            PodId::at(self.places.len() - 1)
        });
        let places = &mut self.places;
        let name = hash(&pod.name);
        let ids = self.by_namespace.entry(Name::clone(&pod.namespace)).or_default();
        places[id.index()].pod = Some(pod);
        ids.insert_unique(name, id, |id| {
            places
                .get(id.index())
                .and_then(|place| place.pod.as_ref())
                .map_or(0, |pod| hash(&pod.name))
        });
        id
    }

    /// Puts a pod of the same name in the place of one that is there.
    pub(in crate::observe) fn replace(&mut self, id: PodId, pod: Pod) -> Option<Pod> {
        self.places.get_mut(id.index())?.pod.replace(pod)
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
        std::mem::take(self.places.get_mut(id.index())?).pod
    }
}
