//! `PodTopologySpread`: hard constraints reject nodes, soft ones score them.
//!
//! Follows `pkg/scheduler/framework/plugins/podtopologyspread/filtering.go` and
//! `scoring.go` (1.33 to 1.37).

use std::cell::Cell;
use std::sync::Arc;

use kube::core::{Selector, SelectorExt};

use crate::observe::{Labels, Name, SpreadConstraint};
use crate::predict::classes::node_classes::Candidates;
use crate::predict::classes::static_filters::StaticFilters;
use crate::predict::prefilter::{Cycle, PodRef};
use crate::predict::sampling::bounds::{Extremes, Range, Scored};
use crate::predict::scheduler::Scheduler;
use crate::predict::snapshot::TopologyDomains;

use super::score::{MAX, float, whole};
use super::spread_constraints::{Constraints, HOSTNAME_LABEL, counts};

const NOT_SPREAD: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";

/// Of how many domains it is found out whether they are in each sample.
const COUNTED: usize = 100;

/// The spread constraints of a pod and what they count.
#[derive(Debug)]
pub struct PodTopologySpread {
    hard: Vec<Constraint>,
    soft: Vec<Constraint>,
    /// Nodes that take part in soft spreading.
    scored: Nodes,
}

/// One constraint.
#[derive(Debug)]
struct Constraint {
    key: Name,
    topology: Arc<TopologyDomains>,
    is_hostname: bool,
    max_skew: i64,
    min_domains: usize,
    selector: Option<Selector>,
    /// 1 when the pod counts itself.
    own: i64,
    /// Nodes whose pods count in their domain.
    included: Nodes,
    /// Pods that it selects, by row; empty unless the domains are the nodes.
    pods: Vec<i64>,
    /// Pods of included nodes, by domain.
    domains: Vec<i64>,
    /// Domains with an included node.
    exists: Vec<bool>,
    /// The fewest pods of an existing domain, while that is known.
    fewest: Cell<Option<i64>>,
}

impl PodTopologySpread {
    /// Counts the pods that the constraints select, on all nodes.
    ///
    /// # Errors
    /// When the default constraints select by something that is not known, and what.
    pub fn pre_filter(cycle: &Cycle<'_>, statics: &StaticFilters) -> Result<Self, String> {
        let Constraints { constraints, system_default } =
            Constraints::of(cycle.scheduler, &cycle.pod)?;
        let (hard, soft): (Vec<_>, Vec<_>) =
            constraints.into_iter().partition(|constraint| constraint.hard);
        let filtered = Nodes::carrying_all(cycle.scheduler, &hard);
        let scored =
            if system_default { Nodes::All } else { Nodes::carrying_all(cycle.scheduler, &soft) };
        let build = |constraints: Vec<SpreadConstraint>, taking_part: &Nodes| {
            let build = |constraint| Constraint::new(cycle, constraint, statics, taking_part);
            constraints.into_iter().map(build).collect()
        };
        let mut spread = Self { hard: build(hard, &filtered), soft: build(soft, &scored), scored };
        spread.count_all(cycle);
        Ok(spread)
    }

    fn count_all(&mut self, cycle: &Cycle<'_>) {
        if self.hard.is_empty() && self.soft.is_empty() {
            return;
        }
        for pods in cycle.scheduler.cluster.pod_classes_in(&cycle.pod.namespace) {
            let rows = || {
                cycle.rows_of(pods, |id, pod| {
                    pod.is_counted()
                        && !cycle.sees_eviction_of(id)
                        && !cycle.scheduler.is_leaving(id)
                })
            };
            self.count(&pods.labels, rows, 1);
        }
        let supposed = cycle.scheduler.supposed.into_iter();
        for placed in supposed.flat_map(|supposed| supposed.placed_in(&cycle.pod.namespace)) {
            self.count(placed.pod().labels, || placed.rows(), 1);
        }
    }

    /// A pod comes to the node, or when negative is evicted: terminating pods do not count.
    pub fn count_pod(&mut self, cycle: &Cycle<'_>, pod: PodRef<'_>, row: usize, amount: i64) {
        if *pod.namespace == cycle.pod.namespace {
            self.count(pod.labels, || vec![row], amount);
        }
    }

    /// Counts pods with these labels, in the pod's own namespace, on these nodes.
    fn count(&mut self, labels: &Labels, rows: impl Fn() -> Vec<usize>, amount: i64) {
        for constraint in self.hard.iter_mut().chain(&mut self.soft) {
            if counts(constraint.selector.as_ref(), labels) {
                for row in rows() {
                    constraint.add(row, amount);
                }
            }
        }
    }

