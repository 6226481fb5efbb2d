//! Why not: the one reason that keeps an unbalanced tier from being moved now.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::text::counted;
use crate::api::{self, Blocked, Mode, MoveKind, PAUSED, Reason, ZoneState};
use crate::observe::{
    Budget, Index, MAX_HOLD, OUTAGE_MEMORY, Opening, Pause, Pod, PodId, Zone, ZoneMemory,
    hold_down_of,
};

use super::approval::Approval;
use super::imbalance::{Imbalance, not_a_recovery, settling};
use super::opening::{Openings, doubtful_probe, obstacle, opening, zone_to_open};
use super::tier::TierView;
use super::tier_plan::{PlannedMove, TierPlan};

/// The state of the whole cluster that gates look at.
#[derive(Clone, Debug)]
pub struct ClusterFacts {
    /// The time.
    pub now: Timestamp,
    /// Why the cluster as a whole is in no state to move pods, whichever nodes a tier uses.
    pub unstable: Option<String>,
    /// Why the index may be out of date.
    pub stale: Option<String>,
    /// The API server asked for no evictions before this time.
    pub throttled_until: Option<Timestamp>,
    /// What is known of zones without nodes that are opened.
    pub openings: Arc<Openings>,
}

/// A tier's misses in this recovery, and the last refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissHistory {
    /// Moves of this recovery that missed or got stuck.
    pub misses: i32,
    /// No move before this time, after a miss.
    pub retry_at: Option<Timestamp>,
    /// Why the last eviction was refused, and until when that blocks the tier.
    pub refused: Option<(Blocked, Timestamp)>,
}

impl MissHistory {
    /// Forgets misses, but not the last refusal.
    pub fn reset(&mut self) {
        self.misses = 0;
        self.retry_at = None;
    }
}

/// A tier's moves under way, and those that matter for its canary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// How many moves are under way.
    pub moves: i32,
    /// How many of their pods no longer count as Available.
    pub away: i32,
    /// The cluster's limit of moves under way, if it is reached.
    pub cap_reached: Option<usize>,
    /// A move under way, of any policy, into a zone that is still to be proven
    /// and that the next move would go to: `zone c (petclinic/web-1)`.
    pub canary: Option<String>,
    /// A replacement that got stuck in a zone that is still to be proven and that the next
    /// move would go to.
    pub probe: Option<Probe>,
    /// Pods of any policy whose eviction was decided but is not in the index yet:
    /// their disruption budgets are not spent yet.
    pub leaving: Vec<PodId>,
    /// Pods of the tier that were evicted a moment ago: the index shows that on the
    /// pods before it shows it in their disruption budget.
    pub just_left: usize,
    /// How the tier's last miss ended: `web-x landed on b1 in zone b,
    /// expected in c`.
    pub last_miss: Option<String>,
}

/// A replacement that got stuck in a recovered zone, and waits there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The zone.
    pub zone: Zone,
    /// The pod, as `namespace/name`.
    pub pod: String,
}

/// What a tier's next move is judged by, besides the tier and its plan.
#[derive(Clone, Copy, Debug)]
pub struct GateInput<'a> {
    /// What holds for the whole cluster.
    pub facts: &'a ClusterFacts,
    /// The published plan and the approved moves, in mode Approve.
    pub approval: &'a Approval,
    /// How earlier moves of the tier went.
    pub history: &'a MissHistory,
    /// What is under way.
    pub in_flight: &'a InFlight,
    /// How the tier got out of balance, as far as that is known.
    pub imbalance: Option<&'a Imbalance>,
}

/// Misses in one recovery after which a tier is left alone (law 5).
pub const MISSES_ALLOWED: i32 = 3;

/// Why the first move of an unbalanced tier's plan may not be made now: of all
/// reasons that apply, the first in the order of [`Reason`]. None if it may.
#[must_use]
pub fn gate(
    index: &Index,
    tier: &TierView,
    plan: &TierPlan,
    input: &GateInput<'_>,
) -> Option<Blocked> {
    let GateInput { facts, approval, history, in_flight, imbalance } = *input;
    let next = plan.moves.first();
    let opens = zone_to_open(tier, plan, facts);
    let applying = [
        zone_gate_but(tier, facts, opens.filter(|zone| plan.opens.as_ref() == Some(*zone))),
        opens.map(|zone| opening(tier, zone, facts, in_flight)),
        doubtful_probe(tier, plan, facts),
        unstable(tier, facts),
        stale(facts),
        paused(tier),
        observe_only(tier),
        not_a_recovery(tier, imbalance),
        awaiting_approval(index, tier, approval, next),
        outside_window(tier, next, facts.now),
        single_zone(tier),
        unavailable(index, tier, in_flight, facts.now),
        rollout(tier),
        settling(tier, imbalance, facts.now),
        canary(in_flight),
        probe(in_flight),
        limit(tier, next, history, in_flight),
        cluster_limit(in_flight),
        budgets(index, next, in_flight),
        if opens.is_none() { obstacle(tier, plan, facts) } else { None },
        misses(history, in_flight, facts.now),
        refused(history, facts.now),
        throttled(facts),
    ];
    let first = applying.into_iter().flatten().min_by_key(|blocked| blocked.reason);
    // Unbalanced, nothing planned and nothing in the way: what is under way
    // will bring it into balance.
    first.or_else(|| next.is_none().then(|| under_way(in_flight.moves)))
}

