//! A point in time on both clocks of a machine.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The time on both clocks of a machine: the first never jumps, but stands still while the
/// machine is suspended.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    /// The monotonic clock.
    pub monotonic: Instant,
    /// The wall clock.
    pub wall: Timestamp,
}

impl ClockReading {
    /// How long ago `earlier` was, on the clock that says more: what may be too old then
    /// is.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let wall = Duration::try_from(self.wall.duration_since(earlier.wall)).unwrap_or_default();
        self.monotonic.saturating_duration_since(earlier.monotonic).max(wall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_that_says_more_counts() {
        let start = Instant::now();
        let at = |monotonic: u64, wall: i64| ClockReading {
            monotonic: start + Duration::from_secs(monotonic),
            wall: Timestamp::from_second(1_800_000_000 + wall).unwrap(),
        };
        assert_eq!(at(10, 10).since(at(0, 0)), Duration::from_secs(10));
        assert_eq!(
            at(10, -3_600).since(at(0, 0)),
            Duration::from_secs(10),
            "the wall clock was set"
        );
        assert_eq!(at(1, 60).since(at(0, 0)), Duration::from_mins(1), "the machine was suspended");
        assert_eq!(at(0, 0).since(at(1, 1)), Duration::ZERO);
    }
}
