//! Zones that have no node for a tier, and the probe pods that open them.
//!
//! An autoscaler adds a node only for a pod that waits, and never because pods should be in a
//! zone. So a probe pod of our own waits there, proves that pods can start, and keeps the node
//! until a pod is moved. Nothing is evicted before it is Ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::{Blocked, Mode, OpenZones, Reason, ZoneHealth};
use crate::observe::{Index, Opening, Pod, Resources, Template, Zone};
use crate::predict::PendingPod;

use super::gates::{ClusterFacts, InFlight, long};
use super::tier::{TierView, TierZoneCount};
use super::tier_plan::TierPlan;

/// Whether the operator may make and delete probe pods in its own namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpeningRight {
    /// It may.
    Proven,
    /// What is missing, and what would help.
    Missing(String),
}

impl Default for OpeningRight {
    fn default() -> Self {
        let missing =
            "the operator has no right to make pods in its own namespace: deploy/opening gives it";
        Self::Missing(missing.to_owned())
    }
}

/// What is known of zones that are opened, or were to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openings {
    /// Whether zones can be opened at all.
    pub right: OpeningRight,
    /// Zones with a probe, and those that had one lately.
    pub zones: BTreeMap<Zone, ZoneProbe>,
}

/// How far a zone is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneProbe {
    /// What is to be said of it.
    pub stage: ProbeStage,
    /// Whether a probe was Ready there lately: its nodes are made for pods that wait.
    pub was_opened: bool,
    /// In words.
    pub text: String,
}

/// What there is of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeStage {
    /// None, and there was none that failed.
    Absent,
    /// The last one failed, and the next is waited for.
    Failed,
    /// It waits for a node.
    Pending,
    /// It is on a node, and not Ready.
    Starting,
    /// It is Ready.
    Ready,
}

impl ProbeStage {
    /// The stages of a probe that is there.
    pub const PRESENT: [Self; 3] = [Self::Pending, Self::Starting, Self::Ready];

    /// The word that metrics have.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "Absent",
            Self::Failed => "Failed",
            Self::Pending => "Pending",
            Self::Starting => "Starting",
            Self::Ready => "Ready",
        }
    }

    /// The stage of a probe pod.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        match (&pod.node, pod.ready_since) {
            (None, _) => Self::Pending,
            (Some(_), None) => Self::Starting,
            (Some(_), Some(_)) => Self::Ready,
        }
    }

    /// Whether nothing may be moved to the zone: it is not known that a pod can start there.
    const fn is_doubtful(self) -> bool {
        matches!(self, Self::Failed | Self::Pending | Self::Starting)
    }
}

/// A zone that a tier wants to be opened, or to be kept open.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// The zone.
    pub zone: Zone,
    /// Whether nothing but the missing node is in the way: a probe may start.
    pub begins: bool,
    /// A pod that waits for it.
    pub template: Arc<Template>,
    /// What it asks for, whichever of the sizes it may have.
    pub requests: Resources,
}

/// Whether the tier may have a zone opened.
fn may_open(tier: &TierView) -> bool {
    tier.settings.open_zones == OpenZones::Always
}

fn right_proven(facts: &ClusterFacts) -> bool {
    facts.openings.right == OpeningRight::Proven
}

/// The zone that is to be opened for the tier, as far as the zone and the plan go.
pub(super) fn zone_to_open<'t>(
    tier: &'t TierView,
    plan: &'t TierPlan,
    facts: &ClusterFacts,
) -> Option<&'t Zone> {
    if !may_open(tier) || !right_proven(facts) || tier.is_balanced() {
        return None;
    }
    without_nodes(tier, plan, facts.now).or_else(|| without_room(plan, facts))
}

/// A zone without nodes, for as long as it would be held.
fn without_nodes<'t>(tier: &TierView, plan: &'t TierPlan, now: Timestamp) -> Option<&'t Zone> {
    let zone = plan.opens.as_ref()?;
    let health = tier.zones.get(zone)?.health.as_ref()?;
    let is_next = plan.moves.is_empty() || health.health == ZoneHealth::Impaired;
    let is_due = health.opens_at(tier.settings.hold_down, now).is_some_and(|at| at <= now);
    (is_next && is_due).then_some(zone)
}

/// A zone whose nodes were made for pods that wait: if they are full, another pod has to wait.
fn without_room<'t>(plan: &'t TierPlan, facts: &ClusterFacts) -> Option<&'t Zone> {
    let zone = plan.lacks_room.as_ref().filter(|_| plan.moves.is_empty())?;
    let was_opened = facts.openings.zones.get(zone).is_some_and(|known| known.was_opened);
    was_opened.then_some(zone)
}

/// Why nothing of the tier is moved while a zone is opened for it.
pub(super) fn opening(
    tier: &TierView,
    zone: &Zone,
    facts: &ClusterFacts,
    in_flight: &InFlight,
) -> Blocked {
    if let Opening::Closed { opens } = tier.windows.at(facts.now) {
        let next = opens.map_or_else(String::new, |at| format!(" until {}", long(at)));
        let message = format!(
            "zone {zone} has no node for the tier, and it is opened when a window of rebalance.windows is open: none is{next}"
        );
        return Blocked { reason: Reason::OutsideWindow, message };
    }
    if in_flight.moves > 0 {
        let message = format!(
            "zone {zone} has no room left: a probe opens it further when the moves under way have ended"
        );
        return Blocked { reason: Reason::MovesUnderWay, message };
    }
    let told = facts
        .openings
        .zones
        .get(zone)
        .map_or_else(|| "a probe pod is about to open it".to_owned(), |known| known.text.clone());
    Blocked {
        reason: Reason::OpeningZone,
        message: format!("zone {zone} has no room for the tier: {told}"),
    }
}

