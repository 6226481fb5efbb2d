//! Scores from 0 to 100, with Go's arithmetic: rounding decides who wins.

use crate::predict::sampling::bounds::{Extremes, Range, Scored};

/// The best score that a plugin can give.
pub const MAX: i64 = 100;

/// A count or an amount as a float, as Go converts it.
#[allow(clippy::cast_precision_loss, reason = "kube-scheduler loses the same")]
pub fn float(value: i64) -> f64 {
    value as f64
}

/// The whole part, as Go converts it.
#[allow(clippy::cast_possible_truncation, reason = "kube-scheduler cuts off the same")]
pub fn whole(value: f64) -> i64 {
    value as i64
}

/// Scores from values that are known for each candidate, by what `normalised` makes of
/// the extremes of those that are scored, and the value.
pub fn known_scores(
    values: impl Iterator<Item = i64>,
    scored: Scored<'_>,
    normalised: impl Fn(Extremes, i64) -> Range,
) -> Vec<Range> {
    let values: Vec<i64> = values.collect();
    let Some(first) = values.first().copied() else { return Vec::new() };
    // Most of the time all nodes are alike in this.
    let extremes = if values.iter().all(|value| *value == first) {
        Some(Extremes { lowest: (first, first), highest: (first, first) })
    } else {
        let ranges: Vec<Option<Range>> = values.iter().map(|raw| Some((*raw, *raw))).collect();
        scored.extremes(&ranges)
    };
    let Some(extremes) = extremes else { return vec![(0, 0); values.len()] };
    values.into_iter().map(|value| normalised(extremes, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(values: [i64; 3], normalised: impl Fn(Extremes, i64) -> Range) -> Vec<Range> {
        known_scores(values.into_iter(), Scored::All, normalised)
    }

    #[test]
    fn scores_become_shares_of_the_highest() {
        let exactly = |scores: [i64; 3]| scores.map(|score| (score, score));
        assert_eq!(scores([3, 1, 0], Extremes::share_of_highest), exactly([100, 33, 0]));
        assert_eq!(scores([3, 1, 0], Extremes::reversed_share_of_highest), exactly([0, 67, 100]));
        assert_eq!(scores([0; 3], Extremes::reversed_share_of_highest), exactly([100; 3]));
    }
}
