//! Steering, tier by tier: which zone new pods prefer, as the status says, and from when on
//! every API server goes by it. A move that is planned with steering, or without, begins only
//! while that holds (law 2). What steers ends by itself (law 11).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::api::{self, Blocked, Reason, SteeredTier, ZoneSpreadPolicyStatus, seconds};
use crate::moves::Move;
use crate::observe::{Name, PolicyKey, Zone};
use crate::plan::{PlannedMove, Steering, SteeringRight, TierPlan, TierView};

use super::policy_state::PolicyState;
use super::{Fault, Operator};

/// How long what steers lasts, whatever becomes of the operator.
const LASTS: SignedDuration = SignedDuration::from_mins(10);
/// It is prolonged when less than this is left.
const PROLONGED_AT: SignedDuration = SignedDuration::from_mins(5);
/// No move begins with less than this: its replacement is yet to be made.
const LEFT_TO_BEGIN: SignedDuration = SignedDuration::from_mins(1);
/// Every API server goes by a status so soon after it was stored: their watches took 0.1 s.
const IN_FORCE_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// How the new pods of a tier are steered.
#[derive(Clone, Debug, PartialEq)]
struct TierSteering {
    /// The zone that they are to prefer; none: none any more.
    zone: Option<Zone>,
    until: Timestamp,
    /// The same as it is stored, if it is.
    stored: Option<StoredSteering>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct StoredSteering {
    until: Timestamp,
    in_force: Timestamp,
}

impl TierSteering {
    fn is_in_force(&self, now: Timestamp) -> bool {
        self.stored.is_some_and(|stored| {
            stored.in_force <= now && stored.until.duration_since(now) > LEFT_TO_BEGIN
        })
    }
}

/// How the new pods of a policy's tiers are steered, or have been until just now.
#[derive(Clone, Debug, Default)]
pub(super) struct Steerings(BTreeMap<Name, TierSteering>);

impl Steerings {
    /// What an earlier process wrote.
    pub fn restore(status: &ZoneSpreadPolicyStatus, now: Timestamp) -> Self {
        let tiers = status.steering.iter().flat_map(|steering| &steering.tiers);
        let restored = tiers.map(|tier| {
            let until = tier.until.0;
            let in_force = now.saturating_add(IN_FORCE_AFTER).unwrap_or(Timestamp::MAX);
            let known = TierSteering {
                zone: Some(Zone::new(&tier.zone)),
                until,
                stored: Some(StoredSteering { until, in_force }),
            };
            (Name::from(tier.name.as_str()), known)
        });
        Self(restored.collect())
    }

    /// The zone that new pods of the tier prefer.
    pub fn zone_of(&self, tier: &str) -> Option<&Zone> {
        self.0.get(tier)?.zone.as_ref()
    }

    /// The newest status is stored.
    pub fn stored(&mut self, status: &ZoneSpreadPolicyStatus, now: Timestamp) {
        for (tier, known) in &mut self.0 {
            let mut tiers = status.steering.iter().flat_map(|steering| &steering.tiers);
            let told = tiers.find(|told| *told.name == **tier);
            let until = match (&known.zone, told) {
                (Some(zone), Some(told)) if *told.zone == *zone.as_str() => Some(told.until.0),
                (None, None) => Some(Timestamp::MAX),
                _ => None,
            };
            let before = known.stored.filter(|before| before.until > now);
            let in_force = before.map_or_else(
                || now.saturating_add(IN_FORCE_AFTER).unwrap_or(Timestamp::MAX),
                |before| before.in_force,
            );
            known.stored = until.map(|until| StoredSteering { until, in_force });
        }
    }

    /// Forgets what has ended everywhere.
    pub fn settle(&mut self, now: Timestamp) {
        self.0.retain(|_, known| known.zone.is_some() || !known.is_in_force(now));
    }

    /// New pods of the tier are to prefer that zone, or none.
    pub fn set(&mut self, tier: &Name, wanted: Option<&Zone>, now: Timestamp) {
        let until = seconds(now.saturating_add(LASTS).unwrap_or(Timestamp::MAX)).0;
        match self.0.get_mut(tier) {
            None if wanted.is_none() => {}
            Some(known) if known.zone.as_ref() == wanted => {
                if known.until.duration_since(now) < PROLONGED_AT {
                    known.until = until;
                }
            }
            _ => {
                let known = TierSteering { zone: wanted.cloned(), until, stored: None };
                self.0.insert(Name::clone(tier), known);
            }
        }
    }

