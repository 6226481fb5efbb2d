//! The outlook while it is being made: a little at a time, so that whoever makes it may do
//! something else in between. Where the pods went is kept, so that a change of one tier does
//! not cost an outlook of all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::observe::{Cluster, Index, Name, PolicyKey, Tier, Zone};
use crate::predict::{PlacedPods, SchedulerConfig};

use super::loss::Lost;
use super::placement::{Placements, Recreation};
use super::workloads::Workloads;
use super::{Phase, ZoneOutlook, verdict};

/// The phases of an outage, in their order.
const PHASES: [Phase; 2] = [Phase::Unreachable, Phase::Gone];

/// Where the pods of each zone went in an outlook of all; good as long as the cluster has the
/// same nodes.
#[derive(Debug, Default)]
pub struct KeptPlaces {
    /// What tells these nodes from others.
    nodes: u64,
    /// By zone and phase.
    zones: BTreeMap<Zone, [Vec<PlacedPods>; 2]>,
}

impl KeptPlaces {
    /// Whether they are good for the cluster as it is now.
    #[must_use]
    pub fn is_of(&self, cluster: &Cluster) -> bool {
        self.nodes == fingerprint(cluster)
    }
}

/// What tells the nodes of this cluster from others: their names and zones.
fn fingerprint(cluster: &Cluster) -> u64 {
    let mut hasher = FxBuildHasher.build_hasher();
    for (node, _) in cluster.nodes() {
        hasher.write(node.name.as_bytes());
        hasher.write(node.zone.as_ref().map_or("", Zone::as_str).as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

/// What tells the pods of a tier, as far as an outlook looks at them, from what they were or
/// will be.
#[must_use]
pub fn tier_fingerprint(cluster: &Cluster, pods: &Tier) -> u64 {
    // In whichever order they are.
    pods.iter().fold(pods.len() as u64, |sum, id| {
        let Some(pod) = cluster.pod(*id) else { return sum };
        let template = Arc::as_ptr(&pod.template).addr();
        let labels = Arc::as_ptr(&pod.labels).addr();
        let state = (pod.phase, pod.terminating, pod.ready_since.is_some());
        let key = (*id, cluster.slot_of(*id), template, labels, state);
        sum.wrapping_add(FxBuildHasher.hash_one(key))
    })
}

/// An outlook that is being made. The cluster may change meanwhile: then what it says is
/// good for the cluster as it was in one moment or another.
#[derive(Debug)]
pub struct Survey {
    workloads: Workloads,
    /// Whether it is only of some tiers: all else is where it was.
    is_partial: bool,
    /// The zones that are still to be lost, the first of them now.
    zones: VecDeque<Zone>,
    /// Its phases that are over: who is absent, and what became of the others.
    over: Vec<(FxHashMap<usize, usize>, Placements)>,
    now: Option<Recreation>,
    kept: KeptPlaces,
}

impl Survey {
    /// Begins to lose each of the zones that nodes are in, or only `zone`.
    #[must_use]
    pub fn begin(index: &Index, only: Option<&Zone>) -> Self {
        Self::over(index.cluster(), Workloads::of(index), only)
    }

    /// The same, for the pods of these workloads.
    pub(super) fn over(cluster: &Cluster, workloads: Workloads, only: Option<&Zone>) -> Self {
        let zones: BTreeSet<Zone> =
            cluster.nodes().filter_map(|(node, _)| node.zone.clone()).collect();
        let zones = zones.into_iter().filter(|zone| only.is_none_or(|only| only == zone));
        Self {
            workloads,
            is_partial: false,
            zones: zones.collect(),
            over: Vec::new(),
            now: None,
            kept: KeptPlaces { nodes: fingerprint(cluster), zones: BTreeMap::new() },
        }
    }

    /// Begins to lose each zone once more for some tiers only: the pods of all others go where
    /// they went before. What is kept must be of this cluster.
    #[must_use]
    pub fn again(
        index: &Index,
        kept: KeptPlaces,
        is_changed: impl Fn(&PolicyKey, &Name) -> bool,
    ) -> Self {
        Self {
            workloads: Workloads::of_tiers(index, is_changed),
            is_partial: true,
            zones: kept.zones.keys().cloned().collect(),
            over: Vec::new(),
            now: None,
            kept,
        }
    }

    /// Whether all zones were lost.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.zones.is_empty()
    }

    /// Whether it is only of some tiers.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Where the pods went.
    #[must_use]
    pub fn into_kept(self) -> KeptPlaces {
        self.kept
    }

    /// Does the next bit, which takes about as long as a plan for one tier; gives a zone's
    /// outlook when it is made.
    pub fn step(&mut self, index: &Index, config: &SchedulerConfig) -> Option<ZoneOutlook> {
        self.step_on(index.cluster(), config)
    }

    /// The same, in this cluster.
    pub(super) fn step_on(
        &mut self,
        cluster: &Cluster,
        config: &SchedulerConfig,
    ) -> Option<ZoneOutlook> {
        let zone = self.zones.front()?;
        let at = self.over.len();
        let Some(recreation) = &mut self.now else {
            let Some(phase) = PHASES.get(at) else { return self.judge(cluster) };
            let mut lost = Lost::of(cluster, &self.workloads, zone, *phase);
            if self.is_partial {
                let own: BTreeSet<u64> =
                    self.workloads.iter().map(|(at, _)| self.workloads.tag(at)).collect();
                let kept = self.kept.zones.get_mut(zone).map(|phases| &mut phases[at]);
                let mut kept = kept.map(std::mem::take).unwrap_or_default();
                kept.retain(|placed| !own.contains(&placed.tag()));
                lost.keep(cluster, &self.workloads, kept);
            }
            self.now = Some(Recreation::of(lost));
            return None;
        };
        if !recreation.step(cluster, config, &self.workloads)
            && let Some((absent, placements, placed)) = self.now.take().map(Recreation::end)
        {
            self.kept.zones.entry(zone.clone()).or_default()[at] = placed;
            self.over.push((absent, placements));
        }
        None
    }

    fn judge(&mut self, cluster: &Cluster) -> Option<ZoneOutlook> {
        let zone = self.zones.pop_front()?;
        let mut over = std::mem::take(&mut self.over).into_iter();
        let phases = [over.next()?, over.next()?];
        let tiers = self.workloads.iter().map(|(at, workload)| {
            let surviving = workload.elsewhere(&zone);
            let [unreachable, gone] = phases.each_ref();
            let outcomes = [unreachable, gone].map(|(absent, placements)| {
                placements.outcome(at, &surviving, absent.get(&at).copied().unwrap_or_default())
            });
            let placed = [unreachable, gone].map(|(_, placements)| placements.of_workload(at));
            verdict::judge(cluster, workload, &zone, outcomes, placed)
        });
        let tiers = tiers.collect();
        let missing = phases.iter().map(|(_, placements)| placements.missing());
        let missing = missing.max_by_key(|missing| missing.pods).unwrap_or_default();
        Some(ZoneOutlook { zone, tiers, missing })
    }
}
