//! The outlook while it is being made: a little at a time, so that whoever makes it may do
//! something else in between.

use std::collections::{BTreeSet, VecDeque};

use rustc_hash::FxHashMap;

use crate::observe::{Index, Zone};
use crate::predict::SchedulerConfig;

use super::loss::Lost;
use super::placement::{Placements, Recreation};
use super::workloads::Workloads;
use super::{Phase, ZoneOutlook, verdict};

/// An outlook that is being made. The cluster may change meanwhile: then what it says is
/// good for the cluster as it was in one moment or another.
#[derive(Debug)]
pub struct Survey {
    workloads: Workloads,
    /// The zones that are still to be lost, the first of them now.
    zones: VecDeque<Zone>,
    /// Its phases that are over: who is absent, and what became of the others.
    over: Vec<(FxHashMap<usize, usize>, Placements)>,
    now: Option<Recreation>,
}

impl Survey {
    /// Begins to lose each of the zones that nodes are in, or only `zone`.
    #[must_use]
    pub fn begin(index: &Index, only: Option<&Zone>) -> Self {
        let nodes = index.cluster().nodes();
        let zones: BTreeSet<Zone> = nodes.filter_map(|(node, _)| node.zone.clone()).collect();
        let zones = zones.into_iter().filter(|zone| only.is_none_or(|only| only == zone));
        Self {
            workloads: Workloads::of(index),
            zones: zones.collect(),
            over: Vec::new(),
            now: None,
        }
    }

    /// Whether all zones were lost.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.zones.is_empty()
    }

    /// Does the next bit, which takes about as long as a plan for one tier; gives a zone's
    /// outlook when it is made.
    pub fn step(&mut self, index: &Index, config: &SchedulerConfig) -> Option<ZoneOutlook> {
        let zone = self.zones.front()?;
        let cluster = index.cluster();
        let Some(recreation) = &mut self.now else {
            let phase = [Phase::Unreachable, Phase::Gone].get(self.over.len()).copied();
            let Some(phase) = phase else { return self.judge(index) };
            self.now = Some(Recreation::of(Lost::of(cluster, &self.workloads, zone, phase)));
            return None;
        };
        if !recreation.step(cluster, config) {
            self.over.extend(self.now.take().map(Recreation::end));
        }
        None
    }

    fn judge(&mut self, index: &Index) -> Option<ZoneOutlook> {
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
            verdict::judge(index.cluster(), workload, &zone, outcomes, placed)
        });
        let tiers = tiers.collect();
        let missing = phases.iter().map(|(_, placements)| placements.missing());
        let missing = missing.max_by_key(|missing| missing.pods).unwrap_or_default();
        Some(ZoneOutlook { zone, tiers, missing })
    }
}
