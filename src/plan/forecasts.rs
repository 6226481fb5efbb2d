//! Where replacements of a tier's pods would land, updated move by move.
//!
//! Preparing a forecast visits every node; pods that are equal to the scheduler
//! share one.

use std::sync::Arc;

use super::ledger::Ledger;
use super::surge::Departure;
use crate::observe::{Name, Pod, PodId, Template, Zone};
use crate::predict::{Best, PendingPod, Prediction, Scheduler, Simulation};

/// Forecasts for the pods of a tier, after the same moves.
#[derive(Debug)]
pub struct Forecasts<'s> {
    scheduler: &'s Scheduler<'s>,
    ledger: Ledger,
    known: Vec<Known<'s>>,
}

#[derive(Debug)]
struct Known<'s> {
    pending: PendingPod,
    /// None: the landing of such pods cannot be predicted.
    forecast: Option<Simulation<'s>>,
}

impl<'s> Forecasts<'s> {
    /// Forecasts after the moves of the ledger.
    pub fn new(scheduler: &'s Scheduler<'s>, ledger: Ledger) -> Self {
        let mut forecasts = Self { scheduler, ledger, known: Vec::new() };
        forecasts.let_go();
        forecasts
    }

    /// The moves before the next one.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Where the replacement of a pod lands if it is the next to leave, in this way, and
    /// steered like that; none if it would stay Pending or cannot be predicted, or if it is
    /// steered and not worth it: it would land in the zone only as long as others are so full.
    pub fn landing_of(
        &mut self,
        id: PodId,
        pod: &Pod,
        how: &Departure,
        steered: Option<&Zone>,
    ) -> Option<Best> {
        let at = self.prepared(self.scheduler.replacing(pod).steered(steered));
        let forecast = self.known[at].forecast.as_mut()?;
        let undo = depart(forecast, id, how);
        let is_reached = steered.is_none_or(|zone| forecast.reaches(zone));
        let best = if is_reached { forecast.best() } else { None };
        undo(forecast, id);
        let best = best?;
        let gone = self.once_gone(id, pod, how, &best, at).and_then(|known| known.best());
        Some(match gone {
            Some(gone) if gone.zones != best.zones => best.or(gone),
            Some(gone) => Best {
                margin: best.margin.min(gone.margin),
                spare: best.spare.min(gone.spare),
                ..best
            },
            None => best,
        })
    }

    /// The same with the pod gone, if that can make a difference: it may be by the time its
    /// replacement is scheduled, and its room be free.
    fn once_gone(
        &self,
        id: PodId,
        pod: &Pod,
        how: &Departure,
        best: &Best,
        at: usize,
    ) -> Option<Simulation<'s>> {
        let freed = self.scheduler.most_change(pod.node.as_ref()?, &pod.template)?.points();
        if !matches!(how, Departure::Evicted) || best.margin > freed {
            return None;
        }
        let mut in_flight = self.ledger.in_flight().clone();
        in_flight.remove(id);
        self.scheduler.simulate(&in_flight, &self.known[at].pending).ok()
    }

    /// The same with scores and rejections.
    pub fn explain(
        &mut self,
        id: PodId,
        pod: &Pod,
        how: &Departure,
        steered: Option<&Zone>,
    ) -> Prediction {
        let pending = self.scheduler.replacing(pod).steered(steered);
        let at = self.prepared(pending);
        let known = &mut self.known[at];
        let Some(forecast) = &mut known.forecast else {
            let cause = self.scheduler.simulate(self.ledger.in_flight(), &known.pending).err();
            return Prediction::Unpredictable(cause.unwrap_or_default());
        };
        let undo = depart(forecast, id, how);
        let (prediction, best) = (forecast.explain(), forecast.best());
        undo(forecast, id);
        // What it is once the pod is gone decides where that is another zone.
        let gone = best.and_then(|best| Some((self.once_gone(id, pod, how, &best, at)?, best)));
        match gone {
            Some((gone, best)) if gone.best().is_some_and(|gone| gone.zones != best.zones) => {
                gone.explain()
            }
            _ => prediction,
        }
    }

    /// A pod is moved to a node.
    pub fn book(
        &mut self,
        id: PodId,
        pod: &Pod,
        how: &Departure,
        (node, steered): (Option<&Name>, Option<&Zone>),
    ) {
        let pending = self.scheduler.replacing(pod).steered(steered);
        let assumed = || node.map(|node| (pending.clone(), Name::clone(node)));
        self.ledger.book(id, how, assumed());
        for forecast in self.prepared_ones() {
            depart(forecast, id, how);
            if let Some((pod, node)) = assumed() {
                forecast.assume(pod, node);
            }
        }
        self.let_go();
    }

    /// The pods of moves that are over when the next one begins are gone.
    fn let_go(&mut self) {
        while let Some(gone) = self.ledger.next_gone() {
            self.prepared_ones().for_each(|forecast| forecast.remove(gone));
        }
    }

    /// The next move waits until one more is over; none if none is under way.
    pub fn wait(&mut self) -> Option<()> {
        let gone = self.ledger.finish_first()?;
        self.prepared_ones().for_each(|forecast| forecast.remove(gone));
        Some(())
    }

    /// The move of this pod is over before the next begins.
    pub fn finish(&mut self, id: PodId) {
        self.ledger.finish(id);
        self.prepared_ones().for_each(|forecast| forecast.remove(id));
    }

    fn prepared_ones(&mut self) -> impl Iterator<Item = &mut Simulation<'s>> {
        self.known.iter_mut().filter_map(|known| known.forecast.as_mut())
    }

    fn prepared(&mut self, pending: PendingPod) -> usize {
        if let Some(at) = self.known.iter().position(|known| is_alike(&known.pending, &pending)) {
            return at;
        }
        let forecast = self.scheduler.simulate(self.ledger.in_flight(), &pending).ok();
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
