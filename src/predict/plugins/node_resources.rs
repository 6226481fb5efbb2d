//! `NodeResourcesFit`: is there room, and how much stays free.
//!
//! Follows `pkg/scheduler/framework/plugins/noderesources/fit.go` and
//! `least_allocated.go` (1.33 to 1.37).

use std::fmt;

use crate::observe::{MoreByContainer, Name, Node, NodeEntry, Resources, Template};

use crate::predict::plugins::score::MAX;
use crate::predict::version::SchedulerVersion;

/// What the pods on a node ask for.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    /// How many there are.
    pub pods: i64,
    /// What they ask for; of the extended resources only what moves under way
    /// add to those of the node's entry.
    pub requested: Resources,
    /// What they ask for in scores: thousandths of a core.
    pub scored_cpu_milli: i64,
    /// What they ask for in scores: bytes.
    pub scored_memory: i64,
    /// Whether sizes of a pod that is resized in place are compared container by container.
    by_container: bool,
}

/// Something of which a node has too little.
#[derive(Clone, Copy, Debug)]
pub enum Shortage<'t> {
    Pods,
    Cpu,
    Memory,
    EphemeralStorage,
    Extended(&'t Name),
}

impl fmt::Display for Shortage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pods => f.write_str("Too many pods"),
            Self::Cpu => f.write_str("Insufficient cpu"),
            Self::Memory => f.write_str("Insufficient memory"),
            Self::EphemeralStorage => f.write_str("Insufficient ephemeral-storage"),
            Self::Extended(name) => write!(f, "Insufficient {name}"),
        }
    }
}

impl Usage {
    /// What is on the node now.
    #[must_use]
    pub fn of(version: SchedulerVersion, entry: &NodeEntry) -> Self {
        let mut usage = Self {
            pods: i64::try_from(entry.pods.len()).unwrap_or(i64::MAX),
            requested: Resources { extended: Vec::new(), ..entry.requested },
            scored_cpu_milli: entry.scored_cpu_milli,
            scored_memory: entry.scored_memory,
            ..Self::none(version)
        };
        usage.count_more(entry.more_by_container.as_deref(), 1);
        usage
    }

    /// No pods, to be added to.
    #[must_use]
    pub fn none(version: SchedulerVersion) -> Self {
        Self { by_container: version < SchedulerVersion::V1_37, ..Self::default() }
    }

    /// Raises everything to at least that of `other`.
    fn raise_to(&mut self, other: &Self) {
        self.pods = self.pods.max(other.pods);
        self.requested.raise_to(&other.requested);
        self.scored_cpu_milli = self.scored_cpu_milli.max(other.scored_cpu_milli);
        self.scored_memory = self.scored_memory.max(other.scored_memory);
    }

    fn count_more(&mut self, more: Option<&MoreByContainer>, times: i64) {
        let Some(more) = more.filter(|_| self.by_container) else { return };
        self.requested.cpu_milli += more.cpu_milli * times;
        self.requested.memory += more.memory * times;
        self.scored_cpu_milli += more.scored_cpu_milli * times;
        self.scored_memory += more.scored_memory * times;
    }

    /// A pod comes.
    pub fn add(&mut self, template: &Template) {
        let counted = template.counted();
        self.pods += 1;
        self.requested.add(counted.requests);
        self.scored_cpu_milli += counted.scored_cpu_milli;
        self.scored_memory += counted.scored_memory;
        self.count_more(template.more_by_container(), 1);
    }

    /// A pod is gone.
    pub fn subtract(&mut self, template: &Template) {
        let counted = template.counted();
        self.pods -= 1;
        self.requested.subtract(counted.requests);
        self.scored_cpu_milli -= counted.scored_cpu_milli;
        self.scored_memory -= counted.scored_memory;
        self.count_more(template.more_by_container(), -1);
    }

    /// More pods come, or leave where it is negative.
    pub fn combine(&mut self, other: &Self) {
        self.pods += other.pods;
        self.requested.add(&other.requested);
        self.scored_cpu_milli += other.scored_cpu_milli;
        self.scored_memory += other.scored_memory;
    }