/// For the last line of a gate.
#[allow(clippy::unnecessary_wraps, reason = "every caller returns an Option")]
pub(super) fn blocked(reason: Reason, message: impl Into<String>) -> Option<Blocked> {
    Some(Blocked { reason, message: message.into() })
}

/// Law 1: nothing is evicted while a zone of the tier is not Ready. Asked about balanced
/// tiers as well: the policy's phase depends on it.
#[must_use]
pub fn zone_gate(tier: &TierView, facts: &ClusterFacts) -> Option<Blocked> {
    zone_gate_but(tier, facts, None)
}

fn zone_gate_but(tier: &TierView, facts: &ClusterFacts, but: Option<&Zone>) -> Option<Blocked> {
    tier.zones
        .iter()
        .filter(|(zone, _)| Some(*zone) != but)
        .filter_map(|(zone, counted)| {
            let memory = counted.health.as_ref()?;
            let reason = match memory.state(tier.settings.hold_down, facts.now) {
                ZoneState::Impaired => Reason::ZoneImpaired,
                ZoneState::Held => Reason::ZoneHeld,
                ZoneState::Recovering => Reason::ZoneRecovering,
                ZoneState::Suspect => Reason::ZoneSuspect,
                ZoneState::Ready | ZoneState::Empty => return None,
            };
            Some((reason, zone, memory))
        })
        .min_by_key(|(reason, ..)| *reason)
        .map(|(reason, zone, memory)| Blocked {
            reason,
            message: zone_message(reason, zone, memory, tier.settings.hold_down, facts.now),
        })
}

fn zone_message(
    reason: Reason,
    zone: &Zone,
    memory: &ZoneMemory,
    hold_down: Duration,
    now: Timestamp,
) -> String {
    match reason {
        // Without counts: they change with every node, and this is in many statuses.
        Reason::ZoneImpaired => format!(
            "zone {zone} is out ({}): nothing is evicted until its nodes take pods again",
            memory.fault(),
        ),
        Reason::ZoneHeld => memory.held(now).map_or_else(String::new, |hold| {
            format!(
                "zone {zone} is held by hand until {} ({}): `zonespread release {zone}` ends the hold",
                long(hold.until),
                hold.reason
            )
        }),
        Reason::ZoneRecovering => format!(
            "zone {zone} is usable again and is held {}; a shorter holdDown ends it earlier",
            hold_text(memory, hold_down)
        ),
        _ => format!(
            "zone {zone} is held {}: the first pod moved there did not become Available; look at its events before the next is risked",
            hold_text(memory, hold_down)
        ),
    }
}

/// How long a zone is held, why so long, and what it is at most:
/// `until 10:42:00Z (40m: rebalance.holdDown 10m, doubled 2 times, at most 6h)`.
fn hold_text(memory: &ZoneMemory, hold_down: Duration) -> String {
    let until = memory
        .hold_until(hold_down)
        .map_or_else(String::new, |until| format!("until {} ", short(until)));
    let base = length(hold_down);
    // After the first outage it is not doubled.
    match memory.outages.saturating_sub(1) {
        0 => format!("{until}({base}: rebalance.holdDown)"),
        doubled => format!(
            "{until}({}: rebalance.holdDown {base}, doubled {} for outages within {} of each other, at most {})",
            length(hold_down_of(hold_down, memory.outages)),
            if doubled == 1 { "once".to_owned() } else { counted(doubled, "time") },
            length(OUTAGE_MEMORY.unsigned_abs()),
            length(MAX_HOLD.max(hold_down)),
        ),
    }
}

fn unstable(tier: &TierView, facts: &ClusterFacts) -> Option<Blocked> {
    blocked(Reason::ClusterUnstable, tier.unstable.clone().or_else(|| facts.unstable.clone())?)
}

fn stale(facts: &ClusterFacts) -> Option<Blocked> {
    blocked(Reason::StaleView, facts.stale.clone()?)
}

