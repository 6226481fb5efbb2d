//! `VolumeRestrictions`: claims that one pod only may use.
//!
//! Follows `pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go`
//! (1.33 to 1.37). Disks named in a pod's own spec (`gcePersistentDisk` and the like)
//! are not looked at.

use crate::observe::{Name, PodId, Template, VolumeSource};
use crate::predict::prefilter::{Cycle, PodRef};

const IN_USE: &str = "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod \
                      access mode already in-use by another pod";

/// The claims of a pod that no other pod may use, and how many do.
#[derive(Debug, Default)]
pub struct VolumeRestrictions {
    claims: Vec<Name>,
    users: i64,
}

impl VolumeRestrictions {
    /// Counts the users of those claims of the pod that are for one pod only. Claims that
    /// are made for the pod itself cannot be another's.
    pub fn pre_filter(cycle: &Cycle<'_>) -> Self {
        let cluster = cycle.scheduler.cluster;
        let namespace = &cycle.pod.namespace;
        let is_for_one =
            |name: &&Name| cluster.claim(namespace, name).is_some_and(|claim| claim.sole_use);
        let claims = claims_of(&cycle.pod.template).filter(is_for_one).map(Name::clone).collect();
        let mut restrictions = Self { claims, users: 0 };
        if restrictions.claims.is_empty() {
            return restrictions;
        }
        for pods in cluster.pod_classes_in(namespace) {
            // Pods on nodes that are supposed to be gone are gone, too.
            let is_lost = |id: PodId| {
                cycle.scheduler.supposed.is_some() && cycle.scheduler.row_of_pod(id).is_none()
            };
            let present = pods.pods().iter().filter(|id| {
                cluster.pod(**id).is_some_and(|other| !cycle.is_gone(**id, other)) && !is_lost(**id)
            });
            let present = i64::try_from(present.count()).unwrap_or(i64::MAX);
            restrictions.count(cycle, PodRef::from(pods), present);
        }
        let supposed = cycle.scheduler.supposed.into_iter();
        for placed in supposed.flat_map(|supposed| supposed.placed_in(namespace)) {
            let present = i64::try_from(placed.rows.len()).unwrap_or(i64::MAX);
            restrictions.count(cycle, placed.pod(), present);
        }
        restrictions
    }

    /// So many pods like this come, or leave when negative.
    pub fn count(&mut self, cycle: &Cycle<'_>, pod: PodRef<'_>, amount: i64) {
        if !self.claims.is_empty()
            && *pod.namespace == cycle.pod.namespace
            && claims_of(pod.template).any(|claim| self.claims.contains(claim))
        {
            self.users += amount;
        }
    }

    /// Why the plugin rejects every node, if it does.
    pub fn filter(&self) -> Option<&'static str> {
        (self.users > 0).then_some(IN_USE)
    }
}

fn claims_of(template: &Template) -> impl Iterator<Item = &Name> {
    template.volumes.iter().filter_map(|volume| match volume {
        VolumeSource::Claim(name) => Some(name),
        _ => None,
    })
}
