//! The machine's clocks: the rooms below are told the time.

use std::time::Instant;

use jiff::Timestamp;

use crate::observe::Moment;

/// Now, on both clocks.
#[must_use]
pub fn now() -> Moment {
    Moment { monotonic: Instant::now(), wall: Timestamp::now() }
}
