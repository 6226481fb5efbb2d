//! Pods that leave and come while a simulation goes on.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::observe::{Labels, Name, Pod, PodId, Template};

use super::in_flight::PendingPod;
use super::prefilter::PodRef;
use super::simulation::{Assumption, Simulation};

impl<'s> Simulation<'s> {
    /// A pod is evicted: see [`super::InFlightPods::evict`].
    pub fn evict(&mut self, id: PodId) {
        if self.cycle.in_flight.is_evicted(id) {
            return;
        }
        let unseen = self.cycle.unseen();
        self.cycle.in_flight.evict(id);
        self.others().for_each(|(_, other)| other.evict(id));
        if let Some(before) = unseen {
            self.see_departure(before);
        }
        if self.cycle.unseen() != Some(id) {
            self.see_departure(id);
        }
    }

    /// It is known of all pods that left.
    pub fn see_all(&mut self) {
        self.others().for_each(|(_, other)| other.see_all());
        let unseen = self.cycle.unseen();
        self.cycle.in_flight.see_last();
        if let Some(id) = unseen {
            self.see_departure(id);
        }
    }

    /// From now on it is known that the pod is evicted or released.
    fn see_departure(&mut self, id: PodId) {
        let Some((pod, row)) = self.pod_and_row(id) else { return };
        if self.cycle.in_flight.is_evicted(id) {
            self.state.evict(&self.cycle, pod, row);
        } else if let Some(labels) = self.cycle.in_flight.released_as(id) {
            self.state.release(&self.cycle, pod, labels, row);
        }
        self.reclassify(row);
    }

    fn pod_and_row(&self, id: PodId) -> Option<(&'s Pod, usize)> {
        let scheduler = self.cycle.scheduler;
        let pod = scheduler.cluster.pod(id)?;
        Some((pod, self.cycle.row_of(pod)?))
    }

    /// A pod is not evicted after all: undoes [`Self::evict`].
    pub fn undo_evict(&mut self, id: PodId) {
        if !self.cycle.in_flight.is_evicted(id) || self.cycle.in_flight.is_removed(id) {
            return;
        }
        let is_seen = self.cycle.unseen() != Some(id);
        self.cycle.in_flight.undo_evict(id);
        self.others().for_each(|(_, other)| other.undo_evict(id));
        let Some((pod, row)) = self.pod_and_row(id).filter(|_| is_seen) else { return };
        self.state.undo_evict(&self.cycle, pod, row);
        self.reclassify(row);
    }

    /// A pod is gone, as it is some time after it was evicted: see [`super::InFlightPods::remove`].
    pub fn remove(&mut self, id: PodId) {
        if self.cycle.in_flight.is_removed(id) {
            return;
        }
        self.others().for_each(|(_, other)| other.remove(id));
        self.undo_release(id);
        self.evict(id);
        self.see_all();
        self.cycle.in_flight.remove(id);
        let Some((pod, row)) = self.pod_and_row(id) else { return };
        self.state.remove(&self.cycle, pod, row);
        self.reclassify(row);
    }

    /// A pod is released with these labels: see [`super::InFlightPods::release`].
    pub fn release(&mut self, id: PodId, labels: &Arc<Labels>) {
        if self.cycle.in_flight.is_leaving(id) {
            return;
        }
        let unseen = self.cycle.unseen();
        self.cycle.in_flight.release(id, Arc::clone(labels));
        self.others().for_each(|(_, other)| other.release(id, labels));
        if let Some(before) = unseen {
            self.see_departure(before);
        }
        if self.cycle.unseen() != Some(id) {
            self.see_departure(id);
        }
    }

    /// A pod is not released after all: undoes [`Self::release`].
    pub fn undo_release(&mut self, id: PodId) {
        let Some(labels) = self.cycle.in_flight.released_as(id).cloned() else { return };
        let is_seen = self.cycle.unseen() != Some(id);
        self.cycle.in_flight.undo_release(id);
        self.others().for_each(|(_, other)| other.undo_release(id));
        let Some((pod, row)) = self.pod_and_row(id).filter(|_| is_seen) else { return };
        self.state.undo_release(&self.cycle, pod, &labels, row);
        self.reclassify(row);
    }

    /// A pod is assumed to be on a node: see [`super::InFlightPods::assume`].
    pub fn assume(&mut self, pod: PendingPod, node: Name) {
        for (assumption, other) in self.others() {
            other.assume(assumption.made(&pod), Name::clone(&node));
        }
        let row = self.cycle.scheduler.row_of(&node);
        self.cycle.in_flight.assume(pod.clone(), node);
        let Some(row) = row else { return };
        self.state.add_pod(&self.cycle, PodRef::from(&pod), row);
        self.push_out(row, &pod.template);
        self.reclassify(row);
    }

    /// The other simulations that follow the same moves.
    pub(super) fn others(&mut self) -> impl Iterator<Item = (Assumption, &mut Self)> {
        let cleared = self.cleared.get_mut().and_then(|cleared| cleared.as_deref_mut());
        let same = self.otherwise.iter_mut().chain(cleared);
        let variants = self.variants.iter_mut();
        let variants = variants.map(|(assumption, variant)| (*assumption, variant));
        same.map(|same| (Assumption::default(), same)).chain(variants)
    }

    /// Those that are in the way of an assumed pod make room.
    pub(super) fn push_out(&mut self, row: usize, assumed: &Template) {
        for id in self.pushed_out(row, assumed) {
            self.cycle.in_flight.remove(id);
            if let Some(pod) = self.cycle.scheduler.cluster.pod(id) {
                self.state.preempt(&self.cycle, pod, row);
            }
        }
    }

    /// Puts a node that changed into the class of those that are like it now.
    fn reclassify(&mut self, row: usize) {
        let Some(mut node_classes) = self.node_classes.take() else { return };
        if node_classes.is_of(self) {
            node_classes.update(self, row);
            self.node_classes = OnceCell::from(node_classes);
        }
    }
}
