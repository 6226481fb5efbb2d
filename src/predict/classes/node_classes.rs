//! Nodes that the scheduler cannot tell apart, taken together: it is enough
//! to look at one of each class, and a move changes the class of two nodes.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::predict::classes::static_filters::StaticFilters;
use crate::predict::plugins::resource_fits::{FitKey, ResourceFit};
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
    score_class: ScoreClass,
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

/// What decides the classes of the nodes before pods are counted on them.
#[derive(Clone, Debug)]
pub struct Common {
    places: Arc<[u32]>,
    static_filters: Arc<StaticFilters>,
    asks: FitKey,
}

impl PartialEq for Common {
    /// The first two are kept, and shared by those for whom they are the same.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.places, &other.places)
            && Arc::ptr_eq(&self.static_filters, &other.static_filters)
            && self.asks == other.asks
    }
}

/// Every node that is open to the pod, by class.
#[derive(Clone, Debug)]
pub struct NodeClasses {
    places: Arc<[u32]>,
    /// How many labels `places` and the counts know of.
    labels: usize,
    numbers: FxHashMap<Vec<i64>, u32>,
    score_classes: FxHashMap<ScoreClass, u32>,
    by_key: FxHashMap<ClassKey, u32>,
    classes: Vec<NodeClass>,
    /// By row; none for nodes that are not open to the pod.
    class_of_row: Vec<Option<u32>>,
    /// How many nodes have changed their class: each leaves something behind.
    moved: usize,
}

/// Nodes that are all the same to the scheduler.
#[derive(Clone, Debug)]
struct NodeClass {
    score_class: u32,
    may_take: bool,
    base: i64,
    nodes: usize,
    /// Rows that are of this class or were so once, in order.
    rows: Vec<u32>,
    /// Before this one, none is.
    first: usize,
}

