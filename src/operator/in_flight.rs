//! The moves under way, as the planner and the gates want to know them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::MoveKind;
use crate::moves::{EligibleNodes, Move, OwnerSnapshot, Preconditions};
use crate::observe::{
    Index, Name, PodId, PolicyEntry, PolicyKey, Zone, ZoneMemory, released_labels,
};
use crate::plan::{Expected, InFlight, PlannedMove, Probe, TierPlan, TierView, TierZoneCount};
use crate::predict::{InFlightPods, Rival};

use super::Operator;
use super::policy_state::PolicyState;

/// By then an eviction shows in its pod's disruption budget.
const BUDGET_SHOWS_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Tiers and clusters up to this size are read again as a whole before each eviction.
const READ_WHOLE: usize = 500;

impl Operator {
    /// What the index does not show yet of all moves under way.
    pub(super) fn in_flight_with(&self, key: &PolicyKey, memory: &PolicyState) -> InFlightPods {
        in_flight_pods(&self.index, self.all_under_way(key, memory))
    }

    /// Where schedulers would put a replacement that the cluster may have instead of the
    /// assumed one; those that choose otherwise.
    pub(super) fn dissent(
        &self,
        key: &PolicyKey,
        memory: &PolicyState,
        planned: &PlannedMove,
        moved: &Move,
    ) -> Vec<(Rival, Vec<Zone>)> {
        let Some(expected) = &moved.expected else { return Vec::new() };
        let mut in_flight = self.in_flight_with(key, memory);
        in_flight.evict(planned.pod);
        self.rivals.dissent(self.index.cluster(), &in_flight, &expected.pod, &planned.to)
    }

    /// What the counts of a tier do not show yet.
    pub(super) fn expected(
        &self,
        key: &PolicyKey,
        view: &TierView,
        memory: &PolicyState,
    ) -> Vec<Expected> {
        let own = memory.under_way_of(&view.name);
        own.map(|moved| expected_of(&self.index, &key.namespace, moved)).collect()
    }

    /// Pods of the tier that its moves under way make leave, and that are still there.
    pub(super) fn leaving_of(
        &self,
        key: &PolicyKey,
        view: &TierView,
        memory: &PolicyState,
    ) -> Vec<PodId> {
        let own = memory.under_way_of(&view.name);
        own.filter_map(|moved| Some(moved.pod(&self.index, &key.namespace)?.0)).collect()
    }