    /// Ends the steering of all tiers but these.
    pub fn end_others(&mut self, tiers: &[&Name], now: Timestamp) {
        let others: Vec<Name> =
            self.0.keys().filter(|tier| !tiers.contains(tier)).map(Name::clone).collect();
        for tier in others {
            self.set(&tier, None, now);
        }
    }

    /// What the status says of it.
    pub fn to_status(&self) -> Vec<SteeredTier> {
        let steered = self.0.iter().filter_map(|(tier, known)| {
            Some(SteeredTier {
                name: tier.to_string(),
                zone: known.zone.as_ref()?.to_string(),
                until: seconds(known.until),
            })
        });
        steered.collect()
    }

    /// When the answer changes by time alone.
    pub fn changes_at(&self) -> impl Iterator<Item = Timestamp> {
        self.0.values().flat_map(|known| {
            let prolonged = known.until.checked_sub(PROLONGED_AT).ok();
            let prolonged = prolonged.filter(|_| known.zone.is_some());
            known.stored.map(|stored| stored.in_force).into_iter().chain(prolonged)
        })
    }

    /// Why a move that is planned with this steering does not begin yet.
    fn blocks(&self, tier: &str, planned: Option<&Zone>, now: Timestamp) -> Option<Blocked> {
        let known = self.0.get(tier);
        let holds = known.map_or(planned.is_none(), |known| {
            known.zone.is_some() && known.zone.as_ref() == planned && known.is_in_force(now)
        });
        let message = planned.map_or_else(
            || "new pods of the tier still prefer a zone: the next move begins when they no longer do".to_owned(),
            |zone| format!("new pods of the tier are made to prefer zone {zone} (deploy/steering): the next move begins when that is in force"),
        );
        (!holds).then_some(Blocked { reason: Reason::MovesUnderWay, message })
    }
}

impl Operator {
    /// Whether new pods can be steered, from now on.
    pub fn set_steering_right(&mut self, right: SteeringRight) {
        self.steering = right;
    }

    /// The zone that new pods of a tier prefer now, as far as its policy's status says.
    #[must_use]
    pub fn steered_zone(&self, key: &PolicyKey, tier: &str, now: Timestamp) -> Option<&Zone> {
        let known = self.policies.get(key)?.steering.0.get(tier)?;
        known.zone.as_ref().filter(|_| known.until > now)
    }

    /// How new pods of a tier are steered, and may be.
    pub(super) fn steering_of(&self, tier: &str, memory: &PolicyState) -> Steering {
        let available = self.steering == SteeringRight::Proven;
        let zone = memory.steering.zone_of(tier).filter(|_| available);
        Steering { available, zone: zone.cloned() }
    }

    /// Why the next move waits though nothing else is in the way: its replacement would not be
    /// steered as planned.
    pub(super) fn not_steered(
        &self,
        view: &TierView,
        next: &PlannedMove,
        memory: &PolicyState,
        now: Timestamp,
    ) -> Option<Blocked> {
        // Whoever only looks starts nothing.
        let rushes = self.fault == Some(Fault::RushesSteering);
        let steering = Some(&memory.steering).filter(|_| self.leading && !rushes)?;
        steering.blocks(&view.name, next.steered.as_ref(), now)
    }

    /// Steers new pods of the tier as its next move needs it, and as those that are to come
    /// were promised.
    pub(super) fn steer(
        &self,
        view: &TierView,
        plan: &TierPlan,
        blocked: Option<&Blocked>,
        memory: &mut PolicyState,
        now: Timestamp,
    ) {
        if !self.leading {
            return;
        }
        let is_coming = |moved: &Move| !moved.is_placed();
        let may_begin = blocked.is_none_or(|why| why.reason == Reason::MovesUnderWay);
        let next = plan.moves.first().filter(|_| may_begin && !view.is_balanced());
        let wanted = if self.steering != SteeringRight::Proven {
            None
        } else if memory.under_way_of(&view.name).any(is_coming) {
            memory.steering.zone_of(&view.name).cloned()
        } else {
            next.and_then(|next| next.steered.clone())
        };
        memory.steering.set(&view.name, wanted.as_ref(), now);
    }

