//! The forecast of a drill: the outlook for its zone, as far as its tiers go.

use crate::api::text::{bounded, cut};
use crate::api::{DrillForecast, DrillTier, DrillZone, ZoneDrillSpec, limit};
use crate::outlook::{Of, PhaseOutlook, TierOutlook, ZoneOutlook};

use super::facts::{DrillFacts, TierFacts};

/// As many bytes of a tier's message are kept: the list may be long.
const MESSAGE: usize = 500;

/// What the loss of the zone would do to the tiers of the drill.
#[must_use]
pub fn forecast(spec: &ZoneDrillSpec, facts: &DrillFacts, outlook: &ZoneOutlook) -> DrillForecast {
    let mut forecast = DrillForecast::default();
    for loss in outlook.tiers.iter().filter(|loss| loss.lost > 0) {
        let Some(known) = facts_of(facts, loss) else {
            forecast.other_pods += count(loss.lost);
            continue;
        };
        let tier = tier(spec, known, loss);
        forecast.pods += tier.in_zone;
        forecast.evictions += tier.in_zone - tier.stays;
        forecast.pending += tier.pending;
        forecast.stays += tier.stays;
        forecast.tiers.push(tier);
    }
    forecast.total_tiers = count(forecast.tiers.len());
    forecast.tiers.sort_by_key(|tier| {
        let is_harmless = tier.reason.is_none() && tier.pending == 0;
        (is_harmless, tier.reason, tier.surviving)
    });
    forecast.tiers.truncate(limit::DRILL_TIERS);
    forecast
}

/// What is known of the tier that an outlook is about, if it is one of the drill.
pub(super) fn facts_of<'f>(facts: &'f DrillFacts, loss: &TierOutlook) -> Option<&'f TierFacts> {
    let Of::Tier(policy, name) = &loss.of else { return None };
    facts.tiers.iter().find(|known| {
        known.name == *name
            && known.policy.name == *policy
            && known.policy.namespace == loss.namespace
    })
}

fn tier(spec: &ZoneDrillSpec, known: &TierFacts, loss: &TierOutlook) -> DrillTier {
    let in_zone = count(loss.lost);
    let (reason, message) = loss.reason.as_ref().map_or((None, None), |(reason, message)| {
        (Some(*reason), Some(cut(&bounded(message), MESSAGE).to_owned()))
    });
    DrillTier {
        namespace: loss.namespace.to_string(),
        policy: known.policy.name.to_string(),
        tier: known.name.to_string(),
        pods: count(loss.pods),
        in_zone,
        surviving: count(loss.surviving),
        pending: count(loss.pending()),
        stays: known.stays.min(in_zone),
        zones: zones(loss),
        accepted: known.is_accepted(&spec.accept_risk),
        reason,
        message,
    }
}

/// Where the pods are then. In a drill nodes stay, as in the first phase of an outage; but a
/// `StatefulSet` makes its pods again as soon as they are evicted, as in the second.
fn zones(loss: &TierOutlook) -> Vec<DrillZone> {
    let phase: &PhaseOutlook =
        if loss.unreachable.absent > loss.gone.absent { &loss.gone } else { &loss.unreachable };
    let zones = phase.zones.iter().take(limit::ZONES);
    zones.map(|(zone, pods)| DrillZone { name: zone.to_string(), pods: count(*pods) }).collect()
}

fn count(pods: usize) -> i32 {
    i32::try_from(pods).unwrap_or(i32::MAX)
}
