//! The outages that a process saw itself: what was written down may lack some of them.

use jiff::Timestamp;

use super::health::{CLOCKS_APART, ZoneMemory};
use crate::api::ZoneHealth;

/// How many outages a process remembers that it saw: far more than it takes to reach
/// the longest hold-down.
const OUTAGES_SEEN: usize = 64;

/// What a process saw of a zone; two of them may see different parts of its story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedOutages {
    /// Since when it looks.
    pub from: Timestamp,
    /// Whether the zone was out already.
    pub began_out: bool,
    /// When outages began, the last of them at most.
    pub outages: Vec<Timestamp>,
}

impl ObservedOutages {
    /// Nothing, from then on.
    #[must_use]
    pub const fn from(from: Timestamp) -> Self {
        Self { from, began_out: false, outages: Vec::new() }
    }

    pub(super) fn outage(&mut self, now: Timestamp) {
        if self.outages.len() >= OUTAGES_SEEN {
            self.outages.remove(0);
        }
        self.outages.push(now);
    }

    /// The outages that the writer of `written` did not know of.
    pub(super) fn unknown_to(&self, written: &ZoneMemory) -> &[Timestamp] {
        let Some(last) = written.last_outage else { return &self.outages };
        let earliest = last.checked_sub(CLOCKS_APART).unwrap_or(last);
        let at = self.outages.partition_point(|began| *began < earliest);
        let later = &self.outages[at..];
        // The first of them may be the last that was written down, seen late or only in part.
        let is_known = later.first().is_some_and(|began| {
            let is_over = written.health == ZoneHealth::Usable
                && written.recovered_at.is_none_or(|at| at <= *began);
            let could_be = self.from <= last || (self.began_out && *began == self.from);
            began.duration_since(last) <= CLOCKS_APART || (could_be && !is_over)
        });
        &later[usize::from(is_known)..]
    }
}
