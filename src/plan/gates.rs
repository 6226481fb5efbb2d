//! Why not: the one reason that keeps an unbalanced tier from being moved now.

use jiff::Timestamp;

use crate::api::{Blocked, Mode, PAUSED, Reason, ZoneState};
use crate::observe::{Index, Opening, Pause, PodId, ZoneTracker};

use super::moves::TierPlan;
use super::tier::TierView;

/// What holds for the whole cluster at this moment.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The time.
    pub now: Timestamp,
    /// The zones' health.
    pub zones: &'a ZoneTracker,
    /// Why the cluster as a whole is in no state to move pods.
    pub unstable: Option<String>,
    /// What we may not know.
    pub stale: Option<String>,
    /// Until when the API server asked for no more evictions.
    pub throttled_until: Option<Timestamp>,
}

/// What a tier has behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Moves of this recovery that did not help.
    pub misses: i32,
    /// When it is tried again after a miss.
    pub retry_at: Option<Timestamp>,
    /// What the API server said to the last eviction, and until when it is heeded.
    pub refused: Option<(Blocked, Timestamp)>,
}

impl Standing {
    /// Misses are forgotten; what the API server said a moment ago is not.
    pub fn forgive(&mut self) {
        self.misses = 0;
        self.retry_at = None;
    }
}

/// A tier's moves under way, and those that matter for its canary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Moves under way.
    pub moves: i32,
    /// Those of them whose pod no longer counts as available.
    pub away: i32,
    /// A move under way, of any policy, into a zone that is still to be proven
    /// and that the next move would go to: `zone c (petclinic/web-1)`.
    pub canary: Option<String>,
    /// Pods of any policy whose eviction was decided and does not show yet:
    /// their budgets are still to be spent.
    pub leaving: Vec<PodId>,
    /// Pods of the tier that were evicted a moment ago: that shows on the pods
    /// before it shows in their budget.
    pub just_left: usize,
}

/// Futile moves after which a tier is left alone (law 5).
pub const MISSES_ALLOWED: i32 = 3;

/// The first reason that applies, in the order of [`Reason`]; none if the
/// first move of the plan may be made now. For unbalanced tiers.
#[must_use]
pub fn gate(
    index: &Index,
    tier: &TierView,
    plan: &TierPlan,
    facts: &Facts<'_>,
    standing: &Standing,
    in_flight: &InFlight,
) -> Option<Blocked> {
    let by_cluster = || zones(tier, facts).or_else(|| cluster(facts));
    let by_policy = || policy(index, tier, plan, facts.now);
    let by_tier = || wholeness(tier, standing, in_flight);
    let by_budgets = || budgets(index, plan, in_flight);
    let by_plan = || plan.moves.is_empty().then(|| plan.obstacle.clone()).flatten();
    by_cluster()
        .or_else(by_policy)
        .or_else(by_tier)
        .or_else(by_budgets)
        .or_else(|| refused(standing, facts.now, |reason| reason < Reason::NoRoom))
        .or_else(by_plan)
        .or_else(|| backoff(standing, facts.now))
        .or_else(|| refused(standing, facts.now, |reason| reason > Reason::MissedTooOften))
        .or_else(|| throttled(facts))
        .or_else(|| {
            // Unbalanced, nothing planned and nothing in the way: what is
            // under way will bring it into balance.
            plan.moves.is_empty().then(|| under_way(in_flight.moves))
        })
}

/// For the ends of functions that may find nothing.
#[allow(clippy::unnecessary_wraps, reason = "every caller returns an Option")]
fn blocked(reason: Reason, message: String) -> Option<Blocked> {
    Some(Blocked { reason, message })
}

/// Law 1: nothing is evicted while a zone of the tier is not Ready.
fn zones(tier: &TierView, facts: &Facts<'_>) -> Option<Blocked> {
    tier.zones
        .keys()
        .filter_map(|zone| {
            let memory = facts.zones.get(zone)?;
            let reason = match memory.state(tier.settings.hold_down, facts.now) {
                ZoneState::Impaired => Reason::ZoneImpaired,
                ZoneState::Recovering => Reason::ZoneRecovering,
                ZoneState::Suspect => Reason::ZoneSuspect,
                ZoneState::Ready | ZoneState::Empty => return None,
            };
            Some((reason, zone, memory))
        })
        .min_by_key(|(reason, ..)| *reason)
        .and_then(|(reason, zone, memory)| {
            let condition = memory.condition;
            let until = memory
                .hold_until(tier.settings.hold_down)
                .map_or_else(String::new, |until| format!(" until {}", short(until)));
            let message = match reason {
                Reason::ZoneImpaired => format!(
                    "zone {zone} is out: {} of {} nodes usable ({}); nothing is evicted in an outage",
                    condition.usable,
                    condition.nodes,
                    condition.reason.map_or("NoNodes", crate::observe::ZoneReason::as_str),
                ),
                Reason::ZoneRecovering => {
                    format!("zone {zone} is usable again and is held{until}")
                }
                _ => format!(
                    "zone {zone} is held{until}: the first pod moved there did not become Available"
                ),
            };
            blocked(reason, message)
        })
}

