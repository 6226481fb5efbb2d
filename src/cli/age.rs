//! Ages as kubectl prints them (k8s.io/apimachinery/pkg/util/duration/duration.go).

use jiff::SignedDuration;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// An age in two units at most, the finer one left out where it says little.
#[must_use]
pub fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs();
    let two = |large: i64, name: char, small: i64, small_name: char| match seconds % large / small {
        0 => format!("{}{name}", seconds / large),
        rest => format!("{}{name}{rest}{small_name}", seconds / large),
    };
    match seconds {
        ..0 => "0s".to_owned(),
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 10 * MINUTE => two(MINUTE, 'm', 1, 's'),
        _ if seconds < 3 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 8 * HOUR => two(HOUR, 'h', MINUTE, 'm'),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 8 * DAY => two(DAY, 'd', HOUR, 'h'),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two(YEAR, 'y', DAY, 'd'),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(-3, "0s")]
    #[case(119, "119s")]
    #[case(120, "2m")]
    #[case(330, "5m30s")]
    #[case(3 * HOUR - 1, "179m")]
    #[case(7 * HOUR + 30 * MINUTE, "7h30m")]
    #[case(47 * HOUR, "47h")]
    #[case(3 * DAY + 4 * HOUR, "3d4h")]
    #[case(12 * DAY, "12d")]
    #[case(2 * YEAR + 100 * DAY, "2y100d")]
    #[case(9 * YEAR, "9y")]
    fn ages_read_as_in_kubectl(#[case] seconds: i64, #[case] text: &str) {
        assert_eq!(age(SignedDuration::from_secs(seconds)), text);
    }
}
