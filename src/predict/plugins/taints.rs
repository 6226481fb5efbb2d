//! `NodeUnschedulable` and `TaintToleration`.
//!
//! Follow `pkg/scheduler/framework/plugins/nodeunschedulable/node_unschedulable.go`
//! and `.../tainttoleration/taint_toleration.go` (1.37).

use crate::observe::{Name, Node, Taint, TaintEffect, Template, Toleration};

/// Whether the node is cordoned and the pod does not bear it.
pub fn cordoned(template: &Template, node: &Node) -> bool {
    node.unschedulable
        && !is_borne(
            &Taint {
                key: Name::from("node.kubernetes.io/unschedulable"),
                value: Name::from(""),
                effect: TaintEffect::NoSchedule,
            },
            &template.tolerations,
        )
}

/// Whether the pod bears every taint that keeps pods away.
pub fn tolerated(template: &Template, node: &Node) -> bool {
    first_untolerated(template, node).is_none()
}

/// The taint that keeps the pod away.
pub fn first_untolerated<'n>(template: &Template, node: &'n Node) -> Option<&'n Taint> {
    node.taints.iter().find(|taint| {
        taint.effect != TaintEffect::PreferNoSchedule && !is_borne(taint, &template.tolerations)
    })
}

/// Taints that the pod would rather avoid.
pub fn avoided<'n>(template: &'n Template, node: &'n Node) -> impl Iterator<Item = &'n Taint> {
    node.taints.iter().filter(|taint| {
        taint.effect == TaintEffect::PreferNoSchedule && !is_borne(taint, &template.tolerations)
    })
}

fn is_borne(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations.iter().any(|toleration| toleration.bears(taint))
}
