//! Which nodes the scheduler finds where it does not look for all: from 100
//! nodes on it stops when it has found enough that fit.
//!
//! Follows `numFeasibleNodesToFind` and `findNodesThatPassFilters` in
//! `pkg/scheduler/schedule_one.go`, `pkg/scheduler/backend/cache/node_tree.go`
//! and `Until` in `pkg/scheduler/framework/parallelize/parallelism.go` (1.37).
//!
//! # What holds whatever the sample
//!
//! The scheduler lists the nodes in rounds: in each round one of every zone
//! that has any left, the zones always in the same order. Within a zone the
//! order is the one in which it came to know them, which nobody else knows. It
//! begins somewhere, goes round, and several workers take one chunk of the
//! list after the other; it stops when `wanted` nodes that fit are found.
//! A worker may be slow, so what was looked at then is not one stretch of the
//! list: each worker may be in the middle of a chunk. But chunks are handed
//! out in order, so there is a gap only after a chunk that is not finished, of
//! which there are at most as many as workers; and if every worker is in one,
//! the last of them has no gap after it that counts. So what was looked at is
//! at most `workers` stretches of the ring, `workers + 1` of the list.
//!
//! In one stretch, a zone `j` has at most one node more than a zone `k` among
//! the rounds that have nodes of both: whole rounds hold one of each, and of
//! the two ends only one can hold `j` without `k`, since the zones' order is
//! the same in all rounds. In the rounds where `k` has run out, `j` has
//! `n_j - n_k` nodes in all. So if `w_k` nodes of `k` were looked at, then
//!
//! `w_j <= w_k + (workers + 1) + max(0, n_j - n_k)`.
//!
//! Of `k`, at least `w_k` less those that do not fit were found; of each `j`
//! at most `w_j`, and at most those that fit; and all that were found are
//! `wanted`. So the nodes found in `k` are at least
//!
//! `max(w_k - unfit_k, wanted - sum over j of min(fit_j, w_j))`,
//!
//! and [`fewest_found`] is the least of this over every `w_k`.

use crate::predict::config::SchedulerConfig;

const MIN_NODES: usize = 100;
const MIN_PERCENTAGE: usize = 5;

/// How many nodes that fit the scheduler looks for among `nodes`.
pub fn nodes_to_find(config: &SchedulerConfig, nodes: usize) -> usize {
    if nodes < MIN_NODES {
        return nodes;
    }
    let percentage = match usize::try_from(config.percentage_of_nodes_to_score) {
        Ok(percentage) if percentage > 0 => percentage,
        _ => 50_usize.saturating_sub(nodes / 125).max(MIN_PERCENTAGE),
    };
    (nodes * percentage / 100).max(MIN_NODES)
}

/// A zone, as far as the sample goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneNodes {
    /// Its nodes.
    pub nodes: usize,
    /// Those of them that can take the pod.
    pub fit: usize,
}