fn paused(tier: &TierView) -> Option<Blocked> {
    // A tier that is never moved has nothing to pause.
    let pause = tier.paused.filter(|_| tier.settings.single_zone.is_none())?;
    let (kind, name) = match pause {
        Pause::Policy => ("policy", &tier.policy.name),
        Pause::Namespace => ("namespace", &tier.policy.namespace),
    };
    blocked(
        Reason::Paused,
        format!(
            "{kind} {name} is paused ({PAUSED}): nothing is moved until that annotation is removed"
        ),
    )
}

fn observe_only(tier: &TierView) -> Option<Blocked> {
    if tier.settings.mode != Mode::Observe {
        return None;
    }
    blocked(
        Reason::ObserveOnly,
        format!(
            "policy {} has the mode Observe for this tier: set mode: Auto (or Approve) to let its pods be moved",
            tier.policy.name
        ),
    )
}

/// Approvals are for moves: a tier that has none to make, or never makes any,
/// has another reason.
fn awaiting_approval(
    index: &Index,
    tier: &TierView,
    approval: &Approval,
    next: Option<&PlannedMove>,
) -> Option<Blocked> {
    let next = next.filter(|_| tier.settings.single_zone.is_none())?;
    if tier.settings.mode != Mode::Approve || approval.covers(index, next) {
        return None;
    }
    // The plan and its id are the policy's: the report names them.
    blocked(Reason::AwaitingApproval, String::new())
}

/// Windows are for moves, as approvals are.
fn outside_window(tier: &TierView, next: Option<&PlannedMove>, now: Timestamp) -> Option<Blocked> {
    next.filter(|_| tier.settings.single_zone.is_none())?;
    let Opening::Closed { opens } = tier.windows.at(now) else { return None };
    let next = opens.map_or_else(
        || "no further window is scheduled".to_owned(),
        |opens| format!("the next opens at {}", long(opens)),
    );
    blocked(
        Reason::OutsideWindow,
        format!(
            "no window of rebalance.windows is open: {next}; `windows: []` lets the tier move at any time"
        ),
    )
}

fn single_zone(tier: &TierView) -> Option<Blocked> {
    let reason = tier.settings.single_zone.as_ref()?;
    blocked(
        Reason::SingleZoneAccepted,
        format!(
            "policy {} accepts a single zone for this tier ({reason}): remove singleZone to have it spread",
            tier.policy.name
        ),
    )
}

/// Law 3: a tier that misses a pod is not touched.
fn unavailable(
    index: &Index,
    tier: &TierView,
    in_flight: &InFlight,
    now: Timestamp,
) -> Option<Blocked> {
    if tier.missing() <= in_flight.away {
        return None;
    }
    let pod = missing_pod(index, tier, now).map_or_else(
        || "its workload has not made the others yet".to_owned(),
        |pod| {
            let (name, namespace) = (&pod.name, &pod.namespace);
            format!("`kubectl describe pod {name} -n {namespace}` says why that one is not")
        },
    );
    blocked(
        Reason::TierUnavailable,
        format!(
            "{} of {} pods are Available, and nothing is evicted while a pod is missing: {pod}",
            tier.available, tier.desired
        ),
    )
}

/// A pod of the tier that is not Available, the first by name.
fn missing_pod<'a>(index: &'a Index, tier: &TierView, now: Timestamp) -> Option<&'a Pod> {
    let pods = index.policy(&tier.policy)?.tiers.get(&tier.name)?;
    let pods = pods.iter().filter_map(|id| index.cluster().pod(*id));
    let missing = pods.filter(|pod| {
        let min_ready = index.workload_of(pod).map_or(0, |workload| workload.min_ready_seconds);
        !pod.terminating && !pod.is_finished() && !pod.is_available(min_ready, now)
    });
    missing.min_by_key(|pod| &pod.name)
}

fn rollout(tier: &TierView) -> Option<Blocked> {
    let workload = tier.rolling_out.as_ref()?;
    blocked(
        Reason::RolloutInProgress,
        format!("{workload} is rolling out: pods are moved when that is complete"),
    )
}

/// Law 9: a recovered zone gets one pod first.
fn canary(in_flight: &InFlight) -> Option<Blocked> {
    let canary = in_flight.canary.as_ref()?;
    blocked(
        Reason::MovesUnderWay,
        format!("the first pod moved to {canary} has to become Available there"),
    )
}

/// Law 9: a zone in which a pod failed is not tried with another one while that pod waits.
fn probe(in_flight: &InFlight) -> Option<Blocked> {
    let Probe { zone, pod } = in_flight.probe.as_ref()?;
    blocked(
        Reason::ZoneSuspect,
        format!(
            "pod {pod}, the first moved to zone {zone}, is not Available there, and no second pod is risked: its events say why; repair what keeps it from starting, or delete it"
        ),
    )
}

