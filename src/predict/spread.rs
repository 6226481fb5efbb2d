//! `PodTopologySpread`: hard constraints reject nodes, soft ones score them.
//!
//! Follows `pkg/scheduler/framework/plugins/podtopologyspread/filtering.go` and
//! `scoring.go` (1.37).

use std::rc::Rc;

use kube::core::{Selector, SelectorExt};

use crate::observe::{Labels, SpreadConstraint};

use super::forecast::Fixed;
use super::ledger::Placement;
use super::scheduler::{Column, Scheduler};
use super::score::{MAX, float, whole};
use super::spread_constraints::{Constraints, HOSTNAME_LABEL, counts};

const NOT_SPREAD: &str = "node(s) didn't match pod topology spread constraints";
const NO_LABEL: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";

/// The spread constraints of a pod and what they count.
#[derive(Debug)]
pub(super) struct Spread {
    hard: Vec<Constraint>,
    soft: Vec<Constraint>,
    /// Nodes that take part in soft spreading, by row.
    scored: Vec<bool>,
}

/// One constraint.
#[derive(Debug)]
struct Constraint {
    column: Rc<Column>,
    is_hostname: bool,
    max_skew: i64,
    min_domains: usize,
    selector: Option<Selector>,
    /// 1 when the pod counts itself.
    own: i64,
    /// Nodes whose pods count in their domain, by row.
    included: Vec<bool>,
    /// Pods that it selects, by row.
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
        fixed: &[Fixed],
    ) -> Result<Self, String> {
        let Constraints { constraints, system_default } = Constraints::of(scheduler, pod)?;
        let (hard, soft): (Vec<_>, Vec<_>) =
            constraints.into_iter().partition(|constraint| constraint.hard);
        let carries_all = |constraints: &[SpreadConstraint]| -> Vec<bool> {
            let columns: Vec<Rc<Column>> = constraints
                .iter()
                .map(|constraint| scheduler.column(&constraint.topology_key))
                .collect();
            (0..scheduler.rows.len())
                .map(|row| columns.iter().all(|column| column.carries(row)))
                .collect()
        };
        let filtered = carries_all(&hard);
        let scored =
            if system_default { vec![true; scheduler.rows.len()] } else { carries_all(&soft) };
        let build = |constraints: Vec<SpreadConstraint>, taking_part: &[bool]| {
            constraints
                .into_iter()
                .map(|constraint| Constraint::new(scheduler, pod, constraint, fixed, taking_part))
                .collect()
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

    /// The plugin's scores of the nodes that fit.
    pub(super) fn scores(&self, feasible: &[usize]) -> Vec<i64> {
        if self.soft.is_empty() {
            return vec![0; feasible.len()];
        }
        let taking_part: Vec<usize> =
            feasible.iter().copied().filter(|row| self.scored[*row]).collect();
        let weights: Vec<f64> =
            self.soft.iter().map(|constraint| constraint.weight(&taking_part)).collect();
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
            feasible.iter().map(|row| self.scored[*row].then(|| raw(*row))).collect();
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

impl Constraint {
    fn new(
        scheduler: &Scheduler<'_>,
        pod: &Placement,
        constraint: SpreadConstraint,
        fixed: &[Fixed],
        taking_part: &[bool],
    ) -> Self {
        let column = scheduler.column(&constraint.topology_key);
        let included: Vec<bool> = (0..scheduler.rows.len())
            .map(|row| {
                taking_part[row]
                    && (!constraint.honor_affinity || fixed[row].matched)
                    && (!constraint.honor_taints || fixed[row].tolerated)
            })
            .collect();
        let mut exists = vec![false; column.count];
        for row in 0..included.len() {
            exists[column.domain(row)] |= included[row];
        }
        let own = constraint.selector.as_ref().is_some_and(|own| own.matches(&pod.labels));
        Self {
            is_hostname: &*constraint.topology_key == HOSTNAME_LABEL,
            max_skew: i64::from(constraint.max_skew),
            min_domains: usize::try_from(constraint.min_domains.unwrap_or(1)).unwrap_or(1),
            selector: constraint.selector,
            own: i64::from(own),
            pods: vec![0; included.len()],
            domains: vec![0; column.count],
            included,
            exists,
            column,
        }
    }

    fn add(&mut self, row: usize, amount: i64) {
        self.pods[row] += amount;
        if self.included[row] {
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
    fn weight(&self, taking_part: &[usize]) -> f64 {
        let size = if self.is_hostname {
            taking_part.len()
        } else {
            let mut seen = vec![false; self.column.count];
            for row in taking_part {
                seen[self.column.domain(*row)] = true;
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
