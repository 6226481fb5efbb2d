//! The operator without its IO: events go in, effects come out.
//!
//! [`Operator::apply`] folds a watch event into the index, [`Operator::outcome`]
//! what became of an effect, and [`Operator::decide`] asks the planner about
//! every policy whose answer may have changed. The controller carries the
//! effects out; a simulation can do so as well.

mod assess;
mod effect;
mod memory;
mod recovery;

pub use effect::{Decision, Effect, EvictionRequest, Outcome, Refusal, Signal};

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::{ZoneSpreadPolicyStatus, ZoneState};
use crate::observe::{
    Change, HealthRules, Index, PolicyKey, ZoneHealth, ZoneTracker, zone_conditions,
};

use memory::PolicyMemory;

/// At this share of bad nodes, in percent, nothing is evicted anywhere.
const UNSTABLE_PERCENT: usize = 20;
/// With this many zones out, nothing is evicted anywhere.
const UNSTABLE_ZONES: usize = 2;

/// The operator without its IO.
#[derive(Debug, Default)]
pub struct Operator {
    index: Index,
    zones: ZoneTracker,
    rules: HealthRules,
    policies: BTreeMap<PolicyKey, PolicyMemory>,
    throttled_until: Option<Timestamp>,
    leading: bool,
    /// What held for the whole cluster when the policies were last asked.
    weather: Weather,
}

/// What holds for the whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Weather {
    unstable: Option<String>,
    stale: Option<String>,
}

impl Operator {
    /// An operator that knows nothing yet.
    #[must_use]
    pub fn new(rules: HealthRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// The index.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// The zones' health.
    #[must_use]
    pub const fn zones(&self) -> &ZoneTracker {
        &self.zones
    }

    /// Every zone, its state under the longest hold-down in use, and until when it is held.
    pub fn zone_states(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (&str, ZoneState, Option<Timestamp>)> {
        let longest = self.hold_downs().into_iter().max().unwrap_or_default();
        self.zones.iter().map(move |(zone, memory)| {
            (zone.as_str(), memory.state(longest, now), memory.hold_until(longest))
        })
    }

    /// Folds one watch event into the index.
    pub fn apply(&mut self, change: Change) {
        self.index.apply(change);
    }

    /// This process leads from now on: takes over what the one before wrote.
    pub fn lead<'a>(
        &mut self,
        statuses: impl IntoIterator<Item = (PolicyKey, &'a ZoneSpreadPolicyStatus)>,
        now: Timestamp,
    ) {
        self.leading = true;
        self.policies.clear();
        for (key, status) in statuses {
            for zone in &status.zones {
                let (name, memory) = memory::zone_from(zone);
                self.zones.restore(name, memory);
            }
            self.policies.insert(key, PolicyMemory::restore(status, now));
        }
    }

    /// This process no longer leads.
    pub fn follow(&mut self) {
        self.leading = false;
        self.policies.clear();
    }

    /// What became of an effect.
    pub fn outcome(&mut self, outcome: Outcome, now: Timestamp) -> Vec<Signal> {
        if let Outcome::Refused { refusal: Refusal::Throttled { retry_after }, .. } = &outcome {
            self.throttled_until = now.checked_add(*retry_after).ok();
        }
        let policy = outcome.policy();
        self.policies
            .get_mut(policy)
            .map(|memory| memory.outcome(policy, &outcome, now))
            .unwrap_or_default()
    }

    /// What to do now, and when to ask again at the latest.
    pub fn decide(&mut self, now: Timestamp, stale: Option<String>) -> Decision {
        let conditions = zone_conditions(self.index.cluster(), &self.rules.allowed_taints);
        let zones_before = self.zones.clone();
        self.zones.observe(&conditions, now);
        let weather = Weather { unstable: self.unstable(), stale };
        let (changed, nodes_changed) = self.index.take_changed();
        let everything = nodes_changed || weather != self.weather || self.zones != zones_before;
        self.weather = weather;

        let mut decision = Decision::default();
        decision
            .gone
            .extend(changed.iter().filter(|key| self.index.policy(key).is_none()).cloned());
        for key in &decision.gone {
            self.policies.remove(key);
        }
        let mut due: BTreeSet<PolicyKey> = changed.into_iter().collect();
        if everything {
            due.extend(self.index.policies().map(|policy| policy.key.clone()));
        }
        let is_due = |memory: &PolicyMemory| memory.next.is_some_and(|next| next <= now);
        due.extend(
            self.policies.iter().filter(|(_, memory)| is_due(memory)).map(|(key, _)| key.clone()),
        );
        for key in &due {
            self.assess(key, now, &mut decision);
        }
        let hold_downs = self.hold_downs();
        decision.next = self
            .policies
            .values()
            .filter_map(|memory| memory.next)
            .chain(self.zones.next_change(&hold_downs, now))
            .min();
        decision
    }

    /// Every hold-down in use; a policy is asked again when one of them ends.
    fn hold_downs(&self) -> Vec<std::time::Duration> {
        let downs: BTreeSet<std::time::Duration> = self
            .index
            .policies()
            .flat_map(|policy| {
                let tiers = policy.spec.tiers.iter().map(|tier| tier.name.as_str());
                tiers
                    .chain([""])
                    .map(|tier| crate::plan::TierSettings::of(&policy.spec, tier).hold_down)
            })
            .collect();
        downs.into_iter().collect()
    }

    /// Why no pod of any tier may be moved, if so (law 1).
    fn unstable(&self) -> Option<String> {
        let out: Vec<&str> = self
            .zones
            .iter()
            .filter(|(_, memory)| memory.health == ZoneHealth::Impaired)
            .map(|(zone, _)| zone.as_str())
            .collect();
        if out.len() >= UNSTABLE_ZONES {
            return Some(format!("zones {} are out", out.join(", ")));
        }
        let (nodes, usable) = self.zones.iter().fold((0, 0), |(nodes, usable), (_, memory)| {
            (nodes + memory.condition.nodes, usable + memory.condition.usable)
        });
        let bad = nodes - usable;
        (bad > 0 && bad * 100 >= nodes * UNSTABLE_PERCENT)
            .then(|| format!("{bad} of {nodes} nodes are not usable"))
    }
}

#[cfg(test)]
mod tests;