/// How many nodes of each zone are in any sample of `wanted` nodes, at least.
/// Where the list is not in rounds that so many workers go through, only what
/// the other zones lack is certain.
pub fn fewest_found(zones: &[ZoneNodes], wanted: usize, workers: Option<usize>) -> Vec<usize> {
    let stretches = workers.map_or(0, |workers| workers + 1);
    (0..zones.len())
        .map(|at| {
            let zone = zones[at];
            let others = |looked_at: usize| -> usize {
                let others = zones.iter().enumerate().filter(|(other, _)| *other != at);
                let found = others.map(|(_, other)| {
                    let ahead = other.nodes.saturating_sub(zone.nodes);
                    let ahead = ahead.saturating_add(stretches);
                    other.fit.min(looked_at.saturating_add(ahead))
                });
                found.sum()
            };
            if workers.is_none() {
                return wanted.saturating_sub(others(usize::MAX)).min(zone.fit);
            }
            // The first grows with the nodes looked at, the second shrinks.
            let own = |looked_at: usize| looked_at.saturating_sub(zone.nodes - zone.fit);
            let rest = |looked_at: usize| wanted.saturating_sub(others(looked_at));
            let (mut low, mut high) = (0, zone.nodes);
            while low < high {
                let middle = low + (high - low) / 2;
                if own(middle) >= rest(middle) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            let before = low.saturating_sub(1);
            let least = own(low).max(rest(low)).min(own(before).max(rest(before)));
            least.min(zone.fit)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    /// `DefaultParallelism`
    const WORKERS: usize = 16;

    #[rstest]
    #[case(99, 99)]
    #[case(100, 100)]
    #[case(200, 100)]
    #[case(500, 230)]
    #[case(5_000, 500)]
    #[case(6_000, 300)]
    fn large_clusters_are_sampled(#[case] nodes: usize, #[case] sample: usize) {
        assert_eq!(nodes_to_find(&SchedulerConfig::default(), nodes), sample);
    }

    #[test]
    fn every_zone_has_its_share_of_a_sample() {
        let even = [ZoneNodes { nodes: 100, fit: 100 }; 3];
        // 144 of 300: 48 of each, but for what slow workers can do.
        assert_eq!(fewest_found(&even, 144, Some(WORKERS)), [37, 37, 37]);
        assert_eq!(fewest_found(&even, 144, None), [0, 0, 0]);
        assert_eq!(fewest_found(&even, 250, None), [50, 50, 50]);
        // In a zone that is twice as large, the end of the list lies.
        let uneven = [ZoneNodes { nodes: 50, fit: 50 }, ZoneNodes { nodes: 200, fit: 200 }];
        assert_eq!(fewest_found(&uneven, 110, Some(WORKERS))[0], 0);
        // Nodes that are full may be the ones that were looked at.
        let full = [ZoneNodes { nodes: 100, fit: 60 }, ZoneNodes { nodes: 100, fit: 100 }];
        assert_eq!(fewest_found(&full, 100, Some(WORKERS))[0], 22);
    }

    /// The scheduler's search: its list, workers that take chunks, in any order.
    #[derive(Debug)]
    struct Search {
        zones: Vec<Vec<bool>>,
        start: usize,
        wanted: usize,
        /// Which worker goes on, again and again.
        turns: Vec<usize>,
    }

    impl Search {
        /// The nodes, by zone, in rounds.
        fn list(&self) -> Vec<(usize, bool)> {
            let longest = self.zones.iter().map(Vec::len).max().unwrap_or(0);
            (0..longest)
                .flat_map(|round| {
                    let nodes = self.zones.iter().enumerate();
                    nodes.filter_map(move |(zone, nodes)| Some((zone, *nodes.get(round)?)))
                })
                .collect()
        }

        /// How many nodes that fit are found in each zone.
        fn found(&self) -> Vec<usize> {
            let list = self.list();
            let pieces = list.len();
            let chunk = pieces.isqrt().min(pieces / WORKERS + 1).max(1);
            let mut next_chunk = 0;
            let mut workers = [(0_usize, 0_usize); WORKERS];
            let mut found = vec![0; self.zones.len()];
            let mut turns = self.turns.iter().cycle();
            loop {
                let worker = turns.next().unwrap() % WORKERS;
                // One that has nothing to do leaves its turn to the next that has.
                let ready =
                    (worker..worker + WORKERS).map(|worker| worker % WORKERS).find(|worker| {
                        workers[*worker].0 < workers[*worker].1 || next_chunk * chunk < pieces
                    });
                let Some(worker) = ready else { return found };
                if workers[worker].0 == workers[worker].1 {
                    let begin = next_chunk * chunk;
                    workers[worker] = (begin, (begin + chunk).min(pieces));
                    next_chunk += 1;
                }
                let (zone, fits) = list[(self.start + workers[worker].0) % pieces];
                workers[worker].0 += 1;
                found[zone] += usize::from(fits);
                if found.iter().sum::<usize>() == self.wanted {
                    return found;
                }
            }
        }
    }

    fn searches() -> impl Strategy<Value = Search> {
        let zone = (20..90_usize, 0..100_u32).prop_flat_map(|(nodes, fit)| {
            prop::collection::vec(prop::bool::weighted(f64::from(fit.max(30)) / 100.0), nodes)
        });
        let zones = prop::collection::vec(zone, 2..5);
        // Long turns of few workers leave others in the middle of a chunk.
        let turns = prop::collection::vec((0..WORKERS, 1..40_usize), 1..30).prop_map(|turns| {
            turns.into_iter().flat_map(|(worker, steps)| vec![worker; steps]).collect()
        });
        (zones, any::<prop::sample::Index>(), 10..100_usize, turns).prop_map(
            |(zones, start, share, turns): (Vec<Vec<bool>>, _, usize, Vec<usize>)| {
                let nodes = zones.iter().map(Vec::len).sum();
                let fit = zones.iter().flatten().filter(|fits| **fits).count();
                let wanted = (fit * share / 100).max(1);
                Search { start: start.index(nodes), wanted, zones, turns }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn no_search_finds_fewer(search in searches()) {
            let zone_nodes: Vec<ZoneNodes> = search
                .zones
                .iter()
                .map(|nodes| ZoneNodes {
                    nodes: nodes.len(),
                    fit: nodes.iter().filter(|fits| **fits).count(),
                })
                .collect();
            prop_assume!(zone_nodes.iter().any(|stock| stock.fit > 0));
            let found = search.found();
            let fewest = fewest_found(&zone_nodes, search.wanted, Some(WORKERS));
            let loosest = fewest_found(&zone_nodes, search.wanted, None);
            for zone in 0..zone_nodes.len() {
                prop_assert!(found[zone] >= fewest[zone], "{found:?} and {fewest:?} of {zone_nodes:?}");
                prop_assert!(found[zone] >= loosest[zone]);
            }
        }
    }
}
