//! One pod to be placed: which nodes can take it, and which the scheduler picks.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::observe::{Name, PodId, Zone};

use super::fit::Usage;
use super::ledger::{Ledger, Placement, Race};
use super::neighbours::Neighbours;
use super::scheduler::Scheduler;
use super::score::{normalise, normalise_reversed};
use super::sole_use::SoleUse;
use super::spread::Spread;
use super::volume_limits::VolumeLimits;
use super::volumes::Volumes;
use super::{balance, images, node_affinity, sampling, taints, unpredictable};

/// Where pods like one placement land, kept up to date move by move.
#[derive(Debug)]
pub struct Forecast<'s> {
    pub(super) scheduler: &'s Scheduler<'s>,
    pub(super) pod: Placement,
    pub(super) ledger: Ledger,
    /// How the race is taken to end, and the forecast if it ends otherwise.
    pub(super) race: Race,
    otherwise: Option<Box<Self>>,
    /// What never changes, by row.
    pub(super) fixed: Vec<Fixed>,
    /// Nodes where a host port is taken, by row; empty when the pod wants none.
    pub(super) ports: Vec<bool>,
    /// By row; empty when the pod has no volumes that matter.
    pub(super) volumes: Vec<Option<Obstacle>>,
    /// No node can take the pod.
    pub(super) hopeless: Option<Obstacle>,
    pub(super) sole_use: SoleUse,
    pub(super) volume_limits: VolumeLimits,
    /// Nodes that would have too many volumes, by row; empty when none is limited.
    pub(super) overfull: Vec<bool>,
    pub(super) seats: Vec<Seat>,
    pub(super) spread: Spread,
    pub(super) neighbours: Neighbours,
    images: Vec<i64>,
}

/// Why a node cannot take a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub plugin: &'static str,
    pub message: Cow<'static, str>,
}

impl Obstacle {
    pub(super) fn new(plugin: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { plugin, message: message.into() }
    }
}

/// What a node and a pod are to each other, whoever else is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    /// The node is cordoned, and the pod does not bear it.
    pub cordoned: bool,
    /// The pod bears the node's taints.
    pub tolerated: bool,
    /// The node matches the pod's node selector and required affinity.
    pub matched: bool,
    /// Taints that the pod would rather avoid.
    avoided_taints: i64,
    /// Weights of the node affinity that the node matches.
    preference: i64,
}

/// A node's room for the pod.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub usage: Usage,
    fits: bool,
    least_allocated: i64,
    balanced: i64,
}

/// Scores of the nodes that fit.
pub(super) struct Scores {
    /// Their rows.
    pub feasible: Vec<usize>,
    /// Weighted, by plugin, in the order of `feasible`.
    pub by_plugin: Vec<(&'static str, Vec<i64>)>,
    /// The sums.
    pub totals: Vec<i64>,
}

/// The nodes that tie for best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Best {
    /// The nodes, by name.
    pub nodes: Vec<Name>,
    /// Their zones, each once, by name. A node without a zone adds none.
    pub zones: Vec<Zone>,
    /// Whether the zone is certain, as in [`super::Landing`].
    pub certain: bool,
}

impl Best {
    /// One or the other.
    fn or(self, other: Self) -> Self {
        let certain = self.certain && other.certain && self.zones == other.zones;
        let nodes: BTreeSet<Name> = self.nodes.into_iter().chain(other.nodes).collect();
        let zones: BTreeSet<Zone> = self.zones.into_iter().chain(other.zones).collect();
        Self { nodes: nodes.into_iter().collect(), zones: zones.into_iter().collect(), certain }
    }
}

impl Scheduler<'_> {
    /// Where pods like `pod` land, after what the ledger holds.
    ///
    /// # Errors
    /// When it cannot be known, and why not, by name.
    pub fn for_placement(&self, ledger: &Ledger, pod: &Placement) -> Result<Forecast<'_>, String> {
        Forecast::new(self, ledger, pod)
    }
}

