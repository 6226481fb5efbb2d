//! What must hold when a world has come to rest.

use crate::holds::ZoneTruth;
use crate::laws::Laws;
use crate::script::{Millis, SECOND};
use crate::world::World;
use zonespread::api::Reason;

impl World {
    /// What must hold when everything has come to rest.
    pub fn judge_end(&mut self) {
        let now = self.now;
        self.judge_zones();
        self.judge_left_behind();
        self.judge_steering();
        for tier in 0..self.tiers.len() {
            self.laws.count_futile(tier, now);
            let spread = self.spread(tier);
            let policy = &self.policies[self.script.tiers[tier].policy];
            let Some(status) = policy.object.as_ref().and_then(|policy| policy.status.clone())
            else {
                self.laws.breaks(10, now, format!("policy of tier {tier} has no status"));
                return;
            };
            let name = crate::objects::app(tier);
            let Some(told) = status.tiers.iter().find(|told| told.name == name) else {
                self.laws.breaks(10, now, format!("tier {tier} is not in the status"));
                return;
            };
            let skew = spread.iter().max().unwrap() - spread.iter().min().unwrap();
            let moving =
                status.moves.iter().any(|moved| moved.tier == name && moved.state.is_under_way());
            // A move or a rollout that happens to be under way is not at rest.
            let rolled = self.tiers[tier].rolled;
            let rolling = self.tiers[tier].rolling || rolled > 0 && now < rolled + 5 * SECOND;
            if moving || rolling || self.laws.evicted_since(tier, now - 5 * SECOND) {
                continue;
            }
            let counts: Vec<i32> = told.zones.iter().map(|zone| zone.pods).collect();
            let nodes_everywhere = (0..spread.len())
                .all(|zone| self.nodes.iter().any(|node| node.zone == zone && !node.pool));
            if nodes_everywhere && counts != spread {
                let how = format!("tier {tier} is {spread:?}, the status says {counts:?}");
                self.laws.breaks(10, now, how);
            }
            let max_skew = self.laws.tiers[tier].max_skew;
            if skew > max_skew && told.blocked.is_none() {
                let how = format!("tier {tier} is {spread:?}, and nobody says why");
                self.laws.breaks(10, now, how);
            }
            if skew <= max_skew && told.blocked.is_some() {
                let how = format!("tier {tier} is balanced, and blocked: {:?}", told.blocked);
                self.laws.breaks(10, now, how);
            }
            self.laws.danger[10] += 1;
            let why = told.blocked.as_ref().map(|why| why.reason);
            // For pods that may not be moved no zone is opened.
            let is_closed = why == Some(Reason::ZoneImpaired) && !self.may_give(tier, &spread);
            let why = if is_closed { Some(Reason::Pinned) } else { why };
            self.laws.judge_minimum(tier, skew, why, now);
        }
    }
}

impl World {
    /// Whether a pod that may be moved is in a zone with two more than the poorest.
    fn may_give(&self, tier: usize, spread: &[i32]) -> bool {
        let fewest = spread.iter().min().unwrap();
        let mut own = self.pods.values().filter(|pod| pod.tier == tier && pod.is_counted());
        own.any(|pod| {
            let zone = self.zone_of(pod);
            pod.mark.is_none() && zone.is_some_and(|zone| spread[zone] >= fewest + 2)
        })
    }
}

impl Laws {
    fn evicted_since(&self, tier: usize, since: Millis) -> bool {
        self.evictions.iter().any(|eviction| eviction.tier == tier && eviction.at >= since)
    }

    /// Law 4: an undisturbed recovery takes the minimum, and gets there.
    fn judge_minimum(&mut self, tier: usize, skew: i32, why: Option<Reason>, now: Millis) {
        if !self.is_calm() {
            return;
        }
        self.judge_made(tier, now);
        let gets_no_further = matches!(
            why,
            Some(
                Reason::WouldNotLand
                    | Reason::NoRoom
                    | Reason::SingleReplica
                    | Reason::Pinned
                    | Reason::Paused
                    | Reason::OutsideWindow
                    | Reason::AwaitingApproval
            )
        );
        // Nobody saw the outage: to them it is none.
        let is_unseen = matches!(why, Some(Reason::Settling | Reason::NotARecovery))
            && !self.zones.iter().any(ZoneTruth::is_told);
        if skew > self.tiers[tier].max_skew && !gets_no_further && !is_unseen {
            self.breaks(4, now, format!("tier {tier} does not get home: {why:?}"));
        }
    }

    /// Something happens to a zone: what is uneven afterwards takes moves of its own. A tier
    /// that the scheduler itself made uneven may have been evened out before.
    pub fn judge_made_before(&mut self, now: Millis) {
        if !self.is_calm() {
            return;
        }
        for tier in 0..self.tiers.len() {
            let made = self.judge_made(tier, now);
            let truth = &mut self.tiers[tier];
            (truth.made_before, truth.fewest) = (truth.made_before + made, None);
        }
    }

    /// Whether no more moves were made since something last happened to a zone than were
    /// needed; gives how many.
    fn judge_made(&mut self, tier: usize, now: Millis) -> i32 {
        let made = self.evictions.iter().filter(|eviction| eviction.tier == tier).count();
        let made = i32::try_from(made).unwrap() - self.tiers[tier].made_before;
        let fewest = self.tiers[tier].fewest.unwrap_or(0);
        self.danger[4] += u64::from(fewest > 0);
        if made > fewest {
            self.breaks(4, now, format!("tier {tier} took {made} evictions, {fewest} do"));
        }
        made
    }
}
