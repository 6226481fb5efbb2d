//! Why a drill is refused, or ended early.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Explanation;

/// What speaks against a drill; of several the first is shown as the reason.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum DrillReason {
    /// The operator closes no zone.
    CannotClose,
    /// Another drill runs.
    AnotherDrill,
    /// No node is in the zone.
    UnknownZone,
    /// No other zone has nodes that can take pods.
    OnlyZone,
    /// No drilled tier has pods in the zone.
    NothingToDrill,
    /// A tier in `acceptRisk` does not exist.
    UnknownTier,
    /// A policy cannot be followed.
    PolicyInvalid,
    /// A zone is out, held, or recovers.
    ZoneNotReady,
    /// The cluster as a whole is in no state to lose a zone.
    ClusterUnstable,
    /// What is known of the cluster may be out of date.
    StaleView,
    /// A policy is paused.
    Paused,
    /// A tier is only observed.
    ObserveOnly,
    /// A tier misses pods.
    TierUnavailable,
    /// A workload of a tier rolls out.
    RolloutInProgress,
    /// Pods of a tier are being moved.
    MovesUnderWay,
    /// A tier is not balanced.
    Unbalanced,
    /// A disruption budget allows no eviction.
    BudgetExhausted,
    /// Two disruption budgets select a pod.
    MultipleBudgets,
    /// Pods would not be evicted.
    PodsStay,
    /// The zone is not safe to lose for a tier.
    NotSafeToLose,
    /// The drill itself was paused.
    Stopped,
    /// The drill took too long.
    DeadlinePassed,
    /// A tier missed more pods than it may.
    TierBelowFloor,
    /// A pod waited too long for a node.
    PodsPending,
    /// A tier was not balanced in time after the drill.
    NotBalanced,
}

