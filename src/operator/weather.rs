//! What holds for the whole cluster: while it is unstable nothing is evicted
//! anywhere (law 1).

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::observe::ZoneHealth;

use super::Operator;

/// At this share of bad nodes, in percent, the cluster is unstable.
const NODES_PERCENT: usize = 20;
/// With this many zones out the cluster is unstable.
const ZONES: usize = 2;
/// At this share of pods without a node, in percent, the cluster is unstable.
const WAITING_PERCENT: usize = 10;
/// Fewer pods without a node are the matter of their tier.
const WAITING: usize = 10;
/// With this many failed requests within [`FAILURES_WITHIN`] the cluster is unstable.
const FAILURES: usize = 5;
const FAILURES_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// What holds for the whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Weather {
    /// Why no pod of any tier may be moved, if so.
    pub unstable: Option<String>,
    /// What may not be known.
    pub stale: Option<String>,
}

/// When requests failed, of late.
#[derive(Debug, Default)]
pub(super) struct Failures(VecDeque<Timestamp>);

impl Failures {
    /// A request failed.
    pub fn note(&mut self, now: Timestamp) {
        self.0.push_back(now);
        // More than matter are not kept.
        if self.0.len() > FAILURES {
            self.0.pop_front();
        }
    }

    fn are_many(&self, now: Timestamp) -> bool {
        self.calm_at(now).is_some()
    }

    /// When they are few again; none if they are.
    pub fn calm_at(&self, now: Timestamp) -> Option<Timestamp> {
        let first = self.0.front().filter(|_| self.0.len() == FAILURES)?;
        first.checked_add(FAILURES_WITHIN).ok().filter(|calm| *calm > now)
    }
}

/// Whether too many nodes are bad, given how many each zone has and how many
/// of these are usable.
pub fn unstable_nodes(zones: impl Iterator<Item = (usize, usize)>) -> Option<String> {
    let (nodes, usable) = zones.fold((0, 0), |sum, zone| (sum.0 + zone.0, sum.1 + zone.1));
    let bad = nodes - usable;
    (bad > 0 && bad * 100 >= nodes * NODES_PERCENT)
        .then(|| format!("{bad} of {nodes} nodes are not usable"))
}

impl Operator {
    /// Why no pod of any tier may be moved, if so. The words do not change with
    /// every pod: each change makes every policy look again.
    pub(super) fn unstable(&self, now: Timestamp) -> Option<String> {
        let out: Vec<&str> = self
            .zones
            .iter()
            .filter(|(_, memory)| memory.health == ZoneHealth::Impaired)
            .map(|(zone, _)| zone.as_str())
            .collect();
        if out.len() >= ZONES {
            return Some(format!("zones {} are out", out.join(", ")));
        }
        let seen = self.zones.iter().map(|(_, memory)| memory.condition);
        if let Some(why) = unstable_nodes(seen.map(|condition| (condition.nodes, condition.usable)))
        {
            return Some(why);
        }
        let (waiting, all) = self.index.cluster().waiting_pods();
        if waiting >= WAITING && waiting * 100 >= all * WAITING_PERCENT {
            return Some(format!("at least {WAITING_PERCENT} % of the pods wait for a node"));
        }
        self.failures.are_many(now).then(|| {
            format!("at least {FAILURES} requests to the API server failed within a minute")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_matter_while_they_are_many() {
        let mut failures = Failures::default();
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        for second in [0, 20, 30, 40] {
            failures.note(at(second));
            assert!(!failures.are_many(at(second)));
        }
        failures.note(at(50));
        assert_eq!(failures.calm_at(at(50)), Some(at(60)));
        failures.note(at(55));
        assert!(failures.are_many(at(79)), "the second of them was at 20");
        assert!(!failures.are_many(at(80)));
    }
}
