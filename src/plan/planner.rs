//! The fewest moves that bring a tier to its skew, or as near as possible.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{MoveKind, Reason};
use crate::observe::{Index, Name, PodId, Zone, ZoneMemory, released_labels};
use crate::predict::{PendingPod, Scheduler};

use super::affinity_dependents::AffinityDependents;
use super::blocked::no_target;
use super::evictable::{EvictionBlocker, eviction_blocker};
use super::gates::MISSES_ALLOWED;
use super::ledger::Ledger;
use super::pdb_limits::PdbLimits;
use super::skew::{ZoneRange, minimum_moves, skew_of};
use super::steering::Steering;
use super::surge::{Departure, PodWays, Ways};
use super::tier::{TierView, TierZoneCount};
use super::tier_plan::{Expected, PlanInput, PlannedMove, TierPlan};

/// The fewest moves for `tier`, given what is under way.
#[must_use]
pub fn plan_tier(
    index: &Index,
    scheduler: &Scheduler<'_>,
    tier: &TierView,
    input: &PlanInput,
) -> TierPlan {
    let skew = skew_of(counts(tier, &input.expected).map(|(.., count)| count));
    if skew <= tier.settings.max_skew {
        return TierPlan { reachable_skew: skew, ..TierPlan::default() };
    }
    let at_once = tier.settings.budget(tier.desired).min(MISSES_ALLOWED);
    let at_once = usize::try_from(at_once).unwrap_or(1);
    let mut ledger = Ledger::new(input.in_flight.clone(), &input.leaving, at_once);
    let mut plan = stage(index, scheduler, tier, input, &ledger);
    let mut input = input.clone();
    let mut added = plan.moves.clone();
    // The scheduler may choose a zone only after others have got their pods, so
    // the plan continues from the state after these moves.
    while plan.obstacle.is_some() && !added.is_empty() {
        for planned in &added {
            let pod = index.cluster().pod(planned.pod);
            if let (Some(pod), Some(node)) = (pod, planned.nodes.first()) {
                let released = released_labels(&pod.labels).map(Arc::new);
                let how = released
                    .filter(|_| planned.kind == MoveKind::Surge)
                    .map_or(Departure::Evicted, Departure::Released);
                let replacement = PendingPod::replacing(index.cluster(), pod);
                let replacement = replacement.steered(planned.steered.as_ref());
                ledger.book(planned.pod, &how, Some((replacement, Name::clone(node))));
                while ledger.next_gone().is_some() {}
            }
            input.steering.zone.clone_from(&planned.steered);
            input.expected.push(Expected {
                leaving: Some(planned.from.clone()),
                coming: planned.to.first().cloned(),
            });
        }
        let next = stage(index, scheduler, tier, &input, &ledger);
        plan.reachable_skew = next.reachable_skew;
        (plan.obstacle, plan.opens, plan.lacks_room) = (next.obstacle, next.opens, next.lacks_room);
        plan.moves.extend(next.moves.iter().cloned());
        added = next.moves;
    }
    plan
}

