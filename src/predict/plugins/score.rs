//! Scores from 0 to 100, with Go's arithmetic: rounding decides who wins.

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

/// Shares of the highest score, in place
/// (`pkg/scheduler/framework/plugins/helper/normalize_score.go`, 1.37).
pub fn normalise(scores: &mut [i64]) {
    let highest = scores.iter().copied().max().unwrap_or(0);
    if highest > 0 {
        for score in scores {
            *score = MAX * *score / highest;
        }
    }
}

/// Like [`normalise`], but the highest becomes the worst.
pub fn normalise_reversed(scores: &mut [i64]) {
    normalise(scores);
    for score in scores {
        *score = MAX - *score;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_become_shares_of_the_highest() {
        let mut scores = vec![3, 1, 0];
        normalise(&mut scores);
        assert_eq!(scores, [100, 33, 0]);
        let mut scores = vec![3, 1, 0];
        normalise_reversed(&mut scores);
        assert_eq!(scores, [0, 67, 100]);
        let mut scores = vec![0, 0];
        normalise_reversed(&mut scores);
        assert_eq!(scores, [100, 100]);
    }
}
