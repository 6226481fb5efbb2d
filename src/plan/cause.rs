//! Why a tier is unbalanced, in a word: what keeps it so now, or else what brought it about.

use crate::api::{Blocked, Cause, Reason, ZoneHealth};
use crate::observe::{Index, Pod, PodAffinityTerm, SpreadConstraint, VolumeSource, ZoneReason};

use super::imbalance::Imbalance;
use super::tier::{TierView, TierZoneCount};
use super::tier_plan::TierPlan;

/// Why the tier is unbalanced; none for one that is balanced. `zones` is how many zones of
/// the cluster have nodes.
#[must_use]
pub fn cause_of(
    index: &Index,
    tier: &TierView,
    plan: &TierPlan,
    imbalance: Option<&Imbalance>,
    zones: usize,
) -> Option<Cause> {
    if tier.zones.len() == 1 && zones > 1 && tier.pods() > 1 {
        return Some(Cause::SingleZonePool);
    }
    if tier.is_balanced() && imbalance.is_none() {
        return None;
    }
    let is_out = |zone: &TierZoneCount| {
        zone.health
            .as_ref()
            .is_some_and(|memory| memory.health == ZoneHealth::Impaired || memory.is_drilled())
    };
    if tier.zones.values().any(is_out) {
        return Some(Cause::ZoneOutage);
    }
    let unbalanced = !tier.is_balanced();
    if unbalanced && lacks_nodes(tier) {
        return Some(Cause::ZoneWithoutNodes);
    }
    if unbalanced && is_drained(tier) && emptiest(tier).any(|zone| !zone.is_open()) {
        return Some(Cause::Drain);
    }
    let obstacle = plan.obstacle.as_ref().filter(|_| unbalanced);
    if let Some(cause) = obstacle.and_then(|obstacle| of_obstacle(index, tier, obstacle)) {
        return Some(cause);
    }
    let origin = imbalance
        .and_then(|known| if known.outage { Some(Cause::ZoneOutage) } else { known.origin });
    Some(
        origin.unwrap_or_else(|| {
            if is_spread(index, tier) { Cause::Unknown } else { Cause::Constraint }
        }),
    )
}

/// What of the tier's nodes leaves an imbalance behind while nobody takes it for an outage:
/// some are cordoned, or an autoscaler removes them.
#[must_use]
pub fn is_drained(tier: &TierView) -> bool {
    tier.zones.values().filter_map(|zone| zone.health.as_ref()).any(|memory| {
        let condition = &memory.condition;
        let is_cordoned =
            condition.fault.as_ref().is_some_and(|fault| fault.reason == ZoneReason::Cordoned);
        let is_usable = memory.health == ZoneHealth::Usable;
        is_usable && (condition.leaving > 0 || is_cordoned)
    })
}

/// Whether the zone with the fewest pods has no node that the tier may use.
fn lacks_nodes(tier: &TierView) -> bool {
    let has_none = |zone: &TierZoneCount| {
        zone.health.as_ref().is_some_and(|memory| memory.condition.nodes == 0)
    };
    emptiest(tier).any(has_none)
}

/// The zones with the fewest pods.
fn emptiest(tier: &TierView) -> impl Iterator<Item = &TierZoneCount> {
    let least = tier.zones.values().map(|zone| zone.pods.len()).min();
    tier.zones.values().filter(move |zone| Some(zone.pods.len()) == least)
}

fn of_obstacle(index: &Index, tier: &TierView, obstacle: &Blocked) -> Option<Cause> {
    match obstacle.reason {
        Reason::NoRoom => Some(Cause::Capacity),
        Reason::WouldNotLand => Some(Cause::Constraint),
        Reason::Pinned if pods(index, tier).any(has_volume) => Some(Cause::PinnedVolume),
        _ => None,
    }
}

fn has_volume(pod: &Pod) -> bool {
    let volumes = pod.template.volumes.iter();
    volumes.into_iter().any(|volume| *volume != VolumeSource::EmptyDir)
}

/// Whether its pods ask to be spread over zones, or apart from each other.
fn is_spread(index: &Index, tier: &TierView) -> bool {
    pods(index, tier).all(|pod| {
        pod.template.spread.iter().any(SpreadConstraint::is_of_zones)
            || pod.template.anti_affinity().any(PodAffinityTerm::is_of_zones)
    })
}

fn pods<'a>(index: &'a Index, tier: &'a TierView) -> impl Iterator<Item = &'a Pod> {
    let pods = tier.zones.values().flat_map(|zone| &zone.pods);
    pods.filter_map(|id| index.cluster().pod(*id))
}
