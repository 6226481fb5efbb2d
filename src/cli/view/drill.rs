//! The forecast of a drill, for a person: what it would do to each tier, and what speaks
//! against it.

use std::fmt::Write as _;

use crate::api::text::{bounded, counted};
use crate::api::{DrillForecast, DrillTier, ZoneDrillStatus};
use crate::cli::table::Grid;
use crate::report::common_prefix;

/// The table of a drill's forecast.
pub fn drill_table(zone: &str, status: &ZoneDrillStatus) -> String {
    let mut text = String::new();
    if let Some(forecast) = &status.forecast {
        text.push_str(&tiers(forecast));
        let evicted = counted(forecast.evictions, "pod");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\nA drill of zone {} evicts {evicted}. Pending then: {}; staying: {}; other pods in the zone: {}.",
            bounded(zone),
            forecast.pending,
            forecast.stays,
            forecast.other_pods,
        );
    }
    if status.refusals.is_empty() {
        text.push_str("Nothing speaks against it.\n");
        return text;
    }
    let gap = if text.is_empty() { "" } else { "\n" };
    let _ = writeln!(text, "{gap}It would be refused:");
    for refusal in &status.refusals {
        let _ = writeln!(text, "- {}: {}", refusal.reason, refusal.message);
    }
    text
}

/// What a drill has shown.
pub fn drill_result(status: &ZoneDrillStatus) -> String {
    let Some(result) = &status.result else { return format!("{}\n", status.message) };
    let mut grid =
        Grid::new(["TIER", "BEFORE", "CLOSED", "AFTER", "LOWEST", "PENDING", "EVICTIONS"]);
    let by_zone = |zones: &[crate::api::DrillZone]| {
        let pods: Vec<String> = zones.iter().map(|zone| zone.pods.to_string()).collect();
        if pods.is_empty() { "-".to_owned() } else { pods.join("/") }
    };
    for tier in &result.tiers {
        grid.row([
            format!("{}/{} {}", tier.namespace, tier.policy, tier.tier),
            by_zone(&tier.before),
            by_zone(&tier.during),
            by_zone(&tier.after),
            format!("{}/{}", tier.lowest_available, tier.replicas),
            tier.most_pending.to_string(),
            tier.evictions.to_string(),
        ]);
    }
    let phase = status.phase.map_or("", crate::api::DrillPhase::as_str);
    let forecast = match result.forecast_met {
        Some(true) => "; it went as the forecast said",
        Some(false) => "; it did not go as the forecast said",
        None => "",
    };
    format!("{}\n{phase}: {}{forecast}\n", grid.print(), status.message)
}

fn tiers(forecast: &DrillForecast) -> String {
    let names: Vec<&str> =
        forecast.tiers.iter().flat_map(|tier| &tier.zones).map(|zone| &*zone.name).collect();
    let cut = common_prefix(&names);
    let mut grid = Grid::new(["TIER", "IN ZONE", "LEFT", "THEN", "REASON"]);
    for tier in &forecast.tiers {
        grid.row([
            format!("{}/{} {}", tier.namespace, tier.policy, tier.tier),
            tier.in_zone.to_string(),
            format!("{}/{}", tier.surviving, tier.pods),
            places(tier, cut),
            match tier.reason {
                None => "-".to_owned(),
                Some(reason) if tier.accepted => format!("{reason} (accepted)"),
                Some(reason) => reason.to_string(),
            },
        ]);
    }
    let mut text = grid.print();
    let hidden =
        usize::try_from(forecast.total_tiers).unwrap_or(0).saturating_sub(forecast.tiers.len());
    if hidden > 0 {
        let _ = writeln!(text, "and {}", counted(hidden, "more tier"));
    }
    text
}

/// `a:3 b:3`, and how many are nowhere.
pub(super) fn places(tier: &DrillTier, cut: usize) -> String {
    let zones = tier.zones.iter();
    let zones =
        zones.map(|zone| format!("{}:{}", zone.name.get(cut..).unwrap_or(&zone.name), zone.pods));
    let nowhere = [("Pending", tier.pending), ("stay", tier.stays)];
    let nowhere = nowhere.into_iter().filter(|(_, pods)| *pods > 0);
    let all: Vec<String> =
        zones.chain(nowhere.map(|(what, pods)| format!("{what}:{pods}"))).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(" ") }
}
