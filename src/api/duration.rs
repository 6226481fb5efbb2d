//! Durations as users write them, such as `90s` or `1h30m`: what the CRD's schema takes,
//! and nothing else.

use std::time::Duration;

use jiff::SignedDuration;
use jiff::fmt::friendly::{FractionalUnit, Spacing, SpanPrinter};
use serde::{Deserialize, Deserializer, Serializer, de};

/// The schema's pattern. Its numbers are short enough for every sum to have a value.
pub(super) const PATTERN: &str = "^([0-9]{1,9}([.][0-9]{1,9})?(ms|s|m|h))+$";
/// The schema's `maxLength`.
pub(super) const MAX_LENGTH: usize = 32;
const DIGITS: std::ops::RangeInclusive<usize> = 1..=9;

/// What a field takes: from the least to the most, both included.
#[derive(Clone, Copy, Debug)]
pub struct DurationBounds {
    /// The least, as users write it.
    pub least: &'static str,
    /// The most.
    pub most: &'static str,
}

pub(super) const HOLD_DOWN: DurationBounds = DurationBounds { least: "0s", most: "6h" };
pub(super) const SETTLE: DurationBounds = DurationBounds { least: "0s", most: "6h" };
pub(super) const LANDING_TIMEOUT: DurationBounds = DurationBounds { least: "1s", most: "6h" };
pub(super) const DRILL: DurationBounds = DurationBounds { least: "10s", most: "2h" };
pub(super) const DRILL_PART: DurationBounds = DurationBounds { least: "1s", most: "2h" };
pub(super) const WINDOW: DurationBounds = DurationBounds { least: "1m", most: "168h" };

/// Reads a duration within these bounds.
///
/// # Errors
/// When it is no duration or out of bounds; the message names the bounds.
pub fn parse_duration(text: &str, bounds: DurationBounds) -> Result<Duration, String> {
    let DurationBounds { least, most } = bounds;
    let within = |length: &SignedDuration| {
        parse(least).is_some_and(|least| least <= *length)
            && parse(most).is_some_and(|most| *length <= most)
    };
    parse(text).filter(within).and_then(|length| Duration::try_from(length).ok()).ok_or_else(|| {
        let start: String = text.chars().take(MAX_LENGTH).collect();
        format!("{start:?} is no duration from {least} to {most}, such as 90s or 1h30m")
    })
}

/// As in Go, units come in any order and may be repeated; jiff reads one at a time.
fn parse(text: &str) -> Option<SignedDuration> {
    if text.is_empty() || text.len() > MAX_LENGTH {
        return None;
    }
    let mut sum = SignedDuration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let is_unit = |letter: char| letter.is_ascii_alphabetic();
        let number = rest.find(is_unit)?;
        let unit = rest[number..].find(|letter| !is_unit(letter)).unwrap_or(rest.len() - number);
        let (part, others) = rest.split_at(number + unit);
        let (number, unit) = part.split_at(number);
        if !is_number(number) || !matches!(unit, "ms" | "s" | "m" | "h") {
            return None;
        }
        sum = sum.checked_add(part.parse().ok()?)?;
        rest = others;
    }
    Some(sum)
}

fn is_number(text: &str) -> bool {
    let are_digits =
        |text: &str| DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    are_digits(whole) && are_digits(fraction)
}

fn read<E: de::Error>(text: &str, bounds: DurationBounds) -> Result<Duration, E> {
    parse_duration(text, bounds).map_err(E::custom)
}

fn read_optional<'de, D: Deserializer<'de>>(
    deserializer: D,
    bounds: DurationBounds,
) -> Result<Option<Duration>, D::Error> {
    Option::<String>::deserialize(deserializer)?.map(|text| read(&text, bounds)).transpose()
}

/// A duration as users write it, such as `1h30m`.
#[must_use]
pub fn written_duration(duration: Duration) -> String {
    let printer =
        SpanPrinter::new().spacing(Spacing::None).fractional(Some(FractionalUnit::Second));
    let signed = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    printer.duration_to_string(&signed)
}

