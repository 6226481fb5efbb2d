//! Kinds that the cluster has objects of, as what was read shows, and the files lack.

use crate::observe::{Index, Kind, VolumeSource};

use super::Contents;

/// The kinds, none of whose objects were found, that the answer may depend on.
#[must_use]
pub fn missing_kinds(contents: &Contents, index: &Index) -> Vec<Kind> {
    let has = |kind: Kind| contents.count(kind) > 0;
    let pods = || index.cluster().pods().map(|(_, pod)| pod);
    let owned_by =
        |kind: &str| pods().any(|pod| pod.owner.as_ref().is_some_and(|owner| *owner.kind == *kind));
    let names_claims = || {
        pods()
            .flat_map(|pod| &pod.template.volumes)
            .any(|volume| matches!(volume, VolumeSource::Claim(_) | VolumeSource::Ephemeral(_)))
    };
    let matters = |kind: Kind| match kind {
        // Every cluster has them. Without namespaces nobody knows which are paused.
        Kind::Namespace | Kind::Service => has(Kind::Pod) || has(Kind::Policy),
        // A cluster may have none, but an eviction that one refuses is worth a question.
        Kind::Budget => has(Kind::Policy),
        Kind::Deployment => pods()
            .filter_map(|pod| index.workload_of(pod)?.owner.as_ref())
            .any(|owner| *owner.kind == *kind.name()),
        Kind::ReplicaSet | Kind::StatefulSet => owned_by(kind.name()),
        Kind::Claim => names_claims(),
        Kind::Volume | Kind::StorageClass => has(Kind::Claim),
        Kind::CsiNode => has(Kind::Volume),
        Kind::CsiDriver => has(Kind::StorageClass),
        // Of nodes, pods and policies the command says by itself that it needs them.
        _ => false,
    };
    Kind::ALL.into_iter().filter(|kind| !has(*kind) && matters(*kind)).collect()
}
