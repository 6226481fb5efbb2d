//! The page of `zonespread ui`: sections of HTML, each replaced when what it shows changes.

mod losses;
mod moves;
mod past;
mod policies;
mod zones;

use jiff::Timestamp;
use serde::Serialize;

use crate::api::ZoneSpreadPolicyStatus;
use crate::cli::ui::{Board, BoardPolicy};

use super::html::Html;

/// The style of the page: that of the reports, and what only the page has.
pub const PAGE_STYLE: &str = concat!(include_str!("../report.css"), include_str!("page.css"));
/// What keeps the page up to date.
pub const PAGE_SCRIPT: &str = include_str!("page.js");
/// Three zones, one of them short of a pod.
pub const PAGE_ICON: &str = include_str!("icon.svg");

/// As many policies are shown with their tiers.
const POLICIES: usize = 30;
/// As many rows has a table at most.
const ROWS: usize = 500;

/// What a page shows.
#[derive(Debug)]
pub enum PageView {
    /// All policies.
    Overview,
    /// One, by namespace and name, with all that is known of it.
    Policy((String, String)),
}

/// A part of the page that is replaced as a whole.
#[derive(Debug, Serialize)]
pub struct Section {
    /// The id of its element.
    pub id: &'static str,
    /// What is in it; nothing if it has nothing to show.
    pub html: Html,
}

/// The policies that a page shows with their tiers.
struct Shown<'a> {
    policies: Vec<&'a BoardPolicy>,
    /// How many more there are.
    more: usize,
}

impl<'a> Shown<'a> {
    /// All of them, in the order of their names; of too many, those that need somebody first.
    fn of(board: &'a Board, view: &PageView) -> Self {
        if let PageView::Policy(key) = view {
            let policy = board.policies.objects.get(key).and_then(|policy| policy.as_ref().ok());
            return Self { policies: policy.into_iter().collect(), more: 0 };
        }
        let mut policies: Vec<&BoardPolicy> = board.policies.readable().collect();
        let more = policies.len().saturating_sub(POLICIES);
        if more > 0 {
            policies.sort_by_key(|policy| policies::urgency(policy));
            policies.truncate(POLICIES);
        }
        Self { policies, more }
    }

    fn statuses(&self) -> impl Iterator<Item = (&'a BoardPolicy, &'a ZoneSpreadPolicyStatus)> {
        let policies = self.policies.iter().copied();
        policies.filter_map(|policy| Some((policy, policy.known.status.as_ref()?)))
    }
}

/// Every section, in the order in which they are shown.
pub fn sections(board: &Board, view: &PageView, now: Timestamp) -> Vec<Section> {
    let shown = Shown::of(board, view);
    let section = |id, write: &dyn Fn(&mut Html)| {
        let mut html = Html::default();
        write(&mut html);
        Section { id, html }
    };
    vec![
        section("zones", &|html| zones::zones(html, board)),
        section("list", &|html| policies::list(html, board, view, now)),
        section("policies", &|html| policies::policies(html, board, view, &shown)),
        section("moves", &|html| moves::moves(html, &shown)),
        section("losses", &|html| losses::losses(html, &shown)),
        section("recoveries", &|html| past::recoveries(html, board, view)),
        section("drills", &|html| past::drills(html, board, view)),
    ]
}

/// The whole page.
pub fn page(board: &Board, view: &PageView, now: Timestamp) -> String {
    let mut html = Html::default();
    let title = match view {
        PageView::Overview => "zonespread".to_owned(),
        PageView::Policy((namespace, name)) => format!("{namespace}/{name} · zonespread"),
    };
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.element("title", &[], &title);
    html.raw("<link rel=\"stylesheet\" href=\"/page.css\"><link rel=\"icon\" href=\"/icon.svg\">");
    html.raw("<script src=\"/page.js\" defer></script></head>\n<body><header><h1>");
    match view {
        PageView::Overview => html.raw("zonespread"),
        PageView::Policy((namespace, name)) => {
            html.raw("<a href=\"/\" id=\"home\">zonespread</a> ");
            html.text(&format!("{namespace}/{name}"));
        }
    }
    html.raw("</h1><p class=\"lead\">");
    html.text(&match &board.namespace {
        Some(namespace) => format!("{}, namespace {namespace}", board.cluster),
        None => format!("{}, all namespaces", board.cluster),
    });
    html.raw(" · <span id=\"age\" aria-hidden=\"true\"></span></p></header>\n");
    html.raw("<p id=\"problem\" role=\"alert\"");
    if board.problem().is_none() {
        html.raw(" hidden");
    }
    html.raw(">");
    html.text(board.problem().unwrap_or_default());
    html.raw("</p><noscript><p class=\"note\">Without JavaScript this page shows one moment: reload it to see the next.</p></noscript>\n");
    html.open("main", &[("data-version", &board.version())]);
    for section in sections(board, view, now) {
        let empty: &[_] = if section.html.is_empty() { &[("hidden", "")] } else { &[] };
        html.open("section", &[&[("id", section.id)], empty].concat());
        html.append(section.html);
        html.raw("</section>\n");
    }
    html.raw("</main>\n<footer>zonespread ");
    html.raw(env!("CARGO_PKG_VERSION"));
    html.raw(". This page reads and changes nothing. What workloads without a policy would do, <code>zonespread outlook -A</code> says.</footer></body></html>\n");
    html.into_string()
}

#[cfg(test)]
mod tests;
