//! In which order things were first seen: finer than the seconds that objects carry.

use std::num::NonZeroU64;

/// The number of the event that showed something first. What a list shows has the same
/// number: it comes in no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventSeq(NonZeroU64);

impl Default for EventSeq {
    fn default() -> Self {
        Self(NonZeroU64::MIN)
    }
}

impl EventSeq {
    /// That of the next event.
    pub(in crate::observe) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
