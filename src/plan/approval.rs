//! The published plan of a tier, and the moves that were approved.

use std::collections::BTreeMap;

use crate::api;
use crate::observe::{Index, Uid, Zone};

use super::tier_plan::PlannedMove;

/// A tier's part of the published plan and of the approved one; empty unless
/// the mode is Approve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approval {
    /// The uids of the pods in the published plan, with their positions. They
    /// are moved first and in this order, so that a plan does not change
    /// between reading and approving it.
    shown: BTreeMap<Uid, usize>,
    /// The approved moves that are left.
    approved: Vec<api::PlannedMove>,
}

impl Approval {
    /// For `tier`, from the published plan and the approved one.
    #[must_use]
    pub fn of(tier: &str, shown: &[api::PlannedMove], approved: &[api::PlannedMove]) -> Self {
        let own = |planned: &&api::PlannedMove| planned.tier == tier;
        let approved: Vec<_> = approved.iter().filter(own).cloned().collect();
        let mut places = BTreeMap::new();
        for (place, planned) in approved.iter().chain(shown.iter().filter(own)).enumerate() {
            places.entry(Uid::new(&planned.uid)).or_insert(place);
        }
        Self { shown: places, approved }
    }

    /// Whether this move, with every zone in which it may land, was approved.
    #[must_use]
    pub fn covers(&self, index: &Index, planned: &PlannedMove) -> bool {
        let Some(pod) = index.cluster().pod(planned.pod) else { return false };
        self.approved.iter().any(|approved| {
            let expected = |zone: &Zone| {
                approved.to == zone.as_str()
                    || approved.alternatives.iter().any(|known| known == zone.as_str())
            };
            // Who agreed to an eviction did not agree to a change of labels, nor the reverse.
            pod.uid == *approved.uid
                && approved.kind == planned.kind
                && approved.from == planned.from.as_str()
                && planned.to.iter().all(expected)
        })
    }

    /// The position of a pod in the published plan; after the end if it is not in it.
    pub(super) fn place_of(&self, uid: &Uid) -> usize {
        self.shown.get(uid).copied().unwrap_or(usize::MAX)
    }
}
