//! What each reason means and what helps: the source of `zonespread explain` and of
//! `docs/reasons.md`.

use super::{Cause, DrillReason, LossReason, Reason};

/// A reason in the words of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The reason, as statuses, events and metrics have it.
    pub word: &'static str,
    /// What it means.
    pub means: &'static str,
    /// What a person can do.
    pub helps: &'static str,
}

/// Reasons of the condition Effective.
pub const NO_PODS: Explanation = Explanation {
    word: "NoPods",
    means: "The selector selects no pod and no workload of the policy's namespace: the policy protects nothing, and its phase is Ineffective.",
    helps: "Compare `spec.selector` with the labels that `kubectl get pods --show-labels` prints.",
};
/// The tier label is on no selected pod.
pub const NO_TIER_LABEL: Explanation = Explanation {
    word: "NoTierLabel",
    means: "No selected pod carries the label of `spec.tierLabel`: the policy protects nothing, and its phase is Ineffective.",
    helps: "Set `spec.tierLabel` to a label that the pods carry, or remove it to make them one tier.",
};
/// An override is for a tier that does not exist.
pub const UNKNOWN_TIER_OVERRIDE: Explanation = Explanation {
    word: "UnknownTierOverride",
    means: "`spec.tiers` names a tier that does not exist: its settings apply to nothing, and the tier that was meant has those of the policy.",
    helps: "Correct the name to one of `status.tiers`, or remove the entry.",
};

/// The reasons of the condition Effective, in the order of precedence.
pub const EFFECTIVE_REASONS: [Explanation; 3] = [NO_PODS, NO_TIER_LABEL, UNKNOWN_TIER_OVERRIDE];

impl Reason {
    /// What it means and what helps.
    #[must_use]
    pub const fn explanation(self) -> Explanation {
        let (means, helps) = match self.of_zones_and_cluster() {
            Some(texts) => texts,
            None => match self.of_people() {
                Some(texts) => texts,
                None => self.of_the_tier(),
            },
        };
        Explanation { word: self.as_str(), means, helps }
    }

