//! The scheduler's view of the cluster, shared by all pods to be placed.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::observe::{Cluster, Name, Node, NodeEntry, Pod};

use super::config::SchedulerConfig;
use super::images::Image;
use super::ledger::Placement;

/// kube-scheduler, looking at a cluster.
#[derive(Debug)]
pub struct Scheduler<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) config: SchedulerConfig,
    pub(super) rows: Vec<Row<'a>>,
    row_of: FxHashMap<&'a str, usize>,
    columns: RefCell<FxHashMap<Name, Rc<Column>>>,
    images: RefCell<FxHashMap<Name, Image>>,
}

/// A node. Rows are numbered by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub node: &'a Node,
    pub entry: &'a NodeEntry,
}

/// A label of all nodes: which of them share a value.
#[derive(Debug)]
pub(super) struct Column {
    /// The value by row, numbered from 0. A missing label is the empty value.
    domains: Vec<usize>,
    carries: Vec<bool>,
    /// How many values there are.
    pub count: usize,
}

impl Column {
    fn new(rows: &[Row<'_>], key: &str) -> Self {
        let mut numbers: FxHashMap<&str, usize> = FxHashMap::default();
        let mut domains = Vec::with_capacity(rows.len());
        let mut carries = Vec::with_capacity(rows.len());
        for row in rows {
            let value = row.node.labels.get(key).map(String::as_str);
            let next = numbers.len();
            domains.push(*numbers.entry(value.unwrap_or_default()).or_insert(next));
            carries.push(value.is_some());
        }
        Self { domains, carries, count: numbers.len() }
    }

    /// The number of the row's value, be it there or missing.
    pub(super) fn domain(&self, row: usize) -> usize {
        self.domains[row]
    }

    /// Whether the node carries the label.
    pub(super) fn carries(&self, row: usize) -> bool {
        self.carries[row]
    }
}

impl<'a> Scheduler<'a> {
    /// The scheduler of this cluster, as far as its configuration is known.
    #[must_use]
    pub fn new(cluster: &'a Cluster) -> Self {
        Self::configured(cluster, cluster.scheduler_config().clone())
    }

    /// A scheduler with this configuration.
    #[must_use]
    pub fn configured(cluster: &'a Cluster, config: SchedulerConfig) -> Self {
        let rows: Vec<Row<'a>> = cluster.nodes().map(|(node, entry)| Row { node, entry }).collect();
        let row_of = rows.iter().enumerate().map(|(at, row)| (&*row.node.name, at)).collect();
        Self {
            cluster,
            config,
            rows,
            row_of,
            columns: RefCell::default(),
            images: RefCell::default(),
        }
    }

    /// See [`Placement::replacing`].
    #[must_use]
    pub fn replacing(&self, pod: &Pod) -> Placement {
        Placement::replacing(self.cluster, pod)
    }

    /// The row of a node, if it is known.
    pub(super) fn row_of(&self, node: &str) -> Option<usize> {
        self.row_of.get(node).copied()
    }

    /// The values of a node label.
    pub(super) fn column(&self, key: &Name) -> Rc<Column> {
        let mut columns = self.columns.borrow_mut();
        let column = columns
            .entry(Name::clone(key))
            .or_insert_with(|| Rc::new(Column::new(&self.rows, key)));
        Rc::clone(column)
    }

    /// How widely an image is spread.
    pub(super) fn image(&self, name: &Name) -> Image {
        let mut images = self.images.borrow_mut();
        *images.entry(Name::clone(name)).or_insert_with(|| Image::new(&self.rows, name))
    }
}
