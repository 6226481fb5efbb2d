//! What is supposed of a cluster that it does not show: nodes that are lost, pods that left
//! them, and pods that were placed since. It is laid over a cluster that is only borrowed,
//! so that a zone is lost on paper without a copy of 150,000 pods.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::observe::{Cluster, Generation, Name, Node, PodId, PodSet};

use super::cache::Shared;
use super::in_flight::{InFlightPods, PendingPod};
use super::plugins::node_resources::Usage;
use super::prefilter::PodRef;
use super::snapshot::{NodeRow, Snapshot};

/// What is supposed of a cluster. Good for that cluster as long as its nodes stay as they are.
/// Pods that were placed are not pushed out by others: those of higher priority come first.
#[derive(Debug)]
pub struct Supposition {
    snapshot: Arc<Snapshot>,
    shared: Arc<Shared>,
    /// Pods that terminate: they no longer count for spreading.
    leaving: PodSet,
    /// Pods that others pushed out.
    pushed_out: FxHashSet<PodId>,
    /// Pods that waited for a node and have one.
    bound: FxHashSet<PodId>,
    placed: Vec<PlacedPods>,
    /// Their places in `placed`.
    of_namespace: FxHashMap<Name, Vec<u32>>,
    of_row: FxHashMap<usize, Vec<u32>>,
    /// Those with affinity or anti-affinity to pods.
    with_terms: Vec<u32>,
    /// What they ask for, by row.
    added: FxHashMap<usize, Usage>,
    /// The rows that changed, the oldest first.
    changes: VecDeque<(Generation, u32)>,
    /// The newest change that is no longer kept.
    forgotten: Generation,
    /// The pods of the cluster when it was last looked at.
    pods: Generation,
}

/// Pods that are alike and were placed; good for clusters with the same nodes.
#[derive(Debug)]
pub struct PlacedPods {
    /// Whose they are, by whatever the one who placed them tells workloads apart.
    tag: u64,
    pod: PendingPod,
    pub(super) rows: Box<[u32]>,
}

impl PlacedPods {
    /// Whose they are.
    #[must_use]
    pub const fn tag(&self) -> u64 {
        self.tag
    }

    /// One of them.
    pub(super) fn pod(&self) -> PodRef<'_> {
        PodRef::from(&self.pod)
    }

    /// Their nodes.
    pub(super) fn rows(&self) -> Vec<usize> {
        self.rows.iter().map(|row| *row as usize).collect()
    }
}

impl Supposition {
    /// The cluster's nodes are as `seen` says, or are not there.
    #[must_use]
    pub fn new(cluster: &Cluster, seen: impl Fn(&Arc<Node>) -> Option<Arc<Node>>) -> Self {
        let nodes = cluster.nodes_by_slot();
        let rows = nodes.filter_map(|(slot, node)| Some(NodeRow { node: seen(node)?, slot }));
        let snapshot = Arc::new(Snapshot::of(rows.collect(), cluster.slots()));
        let generation = Generation::next();
        Self {
            shared: Arc::new(Shared::of(&snapshot, generation)),
            snapshot,
            leaving: PodSet::default(),
            pushed_out: FxHashSet::default(),
            bound: FxHashSet::default(),
            placed: Vec::new(),
            of_namespace: FxHashMap::default(),
            of_row: FxHashMap::default(),
            with_terms: Vec::new(),
            added: FxHashMap::default(),
            changes: VecDeque::new(),
            forgotten: generation,
            pods: cluster.pods_generation(),
        }
    }

    /// What was kept of the cluster's pods is forgotten if these have changed.
    pub fn sync(&mut self, cluster: &Cluster) {
        if self.pods != cluster.pods_generation() {
            self.pods = cluster.pods_generation();
            self.forgotten = Generation::next();
            self.changes.clear();
            self.shared = Arc::new(Shared::of(&self.snapshot, self.forgotten));
        }
    }

    /// The pod terminates, and nobody on its node lets it go.
    pub fn terminate(&mut self, id: PodId) {
        self.leaving.insert(id);
    }

    /// The moves in flight are made: the pods that they assume are on their nodes, and those
    /// that had to leave for them are gone. `tag` says whose they are.
    pub fn settle(&mut self, cluster: &Cluster, in_flight: &InFlightPods, tag: u64) {
        let mut rows: Vec<u32> = Vec::new();
        let mut first: Option<&PendingPod> = None;
        for (pod, node) in in_flight.assumed() {
            let Some(row) = self.snapshot.row_of(node) else { continue };
            // All that are assumed at once are alike.
            if first.is_some_and(|known| !Arc::ptr_eq(&known.template, &pod.template)) {
                self.place_alike(first, std::mem::take(&mut rows), tag);
            }
            first = Some(pod);
            rows.push(u32::try_from(row).unwrap_or(u32::MAX));
        }
        self.place_alike(first, rows, tag);
        for id in in_flight.evicted().filter(|id| in_flight.is_removed(*id)) {
            let row = cluster.slot_of(id).and_then(|slot| self.snapshot.row_of_slot(slot));
            if let (Some(row), Some(pod)) = (row, cluster.pod(id))
                && self.pushed_out.insert(id)
            {
                self.added.entry(row).or_default().subtract(&pod.template);
                let row = u32::try_from(row).unwrap_or(u32::MAX);
                self.changes.push_back((Generation::next(), row));
                self.renew();
            }
        }
    }

