//! One pod to be placed: which nodes can take it, and which the scheduler picks.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::observe::{Name, PodId, Zone};

use super::classes::node_classes::{Candidates, NodeClasses, ScoringSet};
use super::in_flight::{DeletionOrder, InFlightPods, PendingPod};
use super::plugins::{CycleState, Plugin, Scope};
use super::prefilter::Cycle;
use super::reach::AlikeZones;
use super::sampling::bounds::{Lead, Range, Scored};
use super::scheduler::Scheduler;
use super::unpredictable;

/// How many of the nodes that tie are named.
const NAMED: usize = 20;

/// Where pods like one pending pod land, kept up to date move by move.
#[derive(Debug)]
pub struct Simulation<'s> {
    pub(super) cycle: Cycle<'s>,
    pub(super) state: CycleState,
    /// The simulations of the other orders of deletion and scheduling.
    pub(super) otherwise: Vec<Self>,
    /// Simulations of other assumptions that may be the right ones, and what they are.
    pub(super) variants: Vec<(Assumption, Self)>,
    /// The same without the pods that may be pushed out, once no node could take the pod.
    pub(super) cleared: OnceCell<Option<Box<Self>>>,
    /// The nodes by class, once somebody has asked for the best.
    pub(super) node_classes: OnceCell<NodeClasses>,
    /// What is supposed of the zones for a moment.
    pub(super) alike: Option<AlikeZones>,
}

/// What may be so or not, and decides where pods land.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Assumption {
    /// Replacements are made like the pods before them are now.
    made_as_now: bool,
    /// Pods that wait for a certain node are placed before.
    reserved_first: bool,
}

impl Assumption {
    /// For a human, after "if".
    pub(super) const fn as_str(self) -> &'static str {
        match (self.made_as_now, self.reserved_first) {
            (true, false) => "it is made as the pod is now, not as its owner's template says",
            (false, _) => "pods that wait for a certain node get their room there first",
            (true, true) => {
                "it is made as the pod is now, and pods that wait for a certain node come first"
            }
        }
    }

    /// The pod, and the pods in flight, if this is so.
    fn applied(
        self,
        scheduler: &Scheduler<'_>,
        in_flight: &InFlightPods,
        pod: &PendingPod,
    ) -> (InFlightPods, PendingPod) {
        let mut in_flight =
            if self.made_as_now { in_flight.made_as_now() } else { in_flight.clone() };
        if self.reserved_first {
            in_flight.assume_reserved(scheduler);
        }
        (in_flight, self.made(pod))
    }

    /// The pod, if this is so.
    pub(super) fn made(self, pod: &PendingPod) -> PendingPod {
        if self.made_as_now { pod.made_as_now() } else { pod.clone() }
    }
}

/// The nodes that tie for best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Best {
    /// The first of them, by name.
    pub nodes: Vec<Name>,
    /// How many there are, or at least there are.
    pub tied: usize,
    /// The zones, as in [`super::Landing`].
    pub zones: Vec<Zone>,
    /// Whether a node without a zone may be the one.
    pub unzoned: bool,
    /// Whether the zone is certain, as in [`super::Landing`].
    pub certain: bool,
    /// Whether no node can take it under one of the assumptions that may be right.
    pub may_wait: bool,
    /// By how many points at least they beat the best node of any other zone, if one has any.
    pub margin: i64,
    /// How many nodes others may take until it is by less.
    pub spare: usize,
    /// The pods that are pushed out of the first of the nodes.
    pub preempts: Vec<PodId>,
}

impl Best {
    /// One or the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let certain = self.certain && other.certain && self.zones == other.zones;
        let (margin, spare) = (self.margin.min(other.margin), self.spare.min(other.spare));
        let nodes: BTreeSet<Name> = self.nodes.into_iter().chain(other.nodes).collect();
        let zones: BTreeSet<Zone> = self.zones.into_iter().chain(other.zones).collect();
        let tied = nodes.len().max(self.tied).max(other.tied);
        let nodes = nodes.into_iter().collect();
        let unzoned = self.unzoned || other.unzoned;
        let may_wait = self.may_wait || other.may_wait;
        let preempts = if self.preempts.is_empty() { other.preempts } else { self.preempts };
        let zones = zones.into_iter().collect();
        Self { nodes, tied, zones, unzoned, certain, may_wait, margin, spare, preempts }
    }

    /// Under one assumption and another, either of which may be the right one.
    fn either(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if one == other => Some(one),
            (Some(one), Some(other)) => Some(one.or(other)),
            (Some(only), None) | (None, Some(only)) => {
                Some(Self { certain: false, may_wait: true, ..only })
            }
            (None, None) => None,
        }
    }
}

