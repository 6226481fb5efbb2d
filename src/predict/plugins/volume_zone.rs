//! `VolumeZone`: the zone and region labels of a pod's volumes.
//!
//! Follows `pkg/scheduler/framework/plugins/volumezone/volume_zone.go` (1.33 to 1.37).

use crate::observe::{Labels, PersistentVolume};
use crate::predict::scheduler::Scheduler;

use super::volume_binding::PodVolumes;

/// The nodes that are not where the pod's volumes are.
#[derive(Debug, Default)]
pub struct VolumeZone {
    /// By row; empty when the pod has no volumes that exist.
    elsewhere: Vec<bool>,
}

impl VolumeZone {
    /// Looks at all nodes.
    pub fn pre_filter(scheduler: &Scheduler<'_>, volumes: &PodVolumes<'_>) -> Self {
        if volumes.bound.is_empty() {
            return Self::default();
        }
        let is_elsewhere =
            |labels: &Labels| volumes.bound.iter().any(|volume| !shares_zone(volume, labels));
        let nodes = scheduler.rows().iter();
        Self { elsewhere: nodes.map(|row| is_elsewhere(&row.node.labels)).collect() }
    }

    /// Why the plugin rejects the node, if it does.
    pub fn filter(&self, row: usize) -> Option<&'static str> {
        let elsewhere = self.elsewhere.get(row).copied().unwrap_or(false);
        elsewhere.then_some("node(s) had no available volume zone")
    }
}

/// The labels that tie a volume to zones and regions, and what nodes call them now.
const TOPOLOGY_LABELS: [(&str, &str); 4] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// Whether the node is in the zones and regions of the volume's labels. A node
/// that carries none of these labels is in a cluster of one zone.
fn shares_zone(volume: &PersistentVolume, labels: &Labels) -> bool {
    if !TOPOLOGY_LABELS.iter().any(|(key, _)| labels.contains_key(*key)) {
        return true;
    }
    TOPOLOGY_LABELS.iter().all(|(key, now)| {
        let Some(zones) = volume.labels.get(*key) else {
            return true;
        };
        let mut zones = zones.split("__").map(str::trim);
        // The scheduler ignores a label that it cannot read.
        zones.clone().any(str::is_empty)
            || labels
                .get(*key)
                .or_else(|| labels.get(*now))
                .is_some_and(|has| zones.any(|zone| zone == has))
    })
}