/// The moves of a shortest way, as seen before the first of them.
fn stage(
    index: &Index,
    scheduler: &Scheduler<'_>,
    tier: &TierView,
    input: &PlanInput,
    ledger: &Ledger,
) -> TierPlan {
    let dependents = AffinityDependents::of(index, scheduler, ledger.in_flight());
    let mut planner = Planner::new(index, tier, &dependents, input, ledger);
    let max_skew = tier.settings.max_skew;
    let start = skew_of(planner.counts());
    if start <= max_skew {
        return TierPlan { reachable_skew: start, ..TierPlan::default() };
    }
    let mut obstacle = None;
    let mut lacks_room = None;
    let mut moves = Vec::new();
    // Each round that gets stuck lowers the ceiling of the zones that take no
    // more pods and starts over, so that no pod is moved in vain.
    for _ in 0..=2 * planner.zones.len() {
        let goal = minimum_moves(&planner.ranges(), max_skew);
        if goal.moves == 0 {
            moves.clear();
            break;
        }
        let walk = planner.walk(index, scheduler, goal, max_skew);
        moves = walk.moves;
        let Some(stuck) = walk.stuck else { break };
        lacks_room = (stuck.blocked.reason == Reason::NoRoom)
            .then(|| stuck.full.iter().min_by_key(|(_, count)| *count))
            .flatten()
            .map(|(at, _)| planner.zones[*at].zone.clone());
        obstacle = Some(stuck.blocked);
        for (at, count) in stuck.full {
            planner.zones[at].range.ceiling = count.max(planner.zones[at].range.count);
        }
    }
    let (moves, reachable_skew) = planner.shortest_prefix(moves);
    // Also where others suffice: as long as it is out nothing is moved to these.
    let opens = planner.without_nodes(tier).cloned();
    if reachable_skew <= max_skew {
        return TierPlan { moves, reachable_skew, opens, ..TierPlan::default() };
    }
    let obstacle = obstacle.unwrap_or_else(|| no_target(index, tier, &planner.blockers()));
    TierPlan { moves, reachable_skew, obstacle: Some(obstacle), opens, lacks_room }
}

/// A zone of the tier, as the planner sees it.
pub(super) struct PlannerZone {
    pub zone: Zone,
    pub range: ZoneRange,
    /// Pods that can move, the best victim first.
    pub victims: Vec<Victim>,
    /// Pods whose disruption budget allows no eviction now: chosen only where no
    /// other pod helps, so that the budget is named as the reason.
    pub refused: Vec<Victim>,
    blockers: Vec<(PodId, EvictionBlocker)>,
    /// Whether the first pod that is moved to it has to be up before the next one leaves.
    pub needs_canary: bool,
}

/// A pod that can move, and how.
#[derive(Clone)]
pub(super) struct Victim {
    pub id: PodId,
    pub ways: PodWays,
}

/// The zones and pods that the moves of one stage are chosen from.
pub(super) struct Planner<'a> {
    pub zones: Vec<PlannerZone>,
    /// The moves before the first of the stage.
    pub ledger: &'a Ledger,
    /// How new pods are steered before the first of them.
    pub steering: Steering,
}

impl<'a> Planner<'a> {
    fn new(
        index: &Index,
        tier: &TierView,
        dependents: &AffinityDependents<'_>,
        input: &PlanInput,
        ledger: &'a Ledger,
    ) -> Self {
        let in_flight = ledger.in_flight();
        let mut budgets = PdbLimits::new(index);
        let mut ways = Ways::new(index, &input.surge, tier.settings.strategy);
        let zones = counts(tier, &input.expected)
            .map(|(zone, counted, count)| {
                let mut victims = Vec::new();
                let mut blockers = Vec::new();
                for id in &counted.pods {
                    let Some(pod) = index.cluster().pod(*id) else { continue };
                    if pod.is_in_a_surge() || input.surge_replacements.contains(&pod.name) {
                        continue;
                    }
                    let blocker = eviction_blocker(index, pod, &tier.settings);
                    match blocker.or_else(|| dependents.eviction_blocker(*id, pod)) {
                        Some(blocker) => blockers.push((*id, blocker)),
                        None if in_flight.is_leaving(*id) => {}
                        None => match ways.of(pod) {
                            Ok(ways) => victims.push(Victim { id: *id, ways }),
                            Err(why) => blockers.push((*id, EvictionBlocker::CannotSurge(why))),
                        },
                    }
                }
                rank(index, &mut victims, input);
                let mut refused = Vec::new();
                victims.retain_mut(|victim| {
                    let allowed = victim.ways.allowed(budgets.refuse(victim.id));
                    let may_go = allowed.is_some();
                    if let Some(ways) = allowed {
                        victim.ways = ways;
                    } else {
                        refused.push(victim.clone());
                    }
                    may_go
                });
                let open = counted.is_open();
                let range = ZoneRange {
                    count,
                    floor: i32::try_from(blockers.len()).unwrap_or(i32::MAX).min(count),
                    ceiling: if open { i32::MAX } else { count },
                };
                let needs_canary = counted.health.as_ref().is_some_and(ZoneMemory::needs_canary);
                PlannerZone { zone: zone.clone(), range, victims, refused, blockers, needs_canary }
            })
            .collect();
        Self { zones, ledger, steering: input.steering.clone() }
    }

