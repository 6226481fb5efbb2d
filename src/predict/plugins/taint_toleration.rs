//! `TaintToleration`: taints that keep pods away, and those that they would rather avoid.
//!
//! Follows `pkg/scheduler/framework/plugins/tainttoleration/taint_toleration.go` (1.33 to 1.37).

use crate::observe::{Node, Taint, TaintEffect, Template, Toleration};
use crate::predict::classes::node_classes::Candidates;
use crate::predict::classes::static_filters::{NodeStatics, StaticFilters};
use crate::predict::sampling::bounds::{Extremes, Range, Scored};

use super::score::known_scores;

/// Whether the pod tolerates every taint that keeps pods away.
pub fn tolerates_all(template: &Template, node: &Node) -> bool {
    first_untolerated(template, node).is_none()
}

/// The taint that keeps the pod away.
fn first_untolerated<'n>(template: &Template, node: &'n Node) -> Option<&'n Taint> {
    node.taints.iter().find(|taint| {
        taint.effect != TaintEffect::PreferNoSchedule && !is_tolerated(taint, &template.tolerations)
    })
}

/// Taints that the pod would rather avoid.
pub fn avoided<'n>(template: &'n Template, node: &'n Node) -> impl Iterator<Item = &'n Taint> {
    node.taints.iter().filter(|taint| {
        taint.effect == TaintEffect::PreferNoSchedule && !is_tolerated(taint, &template.tolerations)
    })
}

/// Whether any of the tolerations is for this taint.
pub fn is_tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| toleration.bears(taint))
}

/// Why the plugin rejects the node, if it does.
pub fn filter(node: NodeStatics) -> Option<&'static str> {
    (!node.tolerated).then_some("node(s) had untolerated taint(s)")
}

/// The same with the taint, in the scheduler's words.
pub fn details(template: &Template, node: &Node) -> Option<String> {
    let taint = first_untolerated(template, node)?;
    Some(format!("node(s) had untolerated taint(s) {{{}: {}}}", taint.key, taint.value))
}

/// What took points from the node.
pub fn note(template: &Template, node: &Node) -> Option<String> {
    let taint = avoided(template, node).next()?;
    let effect = TaintEffect::PreferNoSchedule.as_str();
    Some(if taint.value.is_empty() {
        format!("untolerated taint {}:{effect}", taint.key)
    } else {
        format!("untolerated taint {}={}:{effect}", taint.key, taint.value)
    })
}

/// The plugin's scores: the fewer taints to be avoided, the better.
pub fn score(statics: &StaticFilters, candidates: &Candidates, scored: Scored<'_>) -> Vec<Range> {
    let avoided = candidates.rows().map(|row| i64::from(statics.nodes[row].avoided_taints));
    known_scores(avoided, scored, Extremes::reversed_share_of_highest)
}
