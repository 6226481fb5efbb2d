//! One pod to be placed: which nodes can take it, and which the scheduler picks.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::observe::{Name, PodId, Zone};

use super::classes::node_classes::{Candidates, NodeClasses, ScoringSet};
use super::classes::static_filters::{NodeStatics, StaticFilters};
use super::in_flight::{DeletionOrder, InFlightPods, PendingPod};
use super::plugins::image_locality;
use super::plugins::inter_pod_affinity::Neighbours;
use super::plugins::resource_fits::{ResourceFit, ResourceFits};
use super::plugins::score::{normalise, normalise_reversed};
use super::plugins::topology_spread::Spread;
use super::plugins::volume_binding::Volumes;
use super::plugins::volume_limits::VolumeLimits;
use super::plugins::volume_restrictions::SoleUse;
use super::scheduler::Scheduler;
use super::snapshot::TopologyDomains;
use super::unpredictable;

/// How many of the nodes that tie are named.
const NAMED: usize = 20;

/// Where pods like one pending land, kept up to date move by move.
#[derive(Debug)]
pub struct Simulation<'s> {
    pub(super) scheduler: &'s Scheduler<'s>,
    pub(super) pod: PendingPod,
    pub(super) in_flight: InFlightPods,
    /// How the order is taken to end, and the simulation if it ends otherwise.
    pub(super) order: DeletionOrder,
    otherwise: Option<Box<Self>>,
    /// What never changes.
    pub(super) static_filters: Arc<StaticFilters>,
    /// Nodes where a host port is taken, by row; empty when the pod wants none.
    pub(super) ports: Vec<bool>,
    /// By row; empty when the pod has no volumes that matter.
    pub(super) volumes: Vec<Option<FilterFailure>>,
    /// No node can take the pod.
    pub(super) unschedulable_everywhere: Option<FilterFailure>,
    pub(super) sole_use: SoleUse,
    pub(super) volume_limits: VolumeLimits,
    /// Nodes that would have too many volumes, by row; empty when none is limited.
    pub(super) overfull: Vec<bool>,
    pub(super) fits: ResourceFits,
    pub(super) spread: Spread,
    pub(super) neighbours: Neighbours,
    /// By row; empty when no node is better for its images.
    images: Vec<i64>,
    /// The nodes by kind, once somebody has asked for the best.
    node_classes: OnceCell<NodeClasses>,
}

/// Why a node cannot take a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilterFailure {
    pub plugin: &'static str,
    pub message: Cow<'static, str>,
}

impl FilterFailure {
    pub(super) fn new(plugin: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { plugin, message: message.into() }
    }
}

/// Scores of the nodes that fit.
pub(super) struct Scores {
    /// They.
    pub feasible: Candidates,
    /// Weighted, by plugin, in the order of `feasible`.
    pub by_plugin: Vec<(&'static str, Vec<i64>)>,
    /// The sums.
    pub totals: Vec<i64>,
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
}

impl Best {
    /// One or the other.
    fn or(self, other: Self) -> Self {
        let certain = self.certain && other.certain && self.zones == other.zones;
        let nodes: BTreeSet<Name> = self.nodes.into_iter().chain(other.nodes).collect();
        let zones: BTreeSet<Zone> = self.zones.into_iter().chain(other.zones).collect();
        let tied = nodes.len().max(self.tied).max(other.tied);
        let nodes = nodes.into_iter().collect();
        let unzoned = self.unzoned || other.unzoned;
        Self { nodes, tied, zones: zones.into_iter().collect(), unzoned, certain }
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
        let mut simulation = Self::with_order(scheduler, in_flight, pod, DeletionOrder::GoneFirst)?;
        if pod.template.vanishes {
            let otherwise =
                Self::with_order(scheduler, in_flight, pod, DeletionOrder::PlacedFirst)?;
            simulation.otherwise = Some(Box::new(otherwise));
        }
        Ok(simulation)
    }