impl Scheduler<'_> {
    /// Where pods like `pod` land, after the moves in flight.
    ///
    /// # Errors
    /// When it cannot be known, and why not, by name.
    pub fn simulate(
        &self,
        in_flight: &InFlightPods,
        pod: &PendingPod,
    ) -> Result<Simulation<'_>, String> {
        Simulation::new(self, in_flight, pod)
    }
}

impl<'s> Simulation<'s> {
    fn new(
        scheduler: &'s Scheduler<'s>,
        in_flight: &InFlightPods,
        pod: &PendingPod,
    ) -> Result<Self, String> {
        let mut simulation = Self::with_orders(scheduler, in_flight, pod)?;
        let may_be_as_now = pod.as_now.is_some() || in_flight.may_be_as_now();
        let has_reserved = in_flight.reserved(scheduler).next().is_some();
        for (made_as_now, reserved_first) in [(true, false), (false, true), (true, true)] {
            if (made_as_now && !may_be_as_now) || (reserved_first && !has_reserved) {
                continue;
            }
            let assumption = Assumption { made_as_now, reserved_first };
            let (in_flight, pod) = assumption.applied(scheduler, in_flight, pod);
            let variant = Self::with_orders(scheduler, &in_flight, &pod)?;
            simulation.variants.push((assumption, variant));
        }
        Ok(simulation)
    }

    fn with_orders(
        scheduler: &'s Scheduler<'s>,
        in_flight: &InFlightPods,
        pod: &PendingPod,
    ) -> Result<Self, String> {
        let mut simulation = Self::with_order(scheduler, in_flight, pod, DeletionOrder::GoneFirst)?;
        let placed_first = pod.template.vanishes.then_some(DeletionOrder::PlacedFirst);
        let unseen = (!scheduler.version().hears_in_order()).then_some(DeletionOrder::Unseen);
        for order in placed_first.into_iter().chain(unseen) {
            let otherwise = Self::with_order(scheduler, in_flight, pod, order)?;
            simulation.otherwise.push(otherwise);
        }
        Ok(simulation)
    }

    pub(super) fn with_order(
        scheduler: &'s Scheduler<'s>,
        in_flight: &InFlightPods,
        pod: &PendingPod,
        order: DeletionOrder,
    ) -> Result<Self, String> {
        let unknown = pod.unknown.clone();
        if let Some(cause) =
            unknown.or_else(|| unpredictable::cause(scheduler.config, &pod.template))
        {
            return Err(cause);
        }
        let cycle = Cycle { scheduler, pod: pod.clone(), in_flight: in_flight.clone(), order };
        let state = CycleState::pre_filter(&cycle)?;
        let mut simulation = Self {
            cycle,
            state,
            otherwise: Vec::new(),
            variants: Vec::new(),
            cleared: OnceCell::new(),
            node_classes: OnceCell::new(),
            alike: None,
        };
        for (assumed, node) in in_flight.assumed() {
            if let Some(row) = scheduler.row_of(node) {
                simulation.push_out(row, &assumed.template);
            }
        }
        Ok(simulation)
    }

    /// The same without the pods that may be pushed out; none if there are none, or the pod
    /// pushes nobody out.
    pub(super) fn cleared(&self) -> Option<&Self> {
        let cleared = self.cleared.get_or_init(|| {
            if self.cycle.pod.template.never_preempts || self.expendable().next().is_none() {
                return None;
            }
            let mut in_flight = self.cycle.in_flight.clone();
            self.expendable().for_each(|(id, _)| in_flight.remove(id));
            let Cycle { scheduler, pod, order, .. } = &self.cycle;
            Self::with_order(scheduler, &in_flight, pod, *order).ok().map(Box::new)
        });
        cleared.as_deref()
    }

