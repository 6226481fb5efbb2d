//! Volumes that tie a workload to one zone.

use std::collections::BTreeSet;

use crate::api::ZONE_LABEL;
use crate::observe::{Cluster, PersistentVolume, Pod, VolumeSource};

use super::check::Check;
use super::workload::Workload;
use super::{Context, Findings};

/// How volumes said before 1.17 in which zone they are.
const OLD_ZONE_LABEL: &str = "failure-domain.beta.kubernetes.io/zone";

pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    let cluster = context.input.index.cluster();
    for (at, workload) in context.workloads() {
        if workload.pods.len() < 2 || context.zones.len() < 2 {
            continue;
        }
        if let Some(zone) = only_zone(cluster, workload) {
            let message = format!(
                "{}: the volumes of all its {} pods can be used in zone {zone} only",
                workload.object.title(),
                workload.pods.len()
            );
            findings.of_workload(Check::VolumesInOneZone, context, at, message);
        }
    }
}

/// The zone in which the volumes of every pod are, if there is one.
fn only_zone(cluster: &Cluster, workload: &Workload<'_>) -> Option<String> {
    let mut only: Option<String> = None;
    for id in &workload.pods {
        let own = zones_of_pod(cluster, cluster.pod(*id)?)?;
        let zone = own.first().filter(|_| own.len() == 1)?;
        if only.as_ref().is_some_and(|only| only != zone) {
            return None;
        }
        only = Some(zone.clone());
    }
    only
}

/// The zones in which all volumes of a pod can be used; none if that is anywhere.
fn zones_of_pod(cluster: &Cluster, pod: &Pod) -> Option<BTreeSet<String>> {
    let claims = pod.template.volumes.iter().filter_map(|volume| match volume {
        VolumeSource::Claim(claim) => Some(claim.to_string()),
        VolumeSource::Ephemeral(volume) => Some(format!("{}-{volume}", pod.name)),
        VolumeSource::EmptyDir | VolumeSource::HostPath => None,
    });
    let volumes = claims.filter_map(|claim| {
        let claim = cluster.claim(&pod.namespace, &claim)?;
        zones_of_volume(cluster, cluster.volume(claim.volume.as_ref()?)?)
    });
    volumes.reduce(|one, other| &one & &other)
}

/// The zones in which a volume can be used; none if that is anywhere.
fn zones_of_volume(cluster: &Cluster, volume: &PersistentVolume) -> Option<BTreeSet<String>> {
    let by_label = [ZONE_LABEL, OLD_ZONE_LABEL].iter().find_map(|key| volume.labels.get(*key));
    if let Some(zones) = by_label {
        return Some(zones.split("__").map(str::to_owned).collect());
    }
    let affinity = volume.node_affinity.as_ref()?;
    let mut zones = BTreeSet::new();
    for (node, _) in cluster.nodes() {
        let Some(zone) = &node.zone else { continue };
        if crate::predict::selects_node(affinity, node) {
            zones.insert(zone.to_string());
        }
    }
    (!zones.is_empty()).then_some(zones)
}
