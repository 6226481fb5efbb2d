//! Nodes that the scheduler cannot tell apart, taken together: it is enough
//! to look at one of each kind, and a move changes the kind of two nodes.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::predict::classes::static_filters::StaticFilters;
use crate::predict::plugins::resource_fits::ResourceFit;
use crate::predict::simulation::Simulation;

/// Nodes that compete for a pod. Each stands for all that are the same to the
/// scheduler.
#[derive(Debug, Default)]
pub struct Candidates(Vec<(usize, usize)>);

impl Candidates {
    /// Nodes, each of which stands for itself.
    pub fn alone(rows: impl Iterator<Item = usize>) -> Self {
        Self(rows.map(|row| (row, 1)).collect())
    }

    /// How many stand for all.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many nodes they stand for.
    pub fn nodes(&self) -> usize {
        self.0.iter().map(|(_, nodes)| nodes).sum()
    }

    /// Their rows.
    pub fn rows(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|(row, _)| *row)
    }

    /// Their rows, and how many nodes each stands for.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.0.iter().copied()
    }
}

/// Nodes that compete, and those classes of them that differ in what they hold only: all
/// other scores are the same for a class.
#[derive(Debug, Default)]
pub struct ScoringSet {
    pub candidates: Candidates,
    /// Weighted scores of what each of them holds.
    pub bases: Vec<i64>,
    /// One node for all of a class.
    pub classes: Candidates,
    /// The class of each candidate.
    pub class_of: Vec<usize>,
}

impl ScoringSet {
    /// Nodes, each of which stands for itself.
    pub fn alone(candidates: Candidates, base: impl Fn(usize) -> i64) -> Self {
        let bases = candidates.rows().map(base).collect();
        let classes = Candidates::alone(candidates.rows());
        let class_of = (0..candidates.len()).collect();
        Self { candidates, bases, classes, class_of }
    }

    fn with_capacity(candidates: usize, classes: usize) -> Self {
        Self {
            candidates: Candidates(Vec::with_capacity(candidates)),
            bases: Vec::with_capacity(candidates),
            classes: Candidates(Vec::with_capacity(classes)),
            class_of: Vec::with_capacity(candidates),
        }
    }

    /// The class of each candidate, and what it holds.
    pub fn scored(&self) -> impl Iterator<Item = (usize, i64)> {
        self.class_of.iter().copied().zip(self.bases.iter().copied())
    }
}

/// All that the scheduler looks at in a node, for one pod to be placed. What
/// it looks at in the domains of node labels is the same for one `place`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ClassKey {
    class: ScoreClass,
    may_take: bool,
    /// Weighted scores of what the node holds: room and images.
    base: i64,
}

/// All of it but what the node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ScoreClass {
    place: u32,
    static_filters: u32,
    /// What is counted on the node alone.
    own_counts: u32,
}

/// What decides the kinds of the nodes before pods are counted on them.
#[derive(Clone, Debug)]
pub struct Common {
    places: Arc<[u32]>,
    static_filters: Arc<StaticFilters>,
    fits: Arc<[ResourceFit]>,
}

impl PartialEq for Common {
    /// All three are kept, and shared by those for whom they are the same.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.places, &other.places)
            && Arc::ptr_eq(&self.static_filters, &other.static_filters)
            && Arc::ptr_eq(&self.fits, &other.fits)
    }
}

/// Every node that is open to the pod, by kind.
#[derive(Clone, Debug)]
pub struct NodeClasses {
    places: Arc<[u32]>,
    /// How many labels `places` and the counts know of.
    labels: usize,
    numbers: FxHashMap<Vec<i64>, u32>,
    classes: FxHashMap<ScoreClass, u32>,
    by_kind: FxHashMap<ClassKey, u32>,
    groups: Vec<NodeClass>,
    /// By row; none for nodes that are not open to the pod.
    group_of: Vec<Option<u32>>,
}

/// Nodes of one kind.
#[derive(Clone, Debug)]
struct NodeClass {
    class: u32,
    may_take: bool,
    base: i64,
    nodes: usize,
    /// Rows that are of this kind or were so once, in order.
    rows: Vec<u32>,
    /// Before this one, none is.
    first: usize,
}

