//! Scores of nodes where the scheduler scores only a sample: what they are at
//! least and at most, whatever the sample.
//!
//! Scores are shares of the highest or lowest among the nodes that are scored,
//! so they depend on the sample. But each zone has a share of it
//! ([`crate::predict::sampling::proof`]), and that binds the extremes: in a zone with `found`
//! nodes in any sample, the highest of these is no lower than the `found`-th
//! lowest of all. From there on each plugin's formula, which grows or shrinks
//! with each extreme, gives a range for each node.

use crate::predict::plugins::score::MAX;
use crate::predict::sampling::proof::ZoneNodes;

/// At least and at most.
pub type Range = (i64, i64);

/// How far the best node is ahead of those of all zones that cannot win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    /// By how many points at least.
    pub margin: i64,
    /// How many nodes others may take until it is by less.
    pub spare: usize,
}

/// What is certain of any sample.
#[derive(Debug)]
pub struct Sample {
    /// How many nodes are in it.
    pub wanted: usize,
    /// Of each candidate: its zone, and how many nodes it stands for.
    pub candidates: Vec<(usize, usize)>,
    /// The zones' nodes.
    pub zone_nodes: Vec<ZoneNodes>,
    /// How many of them are in the sample, at least.
    pub found: Vec<usize>,
    /// The candidates, zone by zone.
    by_zone: Vec<usize>,
    /// Where each zone ends there.
    ends: Vec<usize>,
}

/// The lowest and the highest of the values in a sample, each at least and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extremes {
    pub lowest: Range,
    pub highest: Range,
}

/// Which of the nodes that fit are scored.
#[derive(Clone, Copy, Debug)]
pub enum Scored<'s> {
    /// All of them: then each range is of one value.
    All,
    /// What the scheduler finds before it stops looking.
    Sample(&'s Sample),
}

impl Scored<'_> {
    /// The extremes of the candidates' values. Those without a value are left
    /// out; none if there is none.
    pub fn extremes(self, values: &[Option<Range>]) -> Option<Extremes> {
        match self {
            Self::Sample(sample) => sample.extremes(values),
            Self::All => {
                let lowest = values.iter().flatten().map(|(low, _)| *low).min()?;
                let highest = values.iter().flatten().map(|(_, high)| *high).max()?;
                Some(Extremes { lowest: (lowest, lowest), highest: (highest, highest) })
            }
        }
    }
}

impl Sample {
    pub fn new(
        wanted: usize,
        candidates: Vec<(usize, usize)>,
        zone_nodes: Vec<ZoneNodes>,
        found: Vec<usize>,
    ) -> Self {
        let mut by_zone: Vec<usize> = (0..candidates.len()).collect();
        by_zone.sort_by_key(|at| candidates[*at].0);
        let ends = (0..zone_nodes.len())
            .map(|zone| by_zone.partition_point(|at| candidates[*at].0 <= zone))
            .collect();
        Self { wanted, candidates, zone_nodes, found, by_zone, ends }
    }

    /// The same sample of more candidates that stand for the same nodes.
    pub fn of(&self, candidates: Vec<(usize, usize)>) -> Self {
        Self::new(self.wanted, candidates, self.zone_nodes.clone(), self.found.clone())
    }

    /// The candidates of a zone.
    fn of_zone(&self, zone: usize) -> &[usize] {
        let begin = if zone == 0 { 0 } else { self.ends[zone - 1] };
        &self.by_zone[begin..self.ends[zone]]
    }

    /// See [`Scored::extremes`].
    fn extremes(&self, values: &[Option<Range>]) -> Option<Extremes> {
        let least = values.iter().flatten().map(|(low, _)| *low).min()?;
        let most = values.iter().flatten().map(|(_, high)| *high).max()?;
        let mut extremes = Extremes { lowest: (least, most), highest: (least, most) };
        if least == most {
            return Some(extremes);
        }
        for (members, found) in self.sure(values) {
            let lows = members.clone().map(|((low, _), nodes)| (low, nodes));
            let highs = members.map(|((_, high), nodes)| (-high, nodes));
            extremes.highest.0 = extremes.highest.0.max(nth_lowest(lows, found));
            extremes.lowest.1 = extremes.lowest.1.min(-nth_lowest(highs, found));
        }
        Some(extremes)
    }

