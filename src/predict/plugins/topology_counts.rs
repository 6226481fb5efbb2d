//! Counts by topology: how much there is in each value of a node label.

use std::sync::Arc;

use crate::observe::Name;

use crate::predict::scheduler::Scheduler;
use crate::predict::snapshot::TopologyDomains;

/// Counts for the values of several node labels.
#[derive(Debug, Default)]
pub struct TopologyPairCounts(Vec<TopologyCounts>);

#[derive(Debug)]
struct TopologyCounts {
    key: Name,
    topology: Arc<TopologyDomains>,
    counts: Vec<i64>,
    total: i64,
}

impl TopologyPairCounts {
    /// Adds to the value that the node has for `key`, if it carries that label.
    pub fn add(&mut self, scheduler: &Scheduler<'_>, key: &Name, rows: &[usize], amount: i64) {
        let at = self.0.iter().position(|counted| counted.key == *key).unwrap_or_else(|| {
            let topology = scheduler.topology(key);
            let counts = vec![0; topology.count];
            self.0.push(TopologyCounts { key: Name::clone(key), topology, counts, total: 0 });
            self.0.len() - 1
        });
        let counted = &mut self.0[at];
        for row in rows {
            if counted.topology.carries(*row) {
                counted.counts[counted.topology.domain(*row)] += amount;
                counted.total += amount;
            }
        }
    }

    /// The count that the node has for `key`; none when it lacks the label.
    /// A key that was never added to counts as nothing anywhere.
    pub fn get(&self, scheduler: &Scheduler<'_>, key: &Name, row: usize) -> Option<i64> {
        match self.0.iter().find(|counted| counted.key == *key) {
            Some(counted) => counted.of(row),
            None => scheduler.rows()[row].node.labels.contains_key(&**key).then_some(0),
        }
    }

    /// Whether the node shares any value in which there is something.
    pub fn any(&self, row: usize) -> bool {
        self.0.iter().any(|counted| counted.of(row).is_some_and(|count| count > 0))
    }

    /// Whether nothing was ever added.
    pub fn is_untouched(&self) -> bool {
        self.0.is_empty()
    }

    /// The sum over all labels that the node carries.
    pub fn sum(&self, row: usize) -> i64 {
        self.0.iter().filter_map(|counted| counted.of(row)).sum()
    }

    /// The labels that were added to.
    pub fn topologies(&self) -> impl Iterator<Item = (&Name, &TopologyDomains)> {
        self.0.iter().map(|counted| (&counted.key, &*counted.topology))
    }

    /// The counts that no other node shares.
    pub fn own_counts(&self, row: usize) -> impl Iterator<Item = i64> {
        self.0
            .iter()
            .filter(|counted| counted.topology.tells_apart)
            .map(move |counted| counted.counts[counted.topology.domain(row)])
    }

    /// Whether there is nothing anywhere. For counts that are never negative.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|counted| counted.total == 0)
    }
}

impl TopologyCounts {
    fn of(&self, row: usize) -> Option<i64> {
        self.topology.carries(row).then(|| self.counts[self.topology.domain(row)])
    }
}
