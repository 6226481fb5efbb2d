//! What the plugins know of one pod that is scheduled, and their answers.

use std::sync::Arc;

use crate::observe::{Labels, Name, Pod};
use crate::predict::classes::node_classes::Candidates;
use crate::predict::classes::static_filters::StaticFilters;
use crate::predict::prefilter::{Cycle, PodRef};
use crate::predict::sampling::bounds::{Range, Scored};
use crate::predict::snapshot::TopologyDomains;

use super::image_locality::ImageLocality;
use super::inter_pod_affinity::InterPodAffinity;
use super::node_ports::NodePorts;
use super::node_resources::Usage;
use super::resource_fits::{ResourceFit, ResourceFits};
use super::topology_spread::PodTopologySpread;
use super::volume_binding::{PodVolumes, VolumeBinding};
use super::volume_limits::NodeVolumeLimits;
use super::volume_restrictions::VolumeRestrictions;
use super::volume_zone::VolumeZone;
use super::{
    FilterFailure, Plugin, Scope, Weights, node_affinity, node_unschedulable, taint_toleration,
};

/// What the plugins know of one pod that is scheduled (kube-scheduler's `CycleState`).
#[derive(Debug)]
pub struct CycleState {
    /// Of `NodeUnschedulable`, `TaintToleration` and `NodeAffinity`.
    pub statics: Arc<StaticFilters>,
    /// Why no node can take the pod, if a `pre_filter` says so.
    pub unschedulable_everywhere: Option<FilterFailure>,
    ports: NodePorts,
    /// Of `NodeResourcesFit` and `NodeResourcesBalancedAllocation`.
    fits: ResourceFits,
    restrictions: VolumeRestrictions,
    limits: NodeVolumeLimits,
    binding: VolumeBinding,
    volume_zone: VolumeZone,
    spread: PodTopologySpread,
    affinity: InterPodAffinity,
    images: ImageLocality,
}

impl CycleState {
    /// Looks at all nodes, and at all pods that matter to the one that is scheduled.
    ///
    /// # Errors
    /// When it cannot be known where the pod lands, and why not, by name.
    pub fn pre_filter(cycle: &Cycle<'_>) -> Result<Self, String> {
        let (scheduler, template) = (cycle.scheduler, &*cycle.pod.template);
        let statics = scheduler.snapshot.static_filters(template);
        if let Some(unreadable) = &statics.unreadable {
            return Err(unreadable.clone());
        }
        let volumes = PodVolumes::of(scheduler, &cycle.pod)?;
        let mut state = Self {
            ports: NodePorts::pre_filter(cycle),
            fits: ResourceFits::pre_filter(cycle),
            restrictions: VolumeRestrictions::pre_filter(cycle),
            limits: NodeVolumeLimits::pre_filter(cycle),
            binding: VolumeBinding::pre_filter(scheduler, &volumes),
            volume_zone: VolumeZone::pre_filter(scheduler, &volumes),
            spread: PodTopologySpread::pre_filter(cycle, &statics)?,
            affinity: InterPodAffinity::pre_filter(cycle),
            images: ImageLocality::pre_score(scheduler, template),
            unschedulable_everywhere: volumes.unschedulable_everywhere,
            statics,
        };
        for (pod, node) in cycle.in_flight.assumed() {
            if let Some(row) = scheduler.row_of(node) {
                state.add_pod(cycle, PodRef::from(pod), row);
            }
        }
        for (id, labels) in cycle.in_flight.released() {
            let is_seen = !cycle.in_flight.is_evicted(id) && cycle.unseen() != Some(id);
            let pod = scheduler.cluster.pod(id).filter(|_| is_seen);
            if let Some((pod, row)) = pod.and_then(|pod| Some((pod, cycle.row_of(pod)?))) {
                state.release(cycle, pod, labels, row);
            }
        }
        Ok(state)
    }

    /// A pod comes to a node.
    pub fn add_pod(&mut self, cycle: &Cycle<'_>, pod: PodRef<'_>, row: usize) {
        self.spread.count_pod(cycle, pod, row, 1);
        self.add_to_node(cycle, pod, row);
    }

    /// A pod is evicted. Until it is gone it holds its place on the node, and other pods
    /// still look at it; it no longer counts for spreading.
    pub fn evict(&mut self, cycle: &Cycle<'_>, pod: &Pod, row: usize) {
        if pod.is_counted() {
            self.spread.count_pod(cycle, PodRef::from(pod), row, -1);
        }
        if pod.holds_place() && cycle.pod.outlives(pod, cycle.order) {
            self.remove_from_node(cycle, PodRef::from(pod), row);
        }
    }