    /// Why the plugin rejects the node, if it does.
    pub fn filter(&self, row: usize) -> Option<&'static str> {
        for constraint in &self.hard {
            if !constraint.topology.carries(row) {
                return Some(NO_LABEL);
            }
            let count = constraint.domains[constraint.topology.domain(row)];
            if count + constraint.own - constraint.fewest() > constraint.max_skew {
                return Some(NOT_SPREAD);
            }
        }
        None
    }

    /// The plugin's scores: the fewer selected pods are near, the better.
    pub fn score(&self, candidates: &Candidates, scored: Scored<'_>) -> Vec<Range> {
        if self.soft.is_empty() {
            return vec![(0, 0); candidates.len()];
        }
        let rows: Vec<(usize, usize)> = candidates.iter().collect();
        let weights: Vec<(f64, f64)> = self
            .soft
            .iter()
            .map(|constraint| {
                let (least, most) = constraint.sizes(&rows, &self.scored, scored);
                (weight_of(least), weight_of(most))
            })
            .collect();
        let raw = |row: usize, weight: &dyn Fn(&(f64, f64)) -> f64| {
            let weighted = self.soft.iter().zip(&weights);
            raw_score(row, weighted.map(|(constraint, range)| (constraint, weight(range))))
        };
        let raw: Vec<Option<Range>> = rows
            .iter()
            .map(|(row, _)| {
                let takes_part = self.scored.has(*row);
                takes_part.then(|| match scored {
                    Scored::All => [raw(*row, &|range| range.0); 2].into(),
                    Scored::Sample(_) => (raw(*row, &|range| range.0), raw(*row, &|range| range.1)),
                })
            })
            .collect();
        let Some(extremes) = scored.extremes(&raw) else {
            return vec![(0, 0); rows.len()];
        };
        raw.into_iter().map(|raw| raw.map_or((0, 0), |raw| normalised(raw, extremes))).collect()
    }

    /// The labels that the constraints look at.
    pub fn topologies(&self) -> impl Iterator<Item = (&Name, &TopologyDomains)> {
        let constraints = self.hard.iter().chain(&self.soft);
        constraints.map(|constraint| (&constraint.key, &*constraint.topology))
    }

    /// Whether anything is counted on nodes alone.
    pub fn counts_by_node(&self) -> bool {
        let mut constraints = self.hard.iter().chain(&self.soft);
        constraints.any(|constraint| constraint.topology.tells_apart || constraint.is_hostname)
    }

    /// What is counted on the node and shared with no other.
    pub fn own_counts(&self, row: usize) -> impl Iterator<Item = i64> {
        let constraints = self.hard.iter().chain(&self.soft);
        constraints
            .filter(|constraint| constraint.topology.tells_apart || constraint.is_hostname)
            .flat_map(move |constraint| {
                let on_node = constraint.pods.get(row).copied().unwrap_or_default();
                let domain = constraint.topology.domain(row);
                let in_domain =
                    if constraint.topology.tells_apart { constraint.domains[domain] } else { 0 };
                [in_domain, on_node]
            })
    }
}

/// The range of a score: it grows with both extremes, and shrinks with the node's own count.
fn normalised(raw: Range, extremes: Extremes) -> Range {
    let Extremes { lowest, highest } = extremes;
    let score = |raw: i64, lowest: i64, highest: i64| {
        if highest == 0 {
            return MAX;
        }
        (MAX * (highest + lowest - raw) / highest).clamp(0, MAX)
    };
    let least = highest.0.max(raw.0);
    // A highest count of 0 means that all are equal, and best.
    let low = if least == 0 && raw.1 > 0 { 0 } else { score(raw.1, lowest.0, least) };
    (low, score(raw.0, lowest.1.min(raw.1), highest.1))
}

/// The node's pods, counted by each constraint with its weight.
fn raw_score<'c>(row: usize, constraints: impl Iterator<Item = (&'c Constraint, f64)>) -> i64 {
    let mut score = 0.0;
    for (constraint, weight) in constraints {
        if constraint.topology.carries(row) {
            score += float(constraint.near(row)) * weight + float(constraint.max_skew - 1);
        }
    }
    whole(f64::round(score))
}

/// The weight of one pod for this number of domains.
fn weight_of(domains: usize) -> f64 {
    float(i64::try_from(domains + 2).unwrap_or(i64::MAX)).ln()
}

/// Some of the nodes.
#[derive(Debug)]
pub enum Nodes {
    All,
    /// By row.
    Some(Vec<bool>),
}

impl Nodes {
    fn carrying_all(scheduler: &Scheduler<'_>, constraints: &[SpreadConstraint]) -> Self {
        let topologies: Vec<Arc<TopologyDomains>> = constraints
            .iter()
            .map(|constraint| scheduler.topology(&constraint.topology_key))
            .filter(|topology| !topology.is_complete)
            .collect();
        if topologies.is_empty() {
            return Self::All;
        }
        let carries_all = |row| topologies.iter().all(|topology| topology.carries(row));
        Self::Some((0..scheduler.rows().len()).map(carries_all).collect())
    }

