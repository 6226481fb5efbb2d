//! Moves as they happen, those of all policies that are shown.

use super::Shown;
use crate::api::MoveStatus;
use crate::cli::ui::BoardPolicy;
use crate::cli::view::html::{Counts, Html};
use crate::cli::view::policy::state;

/// As many moves that are over are shown.
const OVER: usize = 20;

/// The moves under way, then those that ended last.
pub fn moves(html: &mut Html, shown: &Shown<'_>) {
    let mut moves: Vec<(&BoardPolicy, &MoveStatus)> = Vec::new();
    for (policy, status) in shown.statuses() {
        moves.extend(status.moves.iter().map(|moved| (policy, moved)));
    }
    // The last first; those under way before all others.
    moves.sort_by(|(_, one), (_, other)| {
        let key = |moved: &MoveStatus| {
            let over = moved.finished_at.as_ref();
            (moved.state.is_under_way(), over.unwrap_or(&moved.started_at).0)
        };
        key(other).cmp(&key(one))
    });
    let under_way = moves.iter().filter(|(_, moved)| moved.state.is_under_way()).count();
    moves.truncate(under_way + OVER);
    if moves.is_empty() {
        return;
    }
    html.raw("<h2>Moves</h2>");
    let columns = ["State", "Tier", "Pod", "From", "To", "Node", "Since", "Message"];
    html.table("moves-table", "Moves", &columns, |html| {
        for (policy, moved) in &moves {
            row(html, policy, moved);
        }
    });
}

fn row(html: &mut Html, policy: &BoardPolicy, moved: &MoveStatus) {
    html.raw("<tr><td>");
    html.chip(state(moved.state));
    html.raw("</td>");
    html.element("td", &[], &format!("{} {}", policy.known.name, moved.tier));
    html.raw("<td>");
    html.text(&moved.pod);
    if let Some(replacement) = &moved.replacement {
        html.element("small", &[], &format!("now {replacement}"));
    }
    html.raw("</td>");
    html.element("td", &[], &moved.from);
    html.element("td", &[], &moved.to);
    html.element("td", &[], moved.node.as_deref().unwrap_or("-"));
    html.raw("<td>");
    html.time(Counts::Up, moved.finished_at.as_ref().unwrap_or(&moved.started_at));
    html.raw("</td>");
    html.element("td", &[("class", "now")], &moved.message);
    html.raw("</tr>");
}
