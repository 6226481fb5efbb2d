//! The machine's clocks: the rooms below are told the time.

use std::time::Instant;

use jiff::Timestamp;

use crate::observe::ClockReading;

/// Now, on both clocks.
#[must_use]
pub fn now() -> ClockReading {
    ClockReading { monotonic: Instant::now(), wall: Timestamp::now() }
}
