//! `PodTopologySpread`: hard constraints reject nodes, soft ones score them.
//!
//! Follows `pkg/scheduler/framework/plugins/podtopologyspread/filtering.go` and
//! `scoring.go` (1.37).

use std::sync::Arc;

use kube::core::{Selector, SelectorExt};

use crate::observe::{Labels, Name, SpreadConstraint};

use super::ledger::Placement;
use super::scheduler::Scheduler;
use super::score::{MAX, float, whole};
use super::spread_constraints::{Constraints, HOSTNAME_LABEL, counts};
use super::standings::Contenders;
use super::suitability::Suitability;
use super::terrain::Column;

const NOT_SPREAD: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";

/// The spread constraints of a pod and what they count.
#[derive(Debug)]
pub(super) struct Spread {
    hard: Vec<Constraint>,
    soft: Vec<Constraint>,
    /// Nodes that take part in soft spreading.
    scored: Nodes,
}

/// One constraint.
#[derive(Debug)]
struct Constraint {
    key: Name,
    column: Arc<Column>,
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
}

impl Spread {
    pub(super) fn new(
        scheduler: &Scheduler<'_>,
        pod: &Placement,
        suitability: &Suitability,
    ) -> Result<Self, String> {
        let Constraints { constraints, system_default } = Constraints::of(scheduler, pod)?;
        let (hard, soft): (Vec<_>, Vec<_>) =
            constraints.into_iter().partition(|constraint| constraint.hard);
        let filtered = Nodes::carrying_all(scheduler, &hard);
        let scored =
            if system_default { Nodes::All } else { Nodes::carrying_all(scheduler, &soft) };
        let build = |constraints: Vec<SpreadConstraint>, taking_part: &Nodes| {
            let build =
                |constraint| Constraint::new(scheduler, pod, constraint, suitability, taking_part);
            constraints.into_iter().map(build).collect()
        };
        Ok(Self { hard: build(hard, &filtered), soft: build(soft, &scored), scored })
    }

    /// Whether any pods have to be counted.
    pub(super) fn counts_pods(&self) -> bool {
        !(self.hard.is_empty() && self.soft.is_empty())
    }

    /// Counts pods with these labels, in the pod's own namespace, on these nodes.
    pub(super) fn count(&mut self, labels: &Labels, rows: impl Fn() -> Vec<usize>, amount: i64) {
        for constraint in self.hard.iter_mut().chain(&mut self.soft) {
            if counts(constraint.selector.as_ref(), labels) {
                for row in rows() {
                    constraint.add(row, amount);
                }
            }
        }
    }

    /// The fewest pods of a domain, for each hard constraint.
    pub(super) fn floors(&self) -> Vec<i64> {
        self.hard.iter().map(Constraint::fewest).collect()
    }

    /// Why a hard constraint rejects the node, in the scheduler's words.
    pub(super) fn obstacle(&self, floors: &[i64], row: usize) -> Option<&'static str> {
        for (constraint, floor) in self.hard.iter().zip(floors) {
            if !constraint.column.carries(row) {
                return Some(NO_LABEL);
            }
            let count = constraint.domains[constraint.column.domain(row)];
            if count + constraint.own - floor > constraint.max_skew {
                return Some(NOT_SPREAD);
            }
        }
        None
    }

    /// The labels that the constraints look at.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&Name, &Column)> {
        let constraints = self.hard.iter().chain(&self.soft);
        constraints.map(|constraint| (&constraint.key, &*constraint.column))
    }

    /// What is counted on the node and shared with no other.
    pub(super) fn own_counts(&self, row: usize) -> impl Iterator<Item = i64> {
        let constraints = self.hard.iter().chain(&self.soft);
        constraints
            .filter(|constraint| constraint.column.tells_apart || constraint.is_hostname)
            .flat_map(move |constraint| {
                let on_node = constraint.pods.get(row).copied().unwrap_or_default();
                let domain = constraint.column.domain(row);
                let in_domain =
                    if constraint.column.tells_apart { constraint.domains[domain] } else { 0 };
                [in_domain, on_node]
            })
    }

    /// The plugin's scores of the nodes that fit.
    pub(super) fn scores(&self, feasible: &Contenders) -> Vec<i64> {
        if self.soft.is_empty() {
            return vec![0; feasible.len()];
        }
        let weights: Vec<f64> =
            self.soft.iter().map(|constraint| constraint.weight(feasible, &self.scored)).collect();
        let raw = |row: usize| {
            let mut score = 0.0;
            for (constraint, weight) in self.soft.iter().zip(&weights) {
                if constraint.column.carries(row) {
                    score += float(constraint.near(row)) * weight + float(constraint.max_skew - 1);
                }
            }
            whole(f64::round(score))
        };
        let raw: Vec<Option<i64>> =
            feasible.rows().map(|row| self.scored.has(row).then(|| raw(row))).collect();
        let lowest = raw.iter().flatten().copied().min().unwrap_or(0);
        let highest = raw.iter().flatten().copied().max().unwrap_or(0);
        raw.into_iter()
            .map(|score| match score {
                None => 0,
                Some(_) if highest == 0 => MAX,
                Some(score) => MAX * (highest + lowest - score) / highest,
            })
            .collect()
    }
}

