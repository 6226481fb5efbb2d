//! The series that come and go with policies, tiers and zones.
//!
//! What is known is kept, and the series are made of it at each scrape. So a
//! deleted tier or zone cannot leave a series behind, and the numbers are those
//! of the status.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prometheus::proto::MetricFamily;

use crate::api::{CONDITION_EFFECTIVE, Phase, TierStatus, ZoneSpreadPolicyStatus, ZoneState};
use crate::moves::{EvictionResult, MoveOutcome};
use crate::observe::Zone as ZoneName;
use crate::plan::ProbeStage;

use super::family::Family;

/// Of more tiers there are no series: users choose tiers by a label, and each
/// has about twenty series.
const MOST_TIERS: usize = 20_000;

/// What is known of policies and zones.
#[derive(Debug)]
pub(super) struct Known {
    most_tiers: usize,
    /// By namespace and name.
    policies: BTreeMap<(String, String), Policy>,
    zones: BTreeMap<String, Zone>,
    losses: BTreeMap<String, ZoneLossSeries>,
    /// By the zone that it is for.
    probes: BTreeMap<String, ProbeStage>,
}

/// What the loss of a zone would do.
#[derive(Clone, Copy, Debug, Default)]
pub struct ZoneLossSeries {
    /// Pods that would stay Pending.
    pub pending: usize,
    /// What those ask for that find no room: cores.
    pub cpu: f64,
    /// The same: bytes.
    pub memory: f64,
    /// How many these are.
    pub pods: usize,
    /// Whether no tier is in danger.
    pub is_safe: bool,
}

#[derive(Debug, Default)]
struct Policy {
    phase: Option<Phase>,
    effective: Option<bool>,
    tiers: Vec<TierStatus>,
    counts: BTreeMap<String, Counts>,
}

/// What was counted for a tier.
#[derive(Debug, Default)]
struct Counts {
    evictions: [u64; EvictionResult::ALL.len()],
    moves: [u64; MoveOutcome::ALL.len()],
}

#[derive(Debug)]
struct Zone {
    state: ZoneState,
    hold_until: Option<Timestamp>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            most_tiers: MOST_TIERS,
            policies: BTreeMap::new(),
            zones: BTreeMap::new(),
            losses: BTreeMap::new(),
            probes: BTreeMap::new(),
        }
    }
}

impl Known {
    /// Takes what a policy's status says in place of what it said before.
    pub(super) fn set_policy(
        &mut self,
        namespace: &str,
        name: &str,
        status: &ZoneSpreadPolicyStatus,
    ) {
        let policy = self.policies.entry((namespace.to_owned(), name.to_owned())).or_default();
        policy.phase = status.phase;
        let mut conditions = status.conditions.iter();
        let effective = conditions.find(|condition| condition.type_ == CONDITION_EFFECTIVE);
        policy.effective = effective.map(|condition| condition.status == "True");
        policy.tiers.clone_from(&status.tiers);
        // No series says it in words.
        let losses = policy.tiers.iter_mut().flat_map(|tier| &mut tier.zone_loss);
        losses.for_each(|loss| loss.message = None);
        policy.counts.retain(|tier, _| status.tiers.iter().any(|known| known.name == *tier));
        // Counters begin at zero when the tier does: Prometheus cannot see the
        // first increase of a counter that begins at one.
        for tier in &status.tiers {
            policy.counts.entry(tier.name.clone()).or_default();
        }
    }

