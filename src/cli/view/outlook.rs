//! What the loss of each zone would do, for a person: the zones, then for each that is not
//! safe what it takes from whom and what would help.

use crate::cli::outlook::{PhaseLoss, TierLoss, ZoneLoss, Zones};
use crate::cli::table::{Grid, or_dash};

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
    let details = answer.zones.iter().filter_map(details);
    std::iter::once(summary.print()).chain(details).collect::<Vec<_>>().join("\n")
}

/// `1500m cpu, 2048Mi memory`
fn missing(zone: &ZoneLoss) -> String {
    let amounts = [(&zone.missing.cpu, "cpu"), (&zone.missing.memory, "memory")];
    let amounts = amounts.into_iter().filter(|(amount, _)| *amount != "0");
    let words: Vec<String> = amounts.map(|(amount, what)| format!("{amount} {what}")).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

/// What the loss of a zone changes; none if it changes nothing.
fn details(zone: &ZoneLoss) -> Option<String> {
    let hit: Vec<&TierLoss> = zone.tiers.iter().filter(|tier| tier.surviving < tier.pods).collect();
    if hit.is_empty() {
        return None;
    }
    let columns = ["TIER", "PODS", "SURVIVE", "PENDING", "UNREACHABLE", "GONE", "REASON"];
    let mut table = Grid::new(columns);
    for tier in &hit {
        table.row([
            tier.name(),
            tier.pods.to_string(),
            format!("{} ({} %)", tier.surviving, tier.percent),
            tier.pending.to_string(),
            places(&tier.unreachable),
            places(&tier.gone),
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

fn reason(tier: &TierLoss) -> String {
    match tier.reason {
        Some(reason) if tier.accepted => format!("{reason} (accepted)"),
        reason => or_dash(reason).to_owned(),
    }
}

/// `a:3 b:3`, and how many are nowhere.
fn places(phase: &PhaseLoss) -> String {
    let zones = phase.zones.iter().map(|(zone, pods)| format!("{zone}:{pods}"));
    let nowhere = [("Pending", phase.pending), ("absent", phase.absent), ("?", phase.unknown)];
    let nowhere = nowhere.into_iter().filter(|(_, pods)| *pods > 0);
    let nowhere = nowhere.map(|(what, pods)| format!("{what}:{pods}"));
    let all: Vec<String> = zones.chain(nowhere).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(" ") }
}
