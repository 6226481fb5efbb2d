//! Steering: a preferred term of node affinity, and a toleration, that `deploy/steering` adds to
//! new pods while their tier has moves. They are none of the workload's own: the next pod has
//! them only if it is steered as well. So they are taken off a pod that is read, and are put
//! onto one that is awaited.

use k8s_openapi::api::core::v1::{
    NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PreferredSchedulingTerm,
};

use crate::api::{STEERED, ZONE_LABEL};
use crate::observe::value::name::Name;
use crate::observe::value::zone::Zone;

use super::taint::{TaintEffect, Toleration};
use super::template::Template;

/// The taint (`PreferNoSchedule`) of nodes that cluster-autoscaler may remove since they are empty.
pub const EMPTY_NODE: &str = "DeletionCandidateOfClusterAutoscaler";

/// What a term of steering weighs: the most that the API allows.
const WEIGHT: i32 = 100;

/// The term that `deploy/steering` adds.
fn term(zone: &Zone) -> PreferredSchedulingTerm {
    let requirement = |key: &str, operator: &str, values: Option<Vec<String>>| {
        NodeSelectorRequirement { key: key.to_owned(), operator: operator.to_owned(), values }
    };
    let expressions = vec![
        requirement(ZONE_LABEL, "In", Some(vec![zone.to_string()])),
        requirement(STEERED, "DoesNotExist", None),
    ];
    PreferredSchedulingTerm {
        weight: WEIGHT,
        preference: NodeSelectorTerm {
            match_expressions: Some(expressions),
            ..NodeSelectorTerm::default()
        },
    }
}

fn steers(term: &PreferredSchedulingTerm) -> bool {
    term.preference.match_expressions.iter().flatten().any(|ask| ask.key == STEERED)
}

/// The toleration that it adds: of the taint that cluster-autoscaler puts on empty nodes,
/// which the zone has too many of. It takes 300 points, more than a preference gives.
fn toleration() -> Toleration {
    Toleration {
        key: Some(Name::from(EMPTY_NODE)),
        value: None,
        effect: Some(TaintEffect::PreferNoSchedule),
        seconds: None,
    }
}

impl Template {
    /// The same, steered to a zone.
    #[must_use]
    pub fn steered_to(&self, zone: &Zone) -> Self {
        let mut steered = self.clone();
        let affinity = steered.node_affinity.get_or_insert_default();
        let preferred =
            affinity.preferred_during_scheduling_ignored_during_execution.get_or_insert_default();
        preferred.push(term(zone));
        steered.tolerations.push(toleration());
        steered
    }

    /// Takes off what steering has added.
    pub(super) fn take_off_steering(&mut self) {
        let Some(affinity) = &mut self.node_affinity else { return };
        let preferred = &mut affinity.preferred_during_scheduling_ignored_during_execution;
        let Some(terms) = preferred else { return };
        let before = terms.len();
        terms.retain(|term| !steers(term));
        if terms.len() == before {
            return;
        }
        if terms.is_empty() {
            *preferred = None;
        }
        if *affinity == NodeAffinity::default() {
            self.node_affinity = None;
        }
        let added = toleration();
        if let Some(at) = self.tolerations.iter().rposition(|known| *known == added) {
            self.tolerations.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixtures::pod;
    use serde_json::json;

    #[test]
    fn steering_is_no_part_of_what_a_pod_asks_for() {
        let own: NodeAffinity = serde_json::from_value(json!({
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 7, "preference": {"matchExpressions": [
                    {"key": "disk", "operator": "Exists"}]}}]}))
        .unwrap();
        let required: NodeAffinity = serde_json::from_value(json!({
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}}))
        .unwrap();
        for affinity in [None, Some(own), Some(required)] {
            for tolerations in [vec![], vec![toleration()]] {
                let node_affinity = affinity.clone();
                let own = Template { node_affinity, tolerations, ..Template::default() };
                let mut steered = own.steered_to(&Zone::new("c"));
                assert_ne!(steered.node_affinity, affinity);
                steered.take_off_steering();
                assert_eq!(steered, own);
            }
        }
    }

    #[test]
    fn what_a_policy_added_to_a_pod_is_not_read() {
        let steered = pod("web-1").tolerates(EMPTY_NODE, "PreferNoSchedule").spec(
            "affinity",
            json!({"nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {
                "matchExpressions": [
                    {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["c"]},
                    {"key": "zonespread.io/steered", "operator": "DoesNotExist"}]}}]}}),
        );
        assert_eq!(steered.build().template, pod("web-1").build().template);
    }
}
