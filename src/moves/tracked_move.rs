//! A move: one eviction, its replacement, and where that landed. What must
//! survive a restart is in its status.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::{MoveState, MoveStatus, seconds};
use crate::observe::{Index, Name, Pod, PodId, Uid};
use crate::plan::PlannedMove;
use crate::predict::PendingPod;

use super::owner_snapshot::Siblings;

/// A move that this process made, or took over from the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// What users see, and what is restored.
    pub status: MoveStatus,
    /// When the API server granted it; before that, when it was decided or taken over.
    pub started: Timestamp,
    /// What is known of the eviction request.
    pub asked: Asked,
    /// Pods that the owner had when the move was decided. Unknown after a restart.
    pub siblings: Option<Arc<Siblings>>,
    /// The pod that is expected, and the node where.
    pub expected: Option<(PendingPod, Name)>,
    /// The replacement's uid, once it is there.
    pub replacement: Option<Uid>,
}

/// What is known of an eviction request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// On its way.
    Waiting,
    /// Whether it was made is not known: a time-out, or a restart.
    Unknown,
    /// The API server said yes.
    Granted,
}

impl Move {
    /// A move that is about to be made.
    #[must_use]
    pub fn begin(
        tier: &str,
        pod: &Pod,
        planned: &PlannedMove,
        siblings: Arc<Siblings>,
        now: Timestamp,
    ) -> Self {
        let owner = pod.owner.as_ref();
        let mut zones = planned.to.iter().map(ToString::to_string);
        Self {
            status: MoveStatus {
                tier: tier.to_owned(),
                pod: pod.name.to_string(),
                uid: pod.uid.to_string(),
                owner: owner
                    .map_or_else(String::new, |owner| format!("{}/{}", owner.kind, owner.name)),
                from: planned.from.to_string(),
                to: zones.next().unwrap_or_default(),
                alternatives: zones.collect(),
                replacement: None,
                node: None,
                state: MoveState::Evicting,
                started_at: seconds(now),
                finished_at: None,
                message: String::new(),
            },
            started: now,
            asked: Asked::Waiting,
            siblings: Some(siblings),
            expected: planned.nodes.first().map(|node| (PendingPod::like(pod), Name::clone(node))),
            replacement: None,
        }
    }

    /// A move that an earlier process recorded.
    #[must_use]
    pub fn restore(status: MoveStatus, now: Timestamp) -> Self {
        Self {
            started: if status.state == MoveState::Evicting { now } else { status.started_at.0 },
            asked: if status.state == MoveState::Evicting {
                Asked::Unknown
            } else {
                Asked::Granted
            },
            siblings: None,
            expected: None,
            replacement: None,
            status,
        }
    }

    /// The pod that is moved, while it is there.
    #[must_use]
    pub fn pod<'a>(&self, index: &'a Index, namespace: &str) -> Option<(PodId, &'a Pod)> {
        let id = index.cluster().pod_id(namespace, &self.status.pod)?;
        let pod = index.cluster().pod(id)?;
        (pod.uid == *self.status.uid).then_some((id, pod))
    }

    /// Whether its replacement is still awaited.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        self.status.state.is_under_way()
    }

    /// The uid of the pod that replaced its pod, as far as is known: no other
    /// move's pod was replaced by it.
    #[must_use]
    pub fn claims(&self, index: &Index, namespace: &str) -> Option<Uid> {
        if self.replacement.is_some() {
            return self.replacement.clone();
        }
        // After a restart there is the name only. A StatefulSet gives it to each
        // pod in turn, so there it says nothing.
        let name = self.status.replacement.as_deref().filter(|name| *name != self.status.pod)?;
        let pod = index.cluster().pod(index.cluster().pod_id(namespace, name)?)?;
        Some(pod.uid.clone())
    }

    /// Whether a landing in `zone` is what was expected.
    #[must_use]
    pub fn is_expected_in(&self, zone: &str) -> bool {
        self.status.to == zone || self.status.alternatives.iter().any(|known| known == zone)
    }
}
