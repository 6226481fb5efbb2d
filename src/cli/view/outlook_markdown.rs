//! What the loss of each zone would do, as Markdown: for a ticket, a wiki or a pull request.

use std::fmt::Write as _;

use crate::cli::outlook::{ScenarioTier, ZoneLoss, Zones};
use crate::cli::output::plain;
use crate::cli::table::or_dash;
use crate::report::common_prefix;

use super::outlook::{missing, places, reason};
use super::scenarios::Scenarios;

/// The outlook as Markdown.
pub fn outlook_markdown(answer: &Zones) -> String {
    let mut text = String::from("# Losing a zone\n\n");
    table(&mut text, &["Zone", "Safe to lose", "Pending", "Missing", "Worst"]);
    for zone in &answer.zones {
        row(
            &mut text,
            &[
                &zone.zone,
                if zone.safe { "yes" } else { "**no**" },
                &zone.pending.to_string(),
                &missing(zone),
                or_dash(zone.worst.as_deref()),
            ],
        );
    }
    let names: Vec<&str> = answer.zones.iter().map(|zone| &*zone.zone).collect();
    let cut = common_prefix(&names);
    answer.zones.iter().for_each(|zone| details(&mut text, zone, cut));
    if let Some(tiers) = &answer.scenarios {
        scenarios(&mut text, tiers, cut);
    }
    text
}

fn scenarios(text: &mut String, tiers: &[ScenarioTier], cut: usize) {
    let told = Scenarios::of(tiers, cut);
    text.push_str("\n## Scenarios\n\n");
    table(text, &told.heads);
    for line in told.rows {
        let cells = line.cells();
        row(text, &cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

fn details(text: &mut String, zone: &ZoneLoss, cut: usize) {
    let hit: Vec<_> = zone.tiers.iter().filter(|tier| tier.surviving < tier.pods).collect();
    if hit.is_empty() {
        return;
    }
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## Without zone {}\n\n", escaped(&zone.zone));
    table(text, &["Tier", "Survive", "Nodes unreachable", "Nodes gone", "Reason"]);
    for tier in &hit {
        let survive = format!("{}/{} ({} %)", tier.surviving, tier.pods, tier.percent);
        let (silent, gone) = (places(&tier.unreachable, cut), places(&tier.gone, cut));
        row(text, &[&tier.name(), &survive, &silent, &gone, &reason(tier)]);
    }
    let told: Vec<_> =
        hit.iter().filter_map(|tier| Some((tier.name(), tier.message.as_deref()?))).collect();
    if !told.is_empty() {
        text.push('\n');
    }
    for (name, message) in told {
        let _ = writeln!(text, "- **{}**: {}", escaped(&name), escaped(message));
    }
}

fn table(text: &mut String, heads: &[&str]) {
    let _ = writeln!(text, "| {} |", heads.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(heads.len()));
}

fn row(text: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells
        .iter()
        .map(|cell| if *cell == "**no**" { (*cell).to_owned() } else { escaped(cell) })
        .collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

/// Text without what Markdown, HTML in it, or a terminal would obey.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in plain(text).chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                safe.push('\\');
                safe.push(letter);
            }
            _ => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn names_cannot_leave_their_cell() {
        assert_eq!(
            escaped("a|b <img src=x> [x](javascript:1) `c` \u{1b}"),
            r"a\|b &lt;img src=x&gt; \[x\](javascript:1) \`c\` \\u001b"
        );
    }
}
