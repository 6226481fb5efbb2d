//! Why a tier is unbalanced, in a word.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Explanation;

/// Why a tier is unbalanced: what keeps it so, or else what brought it about.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum Cause {
    /// A zone of the tier is out, or was.
    ZoneOutage,
    /// The zone with the fewest pods has no node for the tier.
    ZoneWithoutNodes,
    /// The zone with the fewest pods has no room.
    Capacity,
    /// A constraint loses against what else the scheduler prefers, or none is there.
    Constraint,
    /// Volumes tie its pods to their zone or node.
    PinnedVolume,
    /// Its pods may use the nodes of one zone only.
    SingleZonePool,
    /// It was scaled in.
    ScaleIn,
    /// It was rolled out.
    Rollout,
    /// Nodes of it were cordoned or removed in order.
    Drain,
    /// Nothing of these was seen.
    Unknown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 10] = [
        Self::ZoneOutage,
        Self::ZoneWithoutNodes,
        Self::Capacity,
        Self::Constraint,
        Self::PinnedVolume,
        Self::SingleZonePool,
        Self::ScaleIn,
        Self::Rollout,
        Self::Drain,
        Self::Unknown,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ZoneOutage => "ZoneOutage",
            Self::ZoneWithoutNodes => "ZoneWithoutNodes",
            Self::Capacity => "Capacity",
            Self::Constraint => "Constraint",
            Self::PinnedVolume => "PinnedVolume",
            Self::SingleZonePool => "SingleZonePool",
            Self::ScaleIn => "ScaleIn",
            Self::Rollout => "Rollout",
            Self::Drain => "Drain",
            Self::Unknown => "Unknown",
        }
    }

    /// What it means and what helps.
    #[must_use]
    pub const fn explanation(self) -> Explanation {
        let (means, helps) = match self {
            Self::ZoneOutage => (
                "A zone of the tier is out, or the imbalance began while one was: its pods went to the other zones.",
                "Nothing: after the hold-down the pods are brought back. `status.tiers[].blocked` says what is waited for.",
            ),
            Self::ZoneWithoutNodes => (
                "The zone with the fewest pods has no node that the tier may use: an autoscaler removed the last one, or it came back without nodes.",
                "Add a node there, or let the operator open the zone (deploy/opening).",
            ),
            Self::Capacity => (
                "The nodes of the zone with the fewest pods have no room for another pod of the tier.",
                "Free room or add a node there; the message of `status.tiers[].blocked` names what is short.",
            ),
            Self::Constraint => (
                "The scheduler would put another pod into a fuller zone: a soft constraint on zones loses against other preferences, a filter rejects the nodes of the zone, or the tier has no constraint on zones at all.",
                "Add a `topologySpreadConstraint` on zones with `whenUnsatisfiable: DoNotSchedule` and `nodeTaintsPolicy: Honor`, or install deploy/steering.",
            ),
            Self::PinnedVolume => (
                "Pods of the fullest zones keep their volumes, which cannot be used in another zone or from another node.",
                "Storage that spans zones would free them; or whoever can do without the data deletes pod and claim by hand.",
            ),
            Self::SingleZonePool => (
                "All nodes that the tier may use are in one zone: its node selector, required affinity or tolerations leave no other. It is told also where that leaves nothing to balance.",
                "Add nodes of the pool in other zones, or let the pods use another pool.",
            ),
            Self::ScaleIn => (
                "The tier was scaled in, and scaling in takes no notice of zones.",
                "Nothing: once the tier has settled (`rebalance.settle`) its pods are moved.",
            ),
            Self::Rollout => (
                "The tier was rolled out: while pods of two revisions are there the scheduler counts both.",
                "`matchLabelKeys: [pod-template-hash]` in the constraint makes it count one revision only; otherwise the pods are moved once the tier has settled.",
            ),
            Self::Drain => (
                "Nodes of the tier were cordoned and drained, or removed by an autoscaler in order: their pods went to other zones.",
                "Nothing: once the tier has settled (`rebalance.settle`) its pods are moved.",
            ),
            Self::Unknown => (
                "The tier was unbalanced when it was first looked at, or nothing was seen that explains it.",
                "Nothing: it is brought into balance like any other; `status.tiers[].blocked` says if something is in the way.",
            ),
        };
        Explanation { word: self.as_str(), means, helps }
    }
}
