//! What a policy makes of the zones that its tiers use.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::ZoneState;
use crate::observe::{Zone, ZoneMemory, ZoneTracker};

use super::status::TierReport;

/// The zones of a policy's tiers, each as the tier sees it that is most careful about it. A
/// policy without tiers sees what the cluster's record says.
#[must_use]
pub fn policy_zones(
    tiers: &[TierReport],
    record: &ZoneTracker,
    hold_down: Duration,
    now: Timestamp,
) -> BTreeMap<Zone, ZoneMemory> {
    if tiers.is_empty() {
        return record.iter().map(|(zone, memory)| (zone.clone(), memory.clone())).collect();
    }
    let care = |memory: &ZoneMemory| {
        let rank = match memory.state(hold_down, now) {
            ZoneState::Impaired => 5,
            ZoneState::Held => 4,
            ZoneState::Suspect => 3,
            ZoneState::Recovering => 2,
            ZoneState::Empty => 1,
            ZoneState::Ready => 0,
        };
        (rank, memory.hold_until(hold_down), memory.recovered_at)
    };
    let mut zones: BTreeMap<Zone, ZoneMemory> = BTreeMap::new();
    for (zone, count) in tiers.iter().flat_map(|tier| &tier.view.zones) {
        let Some(health) = &count.health else { continue };
        if zones.get(zone).is_none_or(|known| care(known) < care(health)) {
            zones.insert(zone.clone(), health.clone());
        }
    }
    zones
}
