//! Scale-downs that deletion costs guide: which worlds have them, and what must hold after one.

use crate::dice::Dice;
use crate::laws::Laws;
use crate::objects::Pod;
use crate::script::{Kind, Millis, Right, SECOND, Script, Trouble};
use crate::world::World;
use zonespread::plan::skew_of;

/// Costs had time to be written when nothing has changed for so long.
const SETTLED: Millis = 30 * SECOND;

impl Script {
    /// In half of the worlds where pods may be changed scale-downs are guided, and in those with
    /// one outage only there are some once everything is home. Drawn apart, so that all else in
    /// a world is as it would be without.
    pub fn draw_scale_ins(&mut self) {
        let dice = &mut Dice::new(self.seed ^ 0x005c_a1e1);
        if !self.surges || !dice.chance(50) {
            return;
        }
        self.guides = true;
        let calm = matches!(self.kind, Kind::Outage | Kind::Crashes);
        if !calm || self.right != Right::Fenced {
            return;
        }
        for (tier, script) in self.tiers.iter().enumerate() {
            for step in 0..3 {
                let fewer = dice.between(1, script.replicas.div_ceil(2));
                let at = self.end + step * 5 * SECOND;
                self.troubles.push((at, Trouble::ScaleIn(tier, fewer)));
            }
        }
        self.troubles.sort_by_key(|(at, _)| *at);
        self.end += 20 * SECOND;
    }
}

impl World {
    /// An autoscaler wants fewer pods of a tier that is guided: it stays in balance.
    pub fn scale_in(&mut self, tier: usize, fewer: usize) {
        let desired = self.tiers[tier].desired;
        let replicas = desired.saturating_sub(fewer).max(1);
        if replicas >= desired || !self.is_guided(tier) {
            return;
        }
        let before = self.spread(tier);
        self.laws.guided_scale_ins += 1;
        self.scale(tier, replicas);
        self.reconcile(tier);
        let after = self.spread(tier);
        self.tell(|| format!("tier {tier} is scaled in: {before:?} to {after:?}"));
        if !self.laws.is_balanced(tier, &after) {
            let how =
                format!("scaled to {replicas}, tier {tier} went from {before:?} to {after:?}");
            self.laws.breaks(4, self.now, how);
        }
    }

    /// Whether the tier is in balance, and all of its pods have had time to get their costs.
    fn is_guided(&self, tier: usize) -> bool {
        let policy = self.script.tiers[tier].policy;
        let stands = self.right == Right::Fenced && self.policies[policy].object.is_some();
        let mut pods = self.pods.values().filter(|pod| pod.tier == tier);
        let since = self.now.saturating_sub(SETTLED);
        let is_guided = |pod: &Pod| {
            let is_up = pod.terminating || pod.ready_since.is_some_and(|ready| ready <= since);
            is_up && pod.owned && !pod.released && pod.has_own_cost() && pod.cost.is_some()
        };
        let is_one = self.tiers[tier].wanted.len() == 1 && !self.tiers[tier].rolling;
        stands && is_one && pods.all(is_guided) && self.laws.is_balanced(tier, &self.spread(tier))
    }
}

impl Laws {
    /// Whether nothing needs to be moved.
    pub fn is_balanced(&self, tier: usize, spread: &[i32]) -> bool {
        skew_of(spread.iter().copied()) <= self.tiers[tier].max_skew
    }
}

impl Pod {
    /// Whether nobody but an operator has given it a cost.
    pub fn has_own_cost(&self) -> bool {
        self.cost == self.own_cost
    }
}