    fn with_order(
        scheduler: &'s Scheduler<'s>,
        in_flight: &InFlightPods,
        pod: &PendingPod,
        order: DeletionOrder,
    ) -> Result<Self, String> {
        let template = &*pod.template;
        let unknown = pod.unknown.clone();
        if let Some(cause) = unknown.or_else(|| unpredictable::cause(scheduler.config, template)) {
            return Err(cause);
        }
        let static_filters = scheduler.snapshot.static_filters(template);
        if let Some(unreadable) = &static_filters.unreadable {
            return Err(unreadable.clone());
        }
        let volumes = Volumes::of(scheduler, pod)?;
        let mut simulation = Self {
            pod: pod.clone(),
            in_flight: in_flight.clone(),
            order,
            otherwise: None,
            ports: Vec::new(),
            volumes: volumes.by_row(scheduler.rows()),
            unschedulable_everywhere: volumes.unschedulable_everywhere,
            sole_use: SoleUse::of(scheduler, pod),
            volume_limits: VolumeLimits::of(scheduler, pod),
            overfull: Vec::new(),
            fits: ResourceFits::new(scheduler, template),
            spread: Spread::new(scheduler, pod, &static_filters)?,
            neighbours: Neighbours::new(scheduler, pod),
            images: image_locality::scores(scheduler, template),
            node_classes: OnceCell::new(),
            static_filters,
            scheduler,
        };
        simulation.take_census();
        Ok(simulation)
    }

    /// A pod is evicted: see [`InFlightPods::evict`].
    pub fn evict(&mut self, id: PodId) {
        if self.in_flight.is_evicted(id) {
            return;
        }
        self.in_flight.evict(id);
        if let Some(otherwise) = &mut self.otherwise {
            otherwise.evict(id);
        }
        let leaving = self.scheduler.cluster.pod(id);
        let row = leaving.and_then(|pod| self.see_off(pod, 1));
        self.reclassify(row);
    }

    /// A pod is not evicted after all: undoes [`Self::evict`].
    pub fn undo_evict(&mut self, id: PodId) {
        if !self.in_flight.is_evicted(id) {
            return;
        }
        self.in_flight.undo_evict(id);
        if let Some(otherwise) = &mut self.otherwise {
            otherwise.undo_evict(id);
        }
        let kept = self.scheduler.cluster.pod(id);
        let row = kept.and_then(|pod| self.see_off(pod, -1));
        self.reclassify(row);
    }

    /// A pod is placed on a node: see [`InFlightPods::assume`].
    pub fn assume(&mut self, pod: PendingPod, node: Name) {
        let row = self.seat(&pod, &node);
        if let Some(otherwise) = &mut self.otherwise {
            otherwise.assume(pod.clone(), Name::clone(&node));
        }
        self.in_flight.assume(pod, node);
        self.recheck_volume_limits(row);
        self.reclassify(row);
    }

    /// The moves that this simulation knows of.
    #[must_use]
    pub fn in_flight(&self) -> &InFlightPods {
        &self.in_flight
    }

    /// Where the pod would land now; none when no node can take it. Looks at
    /// one node of each kind.
    #[must_use]
    pub fn best(&self) -> Option<Best> {
        self.best_of_orders(|order| {
            let node_classes = order.node_classes.get_or_init(|| NodeClasses::new(order));
            order.best_of(&order.field(node_classes), |row| node_classes.like(row), NAMED)
        })
    }

    /// The same with every node that ties. Looks at every node.
    pub(super) fn best_in_full(&self) -> Option<Best> {
        self.best_of_orders(|order| {
            let field = ScoringSet::alone(order.feasible(), |row| order.base(row));
            order.best_of(&field, std::iter::once, usize::MAX)
        })
    }

    fn best_of_orders(&self, best_of: impl Fn(&Self) -> Option<Best>) -> Option<Best> {
        let Some(otherwise) = &self.otherwise else {
            return best_of(self);
        };
        match (best_of(self), best_of(otherwise)) {
            (Some(best), Some(other)) if best == other => Some(best),
            (Some(best), Some(other)) => Some(best.or(other)),
            // The scheduler tries again when the pod is gone.
            (best, None) => best,
            (None, Some(other)) => Some(Best { certain: false, ..other }),
        }
    }