    /// The moves that this simulation knows of.
    #[must_use]
    pub fn in_flight(&self) -> &InFlightPods {
        &self.cycle.in_flight
    }

    /// Where the pod would land now; none when no node can take it. Looks at
    /// one node of each kind.
    #[must_use]
    pub fn best(&self) -> Option<Best> {
        self.best_naming(NAMED)
    }

    /// The same, with at most that many of the nodes.
    pub(super) fn best_naming(&self, named: usize) -> Option<Best> {
        let own = self.best_of_orders(|order| {
            let node_classes = order.node_classes.get_or_init(|| NodeClasses::new(order));
            let set = order.scoring_set(node_classes);
            let best = order.best_of(&set, |row| node_classes.like(row), named);
            best.or_else(|| order.best_by_preemption(named))
        });
        let variants = self.variants.iter().map(|(_, variant)| variant.best_naming(named));
        variants.fold(own, Best::either)
    }

    /// The same with every node that ties, under the assumptions of this simulation alone.
    /// Looks at every node.
    pub(super) fn best_in_full(&self) -> Option<Best> {
        self.best_of_orders(Self::best_alone)
    }

    /// The same in this order of deletion and scheduling alone.
    pub(super) fn best_alone(&self) -> Option<Best> {
        let field = self.scoring_set_of(self.feasible());
        let best = self.best_of(&field, std::iter::once, usize::MAX);
        best.or_else(|| self.best_by_preemption(usize::MAX))
    }

    fn best_of_orders(&self, best_of: impl Fn(&Self) -> Option<Best>) -> Option<Best> {
        let orders = self.otherwise.iter();
        orders.fold(best_of(self), |best, order| match (best, best_of(order)) {
            (Some(best), Some(other)) if best == other => Some(best),
            (Some(best), Some(other)) => Some(best.or(other)),
            // The scheduler tries again when the pod is gone; not so when it sees no more
            // than that the pod is about to go.
            (best, None) if order.cycle.is_tried_again() => best,
            (best, None) => best.map(|best| Best { certain: false, may_wait: true, ..best }),
            (None, Some(other)) => Some(Best { certain: false, may_wait: true, ..other }),
        })
    }

    /// The best of these, of which at most that many are named.
    fn best_of<I: Iterator<Item = usize>>(
        &self,
        set: &ScoringSet,
        like: impl Fn(usize) -> I,
        named: usize,
    ) -> Option<Best> {
        let sample = self.sample(&set.classes);
        let (winners, of_samples) = sample.map(|sample| self.winners(set, &sample)).unzip();
        let totals = self.totals(set);
        let node_tree = self.cycle.scheduler.snapshot.node_tree();
        let can_win = |row: usize| {
            let zone = node_tree.zone_of[row];
            winners.as_ref().is_none_or(|winners| winners.contains(&zone))
        };
        let scored = || {
            let scored = set.candidates.iter().zip(&totals);
            scored.filter(|((row, _), _)| can_win(*row))
        };
        let highest = *scored().map(|(_, total)| total).max()?;
        let tied: Vec<(usize, usize)> = scored()
            .filter(|(_, total)| **total == highest)
            .map(|(candidate, _)| candidate)
            .collect();
        let node = |row: usize| &self.cycle.scheduler.rows()[row].node;
        let zones: BTreeSet<Option<&Zone>> = match &winners {
            Some(winners) => winners.iter().map(|zone| node_tree.zones[*zone].as_ref()).collect(),
            None => tied.iter().map(|(row, _)| node(*row).zone.as_ref()).collect(),
        };
        let unzoned = zones.contains(&None);
        let certain = zones.len() == 1 && !unzoned;
        let Lead { margin, spare } = of_samples.unwrap_or_else(|| {
            let elsewhere =
                scored().filter(|((row, _), _)| !zones.contains(&node(*row).zone.as_ref()));
            let next = elsewhere.map(|(_, total)| *total).max();
            let spare = tied.iter().map(|(_, nodes)| nodes).sum();
            Lead { margin: next.map_or(i64::MAX, |next| highest - next), spare }
        });
        let mut rows: Vec<usize> =
            tied.iter().flat_map(|(row, _)| like(*row).take(named)).collect();
        rows.sort_unstable();
        rows.truncate(named);
        Some(Best {
            nodes: rows.into_iter().map(|row| Name::clone(&node(row).name)).collect(),
            tied: tied.iter().map(|(_, nodes)| nodes).sum(),
            zones: zones.into_iter().flatten().cloned().collect(),
            unzoned,
            certain,
            may_wait: false,
            margin,
            spare,
            preempts: Vec::new(),
        })
    }