    /// What the status says of steering.
    pub(super) fn steering_status(&self, memory: &PolicyState) -> Option<api::Steering> {
        let available = self.steering == SteeringRight::Proven;
        let tiers = memory.steering.to_status();
        (available || !tiers.is_empty()).then_some(api::Steering { available, tiers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn status(steerings: &Steerings) -> ZoneSpreadPolicyStatus {
        let tiers = steerings.to_status();
        let steering = Some(api::Steering { available: true, tiers });
        ZoneSpreadPolicyStatus { steering, ..ZoneSpreadPolicyStatus::default() }
    }

    /// Web is steered to zone c, stored in second 0.
    fn steered() -> Steerings {
        let mut steerings = Steerings::default();
        steerings.set(&Name::from("web"), Some(&Zone::new("c")), at(0));
        steerings.stored(&status(&steerings.clone()), at(0));
        steerings
    }

    fn may_begin(steerings: &Steerings, zone: Option<&str>, second: i64) -> bool {
        steerings.blocks("web", zone.map(Zone::new).as_ref(), at(second)).is_none()
    }

    #[test]
    fn a_move_begins_once_its_steering_is_stored_and_everywhere() {
        let mut steerings = Steerings::default();
        assert!(may_begin(&steerings, None, 0) && !may_begin(&steerings, Some("c"), 0));
        steerings.set(&Name::from("web"), Some(&Zone::new("c")), at(0));
        assert!(!may_begin(&steerings, Some("c"), 100));
        steerings.stored(&ZoneSpreadPolicyStatus::default(), at(100));
        assert!(!may_begin(&steerings, Some("c"), 110));
        steerings.stored(&status(&steerings.clone()), at(120));
        assert!(!may_begin(&steerings, Some("c"), 121) && may_begin(&steerings, Some("c"), 122));
        assert!(!may_begin(&steerings, Some("b"), 122) && !may_begin(&steerings, None, 122));
    }

    #[test]
    fn a_move_without_steering_waits_until_none_is_left() {
        let mut steerings = steered();
        steerings.set(&Name::from("web"), None, at(10));
        steerings.settle(at(60));
        assert!(!may_begin(&steerings, None, 60));
        steerings.stored(&status(&steerings.clone()), at(60));
        steerings.settle(at(61));
        assert!(!may_begin(&steerings, None, 61));
        steerings.settle(at(62));
        assert!(may_begin(&steerings, None, 62));
    }

    #[test]
    fn steering_fades_unless_it_is_prolonged_and_stored() {
        let mut steerings = steered();
        assert!(may_begin(&steerings, Some("c"), 539) && !may_begin(&steerings, Some("c"), 540));
        steerings.set(&Name::from("web"), Some(&Zone::new("c")), at(299));
        assert_eq!(steerings.to_status()[0].until.0, at(600));
        steerings.set(&Name::from("web"), Some(&Zone::new("c")), at(301));
        assert_eq!(steerings.to_status()[0].until.0, at(901));
        assert!(!may_begin(&steerings, Some("c"), 560));
        steerings.stored(&status(&steerings.clone()), at(560));
        assert!(may_begin(&steerings, Some("c"), 560));
        // Once it has faded, it has to reach every API server again.
        steerings.set(&Name::from("web"), Some(&Zone::new("c")), at(1000));
        steerings.stored(&status(&steerings.clone()), at(1000));
        assert!(!may_begin(&steerings, Some("c"), 1000) && may_begin(&steerings, Some("c"), 1002));
    }

    #[test]
    fn what_an_earlier_process_wrote_is_taken_over() {
        let restored = Steerings::restore(&status(&steered()), at(100));
        assert_eq!(restored.zone_of("web"), Some(&Zone::new("c")));
        assert!(!may_begin(&restored, Some("c"), 101) && may_begin(&restored, Some("c"), 102));
        let mut others = restored;
        others.end_others(&[], at(103));
        assert!(others.to_status().is_empty() && !may_begin(&others, None, 104));
    }
}