/// A probe that is not Ready, or failed, says that pods may not start in the zone.
pub(super) fn doubtful_probe(
    tier: &TierView,
    plan: &TierPlan,
    facts: &ClusterFacts,
) -> Option<Blocked> {
    let next = plan.moves.first().filter(|_| may_open(tier) && right_proven(facts))?;
    next.to.iter().find_map(|zone| {
        let known = facts.openings.zones.get(zone).filter(|known| known.stage.is_doubtful())?;
        let message = format!(
            "nothing is moved to zone {zone} before a probe is Ready there: {}",
            known.text
        );
        Some(Blocked { reason: Reason::OpeningZone, message })
    })
}

/// The plan's obstacle, if there is nothing to move before it; of a zone without nodes it says
/// why that is not opened.
pub(super) fn obstacle(tier: &TierView, plan: &TierPlan, facts: &ClusterFacts) -> Option<Blocked> {
    let obstacle = plan.obstacle.clone().filter(|_| plan.moves.is_empty())?;
    match not_opened(tier, plan, facts) {
        Some(why) if obstacle.reason == Reason::NoRoom => {
            Some(Blocked { message: format!("{}; {why}", obstacle.message), ..obstacle })
        }
        _ => Some(obstacle),
    }
}

/// What to add where a zone has no nodes, and is not opened.
fn not_opened(tier: &TierView, plan: &TierPlan, facts: &ClusterFacts) -> Option<String> {
    let zone = plan.opens.as_ref()?;
    let health = tier.zones.get(zone)?.health.as_ref()?;
    match &facts.openings.right {
        _ if !may_open(tier) => {
            Some("rebalance.openZones is Never, so no probe opens it".to_owned())
        }
        OpeningRight::Missing(why) => Some(format!("it is not opened: {why}")),
        OpeningRight::Proven => {
            let at = health.opens_at(tier.settings.hold_down, facts.now)?;
            (at > facts.now).then(|| format!("a probe opens it from {} on", long(at)))
        }
    }
}

/// The zones that a tier wants to have opened, or kept open, whatever else is in the way now.
#[must_use]
pub fn wishes(
    index: &Index,
    tier: &TierView,
    plan: &TierPlan,
    blocked: Option<&Blocked>,
) -> Vec<Wish> {
    let reason = blocked.map(|blocked| blocked.reason);
    let is_left_alone = tier.settings.mode == Mode::Observe
        || tier.settings.single_zone.is_some()
        || tier.paused.is_some()
        || matches!(reason, Some(Reason::NotARecovery | Reason::MissedTooOften));
    if tier.is_balanced() || !may_open(tier) || is_left_alone {
        return Vec::new();
    }
    let Some(pod) = pod_that_waits(index, tier, plan) else { return Vec::new() };
    let replacement = PendingPod::replacing(index.cluster(), pod);
    let mut requests = replacement.template.requests.clone();
    if let Some(other) = &replacement.as_now {
        requests.raise_to(&other.requests);
    }
    let opened = plan.opens.as_ref().or(plan.lacks_room.as_ref());
    let mut zones: Vec<&Zone> = plan.moves.iter().flat_map(|planned| &planned.to).collect();
    zones.extend(opened);
    // Its node may be there and not be usable yet.
    let least = tier.counts().min().unwrap_or(0);
    let is_poorest = |zone: &TierZoneCount| i32::try_from(zone.pods.len()) == Ok(least);
    zones.extend(tier.zones.iter().filter(|(_, zone)| is_poorest(zone)).map(|(name, _)| name));
    zones.sort_unstable();
    zones.dedup();
    let wish = |zone: &Zone| Wish {
        zone: zone.clone(),
        begins: reason == Some(Reason::OpeningZone) && needs_probe(zone, opened, plan),
        template: Arc::clone(&replacement.template),
        requests: requests.clone(),
    };
    zones.into_iter().map(wish).collect()
}

/// Whether it is this zone that waits for a probe.
fn needs_probe(zone: &Zone, opened: Option<&Zone>, plan: &TierPlan) -> bool {
    let is_next = || plan.moves.first().is_some_and(|planned| planned.to.contains(zone));
    opened == Some(zone) || (opened.is_none() && is_next())
}

/// The pod that would be moved next: the plan's, or else one of the fullest zone that somebody
/// makes again.
fn pod_that_waits<'i>(index: &'i Index, tier: &TierView, plan: &TierPlan) -> Option<&'i Pod> {
    if let Some(planned) = plan.moves.first() {
        return index.cluster().pod(planned.pod);
    }
    let mut zones: Vec<&TierZoneCount> = tier.zones.values().collect();
    zones.sort_by_key(|zone| std::cmp::Reverse(zone.pods.len()));
    let pods = zones.into_iter().flat_map(|zone| &zone.pods);
    let mut pods = pods.filter_map(|id| index.cluster().pod(*id));
    pods.find(|pod| index.workload_of(pod).is_some())
}
