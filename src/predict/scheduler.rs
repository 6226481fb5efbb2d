//! The scheduler's view of the cluster, shared by all pods to be placed.

use std::sync::{Arc, LazyLock};

use crate::observe::{Cluster, Generation, Name, NodeEntry, Pod, PodId, Zone};

use super::cache::{SchedulerCache, Shared};
use super::config::SchedulerConfig;
use super::in_flight::{InFlightPods, PendingPod};
use super::plugins::node_resources::Usage;
use super::snapshot::{NodeRow, Snapshot, TopologyDomains};
use super::supposition::Supposition;
use super::version::SchedulerVersion;
use super::{Landing, Prediction};

/// kube-scheduler, looking at a cluster.
#[derive(Debug)]
pub struct Scheduler<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) config: &'a SchedulerConfig,
    pub(super) shared: Arc<Shared>,
    pub(super) snapshot: Arc<Snapshot>,
    /// What is supposed of the cluster, if anything is.
    pub(super) supposed: Option<&'a Supposition>,
}

static NOTHING: LazyLock<NodeEntry> = LazyLock::new(NodeEntry::default);

impl<'a> Scheduler<'a> {
    /// The scheduler of this cluster, configured as the cache says.
    #[must_use]
    pub fn new(cluster: &'a Cluster, cache: &'a SchedulerCache) -> Self {
        let shared = cache.current(cluster);
        let snapshot = Arc::clone(shared.snapshot(cluster));
        Self { cluster, config: cache.config(), shared, snapshot, supposed: None }
    }

    /// The scheduler of this cluster, if what is supposed of it were so.
    #[must_use]
    pub fn supposing(
        cluster: &'a Cluster,
        config: &'a SchedulerConfig,
        supposition: &'a Supposition,
    ) -> Self {
        let shared = Arc::clone(supposition.shared());
        let snapshot = Arc::clone(supposition.snapshot());
        Self { cluster, config, shared, snapshot, supposed: Some(supposition) }
    }

    /// Its minor version.
    #[must_use]
    pub const fn version(&self) -> SchedulerVersion {
        self.config.version
    }

    /// Where `pod` would land, if it were created now, after the moves in flight.
    #[must_use]
    pub fn predict(&self, in_flight: &InFlightPods, pod: &PendingPod) -> Prediction {
        match self.simulate(in_flight, pod) {
            Ok(simulation) => match simulation.explain() {
                Prediction::Lands(landing) => Prediction::Lands(Landing {
                    zone_probability: simulation.zone_probability(),
                    ..landing
                }),
                other => other,
            },
            Err(reason) => Prediction::Unpredictable(reason),
        }
    }

    /// The zones that have nodes, by name.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.snapshot.zones()
    }

    /// The nodes, by name.
    pub(super) fn rows(&self) -> &[NodeRow] {
        self.snapshot.rows()
    }

    /// What is on a node.
    pub(super) fn entry(&self, row: usize) -> &NodeEntry {
        self.cluster.entry(self.rows()[row].slot).unwrap_or(&NOTHING)
    }

    /// What the pods on a node ask for.
    pub(super) fn usage(&self, row: usize) -> Usage {
        let mut usage = Usage::of(self.version(), self.entry(row));
        if let Some(added) = self.supposed.and_then(|supposed| supposed.added(row)) {
            usage.combine(added);
        }
        usage
    }

    /// The rows on which pods changed after that generation of pods, some of them more than
    /// once; none if that is not known any more.
    pub(super) fn rows_changed_since(&self, generation: Generation) -> Option<Vec<usize>> {
        if let Some(supposed) = self.supposed {
            return Some(supposed.rows_changed_since(generation)?.collect());
        }
        let slots = self.cluster.slots_changed_since(generation)?;
        Some(slots.filter_map(|slot| self.snapshot.row_of_slot(slot)).collect())
    }

    /// Pods that wait for a certain node and have none, and that node.
    pub(super) fn reserved(&self) -> impl Iterator<Item = (PodId, &'a Pod, &'a Name)> {
        let supposed = self.supposed;
        let reserved = self.cluster.reserved();
        reserved.filter(move |(id, ..)| supposed.is_none_or(|supposed| !supposed.is_bound(*id)))
    }

    /// Whether a pod of the cluster is supposed to count for spreading no more.
    pub(super) fn is_leaving(&self, id: PodId) -> bool {
        self.supposed.is_some_and(|supposed| supposed.is_leaving(id))
    }

    /// Whether a pod of the cluster is supposed to be gone from its node.
    pub(super) fn is_gone(&self, id: PodId) -> bool {
        self.supposed.is_some_and(|supposed| supposed.is_gone(id))
    }

    /// Pods of negative priority, and the rows of their nodes.
    pub(super) fn expendable(&self) -> &[(PodId, usize)] {
        self.shared.expendable(self.cluster)
    }

    /// See [`PendingPod::replacing`].
    #[must_use]
    pub fn replacing(&self, pod: &Pod) -> PendingPod {
        PendingPod::replacing(self.cluster, pod)
    }

    /// The row of a node, if it is known.
    pub(super) fn row_of(&self, node: &str) -> Option<usize> {
        self.snapshot.row_of(node)
    }

    /// The row of the node on which a pod holds a place.
    pub(super) fn row_of_pod(&self, pod: PodId) -> Option<usize> {
        self.snapshot.row_of_slot(self.cluster.slot_of(pod)?)
    }

    /// The values of a node label.
    pub(super) fn topology(&self, key: &Name) -> Arc<TopologyDomains> {
        self.snapshot.topology(key)
    }
}
