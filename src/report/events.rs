//! Events: what changed between two statuses.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::text::counted;
use crate::api::{
    ApprovedPlan, CONDITION_EFFECTIVE, MoveKind, MoveState, Phase, Reason, ZoneSpreadPolicyStatus,
    ZoneState,
};
use crate::moves::Event;

fn normal(reason: &'static str, action: &'static str, text: String) -> Event {
    Event { warning: false, reason, action, text, related: None }
}

fn warning(reason: &'static str, action: &'static str, text: String) -> Event {
    Event { warning: true, reason, action, text, related: None }
}

/// The events that lead from one status to the next.
#[must_use]
pub fn events_between(
    before: &ZoneSpreadPolicyStatus,
    after: &ZoneSpreadPolicyStatus,
) -> Vec<Event> {
    let mut events = zones(before, after);
    events.extend(plan(before, after));
    events.extend(approval(before, after));
    events.extend(moves(before, after));
    events.extend(blocked(before, after));
    events.extend(ineffective(before, after));
    if after.phase == Some(Phase::Invalid) && before.message != after.message {
        events.push(warning("Invalid", "Validate", after.message.clone()));
    }
    let is_back = before.phase.is_some_and(|phase| phase != Phase::Balanced);
    if after.phase == Some(Phase::Balanced) && is_back {
        events.push(normal("Balanced", "Rebalance", after.message.clone()));
    }
    events
}

/// What the policy fails to protect. An invalid one has an event of its own.
fn ineffective(before: &ZoneSpreadPolicyStatus, after: &ZoneSpreadPolicyStatus) -> Option<Event> {
    fn failing(status: &ZoneSpreadPolicyStatus) -> Option<&Condition> {
        let is_valid = status.phase != Some(Phase::Invalid);
        let mut conditions = status.conditions.iter().filter(|_| is_valid);
        conditions.find(|known| known.type_ == CONDITION_EFFECTIVE && known.status == "False")
    }
    let why = failing(after)?;
    let is_told = failing(before).is_some_and(|known| known.reason == why.reason);
    let text = format!("{}: {}", why.reason, why.message);
    (!is_told).then(|| warning("Ineffective", "Observe", text))
}

fn zones(before: &ZoneSpreadPolicyStatus, after: &ZoneSpreadPolicyStatus) -> Vec<Event> {
    let mut events = Vec::new();
    for zone in &after.zones {
        let known = before.zones.iter().find(|known| known.name == zone.name);
        let old = known.map_or(ZoneState::Ready, |known| known.state);
        if old == zone.state {
            continue;
        }
        let name = &zone.name;
        let until = zone
            .hold_until
            .as_ref()
            .map_or_else(String::new, |until| format!(" until {}", until.0.strftime("%H:%M:%SZ")));
        let event = match zone.state {
            ZoneState::Impaired => warning(
                "ZoneImpaired",
                "Observe",
                format!("zone {name} is out ({})", zone.reason.as_deref().unwrap_or("unusable")),
            ),
            ZoneState::Recovering => normal(
                "ZoneRecovering",
                "Hold",
                format!("zone {name} is usable again, held{until}"),
            ),
            ZoneState::Suspect => warning(
                "ZoneSuspect",
                "Hold",
                format!("the first pod moved to zone {name} did not become Available; held{until}"),
            ),
            ZoneState::Held => {
                normal("ZoneHeld", "Hold", format!("zone {name} is held by hand{until}"))
            }
            ZoneState::Ready => normal("ZoneReady", "Observe", format!("zone {name} is Ready")),
            ZoneState::Empty => {
                normal("ZoneEmpty", "Observe", format!("zone {name} has had no nodes for an hour"))
            }
        };
        events.push(event.about("Zone", name));
    }
    events
}

