//! Taints of nodes, and what of them pods bear.

use k8s_openapi::api::core::v1::Toleration as ApiToleration;

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