    /// A pod is not evicted after all: undoes [`Self::evict`].
    pub fn undo_evict(&mut self, cycle: &Cycle<'_>, pod: &Pod, row: usize) {
        if pod.is_counted() {
            self.spread.count_pod(cycle, PodRef::from(pod), row, 1);
        }
        if pod.holds_place() && cycle.pod.outlives(pod, cycle.order) {
            self.add_to_node(cycle, PodRef::from(pod), row);
        }
    }

    /// An evicted pod is gone, as far as that is not counted yet: see [`Self::evict`].
    pub fn remove(&mut self, cycle: &Cycle<'_>, pod: &Pod, row: usize) {
        if pod.holds_place() && !cycle.pod.outlives(pod, cycle.order) {
            self.remove_from_node(cycle, PodRef::from(pod), row);
        }
    }

    /// A pod makes room: it is gone.
    pub fn preempt(&mut self, cycle: &Cycle<'_>, pod: &Pod, row: usize) {
        if pod.is_counted() {
            self.spread.count_pod(cycle, PodRef::from(pod), row, -1);
        }
        self.remove_from_node(cycle, PodRef::from(pod), row);
    }

    /// What is on the node.
    pub fn usage(&self, cycle: &Cycle<'_>, row: usize) -> Usage {
        self.fits.usage(cycle.scheduler, row)
    }

    /// A pod is released: it stays, and others look at it by its new labels from now on.
    pub fn release(&mut self, cycle: &Cycle<'_>, pod: &Pod, released: &Labels, row: usize) {
        self.relabel(cycle, pod, (&pod.labels, released), row);
    }

    /// A pod is not released after all: undoes [`Self::release`].
    pub fn undo_release(&mut self, cycle: &Cycle<'_>, pod: &Pod, released: &Labels, row: usize) {
        self.relabel(cycle, pod, (released, &pod.labels), row);
    }

    fn relabel(
        &mut self,
        cycle: &Cycle<'_>,
        pod: &Pod,
        (from, to): (&Labels, &Labels),
        row: usize,
    ) {
        for (labels, amount) in [(from, -1), (to, 1)] {
            let pod_ref = PodRef { labels, ..PodRef::from(pod) };
            if pod.is_counted() {
                self.spread.count_pod(cycle, pod_ref, row, amount);
            }
            if pod.holds_place() {
                self.affinity.count_pod(cycle, pod_ref, row, amount);
            }
        }
    }

    fn add_to_node(&mut self, cycle: &Cycle<'_>, pod: PodRef<'_>, row: usize) {
        self.ports.add_pod(cycle, pod, row);
        self.fits.add_pod(cycle, pod, row);
        self.restrictions.count(cycle, pod, 1);
        self.limits.recount(cycle, row);
        self.affinity.count_pod(cycle, pod, row, 1);
    }

    fn remove_from_node(&mut self, cycle: &Cycle<'_>, pod: PodRef<'_>, row: usize) {
        self.ports.remove_pod(cycle, row);
        self.fits.remove_pod(cycle, pod, row);
        self.restrictions.count(cycle, pod, -1);
        self.limits.recount(cycle, row);
        self.affinity.count_pod(cycle, pod, row, -1);
    }

