//! Where replacements of a tier's pods would land, updated move by move.
//!
//! Preparing a forecast visits every node; pods that are equal to the scheduler
//! share one.

use std::sync::Arc;

use super::surge::Departure;
use crate::observe::{Name, Pod, PodId, Template};
use crate::predict::{Best, InFlightPods, PendingPod, Prediction, Scheduler, Simulation};

/// Forecasts for the pods of a tier, after the same moves.
#[derive(Debug)]
pub struct Forecasts<'s> {
    scheduler: &'s Scheduler<'s>,
    in_flight: InFlightPods,
    known: Vec<Known<'s>>,
}

#[derive(Debug)]
struct Known<'s> {
    pending: PendingPod,
    /// None: the landing of such pods cannot be predicted.
    forecast: Option<Simulation<'s>>,
}

impl<'s> Forecasts<'s> {
    /// Forecasts after the moves in flight.
    pub fn new(scheduler: &'s Scheduler<'s>, in_flight: InFlightPods) -> Self {
        Self { scheduler, in_flight, known: Vec::new() }
    }

    /// Where the replacement of a pod lands if it is the next to leave, in this way;
    /// none if it would stay Pending or cannot be predicted.
    pub fn landing_of(&mut self, id: PodId, pod: &Pod, how: &Departure) -> Option<Best> {
        let at = self.prepared(self.scheduler.replacing(pod));
        let forecast = self.known[at].forecast.as_mut()?;
        let undo = depart(forecast, id, how);
        let best = forecast.best();
        undo(forecast, id);
        best
    }

    /// The same with scores and rejections.
    pub fn explain(&mut self, id: PodId, pod: &Pod, how: &Departure) -> Prediction {
        let pending = self.scheduler.replacing(pod);
        let at = self.prepared(pending);
        let known = &mut self.known[at];
        let Some(forecast) = &mut known.forecast else {
            let cause = self.scheduler.simulate(&self.in_flight, &known.pending).err();
            return Prediction::Unpredictable(cause.unwrap_or_default());
        };
        let undo = depart(forecast, id, how);
        let prediction = forecast.explain();
        undo(forecast, id);
        prediction
    }

    /// A pod is moved to a node.
    pub fn book(&mut self, id: PodId, pod: &Pod, how: &Departure, node: Option<&Name>) {
        let pending = self.scheduler.replacing(pod);
        match how {
            Departure::Evicted => self.in_flight.evict(id),
            Departure::Released(labels) => self.in_flight.release(id, Arc::clone(labels)),
        }
        if let Some(node) = node {
            self.in_flight.assume(pending.clone(), Name::clone(node));
        }
        for forecast in self.known.iter_mut().filter_map(|known| known.forecast.as_mut()) {
            depart(forecast, id, how);
            if let Some(node) = node {
                forecast.assume(pending.clone(), Name::clone(node));
            }
        }
    }

    fn prepared(&mut self, pending: PendingPod) -> usize {
        if let Some(at) = self.known.iter().position(|known| is_alike(&known.pending, &pending)) {
            return at;
        }
        let forecast = self.scheduler.simulate(&self.in_flight, &pending).ok();
        self.known.push(Known { pending, forecast });
        self.known.len() - 1
    }
}

/// Lets a pod leave; gives what undoes that.
fn depart<'s>(
    forecast: &mut Simulation<'s>,
    id: PodId,
    how: &Departure,
) -> fn(&mut Simulation<'s>, PodId) {
    match how {
        Departure::Evicted => {
            forecast.evict(id);
            Simulation::undo_evict
        }
        Departure::Released(labels) => {
            forecast.release(id, labels);
            Simulation::undo_release
        }
    }
}

/// Whether the two are equal to the scheduler.
pub fn is_alike(one: &PendingPod, other: &PendingPod) -> bool {
    is_same(Some(&one.template), Some(&other.template))
        && is_same(one.as_now.as_ref(), other.as_now.as_ref())
        && one.labels == other.labels
        && one.name == other.name
        && one.owner == other.owner
        && one.namespace == other.namespace
}

/// Templates of pods are shared; those that are made for replacements are not.
fn is_same(one: Option<&Arc<Template>>, other: Option<&Arc<Template>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
        (one, other) => one.is_none() && other.is_none(),
    }
}