    /// The moves under way of all policies; `memory` is that of one of them, which may be
    /// taken out while its policy is looked at.
    pub(super) fn all_under_way<'a>(
        &'a self,
        key: &'a PolicyKey,
        memory: &'a PolicyState,
    ) -> impl Iterator<Item = (&'a PolicyKey, &'a Move)> {
        self.all_open(key, memory).filter(|(_, moved)| moved.is_under_way())
    }

    /// Those, and moves whose stuck replacement still waits.
    fn all_open<'a>(
        &'a self,
        key: &'a PolicyKey,
        memory: &'a PolicyState,
    ) -> impl Iterator<Item = (&'a PolicyKey, &'a Move)> {
        self.moving_policies(key, memory)
            .flat_map(|(key, memory)| memory.open().map(move |moved| (key, moved)))
    }

    /// The policies with moves under way.
    pub(super) fn moving_policies<'a>(
        &'a self,
        key: &'a PolicyKey,
        memory: &'a PolicyState,
    ) -> impl Iterator<Item = (&'a PolicyKey, &'a PolicyState)> {
        let others = self.moving.iter().filter(move |other| *other != key);
        let others = others.filter_map(|other| self.policies.get_key_value(other));
        others.chain([(key, memory)])
    }

    /// The moves under way of all policies, none of which is taken out.
    pub(super) fn all_moves_under_way(&self) -> impl Iterator<Item = (&PolicyKey, &Move)> {
        let moving = self.moving.iter().filter_map(|key| self.policies.get_key_value(key));
        moving.flat_map(|(key, memory)| memory.under_way().map(move |moved| (key, moved)))
    }

    /// What is under way when the tier's next move is judged.
    pub(super) fn in_flight(
        &self,
        policy: &PolicyEntry,
        view: &TierView,
        plan: &TierPlan,
        memory: &PolicyState,
        now: Timestamp,
    ) -> InFlight {
        let own = || memory.under_way_of(&view.name);
        let evicted = || own().filter(|moved| moved.is_evicted());
        let count = |moves: usize| i32::try_from(moves).unwrap_or(i32::MAX);
        InFlight {
            moves: count(own().count()),
            away: count(evicted().count()),
            cap_reached: self.cap_reached(plan, &policy.key, memory),
            canary: self.canary_under_way(plan.moves.first(), view, &policy.key, memory),
            probe: self.probe_of(plan.moves.first(), view, &policy.key, memory),
            leaving: self.leaving(&policy.key, memory),
            just_left: evicted()
                .filter(|moved| now.duration_since(moved.started) < BUDGET_SHOWS_AFTER)
                .count(),
            last_miss: memory.last_miss_of(&view.name),
        }
    }

    /// The most moves that may be under way in the cluster, if that many are and the next
    /// of the plan has to wait.
    fn cap_reached(&self, plan: &TierPlan, key: &PolicyKey, memory: &PolicyState) -> Option<usize> {
        let most = self.concurrent_moves.0;
        let is_full = || self.all_under_way(key, memory).nth(most.saturating_sub(1)).is_some();
        (!plan.moves.is_empty() && is_full()).then_some(most)
    }

    /// Pods whose eviction was decided and does not show yet.
    fn leaving(&self, key: &PolicyKey, memory: &PolicyState) -> Vec<PodId> {
        self.all_under_way(key, memory)
            .filter_map(|(key, moved)| {
                let (id, pod) = moved.pod(&self.index, &key.namespace)?;
                (!pod.terminating).then_some(id)
            })
            .collect()
    }

    /// A move under way into a zone that the next move would go to and that
    /// is still to be proven (law 9).
    fn canary_under_way(
        &self,
        next: Option<&PlannedMove>,
        view: &TierView,
        key: &PolicyKey,
        memory: &PolicyState,
    ) -> Option<String> {
        let zones = unproven(next?, view);
        self.all_under_way(key, memory).find_map(|(_, moved)| {
            let zone = zones.iter().find(|zone| moved.is_expected_in(zone))?;
            Some(format!("zone {zone} ({})", moved.pod))
        })
    }

    /// A replacement that got stuck in a zone that the next move would go to, and that is
    /// still to be proven: it is the zone's probe (law 9).
    fn probe_of(
        &self,
        next: Option<&PlannedMove>,
        view: &TierView,
        key: &PolicyKey,
        memory: &PolicyState,
    ) -> Option<Probe> {
        let zones = unproven(next?, view);
        self.all_open(key, memory).find_map(|(key, moved)| {
            let (zone, pod) = moved.probed_zone(&self.index, &key.namespace)?;
            let pod = format!("{}/{}", pod.namespace, pod.name);
            zones.contains(&zone).then(|| Probe { zone: zone.clone(), pod })
        })
    }

    /// What a move of this tier stands on.
    pub(super) fn preconditions_of(
        &self,
        policy: &PolicyEntry,
        view: &TierView,
        memory: &PolicyState,
        snapshot: &Arc<OwnerSnapshot>,
        target: &Name,
    ) -> Preconditions {
        let desired = usize::try_from(view.desired).unwrap_or(0);
        let unreplaced = memory.under_way().filter(|moved| moved.replacement_uid().is_none());
        let awaited = unreplaced.filter(|moved| snapshot.is_of(moved)).count();
        let moving = || memory.under_way_of(&view.name);
        let has_nodes = |count: &TierZoneCount| {
            count.health.as_ref().is_some_and(|memory| memory.condition.nodes > 0)
        };
        let zones = view.zones.iter().filter(|(_, count)| has_nodes(count));
        let all_nodes = self.index.cluster().node_count() <= READ_WHOLE;
        let scheduler = self.scheduler();
        let counts = |(node, _): &(Name, _)| all_nodes || node == target;
        let eligible = view.eligible.iter().flat_map(|eligible| eligible.nodes(&scheduler));
        let eligible = EligibleNodes::new(eligible.filter(counts));
        Preconditions {
            tier_selector: policy
                .tier_selector(&view.name)
                .filter(|_| desired <= READ_WHOLE)
                .map(Name::from),
            snapshot: Arc::clone(snapshot),
            awaited: u32::try_from(awaited).unwrap_or(u32::MAX),
            available: desired.saturating_sub(moving().count()),
            moving: moving()
                .flat_map(|moved| {
                    moved.replacement_uid().cloned().into_iter().chain([moved.uid.clone()])
                })
                .collect(),
            min_ready_seconds: view.min_ready_seconds,
            zones: zones.map(|(zone, _)| zone.clone()).collect(),
            eligible: Arc::new(eligible),
            all_nodes,
        }
    }
}

