//! Times in whole seconds, as Kubernetes writes them on objects.

use std::num::NonZeroI64;

use jiff::Timestamp;

/// A time in whole seconds; half as large as one with a fraction, and no
/// larger where there may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(NonZeroI64);

/// No time comes near it, so that seconds from it are never 0.
const BEGIN: i64 = i64::MIN / 2;

impl UnixSeconds {
    /// The second that `time` is in.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self(NonZeroI64::new(time.as_second() - BEGIN).unwrap_or(NonZeroI64::MAX))
    }

    /// When it begins.
    #[must_use]
    pub fn time(self) -> Timestamp {
        Timestamp::from_second(self.0.get() + BEGIN).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_takes_eight_bytes_and_is_the_time_that_was_given() {
        assert_eq!(size_of::<Option<UnixSeconds>>(), 8);
        for second in [0, 1, -1, 1_800_000_000] {
            let time = Timestamp::from_second(second).unwrap();
            assert_eq!(UnixSeconds::of(time).time(), time);
        }
        for time in [Timestamp::MIN, Timestamp::MAX] {
            assert_eq!(UnixSeconds::of(time).time().as_second(), time.as_second());
        }
        assert!(UnixSeconds::of(Timestamp::UNIX_EPOCH) < UnixSeconds::of(Timestamp::MAX));
    }
}
