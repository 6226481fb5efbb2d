//! What the loss of each zone would do, for a person: the zones, then for each that is not
//! safe what it takes from whom and what would help.

use crate::cli::outlook::{PhaseLoss, TierLoss, ZoneLoss, Zones};
use crate::cli::table::{Grid, or_dash};
use crate::report::common_prefix;

use super::scenarios::scenarios_table;

/// The tables of an outlook.
pub fn outlook_table(answer: &Zones) -> String {
    let mut summary = Grid::new(["ZONE", "SAFE TO LOSE", "PENDING", "MISSING", "WORST"]);
    for zone in &answer.zones {
        summary.row([
            zone.zone.as_str(),
            if zone.safe { "yes" } else { "no" },
            &zone.pending.to_string(),
            &missing(zone),
            or_dash(zone.worst.as_deref()),
        ]);
    }
    let names: Vec<&str> = answer.zones.iter().map(|zone| &*zone.zone).collect();
    let cut = common_prefix(&names);
    let details = answer.zones.iter().filter_map(|zone| details(zone, cut));
    let scenarios = answer.scenarios.as_ref().map(|tiers| scenarios_table(tiers, cut));
    let parts = std::iter::once(summary.print()).chain(details).chain(scenarios);
    parts.collect::<Vec<_>>().join("\n")
}

/// `1500m cpu, 2048Mi memory`
pub(super) fn missing(zone: &ZoneLoss) -> String {
    let amounts = [(&zone.missing.cpu, "cpu"), (&zone.missing.memory, "memory")];
    let amounts = amounts.into_iter().filter(|(amount, _)| *amount != "0");
    let words: Vec<String> = amounts.map(|(amount, what)| format!("{amount} {what}")).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// What the loss of a zone changes, in names of zones without the first `cut` letters; none
/// if it changes nothing.
fn details(zone: &ZoneLoss, cut: usize) -> Option<String> {
    let hit: Vec<&TierLoss> = zone.tiers.iter().filter(|tier| tier.surviving < tier.pods).collect();
    if hit.is_empty() {
        return None;
    }
    let columns = ["TIER", "SURVIVE", "NODES UNREACHABLE", "NODES GONE", "REASON"];
    let mut table = Grid::new(columns);
    for tier in &hit {
        table.row([
            tier.name(),
            format!("{}/{} ({} %)", tier.surviving, tier.pods, tier.percent),
            places(&tier.unreachable, cut),
            places(&tier.gone, cut),
            reason(tier),
        ]);
    }
    let messages = hit
        .iter()
        .filter_map(|tier| Some(format!("{}: {}\n", tier.name(), tier.message.as_deref()?)));
    let messages: String = messages.collect();
    let gap = if messages.is_empty() { "" } else { "\n" };
    Some(format!("Without zone {}:\n{}{gap}{messages}", zone.zone, table.print()))
}

pub(super) fn reason(tier: &TierLoss) -> String {
    match tier.reason {
        Some(reason) if tier.accepted => format!("{reason} (accepted)"),
        reason => or_dash(reason).to_owned(),
    }
}

/// `a:3 b:3`, and how many are nowhere.
pub(super) fn places(phase: &PhaseLoss, cut: usize) -> String {
    let zones = phase.zones.iter();
    let zones = zones.map(|(zone, pods)| format!("{}:{pods}", zone.get(cut..).unwrap_or(zone)));
    let nowhere = [("Pending", phase.pending), ("absent", phase.absent), ("?", phase.unknown)];
    let nowhere = nowhere.into_iter().filter(|(_, pods)| *pods > 0);
    let nowhere = nowhere.map(|(what, pods)| format!("{what}:{pods}"));
    let all: Vec<String> = zones.chain(nowhere).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(" ") }
}
