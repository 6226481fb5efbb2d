//! `NodeVolumeLimits`: how many volumes can be attached to a node.
//!
//! Follows `pkg/scheduler/framework/plugins/nodevolumelimits/csi.go` (1.37).
//! Volumes that are still attached though their pods are gone
//! (`VolumeAttachment`) are not seen, nor are in-tree volumes that a driver has
//! taken over.

use std::collections::BTreeSet;

use crate::observe::{Cluster, Name, Template, VolumeSource};

use crate::predict::in_flight::PendingPod;
use crate::predict::scheduler::Scheduler;

/// In the scheduler's words.
pub const EXCEEDED: &str = "node(s) exceed max volume count";

/// A volume: its driver, and what tells it from others.
type Volume = (Name, String);

/// The volumes of the pod to be placed that some node limits.
#[derive(Debug, Default)]
pub struct VolumeLimits {
    wanted: BTreeSet<Volume>,
}

/// A pod on a node, as far as its volumes go.
#[derive(Clone, Copy)]
pub struct Holder<'p> {
    pub namespace: &'p Name,
    pub name: Option<&'p Name>,
    pub template: &'p Template,
}

impl VolumeLimits {
    pub fn of(scheduler: &Scheduler<'_>, pod: &PendingPod) -> Self {
        let cluster = scheduler.cluster;
        let holder =
            Holder { namespace: &pod.namespace, name: pod.name.as_ref(), template: &pod.template };
        let limits = |driver: &Name| {
            let mut nodes = scheduler.rows().iter();
            nodes.any(|row| limit(cluster, &row.node.name, driver).is_some())
        };
        let mut wanted = volumes_of(cluster, holder);
        wanted.retain(|(driver, _)| limits(driver));
        Self { wanted }
    }

    /// Whether any node limits what the pod wants.
    pub fn matter(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Whether the node would have too many volumes with the pod.
    pub fn exceeded<'p>(
        &self,
        cluster: &Cluster,
        node: &str,
        holders: impl Iterator<Item = Holder<'p>>,
    ) -> bool {
        let limited =
            self.wanted.iter().filter(|(driver, _)| limit(cluster, node, driver).is_some());
        let limited: BTreeSet<&Volume> = limited.collect();
        if limited.is_empty() {
            return false;
        }
        let attached: BTreeSet<Volume> =
            holders.flat_map(|holder| volumes_of(cluster, holder)).collect();
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

fn limit(cluster: &Cluster, node: &str, driver: &str) -> Option<i64> {
    cluster.csi_node(node)?.limit(driver)
}

/// The volumes of a pod that a storage driver attaches.
fn volumes_of(cluster: &Cluster, holder: Holder<'_>) -> BTreeSet<Volume> {
    let Holder { namespace, name, template } = holder;
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