impl PolicyState {
    /// How a tier's last miss ended, in words.
    pub fn last_miss_of(&self, tier: &str) -> Option<String> {
        let mut own = self.moves.iter().rev().filter(|moved| *moved.tier == *tier);
        own.find_map(Move::miss).map(str::to_owned)
    }

    /// Pods that recent moves made: the last to be moved again.
    pub fn just_moved(&self) -> BTreeSet<Name> {
        let replacements = self.moves.iter().filter_map(|moved| moved.replacement.as_ref());
        replacements.map(|replacement| Name::clone(&replacement.name)).collect()
    }

    /// Pods that surges under way have made.
    pub fn surge_replacements(&self) -> BTreeSet<Name> {
        let surges = self.under_way().filter(|moved| moved.is_surge());
        let replacements = surges.filter_map(|moved| moved.replacement.as_ref());
        replacements.map(|replacement| Name::clone(&replacement.name)).collect()
    }
}

/// The zones that a move may go to and that are, for the tier, still to be proven.
fn unproven<'m>(next: &'m PlannedMove, view: &TierView) -> Vec<&'m Zone> {
    let unproven = |zone: &&Zone| {
        let health = view.zones.get(zone).and_then(|zone| zone.health.as_ref());
        health.is_some_and(ZoneMemory::needs_canary)
    };
    next.to.iter().filter(unproven).collect()
}

/// What the index does not show yet of moves under way.
pub(super) fn in_flight_pods<'a>(
    index: &Index,
    moves: impl Iterator<Item = (&'a PolicyKey, &'a Move)>,
) -> InFlightPods {
    let mut in_flight = InFlightPods::default();
    for (policy, moved) in moves {
        if let Some((id, pod)) = moved.pod(index, &policy.namespace) {
            match moved.kind {
                MoveKind::Evict => in_flight.evict(id),
                // Once it shows, it is a pod with other labels, and counts by these.
                MoveKind::Surge => {
                    if let Some(labels) = released_labels(&pod.labels) {
                        in_flight.release(id, labels.into());
                    }
                }
            }
        }
        if !moved.is_placed()
            && let Some(expected) = &moved.expected
            && let Some(node) = expected.nodes.first()
        {
            in_flight.assume(expected.pod.clone(), Name::clone(node));
        }
    }
    in_flight
}

/// How a move under way will change the counts.
fn expected_of(index: &Index, namespace: &Name, moved: &Move) -> Expected {
    let still_counted = moved.pod(index, namespace).is_some_and(|(_, pod)| pod.is_counted());
    Expected {
        leaving: still_counted.then(|| moved.from.clone()),
        coming: (!moved.is_placed()).then(|| moved.to.clone()),
    }
}
