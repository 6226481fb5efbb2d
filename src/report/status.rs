//! The status of a policy, from what was observed and decided.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::text::{bounded, counted};
use crate::api::{
    self, ApprovedPlan, Blocked, CONDITION_BALANCED, CONDITION_DEGRADED, CONDITION_EFFECTIVE,
    CONDITION_PROGRESSING, CONDITION_SAFE_TO_LOSE_ZONE, Cause, Mode, MoveKind, MoveStatus,
    PastRecovery, Phase, Plan, PlannedMove, PolicyZone, Reason, Recovery, SchedulerStatus,
    Steering, Summary, TierStatus, TierZone, ZoneSpreadPolicyStatus, ZoneState, limit, seconds,
};
use crate::observe::{Index, PodId, PolicyEntry, Zone, ZoneMemory, ZoneTracker};
use crate::outlook::PolicyForecast;
use crate::plan::{Imbalance, MissHistory, TierPlan, TierSettings, TierView};

use super::effective::{EFFECTIVE, Ineffective, ineffective};
use super::losses::{Told, safe_to_lose, survives_column, zone_losses};
use super::message::message_of;
use super::unzoned::NO_ZONE;
use super::zones::policy_zones;

/// A tier, what it needs, and why nothing is done.
#[derive(Clone, Debug)]
pub struct TierReport {
    /// The tier.
    pub view: TierView,
    /// What would be moved.
    pub plan: TierPlan,
    /// Why not now; none for a balanced tier.
    pub blocked: Option<Blocked>,
    /// What its zones alone say, balanced or not.
    pub zone_gate: Option<Blocked>,
    /// Misses and back-off.
    pub history: MissHistory,
    /// How it got out of balance.
    pub imbalance: Option<Imbalance>,
    /// Why it is unbalanced.
    pub cause: Option<Cause>,
}

impl TierReport {
    /// Whether its moves are made with approval only.
    #[must_use]
    pub const fn needs_approval(&self) -> bool {
        let settings = &self.view.settings;
        matches!(settings.mode, Mode::Approve) && settings.single_zone.is_none()
    }

    /// Why it is not moved, if its reason is one of these; the zones stop balanced tiers, too.
    pub(super) fn stopped_by(&self, reasons: &[Reason]) -> Option<&Blocked> {
        let blocked = self.blocked.as_ref().filter(|_| !self.is_content());
        let stops = blocked.or(self.zone_gate.as_ref());
        stops.filter(|blocked| reasons.contains(&blocked.reason))
    }

    /// Whether a move of it may begin now or when another has ended.
    fn is_moving(&self) -> bool {
        let waits = |blocked: &Blocked| blocked.reason == Reason::MovesUnderWay;
        !self.view.is_balanced() && self.blocked.as_ref().is_none_or(waits)
    }

    /// Whether it needs nothing, or its imbalance is accepted.
    pub(super) fn is_content(&self) -> bool {
        self.view.is_balanced()
            || self
                .blocked
                .as_ref()
                .is_some_and(|blocked| blocked.reason == Reason::SingleZoneAccepted)
    }
}

/// All that a policy's status is made of.
#[derive(Debug)]
pub struct StatusInput<'a> {
    /// The cluster.
    pub index: &'a Index,
    /// The policy.
    pub policy: &'a PolicyEntry,
    /// Whether pods may be replaced before they stop.
    pub can_surge: bool,
    /// What is known of the scheduler.
    pub scheduler: SchedulerStatus,
    /// The zones' health.
    pub zones: &'a ZoneTracker,
    /// Its tiers.
    pub tiers: &'a [TierReport],
    /// Its last moves, oldest first.
    pub moves: Vec<MoveStatus>,
    /// The plan that was approved last.
    pub approved: Option<ApprovedPlan>,
    /// What the loss of each zone would do to its tiers; none while that is not known.
    pub losses: Option<&'a PolicyForecast>,
    /// The recovery under way, or the last.
    pub recovery: Option<Recovery>,
    /// Recoveries that are over, oldest first.
    pub history: Vec<PastRecovery>,
    /// Where new pods are steered to.
    pub steering: Option<Steering>,
    /// The conditions as they were.
    pub conditions: &'a [Condition],
    /// The time.
    pub now: Timestamp,
}