    /// What becomes of the pod if it is placed before its eviction is seen, where that may be.
    pub(super) fn unseen(&self) -> Option<&Self> {
        self.otherwise.iter().find(|order| order.cycle.order == DeletionOrder::Unseen)
    }

    /// This, the simulations of the other orders, and those of other assumptions.
    pub(super) fn all(&self) -> Vec<&Self> {
        let own = std::iter::once(self).chain(&self.otherwise);
        own.chain(self.variants.iter().flat_map(|(_, variant)| variant.all())).collect()
    }

    /// Whether none of the filters that this decides rejects the node.
    pub(super) fn passes(&self, scope: Scope, row: usize) -> bool {
        let mut filters = Plugin::filters(scope).iter();
        filters.all(|plugin| self.state.filter(&self.cycle, *plugin, row).is_none())
    }

    /// Whether what is on the node leaves the pod nothing to wish for but room.
    pub(super) fn passes_but_for_room(&self, row: usize) -> bool {
        let filters = Plugin::filters(Scope::Node).iter();
        let mut others = filters.filter(|plugin| **plugin != Plugin::NodeResourcesFit);
        others.all(|plugin| self.state.filter(&self.cycle, *plugin, row).is_none())
    }

    /// Whether the node can take the pod.
    pub(super) fn can_take(&self, row: usize) -> bool {
        let scopes = [Scope::Static, Scope::Node, Scope::Topology];
        !self.is_unschedulable_everywhere()
            && scopes.into_iter().all(|scope| self.passes(scope, row))
    }

    /// Whether there is room on the node, and the pod's ports and volumes are free there.
    pub(super) fn has_room(&self, row: usize) -> bool {
        self.passes(Scope::Node, row)
    }

    /// Whether no node can take the pod, whichever it is.
    fn is_unschedulable_everywhere(&self) -> bool {
        self.state.unschedulable_everywhere.is_some() || !self.passes(Scope::Pod, 0)
    }

    /// One node of each class that can take the pod.
    fn scoring_set(&self, node_classes: &NodeClasses) -> ScoringSet {
        if self.is_unschedulable_everywhere() {
            return ScoringSet::default();
        }
        node_classes.scoring_set(|row| self.passes(Scope::Topology, row))
    }

    /// Weighted scores of what the node holds.
    pub(super) fn base(&self, row: usize) -> i64 {
        self.state.base(&self.cycle.scheduler.config.weights, row)
    }

    /// The same as the cluster shows the node; none if there is no room.
    pub(super) fn base_shown(&self, row: usize) -> Option<i64> {
        self.state.base_shown(&self.cycle.scheduler.config.weights, row)
    }

    /// These nodes, each of which stands for itself.
    pub(super) fn scoring_set_of(&self, candidates: Candidates) -> ScoringSet {
        ScoringSet::alone(candidates, |row| self.base(row))
    }

    /// What these nodes score in all.
    pub(super) fn totals(&self, set: &ScoringSet) -> Vec<i64> {
        let of_class = self.class_scores(&set.classes, Scored::All);
        set.scored().map(|(class, base)| of_class[class].0 + base).collect()
    }

    /// What each class scores without what its nodes hold, if these are scored.
    pub(super) fn class_scores(&self, classes: &Candidates, scored: Scored<'_>) -> Vec<Range> {
        let weights = &self.cycle.scheduler.config.weights;
        let mut sums = vec![(0, 0); classes.len()];
        for plugin in [Scope::Static, Scope::Topology].into_iter().flat_map(Plugin::scores) {
            let weight = weights.of(*plugin);
            let scores = self.score(*plugin, classes, scored);
            for ((low, high), score) in sums.iter_mut().zip(scores) {
                *low += weight * score.0;
                *high += weight * score.1;
            }
        }
        sums
    }
}
