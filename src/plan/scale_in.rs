//! Which pods a scale-down takes: always from the zone with the most, and none that was just
//! moved.
//!
//! A `ReplicaSet` that has too many pods knows nothing of zones. It removes pods that are not
//! Ready first, and of the others those with the lowest
//! `controller.kubernetes.io/pod-deletion-cost` (`ActivePodsWithRanks`). So each pod has a
//! *level*: its place among the pods of its zone, 1, 2, 3 and so on, and with each level it costs
//! less to delete it. All pods of the highest level go before any of the next one, which takes
//! the zones down to the same height, however many pods go at once. Argo Rollouts scales its
//! `ReplicaSets` and leaves the choice to them.
//!
//! A pod keeps its level as long as nobody else has it: a new one gets the lowest that is free.
//! So the youngest pod of a zone usually has the highest level and goes first. One that was just
//! moved is the youngest of its zone, and has only just been paid for with a start. So pods that
//! were just moved have the lowest levels of their zone, and among pods of a level they are the
//! last to go.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::api::{Mode, ScaleIn};
use crate::observe::{CostWriter, Index, Name, Pod, PodId, Zone};

use super::tier::TierView;

/// Whether the operator may write deletion costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScaleInRight {
    /// The right, and the fence that lets it change nothing else, were proven.
    Proven,
    /// What is missing, and what would help.
    Missing(String),
}

impl Default for ScaleInRight {
    fn default() -> Self {
        let missing = "the operator has no right to annotate pods: deploy/surge gives it";
        Self::Missing(missing.to_owned())
    }
}

/// A pod whose deletion cost is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostChange {
    /// The pod.
    pub pod: PodId,
    /// What deleting it is to cost; none: the operator's cost goes.
    pub cost: Option<i32>,
}

/// A pod counts as just moved for so long after it was made.
const JUST_MOVED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What is to change of the deletion costs of a tier. `just_moved` are pods that recent moves
/// have made.
///
/// A tier that is out of balance is left as it is: its moves come first, and go by the costs
/// that they were planned with.
#[must_use]
pub fn cost_changes(
    index: &Index,
    tier: &TierView,
    just_moved: &BTreeSet<Name>,
    now: Timestamp,
) -> Vec<CostChange> {
    if tier.settings.mode == Mode::Observe || tier.paused.is_some() || tier.rolling_out.is_some() {
        return Vec::new();
    }
    match tier.settings.scale_in {
        ScaleIn::Never => costs_to_remove(index, tier),
        ScaleIn::Guided if tier.is_balanced() && tier.zones.len() > 1 => {
            let guided = Guided::of(index, tier);
            let changes = guided.owners.keys().flat_map(|owner| {
                let spread = guided.spread_of(owner, tier);
                spread.into_iter().flat_map(|(below, pods)| levels(below, pods, just_moved, now))
            });
            changes.collect()
        }
        ScaleIn::Guided => Vec::new(),
    }
}

/// The costs that the operator has written, and that are to go.
fn costs_to_remove(index: &Index, tier: &TierView) -> Vec<CostChange> {
    let zoned = tier.zones.values().flat_map(|zone| &zone.pods);
    let own = zoned.chain(&tier.unzoned).filter(|id| {
        let pod = index.cluster().pod(**id);
        pod.is_some_and(|pod| pod.cost_writer == CostWriter::Operator)
    });
    own.map(|id| CostChange { pod: *id, cost: None }).collect()
}

type PodIn<'a> = (PodId, &'a Pod);

/// The pods of a tier that can be guided, by their `ReplicaSet` and zone.
struct Guided<'a> {
    owners: BTreeMap<&'a Name, BTreeMap<&'a Zone, Vec<PodIn<'a>>>>,
    /// All pods of a zone, but those that go before all others whatever they cost.
    all: BTreeMap<&'a Zone, usize>,
}

impl<'a> Guided<'a> {
    fn of(index: &'a Index, tier: &'a TierView) -> Self {
        let mut guided = Self { owners: BTreeMap::new(), all: BTreeMap::new() };
        for (zone, count) in &tier.zones {
            let mut all = 0;
            for id in &count.pods {
                let Some(pod) = index.cluster().pod(*id) else { continue };
                all += usize::from(!goes_first(pod));
                let owner = pod.owner.as_ref().filter(|owner| &*owner.kind == "ReplicaSet");
                if let Some(owner) = owner.filter(|_| can_be_guided(pod)) {
                    let zones = guided.owners.entry(&owner.uid).or_default();
                    zones.entry(zone).or_default().push((*id, pod));
                }
            }
            guided.all.insert(zone, all);
        }
        guided
    }