/// The status that says that a policy cannot be followed. What was known stays
/// in it: holds, moves, misses and the recovery must survive a restart (law 7).
#[must_use]
pub fn invalid_status(
    input: StatusInput<'_>,
    misses: Vec<TierStatus>,
    message: String,
) -> ZoneSpreadPolicyStatus {
    let StatusInput { policy, zones, moves, approved, conditions, now, .. } = input;
    let mut status = ZoneSpreadPolicyStatus {
        observed_generation: policy.generation,
        phase: Some(Phase::Invalid),
        message: bounded(&message),
        zones: zones
            .iter()
            .take(limit::ZONES)
            .map(|(zone, memory)| policy_zone(zone, memory, hold_down_of(policy, &[]), now))
            .collect(),
        tiers: misses,
        moves,
        approved,
        recovery: input.recovery,
        history: input.history,
        ..ZoneSpreadPolicyStatus::default()
    };
    let invalid = Ineffective { reason: "Invalid", message: status.message.clone(), is_all: true };
    let known = Known { ineffective: Some(&invalid), safe: None };
    status.conditions = conditions_of(&status, false, false, known, conditions, now);
    status
}

/// The status of a policy.
#[must_use]
pub fn status_of(input: StatusInput<'_>) -> ZoneSpreadPolicyStatus {
    let StatusInput { policy, zones, tiers, now, .. } = input;
    let hold_down = hold_down_of(policy, tiers);
    let zone_statuses: Vec<PolicyZone> = policy_zones(tiers, zones, hold_down, now)
        .iter()
        .take(limit::ZONES)
        .map(|(zone, memory)| policy_zone(zone, memory, hold_down, now))
        .collect();
    let ineffective = ineffective(input.index, policy, tiers);
    let phase = match &ineffective {
        Some(ineffective) if ineffective.is_all => Phase::Ineffective,
        _ => phase_of(tiers, &input.moves),
    };
    let plan = plan_of(input.index, tiers);
    let plan_id = plan.as_ref().map(|plan| plan.id.as_str());
    let mut told = Told::default();
    let tier_statuses: Vec<TierStatus> =
        tiers.iter().map(|tier| tier_status(tier, input.losses, &mut told)).collect();
    let mut status = ZoneSpreadPolicyStatus {
        observed_generation: policy.generation,
        phase: Some(phase),
        message: bounded(&message_of(phase, &input, ineffective.as_ref(), plan_id)),
        summary: Summary {
            tiers: i32::try_from(tiers.len()).unwrap_or(i32::MAX),
            zones: zones_column(tiers),
            skew: tiers.iter().map(|tier| tier.view.skew()).max().unwrap_or(0),
            moves: moves_column(phase, input.recovery.as_ref()),
            survives: survives_column(tiers, &tier_statuses),
        },
        untiered_pods: i32::try_from(policy.untiered.len()).unwrap_or(i32::MAX),
        scheduler: Some(input.scheduler),
        can_surge: input.can_surge,
        steering: input.steering,
        zones: zone_statuses,
        tiers: tier_statuses,
        plan,
        approved: input.approved,
        moves: input.moves,
        recovery: input.recovery,
        history: input.history,
        conditions: Vec::new(),
    };
    let content = phase != Phase::Ineffective && tiers.iter().all(TierReport::is_content);
    let frozen = tiers.iter().any(|tier| tier.stopped_by(&FREEZES).is_some());
    let safe = input.losses.map(|_| safe_to_lose(tiers, &status.tiers));
    let known = Known { ineffective: ineffective.as_ref(), safe };
    status.conditions = conditions_of(&status, content, frozen, known, input.conditions, now);
    status
}

