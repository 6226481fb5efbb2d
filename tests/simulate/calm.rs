//! Whether imbalances that no outage explains are left alone as long as people said.

use crate::laws::Laws;
use crate::script::{Millis, SECOND, Watch};
use crate::world::World;
use zonespread::api::{ZoneSpreadPolicyStatus, ZoneState};

/// An imbalance that begins this long after the last return of a zone is surely not explained
/// by that: two minutes, and what a status and clocks may be late.
const OUTAGE_REACHES: Millis = 140 * SECOND;
/// An eviction may have been decided this long before it is made.
const DECIDED_BEFORE: Millis = 16 * SECOND;

impl Laws {
    /// Tiers of which a status says that they are balanced, whole, and at rest.
    pub fn note_balance(&mut self, status: &ZoneSpreadPolicyStatus, now: Millis) {
        // A zone may be out for some tiers only, by a taint.
        let is_away = |state| !matches!(state, ZoneState::Ready | ZoneState::Empty);
        if status.zones.iter().any(|zone| is_away(zone.state)) {
            self.last_return = self.last_return.max(now);
        }
        for tier in &status.tiers {
            let number: usize = tier.name.strip_prefix("app").unwrap().parse().unwrap();
            let mut own = status.moves.iter().filter(|moved| moved.tier == tier.name);
            let at_rest = !own.any(|moved| moved.state.is_under_way());
            if tier.skew <= tier.max_skew && tier.pods >= tier.replicas && at_rest {
                self.tiers[number].balanced_at = Some(now);
            }
        }
    }

    /// Whether the tier was balanced after the last outage was over: no imbalance of it since
    /// then is one that an outage explains.
    fn is_unexplained(&self, tier: usize, now: Millis) -> bool {
        let mut over = self.last_return;
        for zone in &self.zones {
            let held = zone.held_by_hand().is_some_and(|(_, until)| now < until);
            if zone.out_since().is_some() || held {
                return false;
            }
            over = over.max(zone.since());
        }
        self.tiers[tier].balanced_at.is_some_and(|at| at > over + OUTAGE_REACHES)
    }

    /// Law 6: people said what is moved, and how long a tier is left alone that changed at
    /// this time.
    fn judge_calm(&mut self, tier: usize, changed: Option<Millis>, now: Millis) {
        if !self.is_unexplained(tier, now) {
            return;
        }
        let truth = &self.tiers[tier];
        let settled = changed.map(|at| at + truth.settle);
        if truth.recovery_only {
            self.breaks(6, now, format!("tier {tier} is moved, and this is no recovery"));
        } else if let Some(settled) = settled.filter(|settled| now + 2_500 < *settled) {
            self.breaks(6, now, format!("tier {tier} is moved, and settles until {settled}"));
        }
    }
}

impl World {
    /// A pod of the tier is evicted by an operator that must have heard of what happened.
    pub fn check_calm(&mut self, operator: usize, tier: usize) {
        let watches = [Watch::Workloads, Watch::Pods];
        let heard = self.heard_of(operator, &watches, DECIDED_BEFORE).unwrap_or(0);
        let of_late = self.tiers[tier].history.iter().skip(1).map(|(at, _)| *at);
        let changed = of_late.filter(|at| *at < heard).max();
        self.laws.judge_calm(tier, changed, self.now);
    }
}
