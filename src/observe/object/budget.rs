//! Pod disruption budgets, as their controller reports them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::Resource;
use kube::core::Selector;
use serde::Deserialize;

use super::interner::Interner;
use crate::observe::policy::selector_index::{RequiredLabel, required_labels};
use crate::observe::value::name::{Labels, Name};

/// The watched part of a `PodDisruptionBudget`.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::policy::v1::PodDisruptionBudget)]
pub struct WatchedBudget {
    /// Name and namespace.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedBudgetSpec,
    #[serde(default)]
    status: WatchedBudgetStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedBudgetSpec {
    selector: Option<LabelSelector>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedBudgetStatus {
    disruptions_allowed: Option<i32>,
    observed_generation: Option<i64>,
}

/// A pod disruption budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// Which pods it protects; none is no pod.
    pub selector: Option<Selector>,
    /// How many evictions it allows now; 0 while its controller has not looked.
    pub allowed: i32,
    /// What its pods are found by.
    pub(in crate::observe) required_label: Option<RequiredLabel>,
}

impl Budget {
    /// The budget that `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedBudget, interner: &mut Interner) -> Self {
        let WatchedBudget { metadata, spec, status } = watched;
        let looked = status.observed_generation >= metadata.generation;
        Self {
            namespace: interner.name(metadata.namespace.as_deref().unwrap_or_default()),
            name: interner.name(metadata.name.as_deref().unwrap_or_default()),
            required_label: spec
                .selector
                .as_ref()
                .and_then(|selector| required_labels(selector).next()),
            selector: spec.selector.and_then(|selector| Selector::try_from(selector).ok()),
            allowed: if looked { status.disruptions_allowed.unwrap_or_default() } else { 0 },
        }
    }

    /// Whether it protects pods with these labels.
    #[must_use]
    pub fn protects(&self, labels: &Labels) -> bool {
        use kube::core::SelectorExt;
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}
