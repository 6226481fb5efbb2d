//! Skew, and the fewest moves that bring it down.

/// Most minus fewest. No zones have no skew.
#[must_use]
pub fn skew_of(counts: impl IntoIterator<Item = i32>) -> i32 {
    let (least, most) = counts
        .into_iter()
        .fold((i32::MAX, i32::MIN), |(least, most), count| (least.min(count), most.max(count)));
    (most - least.min(most)).max(0)
}

/// How many pods a zone has, and how many it may end up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneRange {
    /// Pods it has.
    pub count: i32,
    /// Pods that cannot leave it.
    pub floor: i32,
    /// Pods it can hold; at least `count`.
    pub ceiling: i32,
}

impl ZoneRange {
    /// A zone whose pods can all leave, and with room for any number.
    #[must_use]
    pub const fn open(count: i32) -> Self {
        Self { count, floor: 0, ceiling: i32::MAX }
    }
}

/// The lowest skew that is possible, and the fewest moves to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minimum {
    /// The skew that is reached: at most what is allowed where that is possible.
    pub skew: i32,
    /// How many moves it takes.
    pub moves: i32,
}

/// The fewest moves to `max_skew`, or to the lowest skew above it that the
/// ranges allow.
///
/// With every zone kept between `low` and `low + skew`, the moves needed are
/// the larger of what the poor zones lack and what the rich ones have too
/// many. The first grows with `low` and the second shrinks, so the best `low`
/// is where they cross; and what is possible with one skew is possible with
/// any higher one. Both are found by bisection.
#[must_use]
pub fn minimum_moves(zones: &[ZoneRange], max_skew: i32) -> Minimum {
    let now = skew_of(zones.iter().map(|zone| zone.count));
    if now <= max_skew {
        return Minimum { skew: now, moves: 0 };
    }
    let (mut impossible, mut possible) = (max_skew - 1, now);
    while possible - impossible > 1 {
        let middle = impossible + (possible - impossible) / 2;
        if moves_within(zones, middle).is_some() {
            possible = middle;
        } else {
            impossible = middle;
        }
    }
    Minimum { skew: possible, moves: moves_within(zones, possible).unwrap_or(0) }
}

/// The fewest moves after which no two zones differ by more than `skew`.
fn moves_within(zones: &[ZoneRange], skew: i32) -> Option<i32> {
    let total: i64 = zones.iter().map(|zone| i64::from(zone.count)).sum();
    // Every zone must be able to hold `low`, and to shrink to `low + skew`.
    let mut least = zones.iter().map(|zone| zone.floor).max()?.saturating_sub(skew).max(0);
    let mut most = zones.iter().map(|zone| zone.ceiling).min()?;
    most = most.min(i32::try_from(total).unwrap_or(i32::MAX));
    // Too high a `low` needs more pods than there are; too low a one has no place for them.
    let needs = |low: i32| -> i64 { zones.iter().map(|zone| i64::from(zone.floor.max(low))).sum() };
    let holds = |low: i32| -> i64 {
        zones.iter().map(|zone| i64::from(zone.ceiling.min(low.saturating_add(skew)))).sum()
    };
    least = first(least, most, |low| holds(low) >= total)?;
    most = first(least, most, |low| needs(low) > total).map_or(most, |above| above - 1);
    if least > most {
        return None;
    }
    let lack = |low: i32| -> i32 { zones.iter().map(|zone| (low - zone.count).max(0)).sum() };
    let excess = |low: i32| -> i32 {
        zones.iter().map(|zone| (zone.count - low.saturating_add(skew)).max(0)).sum()
    };
    let cost = |low: i32| lack(low).max(excess(low));
    let crossing = first(least, most, |low| lack(low) >= excess(low)).unwrap_or(most);
    Some(cost(crossing).min(cost((crossing - 1).max(least))))
}

