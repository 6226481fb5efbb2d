//! One policy's status for a person: tiers by zones, the zones' states, the
//! plan, the last moves, and why not.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::slice;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{
    Cause, MoveState, Phase, PlannedMove, PolicyZone, SteeredTier, TierStatus, TierZone,
    ZoneSpreadPolicyStatus, ZoneState,
};

use crate::cli::age::age;
use crate::cli::output::plain;
use crate::cli::status::Known;
use crate::cli::table::{Grid, or_dash};

/// The policy's status as text.
pub fn policy_table(policy: &Known, now: Timestamp) -> String {
    let title = format!("{}/{}", policy.namespace, policy.name);
    let title = plain(&title);
    let Some(status) = &policy.status else {
        return format!("{title}: no status yet: does the operator run?\n");
    };
    let phase = status.phase.map_or("-", Phase::as_str);
    let mut parts = vec![format!("{title}: {phase}: {}\n", plain(&status.message))];
    if policy.outdated {
        parts[0].push_str("The spec has changed since: the operator has not seen that yet.\n");
    }
    let scheduler = status.scheduler.as_ref().and_then(|scheduler| scheduler.message.as_ref());
    if let Some(message) = scheduler {
        parts.push(format!("Scheduler: {}\n", plain(message)));
    }
    parts.extend(steering(status));
    parts.extend(tiers(status));
    parts.extend(zones(&status.zones, now));
    parts.extend(plan(status));
    parts.extend(approved(status));
    parts.extend(moves(status, now));
    parts.extend(why_not(&status.tiers));
    parts.join("\n")
}

/// Which new pods prefer a zone.
pub(super) fn steering(status: &ZoneSpreadPolicyStatus) -> Option<String> {
    let tiers = &status.steering.as_ref()?.tiers;
    let steered = tiers.iter().map(|tier| {
        let SteeredTier { name, zone, until } = tier;
        format!(
            "Steering: new pods of {} prefer zone {} until {}\n",
            plain(name),
            plain(zone),
            until.0
        )
    });
    let text: String = steered.collect();
    (!text.is_empty()).then_some(text)
}

fn tiers(status: &ZoneSpreadPolicyStatus) -> Option<String> {
    let zones: BTreeSet<&str> = status
        .tiers
        .iter()
        .flat_map(|tier| tier.zones.iter().map(|zone| zone.name.as_str()))
        .collect();
    let is_unzoned = status.tiers.iter().any(|tier| tier.unzoned > 0);
    let columns = ["TIER", "PODS"].into_iter().chain(zones.iter().copied());
    let columns = columns.chain(is_unzoned.then_some("NO ZONE"));
    let has_cause = status.tiers.iter().any(|tier| tier.cause.is_some());
    let columns = columns.chain(["SKEW", "MAX", "REACHABLE", "SURVIVES"]);
    let mut grid = Grid::new(columns.chain(has_cause.then_some("CAUSE")));
    for tier in &status.tiers {
        let mut cells = vec![tier.name.clone(), tier.pods.to_string()];
        cells.extend(zones.iter().map(|name| {
            tier.zones.iter().find(|zone| zone.name == *name).map_or("-".to_owned(), pods)
        }));
        cells.extend(is_unzoned.then(|| tier.unzoned.to_string()));
        cells.extend([tier.skew, tier.max_skew, tier.reachable_skew].map(|skew| skew.to_string()));
        cells.push(survives(tier));
        cells.extend(has_cause.then(|| tier.cause.map_or("-", Cause::as_str).to_owned()));
        grid.row(cells);
    }
    (!status.tiers.is_empty()).then(|| grid.print())
}

/// Pods in a zone; `2/3` when one of three is not Available.
pub(super) fn pods(zone: &TierZone) -> String {
    if zone.available == zone.pods {
        return zone.pods.to_string();
    }
    format!("{}/{}", zone.available, zone.pods)
}

/// What is left of a tier when the zone that hurts most is lost, and what stays Pending.
pub(super) fn survives(tier: &TierStatus) -> String {
    let worst = tier.zone_loss.iter().min_by_key(|loss| (loss.percent, Reverse(loss.pending)));
    worst.map_or("-".to_owned(), |loss| {
        let pending = loss.pending.map_or_else(String::new, |pods| format!(", {pods} Pending"));
        format!("{}% without {}{pending}", loss.percent, loss.zone)
    })
}

