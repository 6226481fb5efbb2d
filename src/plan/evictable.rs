//! Which pods are never evicted, and why.

use crate::api::LocalStorage;
use crate::observe::{Index, KeepMark, Name, Pod, VolumeSource, WorkloadKind};

use super::settings::TierSettings;

/// Why a pod is not evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvictionBlocker {
    /// It is the only replica of its workload (law 3).
    SingleReplica(String),
    /// No controller that we know would re-create it.
    NotRecreated(String),
    /// An annotation asks to keep it.
    Marked(KeepMark),
    /// The strategy is Surge, and it cannot be replaced before it stops.
    CannotSurge(String),
    /// It has data on its node.
    LocalStorage(String),
    /// It is the only match of another pod's required affinity.
    Needed {
        /// The other pod.
        by: Name,
        /// The topology key: the node label whose value they share.
        near: Name,
    },
}

impl EvictionBlocker {
    /// A message for people, with a remedy.
    #[must_use]
    pub fn message(&self, pod: &Pod) -> String {
        let name = &pod.name;
        match self {
            Self::SingleReplica(workload) => format!(
                "pod {name} is the only replica of {workload}, and a single replica is never evicted: run at least 2 replicas"
            ),
            Self::NotRecreated(why) => format!("pod {name} {why}"),
            Self::Marked(mark) => format!(
                "pod {name} has the annotation {}: remove it to let the pod be moved",
                mark.annotation()
            ),
            Self::CannotSurge(why) => format!(
                "pod {name} cannot be replaced before it stops: {why}; rebalance.strategy: Auto evicts it instead"
            ),
            Self::LocalStorage(what) => format!(
                "pod {name} has data on its node ({what}): whoever can do without the data deletes the pod by hand"
            ),
            Self::Needed { by, near } => format!(
                "pod {by} requires pod {name} nearby (podAffinity, {near}) and it is the only match: run another match there"
            ),
        }
    }
}

/// Why `pod` is not evicted, if so.
#[must_use]
pub fn eviction_blocker(
    index: &Index,
    pod: &Pod,
    settings: &TierSettings,
) -> Option<EvictionBlocker> {
    let not_recreated = |why: &str| Some(EvictionBlocker::NotRecreated(why.to_owned()));
    if pod.mirror {
        return not_recreated(
            "is a static pod of its node, which nothing re-creates elsewhere: narrow spec.selector",
        );
    }
    let Some(owner) = &pod.owner else {
        return not_recreated("has no controller that would re-create it: use a Deployment");
    };
    if let Some(mark) = pod.keep {
        return Some(EvictionBlocker::Marked(mark));
    }
    let Some(kind) = WorkloadKind::parse(&owner.kind) else {
        return Some(EvictionBlocker::NotRecreated(format!(
            "belongs to {} {}: only pods of ReplicaSets and StatefulSets are moved",
            owner.kind, owner.name
        )));
    };
    let Some(workload) = index.workload_of(pod) else {
        return Some(EvictionBlocker::NotRecreated(format!(
            "belongs to {} {}, which does not exist any more: nothing would re-create the pod",
            owner.kind, owner.name
        )));
    };
    if workload.replicas <= 1 {
        let named = workload.owner.as_ref().map_or_else(
            || format!("{} {}", owner.kind, owner.name),
            |owner| format!("{} {}", owner.kind, owner.name),
        );
        return Some(EvictionBlocker::SingleReplica(named));
    }
    let keeps_empty_dirs = match settings.local_storage {
        LocalStorage::Auto => kind == WorkloadKind::StatefulSet,
        LocalStorage::Keep => true,
        LocalStorage::Evict => false,
    };
    for volume in &pod.template.volumes {
        match volume {
            VolumeSource::HostPath => {
                return Some(EvictionBlocker::LocalStorage("a hostPath volume".to_owned()));
            }
            VolumeSource::EmptyDir if keeps_empty_dirs => {
                return Some(EvictionBlocker::LocalStorage(
                    "an emptyDir volume, and rebalance.localStorage: Evict would let it move"
                        .to_owned(),
                ));
            }
            VolumeSource::EmptyDir => {}
            VolumeSource::Claim(_) | VolumeSource::Ephemeral(_) => {
                if let Some(volume) = local_volume(index, pod, volume) {
                    return Some(EvictionBlocker::LocalStorage(format!("local volume {volume}")));
                }
            }
        }
    }
    None
}

/// The local persistent volume behind a claim, if it is one.
fn local_volume(index: &Index, pod: &Pod, source: &VolumeSource) -> Option<String> {
    let claim = match source {
        VolumeSource::Claim(claim) => claim.to_string(),
        VolumeSource::Ephemeral(volume) => format!("{}-{volume}", pod.name),
        VolumeSource::EmptyDir | VolumeSource::HostPath => return None,
    };
    let volume = index.cluster().claim(&pod.namespace, &claim)?.volume.as_ref()?;
    index
        .cluster()
        .volume(volume)
        .filter(|volume| volume.local)
        .map(|volume| volume.name.to_string())
}