/// The first number from `from` to `to` for which `holds` is true, if it is
/// false before and true after.
fn first(from: i32, to: i32, holds: impl Fn(i32) -> bool) -> Option<i32> {
    if from > to || !holds(to) {
        return None;
    }
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use std::collections::{HashSet, VecDeque};

    fn open(counts: &[i32]) -> Vec<ZoneRange> {
        counts.iter().map(|count| ZoneRange::open(*count)).collect()
    }

    #[rstest]
    #[case(&[2, 2, 2], 1, 0)]
    #[case(&[3, 3, 0], 1, 2)]
    #[case(&[2, 1, 0], 1, 1)]
    #[case(&[1, 0, 0], 1, 0)]
    #[case(&[2, 0], 1, 1)]
    #[case(&[30, 30, 0], 1, 20)]
    #[case(&[4, 4, 0, 0], 1, 4)]
    #[case(&[5, 5, 1], 2, 2)]
    #[case(&[], 1, 0)]
    fn the_fewest_moves_to_balance(
        #[case] counts: &[i32],
        #[case] max_skew: i32,
        #[case] moves: i32,
    ) {
        let minimum = minimum_moves(&open(counts), max_skew);
        assert!(minimum.skew <= max_skew);
        assert_eq!(minimum.moves, moves);
    }

    #[test]
    fn a_zone_without_room_limits_what_can_be_reached() {
        let mut zones = open(&[3, 3, 0]);
        zones[2].ceiling = 1;
        assert_eq!(minimum_moves(&zones, 1), Minimum { skew: 2, moves: 1 });
        zones[2].ceiling = 0;
        assert_eq!(minimum_moves(&zones, 1), Minimum { skew: 3, moves: 0 });
    }

    #[test]
    fn pods_that_cannot_leave_limit_it_too() {
        let mut zones = open(&[4, 1, 1]);
        zones[0].floor = 4;
        assert_eq!(minimum_moves(&zones, 1), Minimum { skew: 3, moves: 0 });
        zones[0].floor = 3;
        assert_eq!(minimum_moves(&zones, 1), Minimum { skew: 2, moves: 1 });
    }

    /// Breadth-first over all sequences of single moves: the truth, slowly.
    fn by_trying(zones: &[ZoneRange], max_skew: i32) -> Minimum {
        let start: Vec<i32> = zones.iter().map(|zone| zone.count).collect();
        let mut best = Minimum { skew: skew_of(start.iter().copied()), moves: 0 };
        let mut seen = HashSet::from([start.clone()]);
        let mut queue = VecDeque::from([(start, 0)]);
        while let Some((counts, moves)) = queue.pop_front() {
            let skew = skew_of(counts.iter().copied());
            if skew < best.skew && best.skew > max_skew {
                best = Minimum { skew, moves };
            }
            for from in 0..counts.len() {
                for to in 0..counts.len() {
                    if from == to
                        || counts[from] <= zones[from].floor
                        || counts[to] >= zones[to].ceiling
                    {
                        continue;
                    }
                    let mut next = counts.clone();
                    next[from] -= 1;
                    next[to] += 1;
                    if seen.insert(next.clone()) {
                        queue.push_back((next, moves + 1));
                    }
                }
            }
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_sequence_of_moves_is_shorter(
            zones in prop::collection::vec((0..6_i32, 0..6_i32, 0..6_i32), 1..5),
            max_skew in 1..4_i32,
        ) {
            let zones: Vec<ZoneRange> = zones
                .into_iter()
                .map(|(count, pinned, room)| ZoneRange {
                    count,
                    floor: pinned.min(count),
                    ceiling: count + room,
                })
                .collect();
            let minimum = minimum_moves(&zones, max_skew);
            let truth = by_trying(&zones, max_skew);
            // Below what is allowed, any skew is as good; the moves must be as few.
            prop_assert_eq!(minimum.moves, truth.moves);
            prop_assert_eq!(minimum.skew.max(max_skew), truth.skew.max(max_skew));
        }
    }
}