    /// A pod that waited for a node has one.
    pub fn bind(&mut self, id: PodId) {
        self.bound.insert(id);
    }

    fn place_alike(&mut self, pod: Option<&PendingPod>, rows: Vec<u32>, tag: u64) {
        if let Some(pod) = pod {
            self.place(PlacedPods { tag, pod: pod.clone(), rows: rows.into() });
        }
    }

    /// These are on their nodes, and have been before.
    pub fn place(&mut self, placed: PlacedPods) {
        if placed.rows.is_empty() {
            return;
        }
        let PlacedPods { pod, rows, .. } = &placed;
        let number = u32::try_from(self.placed.len()).unwrap_or(u32::MAX);
        self.of_namespace.entry(Name::clone(&pod.namespace)).or_default().push(number);
        if pod.template.has_pod_terms() {
            self.with_terms.push(number);
        }
        for row in rows {
            self.of_row.entry(*row as usize).or_default().push(number);
            self.added.entry(*row as usize).or_default().add(&pod.template);
            self.changes.push_back((Generation::next(), *row));
        }
        self.placed.push(placed);
        self.renew();
    }

    /// Every pod that was placed, for another one with the same nodes.
    #[must_use]
    pub fn into_placed(self) -> Vec<PlacedPods> {
        self.placed
    }

    /// The pods are other ones from now on, on the nodes that were noted last.
    fn renew(&mut self) {
        let Some((generation, _)) = self.changes.back().copied() else { return };
        // With more changes than nodes it is as quick to look at all of them.
        while self.changes.len() > self.snapshot.rows().len().max(1)
            && let Some((forgotten, _)) = self.changes.pop_front()
        {
            self.forgotten = forgotten;
        }
        match Arc::get_mut(&mut self.shared) {
            Some(shared) => shared.renew(generation),
            None => self.shared = Arc::new(self.shared.renewed(generation)),
        }
    }

    pub(super) const fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether a pod no longer counts for spreading.
    pub(super) fn is_leaving(&self, id: PodId) -> bool {
        self.leaving.contains(id) || self.pushed_out.contains(&id)
    }

    /// Whether a pod is not on its node any more.
    pub(super) fn is_gone(&self, id: PodId) -> bool {
        self.pushed_out.contains(&id)
    }

    /// Whether a pod that waited for a node has one.
    pub(super) fn is_bound(&self, id: PodId) -> bool {
        self.bound.contains(&id)
    }

    /// What pods that came to a node ask for, less those that left.
    pub(super) fn added(&self, row: usize) -> Option<&Usage> {
        self.added.get(&row)
    }

    /// Every pod that was placed.
    pub(super) fn placed(&self) -> impl Iterator<Item = &PlacedPods> {
        self.placed.iter()
    }

    /// Those of a namespace.
    pub(super) fn placed_in(&self, namespace: &Name) -> impl Iterator<Item = &PlacedPods> {
        let numbers = self.of_namespace.get(namespace).into_iter().flatten();
        numbers.filter_map(|number| self.placed.get(*number as usize))
    }

    /// Those on a node.
    pub(super) fn placed_on(&self, row: usize) -> impl Iterator<Item = PodRef<'_>> {
        let numbers = self.of_row.get(&row).into_iter().flatten();
        numbers.filter_map(|number| self.placed.get(*number as usize).map(PlacedPods::pod))
    }

    /// The rows on which pods changed after that generation, some of them more than once;
    /// none if that is not known any more.
    pub(super) fn rows_changed_since(
        &self,
        generation: Generation,
    ) -> Option<impl Iterator<Item = usize>> {
        let first = if generation == self.forgotten {
            0
        } else {
            self.changes.binary_search_by_key(&generation, |(changed, _)| *changed).ok()? + 1
        };
        Some(self.changes.range(first..).map(|(_, row)| *row as usize))
    }

    /// Those that care which pods are near them.
    pub(super) fn placed_with_terms(&self) -> impl Iterator<Item = &PlacedPods> {
        self.with_terms.iter().filter_map(|number| self.placed.get(*number as usize))
    }
}
