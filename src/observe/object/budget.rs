//! Pod disruption budgets, as their controller reports them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Resource;
use kube::core::Selector;
use serde::Deserialize;

use super::interner::Interner;
use crate::api::text::cut;
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
#[serde(rename_all = "camelCase", default)]
struct WatchedBudgetSpec {
    selector: Option<LabelSelector>,
    min_available: Option<IntOrString>,
    max_unavailable: Option<IntOrString>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedBudgetStatus {
    disruptions_allowed: Option<i32>,
    observed_generation: Option<i64>,
    current_healthy: Option<i32>,
    desired_healthy: Option<i32>,
    expected_pods: Option<i32>,
    conditions: Vec<Condition>,
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
    /// Why it allows none, in its own words; empty if it allows some.
    pub why: Name,
    /// Whether it allows none though all of its pods are healthy.
    pub never_allows: bool,
    /// How many Ready pods it lacks; one more than it asks for is one that may be evicted.
    pub lacking: i32,
    /// What its pods are found by.
    pub(in crate::observe) required_label: Option<RequiredLabel>,
}

/// How many of its messages' bytes are shown.
const SHOWN: usize = 200;

/// Why a budget allows no eviction: by its own fields and its controller's words.
fn why(spec: &WatchedBudgetSpec, status: &WatchedBudgetStatus, looked: bool) -> String {
    let failed = status.conditions.iter().find(|condition| {
        condition.type_ == "DisruptionAllowed"
            && condition.status == "False"
            && condition.reason == "SyncFailed"
    });
    if let Some(failed) = failed {
        return format!(
            "its controller cannot count its pods (SyncFailed: {}): mend that, or no eviction is ever allowed",
            cut(&failed.message, SHOWN)
        );
    }
    if !looked {
        return "its controller has not looked at it yet: if that lasts, look at kube-controller-manager".to_owned();
    }
    let value = |value: &IntOrString| match value {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    };
    let [healthy, desired, expected] =
        [status.current_healthy, status.desired_healthy, status.expected_pods]
            .map(Option::unwrap_or_default);
    let (field, remedy) = match (&spec.min_available, &spec.max_unavailable) {
        (Some(least), _) => (format!("minAvailable {}", value(least)), "lower it or add a replica"),
        (None, Some(most)) => (format!("maxUnavailable {}", value(most)), "raise it"),
        (None, None) => ("neither minAvailable nor maxUnavailable".to_owned(), "set one"),
    };
    let remedy = if healthy < expected && desired < expected {
        "it allows some again once all of its pods are healthy"
    } else {
        remedy
    };
    format!("{field}, {healthy} of {expected} pods are healthy and {desired} must be: {remedy}")
}

impl Budget {
    /// The budget that `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedBudget, interner: &mut Interner) -> Self {
        let WatchedBudget { metadata, spec, status } = watched;
        let looked = status.observed_generation >= metadata.generation;
        let allowed = if looked { status.disruptions_allowed.unwrap_or_default() } else { 0 };
        let why = if allowed > 0 { String::new() } else { why(&spec, &status, looked) };
        Self {
            namespace: interner.name(metadata.namespace.as_deref().unwrap_or_default()),
            name: interner.name(metadata.name.as_deref().unwrap_or_default()),
            required_label: spec
                .selector
                .as_ref()
                .and_then(|selector| required_labels(selector).next()),
            selector: spec.selector.and_then(|selector| Selector::try_from(selector).ok()),
            lacking: (status.desired_healthy.unwrap_or_default()
                - status.current_healthy.unwrap_or_default())
            .max(0),
            allowed,
            never_allows: looked
                && allowed <= 0
                && status.expected_pods.is_some_and(|expected| expected > 0)
                && status.current_healthy >= status.expected_pods,
            why: interner.name(&why),
        }
    }

    /// Whether it protects pods with these labels.
    #[must_use]
    pub fn protects(&self, labels: &Labels) -> bool {
        use kube::core::SelectorExt;
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn status(healthy: i32, desired: i32, expected: i32) -> Value {
        json!({"disruptionsAllowed": 0, "observedGeneration": 1, "currentHealthy": healthy,
               "desiredHealthy": desired, "expectedPods": expected})
    }

    #[rstest]
    #[case(json!({"minAvailable": 6}), status(6, 6, 6), "minAvailable 6, 6 of 6 pods are healthy and 6 must be: lower it or add a replica")]
    #[case(json!({"minAvailable": "100%"}), status(3, 3, 3), "minAvailable 100%, 3 of 3 pods are healthy and 3 must be: lower it or add a replica")]
    #[case(json!({"maxUnavailable": 0}), status(3, 3, 3), "maxUnavailable 0, 3 of 3 pods are healthy and 3 must be: raise it")]
    #[case(json!({"maxUnavailable": 1}), status(2, 2, 3), "maxUnavailable 1, 2 of 3 pods are healthy and 2 must be: it allows some again once all of its pods are healthy")]
    #[case(json!({"maxUnavailable": 1}), json!({}), "its controller has not looked at it yet: if that lasts, look at kube-controller-manager")]
    fn a_budget_that_allows_no_eviction_says_why(
        #[case] spec: Value,
        #[case] status: Value,
        #[case] why: &str,
    ) {
        let watched = json!({"metadata": {"name": "web", "namespace": "shop", "generation": 1},
                             "spec": spec, "status": status});
        let budget =
            Budget::new(serde_json::from_value(watched).unwrap(), &mut Interner::default());
        assert_eq!((&*budget.why, budget.allowed), (why, 0));
        assert_eq!(budget.never_allows, why.contains("lower it") || why.contains("raise it"));
    }

    #[test]
    fn a_budget_that_never_syncs_says_why_from_its_condition() {
        let condition = json!({"type": "DisruptionAllowed", "status": "False", "reason": "SyncFailed",
            "message": "found no controller ref for pod \"bare\"", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let watched = json!({"metadata": {"name": "web", "generation": 1},
            "status": {"observedGeneration": 1, "conditions": [condition]}});
        let budget =
            Budget::new(serde_json::from_value(watched).unwrap(), &mut Interner::default());
        assert!(
            budget.why.contains("SyncFailed: found no controller ref for pod \"bare\""),
            "{}",
            budget.why
        );
    }
}