/// The longest hold-down of the tiers; the policy's own if it has none.
#[must_use]
pub fn hold_down_of(policy: &PolicyEntry, tiers: &[TierReport]) -> Duration {
    let longest = tiers.iter().map(|tier| tier.view.settings.hold_down).max();
    longest.unwrap_or_else(|| TierSettings::of(&policy.spec, "").hold_down)
}

/// What a policy with this hold-down makes of a zone. What is true for all policies is
/// in the Zone object: a node more or less must not change every status.
fn policy_zone(
    zone: &Zone,
    memory: &ZoneMemory,
    hold_down: Duration,
    now: Timestamp,
) -> PolicyZone {
    let state = memory.state(hold_down, now);
    let hold_until = match state {
        ZoneState::Recovering | ZoneState::Suspect => memory.hold_until(hold_down),
        ZoneState::Held => memory.held(now).map(|hold| hold.until),
        ZoneState::Ready | ZoneState::Impaired | ZoneState::Empty => None,
    };
    PolicyZone {
        name: zone.to_string(),
        state,
        reason: memory.reason(state).map(str::to_owned),
        since: Some(seconds(memory.state_since(hold_down, now))),
        hold_until: hold_until.map(seconds),
    }
}

fn tier_status(tier: &TierReport, losses: Option<&PolicyForecast>, told: &mut Told) -> TierStatus {
    let view = &tier.view;
    TierStatus {
        name: view.name.to_string(),
        pods: view.pods(),
        unzoned: i32::try_from(view.unzoned.len()).unwrap_or(i32::MAX),
        skew: view.skew(),
        max_skew: view.settings.max_skew,
        reachable_skew: tier.plan.reachable_skew,
        zones: view
            .zones
            .iter()
            .zip(view.counts())
            .take(limit::ZONES)
            .map(|((zone, count), pods)| TierZone {
                name: zone.to_string(),
                pods,
                available: count.available,
            })
            .collect(),
        replicas: view.desired,
        imbalance: tier.imbalance.as_ref().map(|known| api::Imbalance {
            since: seconds(known.since),
            steady_since: seconds(known.steady_since),
            outage: known.outage,
            origin: known.origin,
        }),
        cause: tier.cause,
        blocked: tier
            .blocked
            .clone()
            .map(|blocked| Blocked { reason: blocked.reason, message: bounded(&blocked.message) }),
        misses: tier.history.misses,
        retry_at: tier.history.retry_at.map(seconds),
        zone_loss: zone_losses(view, losses, told),
    }
}

/// A zone is out, or the whole cluster cannot be judged.
pub(super) const FREEZES: [Reason; 3] =
    [Reason::ZoneImpaired, Reason::ClusterUnstable, Reason::StaleView];
/// A zone is waited for or opened, or that the tier settles.
pub(super) const HOLDS: [Reason; 5] = [
    Reason::ZoneHeld,
    Reason::ZoneRecovering,
    Reason::ZoneSuspect,
    Reason::Settling,
    Reason::OpeningZone,
];
/// It is only shown.
const SHOWN: [Reason; 2] = [Reason::ObserveOnly, Reason::NotARecovery];

/// Made of what the gates said of each tier, so that it cannot contradict them (law 10).
fn phase_of(tiers: &[TierReport], moves: &[MoveStatus]) -> Phase {
    let stopped = |reasons: &[Reason]| tiers.iter().any(|tier| tier.stopped_by(reasons).is_some());
    let under_way = moves.iter().any(|moved| moved.state.is_under_way());
    let unhappy = || tiers.iter().filter(|tier| !tier.is_content());
    let is_observed = |tier: &TierReport| tier.stopped_by(&SHOWN).is_some();
    // A tier may look balanced already while its last pod is on its way.
    let awaits_a_pod = |tier: &TierReport| {
        let mut own = moves.iter().filter(|moved| *moved.tier == *tier.view.name);
        own.any(|moved| moved.state.is_under_way())
            && tier.stopped_by(&FREEZES).or_else(|| tier.stopped_by(&HOLDS)).is_none()
    };
    if tiers.iter().any(|tier| tier.is_moving() || awaits_a_pod(tier)) {
        Phase::Rebalancing
    } else if stopped(&FREEZES) {
        Phase::Frozen
    } else if stopped(&HOLDS) {
        Phase::Holding
    } else if under_way {
        Phase::Rebalancing
    } else if unhappy().next().is_none() {
        Phase::Balanced
    } else if stopped(&[Reason::AwaitingApproval]) {
        Phase::AwaitingApproval
    } else if unhappy().all(is_observed) {
        Phase::Observing
    } else {
        Phase::Blocked
    }
}

