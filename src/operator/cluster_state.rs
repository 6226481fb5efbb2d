//! What holds for the whole cluster, whichever nodes a tier uses: while it is unstable
//! nothing is evicted anywhere (law 1).

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::observe::{PolicyKey, several_zones_out};

use super::Operator;

/// At this share of pods without a node, in percent, the cluster is unstable.
const WAITING_PERCENT: usize = 10;
/// Fewer pods without a node are the matter of their tier.
const WAITING: usize = 10;
/// With this many failed requests within [`FAILURES_WITHIN`] the cluster is unstable.
const FAILURES: usize = 5;
/// How many failures of one policy count.
const FAILURES_OF_ONE: usize = 2;
const FAILURES_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// What holds for the whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClusterState {
    /// Why no pod of any tier may be moved, if so.
    pub unstable: Option<String>,
    /// What may not be known.
    pub stale: Option<String>,
}

/// Which requests failed of late: for which policy, and when.
#[derive(Debug, Default)]
pub(super) struct ApiFailures(VecDeque<(Timestamp, PolicyKey)>);

impl ApiFailures {
    /// A request failed. Failures of a single policy must not stop the others.
    pub fn note(&mut self, policy: &PolicyKey, now: Timestamp) {
        let own = |(_, known): &(Timestamp, PolicyKey)| known == policy;
        if self.0.iter().filter(|failure| own(failure)).count() >= FAILURES_OF_ONE
            && let Some(oldest) = self.0.iter().position(own)
        {
            self.0.remove(oldest);
        }
        self.0.push_back((now, policy.clone()));
        // More than matter are not kept.
        if self.0.len() > FAILURES {
            self.0.pop_front();
        }
    }

    fn are_many(&self, now: Timestamp) -> bool {
        self.recovers_at(now).is_some()
    }

    /// When they are few again; none if they are.
    pub fn recovers_at(&self, now: Timestamp) -> Option<Timestamp> {
        let (first, _) = self.0.front().filter(|_| self.0.len() == FAILURES)?;
        first.checked_add(FAILURES_WITHIN).ok().filter(|calm| *calm > now)
    }
}

impl Operator {
    /// Why no pod of any tier may be moved, if so. One zone, and nodes, are a matter of the
    /// tiers that use them; two zones are everybody's, since their pods look for room in the
    /// others. The words do not change with every pod: each change makes every policy look
    /// again.
    pub(super) fn unstable(&self, now: Timestamp) -> Option<String> {
        if let Some(out) = several_zones_out(self.zones.iter(), now) {
            return Some(format!("{out}: nothing is evicted anywhere until at most one is"));
        }
        let (waiting, all) = self.index.cluster().waiting_pods();
        if waiting >= WAITING && waiting * 100 >= all * WAITING_PERCENT {
            return Some(format!(
                "at least {WAITING_PERCENT} % of the pods wait for a node: nothing is evicted anywhere until fewer do (`kubectl get pods -A --field-selector spec.nodeName=` shows them)"
            ));
        }
        self.failures.are_many(now).then(|| {
            format!(
                "at least {FAILURES} requests to the API server failed within a minute: nothing is evicted until fewer do; the operator's log names them"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str) -> PolicyKey {
        PolicyKey { namespace: "shop".into(), name: name.into() }
    }

    #[test]
    fn failures_matter_while_they_are_many() {
        let mut failures = ApiFailures::default();
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        for (second, name) in [(0, "a"), (20, "b"), (30, "a"), (40, "b")] {
            failures.note(&policy(name), at(second));
            assert!(!failures.are_many(at(second)));
        }
        failures.note(&policy("c"), at(50));
        assert_eq!(failures.recovers_at(at(50)), Some(at(60)));
        failures.note(&policy("d"), at(55));
        assert!(failures.are_many(at(79)), "the second of them was at 20");
        assert!(!failures.are_many(at(80)));
    }

    #[test]
    fn a_policy_that_fails_all_the_time_stops_no_other() {
        let mut failures = ApiFailures::default();
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        for second in 0..100 {
            failures.note(&policy("broken"), at(second));
            failures.note(&policy("unlucky"), at(second));
            assert!(!failures.are_many(at(second)));
        }
    }
}