    /// The best of these, of which at most so many are named.
    fn best_of<I: Iterator<Item = usize>>(
        &self,
        field: &ScoringSet,
        like: impl Fn(usize) -> I,
        named: usize,
    ) -> Option<Best> {
        let sample = self.sample(&field.classes);
        let winners = sample.map(|sample| self.winners(field, &sample));
        let totals = self.totals(field);
        let node_tree = self.scheduler.snapshot.node_tree();
        let can_win = |row: usize| {
            let zone = node_tree.zone_of[row];
            winners.as_ref().is_none_or(|winners| winners.contains(&zone))
        };
        let scored = || {
            let scored = field.candidates.iter().zip(&totals);
            scored.filter(|((row, _), _)| can_win(*row))
        };
        let highest = *scored().map(|(_, total)| total).max()?;
        let tied: Vec<(usize, usize)> = scored()
            .filter(|(_, total)| **total == highest)
            .map(|(candidate, _)| candidate)
            .collect();
        let node = |row: usize| &self.scheduler.rows()[row].node;
        let zones: BTreeSet<Option<&Zone>> = match &winners {
            Some(winners) => winners.iter().map(|zone| node_tree.zones[*zone].as_ref()).collect(),
            None => tied.iter().map(|(row, _)| node(*row).zone.as_ref()).collect(),
        };
        let unzoned = zones.contains(&None);
        let certain = zones.len() == 1 && !unzoned;
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
        })
    }

    /// This, and the simulation if the order ends otherwise.
    pub(super) fn orders(&self) -> Vec<&Self> {
        std::iter::once(self).chain(self.otherwise.as_deref()).collect()
    }

    /// Puts a node that changed among those that are like it now.
    fn reclassify(&mut self, row: Option<usize>) {
        let (Some(row), Some(mut node_classes)) = (row, self.node_classes.take()) else { return };
        if node_classes.is_of(self) {
            node_classes.update(self, row);
            self.node_classes = OnceCell::from(node_classes);
        }
    }

    /// What never changes, by row.
    pub(super) fn statics(&self) -> &[NodeStatics] {
        &self.static_filters.statics
    }

    /// Every label of nodes that pods are counted by.
    pub(super) fn topologies(&self) -> impl Iterator<Item = (&Name, &TopologyDomains)> {
        self.spread.topologies().chain(self.neighbours.topologies())
    }

    /// Whether anything is counted on nodes alone.
    pub(super) fn counts_by_node(&self) -> bool {
        self.spread.counts_by_node() || self.neighbours.counts_by_node()
    }

    /// What is counted on the node and shared with no other.
    pub(super) fn own_counts(&self, row: usize) -> impl Iterator<Item = i64> {
        self.spread.own_counts(row).chain(self.neighbours.own_counts(row))
    }

    /// Whether there is room on the node, and the pod's ports and volumes are free there.
    pub(super) fn has_room(&self, row: usize) -> bool {
        self.fits.get(row).fits
            && !self.ports.get(row).copied().unwrap_or(false)
            && !self.overfull.get(row).copied().unwrap_or(false)
            && !self.volumes.get(row).is_some_and(Option::is_some)
    }

    /// What of the nodes other pods see in the same way; none if there is anything that
    /// is this pod's own: ports, volumes, or images that some nodes hold.
    pub(super) fn common(&self) -> Option<(&Arc<StaticFilters>, &Arc<[ResourceFit]>)> {
        let has_own = !self.ports.is_empty()
            || !self.volumes.is_empty()
            || !self.overfull.is_empty()
            || !self.images.is_empty();
        (!has_own).then_some((&self.static_filters, self.fits.shown()))
    }

    /// The nodes whose room is not what the cluster shows.
    pub(super) fn changed_fits(&self) -> impl Iterator<Item = usize> {
        self.fits.changed()
    }

    /// Weighted scores of what the node holds.
    pub(super) fn base(&self, row: usize) -> i64 {
        let weights = &self.scheduler.config.weights;
        self.base_of(self.fits.get(row)) + weights.image_locality * self.image(row)
    }

    /// The same without images, as the cluster shows the node; none if there is no room.
    pub(super) fn base_shown(&self, row: usize) -> Option<i64> {
        let fit = self.fits.shown()[row];
        fit.fits.then(|| self.base_of(fit))
    }

    fn base_of(&self, fit: ResourceFit) -> i64 {
        let weights = &self.scheduler.config.weights;
        weights.least_allocated * fit.least_allocated + weights.balanced_allocation * fit.balanced
    }

    fn image(&self, row: usize) -> i64 {
        self.images.get(row).copied().unwrap_or_default()
    }

    /// Whether no node can take the pod.
    fn is_unschedulable_everywhere(&self) -> bool {
        self.unschedulable_everywhere.is_some() || self.sole_use.failure().is_some()
    }

    /// One node of each kind that can take the pod.
    fn field(&self, node_classes: &NodeClasses) -> ScoringSet {
        if self.is_unschedulable_everywhere() {
            return ScoringSet::default();
        }
        let floors = self.spread.floors();
        node_classes.field(|row| self.is_welcome(&floors, row))
    }

    /// Every node that can take the pod.
    pub(super) fn feasible(&self) -> Candidates {
        if self.is_unschedulable_everywhere() {
            return Candidates::default();
        }
        let floors = self.spread.floors();
        Candidates::alone((0..self.statics().len()).filter(|row| {
            self.statics()[*row].is_open() && self.has_room(*row) && self.is_welcome(&floors, *row)
        }))
    }

    /// Whether no other pod keeps the pod away from the node.
    fn is_welcome(&self, floors: &[i64], row: usize) -> bool {
        self.spread.failure(floors, row).is_none()
            && self.neighbours.failure(self.scheduler, row).is_none()
    }

    /// What these nodes score in all.
    fn totals(&self, field: &ScoringSet) -> Vec<i64> {
        let weights = &self.scheduler.config.weights;
        let classes = &field.classes;
        let mut of_class = vec![0; classes.len()];
        let mut add = |weight: i64, scores: &[i64]| {
            for (total, score) in of_class.iter_mut().zip(scores) {
                *total += weight * score;
            }
        };
        add(weights.taint_toleration, &self.taint_scores(classes));
        add(weights.node_affinity, &self.preference_scores(classes));
        add(weights.pod_topology_spread, &self.spread.scores(classes));
        add(weights.inter_pod_affinity, &self.neighbours.scores(classes));
        field.scored().map(|(class, base)| of_class[class] + base).collect()
    }

    fn taint_scores(&self, feasible: &Candidates) -> Vec<i64> {
        let avoided = feasible.rows().map(|row| i64::from(self.statics()[row].avoided_taints));
        let mut scores: Vec<i64> = avoided.collect();
        normalise_reversed(&mut scores);
        scores
    }

    fn preference_scores(&self, feasible: &Candidates) -> Vec<i64> {
        let preferred = feasible.rows().map(|row| i64::from(self.statics()[row].preference));
        let mut scores: Vec<i64> = preferred.collect();
        normalise(&mut scores);
        scores
    }

    /// What each plugin gives these nodes.
    pub(super) fn scores(&self, feasible: Candidates) -> Scores {
        let weights = &self.scheduler.config.weights;
        let by_row = |score: &dyn Fn(usize) -> i64| feasible.rows().map(score).collect();
        let by_plugin: Vec<(&'static str, Vec<i64>)> = [
            ("TaintToleration", weights.taint_toleration, self.taint_scores(&feasible)),
            ("NodeAffinity", weights.node_affinity, self.preference_scores(&feasible)),
            (
                "NodeResourcesFit",
                weights.least_allocated,
                by_row(&|row| self.fits.get(row).least_allocated),
            ),
            ("PodTopologySpread", weights.pod_topology_spread, self.spread.scores(&feasible)),
            ("InterPodAffinity", weights.inter_pod_affinity, self.neighbours.scores(&feasible)),
            (
                "NodeResourcesBalancedAllocation",
                weights.balanced_allocation,
                by_row(&|row| self.fits.get(row).balanced),
            ),
            ("ImageLocality", weights.image_locality, by_row(&|row| self.image(row))),
        ]
        .into_iter()
        .map(|(plugin, weight, mut scores)| {
            for score in &mut scores {
                *score *= weight;
            }
            (plugin, scores)
        })
        .collect();
        let totals = (0..feasible.len())
            .map(|at| by_plugin.iter().map(|(_, scores)| scores[at]).sum())
            .collect();
        Scores { feasible, by_plugin, totals }
    }
}
