//! Policies: all in a list, and some with their tiers by zones, what is planned and why not.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{PageView, ROWS, Shown};
use crate::api::text::counted;
use crate::api::{
    Cause, Mode, Phase, Plan, PlannedMove, Recovery, TierStatus, TierZone, ZoneSpreadPolicyStatus,
    ZoneState,
};
use crate::cli::age::age;
use crate::cli::ui::{Board, BoardPolicy};
use crate::cli::view::html::{Counts, Html};
use crate::cli::view::policy::{pods, steering, survives};
use crate::report::common_prefix;

/// So many pods of a zone are drawn one by one.
const DRAWN: usize = 12;

/// What to show first where not all can be: what is broken, then what waits for somebody, then
/// what is under way.
pub fn urgency(policy: &BoardPolicy) -> usize {
    let phase = policy.known.status.as_ref().and_then(|status| status.phase);
    match phase {
        Some(Phase::Invalid) => 0,
        Some(Phase::Ineffective) | None => 1,
        Some(Phase::Frozen) => 2,
        Some(Phase::Blocked) => 3,
        Some(Phase::AwaitingApproval) => 4,
        Some(Phase::Rebalancing) => 5,
        Some(Phase::Holding) => 6,
        Some(Phase::Observing) => 7,
        Some(Phase::Balanced) => 8,
    }
}

fn phase(policy: &BoardPolicy) -> &'static str {
    let phase = policy.known.status.as_ref().and_then(|status| status.phase);
    phase.map_or("Unknown", Phase::as_str)
}

/// A row for each policy, where there are several.
pub fn list(html: &mut Html, board: &Board, view: &PageView, now: Timestamp) {
    let count = board.policies.readable().count();
    if count < 2 || matches!(view, PageView::Policy(_)) {
        return;
    }
    html.raw("<h2>All policies</h2>");
    let columns = ["Policy", "Tiers", "Zones", "Skew", "Phase", "Moves", "Survives", "Age"];
    html.table("list-table", "All policies", &columns, |html| {
        for policy in board.policies.readable().take(ROWS) {
            html.raw("<tr><th scope=\"row\">");
            link(html, policy);
            html.raw("</th>");
            let created = policy.known.created.map(|created| age(now.duration_since(created)));
            let created = created.unwrap_or_default();
            if let Some(status) = &policy.known.status {
                let summary = &status.summary;
                html.element("td", &[], &summary.tiers.to_string());
                html.element("td", &[], &summary.zones);
                html.element("td", &[], &summary.skew.to_string());
                html.raw("<td>");
                html.chip(phase(policy));
                html.raw("</td>");
                html.element("td", &[], &summary.moves);
                html.element("td", &[], &summary.survives);
            } else {
                html.raw("<td colspan=\"6\">no status yet</td>");
            }
            html.element("td", &[], &created);
            html.raw("</tr>");
        }
    });
    if let Some(more) = count.checked_sub(ROWS).filter(|more| *more > 0) {
        let text = format!("{more} more are not listed: -n NAMESPACE shows fewer.");
        html.element("p", &[("class", "note")], &text);
    }
}

fn link(html: &mut Html, policy: &BoardPolicy) {
    let (namespace, name) = (&policy.known.namespace, &policy.known.name);
    let path = format!("/policy/{namespace}/{name}");
    html.element("a", &[("href", &path)], &format!("{namespace}/{name}"));
}

/// Policies with their tiers.
pub fn policies(html: &mut Html, board: &Board, view: &PageView, shown: &Shown<'_>) {
    html.raw("<h2>Tiers by zones</h2>");
    for policy in board.policies.unreadable() {
        html.raw("<article class=\"policy Invalid\"><h3>");
        html.text(&format!("{}/{}", policy.namespace, policy.name));
        html.raw(" ");
        html.chip("Invalid");
        html.raw("</h3>");
        let text = format!("This version cannot read it: {}", policy.error);
        html.element("p", &[], &text);
        html.raw("</article>");
    }
    if shown.policies.is_empty() && board.policies.objects.is_empty() {
        let place = board.namespace.as_ref();
        let text = match (view, place) {
            _ if !board.policies.is_listed => "Reading …".to_owned(),
            (PageView::Policy((namespace, name)), _) => {
                format!("There is no ZoneSpreadPolicy {name} in namespace {namespace}.")
            }
            (_, Some(namespace)) => {
                format!("No ZoneSpreadPolicies in namespace {namespace}; -A shows all namespaces.")
            }
            (_, None) => "No ZoneSpreadPolicies in the cluster.".to_owned(),
        };
        html.element("p", &[("class", "note")], &text);
    } else if let (PageView::Policy((namespace, name)), []) = (view, &shown.policies[..]) {
        let text = format!("There is no ZoneSpreadPolicy {name} in namespace {namespace}.");
        html.element("p", &[("class", "note")], &text);
    }
    shown.policies.iter().for_each(|policy| self::policy(html, policy));
    if shown.more > 0 {
        let text = format!("{} more are in the list above.", shown.more);
        html.element("p", &[("class", "note")], &text);
    }
}