impl NodeClasses {
    pub fn new(simulation: &Simulation<'_>) -> Self {
        let mut keys = Vec::new();
        for (key, topology) in simulation.topologies() {
            if !topology.tells_apart && !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        let places = simulation.scheduler.snapshot.places(keys);
        let labels = simulation.topologies().count();
        let Some((static_filters, fits)) = simulation.common() else {
            return Self::group_all(simulation, places, labels);
        };
        // Most pods see most nodes in the same way.
        let common = Common {
            places: Arc::clone(&places),
            static_filters: Arc::clone(static_filters),
            fits: Arc::clone(fits),
        };
        let shared = simulation
            .scheduler
            .shared
            .node_classes(common, || Self::group_shown(simulation, places));
        let mut node_classes = Self { labels, ..Self::clone(&shared) };
        let rows = if simulation.counts_by_node() { 0..simulation.statics().len() } else { 0..0 };
        let counted = rows.filter(|row| simulation.own_counts(*row).any(|count| count != 0));
        for row in counted.chain(simulation.changed_fits()) {
            node_classes.update(simulation, row);
        }
        node_classes
    }

    /// The nodes as this pod sees them.
    fn group_all(simulation: &Simulation<'_>, places: Arc<[u32]>, labels: usize) -> Self {
        let kind = |node_classes: &mut Self, row: usize| node_classes.kind(simulation, row);
        Self::group_by(simulation, places, labels, kind)
    }

    /// The nodes as the cluster shows them, before pods are counted on them.
    fn group_shown(simulation: &Simulation<'_>, places: Arc<[u32]>) -> Self {
        let kind = |node_classes: &mut Self, row: usize| {
            node_classes.kind_with(simulation, row, 0, simulation.base_shown(row))
        };
        Self::group_by(simulation, places, 0, kind)
    }

    fn group_by(
        simulation: &Simulation<'_>,
        places: Arc<[u32]>,
        labels: usize,
        kind: impl Fn(&mut Self, usize) -> ClassKey,
    ) -> Self {
        let rows = simulation.statics().len();
        let mut node_classes = Self {
            places,
            labels,
            numbers: FxHashMap::default(),
            classes: FxHashMap::default(),
            by_kind: FxHashMap::default(),
            groups: Vec::new(),
            group_of: vec![None; rows],
        };
        for row in 0..rows {
            if simulation.statics()[row].is_open() {
                let kind = kind(&mut node_classes, row);
                let group = node_classes.group(kind);
                node_classes.join(row, group);
            }
        }
        node_classes
    }

    /// Whether it knows all labels that the simulation looks at.
    pub fn is_of(&self, simulation: &Simulation<'_>) -> bool {
        self.labels == simulation.topologies().count()
    }

    /// A node is not what it was.
    pub fn update(&mut self, simulation: &Simulation<'_>, row: usize) {
        let Some(before) = self.group_of[row] else { return };
        let kind = self.kind(simulation, row);
        let group = self.group(kind);
        if group != before {
            self.leave(row, before);
            self.join(row, group);
        }
    }

    fn group(&mut self, kind: ClassKey) -> u32 {
        let next = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let group = *self.by_kind.entry(kind).or_insert(next);
        if group == next {
            let next = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
            let class = *self.classes.entry(kind.class).or_insert(next);
            let ClassKey { may_take, base, .. } = kind;
            let group = NodeClass { class, may_take, base, nodes: 0, rows: Vec::new(), first: 0 };
            self.groups.push(group);
        }
        group
    }

    fn kind(&mut self, simulation: &Simulation<'_>, row: usize) -> ClassKey {
        let own_counts = if simulation.own_counts(row).all(|count| count == 0) {
            0
        } else {
            // Labels are only ever added: a list of one length has one meaning.
            let counts: Vec<i64> = simulation.own_counts(row).collect();
            let next = u32::try_from(self.numbers.len() + 1).unwrap_or(u32::MAX);
            *self.numbers.entry(counts).or_insert(next)
        };
        let base = simulation.has_room(row).then(|| simulation.base(row));
        self.kind_with(simulation, row, own_counts, base)
    }

    /// `base` is none where there is no room.
    fn kind_with(
        &self,
        simulation: &Simulation<'_>,
        row: usize,
        own_counts: u32,
        base: Option<i64>,
    ) -> ClassKey {
        let class = ScoreClass {
            place: self.places[row],
            static_filters: simulation.static_filters.kinds[row],
            own_counts,
        };
        ClassKey { class, may_take: base.is_some(), base: base.unwrap_or(0) }
    }

    fn join(&mut self, row: usize, group: u32) {
        self.group_of[row] = Some(group);
        let Some(group) = self.groups.get_mut(group as usize) else { return };
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        group.nodes += 1;
        let at = match group.rows.last() {
            Some(last) if *last >= row => match group.rows.binary_search(&row) {
                Ok(at) => at,
                Err(at) => {
                    group.rows.insert(at, row);
                    at
                }
            },
            _ => {
                group.rows.push(row);
                group.rows.len() - 1
            }
        };
        group.first = group.first.min(at);
        if group.nodes == 1 {
            group.first = at;
        }
    }

    fn leave(&mut self, row: usize, number: u32) {
        self.group_of[row] = None;
        let Some(group) = self.groups.get_mut(number as usize) else { return };
        group.nodes -= 1;
        let is_gone = |row: &u32| self.group_of[*row as usize] != Some(number);
        while group.rows.get(group.first).is_some_and(is_gone) {
            group.first += 1;
        }
    }

    /// The nodes that are the same as this one, in order.
    pub fn like(&self, row: usize) -> impl Iterator<Item = usize> {
        let number = self.group_of[row];
        let group = number.and_then(|number| self.groups.get(number as usize));
        let rows = group.map_or(&[][..], |group| &group.rows[group.first..]);
        rows.iter().map(|row| *row as usize).filter(move |row| self.group_of[*row] == number)
    }

    /// One node of each kind that has room and is of a class that `may` take the pod.
    pub fn field(&self, may: impl Fn(usize) -> bool) -> ScoringSet {
        let mut field = ScoringSet::with_capacity(self.groups.len(), self.classes.len());
        // By class: not looked at, not one that may, or its place in the field.
        let mut places: Vec<Option<Option<usize>>> = vec![None; self.classes.len()];
        for group in self.groups.iter().filter(|group| group.may_take && group.nodes > 0) {
            let Some(row) = group.rows.get(group.first).map(|row| *row as usize) else { continue };
            let place = places[group.class as usize].get_or_insert_with(|| {
                may(row).then(|| {
                    field.classes.0.push((row, 0));
                    field.classes.len() - 1
                })
            });
            if let Some(class) = *place {
                field.classes.0[class].1 += group.nodes;
                field.candidates.0.push((row, group.nodes));
                field.bases.push(group.base);
                field.class_of.push(class);
            }
        }
        field
    }
}