impl DrillReason {
    /// Every reason, in the order in which they are shown.
    pub const ALL: [Self; 25] = [
        Self::CannotClose,
        Self::AnotherDrill,
        Self::UnknownZone,
        Self::OnlyZone,
        Self::NothingToDrill,
        Self::UnknownTier,
        Self::PolicyInvalid,
        Self::ZoneNotReady,
        Self::ClusterUnstable,
        Self::StaleView,
        Self::Paused,
        Self::ObserveOnly,
        Self::TierUnavailable,
        Self::RolloutInProgress,
        Self::MovesUnderWay,
        Self::Unbalanced,
        Self::BudgetExhausted,
        Self::MultipleBudgets,
        Self::PodsStay,
        Self::NotSafeToLose,
        Self::Stopped,
        Self::DeadlinePassed,
        Self::TierBelowFloor,
        Self::PodsPending,
        Self::NotBalanced,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CannotClose => "CannotClose",
            Self::AnotherDrill => "AnotherDrill",
            Self::UnknownZone => "UnknownZone",
            Self::OnlyZone => "OnlyZone",
            Self::NothingToDrill => "NothingToDrill",
            Self::UnknownTier => "UnknownTier",
            Self::PolicyInvalid => "PolicyInvalid",
            Self::ZoneNotReady => "ZoneNotReady",
            Self::ClusterUnstable => "ClusterUnstable",
            Self::StaleView => "StaleView",
            Self::Paused => "Paused",
            Self::ObserveOnly => "ObserveOnly",
            Self::TierUnavailable => "TierUnavailable",
            Self::RolloutInProgress => "RolloutInProgress",
            Self::MovesUnderWay => "MovesUnderWay",
            Self::Unbalanced => "Unbalanced",
            Self::BudgetExhausted => "BudgetExhausted",
            Self::MultipleBudgets => "MultipleBudgets",
            Self::PodsStay => "PodsStay",
            Self::NotSafeToLose => "NotSafeToLose",
            Self::Stopped => "Stopped",
            Self::DeadlinePassed => "DeadlinePassed",
            Self::TierBelowFloor => "TierBelowFloor",
            Self::PodsPending => "PodsPending",
            Self::NotBalanced => "NotBalanced",
        }
    }

    /// What it means and what helps.
    #[must_use]
    pub const fn explanation(self) -> Explanation {
        let (means, helps) = match (self.of_the_drill(), self.of_its_end()) {
            (Some(texts), _) | (None, Some(texts)) => texts,
            (None, None) => self.of_the_cluster(),
        };
        Explanation { word: self.as_str(), means, helps }
    }

    const fn of_the_drill(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::CannotClose => (
                "The operator may not close zones, or it has not been proven that it can do nothing else to nodes, or that new pods are kept out of a closed zone.",
                "Do what the message names: `kubectl apply -k deploy/drill` gives the right and its fence. Or set `spec.dryRun: true` for the forecast.",
            ),
            Self::AnotherDrill => (
                "Another drill runs, or the zones are not in balance again after it.",
                "Wait for it, or abort it: `zonespread drill abort NAME`.",
            ),
            Self::UnknownZone => (
                "No node is in the zone of the drill.",
                "Compare the name with `kubectl get nodes -L topology.kubernetes.io/zone`.",
            ),
            Self::OnlyZone => (
                "No other zone has a node that can take pods: nothing would be left.",
                "Add nodes in another zone, or bring them back.",
            ),
            Self::NothingToDrill => (
                "No tier of the drilled policies has a pod in the zone: the drill would show nothing.",
                "Choose another zone, or correct `spec.policies`, which selects policies by their own labels.",
            ),
            Self::UnknownTier => (
                "`spec.acceptRisk` names a tier that no drilled policy has.",
                "Write it as `tier`, `policy/tier` or `namespace/policy/tier`; `zonespread status` shows the tiers.",
            ),
            Self::PodsStay => (
                "Pods of the zone would not be evicted: an annotation or data on their node keeps them there, or nobody would make them again. The zone would not be empty.",
                "Do what the message names, or accept it: add the tier to `spec.acceptRisk`.",
            ),
            Self::NotSafeToLose => (
                "The forecast says that the tier would be harmed: pods would stay Pending, all of it or its majority is in the zone, its volumes cannot follow, or where it would land is not known.",
                "Do what the message names; `zonespread outlook` says more. Or accept it: add the tier to `spec.acceptRisk`.",
            ),
            _ => return None,
        })
    }

    /// What ends a drill that has begun.
    const fn of_its_end(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Stopped => (
                "Somebody has annotated the drill with `zonespread.io/paused=true`, as `zonespread drill abort NAME` does: the zone was opened.",
                "Create another drill when it is time.",
            ),
            Self::DeadlinePassed => (
                "The zone was closed for as long as `spec.maxDuration` allows, and not everything had come up elsewhere by then: it was opened.",
                "The result and the timeline say how far it was; a tier with a small budget or slow pods takes longer.",
            ),
            Self::TierBelowFloor => (
                "A drilled tier missed more pods than its budget (`rebalance.maxUnavailable`) allows, or less of it was Available than `abortOn.belowPercent` asks for: the zone was opened.",
                "Look at the pods that were not Available: the loss of the zone would have done the same.",
            ),
            Self::PodsPending => (
                "A pod of a drilled tier waited for a node longer than `abortOn.pendingFor`: the zone was opened.",
                "The message names the pod; `zonespread outlook` says which constraint or shortage it is.",
            ),
            Self::NotBalanced => (
                "The zone is open again, and a tier was not balanced within its hold-down and an hour.",
                "`zonespread plan` says what is in the way.",
            ),
            _ => return None,
        })
    }

    /// What the other leaves; that nothing is missing is checked by the tests.
    const fn of_the_cluster(self) -> (&'static str, &'static str) {
        match self {
            Self::PolicyInvalid => (
                "A drilled policy cannot be followed, so nothing would bring its pods back.",
                "Mend what the message names, or leave the policy out by `spec.policies`.",
            ),
            Self::ZoneNotReady => (
                "A zone is out, held by hand, or has come back and is held: losing one more on purpose could be one too many.",
                "Wait until all zones are Ready: `kubectl get zones.zonespread.io`.",
            ),
            Self::ClusterUnstable => (
                "The cluster as a whole is in no state to lose a zone: nothing would be moved in it either.",
                "Mend what the message names.",
            ),
            Self::StaleView => (
                "What is known of the cluster may be out of date: a watch failed or is silent.",
                "It mostly passes within seconds; then create another drill.",
            ),
            Self::Paused => (
                "A drilled policy or its namespace is paused: nothing would bring its pods back.",
                "`zonespread resume POLICY`, or leave the policy out by `spec.policies`.",
            ),
            Self::ObserveOnly => (
                "A drilled tier is in mode Observe: nothing would bring its pods back.",
                "Set `mode` to Auto or Approve, or leave the policy out by `spec.policies`.",
            ),
            Self::TierUnavailable => (
                "A drilled tier misses pods already.",
                "Look at the pods that are not Available: `kubectl describe pod` says why.",
            ),
            Self::RolloutInProgress => (
                "A workload of a drilled tier has pods of two revisions.",
                "Wait for it (`kubectl rollout status`), resume it if it is paused, or undo it.",
            ),
            Self::MovesUnderWay => {
                ("Pods of a drilled tier are being moved.", "Wait until its policy is Balanced.")
            }
            Self::Unbalanced => (
                "A drilled tier is not balanced: what a drill shows of it would not be what an outage does when all is well.",
                "Wait until its policy is Balanced; `zonespread plan` says what is in the way.",
            ),
            Self::BudgetExhausted => (
                "A PodDisruptionBudget allows no eviction of a pod in the zone.",
                "Lower `minAvailable`, raise `maxUnavailable`, or add a replica.",
            ),
            _ => (
                "Two PodDisruptionBudgets select a pod in the zone: the eviction API refuses every eviction of such a pod.",
                "Keep one of them.",
            ),
        }
    }
}

impl fmt::Display for DrillReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_listed_in_their_order_and_spelled_as_serialised() {
        assert!(DrillReason::ALL.is_sorted());
        for reason in DrillReason::ALL {
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{reason}\""));
        }
    }

    #[test]
    fn only_two_budgets_are_explained_as_two_budgets() {
        let two = DrillReason::MultipleBudgets.explanation().means;
        let same = |reason: &DrillReason| reason.explanation().means == two;
        assert_eq!(DrillReason::ALL.iter().filter(|reason| same(reason)).count(), 1);
    }
}
