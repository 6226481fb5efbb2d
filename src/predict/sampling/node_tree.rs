//! The order in which the scheduler lists nodes, as far as it is known.
//!
//! Follows `pkg/scheduler/backend/cache/node_tree.go` and `GetZoneKey` in
//! `k8s.io/component-helpers/node/topology/helpers.go` (1.37).

use std::collections::BTreeMap;

use crate::observe::{Node, Zone};

use crate::predict::snapshot::NodeRow;

/// The zones of all nodes.
#[derive(Debug)]
pub struct NodeTree {
    /// The zones, by name; first the nodes without one, if there are any.
    pub zones: Vec<Option<Zone>>,
    /// The number of a node's zone, by row.
    pub zone_of: Vec<usize>,
    /// How many nodes each zone has.
    pub nodes: Vec<usize>,
    /// Whether the scheduler tells the same zones apart. It looks at regions
    /// too, and at labels that are no longer used.
    pub known: bool,
}

impl NodeTree {
    pub fn new(rows: &[NodeRow]) -> Self {
        let mut by_zone: BTreeMap<Option<&Zone>, Vec<usize>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            by_zone.entry(row.node.zone.as_ref()).or_default().push(at);
        }
        let mut node_tree = Self {
            zones: by_zone.keys().map(|zone| zone.cloned()).collect(),
            zone_of: vec![0; rows.len()],
            nodes: by_zone.values().map(Vec::len).collect(),
            known: true,
        };
        let mut keys: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (zone, members) in by_zone.values().enumerate() {
            for row in members {
                node_tree.zone_of[*row] = zone;
                let key = key(&rows[*row].node);
                node_tree.known &= *keys.entry(key).or_insert(zone) == zone;
            }
        }
        node_tree.known &= keys.len() == node_tree.zones.len();
        node_tree
    }

    /// A list of all nodes such as the scheduler might have: in rounds, and
    /// within a zone by name.
    pub fn list(&self) -> Vec<usize> {
        let mut place = vec![0; self.zones.len()];
        let mut list: Vec<(usize, usize, usize)> = Vec::with_capacity(self.zone_of.len());
        for (row, zone) in self.zone_of.iter().enumerate() {
            list.push((place[*zone], *zone, row));
            place[*zone] += 1;
        }
        list.sort_unstable();
        list.into_iter().map(|(.., row)| row).collect()
    }
}

/// What the scheduler takes for a zone.
fn key(node: &Node) -> (&str, &str) {
    let label = |key: &str| node.labels.get(key).map(String::as_str);
    let newest = |old: &str, new: &str| label(old).or_else(|| label(new)).unwrap_or_default();
    (
        newest("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
        newest("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    )
}
