//! `VolumeBinding`: what ties a pod's volumes to nodes.
//!
//! Follows `pkg/scheduler/framework/plugins/volumebinding/binder.go` (1.33 to 1.37). What it
//! cannot know from claims, volumes and classes makes the pod unpredictable: free storage
//! is not watched.

use crate::observe::{Claim, Labels, Node, PersistentVolume, StorageClass, VolumeSource};
use crate::predict::in_flight::PendingPod;
use crate::predict::scheduler::Scheduler;

use super::node_affinity::selects;
use super::{FilterFailure, Plugin};

/// The volumes of a pod, as far as they tie it to nodes.
#[derive(Debug, Default)]
pub struct PodVolumes<'a> {
    /// No node can take the pod.
    pub unschedulable_everywhere: Option<FilterFailure>,
    /// Those that exist.
    pub bound: Vec<&'a PersistentVolume>,
    /// Classes of volumes that are made where the pod lands.
    lazy: Vec<&'a StorageClass>,
}

impl<'a> PodVolumes<'a> {
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
                        Plugin::VolumeRestrictions,
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
                    self.give_up(
                        Plugin::VolumeZone,
                        format!("persistentvolume \"{name}\" not found"),
                    );
                }
            }
            return Ok(());
        }
        let class = claim.class.as_ref().map(|name| (name, scheduler.cluster.storage_class(name)));
        match class {
            Some((name, None)) => {
                self.give_up(Plugin::VolumeBinding, format!("storageclass \"{name}\" not found"));
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
                Plugin::VolumeBinding,
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

    fn give_up(&mut self, plugin: Plugin, message: String) {
        self.unschedulable_everywhere.get_or_insert_with(|| FilterFailure::new(plugin, message));
    }
}

/// What the plugin says of each node.
#[derive(Debug, Default)]
pub struct VolumeBinding {
    /// By row; empty when nothing ties the pod's volumes.
    failures: Vec<Option<&'static str>>,
}

impl VolumeBinding {
    /// Looks at all nodes.
    pub fn pre_filter(scheduler: &Scheduler<'_>, volumes: &PodVolumes<'_>) -> Self {
        if volumes.bound.is_empty() && volumes.lazy.is_empty() {
            return Self::default();
        }
        let nodes = scheduler.rows().iter();
        Self { failures: nodes.map(|row| failure(volumes, &row.node)).collect() }
    }

    /// Whether nothing ties the pod's volumes.
    pub fn is_skipped(&self) -> bool {
        self.failures.is_empty()
    }

    /// Why the plugin rejects the node, if it does.
    pub fn filter(&self, row: usize) -> Option<&'static str> {
        self.failures.get(row).copied().flatten()
    }
}

fn failure(volumes: &PodVolumes<'_>, node: &Node) -> Option<&'static str> {
    let reachable = |volume: &&PersistentVolume| {
        // The scheduler looks at labels only here, not at the node's name.
        let affinity = volume.node_affinity.as_ref();
        affinity.is_none_or(|selector| selects(selector, &node.labels, None))
    };
    if !volumes.bound.iter().all(reachable) {
        return Some("node(s) didn't match PersistentVolume's node affinity");
    }
    let allowed = volumes.lazy.iter().all(|class| allows(class, &node.labels));
    (!allowed).then_some("node(s) didn't find available persistent volumes to bind")
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