    /// Drops all that is known of a policy.
    pub(super) fn forget_policy(&mut self, namespace: &str, name: &str) {
        self.policies.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Takes the health of all zones in place of what it was before.
    pub(super) fn set_zones<'a>(
        &mut self,
        zones: impl IntoIterator<Item = (&'a str, ZoneState, Option<Timestamp>)>,
    ) {
        self.zones = zones
            .into_iter()
            .map(|(name, state, hold_until)| (name.to_owned(), Zone { state, hold_until }))
            .collect();
    }

    /// Takes what the loss of each zone would do in place of what was known of it.
    pub(super) fn set_zone_losses<'a>(
        &mut self,
        zones: impl IntoIterator<Item = (&'a str, ZoneLossSeries)>,
    ) {
        self.losses = zones.into_iter().map(|(name, loss)| (name.to_owned(), loss)).collect();
    }

    /// Takes all probe pods in place of those before.
    pub(super) fn set_probes(&mut self, probes: impl IntoIterator<Item = (ZoneName, ProbeStage)>) {
        self.probes = probes.into_iter().map(|(zone, stage)| (zone.to_string(), stage)).collect();
    }

    /// Counts an eviction. One for a policy that is not known (any more) is not
    /// counted, or it would bring back the series of a deleted policy.
    pub(super) fn count_eviction(
        &mut self,
        namespace: &str,
        policy: &str,
        tier: &str,
        result: EvictionResult,
    ) {
        if let Some(counts) = self.counts(namespace, policy, tier) {
            counts.evictions[result as usize] += 1;
        }
    }

    /// Counts the end of a move, as [`Self::count_eviction`] does.
    pub(super) fn count_move(
        &mut self,
        namespace: &str,
        policy: &str,
        tier: &str,
        outcome: MoveOutcome,
    ) {
        if let Some(counts) = self.counts(namespace, policy, tier) {
            counts.moves[outcome as usize] += 1;
        }
    }

    fn counts(&mut self, namespace: &str, policy: &str, tier: &str) -> Option<&mut Counts> {
        let policy = self.policies.get_mut(&(namespace.to_owned(), policy.to_owned()))?;
        Some(policy.counts.entry(tier.to_owned()).or_default())
    }

    /// The metrics at `now`, those without series left out.
    pub(super) fn families(&self, now: Timestamp) -> Vec<MetricFamily> {
        self.tier_gauges()
            .into_iter()
            .chain(self.tier_counters())
            .chain([self.policy_phase(), self.policy_effective(), self.unreported_tiers()])
            .chain(self.zone_gauges(now))
            .chain(self.zone_loss_gauges())
            .chain([self.probe_gauge()])
            .filter_map(Family::into_proto)
            .collect()
    }

    /// The policies whose tiers have series: as many as there may be, by name.
    fn reported(&self) -> impl Iterator<Item = (&(String, String), &Policy)> {
        let mut left = self.most_tiers;
        self.policies.iter().filter(move |(_, policy)| {
            let fits = policy.tiers.len() <= left;
            left -= if fits { policy.tiers.len() } else { 0 };
            fits
        })
    }

    fn unreported_tiers(&self) -> Family {
        let mut family = Family::gauge(
            "zonespread_unreported_tiers",
            "Tiers without series, since there are too many; the statuses show them.",
        );
        let tiers = |policy: &Policy| policy.tiers.len();
        let all: usize = self.policies.values().map(tiers).sum();
        let reported: usize = self.reported().map(|(_, policy)| tiers(policy)).sum();
        if all > reported {
            let left_out = u64::try_from(all - reported).unwrap_or(u64::MAX);
            family.add(&[], as_value(left_out));
        }
        family
    }

    fn tier_gauges(&self) -> [Family; 8] {
        let mut pods = Family::gauge(
            "zonespread_tier_pods",
            "Pods of the tier in the zone, counted as the scheduler counts.",
        );
        let mut unzoned = Family::gauge(
            "zonespread_tier_unzoned_pods",
            "Pods of the tier on nodes without a zone, or on nodes that are gone.",
        );
        let mut available =
            Family::gauge("zonespread_tier_available_pods", "Available pods of the tier.");
        let mut skew = Family::gauge(
            "zonespread_tier_skew",
            "Most minus fewest pods over the zones that the tier may use.",
        );
        let mut max_skew = Family::gauge("zonespread_tier_max_skew", "The allowed skew.");
        let mut reachable = Family::gauge(
            "zonespread_tier_reachable_skew",
            "The lowest skew that moves can reach now.",
        );
        let mut blocked =
            Family::gauge("zonespread_tier_blocked", "1 for the reason why nothing is moved.");
        let mut surviving = Family::gauge(
            "zonespread_tier_surviving_ratio",
            "Share of the tier's pods that survives the loss of the zone now, 0 to 1.",
        );
        for ((namespace, policy), known) in self.reported() {
            for tier in &known.tiers {
                let of_tier =
                    [("namespace", &**namespace), ("policy", policy), ("tier", &tier.name)];
                let with = |name, value| [of_tier[0], of_tier[1], of_tier[2], (name, value)];
                for zone in &tier.zones {
                    pods.add(&with("zone", &zone.name), f64::from(zone.pods));
                    available.add(&with("zone", &zone.name), f64::from(zone.available));
                }
                unzoned.add(&of_tier, f64::from(tier.unzoned));
                skew.add(&of_tier, f64::from(tier.skew));
                max_skew.add(&of_tier, f64::from(tier.max_skew));
                reachable.add(&of_tier, f64::from(tier.reachable_skew));
                if let Some(why) = &tier.blocked {
                    blocked.add(&with("reason", why.reason.as_str()), 1.0);
                }
                for loss in &tier.zone_loss {
                    surviving.add(&with("zone", &loss.zone), f64::from(loss.percent) / 100.0);
                }
            }
        }
        [pods, unzoned, available, skew, max_skew, reachable, blocked, surviving]
    }

    fn tier_counters(&self) -> [Family; 2] {
        let mut evictions = Family::counter(
            "zonespread_evictions_total",
            "Evictions requested, by the API server's answer.",
        );
        let mut moves = Family::counter("zonespread_moves_total", "Moves that ended, by outcome.");
        for ((namespace, policy), known) in self.reported() {
            for (tier, counts) in &known.counts {
                let with = |name, value| {
                    [("namespace", &**namespace), ("policy", policy), ("tier", tier), (name, value)]
                };
                for (result, count) in EvictionResult::ALL.into_iter().zip(counts.evictions) {
                    evictions.add(&with("result", result.as_str()), as_value(count));
                }
                for (outcome, count) in MoveOutcome::ALL.into_iter().zip(counts.moves) {
                    moves.add(&with("outcome", outcome.as_str()), as_value(count));
                }
            }
        }
        [evictions, moves]
    }

    fn policy_phase(&self) -> Family {
        let mut phases =
            Family::gauge("zonespread_policy_phase", "1 for the current phase of the policy.");
        for ((namespace, policy), known) in &self.policies {
            if let Some(phase) = known.phase {
                phases.add(
                    &[("namespace", namespace), ("policy", policy), ("phase", phase.as_str())],
                    1.0,
                );
            }
        }
        phases
    }

    fn policy_effective(&self) -> Family {
        let mut effective = Family::gauge(
            "zonespread_policy_effective",
            "1 if the policy and all of its settings apply to pods, 0 if a typo leaves some out.",
        );
        for ((namespace, policy), known) in &self.policies {
            if let Some(is_effective) = known.effective {
                let value = if is_effective { 1.0 } else { 0.0 };
                effective.add(&[("namespace", namespace), ("policy", policy)], value);
            }
        }
        effective
    }

    fn probe_gauge(&self) -> Family {
        let mut probes = Family::gauge(
            "zonespread_probe_pods",
            "Probe pods that open a zone without nodes, by how far they are.",
        );
        for (zone, stage) in &self.probes {
            for state in ProbeStage::PRESENT {
                let is_in_it = if state == *stage { 1.0 } else { 0.0 };
                probes.add(&[("zone", zone), ("state", state.as_str())], is_in_it);
            }
        }
        probes
    }

    fn zone_gauges(&self, now: Timestamp) -> [Family; 2] {
        let mut states = Family::gauge(
            "zonespread_zone_state",
            "1 for the current state of the zone, 0 for the others.",
        );
        let mut holds = Family::gauge(
            "zonespread_zone_hold_seconds",
            "Seconds until pods may be moved into the zone, 0 if it is not held.",
        );
        for (name, zone) in &self.zones {
            for state in ZoneState::ALL {
                let is_in_it = if state == zone.state { 1.0 } else { 0.0 };
                states.add(&[("zone", name), ("state", state.as_str())], is_in_it);
            }
            let left = zone.hold_until.map_or(0.0, |until| until.duration_since(now).as_secs_f64());
            holds.add(&[("zone", name)], left.max(0.0));
        }
        [states, holds]
    }

    fn zone_loss_gauges(&self) -> [Family; 3] {
        let mut pending = Family::gauge(
            "zonespread_zone_loss_pending_pods",
            "Pods that would stay Pending if the zone were lost now.",
        );
        let mut missing = Family::gauge(
            "zonespread_zone_loss_missing",
            "What those ask for that would find no room: cores, bytes, pods.",
        );
        let mut safe = Family::gauge(
            "zonespread_safe_to_lose_zone",
            "1 if every tier would go on without the zone, accepted single zones left out.",
        );
        let whole = |count: usize| as_value(u64::try_from(count).unwrap_or(u64::MAX));
        for (name, loss) in &self.losses {
            let zone = ("zone", name.as_str());
            pending.add(&[zone], whole(loss.pending));
            let amounts = [("cpu", loss.cpu), ("memory", loss.memory), ("pods", whole(loss.pods))];
            for (resource, amount) in amounts {
                missing.add(&[zone, ("resource", resource)], amount);
            }
            safe.add(&[zone], if loss.is_safe { 1.0 } else { 0.0 });
        }
        [pending, missing, safe]
    }
}

/// A counter's value; exact up to 2^53.
#[allow(clippy::cast_precision_loss, reason = "no operator evicts 2^53 pods")]
const fn as_value(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_beyond_the_limit_have_no_series_and_are_counted() {
        let mut known = Known { most_tiers: 5, ..Known::default() };
        let named = |name: &str| TierStatus { name: name.to_owned(), ..TierStatus::default() };
        let with = |tiers: &[&str]| ZoneSpreadPolicyStatus {
            phase: Some(Phase::Balanced),
            tiers: tiers.iter().map(|name| named(name)).collect(),
            ..ZoneSpreadPolicyStatus::default()
        };
        known.set_policy("shop", "a", &with(&["1", "2", "3"]));
        known.set_policy("shop", "b", &with(&["4", "5", "6"]));
        known.set_policy("shop", "c", &with(&["7", "8"]));
        let series = |known: &Known, name: &str| {
            let families = known.families(Timestamp::UNIX_EPOCH);
            let family = families.into_iter().find(|family| family.name() == name);
            family.map_or_else(Vec::new, |family| family.get_metric().to_vec())
        };
        assert_eq!(series(&known, "zonespread_tier_skew").len(), 5);
        assert_eq!(series(&known, "zonespread_moves_total").len(), 5 * MoveOutcome::ALL.len());
        assert_eq!(series(&known, "zonespread_policy_phase").len(), 3);
        let left_out = series(&known, "zonespread_unreported_tiers");
        let counted: f64 = left_out.iter().map(|one| one.get_gauge().get_value()).sum();
        assert!((counted - 3.0).abs() < f64::EPSILON, "{counted}");
        // Once there is room, they have.
        known.forget_policy("shop", "a");
        assert_eq!(series(&known, "zonespread_tier_skew").len(), 5);
        assert!(series(&known, "zonespread_unreported_tiers").is_empty());
    }
}
