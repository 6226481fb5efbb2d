//! The nodes that a tier may use, as a decision saw them.

use std::collections::BTreeMap;

use crate::observe::{Name, Node, NodeFault, Taint};

/// The nodes that a tier may use, by name, and the taints on them that did no harm then:
/// borne by the tier's pods, or a pool's on a node that still runs some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EligibleNodes(BTreeMap<Name, Box<[Taint]>>);

impl EligibleNodes {
    /// These nodes, each with the taints that do no harm.
    pub fn new(nodes: impl IntoIterator<Item = (Name, Vec<Taint>)>) -> Self {
        Self(nodes.into_iter().map(|(node, taints)| (node, taints.into())).collect())
    }

    /// Whether a node is one of them.
    #[must_use]
    pub fn has(&self, node: &str) -> bool {
        self.0.contains_key(node)
    }

    /// What keeps new pods of the tier off a node as it is now: a fault, or a taint that it
    /// did not have.
    #[must_use]
    pub fn fault(&self, node: &Node) -> Option<NodeFault> {
        let known = self.0.get(&node.name).map_or(&[][..], |taints| taints);
        NodeFault::of(node).or_else(|| {
            let mut taints = node.taints.iter().filter(|taint| taint.keeps_away());
            let taint = taints.find(|taint| !known.contains(taint))?;
            Some(NodeFault::tainted(Name::clone(&taint.key)))
        })
    }
}