/// Moves of the recovery under way, or of the one that brought the tiers into balance:
/// in the next outage the last recovery is over.
fn moves_column(phase: Phase, recovery: Option<&Recovery>) -> String {
    recovery
        .filter(|recovery| recovery.balanced_at.is_none() || phase == Phase::Balanced)
        .map_or_else(
            || "-".to_owned(),
            |recovery| format!("{}/{}", recovery.moves_done, recovery.moves_total),
        )
}

/// Pods per zone over all tiers, the common prefix of the names cut; then those in none.
fn zones_column(tiers: &[TierReport]) -> String {
    let mut counts: BTreeMap<&Zone, i32> = BTreeMap::new();
    for TierReport { view, .. } in tiers {
        for (zone, pods) in view.zones.keys().zip(view.counts()) {
            *counts.entry(zone).or_default() += pods;
        }
    }
    let names: Vec<&str> = counts.keys().map(|zone| zone.as_str()).collect();
    let cut = common_prefix(&names);
    let mut columns: Vec<String> =
        counts.iter().map(|(zone, pods)| format!("{}:{pods}", &zone.as_str()[cut..])).collect();
    let unzoned: usize = tiers.iter().map(|tier| tier.view.unzoned.len()).sum();
    if unzoned > 0 {
        columns.push(format!("{NO_ZONE}:{unzoned}"));
    }
    bounded(&columns.join(" "))
}

/// How much of the names to cut: what they share, up to the last dash, so that
/// `eu-west-2a` and `eu-west-2b` become `2a` and `2b`.
#[must_use]
pub fn common_prefix(names: &[&str]) -> usize {
    let Some(first) = names.first() else { return 0 };
    let shared = names.iter().fold(first.len(), |shared, name| {
        first.bytes().zip(name.bytes()).take(shared).take_while(|(a, b)| a == b).count()
    });
    // A name is never cut to nothing.
    let shared =
        shared.min(names.iter().map(|name| name.len()).min().unwrap_or(0).saturating_sub(1));
    first.as_bytes()[..shared].iter().rposition(|byte| *byte == b'-').map_or(0, |dash| dash + 1)
}

/// The moves of all tiers; those that need approval come first, so that as
/// many of them as can be are listed: an approval is for what can be read.
#[must_use]
pub fn plan_of(index: &Index, tiers: &[TierReport]) -> Option<Plan> {
    let (to_approve, others): (Vec<_>, Vec<_>) =
        tiers.iter().partition(|tier| tier.needs_approval());
    let total: usize = tiers.iter().map(|tier| tier.plan.moves.len()).sum();
    let mut moves = listed(index, &to_approve, limit::PLANNED_MOVES);
    let needing_approval = moves.len();
    moves.extend(listed(index, &others, limit::PLANNED_MOVES - needing_approval));
    let hashed = if needing_approval > 0 { &moves[..needing_approval] } else { &moves };
    let id = fingerprint(hashed);
    let total = i32::try_from(total).unwrap_or(i32::MAX);
    (!moves.is_empty()).then_some(Plan { id, moves, total })
}

/// The first moves of these tiers, as users see them.
fn listed(index: &Index, tiers: &[&TierReport], most: usize) -> Vec<PlannedMove> {
    tiers
        .iter()
        .flat_map(|tier| tier.plan.moves.iter().map(move |planned| (tier, planned)))
        .take(most)
        .filter_map(|(tier, planned)| {
            let pod = index.cluster().pod(planned.pod)?;
            let mut zones = planned.to.iter().map(ToString::to_string);
            Some(PlannedMove {
                kind: planned.kind,
                tier: tier.view.name.to_string(),
                pod: pod.name.to_string(),
                uid: pod.uid.to_string(),
                from: planned.from.to_string(),
                to: zones.next().unwrap_or_default(),
                alternatives: zones.collect(),
                preempts: names(index, &planned.preempts),
                steered: planned.steered.as_ref().map(ToString::to_string),
            })
        })
        .collect()
}