    /// The pods of an owner, zone by zone, and how many of the zone's pods stay below them:
    /// those of others, and those that somebody else has given a cost. Only what one zone has
    /// more of these than another matters.
    fn spread_of(&self, owner: &Name, tier: &'a TierView) -> Vec<(i32, Vec<PodIn<'a>>)> {
        let own = &self.owners[owner];
        let others = |zone: &Zone| {
            let own = own
                .get(zone)
                .map_or(0, |pods| pods.iter().filter(|(_, pod)| !goes_first(pod)).count());
            self.all.get(zone).map_or(0, |all| all - own)
        };
        let least = tier.zones.keys().map(others).min().unwrap_or(0);
        let spread = own.iter().map(|(zone, pods)| {
            let below = i32::try_from(others(zone) - least).unwrap_or(i32::MAX);
            (below, pods.clone())
        });
        spread.collect()
    }
}

/// Whether a scale-down takes the pod before all others, whatever these cost.
fn goes_first(pod: &Pod) -> bool {
    pod.ready_since.is_none() || (pod.cost_writer == CostWriter::Other && pod.deletion_cost < 0)
}

/// A pod is guided from when it is Ready, and as long as nobody else says what it costs.
fn can_be_guided(pod: &Pod) -> bool {
    let is_known = pod.ready_since.is_some() || pod.cost_writer == CostWriter::Operator;
    is_known && pod.cost_writer != CostWriter::Other && !pod.is_in_a_surge()
}

/// Gives the pods of a zone their levels, all different, from `below` + 1 on.
fn levels(
    below: i32,
    mut pods: Vec<PodIn<'_>>,
    just_moved: &BTreeSet<Name>,
    now: Timestamp,
) -> Vec<CostChange> {
    pods.sort_by(|(_, one), (_, other)| {
        let place = |pod: &Pod| (level_of(pod), pod.created, Name::clone(&pod.name));
        place(one).cmp(&place(other))
    });
    let is_moved = |pod: &Pod| {
        let is_young = now.duration_since(pod.created.time()) < JUST_MOVED_FOR;
        is_young && (just_moved.contains(&pod.name) || is_marked_as_moved(pod))
    };
    let (moved, others): (Vec<_>, Vec<_>) = pods.into_iter().partition(|(_, pod)| is_moved(pod));
    let first = below + 1;
    let then = first + i32::try_from(moved.len()).unwrap_or(i32::MAX);
    let of_moved = in_order(first, &moved).into_iter().map(|(id, level)| (id, cost(level, true)));
    let of_others = in_order(then, &others).into_iter().map(|(id, level)| (id, cost(level, false)));
    let wanted: BTreeMap<PodId, i32> = of_moved.chain(of_others).collect();
    let is_news = |(id, pod): &PodIn<'_>| {
        let cost = wanted.get(id).copied()?;
        let stands = pod.cost_writer == CostWriter::Operator && pod.deletion_cost == cost;
        (!stands).then_some(CostChange { pod: *id, cost: Some(cost) })
    };
    moved.iter().chain(&others).filter_map(is_news).collect()
}

/// As many levels from `first` on as there are pods: whoever has one of these keeps it, and the
/// others get those that are left, in their order.
fn in_order(first: i32, pods: &[PodIn<'_>]) -> Vec<(PodId, i32)> {
    let count = i32::try_from(pods.len()).unwrap_or(i32::MAX);
    let mut free: BTreeSet<i32> = (first..first.saturating_add(count)).collect();
    let kept: Vec<Option<i32>> =
        pods.iter().map(|(_, pod)| level_of(pod).filter(|level| free.remove(level))).collect();
    let mut free = free.into_iter();
    let given = pods.iter().zip(kept);
    given.filter_map(|((id, _), kept)| Some((*id, kept.or_else(|| free.next())?))).collect()
}

/// Two steps a level: at the same level, what was just moved costs more.
fn cost(level: i32, just_moved: bool) -> i32 {
    level.saturating_mul(-2).saturating_add(i32::from(just_moved))
}

/// The level that a pod's cost says; none if the operator has not written it.
fn level_of(pod: &Pod) -> Option<i32> {
    (pod.cost_writer == CostWriter::Operator).then_some(1_i32.saturating_sub(pod.deletion_cost) / 2)
}

fn is_marked_as_moved(pod: &Pod) -> bool {
    pod.cost_writer == CostWriter::Operator && pod.deletion_cost % 2 != 0
}

#[cfg(test)]
#[path = "scale_in_tests.rs"]
mod tests;
