//! From 100 nodes on the scheduler scores only the first nodes it finds that fit.
//!
//! Follows `numFeasibleNodesToFind` in `pkg/scheduler/schedule_one.go` (1.37).

use std::collections::BTreeSet;

use super::config::SchedulerConfig;
use super::forecast::{Forecast, Scores};
use super::node_affinity;

const MIN_NODES: usize = 100;
const MIN_PERCENTAGE: usize = 5;

/// How many nodes that fit the scheduler looks for among `nodes`.
fn nodes_to_find(config: &SchedulerConfig, nodes: usize) -> usize {
    if nodes < MIN_NODES {
        return nodes;
    }
    let percentage = match usize::try_from(config.percentage_of_nodes_to_score) {
        Ok(percentage) if percentage > 0 => percentage,
        _ => 50_usize.saturating_sub(nodes / 125).max(MIN_PERCENTAGE),
    };
    (nodes * percentage / 100).max(MIN_NODES)
}

/// Whether the best zone is the same whichever nodes the scheduler finds first.
pub(super) fn is_safe(forecast: &Forecast<'_>, scores: &Scores) -> bool {
    let scheduler = forecast.scheduler;
    let nodes = node_affinity::named_nodes(&forecast.pod.template)
        .map_or(scheduler.rows().len(), |named| named.len());
    if scores.feasible.nodes() <= nodes_to_find(&scheduler.config, nodes) {
        return true;
    }
    let zones: BTreeSet<_> =
        scores.feasible.rows().map(|row| scheduler.rows()[row].node.zone.as_ref()).collect();
    zones.len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

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
}
