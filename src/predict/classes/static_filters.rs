//! What nodes and a pod are to each other, whichever pods are there: taints, the
//! node selector and node affinity. Most workloads ask for the same.

use k8s_openapi::api::core::v1::NodeAffinity;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::observe::{Labels, Template, Toleration, Zone};

use crate::predict::plugins::{node_affinity, node_unschedulable, taint_toleration};
use crate::predict::snapshot::NodeRow;

/// What the nodes and pods with such a template are to each other.
#[derive(Debug)]
pub struct StaticFilters {
    node_selector: Labels,
    node_affinity: Option<NodeAffinity>,
    tolerations: Vec<Toleration>,
    /// By row.
    pub nodes: Vec<NodeStatics>,
    /// By row: those with one number are the same to such pods.
    pub kinds: Vec<u32>,
    /// Zones with a node that matches the node selector and required affinity.
    zones: FxHashSet<Zone>,
    /// Whether all nodes match the node selector and required affinity.
    pub all_matched: bool,
    /// Whether such pods bear all nodes' taints.
    pub all_tolerated: bool,
    /// The first node that could take the pod and cannot be read, and why.
    pub unreadable: Option<String>,
}

/// What a node and a pod are to each other, whichever pods are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeStatics {
    /// The node is cordoned, and the pod does not bear it.
    pub cordoned: bool,
    /// The pod bears the node's taints.
    pub tolerated: bool,
    /// The node matches the pod's node selector and required affinity.
    pub matched: bool,
    /// Taints that the pod would rather avoid.
    pub avoided_taints: i32,
    /// Weights of the node affinity that the node matches.
    pub preference: i32,
}

impl NodeStatics {
    /// Whether nothing that never changes keeps the pod away.
    pub fn is_open(self) -> bool {
        node_unschedulable::filter(self).is_none()
            && taint_toleration::filter(self).is_none()
            && node_affinity::filter(self).is_none()
    }
}

impl StaticFilters {
    pub fn new(rows: &[NodeRow], template: &Template) -> Self {
        let nodes: Vec<NodeStatics> = rows
            .iter()
            .map(|row| NodeStatics {
                cordoned: node_unschedulable::is_cordoned(template, &row.node),
                tolerated: taint_toleration::tolerates_all(template, &row.node),
                matched: node_affinity::matches_required(template, &row.node),
                avoided_taints: taint_toleration::avoided(template, &row.node)
                    .count()
                    .try_into()
                    .unwrap_or(i32::MAX),
                preference: node_affinity::preference(template, &row.node),
            })
            .collect();
        let mut numbers: FxHashMap<NodeStatics, u32> = FxHashMap::default();
        let kinds = nodes
            .iter()
            .map(|node| {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                *numbers.entry(*node).or_insert(next)
            })
            .collect();
        let matched = rows.iter().zip(&nodes).filter(|(_, node)| node.matched);
        let mut zones: FxHashSet<Zone> = FxHashSet::default();
        for zone in matched.filter_map(|(row, _)| row.node.zone.as_ref()) {
            if !zones.contains(zone) {
                zones.insert(zone.clone());
            }
        }
        let unreadable = rows.iter().zip(&nodes).find_map(|(row, node)| {
            let field = row.node.unreadable.as_ref().filter(|_| node.is_open())?;
            Some(format!("node {} cannot be read: {field}", row.node.name))
        });
        Self {
            node_selector: template.node_selector.clone(),
            node_affinity: template.node_affinity.clone(),
            tolerations: template.tolerations.clone(),
            kinds,
            zones,
            all_matched: nodes.iter().all(|node| node.matched),
            all_tolerated: nodes.iter().all(|node| node.tolerated),
            unreadable,
            nodes,
        }
    }

    /// Whether a node of the zone matches the node selector and required affinity.
    pub fn matches_in(&self, zone: &Zone) -> bool {
        self.zones.contains(zone)
    }

    /// Whether pods with this template ask the same of nodes.
    pub fn is_of(&self, template: &Template) -> bool {
        self.node_selector == template.node_selector
            && self.tolerations == template.tolerations
            && self.node_affinity == template.node_affinity
    }
}