/// Law 3: no more moves than the tier's budget. Law 5: no more than may still
/// miss, should all that are under way do so.
/// Law 2: what lands only when one of them is over waits for that.
fn limit(
    tier: &TierView,
    next: Option<&PlannedMove>,
    history: &MissHistory,
    in_flight: &InFlight,
) -> Option<Blocked> {
    let budget = tier.settings.budget(tier.desired);
    let may_miss = (MISSES_ALLOWED - history.misses).max(1);
    let waits = next.is_some_and(|next| next.waits);
    (waits || in_flight.moves >= budget.min(may_miss)).then(|| under_way(in_flight.moves))
}

/// A mass recovery must not drown registries and the zone.
fn cluster_limit(in_flight: &InFlight) -> Option<Blocked> {
    let most = in_flight.cap_reached?;
    blocked(
        Reason::MovesUnderWay,
        format!(
            "{most} moves are under way in the cluster, as many as --max-concurrent-moves allows: the next waits for one of them to end"
        ),
    )
}

fn under_way(moves: i32) -> Blocked {
    let are = if moves == 1 { "is" } else { "are" };
    let message =
        format!("{} {are} under way: the next begins when one has ended", counted(moves, "move"));
    Blocked { reason: Reason::MovesUnderWay, message }
}

/// Checks the disruption budgets before the API server is asked.
fn budgets(index: &Index, next: Option<&PlannedMove>, in_flight: &InFlight) -> Option<Blocked> {
    let next = next?;
    let pod = index.cluster().pod(next.pod)?;
    let budgets: Vec<_> = index.budgets_of(pod).collect();
    if let [first, second, ..] = budgets[..] {
        return blocked(
            Reason::MultipleBudgets,
            format!(
                "PodDisruptionBudgets {} and {} both select pod {}, so the API refuses every eviction: keep one",
                first.name, second.name, pod.name
            ),
        );
    }
    let budget = budgets.first()?;
    if next.kind == MoveKind::Surge {
        // One more is Ready when the pod is evicted.
        return (budget.lacking > 0).then(|| exhausted(budget, pod));
    }
    let leaving = in_flight.leaving.iter().filter_map(|id| index.cluster().pod(*id));
    let spent = leaving
        .filter(|leaving| leaving.namespace == pod.namespace && budget.protects(&leaving.labels))
        .count()
        + in_flight.just_left;
    let left = i64::from(budget.allowed) - i64::try_from(spent).unwrap_or(i64::MAX);
    if left > 0 {
        return None;
    }
    if budget.allowed > 0 {
        return Some(under_way(i32::try_from(spent).unwrap_or(i32::MAX)));
    }
    Some(exhausted(budget, pod))
}

fn exhausted(budget: &Budget, pod: &Pod) -> Blocked {
    let message = format!(
        "PodDisruptionBudget {} allows no eviction of pod {}: {}",
        budget.name, pod.name, budget.why
    );
    Blocked { reason: Reason::BudgetExhausted, message }
}

/// Law 5: after a miss the tier waits, and after the third it stops.
fn misses(history: &MissHistory, in_flight: &InFlight, now: Timestamp) -> Option<Blocked> {
    let last = in_flight.last_miss.as_ref().map_or_else(String::new, |last| format!(" ({last})"));
    let count = format!("{} of {MISSES_ALLOWED} allowed misses{last}", history.misses);
    if history.misses >= MISSES_ALLOWED {
        let message = format!(
            "{count}: nothing is moved until the next recovery or any change of the policy's spec"
        );
        return blocked(Reason::MissedTooOften, message);
    }
    let retry_at = history.retry_at.filter(|at| *at > now)?;
    blocked(Reason::Backoff, format!("{count}; next try at {}", short(retry_at)))
}

/// The last eviction of the tier was refused, less than a while ago.
fn refused(history: &MissHistory, now: Timestamp) -> Option<Blocked> {
    let (blocked, until) = history.refused.as_ref()?;
    (*until > now).then(|| blocked.clone())
}

fn throttled(facts: &ClusterFacts) -> Option<Blocked> {
    let until = facts.throttled_until.filter(|until| *until > facts.now)?;
    blocked(
        Reason::Throttled,
        format!(
            "the API server asks for fewer requests: the next eviction is tried at {}",
            short(until)
        ),
    )
}

/// A length as users write it, such as `1h30m`.
fn length(length: Duration) -> String {
    api::written_duration(length)
}

/// A time as users read it, in UTC and to the second.
pub(super) fn short(time: Timestamp) -> String {
    time.strftime("%H:%M:%SZ").to_string()
}

/// The same with its day.
pub(super) fn long(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