    /// Why the plugin rejects the node, if it does; for some only roughly.
    pub fn filter(&self, cycle: &Cycle<'_>, plugin: Plugin, row: usize) -> Option<&'static str> {
        match plugin {
            Plugin::NodeUnschedulable => node_unschedulable::filter(self.statics.nodes[row]),
            Plugin::TaintToleration => taint_toleration::filter(self.statics.nodes[row]),
            Plugin::NodeAffinity => node_affinity::filter(self.statics.nodes[row]),
            Plugin::NodePorts => self.ports.filter(row),
            Plugin::NodeResourcesFit => self.fits.filter(row),
            Plugin::VolumeRestrictions => self.restrictions.filter(),
            Plugin::NodeVolumeLimits => self.limits.filter(row),
            Plugin::VolumeBinding => self.binding.filter(row),
            Plugin::VolumeZone => self.volume_zone.filter(row),
            Plugin::PodTopologySpread => self.spread.filter(row),
            Plugin::InterPodAffinity => self.affinity.filter(cycle.scheduler, row),
            Plugin::NodeResourcesBalancedAllocation | Plugin::ImageLocality => None,
        }
    }

    /// No filter after this one rejects any node.
    pub fn last_filter(&self) -> Plugin {
        if self.affinity.is_skipped() {
            Plugin::PodTopologySpread
        } else {
            Plugin::InterPodAffinity
        }
    }

    /// The same exactly, for a human: takes longer.
    pub fn failure(&self, cycle: &Cycle<'_>, plugin: Plugin, row: usize) -> Option<FilterFailure> {
        let words = self.filter(cycle, plugin, row)?;
        let node = &cycle.scheduler.rows()[row].node;
        let details = match plugin {
            Plugin::TaintToleration => taint_toleration::details(&cycle.pod.template, node),
            Plugin::NodeResourcesFit => Some(self.fits.details(cycle, row)),
            _ => None,
        };
        Some(match details {
            Some(details) => FilterFailure::new(plugin, details),
            None => FilterFailure::new(plugin, words),
        })
    }

    /// What the plugin gives the candidates, not weighted; nothing if it has no score.
    pub fn score(&self, plugin: Plugin, candidates: &Candidates, scored: Scored<'_>) -> Vec<Range> {
        match plugin {
            Plugin::TaintToleration => taint_toleration::score(&self.statics, candidates, scored),
            Plugin::NodeAffinity => node_affinity::score(&self.statics, candidates, scored),
            Plugin::PodTopologySpread => self.spread.score(candidates, scored),
            Plugin::InterPodAffinity => self.affinity.score(candidates, scored),
            _ => candidates
                .rows()
                .map(|row| {
                    let score = self.node_score(plugin, self.fits.get(row), row);
                    (score, score)
                })
                .collect(),
        }
    }

    /// What a plugin gives a node for what it holds, whatever other nodes there are.
    fn node_score(&self, plugin: Plugin, fit: ResourceFit, row: usize) -> i64 {
        match plugin {
            Plugin::NodeResourcesFit => fit.least_allocated,
            Plugin::NodeResourcesBalancedAllocation => fit.balanced,
            Plugin::ImageLocality => self.images.score(row),
            _ => 0,
        }
    }

    /// Weighted scores of what the node holds.
    pub fn base(&self, weights: &Weights, row: usize) -> i64 {
        self.base_of(weights, self.fits.get(row), row)
    }

    /// The same as the cluster shows the node; none if there is no room.
    pub fn base_shown(&self, weights: &Weights, row: usize) -> Option<i64> {
        let fit = self.fits.shown()[row];
        fit.fits.then(|| self.base_of(weights, fit, row))
    }

    fn base_of(&self, weights: &Weights, fit: ResourceFit, row: usize) -> i64 {
        let plugins = Plugin::scores(Scope::Node).iter();
        plugins.map(|plugin| weights.of(*plugin) * self.node_score(*plugin, fit, row)).sum()
    }
}

/// What tells nodes apart: see [`crate::predict::classes::node_classes`].
impl CycleState {
    /// Every label of nodes that pods are counted by.
    pub fn topologies(&self) -> impl Iterator<Item = (&Name, &TopologyDomains)> {
        self.spread.topologies().chain(self.affinity.topologies())
    }

    /// Whether anything is counted on nodes alone.
    pub fn counts_by_node(&self) -> bool {
        self.spread.counts_by_node() || self.affinity.counts_by_node()
    }

    /// What is counted on the node and shared with no other.
    pub fn own_counts(&self, row: usize) -> impl Iterator<Item = i64> {
        self.spread.own_counts(row).chain(self.affinity.own_counts(row))
    }

    /// The nodes' room as the cluster shows it, if nothing else is this pod's own: ports,
    /// volumes, or images that some nodes hold. Other pods may see the nodes in the same way.
    pub fn shown_to_others(&self) -> Option<&Arc<[ResourceFit]>> {
        let has_no_own = self.ports.is_skipped()
            && self.limits.is_skipped()
            && self.binding.is_skipped()
            && self.images.is_skipped();
        has_no_own.then(|| self.fits.shown())
    }

    /// The nodes whose room is not what the cluster shows.
    pub fn changed_fits(&self) -> impl Iterator<Item = usize> {
        self.fits.changed()
    }
}