/// For `rebalance.holdDown`.
pub(super) mod hold_down {
    pub use super::write_optional as serialize;
    use super::{Deserializer, Duration, HOLD_DOWN, read_optional};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        read_optional(from, HOLD_DOWN)
    }
}

/// For `spec.maxDuration` of a drill.
pub(super) mod drill {
    pub use super::write_optional as serialize;
    use super::{DRILL, Deserializer, Duration, read_optional};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        read_optional(from, DRILL)
    }
}

/// For what takes a part of that.
pub(super) mod drill_part {
    pub use super::write_optional as serialize;
    use super::{DRILL_PART, Deserializer, Duration, read_optional};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        read_optional(from, DRILL_PART)
    }
}

/// For `rebalance.settle`.
pub(super) mod settle {
    pub use super::write_optional as serialize;
    use super::{Deserializer, Duration, SETTLE, read_optional};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        read_optional(from, SETTLE)
    }
}

/// For `rebalance.landingTimeout`.
pub(super) mod landing_timeout {
    pub use super::write_optional as serialize;
    use super::{Deserializer, Duration, LANDING_TIMEOUT, read_optional};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        read_optional(from, LANDING_TIMEOUT)
    }
}

/// For `rebalance.windows[].duration`.
pub(super) mod window {
    use super::{Deserialize, Deserializer, Duration, Serializer, WINDOW, read, written_duration};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        read(&String::deserialize(from)?, WINDOW)
    }

    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&written_duration(*duration))
    }
}

#[allow(clippy::ref_option, reason = "serde hands it over like this")]
pub fn write_optional<S: Serializer>(
    duration: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => to.serialize_str(&written_duration(*duration)),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const A_DAY: DurationBounds = DurationBounds { least: "500ms", most: "24h" };

    #[rstest]
    #[case("90s", Some(90_000))]
    #[case("1h30m", Some(5_400_000))]
    #[case("0.5m", Some(30_000))]
    #[case("1.5h", Some(5_400_000))]
    #[case("30m1h", Some(5_400_000))]
    #[case("1m1m", Some(120_000))]
    #[case("1s250.5ms", Some(1_250))]
    #[case("000000090s", Some(90_000))]
    #[case("500ms", Some(500))]
    #[case("499ms", None)]
    #[case("24h", Some(86_400_000))]
    #[case("24h1ms", None)]
    #[case("0000000090s", None)]
    #[case("0.0000000001h", None)]
    #[case("10000000000ms", None)]
    #[case("1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s", Some(16_000))]
    #[case("1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s10s", None)]
    #[case("90", None)]
    #[case("s", None)]
    #[case(".5s", None)]
    #[case("5.s", None)]
    #[case("-1s", None)]
    #[case("+1s", None)]
    #[case("1 s", None)]
    #[case("1d", None)]
    #[case("1us", None)]
    #[case("2 hours", None)]
    #[case("", None)]
    fn what_the_schema_takes_is_read_and_nothing_else(
        #[case] text: &str,
        #[case] milliseconds: Option<u128>,
    ) {
        let read = parse_duration(text, A_DAY);
        assert_eq!(read.as_ref().ok().map(Duration::as_millis), milliseconds, "{read:?}");
    }

    #[test]
    fn a_refusal_names_the_bounds() {
        assert_eq!(
            parse_duration("7h", HOLD_DOWN),
            Err(r#""7h" is no duration from 0s to 6h, such as 90s or 1h30m"#.to_owned())
        );
    }

    #[rstest]
    #[case(0)]
    #[case(1_500)]
    #[case(90_000)]
    #[case(3_600_000)]
    #[case(604_800_000)]
    fn what_is_written_is_read_back(#[case] milliseconds: u64) {
        let duration = Duration::from_millis(milliseconds);
        assert_eq!(parse_duration(&written_duration(duration), WINDOW_FROM_ZERO), Ok(duration));
    }

    const WINDOW_FROM_ZERO: DurationBounds = DurationBounds { least: "0s", ..WINDOW };
}
