//! Taints of nodes, and what of them pods bear.

use k8s_openapi::api::core::v1::Toleration as ApiToleration;

use crate::api::DRILL;
use crate::observe::value::name::Name;

/// A taint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// Its key.
    pub key: Name,
    /// Its value; empty is none.
    pub value: Name,
    /// What it does.
    pub effect: TaintEffect,
}

/// Conditions of a node that Kubernetes shows as taints
/// (`k8s.io/api/core/v1/well_known_taints.go`, 1.37).
const CONDITIONS: [&str; 8] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.kubernetes.io/out-of-service",
];

/// Karpenter removes the node: it drains it first.
pub(super) const DISRUPTED: &str = "karpenter.sh/disrupted";

/// What autoscalers say of nodes that come or go. Karpenter before 1.0 wrote `disruption`.
const AUTOSCALERS: [&str; 4] = [
    DISRUPTED,
    "karpenter.sh/disruption",
    "karpenter.sh/unregistered",
    "ToBeDeletedByClusterAutoscaler",
];

/// Those of them that say that the node is being removed: drained first, then deleted.
const REMOVALS: [&str; 3] =
    [DISRUPTED, "karpenter.sh/disruption", "ToBeDeletedByClusterAutoscaler"];

/// The cloud's own, taints of nodes that are still starting (cluster-autoscaler's three
/// prefixes), and ours.
const FAULT_PREFIXES: [&str; 5] = [
    "node.cloudprovider.kubernetes.io/",
    "startup-taint.cluster-autoscaler.kubernetes.io/",
    "status-taint.cluster-autoscaler.kubernetes.io/",
    "ignore-taint.cluster-autoscaler.kubernetes.io/",
    "zonespread.io/",
];

/// What network and storage agents take away once they run, such as
/// `node.cilium.io/agent-not-ready` and `ebs.csi.aws.com/agent-not-ready`.
const AGENT_NOT_READY: &str = "/agent-not-ready";

impl Taint {
    /// Whether it keeps away new pods that do not bear it.
    #[must_use]
    pub fn keeps_away(&self) -> bool {
        self.effect != TaintEffect::PreferNoSchedule
    }

    /// Whether it says that the node cannot take pods now, whoever may bear it. What any
    /// other taint says, only its history tells.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        let key = &*self.key;
        self.keeps_away()
            && (CONDITIONS.contains(&key)
                || AUTOSCALERS.contains(&key)
                || FAULT_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
                || key.ends_with(AGENT_NOT_READY))
    }
}

impl Taint {
    /// Whether a drill has put it there: it keeps pods away, and says nothing of the node.
    #[must_use]
    pub fn is_drill(&self) -> bool {
        &*self.key == DRILL
    }
}

/// Whether a taint with this key says that an autoscaler is removing the node.
#[must_use]
pub fn is_removal(key: &str) -> bool {
    REMOVALS.contains(&key)
}

/// What a taint does to pods that do not bear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaintEffect {
    /// Keeps new pods away.
    NoSchedule,
    /// Makes the scheduler prefer other nodes.
    PreferNoSchedule,
    /// Keeps new pods away and evicts those that run.
    NoExecute,
}

impl TaintEffect {
    /// The effect, from its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "NoSchedule" => Some(Self::NoSchedule),
            "PreferNoSchedule" => Some(Self::PreferNoSchedule),
            "NoExecute" => Some(Self::NoExecute),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// A taint that a pod bears.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// The taint's key; none is every key.
    pub key: Option<Name>,
    /// The taint's value; none is every value (operator Exists).
    pub value: Option<Name>,
    /// The effect; none is every effect.
    pub effect: Option<TaintEffect>,
    /// For how long it bears `NoExecute` on the node that it is on; none is for ever.
    pub seconds: Option<i64>,
}

impl Toleration {
    /// None for the operators Lt and Gt, which the scheduler ignores unless an
    /// alpha feature is on (`k8s.io/api/core/v1/toleration.go`, 1.37).
    pub(in crate::observe) fn of(toleration: ApiToleration) -> Option<Self> {
        let value = match toleration.operator.as_deref().unwrap_or_default() {
            "" | "Equal" => Some(Name::from(toleration.value.unwrap_or_default())),
            "Exists" => None,
            _ => return None,
        };
        Some(Self {
            key: toleration.key.filter(|key| !key.is_empty()).map(Name::from),
            value,
            effect: toleration.effect.as_deref().and_then(TaintEffect::parse),
            seconds: toleration.toleration_seconds,
        })
    }

    /// Whether it bears `taint` (`k8s.io/api/core/v1/toleration.go`, 1.37).
    #[must_use]
    pub fn bears(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn taint(key: &str, effect: TaintEffect) -> Taint {
        Taint { key: Name::from(key), value: Name::from(""), effect }
    }

    #[rstest]
    #[case("node.kubernetes.io/unreachable", true)]
    #[case("node.cloudprovider.kubernetes.io/uninitialized", true)]
    #[case("karpenter.sh/unregistered", true)]
    #[case("ToBeDeletedByClusterAutoscaler", true)]
    #[case("startup-taint.cluster-autoscaler.kubernetes.io/gpu-driver", true)]
    #[case("node.cilium.io/agent-not-ready", true)]
    #[case("CriticalAddonsOnly", false)]
    #[case("node.kubernetes.io/os", false)]
    #[case("node-role.kubernetes.io/control-plane", false)]
    #[case("eks.amazonaws.com/compute-type", false)]
    #[case("maintenance", false)]
    fn some_keys_say_what_they_mean(#[case] key: &str, #[case] is_fault: bool) {
        assert_eq!(taint(key, TaintEffect::NoSchedule).is_fault(), is_fault);
        assert_eq!(taint(key, TaintEffect::NoExecute).is_fault(), is_fault);
        // A preference keeps nobody away.
        assert!(!taint(key, TaintEffect::PreferNoSchedule).is_fault());
    }
}
