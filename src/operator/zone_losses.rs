//! What the loss of each zone would do, as far as it is known: made beside all else, a little
//! at a time, whenever what it stands on has changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{CONDITION_SAFE_TO_LOSE_ZONE, ZoneSpreadPolicyStatus};
use crate::observe::{Name, PolicyKey, Zone};
use crate::outlook::{Missing, Of, Phase, PolicyForecast, Survey, TierForecast, ZoneOutlook};
use crate::predict::SchedulerVersion;
use crate::report::ZoneLossSeries;

use super::Operator;

/// What the loss of one zone would do to the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ZoneLossTotals {
    /// Pods that would stay Pending, in the worse phase.
    pending: usize,
    /// What those ask for that find no room.
    missing: Missing,
    /// Whether no tier of a policy is in danger.
    is_safe: bool,
}

impl ZoneLossTotals {
    #[allow(clippy::cast_precision_loss, reason = "nobody has 2^53 bytes of memory")]
    fn to_series(self) -> ZoneLossSeries {
        let Missing { cpu_milli, memory, pods } = self.missing;
        ZoneLossSeries {
            pending: self.pending,
            cpu: cpu_milli as f64 / 1000.0,
            memory: memory as f64,
            pods,
            is_safe: self.is_safe,
        }
    }
}

/// Whatever an outlook stands on.
type Basis = (u64, SchedulerVersion);

/// What the loss of each zone would do.
#[derive(Debug, Default)]
pub(super) struct ZoneLosses {
    policies: BTreeMap<PolicyKey, PolicyForecast>,
    zones: BTreeMap<Zone, ZoneLossTotals>,
    /// Policies of which something else is known than when they were last asked.
    changed: BTreeSet<PolicyKey>,
    survey: Option<Making>,
    /// What the last outlook stands on.
    basis: Option<Basis>,
}

/// An outlook that is being made.
#[derive(Debug)]
struct Making {
    survey: Survey,
    policies: BTreeMap<PolicyKey, PolicyForecast>,
    zones: BTreeMap<Zone, ZoneLossTotals>,
}

impl Making {
    fn note(&mut self, outlook: &ZoneOutlook) {
        let pending = [Phase::Unreachable, Phase::Gone].map(|phase| outlook.pending(phase));
        let totals = ZoneLossTotals {
            pending: pending[0].max(pending[1]),
            missing: outlook.missing,
            is_safe: outlook.is_safe(),
        };
        self.zones.insert(outlook.zone.clone(), totals);
        for tier in &outlook.tiers {
            let Of::Tier(policy, name) = &tier.of else { continue };
            let key =
                PolicyKey { namespace: Name::clone(&tier.namespace), name: Name::clone(policy) };
            // A policy that came meanwhile is not told of before all of it is known.
            let Some(forecast) = self.policies.get_mut(&key) else { continue };
            let zones = forecast.entry(Name::clone(name)).or_default();
            zones.push((outlook.zone.clone(), TierForecast::of(tier)));
        }
    }
}

impl ZoneLosses {
    /// What is known of a policy's tiers.
    pub fn of(&self, policy: &PolicyKey) -> Option<&PolicyForecast> {
        self.policies.get(policy)
    }

    /// Whether a zone is safe to lose, if that is known.
    pub fn is_safe(&self, zone: &Zone) -> Option<bool> {
        self.zones.get(zone).map(|totals| totals.is_safe)
    }

    /// Whether the policies that changed are still to be asked.
    pub fn has_news(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Policies of which something else is known than before.
    pub fn take_changed(&mut self) -> BTreeSet<PolicyKey> {
        std::mem::take(&mut self.changed)
    }

    /// Takes over what the leader before wrote, so that nothing is unsaid after a restart.
    pub fn restore(&mut self, policy: &PolicyKey, status: &ZoneSpreadPolicyStatus) {
        let mut conditions = status.conditions.iter();
        if !conditions.any(|condition| condition.type_ == CONDITION_SAFE_TO_LOSE_ZONE) {
            return;
        }
        let tiers = status.tiers.iter().map(|tier| {
            let zones = tier.zone_loss.iter();
            let zones = zones.map(|loss| (Zone::new(&loss.zone), TierForecast::told(loss)));
            (Name::from(tier.name.as_str()), zones.collect())
        });
        self.policies.insert(policy.clone(), tiers.collect());
    }

    fn publish(&mut self, made: Making) {
        let Making { mut policies, zones, survey: _ } = made;
        for (key, forecast) in &mut policies {
            for zones in forecast.values_mut() {
                TierForecast::keep_one_message(zones);
            }
            if self.policies.get(key) != Some(forecast) {
                self.changed.insert(key.clone());
            }
        }
        (self.policies, self.zones) = (policies, zones);
    }
}

impl Operator {
    /// Whether the outlook is to be made anew, or is being made. Not while pods are moved:
    /// what it would say is of no use then, and it could be in the way.
    #[must_use]
    pub fn outlook_is_due(&self) -> bool {
        self.leading
            && self.moving.is_empty()
            && (self.losses.survey.is_some() || self.losses.basis != Some(self.outlook_basis()))
    }

    /// Goes on to make the outlook for as long as it may; false if it is made.
    pub fn make_outlook(&mut self, mut may_go_on: impl FnMut() -> bool) -> bool {
        if self.losses.survey.is_none() {
            self.losses.basis = Some(self.outlook_basis());
            let policies = self.index.policies().map(|policy| policy.key.clone());
            self.losses.survey = Some(Making {
                survey: Survey::begin(&self.index, None),
                policies: policies.map(|key| (key, PolicyForecast::default())).collect(),
                zones: BTreeMap::new(),
            });
        }
        while let Some(making) = &mut self.losses.survey {
            if making.survey.is_over() {
                if let Some(made) = self.losses.survey.take() {
                    self.losses.publish(made);
                }
                return false;
            }
            if !may_go_on() {
                return true;
            }
            if let Some(outlook) = making.survey.step(&self.index, self.cache.config()) {
                making.note(&outlook);
            }
        }
        false
    }

    /// Whether the outlook says something else than when the policies were last asked.
    #[must_use]
    pub fn outlook_has_news(&self) -> bool {
        self.losses.has_news()
    }

    /// What the loss of each zone would do to the cluster, as far as it is known.
    pub fn zone_losses(&self) -> impl Iterator<Item = (&str, ZoneLossSeries)> {
        self.losses.zones.iter().map(|(zone, totals)| (zone.as_str(), totals.to_series()))
    }

    fn outlook_basis(&self) -> Basis {
        (self.index.changes(), self.cache.config().version)
    }
}