/// The first of these pods, by namespace and name.
fn names(index: &Index, pods: &[PodId]) -> Vec<String> {
    let pods = pods.iter().filter_map(|id| index.cluster().pod(*id)).take(limit::PREEMPTED);
    pods.map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect()
}

/// The FNV-1a hash of the moves; the same in every version and on every machine. Without the
/// pods that are pushed out: who they are may change while a plan waits for its approval.
fn fingerprint(moves: &[PlannedMove]) -> String {
    let bytes = moves.iter().flat_map(|planned| {
        let fixed = [&planned.tier, &planned.pod, &planned.uid, &planned.from, &planned.to];
        let fields = fixed.into_iter().chain(&planned.alternatives).map(String::as_str);
        // An eviction has the id that it had before there were surges.
        let kind = Some(planned.kind).filter(|kind| *kind != MoveKind::Evict);
        let fields = fields.chain(kind.map(MoveKind::as_str));
        fields.flat_map(|field| field.bytes().chain([0])).chain([1])
    });
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")[..10].to_owned()
}

/// What else is known of a policy as a whole.
struct Known<'a> {
    /// Why it protects nothing, or not all that it names.
    ineffective: Option<&'a Ineffective>,
    /// Whether any zone may be lost, and why not; none while that is not known.
    safe: Option<(bool, &'static str, String)>,
}

fn conditions_of(
    status: &ZoneSpreadPolicyStatus,
    content: bool,
    frozen: bool,
    known: Known<'_>,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let phase = status.phase.unwrap_or(Phase::Invalid);
    let progressing = matches!(phase, Phase::Rebalancing | Phase::Holding);
    let degraded = frozen || matches!(phase, Phase::Blocked | Phase::Invalid | Phase::Ineffective);
    let protects = counted(status.tiers.len(), "tier");
    let (why, what) =
        known.ineffective.map_or((EFFECTIVE, &protects), |what| (what.reason, &what.message));
    let safe = known.safe.as_ref();
    let safe = safe.map(|(safe, why, what)| (CONDITION_SAFE_TO_LOSE_ZONE, *safe, *why, what));
    [
        (CONDITION_EFFECTIVE, known.ineffective.is_none(), why, what),
        (CONDITION_BALANCED, content, phase.as_str(), &status.message),
        (CONDITION_PROGRESSING, progressing, phase.as_str(), &status.message),
        (CONDITION_DEGRADED, degraded, phase.as_str(), &status.message),
    ]
    .into_iter()
    .chain(safe)
    .map(|(type_, holds, reason, message)| {
        let value = if holds { "True" } else { "False" };
        let since: Option<Time> = before
            .iter()
            .find(|known| known.type_ == type_ && known.status == value)
            .map(|known| known.last_transition_time.clone());
        Condition {
            type_: type_.to_owned(),
            status: value.to_owned(),
            reason: reason.to_owned(),
            message: bounded(message),
            last_transition_time: since.unwrap_or_else(|| seconds(now)),
            observed_generation: status.observed_generation,
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&["eu-west-2a", "eu-west-2b", "eu-west-2c"], "eu-west-")]
    #[case(&["us-central1-a", "us-central1-f"], "us-central1-")]
    #[case(&["a", "b"], "")]
    #[case(&["eu-west-2a"], "eu-west-")]
    #[case(&["zone-", "zone-a"], "")]
    #[case(&[], "")]
    fn the_common_prefix_of_zones_is_cut_at_a_dash(#[case] names: &[&str], #[case] cut: &str) {
        assert_eq!(common_prefix(names), cut.len());
    }
}