    const fn of_zones_and_cluster(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::ZoneImpaired => (
                "A zone of the tier is out: at most 45 % of its nodes can take pods, or its last node left within the hour. Nothing is evicted in an outage.",
                "Bring the zone's nodes back: make them Ready, uncordon them or remove the taint. `kubectl get nodes -L topology.kubernetes.io/zone` shows them.",
            ),
            Self::ZoneHeld => (
                "Somebody holds a zone of the tier with `zonespread hold`, or with `spec.hold` of its Zone object.",
                "It ends by itself at the time that the message names; `zonespread release ZONE` ends it now.",
            ),
            Self::ZoneRecovering => (
                "A zone of the tier is usable again, and its hold-down runs: a zone that has just come back may fail again. The time doubles with each outage within 6 hours of the one before, up to 6 hours.",
                "Wait. A shorter `rebalance.holdDown` ends the hold earlier, 0s at once.",
            ),
            Self::ZoneSuspect => (
                "The first pod that was moved into a zone did not become Available, though the zone is Ready. The zone is held as after another outage, and no second pod is risked.",
                "Look at that pod (`zonespread status POLICY` names it under the moves): image pulls, DNS, the address of the API server, security groups of new nodes.",
            ),
            Self::ClusterUnstable => (
                "The cluster as a whole is in no state to move pods: two zones are out or held, a fifth of the nodes cannot take pods, a tenth of the pods wait for a node, or requests to the API server keep failing.",
                "Mend what the message names. Nothing has to be reset: the moves go on when it is over.",
            ),
            Self::StaleView => (
                "What is known of the cluster may be out of date: a watch failed or is silent, or a fresh read showed something else.",
                "It mostly passes within seconds. If it lasts, the operator's log says which resource, and whether the API server or a missing right is the cause.",
            ),
            _ => return None,
        })
    }

    const fn of_people(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Paused => (
                "The policy or its namespace carries the annotation `zonespread.io/paused: \"true\"`.",
                "`zonespread resume POLICY`, or remove the annotation from the object that the message names.",
            ),
            Self::ObserveOnly => (
                "The mode of the tier is Observe: it is counted and planned for, and nothing of it is moved.",
                "Set `mode` to Auto or Approve, for the policy or in `spec.tiers` for the tier.",
            ),
            Self::NotARecovery => (
                "`rebalance.trigger` is Recovery, and the tier did not get out of balance in an outage: after a scale-down, a rollout or a drain the imbalance is only shown.",
                "`rebalance.trigger: Always` lets it be moved, once the tier has settled. In a recovery it is moved anyhow.",
            ),
            Self::AwaitingApproval => (
                "The mode of the tier is Approve, and its next move is not in an approved plan.",
                "Read the plan (`zonespread status POLICY`), then run the command that the message contains, or `zonespread approve POLICY`.",
            ),
            Self::OutsideWindow => (
                "No window of `rebalance.windows` is open. Moves that are under way are followed to their end.",
                "Wait for the time that the message names. `windows: []` lets the tier move at any time.",
            ),
            Self::SingleZoneAccepted => (
                "The policy says that this tier is known to live in one zone. It is shown, never moved and never alerted on.",
                "Nothing has to be done. Remove `singleZone` of the tier to have it spread.",
            ),
            _ => return None,
        })
    }

    /// What the others leave; that nothing is missing is checked below, by the compiler.
    const fn of_the_tier(self) -> (&'static str, &'static str) {
        match self {
            Self::SingleReplica => (
                "Every pod that could be moved is the only replica of its workload. A single replica is never evicted.",
                "Run at least 2 replicas, or accept the single zone: `singleZone: {accepted: true, reason: …}`.",
            ),
            Self::TierUnavailable => (
                "The tier misses a pod already. Nothing is evicted while one is missing.",
                "Look at the pod that the message names: `kubectl describe pod` says why it is not Available.",
            ),
            Self::RolloutInProgress => (
                "A workload of the tier has pods of two revisions.",
                "Wait for it (`kubectl rollout status`), resume it if it is paused, or undo it.",
            ),
            Self::Settling => (
                "No outage explains the imbalance, and the tier was scaled, rolled out or got a pod lately: whoever did that may do so again, so the tier is left alone until it has been steady for `rebalance.settle` (10m). Our own moves do not count.",
                "Wait until the time that the message names. A shorter `rebalance.settle` ends it earlier, 0s at once; an autoscaler that never rests keeps the tier as it is.",
            ),
            Self::MovesUnderWay => (
                "As many moves as may be made at once are under way: of the tier, or of the cluster, or the first pod in a recovered zone, which has to become Available there.",
                "Wait. `rebalance.maxUnavailable` allows more at once in a tier, `run --max-concurrent-moves` in the cluster.",
            ),
            Self::BudgetExhausted => (
                "A PodDisruptionBudget allows no eviction of the next pod. The message says by which of its fields; a budget whose controller cannot count its pods (SyncFailed) never allows one.",
                "Lower `minAvailable`, raise `maxUnavailable`, or add a replica. A budget that needs all of its pods never allows an eviction.",
            ),
            Self::MultipleBudgets => (
                "Two PodDisruptionBudgets select the pod: the eviction API refuses every eviction of such a pod.",
                "Keep one of them.",
            ),
            Self::OpeningZone => (
                "A zone that lacks pods has no node that the tier may use. A probe pod waits there for an autoscaler to make one, or runs and does not reach DNS and the API server yet. Nothing is evicted before it is Ready. After 10 minutes it is removed and tried again later, with pauses that double.",
                "Mostly wait. The message contains what the autoscaler says: a NodePool that may not use the zone, its limits, no capacity. `rebalance.openZones: Never` leaves such zones as they are.",
            ),
            Self::NoRoom => (
                "No node in a zone that lacks pods has room for the replacement.",
                "Add a node to that zone, or free room there: cpu, memory, pods, ports or volume slots, as the message says.",
            ),
            Self::WouldNotLand => (
                "There is room, but the replacement would not land there: the scheduler prefers another zone, or a taint, an affinity or a constraint keeps it out.",
                "The message names the plugin that decides. A `topologySpreadConstraint` on zones with `whenUnsatisfiable: DoNotSchedule` settles most cases; `zonespread predict POD` shows all nodes.",
            ),
            Self::Pinned => (
                "The pods that would have to move cannot: a volume that is tied to its zone, data on the node, an annotation that keeps the pod, or no controller that would re-create it.",
                "The message names the pod and what holds it. Accept the single zone if it is meant to be like that.",
            ),
            Self::CannotSurge => (
                "`rebalance.strategy` is Surge, and no pod that would have to move can be replaced before it stops: the right for it is missing, it belongs to no ReplicaSet, or a Service, a disruption budget or an autoscaler speaks against it.",
                "The message names what is in the way. `rebalance.strategy: Auto` evicts such pods instead; the overlay `deploy/surge` gives the right.",
            ),
            Self::Unpredictable => (
                "Where the replacement would land cannot be known: zones tie, or something decides that is not modelled, such as another scheduler. Nothing is evicted on a guess.",
                "Where zones tie, a constraint on zones with `whenUnsatisfiable: DoNotSchedule` decides. `zonespread predict POD` says what is not modelled.",
            ),
            Self::Backoff => (
                "A replacement landed in another zone than predicted or did not come up in time. The tier waits, twice as long each time.",
                "The message says what became of it and when the next try is. `zonespread predict POD` shows what the prediction is made from.",
            ),
            Self::MissedTooOften => (
                "Three moves of the tier missed in this recovery. It is left alone.",
                "Find out why the predictions fail: a scheduler profile (`--scheduler-config`), an admission webhook, nodes that come and go. Any change of the policy's spec, or the next recovery, starts anew.",
            ),
            Self::Forbidden => (
                "The API server forbids the eviction: the operator lacks the right, the namespace is being deleted, or an admission webhook or policy refuses it.",
                "The message is the API server's. `deploy/base/rbac-evict.yaml` gives the right to evict.",
            ),
            Self::Throttled => (
                "The API server asks for fewer requests.",
                "Wait until the time that the message names. If it lasts, look at the API server's priority and fairness.",
            ),
            _ => ("", ""),
        }
    }
}

