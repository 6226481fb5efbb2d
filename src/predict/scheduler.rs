//! The scheduler's view of the cluster, shared by all pods to be placed.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use crate::observe::{Cluster, Name, NodeEntry, Pod, PodId};

use super::config::SchedulerConfig;
use super::ledger::Placement;
use super::terrain::{Column, Row, Terrain};

/// kube-scheduler, looking at a cluster.
#[derive(Debug)]
pub struct Scheduler<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) config: Cow<'a, SchedulerConfig>,
    pub(super) terrain: Arc<Terrain>,
}

static NOTHING: LazyLock<NodeEntry> = LazyLock::new(NodeEntry::default);

impl<'a> Scheduler<'a> {
    /// The scheduler of this cluster, as far as its configuration is known.
    #[must_use]
    pub fn new(cluster: &'a Cluster) -> Self {
        let terrain = Arc::clone(cluster.groundwork().terrain(cluster));
        Self { cluster, config: Cow::Borrowed(cluster.scheduler_config()), terrain }
    }

    /// A scheduler with this configuration.
    #[must_use]
    pub fn configured(cluster: &'a Cluster, config: SchedulerConfig) -> Self {
        Self { config: Cow::Owned(config), ..Self::new(cluster) }
    }

    /// The nodes, by name.
    pub(super) fn rows(&self) -> &[Row] {
        self.terrain.rows()
    }

    /// What is on a node.
    pub(super) fn entry(&self, row: usize) -> &NodeEntry {
        self.cluster.entry(self.rows()[row].slot).unwrap_or(&NOTHING)
    }

    /// See [`Placement::replacing`].
    #[must_use]
    pub fn replacing(&self, pod: &Pod) -> Placement {
        Placement::replacing(self.cluster, pod)
    }

    /// The row of a node, if it is known.
    pub(super) fn row_of(&self, node: &str) -> Option<usize> {
        self.terrain.row_of(node)
    }

    /// The row of the node on which a pod holds a place.
    pub(super) fn row_of_seat(&self, pod: PodId) -> Option<usize> {
        self.terrain.row_of_slot(self.cluster.seat_of(pod)?)
    }

    /// The values of a node label.
    pub(super) fn column(&self, key: &Name) -> Arc<Column> {
        self.terrain.column(key)
    }
}
