//! Past recoveries, and drills.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::PageView;
use crate::api::text::counted;
use crate::api::{DrillForecast, DrillPhase, ZoneDrill, ZoneDrillStatus};
use crate::cli::age::age;
use crate::cli::history::ToldRecovery;
use crate::cli::table::or_dash;
use crate::cli::ui::Board;
use crate::cli::view::drill::places;
use crate::cli::view::history::lowest;
use crate::cli::view::html::{Counts, Html};

/// As many recoveries and drills are shown.
const SHOWN: usize = 20;

/// The recoveries, the last first.
pub fn recoveries(html: &mut Html, board: &Board, view: &PageView) {
    let mut told = board.recoveries();
    if let PageView::Policy((namespace, name)) = view {
        told.retain(|told| told.namespace == *namespace && told.policy == *name);
    }
    if told.is_empty() {
        return;
    }
    html.raw("<h2>Recoveries</h2>");
    let columns = [
        "Policy",
        "Zone",
        "Back",
        "Lost for",
        "Held",
        "Took",
        "Moves",
        "Missed",
        "Lowest ready",
        "Outcome",
    ];
    html.table("recoveries-table", "Recoveries", &columns, |html| {
        told.iter().rev().take(SHOWN).for_each(|told| recovery(html, told));
    });
}

fn recovery(html: &mut Html, told: &ToldRecovery) {
    let between = |from: Option<&Time>, to: Option<&Time>| {
        let length = from.zip(to).map(|(from, to)| age(to.0.duration_since(from.0)));
        or_dash(length.as_deref()).to_owned()
    };
    let began = Some(&told.started_at);
    html.raw("<tr>");
    html.element("th", &[("scope", "row")], &format!("{}/{}", told.namespace, told.policy));
    html.element("td", &[], or_dash(told.zone.as_deref()));
    html.raw("<td>");
    html.time(Counts::Up, &told.started_at);
    html.raw(" ago</td>");
    html.element("td", &[], &between(told.lost_at.as_ref(), began));
    html.element("td", &[], &between(began, told.held_until.as_ref()));
    html.element("td", &[], &between(began, told.ended_at.as_ref()));
    html.element("td", &[], &told.moves.to_string());
    html.element("td", &[], &told.misses.to_string());
    html.element("td", &[], &lowest(told));
    html.raw("<td>");
    html.chip(told.outcome);
    html.raw("</td></tr>");
}

/// The drills, the last first.
pub fn drills(html: &mut Html, board: &Board, view: &PageView) {
    if matches!(view, PageView::Policy(_)) {
        return;
    }
    let mut drills: Vec<&ZoneDrill> = board.drills.readable().collect();
    drills.sort_by_key(|drill| drill.metadata.creation_timestamp.as_ref().map(|time| time.0));
    if drills.is_empty() && board.drills.unreadable().next().is_none() {
        return;
    }
    html.raw("<h2>Drills</h2>");
    for drill in board.drills.unreadable() {
        let text = format!("Drill {} cannot be read: {}", drill.name, drill.error);
        html.element("p", &[("class", "note bad")], &text);
    }
    drills.iter().rev().take(SHOWN).for_each(|known| drill(html, known));
}

fn drill(html: &mut Html, drill: &ZoneDrill) {
    let name = drill.name_any();
    html.open("details", &[("id", &format!("drill-{name}"))]);
    html.raw("<summary>");
    html.text(&format!("{name}: zone {} ", drill.spec.zone));
    let phase = drill.status.as_ref().and_then(|status| status.phase);
    html.chip(phase.map_or("Pending", DrillPhase::as_str));
    if let Some(made) = &drill.metadata.creation_timestamp {
        html.raw(" <span class=\"dim\">");
        html.time(Counts::Up, made);
        html.raw(" ago</span>");
    }
    html.raw("</summary>");
    match &drill.status {
        None => html.raw("<p class=\"note\">no answer yet: does the operator run?</p>"),
        Some(status) => answer(html, &name, status),
    }
    html.raw("</details>");
}

fn answer(html: &mut Html, name: &str, status: &ZoneDrillStatus) {
    html.element("p", &[], &status.message);
    if !status.refusals.is_empty() {
        html.raw("<ul>");
        for refusal in &status.refusals {
            html.raw("<li>");
            html.element("b", &[], refusal.reason.as_str());
            html.text(&format!(" {}", refusal.message));
            html.raw("</li>");
        }
        html.raw("</ul>");
    }
    if let Some(forecast) = &status.forecast {
        self::forecast(html, name, forecast);
    }
}

fn forecast(html: &mut Html, name: &str, forecast: &DrillForecast) {
    let text = format!(
        "It evicts {}. Pending then: {}; staying: {}; other pods in the zone: {}.",
        counted(forecast.evictions, "pod"),
        forecast.pending,
        forecast.stays,
        forecast.other_pods,
    );
    html.element("p", &[], &text);
    let columns = ["Tier", "In zone", "Left", "Then", "Reason"];
    html.table(&format!("forecast-{name}"), &format!("Forecast of {name}"), &columns, |html| {
        for tier in &forecast.tiers {
            let accepted = if tier.accepted { " (accepted)" } else { "" };
            html.row([
                format!("{}/{} {}", tier.namespace, tier.policy, tier.tier),
                tier.in_zone.to_string(),
                format!("{}/{}", tier.surviving, tier.pods),
                places(tier, 0),
                tier.reason.map_or("-".to_owned(), |reason| format!("{reason}{accepted}")),
            ]);
        }
    });
}
