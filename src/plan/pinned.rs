//! Pods that count but do not move, and why.

use crate::api::LocalStorage;
use crate::observe::{Index, KeepMark, Name, Pod, VolumeSource, WorkloadKind};

use super::settings::TierSettings;

/// Why a pod does not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// It is the only replica of its workload (law 3).
    SingleReplica(String),
    /// Nothing would re-create it, or not what we know.
    NotRecreated(String),
    /// A mark asks to keep it.
    Marked(KeepMark),
    /// Its data lives on its node.
    LocalStorage(String),
    /// Another pod must run near one like it, and has no other.
    Needed {
        /// The other pod.
        by: Name,
        /// The node label whose value they share.
        near: Name,
    },
}

impl Pin {
    /// Why, and what would help, for a human.
    #[must_use]
    pub fn message(&self, pod: &Pod) -> String {
        let name = &pod.name;
        match self {
            Self::SingleReplica(workload) => format!(
                "pod {name} is the only replica of {workload}, and a single replica is never evicted: run at least 2"
            ),
            Self::NotRecreated(why) => format!("pod {name} {why}"),
            Self::Marked(mark) => format!(
                "pod {name} is marked {}: remove the annotation to let it move",
                mark.annotation()
            ),
            Self::LocalStorage(what) => format!("pod {name} keeps data on its node ({what})"),
            Self::Needed { by, near } => format!(
                "pod {name} is the only one that pod {by} can run near, which it must (podAffinity by {near}): run another one there"
            ),
        }
    }
}

/// Why `pod` does not move, if it does not.
#[must_use]
pub fn pin_of(index: &Index, pod: &Pod, settings: &TierSettings) -> Option<Pin> {
    let not_recreated = |why: &str| Some(Pin::NotRecreated(why.to_owned()));
    if pod.mirror {
        return not_recreated("is a static pod of its node: it cannot move");
    }
    let Some(owner) = &pod.owner else {
        return not_recreated("has no controller, nothing would re-create it: use a Deployment");
    };
    if let Some(mark) = pod.keep {
        return Some(Pin::Marked(mark));
    }
    let Some(kind) = WorkloadKind::parse(&owner.kind) else {
        return Some(Pin::NotRecreated(format!(
            "belongs to {} {}: only pods of ReplicaSets and StatefulSets are moved",
            owner.kind, owner.name
        )));
    };
    let Some(workload) = index.workload_of(pod) else {
        return Some(Pin::NotRecreated(format!(
            "belongs to {} {}, which is gone: nothing would re-create it",
            owner.kind, owner.name
        )));
    };
    if workload.replicas <= 1 {
        let named = workload.owner.as_ref().map_or_else(
            || format!("{} {}", owner.kind, owner.name),
            |owner| format!("{} {}", owner.kind, owner.name),
        );
        return Some(Pin::SingleReplica(named));
    }
    let keeps_empty_dirs = match settings.local_storage {
        LocalStorage::Auto => kind == WorkloadKind::StatefulSet,
        LocalStorage::Keep => true,
        LocalStorage::Evict => false,
    };
    for volume in &pod.template.volumes {
        match volume {
            VolumeSource::HostPath => {
                return Some(Pin::LocalStorage("a hostPath volume".to_owned()));
            }
            VolumeSource::EmptyDir if keeps_empty_dirs => {
                return Some(Pin::LocalStorage(
                    "an emptyDir volume; rebalance.localStorage: Evict lets it move".to_owned(),
                ));
            }
            VolumeSource::EmptyDir => {}
            VolumeSource::Claim(_) | VolumeSource::Ephemeral(_) => {
                if let Some(volume) = local_volume(index, pod, volume) {
                    return Some(Pin::LocalStorage(format!("local volume {volume}")));
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
