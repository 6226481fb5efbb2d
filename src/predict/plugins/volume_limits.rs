//! `NodeVolumeLimits`: how many volumes can be attached to a node.
//!
//! Follows `pkg/scheduler/framework/plugins/nodevolumelimits/csi.go` (1.33 to 1.37). Since
//! 1.37 (`VolumeLimitScaling`) a driver may keep pods from nodes that it does not run on.
//! Volumes that are still attached though their pods are gone
//! (`VolumeAttachment`) are not seen, nor are in-tree volumes that a driver has
//! taken over.

use std::collections::BTreeSet;

use crate::observe::{Cluster, Name, VolumeSource};
use crate::predict::prefilter::{Cycle, PodRef};
use crate::predict::scheduler::Scheduler;
use crate::predict::version::SchedulerVersion;

/// A volume: its driver, and what tells it from others.
type Volume = (Name, String);

/// The volumes of the pod that some node limits, and the nodes that would have too many.
#[derive(Debug, Default)]
pub struct NodeVolumeLimits {
    wanted: BTreeSet<Volume>,
    /// By row; empty when no node limits what the pod wants.
    exceeded: Vec<bool>,
    /// By row: a driver is missing that must run there; empty when there is no such driver.
    missing: Vec<bool>,
}

const TOO_MANY: &str = "node(s) exceed max volume count";
const NOT_INSTALLED: &str = "CSI driver is not installed on the node";

impl NodeVolumeLimits {
    /// Counts the volumes on all nodes.
    pub fn pre_filter(cycle: &Cycle<'_>) -> Self {
        let cluster = cycle.scheduler.cluster;
        let limits = |driver: &Name| {
            let mut nodes = cycle.scheduler.rows().iter();
            nodes.any(|row| limit(cluster, &row.node.name, driver).is_some())
        };
        let mut wanted = volumes_of(cluster, PodRef::from(&cycle.pod));
        let missing = missing_drivers(cycle, &wanted);
        wanted.retain(|(driver, _)| limits(driver));
        let mut state = Self { wanted, exceeded: Vec::new(), missing };
        if !state.wanted.is_empty() {
            state.exceeded = cycle.rows().map(|row| state.is_exceeded(cycle, row)).collect();
        }
        state
    }

    /// Pods came to the node, or left it: they may share volumes.
    pub fn recount(&mut self, cycle: &Cycle<'_>, row: usize) {
        if row < self.exceeded.len() {
            self.exceeded[row] = self.is_exceeded(cycle, row);
        }
    }

    /// Whether no node limits what the pod wants.
    pub fn is_skipped(&self) -> bool {
        self.exceeded.is_empty() && self.missing.is_empty()
    }

    /// Why the plugin rejects the node, if it does.
    pub fn filter(&self, row: usize) -> Option<&'static str> {
        let is = |rows: &[bool]| rows.get(row).copied().unwrap_or(false);
        if is(&self.missing) {
            return Some(NOT_INSTALLED);
        }
        is(&self.exceeded).then_some(TOO_MANY)
    }

    /// Whether the node would have too many volumes with the pod.
    fn is_exceeded(&self, cycle: &Cycle<'_>, row: usize) -> bool {
        let cluster = cycle.scheduler.cluster;
        let node = &cycle.scheduler.rows()[row].node.name;
        let limited =
            self.wanted.iter().filter(|(driver, _)| limit(cluster, node, driver).is_some());
        let limited: BTreeSet<&Volume> = limited.collect();
        if limited.is_empty() {
            return false;
        }
        let attached: BTreeSet<Volume> =
            cycle.pods_on(row).flat_map(|pod| volumes_of(cluster, pod)).collect();
        let drivers: BTreeSet<&Name> = limited.iter().map(|(driver, _)| driver).collect();
        drivers.into_iter().any(|driver| {
            let attached_now = attached.iter().filter(|(known, _)| known == driver).count();
            let more = limited
                .iter()
                .filter(|volume| volume.0 == *driver && !attached.contains(**volume))
                .count();
            let total = i64::try_from(attached_now + more).unwrap_or(i64::MAX);
            more > 0 && limit(cluster, node, driver).is_some_and(|most| total > most)
        })
    }
}

/// The nodes that lack a driver which the pod's volumes need and which must run there.
fn missing_drivers(cycle: &Cycle<'_>, wanted: &BTreeSet<Volume>) -> Vec<bool> {
    let Scheduler { cluster, config, .. } = cycle.scheduler;
    if config.version < SchedulerVersion::V1_37 {
        return Vec::new();
    }
    let must_run = |driver: &&Name| cluster.csi_driver(driver).is_some_and(|known| known.must_run);
    let drivers: BTreeSet<&Name> =
        wanted.iter().map(|(driver, _)| driver).filter(must_run).collect();
    if drivers.is_empty() {
        return Vec::new();
    }
    let nodes = cycle.scheduler.rows().iter();
    let lacks = |node: &str| {
        let there = cluster.csi_node(node);
        drivers.iter().any(|driver| !there.is_some_and(|there| there.runs(driver)))
    };
    nodes.map(|row| lacks(&row.node.name)).collect()
}

fn limit(cluster: &Cluster, node: &str, driver: &str) -> Option<i64> {
    cluster.csi_node(node)?.limit(driver)
}

/// The volumes of a pod that a storage driver attaches.
fn volumes_of(cluster: &Cluster, pod: PodRef<'_>) -> BTreeSet<Volume> {
    let PodRef { namespace, name, template, .. } = pod;
    let mut volumes = BTreeSet::new();
    let mut ephemeral = template.ephemeral_classes.iter();
    for source in &template.volumes {
        match source {
            VolumeSource::Claim(claim) => volumes.extend(volume_of(cluster, namespace, claim)),
            VolumeSource::Ephemeral(volume) => {
                let class = ephemeral.next().and_then(Option::as_ref);
                let made = name
                    .and_then(|name| volume_of(cluster, namespace, &format!("{name}-{volume}")));
                // The claim of a pod that is still to be made has no name yet.
                volumes.extend(made.or_else(|| {
                    let class = match class {
                        Some(class) => cluster.storage_class(class),
                        None => cluster.default_storage_class(),
                    };
                    let driver = class?.provisioner.clone()?;
                    Some((driver, format!("new/{volume}")))
                }));
            }
            VolumeSource::EmptyDir | VolumeSource::HostPath => {}
        }
    }
    volumes
}

fn volume_of(cluster: &Cluster, namespace: &str, claim: &str) -> Option<Volume> {
    let claim = cluster.claim(namespace, claim)?;
    if let Some(volume) = claim.volume.as_deref().and_then(|name| cluster.volume(name)) {
        return volume
            .csi
            .as_ref()
            .map(|(driver, handle)| (Name::clone(driver), handle.to_string()));
    }
    // Not bound yet: the volume will be one of its own.
    let driver = cluster.storage_class(claim.class.as_deref()?)?.provisioner.clone()?;
    Some((driver, format!("{namespace}/{}", claim.name)))
}