/// A reason without an explanation does not compile.
const _: () = {
    let mut at = 0;
    while at < Reason::ALL.len() {
        let Explanation { means, helps, .. } = Reason::ALL[at].explanation();
        assert!(!means.is_empty() && !helps.is_empty(), "a reason is not explained");
        at += 1;
    }
};

/// All reasons as one document.
#[must_use]
pub fn reasons_document() -> String {
    let mut text = String::from(
        "# Reasons\n\n\
         <!-- Generated from the code by `make manifests`; `zonespread explain REASON` prints the same. -->\n\n\
         ## Why an unbalanced tier is not moved\n\n\
         The first that applies is shown, in this order: in `status.tiers[].blocked`, in events, \
         and as the label `reason` of `zonespread_tier_blocked`. The message names the object.\n",
    );
    for reason in Reason::ALL {
        text.push_str(&chapter(&reason.explanation()));
    }
    text.push_str(
        "\n## Why a tier is unbalanced\n\n\
         `status.tiers[].cause`, and the column CAUSE of `zonespread status POLICY`: what keeps \
         the tier unbalanced now, or else what brought it about.\n",
    );
    for cause in Cause::ALL {
        text.push_str(&chapter(&cause.explanation()));
    }
    text.push_str(
        "\n## Why a policy is not Effective\n\n\
         The reason of the condition `Effective`, when it is False; `zonespread_policy_effective` is 0 then.\n",
    );
    for explanation in EFFECTIVE_REASONS {
        text.push_str(&chapter(&explanation));
    }
    text.push_str(
        "\n## Why a zone is not safe to lose\n\n\
         The reason of the condition `SafeToLoseZone`, when it is False, the worst first; in \
         `status.tiers[].zoneLoss`, and in what `zonespread outlook` prints.\n",
    );
    for reason in LossReason::ALL {
        text.push_str(&chapter(&reason.explanation()));
    }
    text.push_str(
        "\n## Why a drill is refused, or ended early\n\n\
         In `status.refusals` of a `ZoneDrill`, and in what `zonespread drill` prints; the first \
         in this order is `status.reason`.\n",
    );
    for reason in DrillReason::ALL {
        text.push_str(&chapter(&reason.explanation()));
    }
    text
}

fn chapter(explanation: &Explanation) -> String {
    let Explanation { word, means, helps } = explanation;
    format!("\n### {word}\n{means}\n\n**What helps:** {helps}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_says_what_it_means_and_what_helps() {
        for Explanation { word, means, helps } in Reason::ALL
            .map(Reason::explanation)
            .into_iter()
            .chain(EFFECTIVE_REASONS)
            .chain(LossReason::ALL.map(LossReason::explanation))
            .chain(Cause::ALL.map(Cause::explanation))
            .chain(DrillReason::ALL.map(DrillReason::explanation))
        {
            assert!(means.ends_with('.') && means.len() > 30, "{word}: {means}");
            assert!(helps.ends_with('.') && helps.len() > 15, "{word}: {helps}");
        }
    }

    #[test]
    fn the_document_of_reasons_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reasons.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == reasons_document(), "docs/reasons.md: run 'make manifests'");
    }
}
