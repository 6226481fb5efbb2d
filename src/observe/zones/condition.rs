//! What a zone's nodes look like: whether new pods can start on them.

use std::collections::BTreeMap;

use crate::observe::object::node::Node;
use crate::observe::object::taint::is_removal;
use crate::observe::value::name::Name;
use crate::observe::value::zone::Zone;

use super::taints::RecentTaints;

/// Why a node, or most bad nodes of a zone, cannot take pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ZoneReason {
    /// The kubelet does not report Ready.
    NotReady,
    /// Cordoned, or being deleted.
    Cordoned,
    /// A taint that is no pool's.
    Tainted,
    /// No nodes at all.
    NoNodes,
}

impl ZoneReason {
    /// The word users see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotReady => "NotReady",
            Self::Cordoned => "Cordoned",
            Self::Tainted => "Tainted",
            Self::NoNodes => "NoNodes",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::NotReady, Self::Cordoned, Self::Tainted, Self::NoNodes]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// What keeps new pods off a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeFault {
    /// In a word.
    pub reason: ZoneReason,
    /// The key of the taint.
    pub taint: Option<Name>,
}

impl NodeFault {
    /// A taint with this key.
    #[must_use]
    pub const fn tainted(key: Name) -> Self {
        Self { reason: ZoneReason::Tainted, taint: Some(key) }
    }

    /// What is wrong with a node, whoever asks; pool taints and those that appeared lately
    /// are not looked at.
    #[must_use]
    pub fn of(node: &Node) -> Option<Self> {
        if !node.ready {
            Some(Self { reason: ZoneReason::NotReady, taint: None })
        } else if let Some(removal) = node.removal() {
            Some(Self::tainted(removal))
        } else if node.unschedulable || node.deleting {
            Some(Self { reason: ZoneReason::Cordoned, taint: None })
        } else {
            let fault = node.taints.iter().find(|taint| taint.is_fault() && !taint.is_drill());
            fault.map(|taint| Self::tainted(Name::clone(&taint.key)))
        }
    }
}

impl NodeFault {
    /// Whether an autoscaler removes the node, and the node works.
    fn is_removal(&self) -> bool {
        self.taint.as_deref().is_some_and(is_removal)
    }
}

impl std::fmt::Display for NodeFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.taint {
            Some(key) => write!(f, "{}: {key}", self.reason.as_str()),
            None => f.pad(self.reason.as_str()),
        }
    }
}

/// The nodes of a zone, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneCondition {
    /// All nodes.
    pub nodes: usize,
    /// Nodes on which new pods can start.
    pub usable: usize,
    /// Of the others, those that work and that an autoscaler removes in order: they say
    /// nothing of the zone's health.
    pub leaving: usize,
    /// Why most of the other nodes are unusable.
    pub fault: Option<NodeFault>,
}

impl ZoneCondition {
    /// A zone without nodes.
    #[must_use]
    pub const fn without_nodes() -> Self {
        let fault = NodeFault { reason: ZoneReason::NoNodes, taint: None };
        Self { nodes: 0, usable: 0, leaving: 0, fault: Some(fault) }
    }
}

/// Counts nodes.
#[derive(Clone, Debug, Default)]
pub struct ConditionCount {
    nodes: usize,
    usable: usize,
    faults: BTreeMap<NodeFault, usize>,
}

impl ConditionCount {
    /// Some nodes, and what they have in common.
    pub fn add(&mut self, nodes: usize, fault: Option<&NodeFault>) {
        self.nodes += nodes;
        match fault {
            None => self.usable += nodes,
            Some(fault) => *self.faults.entry(fault.clone()).or_default() += nodes,
        }
    }

    /// All of them.
    #[must_use]
    pub fn condition(self) -> ZoneCondition {
        let leaving = self.faults.iter().filter(|(fault, _)| fault.is_removal());
        let leaving = leaving.map(|(_, nodes)| *nodes).sum();
        let fault = self.faults.into_iter().max_by_key(|(_, nodes)| *nodes).map(|(fault, _)| fault);
        ZoneCondition { nodes: self.nodes, usable: self.usable, leaving, fault }
    }
}

/// At this share of bad nodes, in percent, the cluster is unstable.
const NODES_PERCENT: usize = 20;

/// The nodes of every zone, counted: the cluster's record. A pool's taint is no fault.
/// Nodes without a zone, virtual ones, and those of the control plane, are left out.
#[must_use]
pub fn zone_conditions<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    recent: &RecentTaints,
) -> BTreeMap<Zone, ZoneCondition> {
    let mut counts: BTreeMap<Zone, ConditionCount> = BTreeMap::new();
    for node in nodes {
        let is_counted = !node.runs_control_plane() && !node.is_virtual();
        let Some(zone) = node.zone.as_ref().filter(|_| is_counted) else { continue };
        let fault = NodeFault::of(node).or_else(|| {
            let taint = recent.on(&node.name).first()?;
            Some(NodeFault::tainted(Name::clone(&taint.key)))
        });
        match counts.get_mut(zone) {
            Some(count) => count.add(1, fault.as_ref()),
            None => counts.entry(zone.clone()).or_default().add(1, fault.as_ref()),
        }
    }
    counts.into_iter().map(|(zone, count)| (zone, count.condition())).collect()
}

/// Whether too many nodes are bad, given how many each zone has and how many
/// of these are usable. Without counts: they change with every node, and this is in many
/// statuses.
#[must_use]
pub fn unstable_nodes(zones: impl Iterator<Item = (usize, usize)>) -> Option<String> {
    let (nodes, usable) = zones.fold((0, 0), |sum, zone| (sum.0 + zone.0, sum.1 + zone.1));
    let bad = nodes - usable;
    (bad > 0 && bad * 100 >= nodes * NODES_PERCENT)
        .then(|| format!("at least {NODES_PERCENT} % of the nodes that the tier may use are bad: nothing of it is evicted until fewer are (`kubectl get nodes` shows them)"))
}
