//! What a zone's nodes look like: whether new pods can start on them.

use std::collections::BTreeMap;

use crate::observe::object::node::Node;
use crate::observe::object::taint::TaintEffect;
use crate::observe::value::zone::Zone;

/// Why a node, or most bad nodes of a zone, cannot take pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ZoneReason {
    /// The kubelet does not report Ready.
    NotReady,
    /// Cordoned, or being deleted.
    Cordoned,
    /// A `NoSchedule` or `NoExecute` taint.
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

/// The nodes of a zone, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneCondition {
    /// All nodes.
    pub nodes: usize,
    /// Nodes on which new pods can start.
    pub usable: usize,
    /// Why most of the other nodes are unusable.
    pub reason: Option<ZoneReason>,
}

/// Taints that mark a dedicated pool, not an unhealthy node. A trailing `/`
/// stands for every key with that prefix.
pub const DEFAULT_ALLOWED_TAINTS: [&str; 8] = [
    "dedicated",
    "nvidia.com/gpu",
    "amd.com/gpu",
    "eks.amazonaws.com/compute-type",
    "kubernetes.azure.com/scalesetpriority",
    "cloud.google.com/gke-spot",
    "kubernetes.io/arch",
    "node.kubernetes.io/windows",
];

/// Nodes with these taints run the control plane: they are no part of a zone's health.
const CONTROL_PLANE_TAINTS: [&str; 2] =
    ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// At this share of bad nodes, in percent, the cluster is unstable.
const NODES_PERCENT: usize = 20;

/// Why new pods cannot start on `node`, if they cannot.
#[must_use]
pub fn unusable(node: &Node, allowed_taints: &[String]) -> Option<ZoneReason> {
    if !node.ready {
        Some(ZoneReason::NotReady)
    } else if node.unschedulable || node.deleting {
        Some(ZoneReason::Cordoned)
    } else if node.taints.iter().any(|taint| {
        taint.effect != TaintEffect::PreferNoSchedule && !is_allowed(&taint.key, allowed_taints)
    }) {
        Some(ZoneReason::Tainted)
    } else {
        None
    }
}

fn is_allowed(key: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|known| {
        if known.ends_with('/') { key.starts_with(known.as_str()) } else { key == known }
    })
}

fn runs_control_plane(node: &Node) -> bool {
    node.taints.iter().any(|taint| CONTROL_PLANE_TAINTS.contains(&&*taint.key))
}

/// The nodes of every zone, counted. Nodes without a zone, and those of the
/// control plane, are left out.
#[must_use]
pub fn zone_conditions<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    allowed_taints: &[String],
) -> BTreeMap<Zone, ZoneCondition> {
    let mut ailments: BTreeMap<Zone, (ZoneCondition, BTreeMap<ZoneReason, usize>)> =
        BTreeMap::new();
    for node in nodes {
        let Some(zone) = node.zone.as_ref().filter(|_| !runs_control_plane(node)) else {
            continue;
        };
        let (condition, reasons) = ailments.entry(zone.clone()).or_default();
        condition.nodes += 1;
        match unusable(node, allowed_taints) {
            None => condition.usable += 1,
            Some(reason) => *reasons.entry(reason).or_default() += 1,
        }
    }
    ailments
        .into_iter()
        .map(|(zone, (mut condition, reasons))| {
            condition.reason =
                reasons.into_iter().max_by_key(|(_, count)| *count).map(|(reason, _)| reason);
            (zone, condition)
        })
        .collect()
}

/// Whether too many nodes are bad, given how many each zone has and how many
/// of these are usable. Without counts: they change with every node, and this is in many
/// statuses.
#[must_use]
pub fn unstable_nodes(zones: impl Iterator<Item = (usize, usize)>) -> Option<String> {
    let (nodes, usable) = zones.fold((0, 0), |sum, zone| (sum.0 + zone.0, sum.1 + zone.1));
    let bad = nodes - usable;
    (bad > 0 && bad * 100 >= nodes * NODES_PERCENT)
        .then(|| format!("at least {NODES_PERCENT} % of the nodes are not usable: nothing is evicted anywhere until fewer are (`kubectl get nodes` shows them)"))
}