fn zones(zones: &[PolicyZone], now: Timestamp) -> Option<String> {
    let mut grid = Grid::new(["ZONE", "STATE", "SINCE", "HELD UNTIL", "REASON"]);
    for zone in zones {
        grid.row([
            &zone.name,
            zone.state.as_str(),
            &since(zone.since.as_ref(), now),
            &time(zone.hold_until.as_ref()),
            or_dash(zone.reason.as_deref().filter(|_| zone.state != ZoneState::Ready)),
        ]);
    }
    (!zones.is_empty()).then(|| grid.print())
}

fn plan(status: &ZoneSpreadPolicyStatus) -> Option<String> {
    let plan = status.plan.as_ref()?;
    let more = usize::try_from(plan.total).unwrap_or_default().saturating_sub(plan.moves.len());
    let rest = if more > 0 { format!("and {more} more\n") } else { String::new() };
    Some(planned_moves(&format!("PLAN {}", plan.id), &plan.moves) + &rest)
}

/// The approved moves that are left.
fn approved(status: &ZoneSpreadPolicyStatus) -> Option<String> {
    let approved = status.approved.as_ref().filter(|plan| !plan.moves.is_empty())?;
    Some(planned_moves(&format!("APPROVED {}", approved.id), &approved.moves))
}

fn planned_moves(title: &str, moves: &[PlannedMove]) -> String {
    let preempts = moves.iter().any(|planned| !planned.preempts.is_empty());
    let columns = [title, "TIER", "FROM", "TO"].into_iter().chain(preempts.then_some("PREEMPTS"));
    let mut grid = Grid::new(columns).with_notes(["PREEMPTS"]);
    for planned in moves {
        let to = [slice::from_ref(&planned.to), &planned.alternatives].concat().join(" or ");
        let steered = planned.steered.as_ref().map_or("", |_| " (steered)");
        let to = format!("{to}{steered}");
        let preempted = planned.preempts.join(", ");
        let cells = [&planned.pod, &planned.tier, &planned.from, &to];
        grid.row(cells.into_iter().chain(preempts.then_some(&preempted)));
    }
    grid.print()
}

fn moves(status: &ZoneSpreadPolicyStatus, now: Timestamp) -> Option<String> {
    let columns = ["MOVED", "TIER", "FROM", "TO", "NODE", "STATE", "SINCE", "MESSAGE"];
    let mut grid = Grid::new(columns).with_notes(["MESSAGE", "NODE"]);
    // The last first.
    for moved in status.moves.iter().rev() {
        grid.row([
            &moved.pod,
            &moved.tier,
            &moved.from,
            &moved.to,
            or_dash(moved.node.as_deref()),
            state(moved.state),
            &since(Some(moved.finished_at.as_ref().unwrap_or(&moved.started_at)), now),
            &moved.message,
        ]);
    }
    (!status.moves.is_empty()).then(|| grid.print())
}

pub(super) const fn state(state: MoveState) -> &'static str {
    match state {
        MoveState::Evicting => "Evicting",
        MoveState::Evicted => "Evicted",
        MoveState::Releasing => "Releasing",
        MoveState::Released => "Released",
        MoveState::Undoing => "Undoing",
        MoveState::Landed => "Landed",
        MoveState::Missed => "Missed",
        MoveState::Stuck => "Stuck",
        MoveState::Discarded => "Discarded",
        MoveState::Refused => "Refused",
    }
}

fn why_not(tiers: &[TierStatus]) -> Option<String> {
    let mut grid = Grid::new(["WHY NOT", "", ""]).with_notes([""]);
    let mut any = false;
    for tier in tiers {
        let Some(blocked) = &tier.blocked else { continue };
        grid.row([&tier.name, blocked.reason.as_str(), &blocked.message]);
        any = true;
    }
    any.then(|| grid.print())
}

/// How long ago that was, as kubectl prints it.
fn since(time: Option<&Time>, now: Timestamp) -> String {
    time.map_or("-".to_owned(), |time| age(now.duration_since(time.0)))
}

fn time(time: Option<&Time>) -> String {
    time.map_or("-".to_owned(), |time| time.0.to_string())
}