    /// The values of each zone, and of all: at least that many are in any sample.
    fn sure<'v>(
        &'v self,
        values: &'v [Option<Range>],
    ) -> impl Iterator<Item = (impl Iterator<Item = (Range, usize)> + Clone + 'v, usize)> {
        let zones = (0..self.zone_nodes.len()).map(|zone| (self.of_zone(zone), self.found[zone]));
        zones.chain([(&self.by_zone[..], self.wanted)]).filter_map(|(members, found)| {
            let without = members.iter().filter(|at| values[**at].is_none());
            let without: usize = without.map(|at| self.candidates[*at].1).sum();
            // Those without a value may be the ones that are found.
            let found = found.checked_sub(without).filter(|found| *found > 0)?;
            let valued =
                members.iter().filter_map(|at| Some((values[*at]?, self.candidates[*at].1)));
            Some((valued, found))
        })
    }

    /// How many of the nodes with `member` are in the sample, at least and at most.
    pub fn count(&self, member: impl Fn(usize) -> bool) -> (usize, usize) {
        let (mut members, mut others, mut by_zone) = (0, 0, 0);
        for zone in 0..self.zone_nodes.len() {
            let mut others_here = 0;
            for at in self.of_zone(zone) {
                let nodes = self.candidates[*at].1;
                if member(*at) {
                    members += nodes;
                } else {
                    others_here += nodes;
                }
            }
            others += others_here;
            by_zone += self.found[zone].saturating_sub(others_here);
        }
        (self.wanted.saturating_sub(others).max(by_zone), members.min(self.wanted))
    }

    /// The zones that the best node can be in, given the range of each score, and how far it
    /// is ahead of those of the others at least.
    pub fn winners(&self, totals: &[Range]) -> (Vec<usize>, Lead) {
        let values: Vec<Option<Range>> = totals.iter().copied().map(Some).collect();
        let lows = self.sure(&values).map(|(members, found)| {
            let lows = members.map(|((low, _), nodes)| (low, nodes));
            let reached = nth_lowest(lows.clone(), found);
            let lower = lows.filter(|(low, _)| *low < reached).map(|(_, nodes)| nodes);
            // Should others take that many nodes, the next is as good.
            (reached, found - lower.sum::<usize>().min(found - 1))
        });
        let Some((reached, spare)) = lows.max() else {
            return (Vec::new(), Lead { margin: 0, spare: 0 });
        };
        let best = |zone: usize| self.of_zone(zone).iter().map(|at| totals[*at].1).max();
        let best = (0..self.zone_nodes.len()).filter_map(|zone| Some((zone, best(zone)?)));
        let (winners, others): (Vec<_>, Vec<_>) = best.partition(|(_, best)| *best >= reached);
        let next = others.into_iter().map(|(_, best)| best).max();
        let margin = next.map_or(i64::MAX, |next| reached - next);
        (winners.into_iter().map(|(zone, _)| zone).collect(), Lead { margin, spare })
    }
}

/// The `count`-th lowest, counted from 1, of values with multiplicities.
fn nth_lowest(values: impl Iterator<Item = (i64, usize)> + Clone, count: usize) -> i64 {
    let mut low = values.clone().map(|(value, _)| value).min().unwrap_or(0);
    let mut high = values.clone().map(|(value, _)| value).max().unwrap_or(0);
    while low < high {
        let middle = low + (high - low) / 2;
        let up_to = values.clone().filter(|(value, _)| *value <= middle).map(|(_, nodes)| nodes);
        if up_to.sum::<usize>() >= count {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

impl Extremes {
    /// The score of a value as a share of the highest, 0 to 100, as kube-scheduler's
    /// `helper.DefaultNormalizeScore` gives it.
    pub fn share_of_highest(self, value: i64) -> Range {
        let share = |highest: i64| if highest > 0 { MAX * value / highest } else { value };
        (share(self.highest.1.max(value)), share(self.highest.0.max(value)))
    }

    /// The same reversed: the highest value gets 0, a value of 0 gets 100.
    pub fn reversed_share_of_highest(self, value: i64) -> Range {
        let (low, high) = self.share_of_highest(value);
        (MAX - high, MAX - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two zones of three nodes that all fit; any sample has two of each.
    fn sample() -> Sample {
        let zone_nodes = vec![ZoneNodes { nodes: 3, fit: 3 }; 2];
        Sample::new(4, vec![(0, 1), (0, 2), (1, 3)], zone_nodes, vec![2, 2])
    }

    fn exact(values: &[i64]) -> Vec<Option<Range>> {
        values.iter().map(|value| Some((*value, *value))).collect()
    }

    #[test]
    fn a_zones_share_binds_the_extremes() {
        let extremes = sample().extremes(&exact(&[9, 5, 7])).unwrap();
        assert_eq!(extremes, Extremes { lowest: (5, 5), highest: (7, 9) });
        let mut values = exact(&[9, 5, 7]);
        values[2] = None;
        let extremes = sample().extremes(&values).unwrap();
        assert_eq!(extremes, Extremes { lowest: (5, 5), highest: (5, 9) });
        values[1] = None;
        // Perhaps the only node with a value is not in the sample.
        let extremes = sample().extremes(&values).unwrap();
        assert_eq!(extremes, Extremes { lowest: (9, 9), highest: (9, 9) });
        assert_eq!(sample().extremes(&[None; 3]), None);
    }

    #[test]
    fn shares_follow_the_highest_that_is_in_the_sample() {
        let extremes = Extremes { lowest: (0, 0), highest: (2, 4) };
        assert_eq!(extremes.share_of_highest(1), (25, 50));
        assert_eq!(extremes.share_of_highest(3), (75, 100));
        assert_eq!(extremes.reversed_share_of_highest(1), (50, 75));
        assert_eq!(extremes.share_of_highest(0), (0, 0));
        let none = Extremes { lowest: (0, 0), highest: (0, 0) };
        assert_eq!(none.reversed_share_of_highest(0), (100, 100));
    }

    #[test]
    fn members_are_counted_by_zone_and_by_what_is_left() {
        assert_eq!(sample().count(|at| at == 2), (2, 3));
        assert_eq!(sample().count(|at| at != 0), (3, 4));
        assert_eq!(sample().count(|_| true), (4, 4));
    }

    #[test]
    fn a_zone_wins_when_its_share_beats_the_best_of_all_others() {
        let totals = |one: i64, many: i64, other: i64| [(one, one), (many, many), (other, other)];
        // The node with 90 is perhaps not found, one with 50 is in any case.
        let winners = |one: i64, many: i64, other: i64| {
            let (zones, Lead { margin, spare }) = sample().winners(&totals(one, many, other));
            (zones, margin, spare)
        };
        assert_eq!(winners(90, 50, 40), (vec![0], 10, 2));
        assert_eq!(winners(90, 50, 60), (vec![0, 1], i64::MAX, 2));
        assert_eq!(winners(70, 50, 80), (vec![1], 10, 2));
        assert_eq!(winners(80, 50, 80), (vec![0, 1], i64::MAX, 2));
    }
}