    fn counts(&self) -> impl Iterator<Item = i32> {
        self.zones.iter().map(|zone| zone.range.count)
    }

    pub(super) fn ranges(&self) -> Vec<ZoneRange> {
        self.zones.iter().map(|zone| zone.range).collect()
    }

    pub(super) fn blockers(&self) -> Vec<&(PodId, EvictionBlocker)> {
        self.zones.iter().flat_map(|zone| &zone.blockers).collect()
    }

    /// The zone with the fewest pods, if it has no node for the tier, and pods of others could
    /// be moved there if it had one.
    fn without_nodes(&self, tier: &TierView) -> Option<&Zone> {
        let (poorest, _) = self
            .zones
            .iter()
            .map(|zone| (zone, tier.zones.get(&zone.zone).and_then(|zone| zone.health.as_ref())))
            .filter(|(_, health)| health.is_some_and(ZoneMemory::lacks_nodes))
            .min_by_key(|(zone, _)| zone.range.count)?;
        let can_give = |zone: &&PlannerZone| {
            !zone.victims.is_empty() && zone.range.count - poorest.range.count > 1
        };
        self.zones.iter().any(|zone| can_give(&zone)).then_some(&poorest.zone)
    }

    /// The moves up to where the skew is lowest first, and that skew.
    fn shortest_prefix(&self, mut moves: Vec<PlannedMove>) -> (Vec<PlannedMove>, i32) {
        let mut counts: BTreeMap<&Zone, i32> =
            self.zones.iter().map(|zone| (&zone.zone, zone.range.count)).collect();
        let mut best = (skew_of(counts.values().copied()), 0);
        for (at, step) in moves.iter().enumerate() {
            if let Some(from) = counts.get_mut(&step.from) {
                *from -= 1;
            }
            if let Some(to) = step.to.first().and_then(|zone| counts.get_mut(zone)) {
                *to += 1;
            }
            let skew = skew_of(counts.values().copied());
            if skew < best.0 {
                best = (skew, at + 1);
            }
        }
        moves.truncate(best.1);
        (moves, best.0)
    }
}

/// The tier's zones with their pods, and the pod counts after the moves under way.
fn counts<'t>(
    tier: &'t TierView,
    expected: &'t [Expected],
) -> impl Iterator<Item = (&'t Zone, &'t TierZoneCount, i32)> {
    tier.zones.iter().map(|(zone, counted)| {
        let is = |side: &Option<Zone>| i32::from(side.as_ref() == Some(zone));
        let shift: i32 = expected.iter().map(|moved| is(&moved.coming) - is(&moved.leaving)).sum();
        (zone, counted, i32::try_from(counted.pods.len()).unwrap_or(i32::MAX) + shift)
    })
}

/// Sorts the best victim first: in the order of the published plan, not just moved, with the
/// lowest priority, the lowest deletion cost, on the fullest node, the youngest; then by name.
fn rank(index: &Index, victims: &mut [Victim], input: &PlanInput) {
    victims.sort_by_cached_key(|Victim { id, .. }| {
        index.cluster().pod(*id).map(|pod| {
            let seat = index.cluster().slot_of(*id);
            let on_node = seat
                .and_then(|slot| index.cluster().entry(slot))
                .map_or(0, |entry| entry.pods.len());
            (
                input.approval.place_of(&pod.uid),
                input.just_moved.contains(&pod.name),
                pod.template.priority,
                pod.deletion_cost,
                std::cmp::Reverse(on_node),
                std::cmp::Reverse(pod.created),
                Name::clone(&pod.name),
            )
        })
    });
}
