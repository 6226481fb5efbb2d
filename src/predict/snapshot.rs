//! The nodes of a cluster, as far as they are the same for all pods to be
//! placed: made once, and again when a node changes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustc_hash::FxHashMap;

use crate::observe::{Cluster, Name, Node, NodeSlot, Template, Zone};

use super::classes::static_filters::StaticFilters;
use super::plugins::Images;
use super::sampling::node_tree::NodeTree;

/// How many combinations of node labels, and of what pods ask of nodes, are kept.
const KEPT: usize = 64;

/// The node labels that tell places apart.
type Labelled = Vec<Name>;

/// The nodes.
#[derive(Debug)]
pub struct Snapshot {
    rows: Vec<NodeRow>,
    row_of_slot: Vec<Option<u32>>,
    topologies: Mutex<FxHashMap<Name, Arc<TopologyDomains>>>,
    places: Mutex<Vec<(Labelled, Arc<[u32]>)>>,
    static_filters: Mutex<Vec<Arc<StaticFilters>>>,
    images: OnceLock<Images>,
    node_tree: OnceLock<NodeTree>,
    zones: BTreeSet<Zone>,
}

/// A node. Rows are numbered by name.
#[derive(Clone, Debug)]
pub(super) struct NodeRow {
    pub node: Arc<Node>,
    pub slot: NodeSlot,
}

/// A label of all nodes: which of them share a value.
#[derive(Debug)]
pub(super) struct TopologyDomains {
    /// The value by row, numbered from 0. A missing label is the empty value.
    domains: Vec<u32>,
    carries: Vec<bool>,
    /// How many values there are.
    pub count: usize,
    /// Whether every node carries the label.
    pub is_complete: bool,
    /// Whether no two nodes share a value, and all have one.
    pub tells_apart: bool,
}

impl TopologyDomains {
    fn new(rows: &[NodeRow], key: &str) -> Self {
        let mut numbers: FxHashMap<&str, u32> = FxHashMap::default();
        let mut domains = Vec::with_capacity(rows.len());
        let mut carries = Vec::with_capacity(rows.len());
        for row in rows {
            let value = row.node.labels.get(key).map(String::as_str);
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            domains.push(*numbers.entry(value.unwrap_or_default()).or_insert(next));
            carries.push(value.is_some());
        }
        let is_complete = carries.iter().all(|carries| *carries);
        let count = numbers.len();
        Self {
            domains,
            carries,
            count,
            is_complete,
            tells_apart: is_complete && count == rows.len(),
        }
    }

    /// The number of the row's value, be it there or missing.
    pub(super) fn domain(&self, row: usize) -> usize {
        self.domains[row] as usize
    }

    /// Whether the node carries the label.
    pub(super) fn carries(&self, row: usize) -> bool {
        self.carries[row]
    }
}

impl Snapshot {
    /// The nodes of this cluster.
    pub(super) fn new(cluster: &Cluster) -> Self {
        let rows: Vec<NodeRow> = cluster
            .nodes_by_slot()
            .map(|(slot, node)| NodeRow { node: Arc::clone(node), slot })
            .collect();
        Self::of(rows, cluster.slots())
    }

    /// These nodes, of a cluster with so many places for nodes.
    pub(super) fn of(rows: Vec<NodeRow>, slots: usize) -> Self {
        let zones = rows.iter().filter_map(|row| row.node.zone.clone()).collect();
        let mut row_of_slot = vec![None; slots];
        for (at, row) in rows.iter().enumerate() {
            row_of_slot[row.slot.index()] = u32::try_from(at).ok();
        }
        Self {
            rows,
            row_of_slot,
            topologies: Mutex::default(),
            places: Mutex::default(),
            static_filters: Mutex::default(),
            images: OnceLock::new(),
            node_tree: OnceLock::new(),
            zones,
        }
    }

    pub(super) fn rows(&self) -> &[NodeRow] {
        &self.rows
    }