fn cluster(facts: &Facts<'_>) -> Option<Blocked> {
    let unstable = facts.unstable.clone().map(|message| (Reason::ClusterUnstable, message));
    let stale = facts.stale.clone().map(|message| (Reason::StaleView, message));
    unstable.or(stale).and_then(|(reason, message)| blocked(reason, message))
}

fn policy(index: &Index, tier: &TierView, plan: &TierPlan, now: Timestamp) -> Option<Blocked> {
    // Where nothing is ever moved there is nothing to pause.
    if let Some(pause) = tier.paused.filter(|_| tier.settings.single_zone.is_none()) {
        let what = match pause {
            Pause::Policy => "the policy",
            Pause::Namespace => "the namespace",
        };
        let message =
            format!("{what} is paused: remove its annotation {PAUSED} to let pods be moved");
        return blocked(Reason::Paused, message);
    }
    if tier.settings.mode == Mode::Observe {
        let message = "the mode is Observe: set mode: Auto to let pods be moved".to_owned();
        return blocked(Reason::ObserveOnly, message);
    }
    // Approvals and windows are for moves: a tier that has none to make, or
    // never makes any, has another reason, by day and by night.
    let next = plan.moves.first().filter(|_| tier.settings.single_zone.is_none());
    if let Some(next) = next
        && tier.settings.mode == Mode::Approve
        && !tier.consent.covers(index, next)
    {
        // The plan and its id are the policy's: the report names them.
        return blocked(Reason::AwaitingApproval, String::new());
    }
    if next.is_some()
        && let Opening::Closed { opens } = tier.windows.at(now)
    {
        let next = opens.map_or_else(
            || "no other window is in sight".to_owned(),
            |opens| format!("the next opens at {}", opens.strftime("%Y-%m-%d %H:%M:%SZ")),
        );
        let message = format!("no window of rebalance.windows is open: {next}");
        return blocked(Reason::OutsideWindow, message);
    }
    if let Some(obstacle) = &plan.obstacle
        && plan.moves.is_empty()
        && obstacle.reason == Reason::SingleReplica
    {
        return Some(obstacle.clone());
    }
    let reason = tier.settings.single_zone.as_ref()?;
    blocked(Reason::SingleZoneAccepted, format!("one zone is accepted for this tier: {reason}"))
}

/// Law 3: a tier that misses a pod is not touched, nor one that is changing.
fn wholeness(tier: &TierView, standing: &Standing, in_flight: &InFlight) -> Option<Blocked> {
    let missing = tier.missing() - in_flight.away;
    if missing > 0 {
        let message = format!(
            "{} of {} pods are Available: nothing is evicted from a tier that misses a pod",
            tier.available, tier.desired
        );
        return blocked(Reason::TierUnavailable, message);
    }
    if let Some(workload) = &tier.rolling_out {
        return blocked(Reason::RolloutInProgress, format!("{workload} is rolling out"));
    }
    if let Some(canary) = &in_flight.canary {
        let message = format!("the first pod moved to {canary} has to become Available there");
        return blocked(Reason::MovesUnderWay, message);
    }
    let budget = tier.settings.budget(tier.desired);
    // Law 5: should all that are under way miss, it is three misses in all.
    let may_miss = (MISSES_ALLOWED - standing.misses).max(1);
    (in_flight.moves >= budget.min(may_miss)).then(|| under_way(in_flight.moves))
}

fn under_way(moves: i32) -> Blocked {
    let moves = if moves == 1 { "1 move is".to_owned() } else { format!("{moves} moves are") };
    Blocked { reason: Reason::MovesUnderWay, message: format!("{moves} under way") }
}

/// Looks at the budgets before the API server is asked.
fn budgets(index: &Index, plan: &TierPlan, in_flight: &InFlight) -> Option<Blocked> {
    let pod = index.cluster().pod(plan.moves.first()?.pod)?;
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
    blocked(
        Reason::BudgetExhausted,
        format!(
            "PodDisruptionBudget {} allows no eviction of pod {} now: raise maxUnavailable or add a replica",
            budget.name, pod.name
        ),
    )
}

/// Law 5: a miss is waited out, the third ends it.
fn backoff(standing: &Standing, now: Timestamp) -> Option<Blocked> {
    if standing.misses >= MISSES_ALLOWED {
        let message = format!(
            "{} moves did not land where they were expected: change the policy to try again",
            standing.misses
        );
        return blocked(Reason::MissedTooOften, message);
    }
    let retry_at = standing.retry_at.filter(|at| *at > now)?;
    let message =
        format!("move {} did not help; the next is tried at {}", standing.misses, short(retry_at));
    blocked(Reason::Backoff, message)
}

fn refused(standing: &Standing, now: Timestamp, which: impl Fn(Reason) -> bool) -> Option<Blocked> {
    let (blocked, until) = standing.refused.as_ref()?;
    (*until > now && which(blocked.reason)).then(|| blocked.clone())
}

fn throttled(facts: &Facts<'_>) -> Option<Blocked> {
    let until = facts.throttled_until.filter(|until| *until > facts.now)?;
    blocked(
        Reason::Throttled,
        format!(
            "the API server asks for fewer requests: nothing is evicted until {}",
            short(until)
        ),
    )
}

/// A time as users read it, in UTC and to the second.
fn short(time: Timestamp) -> String {
    time.strftime("%H:%M:%SZ").to_string()
}