/// Some of the nodes.
#[derive(Debug)]
pub(super) enum Nodes {
    All,
    /// By row.
    Some(Vec<bool>),
}

impl Nodes {
    fn carrying_all(scheduler: &Scheduler<'_>, constraints: &[SpreadConstraint]) -> Self {
        let columns: Vec<Arc<Column>> = constraints
            .iter()
            .map(|constraint| scheduler.column(&constraint.topology_key))
            .filter(|column| !column.is_complete)
            .collect();
        if columns.is_empty() {
            return Self::All;
        }
        let carries_all = |row| columns.iter().all(|column| column.carries(row));
        Self::Some((0..scheduler.rows().len()).map(carries_all).collect())
    }

    /// Whether the node is one of them.
    pub(super) fn has(&self, row: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(rows) => rows[row],
        }
    }
}

impl Constraint {
    fn new(
        scheduler: &Scheduler<'_>,
        pod: &Placement,
        constraint: SpreadConstraint,
        suitability: &Suitability,
        taking_part: &Nodes,
    ) -> Self {
        let column = scheduler.column(&constraint.topology_key);
        let rows = scheduler.rows().len();
        let takes_all = matches!(taking_part, Nodes::All)
            && (!constraint.honor_affinity || suitability.all_matched)
            && (!constraint.honor_taints || suitability.all_tolerated);
        let (included, exists) = if takes_all {
            (Nodes::All, vec![true; column.count])
        } else {
            let takes = |row: usize| {
                let fixed = suitability.fixed[row];
                taking_part.has(row)
                    && (!constraint.honor_affinity || fixed.matched)
                    && (!constraint.honor_taints || fixed.tolerated)
            };
            let included: Vec<bool> = (0..rows).map(takes).collect();
            let mut exists = vec![false; column.count];
            for (row, included) in included.iter().enumerate() {
                exists[column.domain(row)] |= included;
            }
            (Nodes::Some(included), exists)
        };
        let is_hostname = &*constraint.topology_key == HOSTNAME_LABEL;
        let own = constraint.selector.as_ref().is_some_and(|own| own.matches(&pod.labels));
        Self {
            is_hostname,
            max_skew: i64::from(constraint.max_skew),
            min_domains: usize::try_from(constraint.min_domains.unwrap_or(1)).unwrap_or(1),
            selector: constraint.selector,
            own: i64::from(own),
            pods: if is_hostname { vec![0; rows] } else { Vec::new() },
            domains: vec![0; column.count],
            included,
            exists,
            key: constraint.topology_key,
            column,
        }
    }

    fn add(&mut self, row: usize, amount: i64) {
        if let Some(pods) = self.pods.get_mut(row) {
            *pods += amount;
        }
        if self.included.has(row) {
            self.domains[self.column.domain(row)] += amount;
        }
    }

    /// The fewest pods of an existing domain; 0 while there are too few domains.
    fn fewest(&self) -> i64 {
        let existing = || {
            let domains = self.exists.iter().zip(&self.domains);
            domains.filter(|(exists, _)| **exists).map(|(_, count)| *count)
        };
        if existing().count() < self.min_domains {
            return 0;
        }
        existing().min().unwrap_or(i64::from(i32::MAX))
    }

    /// How much one pod weighs: more where there are more domains.
    fn weight(&self, feasible: &Contenders, scored: &Nodes) -> f64 {
        let taking_part = feasible.iter().filter(|(row, _)| scored.has(*row));
        let size = if self.is_hostname || self.column.tells_apart {
            taking_part.map(|(_, nodes)| nodes).sum()
        } else {
            let mut seen = vec![false; self.column.count];
            for (row, _) in taking_part {
                seen[self.column.domain(row)] = true;
            }
            seen.into_iter().filter(|seen| *seen).count()
        };
        float(i64::try_from(size + 2).unwrap_or(i64::MAX)).ln()
    }

    /// Selected pods in the node's domain. On the node itself all count, be it
    /// included or not.
    fn near(&self, row: usize) -> i64 {
        if self.is_hostname { self.pods[row] } else { self.domains[self.column.domain(row)] }
    }
}
