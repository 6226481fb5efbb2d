//! `VolumeBinding` and `VolumeZone`: what ties a pod's volumes to nodes.
//!
//! Follow `pkg/scheduler/framework/plugins/volumebinding/binder.go` and
//! `.../volumezone/volume_zone.go` (1.37). What they cannot know from claims,
//! volumes and classes makes the pod unpredictable: free storage is not watched.

use crate::observe::{Claim, Labels, Node, PersistentVolume, StorageClass, VolumeSource};

use crate::predict::in_flight::PendingPod;
use crate::predict::plugins::node_affinity::selects;
use crate::predict::scheduler::Scheduler;
use crate::predict::simulation::FilterFailure;
use crate::predict::snapshot::NodeRow;

/// What the volumes of a pod ask of a node.
#[derive(Debug, Default)]
pub struct Volumes<'a> {
    /// No node can take the pod.
    pub unschedulable_everywhere: Option<FilterFailure>,
    bound: Vec<&'a PersistentVolume>,
    /// Classes of volumes that are made where the pod lands.
    lazy: Vec<&'a StorageClass>,
}

impl<'a> Volumes<'a> {
    /// The volumes of `pod`.
    ///
    /// # Errors
    /// When it cannot be known where they tie it to, and why.
    pub fn of(scheduler: &Scheduler<'a>, pod: &PendingPod) -> Result<Self, String> {
        let mut volumes = Self::default();
        for source in &pod.template.volumes {
            if let VolumeSource::Claim(name) = source {
                match scheduler.cluster.claim(&pod.namespace, name) {
                    Some(claim) => volumes.add_claim(scheduler, claim)?,
                    None => volumes.give_up(
                        "VolumeRestrictions",
                        format!("persistentvolumeclaim \"{name}\" not found"),
                    ),
                }
            }
        }
        for class in &pod.template.ephemeral_classes {
            let found = match class {
                Some(name) => scheduler.cluster.storage_class(name),
                None => scheduler.cluster.default_storage_class(),
            };
            let class = found.ok_or("an ephemeral volume's storage class is not known")?;
            if !class.waits_for_consumer {
                return Err(format!(
                    "storage class {}: an ephemeral volume is made, somewhere, before the pod is \
                     placed",
                    class.name
                ));
            }
            volumes.add_lazy(scheduler, class)?;
        }
        Ok(volumes)
    }

    fn add_claim(&mut self, scheduler: &Scheduler<'a>, claim: &Claim) -> Result<(), String> {
        if let Some(name) = &claim.volume {
            match scheduler.cluster.volume(name) {
                Some(volume) => self.bound.push(volume),
                None => {
                    self.give_up("VolumeZone", format!("persistentvolume \"{name}\" not found"));
                }
            }
            return Ok(());
        }
        let class = claim.class.as_ref().map(|name| (name, scheduler.cluster.storage_class(name)));
        match class {
            Some((name, None)) => {
                self.give_up("VolumeBinding", format!("storageclass \"{name}\" not found"));
            }
            Some((name, Some(class)))
                if class.waits_for_consumer && class.provisioner.is_none() =>
            {
                return Err(format!(
                    "claim {}: it waits for a volume of class {name} that somebody made by hand",
                    claim.name
                ));
            }
            Some((_, Some(class))) if class.waits_for_consumer => {
                self.add_lazy(scheduler, class)?;
            }
            _ => self.give_up(
                "VolumeBinding",
                "pod has unbound immediate PersistentVolumeClaims".to_owned(),
            ),
        }
        Ok(())
    }

    /// A volume that is made where the pod lands.
    fn add_lazy(
        &mut self,
        scheduler: &Scheduler<'a>,
        class: &'a StorageClass,
    ) -> Result<(), String> {
        let driver =
            class.provisioner.as_deref().and_then(|name| scheduler.cluster.csi_driver(name));
        if let Some(driver) = driver.filter(|driver| driver.tracks_capacity) {
            return Err(format!(
                "storage class {}: a volume is made only where its driver {} has room for it \
                 (CSIStorageCapacity), and that is not watched",
                class.name, driver.name
            ));
        }
        self.lazy.push(class);
        Ok(())
    }

    fn give_up(&mut self, plugin: &'static str, message: String) {
        self.unschedulable_everywhere.get_or_insert_with(|| FilterFailure::new(plugin, message));
    }

    /// Why the volumes cannot be used, by row; empty when nothing ties them.
    pub fn by_row(&self, rows: &[NodeRow]) -> Vec<Option<FilterFailure>> {
        if self.bound.is_empty() && self.lazy.is_empty() {
            return Vec::new();
        }
        rows.iter().map(|row| self.failure(&row.node)).collect()
    }

    /// Why the volumes cannot be used on the node, in the scheduler's words.
    fn failure(&self, node: &Node) -> Option<FilterFailure> {
        let binds = |message| Some(FilterFailure::new("VolumeBinding", message));
        let reachable = |volume: &&PersistentVolume| {
            // The scheduler looks at labels only here, not at the node's name.
            let affinity = volume.node_affinity.as_ref();
            affinity.is_none_or(|selector| selects(selector, &node.labels, None))
        };
        if !self.bound.iter().all(reachable) {
            return binds("node(s) didn't match PersistentVolume's node affinity");
        }
        if !self.lazy.iter().all(|class| allows(class, &node.labels)) {
            return binds("node(s) didn't find available persistent volumes to bind");
        }
        let in_zone = self.bound.iter().all(|volume| shares_zone(volume, &node.labels));
        (!in_zone).then(|| FilterFailure::new("VolumeZone", "node(s) had no available volume zone"))
    }
}

/// `MatchTopologySelectorTerms` in `pkg/apis/core/v1/helper/helpers.go`.
fn allows(class: &StorageClass, labels: &Labels) -> bool {
    class.allowed_topologies.is_empty()
        || class.allowed_topologies.iter().any(|term| {
            let asks = term.match_label_expressions.as_deref().unwrap_or_default();
            !asks.is_empty()
                && asks
                    .iter()
                    .all(|ask| labels.get(&ask.key).is_some_and(|has| ask.values.contains(has)))
        })
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
