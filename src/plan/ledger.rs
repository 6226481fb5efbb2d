//! What is under way when a move of a plan begins, and what is gone by then.
//!
//! A tier has only so many moves under way at once, so a plan of many is not under way as a
//! whole: when a move begins, the pods of all but the last few before it are gone, and their
//! room is free.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::observe::{Name, PodId};
use crate::predict::{InFlightPods, PendingPod};

use super::surge::Departure;

/// Moves before the next one of a plan.
#[derive(Clone, Debug)]
pub struct Ledger {
    in_flight: InFlightPods,
    /// Pods of the tier that leave and are still there, those that began first in front.
    leaving: VecDeque<PodId>,
    /// The pods of moves that the plan has nothing to say about: they were begun before.
    begun: usize,
    at_once: usize,
    /// Whether a move that was begun before has to be over for the next.
    is_awaited: bool,
}

impl Ledger {
    /// Before the first move of a plan, with these pods of the tier still leaving, the first
    /// first; at most `at_once` moves of the tier are under way at once.
    pub fn new(in_flight: InFlightPods, leaving: &[PodId], at_once: usize) -> Self {
        Self {
            in_flight,
            leaving: leaving.iter().copied().collect(),
            begun: leaving.len(),
            at_once: at_once.max(1),
            is_awaited: false,
        }
    }

    /// The moves as the scheduler sees them when the next one begins.
    pub const fn in_flight(&self) -> &InFlightPods {
        &self.in_flight
    }

    /// Whether the next move can begin only when a move is over that was begun before the plan
    /// was made.
    pub const fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// A move begins.
    pub fn book(&mut self, id: PodId, how: &Departure, assumed: Option<(PendingPod, Name)>) {
        match how {
            Departure::Evicted => self.in_flight.evict(id),
            Departure::Released(labels) => self.in_flight.release(id, Arc::clone(labels)),
        }
        if let Some((pod, node)) = assumed {
            self.in_flight.assume(pod, node);
        }
        self.leaving.push_back(id);
        // What was awaited is over: this one has begun.
        self.is_awaited = false;
    }

    /// The pod that is gone when the next move begins, if there is one more.
    pub fn next_gone(&mut self) -> Option<PodId> {
        if self.leaving.len() < self.at_once { None } else { self.finish_first() }
    }

    /// The move of this pod is over before the next begins.
    pub fn finish(&mut self, id: PodId) {
        if let Some(at) = self.leaving.iter().position(|known| *known == id) {
            self.leaving.remove(at);
            self.in_flight.remove(id);
        }
    }

    /// The move that began first is over before the next begins.
    pub fn finish_first(&mut self) -> Option<PodId> {
        let first = self.leaving.pop_front()?;
        self.in_flight.remove(first);
        if self.begun > 0 {
            self.begun -= 1;
            self.is_awaited = true;
        }
        Some(first)
    }
}