impl NodeClasses {
    pub fn new(simulation: &Simulation<'_>) -> Self {
        let mut keys = Vec::new();
        for (key, topology) in simulation.state.topologies() {
            if !topology.tells_apart && !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        let places = simulation.cycle.scheduler.snapshot.places(keys);
        let labels = simulation.state.topologies().count();
        let Some(fits) = simulation.state.shown_to_others() else {
            return Self::classify_all(simulation, places, labels);
        };
        // Most pods see most nodes in the same way.
        let common = Common {
            places: Arc::clone(&places),
            static_filters: Arc::clone(&simulation.state.statics),
            asks: FitKey::of(&simulation.cycle.pod.template),
        };
        let shared = simulation.cycle.scheduler.shared.node_classes(common, fits, |known| {
            let renewed = known.and_then(|(before, node_classes)| {
                Self::clone(&node_classes).renewed(simulation, &before, fits)
            });
            Arc::new(renewed.unwrap_or_else(|| Self::classify_shown(simulation, places)))
        });
        let mut node_classes = Self { labels, ..Self::clone(&shared) };
        let rows = if simulation.state.counts_by_node() {
            0..simulation.state.statics.nodes.len()
        } else {
            0..0
        };
        let counted = rows.filter(|row| simulation.state.own_counts(*row).any(|count| count != 0));
        for row in counted.chain(simulation.state.changed_fits()) {
            node_classes.update(simulation, row);
        }
        node_classes
    }

    /// The nodes as this pod sees them.
    fn classify_all(simulation: &Simulation<'_>, places: Arc<[u32]>, labels: usize) -> Self {
        let key = |node_classes: &mut Self, row: usize| node_classes.key(simulation, row);
        Self::classify(simulation, places, labels, key)
    }

    /// The nodes as the cluster shows them, before pods are counted on them.
    fn classify_shown(simulation: &Simulation<'_>, places: Arc<[u32]>) -> Self {
        let key = |node_classes: &mut Self, row: usize| {
            node_classes.key_with(simulation, row, 0, simulation.base_shown(row))
        };
        Self::classify(simulation, places, 0, key)
    }

    fn classify(
        simulation: &Simulation<'_>,
        places: Arc<[u32]>,
        labels: usize,
        key: impl Fn(&mut Self, usize) -> ClassKey,
    ) -> Self {
        let rows = simulation.state.statics.nodes.len();
        let mut node_classes = Self {
            places,
            labels,
            numbers: FxHashMap::default(),
            score_classes: FxHashMap::default(),
            by_key: FxHashMap::default(),
            classes: Vec::new(),
            class_of_row: vec![None; rows],
            moved: 0,
        };
        for row in 0..rows {
            if simulation.state.statics.nodes[row].is_open() {
                let key = key(&mut node_classes, row);
                let class = node_classes.class(key);
                node_classes.join(row, class);
            }
        }
        node_classes
    }

    /// The nodes as the cluster shows them now, from what they were; none if so many have
    /// changed that it is quicker to look at all.
    fn renewed(
        mut self,
        simulation: &Simulation<'_>,
        before: &[ResourceFit],
        now: &[ResourceFit],
    ) -> Option<Self> {
        for row in (0..now.len()).filter(|row| before[*row] != now[*row]) {
            let key = self.key_with(simulation, row, 0, simulation.base_shown(row));
            self.change(row, key);
            if self.moved > self.class_of_row.len() / 8 {
                return None;
            }
        }
        Some(self)
    }

    /// Whether it knows all labels that the simulation looks at.
    pub fn is_of(&self, simulation: &Simulation<'_>) -> bool {
        self.labels == simulation.state.topologies().count()
    }

    /// A node is not what it was.
    pub fn update(&mut self, simulation: &Simulation<'_>, row: usize) {
        if self.class_of_row[row].is_some() {
            let key = self.key(simulation, row);
            self.change(row, key);
        }
    }

    fn change(&mut self, row: usize, key: ClassKey) {
        let Some(before) = self.class_of_row[row] else { return };
        let class = self.class(key);
        if class != before {
            self.leave(row, before);
            self.join(row, class);
            self.moved += 1;
        }
    }

    fn class(&mut self, key: ClassKey) -> u32 {
        let next = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        let class = *self.by_key.entry(key).or_insert(next);
        if class == next {
            let next = u32::try_from(self.score_classes.len()).unwrap_or(u32::MAX);
            let score_class = *self.score_classes.entry(key.score_class).or_insert(next);
            let ClassKey { may_take, base, .. } = key;
            let class =
                NodeClass { score_class, may_take, base, nodes: 0, rows: Vec::new(), first: 0 };
            self.classes.push(class);
        }
        class
    }

    fn key(&mut self, simulation: &Simulation<'_>, row: usize) -> ClassKey {
        let own_counts = if simulation.state.own_counts(row).all(|count| count == 0) {
            0
        } else {
            // Labels are only ever added: a list of one length has one meaning.
            let counts: Vec<i64> = simulation.state.own_counts(row).collect();
            let next = u32::try_from(self.numbers.len() + 1).unwrap_or(u32::MAX);
            *self.numbers.entry(counts).or_insert(next)
        };
        let base = simulation.has_room(row).then(|| simulation.base(row));
        self.key_with(simulation, row, own_counts, base)
    }

    /// `base` is none where there is no room.
    fn key_with(
        &self,
        simulation: &Simulation<'_>,
        row: usize,
        own_counts: u32,
        base: Option<i64>,
    ) -> ClassKey {
        let score_class = ScoreClass {
            place: self.places[row],
            static_filters: simulation.state.statics.kinds[row],
            own_counts,
        };
        ClassKey { score_class, may_take: base.is_some(), base: base.unwrap_or(0) }
    }

    fn join(&mut self, row: usize, class: u32) {
        self.class_of_row[row] = Some(class);
        let Some(class) = self.classes.get_mut(class as usize) else { return };
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        class.nodes += 1;
        let at = match class.rows.last() {
            Some(last) if *last >= row => match class.rows.binary_search(&row) {
                Ok(at) => at,
                Err(at) => {
                    class.rows.insert(at, row);
                    at
                }
            },
            _ => {
                class.rows.push(row);
                class.rows.len() - 1
            }
        };
        class.first = class.first.min(at);
        if class.nodes == 1 {
            class.first = at;
        }
    }

    fn leave(&mut self, row: usize, number: u32) {
        self.class_of_row[row] = None;
        let Some(class) = self.classes.get_mut(number as usize) else { return };
        class.nodes -= 1;
        let is_gone = |row: &u32| self.class_of_row[*row as usize] != Some(number);
        while class.rows.get(class.first).is_some_and(is_gone) {
            class.first += 1;
        }
    }

    /// The nodes that are the same as this one, in order.
    pub fn like(&self, row: usize) -> impl Iterator<Item = usize> {
        let number = self.class_of_row[row];
        let class = number.and_then(|number| self.classes.get(number as usize));
        let rows = class.map_or(&[][..], |class| &class.rows[class.first..]);
        rows.iter().map(|row| *row as usize).filter(move |row| self.class_of_row[*row] == number)
    }

    /// One node of each class that has room, if its score class `may` take the pod.
    pub fn scoring_set(&self, may: impl Fn(usize) -> bool) -> ScoringSet {
        let mut set = ScoringSet::with_capacity(self.classes.len(), self.score_classes.len());
        // By score class: not looked at, not one that may, or its place in the set.
        let mut places: Vec<Option<Option<usize>>> = vec![None; self.score_classes.len()];
        for class in self.classes.iter().filter(|class| class.may_take && class.nodes > 0) {
            let Some(row) = class.rows.get(class.first).map(|row| *row as usize) else { continue };
            let place = places[class.score_class as usize].get_or_insert_with(|| {
                may(row).then(|| {
                    set.classes.0.push((row, 0));
                    set.classes.len() - 1
                })
            });
            if let Some(score_class) = *place {
                set.classes.0[score_class].1 += class.nodes;
                set.candidates.0.push((row, class.nodes));
                set.bases.push(class.base);
                set.class_of.push(score_class);
            }
        }
        set
    }
}
