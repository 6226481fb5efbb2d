//! Durations as users write them.

use kube::core::Duration;
use serde::{Deserialize, Deserializer, de};

/// As long as the schema allows.
const MAX_LENGTH: usize = 32;
/// Of the longest number; in hours that is more than a million years.
const MAX_DIGITS: usize = 10;

/// Reads a duration of a field that must be there.
pub(super) fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    read(&String::deserialize(deserializer)?)
}

/// Reads a duration of a field that may be left out.
pub(super) fn optional<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    Option::<String>::deserialize(deserializer)?.map(|text| read(&text)).transpose()
}

fn read<E: de::Error>(text: &str) -> Result<Duration, E> {
    parse(text).ok_or_else(|| {
        let start: String = text.chars().take(MAX_LENGTH).collect();
        E::custom(format_args!(
            "{start:?} is no duration: write numbers with units, such as 90s or 1h30m"
        ))
    })
}

/// kube's own reader panics at numbers that are too large or have a sign of their own.
fn parse(text: &str) -> Option<Duration> {
    let numbers = text.trim_start_matches(['+', '-']);
    let is_small = |number: &str| {
        let whole = number.split('.').next().unwrap_or_default();
        whole.trim_start_matches('0').len() <= MAX_DIGITS
    };
    let is_sane = text.len() <= MAX_LENGTH
        && !numbers.contains(['+', '-'])
        && numbers.split(|c: char| !c.is_ascii_digit() && c != '.').all(is_small);
    if is_sane { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("90s", Some(90))]
    #[case("1h30m", Some(5_400))]
    #[case("0.5m", Some(30))]
    #[case("9999999999h", Some(9_999_999_999 * 3_600))]
    #[case("99999999999h", None)]
    #[case("0.0000000000000000000000000001s", Some(0))]
    #[case("0000000000000000000000000000090s", Some(90))]
    #[case("1s-5s", None)]
    #[case("57777777777777777777777777777s", None)]
    #[case("90", None)]
    #[case("s", None)]
    #[case("1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s1s", None)]
    fn what_is_no_duration_is_refused(#[case] text: &str, #[case] seconds: Option<u64>) {
        let read = parse(text).map(|duration| std::time::Duration::from(duration).as_secs());
        assert_eq!(read, seconds);
    }
}