fn policy(html: &mut Html, policy: &BoardPolicy) {
    html.open("article", &[("class", &format!("policy {}", phase(policy)))]);
    html.raw("<h3>");
    link(html, policy);
    html.raw(" ");
    html.chip(phase(policy));
    if policy.known.mode != Mode::Auto {
        html.element("span", &[("class", "dim")], &format!(" mode {:?}", policy.known.mode));
    }
    html.raw("</h3>");
    match &policy.known.status {
        None => html.raw("<p class=\"bad\">no status yet: does the operator run?</p>"),
        Some(status) => self::status(html, policy, status),
    }
    html.raw("</article>");
}

fn status(html: &mut Html, policy: &BoardPolicy, status: &ZoneSpreadPolicyStatus) {
    html.element("p", &[("class", "message")], &status.message);
    if policy.outdated {
        html.raw(
            "<p class=\"bad\">The spec has changed since: the operator has not seen that yet.</p>",
        );
    }
    let scheduler = status.scheduler.as_ref().and_then(|scheduler| scheduler.message.as_ref());
    for text in scheduler.cloned().into_iter().chain(steering(status)) {
        html.element("p", &[("class", "dim")], text.trim_end());
    }
    holds(html, status);
    if let Some(recovery) = status.recovery.as_ref().filter(|known| known.balanced_at.is_none()) {
        self::recovery(html, recovery);
    }
    let id = |part: &str| format!("{part}-{}-{}", policy.known.namespace, policy.known.name);
    if !status.tiers.is_empty() {
        tiers(html, &id("tiers"), &policy.known.name, status);
    }
    if let Some(plan) = &status.plan {
        self::plan(html, &id("plan"), policy, status, plan);
    }
}

/// The zones for which the policy waits, and how long.
fn holds(html: &mut Html, status: &ZoneSpreadPolicyStatus) {
    let held = [ZoneState::Recovering, ZoneState::Suspect, ZoneState::Held];
    for zone in status.zones.iter().filter(|zone| held.contains(&zone.state)) {
        let Some(until) = &zone.hold_until else { continue };
        html.raw("<p class=\"hold\">");
        html.text(&format!("Zone {} is {}: nothing moves for ", zone.name, zone.state.as_str()));
        html.time(Counts::Down, until);
        html.raw("</p>");
    }
}

/// How far a recovery is.
fn recovery(html: &mut Html, recovery: &Recovery) {
    html.raw("<p>");
    match &recovery.zone {
        Some(zone) => html.text(&format!("Zone {zone} came back ")),
        None => html.raw("Moves began "),
    }
    html.time(Counts::Up, &recovery.started_at);
    let of = format!(" ago. Moves: {} of {}", recovery.moves_done, recovery.moves_total);
    html.text(&of);
    if recovery.misses > 0 {
        html.text(&format!(", {}", counted(recovery.misses, "miss")));
    }
    if let Some(end) = &recovery.estimated_end {
        html.raw(". Expected to end in ");
        html.time(Counts::Down, end);
    }
    html.raw(".</p>");
}

