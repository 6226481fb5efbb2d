//! Drills: what the loss of a zone on purpose would do, what must hold before it, and the way
//! from the first taint to the last pod that is back.
//!
//! Pure: facts and an outlook come in, the status of a `ZoneDrill` comes out. The operator
//! and `zonespread drill` find the facts in the same way, so that they say the same.

mod facts;
mod forecast;
mod preconditions;
mod run;
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;

pub use facts::{DrillFacts, DrillRight, TierFacts};
pub use forecast::forecast;
pub use preconditions::refusals;
pub use run::{Pending, RunFacts, RunTier, evicted, step};

use jiff::Timestamp;

use crate::api::text::{bounded, counted};
use crate::api::{
    DrillForecast, DrillPhase, DrillReason, DrillRefusal, ZoneDrillSpec, ZoneDrillStatus, limit,
    seconds,
};
use crate::outlook::ZoneOutlook;

/// What becomes of a drill: its forecast, and whether something speaks against it. Without an
/// outlook no node is in the zone.
#[must_use]
pub fn answer(
    spec: &ZoneDrillSpec,
    generation: Option<i64>,
    facts: &DrillFacts,
    outlook: Option<&ZoneOutlook>,
    now: Timestamp,
) -> ZoneDrillStatus {
    let forecast = outlook.map(|outlook| forecast(spec, facts, outlook));
    let found = refusals(spec, facts, outlook);
    let first = found.first().map(|refusal| refusal.reason);
    let message = message(spec, forecast.as_ref(), &found);
    let listed = found.into_iter().take(limit::DRILL_REFUSALS);
    let listed = listed.map(|DrillRefusal { reason, message }| DrillRefusal {
        reason,
        message: bounded(&message),
    });
    let status = ZoneDrillStatus {
        observed_generation: generation,
        phase: Some(if first.is_some() { DrillPhase::Refused } else { DrillPhase::Forecast }),
        reason: first,
        message: bounded(&message),
        decided_at: Some(seconds(now)),
        refusals: listed.collect(),
        forecast,
        ..ZoneDrillStatus::default()
    };
    let begins = first.is_none() && !spec.dry_run;
    if begins { run::begin(spec, status, facts, now) } else { status }
}

fn message(
    spec: &ZoneDrillSpec,
    forecast: Option<&DrillForecast>,
    refusals: &[DrillRefusal],
) -> String {
    let zone = &spec.zone;
    if let Some(first) = refusals.first() {
        let more = match refusals.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more: see refusals)"),
        };
        let would = if spec.dry_run && first.reason != DrillReason::UnknownZone {
            format!("a drill of zone {zone} would be refused: ")
        } else {
            String::new()
        };
        return format!("{would}{}{more}", first.message);
    }
    let Some(forecast) = forecast else { return String::new() };
    let pending = match forecast.pending {
        0 => "all of them find a place elsewhere".to_owned(),
        pending => format!("{pending} of them stay Pending, which is accepted"),
    };
    format!(
        "nothing speaks against a drill of zone {zone}: {} of {} are evicted, and {pending}",
        counted(forecast.evictions, "pod"),
        counted(forecast.total_tiers, "tier"),
    )
}