    /// The zones that have nodes, by name.
    pub(super) fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter()
    }

    /// Whether the zone has nodes.
    pub(super) fn has_zone(&self, zone: &Zone) -> bool {
        self.zones.contains(zone)
    }

    /// The row of the node with this name.
    pub(super) fn row_of(&self, node: &str) -> Option<usize> {
        self.rows.binary_search_by(|row| (*row.node.name).cmp(node)).ok()
    }

    /// The row of the node in this place of the index.
    pub(super) fn row_of_slot(&self, slot: NodeSlot) -> Option<usize> {
        self.row_of_slot.get(slot.index()).copied().flatten().map(|row| row as usize)
    }

    /// The values of a node label.
    pub(super) fn topology(&self, key: &Name) -> Arc<TopologyDomains> {
        let mut topologies = held(&self.topologies);
        if let Some(known) = topologies.get(key) {
            return Arc::clone(known);
        }
        let topology = Arc::new(TopologyDomains::new(&self.rows, key));
        topologies.insert(Name::clone(key), Arc::clone(&topology));
        topology
    }

    /// Where nodes are, by row: those of one zone that share the values of all
    /// these labels have one number.
    pub(super) fn places(&self, keys: Vec<Name>) -> Arc<[u32]> {
        kept_or(&self.places, keys, |keys| self.number_places(keys))
    }

    fn number_places(&self, keys: &[Name]) -> Arc<[u32]> {
        let mut zones: FxHashMap<Option<&Zone>, u32> = FxHashMap::default();
        let mut places = numbered(&mut zones, self.rows.iter().map(|row| row.node.zone.as_ref()));
        for key in keys {
            let topology = self.topology(key);
            let mut pairs: FxHashMap<(u32, usize, bool), u32> = FxHashMap::default();
            places = numbered(
                &mut pairs,
                places
                    .iter()
                    .enumerate()
                    .map(|(row, place)| (*place, topology.domain(row), topology.carries(row))),
            );
        }
        places.into()
    }

    /// What the nodes and pods with such a template are to each other.
    pub(super) fn static_filters(&self, template: &Template) -> Arc<StaticFilters> {
        if let Some(known) = held(&self.static_filters).iter().find(|known| known.is_of(template)) {
            return Arc::clone(known);
        }
        let static_filters = Arc::new(StaticFilters::new(&self.rows, template));
        keep(&self.static_filters, Arc::clone(&static_filters));
        static_filters
    }

    /// How the scheduler lists the nodes.
    pub(super) fn node_tree(&self) -> &NodeTree {
        self.node_tree.get_or_init(|| NodeTree::new(&self.rows))
    }

    /// The images that the nodes hold.
    pub(super) fn images(&self) -> &Images {
        self.images.get_or_init(|| Images::new(&self.rows))
    }
}

/// Numbers the items from 0, equal ones alike.
fn numbered<T: Eq + std::hash::Hash>(
    numbers: &mut FxHashMap<T, u32>,
    items: impl Iterator<Item = T>,
) -> Vec<u32> {
    items
        .map(|item| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(item).or_insert(next)
        })
        .collect()
}

/// Nothing that is kept here can be half made.
pub(super) fn held<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is kept for a key, or what `make` makes, kept from now on.
fn kept_or<K: PartialEq, T: ?Sized>(
    kept: &Mutex<Vec<(K, Arc<T>)>>,
    key: K,
    make: impl FnOnce(&K) -> Arc<T>,
) -> Arc<T> {
    if let Some((_, known)) = held(kept).iter().find(|(known, _)| *known == key) {
        return Arc::clone(known);
    }
    let made = make(&key);
    keep(kept, (key, Arc::clone(&made)));
    made
}

/// Keeps one more, and drops the oldest of too many.
pub(super) fn keep<T>(kept: &Mutex<Vec<T>>, item: T) {
    let mut kept = held(kept);
    if kept.len() >= KEPT {
        kept.remove(0);
    }
    kept.push(item);
}