impl<'s> Forecast<'s> {
    fn new(scheduler: &'s Scheduler<'s>, ledger: &Ledger, pod: &Placement) -> Result<Self, String> {
        let mut forecast = Self::with_race(scheduler, ledger, pod, Race::GoneFirst)?;
        if pod.template.vanishes {
            let otherwise = Self::with_race(scheduler, ledger, pod, Race::PlacedFirst)?;
            forecast.otherwise = Some(Box::new(otherwise));
        }
        Ok(forecast)
    }

    fn with_race(
        scheduler: &'s Scheduler<'s>,
        ledger: &Ledger,
        pod: &Placement,
        race: Race,
    ) -> Result<Self, String> {
        let template = &*pod.template;
        let unknown = pod.unknown.clone();
        if let Some(cause) = unknown.or_else(|| unpredictable::cause(&scheduler.config, template)) {
            return Err(cause);
        }
        let rows = &scheduler.rows;
        let fixed: Vec<Fixed> = rows
            .iter()
            .map(|row| Fixed {
                cordoned: taints::cordoned(template, row.node),
                tolerated: taints::tolerated(template, row.node),
                matched: node_affinity::matches_required(template, row.node),
                avoided_taints: count(taints::avoided(template, row.node).count()),
                preference: node_affinity::preference(template, row.node),
            })
            .collect();
        let unreadable = rows.iter().zip(&fixed).find_map(|(row, fixed)| {
            let field = row.node.unreadable.as_ref().filter(|_| fixed.is_open())?;
            Some(format!("node {} cannot be read: {field}", row.node.name))
        });
        if let Some(unreadable) = unreadable {
            return Err(unreadable);
        }
        let volumes = Volumes::of(scheduler, pod)?;
        let mut forecast = Self {
            pod: pod.clone(),
            ledger: ledger.clone(),
            race,
            otherwise: None,
            ports: Vec::new(),
            volumes: volumes.by_row(rows),
            hopeless: volumes.hopeless,
            sole_use: SoleUse::of(scheduler, pod),
            volume_limits: VolumeLimits::of(scheduler, pod),
            overfull: Vec::new(),
            seats: rows.iter().map(|row| Seat::new(Usage::of(row.entry))).collect(),
            spread: Spread::new(scheduler, pod, &fixed)?,
            neighbours: Neighbours::new(scheduler, pod),
            images: images::scores(scheduler, template),
            fixed,
            scheduler,
        };
        forecast.take_census();
        for row in 0..forecast.seats.len() {
            forecast.reseat(row);
        }
        Ok(forecast)
    }

    /// A pod is evicted: see [`Ledger::evict`].
    pub fn evict(&mut self, id: PodId) {
        if self.ledger.is_leaving(id) {
            return;
        }
        self.ledger.evict(id);
        if let Some(otherwise) = &mut self.otherwise {
            otherwise.evict(id);
        }
        let leaving = self.scheduler.cluster.pod(id);
        if let Some(row) = leaving.and_then(|pod| self.see_off(pod, 1)) {
            self.reseat(row);
        }
    }

    /// A pod is not evicted after all: undoes [`Self::evict`].
    pub fn keep(&mut self, id: PodId) {
        if !self.ledger.is_leaving(id) {
            return;
        }
        self.ledger.keep(id);
        if let Some(otherwise) = &mut self.otherwise {
            otherwise.keep(id);
        }
        let kept = self.scheduler.cluster.pod(id);
        if let Some(row) = kept.and_then(|pod| self.see_off(pod, -1)) {
            self.reseat(row);
        }
    }

    /// A pod is placed on a node: see [`Ledger::place`].
    pub fn place(&mut self, pod: Placement, node: Name) {
        if let Some(row) = self.seat(&pod, &node) {
            self.reseat(row);
        }
        if let Some(otherwise) = &mut self.otherwise {
            otherwise.place(pod.clone(), Name::clone(&node));
        }
        let row = self.scheduler.row_of(&node);
        self.ledger.place(pod, node);
        self.recheck_volume_limits(row);
    }

