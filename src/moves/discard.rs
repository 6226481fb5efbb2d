//! Moves that nobody needs any more: since the eviction the owner wants fewer pods, after a
//! scale-down or in a rollout, and no replacement is made.

use jiff::Timestamp;

use crate::api::text::counted;
use crate::observe::{Name, PodPhase, WorkloadKey, WorkloadKind};

use super::follow::{View, settles_at};
use super::tracked_move::Move;

/// Why no replacement will come for the pod that has left, if that is so. Asked while
/// none is there.
pub(super) fn needless(moved: &Move, view: &View<'_>, now: Timestamp) -> Option<String> {
    let owner = moved.owner.as_ref()?;
    let kind = WorkloadKind::parse(&owner.kind)?;
    let cluster = view.index.cluster();
    let key = WorkloadKey {
        namespace: Name::clone(view.namespace),
        kind,
        name: Name::clone(&owner.name),
    };
    let Some(workload) = cluster.workload(&key) else {
        // One that is deleted and made again at once takes the pods over.
        let is_gone = now >= settles_at(moved);
        return is_gone.then(|| format!("{owner} is gone: nobody makes a replacement"));
    };
    if kind == WorkloadKind::StatefulSet {
        let is_wanted = workload.wants_ordinal_of(&moved.pod);
        return (!is_wanted).then(|| format!("{owner} does not want pod {} any more", moved.pod));
    }
    // As the ReplicaSet controller counts (FilterActivePods in pkg/controller): with as many
    // as it wants it makes none.
    let active = cluster.pods_in(view.namespace).map(|(_, pod)| pod).filter(|pod| {
        pod.owner.as_ref().is_some_and(|known| owner.is(known))
            && !pod.terminating
            && pod.phase != PodPhase::Finished
    });
    let wanted = usize::try_from(workload.replicas).unwrap_or(0);
    let has_enough = active.take(wanted).count() == wanted;
    has_enough.then(|| format!("{owner} has the {} that it wants by now", counted(wanted, "pod")))
}
