//! `NodeAffinity`: node selectors, required and preferred node affinity.
//!
//! Follows `pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go` and
//! `k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go` (1.33 to 1.37).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PreferredSchedulingTerm,
};

use crate::api::ZONE_LABEL;
use crate::observe::{Labels, Node, Template, Zone};
use crate::predict::classes::node_classes::Candidates;
use crate::predict::classes::static_filters::{NodeStatics, StaticFilters};
use crate::predict::sampling::bounds::{Extremes, Range, Scored};
use crate::predict::scheduler::Scheduler;

use super::score::known_scores;

/// Why the plugin rejects the node, if it does.
pub fn filter(node: NodeStatics) -> Option<&'static str> {
    (!node.matched).then_some("node(s) didn't match Pod's node affinity/selector")
}

/// The plugin's scores: the more the node is preferred, the better.
pub fn score(statics: &StaticFilters, candidates: &Candidates, scored: Scored<'_>) -> Vec<Range> {
    let preferred = candidates.rows().map(|row| i64::from(statics.nodes[row].preference));
    known_scores(preferred, scored, Extremes::share_of_highest)
}

/// Whether the node carries the pod's node selector and matches its required affinity.
pub fn matches_required(template: &Template, node: &Node) -> bool {
    template.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value))
        && required(template)
            .is_none_or(|selector| selects(selector, &node.labels, Some(&node.name)))
}

/// Whether any term matches; a selector without terms matches nothing. Without
/// a name, what terms ask of the name is taken as given.
pub fn selects(selector: &NodeSelector, labels: &Labels, name: Option<&str>) -> bool {
    selector.node_selector_terms.iter().any(|term| term_matches(term, labels, name))
}

/// The sum of the weights of the preferred terms that match the node.
pub fn preference(template: &Template, node: &Node) -> i32 {
    preferred(template)
        .iter()
        .filter(|preferred| term_matches(&preferred.preference, &node.labels, Some(&node.name)))
        .map(|preferred| preferred.weight)
        .sum()
}

/// The labels, and [`NAME_FIELD`], that the node selector and required affinity look at.
pub fn asked_labels(template: &Template) -> impl Iterator<Item = &str> {
    let terms = required(template).into_iter().flat_map(|selector| &selector.node_selector_terms);
    let asks = terms.flat_map(|term| {
        term.match_expressions.iter().chain(&term.match_fields).flatten().map(|ask| &*ask.key)
    });
    template.node_selector.keys().map(String::as_str).chain(asks)
}

/// The only nodes that the scheduler looks at, where every required term names nodes.
pub fn named_nodes(template: &Template) -> Option<BTreeSet<&str>> {
    let terms = &required(template)?.node_selector_terms;
    let mut names = BTreeSet::new();
    for term in terms {
        let mut of_term: Option<BTreeSet<&str>> = None;
        for field in term.match_fields.iter().flatten() {
            if field.key == NAME_FIELD && field.operator == "In" {
                let wanted: BTreeSet<&str> = values(field).iter().map(String::as_str).collect();
                of_term = Some(match of_term {
                    None => wanted,
                    Some(known) => known.intersection(&wanted).copied().collect(),
                });
            }
        }
        names.extend(of_term?);
    }
    (!terms.is_empty()).then_some(names)
}

impl Scheduler<'_> {
    /// Whether pods with this template could ever be placed in `zone`: a node
    /// there matches their node selector and required node affinity, or, while it
    /// has no nodes, nothing in these speaks against the zone itself.
    #[must_use]
    pub fn may_use_zone(&self, template: &Template, zone: &Zone) -> bool {
        if self.snapshot.has_zone(zone) {
            return self.snapshot.static_filters(template).matches_in(zone);
        }
        let labels = Labels::from([(ZONE_LABEL.to_owned(), zone.as_str().to_owned())]);
        let selected =
            template.node_selector.get(ZONE_LABEL).is_none_or(|wanted| wanted == zone.as_str());
        selected
            && required(template).is_none_or(|selector| {
                selector.node_selector_terms.iter().any(|term| {
                    let mut asks = term.match_expressions.iter().flatten();
                    asks.all(|ask| ask.key != ZONE_LABEL || label_matches(ask, &labels))
                })
            })
    }
}

/// The only field of nodes that terms may ask for.
pub const NAME_FIELD: &str = "metadata.name";

fn required(template: &Template) -> Option<&NodeSelector> {
    template.node_affinity.as_ref()?.required_during_scheduling_ignored_during_execution.as_ref()
}

fn preferred(template: &Template) -> &[PreferredSchedulingTerm] {
    template
        .node_affinity
        .as_ref()
        .and_then(|affinity| {
            affinity.preferred_during_scheduling_ignored_during_execution.as_deref()
        })
        .unwrap_or_default()
}

/// An empty term matches nothing; all that a term asks for must hold.
fn term_matches(term: &NodeSelectorTerm, labels: &Labels, name: Option<&str>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|ask| label_matches(ask, labels))
        && name.is_none_or(|name| fields.iter().all(|ask| name_matches(ask, name)))
}

fn values(ask: &NodeSelectorRequirement) -> &[String] {
    ask.values.as_deref().unwrap_or_default()
}

/// An ask that the API server would not accept matches nothing.
fn label_matches(ask: &NodeSelectorRequirement, labels: &Labels) -> bool {
    let value = labels.get(&ask.key);
    let values = values(ask);
    match ask.operator.as_str() {
        "In" => value.is_some_and(|value| values.contains(value)),
        "NotIn" => !values.is_empty() && value.is_none_or(|value| !values.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared(value, values).is_some_and(|(value, bound)| value > bound),
        "Lt" => compared(value, values).is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

fn compared(value: Option<&String>, values: &[String]) -> Option<(i64, i64)> {
    let [bound] = values else {
        return None;
    };
    Some((value?.parse().ok()?, bound.parse().ok()?))
}

/// Fields know `metadata.name`, In and `NotIn`, with exactly one value.
fn name_matches(ask: &NodeSelectorRequirement, name: &str) -> bool {
    let [value] = values(ask) else {
        return false;
    };
    let known = if ask.key == NAME_FIELD { name } else { "" };
    match ask.operator.as_str() {
        "In" => value == known,
        "NotIn" => value != known,
        _ => false,
    }
}
