//! `NodeUnschedulable`: cordoned nodes.
//!
//! Follows `pkg/scheduler/framework/plugins/nodeunschedulable/node_unschedulable.go` (1.33 to 1.37).

use crate::observe::{Name, Node, Taint, TaintEffect, Template};
use crate::predict::classes::static_filters::NodeStatics;

use super::taint_toleration::is_tolerated;

/// Whether the node is cordoned and the pod does not tolerate it.
pub fn is_cordoned(template: &Template, node: &Node) -> bool {
    node.unschedulable
        && !is_tolerated(
            &Taint {
                key: Name::from("node.kubernetes.io/unschedulable"),
                value: Name::from(""),
                effect: TaintEffect::NoSchedule,
            },
            &template.tolerations,
        )
}

/// Why the plugin rejects the node, if it does.
pub fn filter(node: NodeStatics) -> Option<&'static str> {
    node.cordoned.then_some("node(s) were unschedulable")
}
