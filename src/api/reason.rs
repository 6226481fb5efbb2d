//! Why nothing is done: the closed list of reasons.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why an unbalanced tier is not moved now. The order is the order of
/// precedence: the first that applies is shown, and only that one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Reason {
    /// A zone of the tier is out.
    ZoneImpaired,
    /// A zone of the tier is held by hand.
    ZoneHeld,
    /// A zone of the tier is usable again, and its hold-down runs.
    ZoneRecovering,
    /// The first pod moved into a zone did not come up there.
    ZoneSuspect,
    /// Two zones or a fifth of the nodes that the tier may use are bad, or the cluster is.
    ClusterUnstable,
    /// What is known of the cluster may be out of date.
    StaleView,
    /// The policy or its namespace is paused.
    Paused,
    /// The mode is Observe.
    ObserveOnly,
    /// No outage explains the imbalance, and `rebalance.trigger` is Recovery.
    NotARecovery,
    /// The mode is Approve, and the move is not in an approved plan.
    AwaitingApproval,
    /// No window of `rebalance.windows` is open.
    OutsideWindow,
    /// Every pod that could move is the only replica of its workload.
    SingleReplica,
    /// The policy accepts that this tier lives in one zone.
    SingleZoneAccepted,
    /// The tier already misses a pod.
    TierUnavailable,
    /// A workload of the tier is rolling out.
    RolloutInProgress,
    /// No outage explains the imbalance, and the tier changed lately.
    Settling,
    /// As many moves as the tier affords are under way.
    MovesUnderWay,
    /// A `PodDisruptionBudget` allows no eviction now.
    BudgetExhausted,
    /// Two `PodDisruptionBudgets` select the pod, so the API refuses every eviction.
    MultipleBudgets,
    /// A zone that lacks pods has no node, and a probe pod opens it.
    OpeningZone,
    /// No zone that lacks pods has room for one.
    NoRoom,
    /// There is room, but the scheduler would put the replacement elsewhere.
    WouldNotLand,
    /// The pods that would have to move cannot: volumes, marks, or nobody to re-create them.
    Pinned,
    /// The strategy is Surge, and no pod that could move can be replaced before it stops.
    CannotSurge,
    /// Where the replacement lands cannot be known.
    Unpredictable,
    /// A move missed its zone; the tier waits before the next.
    Backoff,
    /// Three moves missed; nothing more until the cluster or the policy changes.
    MissedTooOften,
    /// The API server forbids the eviction.
    Forbidden,
    /// The API server asks for fewer requests.
    Throttled,
}

impl Reason {
    /// Every reason, in the order of precedence.
    pub const ALL: [Self; 29] = [
        Self::ZoneImpaired,
        Self::ZoneHeld,
        Self::ZoneRecovering,
        Self::ZoneSuspect,
        Self::ClusterUnstable,
        Self::StaleView,
        Self::Paused,
        Self::ObserveOnly,
        Self::NotARecovery,
        Self::AwaitingApproval,
        Self::OutsideWindow,
        Self::SingleReplica,
        Self::SingleZoneAccepted,
        Self::TierUnavailable,
        Self::RolloutInProgress,
        Self::Settling,
        Self::MovesUnderWay,
        Self::BudgetExhausted,
        Self::MultipleBudgets,
        Self::OpeningZone,
        Self::NoRoom,
        Self::WouldNotLand,
        Self::Pinned,
        Self::CannotSurge,
        Self::Unpredictable,
        Self::Backoff,
        Self::MissedTooOften,
        Self::Forbidden,
        Self::Throttled,
    ];

    /// The word users see, in status and as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ZoneImpaired => "ZoneImpaired",
            Self::ZoneHeld => "ZoneHeld",
            Self::ZoneRecovering => "ZoneRecovering",
            Self::ZoneSuspect => "ZoneSuspect",
            Self::ClusterUnstable => "ClusterUnstable",
            Self::StaleView => "StaleView",
            Self::Paused => "Paused",
            Self::ObserveOnly => "ObserveOnly",
            Self::NotARecovery => "NotARecovery",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::OutsideWindow => "OutsideWindow",
            Self::SingleReplica => "SingleReplica",
            Self::SingleZoneAccepted => "SingleZoneAccepted",
            Self::TierUnavailable => "TierUnavailable",
            Self::RolloutInProgress => "RolloutInProgress",
            Self::Settling => "Settling",
            Self::MovesUnderWay => "MovesUnderWay",
            Self::BudgetExhausted => "BudgetExhausted",
            Self::MultipleBudgets => "MultipleBudgets",
            Self::OpeningZone => "OpeningZone",
            Self::NoRoom => "NoRoom",
            Self::WouldNotLand => "WouldNotLand",
            Self::Pinned => "Pinned",
            Self::CannotSurge => "CannotSurge",
            Self::Unpredictable => "Unpredictable",
            Self::Backoff => "Backoff",
            Self::MissedTooOften => "MissedTooOften",
            Self::Forbidden => "Forbidden",
            Self::Throttled => "Throttled",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_listed_in_the_order_of_precedence_and_spelled_as_serialised() {
        assert!(Reason::ALL.is_sorted());
        for reason in Reason::ALL {
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("\"{reason}\""));
        }
    }
}
