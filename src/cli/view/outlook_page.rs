//! What the loss of each zone would do, as a page: one file with a zone-by-tier picture that
//! needs nothing else, and runs no script.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::api::text::counted;
use crate::cli::outlook::{PhaseLoss, ScenarioTier, TierLoss, ZoneLoss, Zones};
use crate::report::common_prefix;

use super::html::{FATES, Html, STYLE, escaped};
use super::outlook::{missing, reason};
use super::scenarios::Scenarios;

/// The outlook as a page.
pub fn outlook_page(answer: &Zones) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Losing a zone</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Losing a zone</h1>\n<p class=\"lead\">{}</p>\n<div class=\"cards\">\n",
        escaped(&verdict(answer))
    );
    answer.zones.iter().for_each(|zone| card(&mut page, zone));
    page.push_str("</div>\n");
    let (tiers, others) = by_name(answer);
    picture(&mut page, "Tiers", &tiers, answer);
    picture(&mut page, "Workloads that no policy selects", &others, answer);
    answer.zones.iter().for_each(|zone| findings(&mut page, zone));
    if let Some(tiers) = &answer.scenarios {
        let names: Vec<&str> = answer.zones.iter().map(|zone| &*zone.zone).collect();
        scenarios(&mut page, tiers, common_prefix(&names));
    }
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<footer>zonespread {}. A pod is counted in the worse of the two phases of an outage: while the nodes are unreachable, and once they are deleted.</footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    page
}

/// Every tier, or other workload, and what each zone takes of it.
type Rows<'a> = BTreeMap<String, BTreeMap<&'a str, &'a TierLoss>>;

fn by_name(answer: &Zones) -> (Rows<'_>, Rows<'_>) {
    let (mut tiers, mut others) = (Rows::new(), Rows::new());
    for zone in &answer.zones {
        for tier in &zone.tiers {
            let rows = if tier.tier.is_some() { &mut tiers } else { &mut others };
            rows.entry(tier.name()).or_default().insert(zone.zone.as_str(), tier);
        }
    }
    (tiers, others)
}

fn verdict(answer: &Zones) -> String {
    let named = |safe: bool| {
        let zones = answer.zones.iter().filter(|zone| zone.safe == safe);
        zones.map(|zone| zone.zone.as_str()).collect::<Vec<_>>().join(", ")
    };
    match (named(true), named(false)) {
        (safe, unsafe_ones) if unsafe_ones.is_empty() => format!("Safe to lose: {safe}."),
        (safe, unsafe_ones) if safe.is_empty() => format!("Not safe to lose: {unsafe_ones}."),
        (safe, unsafe_ones) => format!("Not safe to lose: {unsafe_ones}. Safe: {safe}."),
    }
}

fn card(page: &mut String, zone: &ZoneLoss) {
    let (class, says) = if zone.safe { ("", "safe to lose") } else { (" unsafe", "not safe") };
    let _ = write!(
        page,
        "<div class=\"card{class}\"><b>{}</b> <span class=\"dim\">{says}</span><p>{} Pending</p>",
        escaped(&zone.zone),
        counted(zone.pending, "pod"),
    );
    let room = missing(zone);
    if room != "-" {
        let _ = write!(page, "<p>missing: {}</p>", escaped(&room));
    }
    if let Some(worst) = &zone.worst {
        let _ = write!(page, "<p>{}</p>", escaped(worst));
    }
    page.push_str("</div>\n");
}

fn picture(page: &mut String, title: &str, rows: &Rows<'_>, answer: &Zones) {
    if rows.is_empty() {
        return;
    }
    let mut legend = Html::default();
    legend.legend(|_| true);
    let _ = write!(
        page,
        "<h2>{title}</h2>\n{}\n<div class=\"wide\"><table>\n<thead><tr><th>Tier</th><th>Pods now</th>",
        legend.into_string()
    );
    for zone in &answer.zones {
        let _ = write!(page, "<th>Without {}</th>", escaped(&zone.zone));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (name, by_zone) in rows {
        let pods = by_zone.values().map(|tier| tier.pods).max().unwrap_or(0);
        let now: Vec<String> = answer
            .zones
            .iter()
            .filter_map(|zone| Some((zone, by_zone.get(zone.zone.as_str())?)))
            .map(|(zone, tier)| format!("{}:{}", zone.zone, tier.lost))
            .collect();
        let _ = write!(
            page,
            "<tr><th>{}</th><td class=\"num\">{pods}<br><span class=\"dim\">{}</span></td>",
            escaped(name),
            escaped(&now.join(" ")),
        );
        for zone in &answer.zones {
            match by_zone.get(zone.zone.as_str()) {
                Some(tier) => cell(page, tier),
                None => page.push_str("<td></td>"),
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
}

/// How many pods do what, in the worse phase, in the order of [`FATES`].
fn parts(tier: &TierLoss) -> [usize; FATES.len()] {
    let phase: &PhaseLoss =
        if tier.gone.pending > tier.unreachable.pending { &tier.gone } else { &tier.unreachable };
    let nowhere = phase.pending + phase.absent + phase.unknown;
    let go = tier.pods.saturating_sub(tier.surviving + nowhere);
    [tier.surviving, go, phase.absent, phase.unknown, phase.pending]
}

fn cell(page: &mut String, tier: &TierLoss) {
    let title = tier.message.as_deref().unwrap_or_default();
    let parts = parts(tier);
    let mut bar = Html::default();
    bar.bar(parts);
    let bar = bar.into_string();
    let _ = write!(page, "<td class=\"cell\" title=\"{}\">{bar}", escaped(title));
    let pending = match parts[4] {
        0 => String::new(),
        pods => format!(", {pods} Pending"),
    };
    let left = format!("{}/{} left{pending}", tier.surviving, tier.pods);
    let _ = write!(page, "<small>{}</small>", escaped(&left));
    if tier.reason.is_some() {
        let class = if tier.accepted { "" } else { " class=\"bad\"" };
        let _ = write!(page, "<small{class}>{}</small>", escaped(&reason(tier)));
    }
    page.push_str("</td>");
}

fn findings(page: &mut String, zone: &ZoneLoss) {
    let told = zone.tiers.iter().filter_map(|tier| Some((tier, tier.message.as_deref()?)));
    let mut told = told.peekable();
    if told.peek().is_none() {
        return;
    }
    let _ = writeln!(page, "<h2>Without zone {}</h2>\n<ul>", escaped(&zone.zone));
    for (tier, message) in told {
        let name = tier.name();
        let why = reason(tier);
        let _ = writeln!(
            page,
            "<li><b>{}</b> <span class=\"dim\">{}</span><br>{}</li>",
            escaped(&name),
            escaped(&why),
            escaped(message)
        );
    }
    page.push_str("</ul>\n");
}

fn scenarios(page: &mut String, tiers: &[ScenarioTier], cut: usize) {
    let told = Scenarios::of(tiers, cut);
    page.push_str("<h2>Scenarios</h2>\n<div class=\"wide\"><table>\n<thead><tr>");
    for head in &told.heads {
        let _ = write!(page, "<th>{head}</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in told.rows {
        // What the constraint changes stands out, for the better or the worse.
        let class = match row.pending {
            _ if row.is_same() => "dim",
            Some((today, then)) if then > today => "worse",
            Some((today, then)) if then < today => "better",
            _ => "",
        };
        let _ = write!(page, "<tr><th>{}</th>", escaped(&row.tier));
        for (at, cell) in row.cells().iter().enumerate().skip(1) {
            let class = if at == 3 { class } else { "" };
            let _ = write!(page, "<td class=\"{class}\">{}</td>", escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
}
