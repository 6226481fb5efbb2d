//! Worlds with deploy/steering: new pods prefer the zone that the status of their policy says,
//! as each API server knows it by then.

use crate::dice::Dice;
use crate::objects::{self, millis};
use crate::script::{Millis, SECOND, Script, Trouble};
use crate::world::World;
use zonespread::api::{SteeredTier, ZoneSpreadPolicyStatus};
use zonespread::moves::{ActionError, SteeredPod};
use zonespread::observe::{EMPTY_NODE, Zone};

/// How late an API server is at most with what another one has stored.
const LATE: usize = 1_000;

/// What steers the pods of a policy, and from when on.
#[derive(Clone, Debug, Default)]
pub struct Steering {
    stored: Vec<(Millis, Vec<SteeredTier>)>,
}

impl Script {
    /// Half of the worlds have steering; in some of these it is taken away for a while. Of the
    /// taints for which a zone is avoided, half are such that steered pods bear them. Drawn
    /// apart, so that all else in a world is as it would be without.
    pub fn draw_steering(&mut self) {
        let dice = &mut Dice::new(self.seed ^ 0x0057_ee12);
        self.steers = dice.chance(50);
        self.avoided_as_empty = dice.chance(50);
        if !self.steers || self.kind.is_calm() || dice.chance(80) {
            return;
        }
        let quiet = self.end.saturating_sub(90 * SECOND);
        let at = 20 * SECOND + dice.below(usize::try_from(self.end).unwrap()) as u64;
        let lasts = dice.pick(&[5, 20, 60, 200]) * SECOND;
        self.troubles.push((at.min(quiet), Trouble::Steers(false)));
        self.troubles.push(((at + lasts).min(quiet), Trouble::Steers(true)));
        self.troubles.sort_by_key(|(at, _)| *at);
    }
}

impl Script {
    /// The taint for which the scheduler avoids the nodes of a zone, if it does.
    pub fn avoided_for(&self, zone: usize) -> Option<&'static str> {
        let key = if self.avoided_as_empty { EMPTY_NODE } else { "example.com/busy" };
        (self.avoided == Some(zone)).then_some(key)
    }
}

impl World {
    /// A status is stored: soon every API server goes by it.
    pub fn note_steering(&mut self, policy: usize, status: Option<&ZoneSpreadPolicyStatus>) {
        let at = self.now + self.dice.between(20, LATE) as u64;
        let tiers = status.and_then(|status| status.steering.as_ref());
        let tiers = tiers.map_or_else(Vec::new, |steering| steering.tiers.clone());
        self.laws.danger[11] += u64::from(!tiers.is_empty());
        let known = self.steering.entry(policy).or_default();
        let at = known.stored.last().map_or(at, |(last, _)| at.max(*last));
        known.stored.push((at, tiers));
        let now = self.now;
        if let Some(past) = known.stored.iter().rposition(|(at, _)| *at <= now) {
            known.stored.drain(..past);
        }
    }

    /// The zone that a new pod of the tier prefers.
    pub fn steered(&self, tier: usize) -> Option<Zone> {
        let known = self.steering.get(&self.script.tiers[tier].policy).filter(|_| self.steers)?;
        let (_, tiers) = known.stored.iter().rfind(|(at, _)| *at <= self.now)?;
        let name = objects::app(tier);
        let steered = tiers.iter().find(|steered| steered.name == name)?;
        (self.now < millis(steered.until.0)).then(|| Zone::new(&steered.zone))
    }

    /// What a dry run shows.
    pub fn check_steering(&self, pod: &SteeredPod) -> Result<(), ActionError> {
        let is_of = |tier: &usize| pod.labels.get("app") == Some(&objects::app(*tier));
        let tier = (0..self.tiers.len()).find(is_of);
        let seen = tier.and_then(|tier| self.steered(tier));
        if self.steers && seen == pod.zone {
            return Ok(());
        }
        Err(ActionError::Stale(format!("new pods prefer {seen:?}")))
    }

    /// Law 11: what steers is in use, or ends. A status that is not written any more has an
    /// end in itself.
    pub fn judge_steering(&mut self) {
        for policy in 0..self.policies.len() {
            let object = self.policies[policy].object.as_ref();
            let Some(status) = object.and_then(|object| object.status.as_ref()) else { continue };
            let Some(steering) = &status.steering else { continue };
            for steered in &steering.tiers {
                let moving = status
                    .moves
                    .iter()
                    .any(|moved| moved.tier == steered.name && moved.state.is_under_way());
                let mut tiers = status.tiers.iter();
                let waits = tiers.any(|tier| tier.name == steered.name && tier.blocked.is_some());
                if !moving && !waits && self.now < millis(steered.until.0) {
                    let how = format!("tier {} is steered though nothing moves", steered.name);
                    self.laws.breaks(11, self.now, how);
                    return;
                }
            }
        }
    }
}