fn plan(before: &ZoneSpreadPolicyStatus, after: &ZoneSpreadPolicyStatus) -> Option<Event> {
    // A plan shrinks as it is carried out; each move has its own event.
    let total = |status: &ZoneSpreadPolicyStatus| status.plan.as_ref().map_or(0, |plan| plan.total);
    let plan = after.plan.as_ref().filter(|plan| plan.total > total(before))?;
    let shown: Vec<String> = plan
        .moves
        .iter()
        .take(5)
        .map(|planned| format!("{} {} → {}", planned.pod, planned.from, planned.to))
        .collect();
    let more = usize::try_from(plan.total).unwrap_or(0).saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(normal(
        "Planned",
        "Plan",
        format!("{}: {}{more}", counted(plan.total, "move"), shown.join(", ")),
    ))
}

fn approval(before: &ZoneSpreadPolicyStatus, after: &ZoneSpreadPolicyStatus) -> Option<Event> {
    fn left(status: &ZoneSpreadPolicyStatus) -> Option<&ApprovedPlan> {
        status.approved.as_ref().filter(|plan| !plan.moves.is_empty())
    }
    let approved = left(after)?;
    let is_told = left(before).is_some_and(|known| known.id == approved.id);
    (!is_told).then(|| {
        let text =
            format!("plan {} is approved: {}", approved.id, counted(approved.moves.len(), "move"));
        normal("Approved", "Plan", text)
    })
}

fn moves(before: &ZoneSpreadPolicyStatus, after: &ZoneSpreadPolicyStatus) -> Vec<Event> {
    let mut events = Vec::new();
    for moved in &after.moves {
        let known = before
            .moves
            .iter()
            .find(|known| known.uid == moved.uid && known.started_at == moved.started_at);
        let old = known.map(|known| known.state);
        if old == Some(moved.state) {
            continue;
        }
        let route = format!("{} ({}) {} → {}", moved.pod, moved.tier, moved.from, moved.to);
        let told = format!("{route}: {}", moved.message);
        let action = match moved.kind {
            MoveKind::Evict => "Evict",
            MoveKind::Surge => "Surge",
        };
        let event = match moved.state {
            MoveState::Evicting => normal("Evicting", "Evict", route),
            MoveState::Releasing => normal("Surging", "Surge", route),
            MoveState::Evicted | MoveState::Released => continue,
            MoveState::Undoing => warning("Undoing", "Surge", told),
            MoveState::Landed => normal("Landed", action, told),
            MoveState::Missed => warning("Missed", action, told),
            MoveState::Stuck => warning("Stuck", action, told),
            MoveState::Discarded => normal("Discarded", action, told),
            MoveState::Refused => warning("Refused", action, told),
        };
        events.push(event.about("Pod", &moved.pod));
    }
    events
}

fn blocked(before: &ZoneSpreadPolicyStatus, after: &ZoneSpreadPolicyStatus) -> Vec<Event> {
    let mut events = Vec::new();
    for tier in &after.tiers {
        let Some(blocked) = &tier.blocked else { continue };
        // Covered by the zones' and moves' own events, or by the policy itself.
        let told_elsewhere = matches!(
            blocked.reason,
            Reason::ZoneImpaired
                | Reason::ZoneRecovering
                | Reason::ZoneSuspect
                | Reason::MovesUnderWay
                | Reason::TierUnavailable
                | Reason::SingleZoneAccepted
        );
        let known = before.tiers.iter().find(|known| known.name == tier.name);
        let old = known.and_then(|known| known.blocked.as_ref());
        // A new plan asks for a new approval.
        let is_told = old.is_some_and(|old| match blocked.reason {
            Reason::AwaitingApproval => old == blocked,
            reason => old.reason == reason,
        });
        if !told_elsewhere && !is_told {
            let (name, message) = (&tier.name, &blocked.message);
            let event = match blocked.reason {
                Reason::AwaitingApproval => {
                    normal("AwaitingApproval", "Plan", format!("{name}: {message}"))
                }
                reason => warning("Blocked", "Plan", format!("{name}: {reason}: {message}")),
            };
            events.push(event.about("Tier", &tier.name));
        }
    }
    events
}