    /// Whether the node is one of them.
    pub fn has(&self, row: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(rows) => rows[row],
        }
    }
}

impl Constraint {
    fn new(
        cycle: &Cycle<'_>,
        constraint: SpreadConstraint,
        statics: &StaticFilters,
        taking_part: &Nodes,
    ) -> Self {
        let topology = cycle.scheduler.topology(&constraint.topology_key);
        let rows = cycle.rows().len();
        let takes_all = matches!(taking_part, Nodes::All)
            && (!constraint.honor_affinity || statics.all_matched)
            && (!constraint.honor_taints || statics.all_tolerated);
        let (included, exists) = if takes_all {
            (Nodes::All, vec![true; topology.count])
        } else {
            let takes = |row: usize| {
                let node = statics.nodes[row];
                taking_part.has(row)
                    && (!constraint.honor_affinity || node.matched)
                    && (!constraint.honor_taints || node.tolerated)
            };
            let included: Vec<bool> = (0..rows).map(takes).collect();
            let mut exists = vec![false; topology.count];
            for (row, included) in included.iter().enumerate() {
                exists[topology.domain(row)] |= included;
            }
            (Nodes::Some(included), exists)
        };
        let is_hostname = &*constraint.topology_key == HOSTNAME_LABEL;
        let own = constraint.selector.as_ref().is_some_and(|own| own.matches(&cycle.pod.labels));
        Self {
            is_hostname,
            max_skew: i64::from(constraint.max_skew),
            min_domains: usize::try_from(constraint.min_domains.unwrap_or(1)).unwrap_or(1),
            selector: constraint.selector,
            own: i64::from(own),
            pods: if is_hostname { vec![0; rows] } else { Vec::new() },
            domains: vec![0; topology.count],
            included,
            exists,
            fewest: Cell::new(None),
            key: constraint.topology_key,
            topology,
        }
    }

    fn add(&mut self, row: usize, amount: i64) {
        self.fewest.set(None);
        if let Some(pods) = self.pods.get_mut(row) {
            *pods += amount;
        }
        if self.included.has(row) {
            self.domains[self.topology.domain(row)] += amount;
        }
    }

    /// The fewest pods of an existing domain; 0 while there are too few domains.
    fn fewest(&self) -> i64 {
        self.fewest.get().unwrap_or_else(|| {
            let fewest = self.count_fewest();
            self.fewest.set(Some(fewest));
            fewest
        })
    }

    fn count_fewest(&self) -> i64 {
        let existing = || {
            let domains = self.exists.iter().zip(&self.domains);
            domains.filter(|(exists, _)| **exists).map(|(_, count)| *count)
        };
        if existing().count() < self.min_domains {
            return 0;
        }
        existing().min().unwrap_or(i64::from(i32::MAX))
    }

    /// How many domains there are among the nodes that are scored, at least and at most;
    /// `candidates` are rows, and how many nodes each stands for.
    fn sizes(
        &self,
        candidates: &[(usize, usize)],
        taking_part: &Nodes,
        scored: Scored<'_>,
    ) -> (usize, usize) {
        let takes_part = |at: usize| taking_part.has(candidates[at].0);
        let is_by_node = self.is_hostname || self.topology.tells_apart;
        if is_by_node && let Scored::Sample(sample) = scored {
            return sample.count(takes_part);
        }
        let members = candidates.iter().filter(|(row, _)| taking_part.has(*row));
        if is_by_node {
            let nodes = members.map(|(_, nodes)| nodes).sum();
            return (nodes, nodes);
        }
        let mut seen = vec![false; self.topology.count];
        for (row, _) in members {
            seen[self.topology.domain(*row)] = true;
        }
        let domains: Vec<usize> = (0..seen.len()).filter(|domain| seen[*domain]).collect();
        let Scored::Sample(sample) = scored else { return (domains.len(), domains.len()) };
        let most = domains.len().min(sample.wanted);
        // So many weigh about the same, and to count each would take long.
        if domains.len() > COUNTED {
            return (sample.count(takes_part).0.min(1), most);
        }
        let is_in = |domain: usize, at: usize| {
            takes_part(at) && self.topology.domain(candidates[at].0) == domain
        };
        let sure = domains.iter().filter(|domain| sample.count(|at| is_in(**domain, at)).0 > 0);
        (sure.count(), most)
    }

    /// Selected pods in the node's domain. On the node itself all count, be it
    /// included or not.
    fn near(&self, row: usize) -> i64 {
        if self.is_hostname { self.pods[row] } else { self.domains[self.topology.domain(row)] }
    }
}
