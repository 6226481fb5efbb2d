//! What the loss of each zone would do, as far as it is known: made beside all else, a little
//! at a time, whenever what it stands on has changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{CONDITION_SAFE_TO_LOSE_ZONE, ZoneSpreadPolicyStatus};
use crate::observe::{Index, Name, PolicyKey, Zone};
use crate::outlook::{
    KeptPlaces, Missing, Of, Phase, PolicyForecast, Survey, TierForecast, ZoneOutlook,
    tier_fingerprint,
};
use crate::plan::TierSettings;
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
    /// Policies whose pods may have changed since the outlook that they are in.
    touched: BTreeSet<PolicyKey>,
    /// The pods of each tier in that outlook.
    fingerprints: BTreeMap<PolicyKey, BTreeMap<Name, u64>>,
    making: Option<Making>,
    /// What the last outlook of all stands on.
    basis: Option<Basis>,
    /// Where the pods went in it, and since then.
    kept: KeptPlaces,
}

/// An outlook that is being made.
#[derive(Debug)]
struct Making {
    survey: Survey,
    policies: BTreeMap<PolicyKey, PolicyForecast>,
    zones: BTreeMap<Zone, ZoneLossTotals>,
}

/// How far an outlook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutlookProgress {
    /// There is nothing to do now.
    Idle,
    /// It is being made.
    GoesOn,
    /// It is made, of all pods or of some tiers only.
    Made {
        /// Whether it is of all.
        of_all: bool,
    },
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
            let forecast = if self.survey.is_partial() {
                self.policies.entry(key).or_default()
            } else {
                let Some(known) = self.policies.get_mut(&key) else { continue };
                known
            };
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
        let Making { mut policies, zones, survey } = made;
        let is_partial = survey.is_partial();
        self.kept = survey.into_kept();
        for (key, forecast) in &mut policies {
            for zones in forecast.values_mut() {
                TierForecast::keep_one_message(zones);
            }
            let known = self.policies.get(key);
            let is_known = |(tier, zones): (&Name, &Vec<(Zone, TierForecast)>)| {
                known.is_some_and(|known| known.get(tier) == Some(zones))
            };
            let is_same = forecast.iter().all(is_known)
                && (is_partial || known.is_some_and(|known| known.len() == forecast.len()));
            if !is_same {
                self.changed.insert(key.clone());
            }
        }
        if is_partial {
            for (key, forecast) in policies {
                self.policies.entry(key).or_default().extend(forecast);
            }
        } else {
            (self.policies, self.zones) = (policies, zones);
        }
    }

    /// Something about this policy's pods may have changed.
    pub fn touch<'a>(&mut self, policies: impl IntoIterator<Item = &'a PolicyKey>) {
        if self.basis.is_some() {
            self.touched.extend(policies.into_iter().cloned());
        }
    }

    /// The tiers of these policies that are not what they were.
    fn take_changed_tiers(&mut self, index: &Index) -> BTreeSet<(PolicyKey, Name)> {
        let mut changed = BTreeSet::new();
        for key in std::mem::take(&mut self.touched) {
            // One that is new is looked at with all others.
            let Some(known) = self.fingerprints.get_mut(&key) else { continue };
            let Some(policy) = index.policy(&key) else { continue };
            for (tier, pods) in &policy.tiers {
                let now = tier_fingerprint(index.cluster(), pods);
                if known.insert(Name::clone(tier), now) != Some(now) {
                    changed.insert((key.clone(), Name::clone(tier)));
                }
            }
        }
        changed
    }
}

impl Operator {
    /// Whether the outlook is to be made anew, or is being made. Not while pods are moved:
    /// what it would say is of no use then, and it could be in the way.
    #[must_use]
    pub fn outlook_is_due(&self) -> bool {
        self.leading
            && self.moving.is_empty()
            && (self.losses.making.is_some() || self.losses.basis != Some(self.outlook_basis()))
    }

    /// Whether it can be made, or gone on with, without looking at all pods.
    #[must_use]
    pub fn outlook_is_quick(&self) -> bool {
        self.losses.making.is_some() || !self.losses.touched.is_empty()
    }

    /// Goes on to make the outlook for as long as it may. A new one is of all pods if it may
    /// be, and otherwise of the tiers that changed.
    pub fn make_outlook(
        &mut self,
        may_be_of_all: bool,
        mut may_go_on: impl FnMut() -> bool,
    ) -> OutlookProgress {
        if self.losses.making.is_none() {
            self.losses.making = if may_be_of_all {
                Some(self.begin_outlook())
            } else {
                self.begin_partial_outlook()
            };
        }
        while let Some(making) = &mut self.losses.making {
            if making.survey.is_over() {
                let of_all = !making.survey.is_partial();
                if let Some(made) = self.losses.making.take() {
                    self.losses.publish(made);
                    self.judge_zones();
                }
                return OutlookProgress::Made { of_all };
            }
            if !may_go_on() {
                return OutlookProgress::GoesOn;
            }
            if let Some(outlook) = making.survey.step(&self.index, self.cache.config()) {
                making.note(&outlook);
            }
        }
        OutlookProgress::Idle
    }

    fn begin_outlook(&mut self) -> Making {
        self.losses.basis = Some(self.outlook_basis());
        self.losses.touched.clear();
        let cluster = self.index.cluster();
        let fingerprints = self.index.policies().map(|policy| {
            let tiers = policy.tiers.iter();
            let tiers =
                tiers.map(|(tier, pods)| (Name::clone(tier), tier_fingerprint(cluster, pods)));
            (policy.key.clone(), tiers.collect())
        });
        self.losses.fingerprints = fingerprints.collect();
        let policies = self.index.policies().map(|policy| policy.key.clone());
        Making {
            survey: Survey::begin(&self.index, None),
            policies: policies.map(|key| (key, PolicyForecast::default())).collect(),
            zones: BTreeMap::new(),
        }
    }

    fn begin_partial_outlook(&mut self) -> Option<Making> {
        if !self.losses.kept.is_of(self.index.cluster()) {
            self.losses.touched.clear();
            return None;
        }
        let changed = self.losses.take_changed_tiers(&self.index);
        if changed.is_empty() {
            return None;
        }
        let kept = std::mem::take(&mut self.losses.kept);
        let survey = Survey::again(&self.index, kept, |policy, tier| {
            changed.contains(&(policy.clone(), Name::clone(tier)))
        });
        Some(Making { survey, policies: BTreeMap::new(), zones: BTreeMap::new() })
    }

    /// Whether each zone is safe to lose, by what is known of the tiers now.
    fn judge_zones(&mut self) {
        let mut in_danger: BTreeSet<&Zone> = BTreeSet::new();
        for policy in self.index.policies() {
            for (tier, zones) in self.losses.policies.get(&policy.key).into_iter().flatten() {
                let settings = TierSettings::of(&policy.spec, tier);
                if settings.single_zone.is_some() {
                    continue;
                }
                let unsafe_ones = zones.iter().filter(|(_, forecast)| {
                    let reason = forecast.reason.as_ref().map(|(reason, _)| reason);
                    reason.is_some_and(|reason| !settings.accepted_losses.contains(reason))
                });
                in_danger.extend(unsafe_ones.map(|(zone, _)| zone));
            }
        }
        if self.index.policies().next().is_some() {
            for (zone, totals) in &mut self.losses.zones {
                totals.is_safe = !in_danger.contains(zone);
            }
        }
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