    /// The moves that this forecast knows of.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Where the pod would land now; none when no node can take it.
    #[must_use]
    pub fn best(&self) -> Option<Best> {
        let Some(otherwise) = &self.otherwise else {
            return self.best_of_race();
        };
        match (self.best_of_race(), otherwise.best_of_race()) {
            (Some(best), Some(other)) if best == other => Some(best),
            (Some(best), Some(other)) => Some(best.or(other)),
            // The scheduler tries again when the pod is gone.
            (best, None) => best,
            (None, Some(other)) => Some(Best { certain: false, ..other }),
        }
    }

    fn best_of_race(&self) -> Option<Best> {
        let scores = self.scores();
        let highest = *scores.totals.iter().max()?;
        let tied: Vec<usize> = scores
            .feasible
            .iter()
            .zip(&scores.totals)
            .filter(|(_, total)| **total == highest)
            .map(|(row, _)| *row)
            .collect();
        let node = |row: &usize| self.scheduler.rows[*row].node;
        let zones: BTreeSet<&Zone> =
            tied.iter().filter_map(|row| node(row).zone.as_ref()).collect();
        let share_zone = zones.len() == 1 && tied.iter().all(|row| node(row).zone.is_some());
        Some(Best {
            nodes: tied.iter().map(|row| Name::clone(&node(row).name)).collect(),
            zones: zones.into_iter().cloned().collect(),
            certain: share_zone && sampling::is_safe(self, &scores),
        })
    }

    /// Computes anew what depends on the usage of a node.
    fn reseat(&mut self, row: usize) {
        let template = &*self.pod.template;
        let node = self.scheduler.rows[row];
        let seat = &mut self.seats[row];
        let usage = &seat.usage;
        seat.fits = usage.shortages(template, node.node, node.entry).next().is_none();
        seat.least_allocated = usage.least_allocated(template, node.node);
        seat.balanced = balance::score(usage, template, node.node);
    }

    fn feasible(&self) -> Vec<usize> {
        if self.hopeless.is_some() || self.sole_use.obstacle().is_some() {
            return Vec::new();
        }
        let floors = self.spread.floors();
        (0..self.seats.len())
            .filter(|row| {
                let row = *row;
                self.fixed[row].is_open()
                    && self.seats[row].fits
                    && !self.ports.get(row).copied().unwrap_or(false)
                    && !self.overfull.get(row).copied().unwrap_or(false)
                    && !self.volumes.get(row).is_some_and(Option::is_some)
                    && self.spread.obstacle(&floors, row).is_none()
                    && self.neighbours.obstacle(self.scheduler, row).is_none()
            })
            .collect()
    }

    /// What each plugin gives the nodes that fit.
    pub(super) fn scores(&self) -> Scores {
        let feasible = self.feasible();
        let weights = &self.scheduler.config.weights;
        let by_row =
            |score: &dyn Fn(usize) -> i64| feasible.iter().map(|row| score(*row)).collect();
        let mut taints: Vec<i64> = by_row(&|row| self.fixed[row].avoided_taints);
        normalise_reversed(&mut taints);
        let mut preferences: Vec<i64> = by_row(&|row| self.fixed[row].preference);
        normalise(&mut preferences);
        let by_plugin: Vec<(&'static str, Vec<i64>)> = [
            ("TaintToleration", weights.taint_toleration, taints),
            ("NodeAffinity", weights.node_affinity, preferences),
            (
                "NodeResourcesFit",
                weights.least_allocated,
                by_row(&|row| self.seats[row].least_allocated),
            ),
            ("PodTopologySpread", weights.pod_topology_spread, self.spread.scores(&feasible)),
            ("InterPodAffinity", weights.inter_pod_affinity, self.neighbours.scores(&feasible)),
            (
                "NodeResourcesBalancedAllocation",
                weights.balanced_allocation,
                by_row(&|row| self.seats[row].balanced),
            ),
            ("ImageLocality", weights.image_locality, by_row(&|row| self.images[row])),
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

impl Fixed {
    /// Whether nothing that never changes keeps the pod away.
    pub(super) fn is_open(self) -> bool {
        !self.cordoned && self.tolerated && self.matched
    }
}

impl Seat {
    fn new(usage: Usage) -> Self {
        Self { usage, fits: false, least_allocated: 0, balanced: 0 }
    }
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
