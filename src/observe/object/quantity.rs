//! Resource quantities as the scheduler reads them: rounded up to whole units
//! (memory, extended resources) or to thousandths (cpu).
//!
//! Follows `k8s.io/apimachinery/pkg/api/resource/quantity.go` (1.37).

use thiserror::Error;

/// A quantity that Kubernetes would not accept either.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("quantity {0:?} is not a number with an optional suffix such as m, k, Mi or e3")]
pub struct QuantityError(pub String);

/// The value in thousandths, rounded up: `"250m"` is 250, `"2"` is 2000.
///
/// # Errors
/// When the text is not a quantity.
pub fn parse_milli(text: &str) -> Result<i64, QuantityError> {
    parse(text, 1000)
}

/// The value in whole units, rounded up: `"1Ki"` is 1024, `"100m"` is 1.
///
/// # Errors
/// When the text is not a quantity.
pub fn parse_whole(text: &str) -> Result<i64, QuantityError> {
    parse(text, 1)
}

fn parse(text: &str, scale: i128) -> Result<i64, QuantityError> {
    let error = || QuantityError(text.to_owned());
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let digits_end =
        unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(digits_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return Err(error());
    }
    // 18 fractional digits are more than any real quantity has; more would
    // overflow and cannot change a value that is rounded up anyway.
    let fraction = &fraction[..fraction.len().min(18)];
    let mut mantissa: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        mantissa = mantissa.saturating_mul(10).saturating_add(i128::from(digit - b'0'));
    }
    let fraction_digits = i32::try_from(fraction.len()).map_err(|_| error())?;
    let (multiplier, exponent) = suffix_of(suffix).ok_or_else(error)?;
    let value = scaled(
        mantissa.saturating_mul(multiplier).saturating_mul(scale),
        exponent - fraction_digits,
    );
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    Ok(if negative { -value } else { value })
}

/// `value * 10^exponent`, rounded up and saturating.
fn scaled(value: i128, exponent: i32) -> i128 {
    if value == 0 {
        return 0;
    }
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    match (exponent >= 0, power) {
        (true, Some(power)) => value.saturating_mul(power),
        (true, None) => i128::MAX,
        (false, Some(power)) => value.saturating_add(power - 1) / power,
        (false, None) => 1,
    }
}

/// A suffix as (binary multiplier, decimal exponent).
fn suffix_of(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            (1, exponent.parse::<i32>().ok()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("0", 0, 0)]
    #[case("1", 1, 1000)]
    #[case("250m", 1, 250)]
    #[case("1.5", 2, 1500)]
    #[case("0.1", 1, 100)]
    #[case(".5", 1, 500)]
    #[case("1Ki", 1024, 1_024_000)]
    #[case("1.5Gi", 1_610_612_736, 1_610_612_736_000)]
    #[case("2k", 2000, 2_000_000)]
    #[case("1e3", 1000, 1_000_000)]
    #[case("1E3", 1000, 1_000_000)]
    #[case("1E", 1_000_000_000_000_000_000, i64::MAX)]
    #[case("100u", 1, 1)]
    #[case("1n", 1, 1)]
    #[case("-1", -1, -1000)]
    #[case("+5", 5, 5000)]
    fn quantities_read_like_the_scheduler_reads_them(
        #[case] text: &str,
        #[case] whole: i64,
        #[case] milli: i64,
    ) {
        assert_eq!(parse_whole(text), Ok(whole));
        assert_eq!(parse_milli(text), Ok(milli));
    }

    #[rstest]
    #[case("")]
    #[case("Gi")]
    #[case("1.2.3")]
    #[case("1 Gi")]
    #[case("1KiB")]
    #[case("1e")]
    fn anything_else_is_an_error_that_shows_the_text(#[case] text: &str) {
        assert_eq!(parse_whole(text), Err(QuantityError(text.to_owned())));
    }
}