fn tiers(html: &mut Html, id: &str, name: &str, status: &ZoneSpreadPolicyStatus) {
    let zones = status.tiers.iter().flat_map(|tier| &tier.zones).map(|zone| zone.name.as_str());
    let zones: Vec<&str> = zones.collect::<BTreeSet<_>>().into_iter().collect();
    let cut = common_prefix(&zones);
    let short = zones.iter().map(|zone| zone.get(cut..).unwrap_or(zone));
    let is_unzoned = status.tiers.iter().any(|tier| tier.unzoned > 0);
    let columns = ["Tier"].into_iter().chain(short).chain(is_unzoned.then_some("No zone"));
    let columns: Vec<&str> = columns.chain(["Skew", "Survives", "Now"]).collect();
    html.table(id, &format!("Tiers of {name} by zones"), &columns, |html| {
        for tier in &status.tiers {
            html.raw("<tr>");
            html.element("th", &[("scope", "row")], &tier.name);
            for name in &zones {
                match tier.zones.iter().find(|zone| zone.name == *name) {
                    Some(zone) => self::zone(html, zone),
                    None => html.raw("<td>-</td>"),
                }
            }
            if is_unzoned {
                html.element("td", &[], &tier.unzoned.to_string());
            }
            let class = if tier.skew > tier.max_skew { "bad" } else { "" };
            html.raw("<td>");
            html.element("b", &[("class", class)], &tier.skew.to_string());
            let allowed = format!("max {}, reachable {}", tier.max_skew, tier.reachable_skew);
            html.element("small", &[], &allowed);
            html.raw("</td>");
            html.element("td", &[], &survives(tier));
            now(html, tier);
            html.raw("</tr>");
        }
    });
}

/// The pods of a tier in a zone: how many, and one by one as long as they are few.
fn zone(html: &mut Html, zone: &TierZone) {
    html.raw("<td class=\"pods\">");
    html.element("b", &[], &pods(zone));
    html.raw("<span aria-hidden=\"true\">");
    let all = usize::try_from(zone.pods).unwrap_or_default();
    let available = usize::try_from(zone.available).unwrap_or_default();
    for at in 0..all.min(DRAWN) {
        html.raw(if at < available { "<i class=\"stay\"></i>" } else { "<i class=\"late\"></i>" });
    }
    if all > DRAWN {
        html.raw("…");
    }
    html.raw("</span></td>");
}

/// What is done for a tier, or why nothing is.
fn now(html: &mut Html, tier: &TierStatus) {
    html.raw("<td class=\"now\">");
    match &tier.blocked {
        Some(blocked) => {
            html.element("b", &[], blocked.reason.as_str());
            html.element("small", &[], &blocked.message);
        }
        None if tier.skew <= tier.max_skew => html.raw("balanced"),
        None => html.raw("may move"),
    }
    if let Some(cause) = tier.cause {
        html.element("small", &[], &format!("cause: {}", Cause::as_str(cause)));
    }
    if let Some(retry) = &tier.retry_at {
        html.raw("<small>tried again in ");
        html.time(Counts::Down, retry);
        html.raw("</small>");
    }
    html.raw("</td>");
}

fn plan(
    html: &mut Html,
    id: &str,
    policy: &BoardPolicy,
    status: &ZoneSpreadPolicyStatus,
    plan: &Plan,
) {
    html.raw("<h4>Plan ");
    html.element("code", &[], &plan.id);
    html.text(&format!(": {}", counted(plan.total, "move")));
    html.raw("</h4>");
    if status.phase == Some(Phase::AwaitingApproval) {
        html.raw("<p>It waits for approval: <code>");
        let (namespace, name) = (&policy.known.namespace, &policy.known.name);
        html.text(&format!("zonespread approve {name} -n {namespace} --plan {}", plan.id));
        html.raw("</code></p>");
    }
    html.table(id, "Planned moves", &["Pod", "Tier", "From", "To", "How"], |html| {
        for planned in &plan.moves {
            let to = [std::slice::from_ref(&planned.to), &planned.alternatives].concat();
            html.row([&planned.pod, &planned.tier, &planned.from, &to.join(" or "), &how(planned)]);
        }
    });
    let listed = i32::try_from(plan.moves.len()).unwrap_or(i32::MAX);
    if plan.total > listed {
        let text = format!("and {} more", plan.total - listed);
        html.element("p", &[("class", "note")], &text);
    }
}

fn how(planned: &PlannedMove) -> String {
    let steered = planned.steered.as_ref().map(|zone| format!("steered to {zone}"));
    let preempts = (!planned.preempts.is_empty())
        .then(|| format!("pushes out {}", planned.preempts.join(", ")));
    let kind = planned.kind.as_str().to_owned();
    [Some(kind), steered, preempts].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
