//! What the loss of a zone does to a tier.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Explanation;

/// Condition: any zone may be lost, and every tier has enough left and goes elsewhere.
pub const CONDITION_SAFE_TO_LOSE_ZONE: &str = "SafeToLoseZone";

/// What is left of a tier when a zone is lost, and what becomes of the rest.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ZoneLoss {
    /// The zone that is lost.
    #[schemars(length(max = 63))]
    pub zone: String,
    /// Pods left.
    pub surviving: i32,
    /// Pods left, of a hundred; rounded down.
    pub percent: i32,
    /// Pods that would stay Pending: in the worse of the two phases of an outage, that in
    /// which the nodes are unreachable, and that in which they are deleted. None if there are
    /// none, or it is not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<i32>,
    /// Pods of the zone that would find a place elsewhere, where not all of them do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<i32>,
    /// Why the zone is not safe to lose for the tier, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<LossReason>,
    /// The same in words, and what would help; of several zones, for the worst.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
}

/// Why a zone is not safe to lose, the worst first.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum LossReason {
    /// The majority of a `StatefulSet` is in the zone.
    QuorumLost,
    /// All pods are in the zone.
    SingleZone,
    /// Pods would stay Pending because of a constraint.
    WouldPend,
    /// Pods would stay Pending for lack of room.
    NoRoom,
    /// Pods would stay Pending because of volumes that cannot follow.
    PinnedVolume,
    /// A disruption budget would keep the pods from being brought back.
    BudgetBlocks,
    /// Where pods would land cannot be predicted.
    Unpredictable,
}

impl LossReason {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QuorumLost => "QuorumLost",
            Self::SingleZone => "SingleZone",
            Self::WouldPend => "WouldPend",
            Self::NoRoom => "NoRoom",
            Self::PinnedVolume => "PinnedVolume",
            Self::BudgetBlocks => "BudgetBlocks",
            Self::Unpredictable => "Unpredictable",
        }
    }
}

impl LossReason {
    /// Every reason, the worst first.
    pub const ALL: [Self; 7] = [
        Self::QuorumLost,
        Self::SingleZone,
        Self::WouldPend,
        Self::NoRoom,
        Self::PinnedVolume,
        Self::BudgetBlocks,
        Self::Unpredictable,
    ];

    /// The reason with this name, whatever the case of its letters.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str().eq_ignore_ascii_case(name))
    }

    /// What it means and what helps.
    #[must_use]
    pub const fn explanation(self) -> Explanation {
        let (means, helps) = match self {
            Self::QuorumLost => (
                "Half or more of the members of a StatefulSet with at least three are in the zone: its majority is lost with the zone.",
                "Spread the members evenly over three zones: a `topologySpreadConstraint` on zones, and volumes in all of them.",
            ),
            Self::SingleZone => (
                "All pods of the tier that run are in the zone: nothing of it is left when the zone is lost.",
                "Run at least 2 replicas with a `topologySpreadConstraint` on zones, or accept it: `singleZone: {accepted: true, reason: …}`.",
            ),
            Self::WouldPend => (
                "Pods of the zone would not start elsewhere: a constraint, an affinity, a node selector or a taint keeps them Pending, while the nodes are unreachable, once they are deleted, or both.",
                "The message names the plugin and a remedy; for hard spread constraints that is mostly `nodeTaintsPolicy: Honor`, without a `minDomains` above the zones that are left.",
            ),
            Self::NoRoom => (
                "The other zones have no room for all pods of the zone. Those of lower priority wait.",
                "Add nodes in the other zones, or pods of negative priority that hold room. `zonespread outlook` says how much is missing.",
            ),
            Self::PinnedVolume => (
                "Volumes of pods in the zone cannot be used in another one.",
                "Replicate the data to another zone, by the application or by the storage.",
            ),
            Self::BudgetBlocks => (
                "A PodDisruptionBudget allows no eviction while all pods are healthy, and the pods of the tier are moved by evictions only: after the outage they would stay where they are.",
                "Lower `minAvailable`, raise `maxUnavailable`, or add a replica.",
            ),
            Self::Unpredictable => (
                "Where pods of the zone would land cannot be known: something decides that is not modelled, such as another scheduler.",
                "`zonespread predict POD` says what it is.",
            ),
        };
        Explanation { word: self.as_str(), means, helps }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
