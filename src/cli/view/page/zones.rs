//! The zones: how each is, and how long it is held.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::ZoneState;
use crate::api::text::counted;
use crate::cli::ui::Board;
use crate::cli::view::html::{Counts, Html};

/// What is known of a zone, from its object and from the policies that use it.
#[derive(Default)]
struct Card<'a> {
    state: Option<ZoneState>,
    since: Option<&'a Time>,
    /// Until when nothing moves there, for the policy that waits longest.
    hold_until: Option<&'a Time>,
    /// Why it is held by hand.
    hold: Option<&'a str>,
    reason: Option<&'a str>,
    message: &'a str,
    usable: &'a str,
    outages: i32,
    safe_to_lose: Option<bool>,
}

fn cards(board: &Board) -> BTreeMap<&str, Card<'_>> {
    let mut cards: BTreeMap<&str, Card<'_>> = BTreeMap::new();
    for zone in board.zones.readable() {
        let Some(status) = zone.status.as_ref().filter(|status| !status.zone.is_empty()) else {
            continue;
        };
        let hold = zone.spec.hold.as_ref();
        let card = Card {
            state: status.state,
            since: status.since.as_ref(),
            hold_until: hold.map(|hold| &hold.until),
            hold: hold.map(|hold| hold.reason.as_str()),
            reason: status.reason.as_deref(),
            message: &status.message,
            usable: &status.usable,
            outages: status.outages,
            safe_to_lose: status.safe_to_lose,
        };
        cards.insert(&status.zone, card);
    }
    let statuses = board.policies.readable().filter_map(|policy| policy.known.status.as_ref());
    for zone in statuses.flat_map(|status| &status.zones) {
        // Without the right to read zones, the policies say what they make of them.
        let card = cards.entry(&zone.name).or_insert_with(|| Card {
            state: Some(zone.state),
            since: zone.since.as_ref(),
            reason: zone.reason.as_deref(),
            ..Card::default()
        });
        let later = |one: &&Time, other: &&Time| one.0.cmp(&other.0);
        card.hold_until = card.hold_until.into_iter().chain(&zone.hold_until).max_by(later);
    }
    cards
}

/// A card for each zone.
pub fn zones(html: &mut Html, board: &Board) {
    let cards = cards(board);
    html.raw("<h2>Zones</h2>");
    if let Some(failed) = &board.zones.failed {
        html.element("p", &[("class", "note")], &format!("Zones are not watched: {failed}"));
    }
    for zone in board.zones.unreadable() {
        let text = format!("Zone {} cannot be read: {}", zone.name, zone.error);
        html.element("p", &[("class", "note bad")], &text);
    }
    if cards.is_empty() {
        html.raw("<p class=\"note\">No zone is known yet.</p>");
        return;
    }
    html.raw("<div class=\"cards\">");
    for (name, card) in &cards {
        self::card(html, name, card);
    }
    html.raw("</div>");
}

fn card(html: &mut Html, name: &str, card: &Card<'_>) {
    let state = card.state.map_or("Unknown", ZoneState::as_str);
    html.open("div", &[("class", &format!("card {state}"))]);
    html.element("h3", &[], name);
    html.raw("<p>");
    html.chip(state);
    if let Some(since) = card.since {
        html.raw(" <span class=\"dim\">for ");
        html.time(Counts::Up, since);
        html.raw("</span>");
    }
    html.raw("</p>");
    let waits =
        matches!(card.state, Some(ZoneState::Recovering | ZoneState::Suspect | ZoneState::Held));
    if let Some(until) = card.hold_until.filter(|_| waits) {
        html.raw("<p class=\"hold\">nothing moves for at most ");
        html.time(Counts::Down, until);
        html.raw("</p>");
    }
    if let Some(hold) = card.hold {
        html.element("p", &[], &format!("held by hand: {hold}"));
    }
    let mut facts: Vec<String> = Vec::new();
    if !card.usable.is_empty() {
        facts.push(format!("{} nodes usable", card.usable));
    }
    if card.outages > 0 {
        facts.push(counted(card.outages, "outage"));
    }
    facts.extend(card.reason.filter(|_| card.state != Some(ZoneState::Ready)).map(str::to_owned));
    html.element("p", &[("class", "dim")], &facts.join(" · "));
    match card.safe_to_lose {
        Some(true) => html.raw("<p>safe to lose</p>"),
        Some(false) => html.raw("<p class=\"bad\">not safe to lose</p>"),
        None => {}
    }
    if card.state != Some(ZoneState::Ready) && !card.message.is_empty() {
        html.element("p", &[("class", "dim")], card.message);
    }
    html.raw("</div>");
}