    /// What the node has too little of for one more pod, in the scheduler's order.
    pub fn shortages<'t>(
        &self,
        template: &'t Template,
        node: &Node,
        entry: &NodeEntry,
    ) -> impl Iterator<Item = Shortage<'t>> {
        let asked = &template.requests;
        let has = &node.allocatable;
        let lacks = |asked: i64, has: i64, used: i64| asked > 0 && asked > has - used;
        let lacks_cpu = lacks(asked.cpu_milli, has.cpu_milli, self.requested.cpu_milli);
        let lacks_memory = lacks(asked.memory, has.memory, self.requested.memory);
        let lacks_storage =
            lacks(asked.ephemeral_storage, has.ephemeral_storage, self.requested.ephemeral_storage);
        let common = [
            (self.pods + 1 > node.allocatable_pods).then_some(Shortage::Pods),
            lacks_cpu.then_some(Shortage::Cpu),
            lacks_memory.then_some(Shortage::Memory),
            lacks_storage.then_some(Shortage::EphemeralStorage),
        ];
        let extended = asked.extended.iter().filter_map(move |(name, amount)| {
            let used = entry.requested.extended(name) + self.requested.extended(name);
            lacks(*amount, has.extended(name), used).then_some(Shortage::Extended(name))
        });
        common.into_iter().flatten().chain(extended)
    }

    /// How much of the node's cores and memory stays free, from 0 to 100.
    #[must_use]
    pub fn least_allocated(&self, template: &Template, node: &Node) -> i64 {
        let cpu = self.scored_cpu_milli + template.own_scored_cpu_milli;
        let memory = self.scored_memory + template.own_scored_memory;
        let mut sum = 0;
        let mut count = 0;
        for (requested, capacity) in
            [(cpu, node.allocatable.cpu_milli), (memory, node.allocatable.memory)]
        {
            if capacity != 0 {
                sum += free_share(requested, capacity);
                count += 1;
            }
        }
        if count == 0 { 0 } else { sum / count }
    }
}

/// Pods that may come to a node.
#[derive(Clone, Debug)]
pub struct Arrivals {
    all: Usage,
    /// Of each resource, what the one asks for that asks for the most.
    most: Usage,
}

impl Arrivals {
    /// None yet.
    #[must_use]
    pub fn none(version: SchedulerVersion) -> Self {
        Self { all: Usage::none(version), most: Usage::none(version) }
    }

    /// One more may come.
    pub fn add(&mut self, template: &Template) {
        let mut one = Usage { by_container: self.all.by_container, ..Usage::default() };
        one.add(template);
        self.all.combine(&one);
        self.most.raise_to(&one);
    }

    /// Whether there are any.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.pods == 0
    }

    /// All of them.
    #[must_use]
    pub const fn all(&self) -> &Usage {
        &self.all
    }

    /// The most that so many of them ask for, of each resource by itself.
    #[must_use]
    pub fn most_of(&self, count: usize) -> Usage {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let of = |most: i64, all: i64| most.saturating_mul(count).min(all);
        let (most, all) = (&self.most.requested, &self.all.requested);
        let extended = most
            .extended
            .iter()
            .map(|(name, amount)| (Name::clone(name), of(*amount, all.extended(name))));
        Usage {
            pods: of(self.most.pods, self.all.pods),
            requested: Resources {
                cpu_milli: of(most.cpu_milli, all.cpu_milli),
                memory: of(most.memory, all.memory),
                ephemeral_storage: of(most.ephemeral_storage, all.ephemeral_storage),
                extended: extended.collect(),
            },
            scored_cpu_milli: of(self.most.scored_cpu_milli, self.all.scored_cpu_milli),
            scored_memory: of(self.most.scored_memory, self.all.scored_memory),
            by_container: self.all.by_container,
        }
    }
}

fn free_share(requested: i64, capacity: i64) -> i64 {
    if requested > capacity { 0 } else { (capacity - requested) * MAX / capacity }
}
