//! `VolumeRestrictions`: claims that one pod only may use.
//!
//! Follows `pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go`
//! (1.37). Disks named in a pod's own spec (`gcePersistentDisk` and the like)
//! are not looked at.

use crate::observe::{Name, Template, VolumeSource};

use crate::predict::in_flight::PendingPod;
use crate::predict::scheduler::Scheduler;
use crate::predict::simulation::FilterFailure;

const IN_USE: &str = "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod \
                      access mode already in-use by another pod";

/// The claims of a pod that no other pod may use, and how many do.
#[derive(Debug, Default)]
pub struct SoleUse {
    namespace: Option<Name>,
    claims: Vec<Name>,
    users: i64,
}

impl SoleUse {
    /// Of the claims of `pod`, those for one pod only. Claims that are made for
    /// the pod itself cannot be another's.
    pub fn of(scheduler: &Scheduler<'_>, pod: &PendingPod) -> Self {
        let claims: Vec<Name> = claims_of(&pod.template)
            .filter(|name| {
                let claim = scheduler.cluster.claim(&pod.namespace, name);
                claim.is_some_and(|claim| claim.sole_use)
            })
            .map(Name::clone)
            .collect();
        let namespace = (!claims.is_empty()).then(|| Name::clone(&pod.namespace));
        Self { namespace, claims, users: 0 }
    }

    /// Whose pods could use them; none when there are no such claims.
    pub fn namespace(&self) -> Option<&Name> {
        self.namespace.as_ref()
    }

    /// So many pods with this template come, or go when negative.
    pub fn count(&mut self, namespace: &str, template: &Template, pods: i64) {
        if self.namespace.as_deref() == Some(namespace)
            && claims_of(template).any(|claim| self.claims.contains(claim))
        {
            self.users += pods;
        }
    }

    /// Why no node can take the pod.
    pub fn failure(&self) -> Option<FilterFailure> {
        (self.users > 0).then(|| FilterFailure::new("VolumeRestrictions", IN_USE))
    }
}

fn claims_of(template: &Template) -> impl Iterator<Item = &Name> {
    template.volumes.iter().filter_map(|volume| match volume {
        VolumeSource::Claim(name) => Some(name),
        _ => None,
    })
}
