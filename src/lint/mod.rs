//! What will go wrong in an outage, and shows before it: checks over a cluster, or over
//! manifests before they are applied.
//!
//! [`lint`] is a function of the index, of what manifests say beyond that ([`Declared`]), and
//! of the scheduler. Where pods would stay Pending the outlook says; the rest are facts of
//! single objects. Nothing in here can evict.

mod accept;
mod budgets;
mod check;
mod constraints;
mod critical;
mod declared;
mod finding;
mod locks;
mod paper;
mod placement;
mod sizes;
mod spreading;
mod volumes;
mod workload;

#[cfg(test)]
mod tests;

pub use check::{Check, Severity, Subject, lint_document};
pub use declared::{DECLARED_KINDS, Declared};
pub use finding::{Accepted, Finding, NotChecked, Place, Report};

use std::collections::{BTreeMap, BTreeSet};

use crate::observe::{Index, Zone};
use crate::predict::{Scheduler, SchedulerConfig};

use declared::Object;
use workload::{Workload, workloads_of};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The cluster, or what manifests make of it.
    pub index: &'a Index,
    /// What manifests say beyond that.
    pub declared: &'a Declared,
    /// The scheduler that looks at it.
    pub scheduler: &'a Scheduler<'a>,
    /// How that is configured.
    pub config: &'a SchedulerConfig,
    /// How many zones there are, where no nodes say so.
    pub zones: Option<usize>,
}

/// What several checks need.
#[derive(Debug)]
struct Context<'a> {
    input: Input<'a>,
    workloads: Vec<Workload<'a>>,
    /// The zones that nodes are in.
    zones: BTreeSet<&'a Zone>,
}

/// What the checks found so far.
#[derive(Debug, Default)]
struct Findings {
    list: Vec<(Finding, Option<usize>)>,
    not_checked: BTreeMap<(Check, String), usize>,
}

/// Makes every check.
#[must_use]
pub fn lint(input: Input<'_>) -> Report {
    let workloads = workloads_of(input.index, input.declared, input.scheduler);
    let nodes = input.index.cluster().nodes().filter(|(node, _)| !node.is_virtual());
    let zones = nodes.filter_map(|(node, _)| node.zone.as_ref()).collect();
    let context = Context { input, workloads, zones };
    let mut findings = Findings::default();
    placement::check(&context, &mut findings);
    volumes::check(&context, &mut findings);
    constraints::check(&context, &mut findings);
    spreading::check(&context, &mut findings);
    locks::check(&context, &mut findings);
    budgets::check(&context, &mut findings);
    sizes::check(&context, &mut findings);
    critical::check(&context, &mut findings);
    findings.report(&context)
}

impl Context<'_> {
    /// How many zones a workload may use, if that is known.
    fn zones_of(&self, workload: &Workload<'_>) -> Option<usize> {
        if self.zones.is_empty() {
            return self.input.zones;
        }
        // Where it may use none, its nodes are still to come.
        let own = workload.may_use.len();
        Some(if own > 0 { own } else { self.zones.len() })
    }

    /// Whether it is known that there is one zone only.
    fn is_single_zone(&self) -> bool {
        let zones = if self.zones.is_empty() { self.input.zones } else { Some(self.zones.len()) };
        zones == Some(1)
    }

    /// Whether any node is known.
    fn has_nodes(&self) -> bool {
        self.input.index.cluster().node_count() > 0
    }

    /// Every workload, and its number.
    fn workloads(&self) -> impl Iterator<Item = (usize, &Workload<'_>)> {
        self.workloads.iter().enumerate()
    }
}

/// What is asked for where the number of zones is not known.
const ZONES_UNKNOWN: &str = "the number of zones is not known: --zones N says it";

impl Findings {
    /// A finding of a workload.
    fn of_workload(&mut self, check: Check, context: &Context<'_>, at: usize, message: String) {
        if let Some(workload) = context.workloads.get(at) {
            self.add(check, &workload.object, Some(at), message);
        }
    }

    /// A finding of any object, and the workload that it is about.
    fn add(&mut self, check: Check, object: &Object, about: Option<usize>, message: String) {
        let finding = Finding {
            check,
            namespace: object.namespace.clone(),
            object: object.title(),
            message,
            accepted: None,
            place: object.place.clone(),
        };
        self.list.push((finding, about));
    }

    /// A check that could not be made of one more object.
    fn skip(&mut self, check: Check, why: &str) {
        *self.not_checked.entry((check, why.to_owned())).or_default() += 1;
    }

    /// Whether a check found something about a workload.
    fn has(&self, check: Check, at: usize) -> bool {
        self.list.iter().any(|(finding, about)| finding.check == check && *about == Some(at))
    }

    fn report(self, context: &Context<'_>) -> Report {
        let mut findings: Vec<Finding> = self
            .list
            .into_iter()
            .map(|(finding, about)| {
                let accepted = finding.accepted.clone().or_else(|| {
                    let workload = context.workloads.get(about?)?;
                    accept::accepted(context.input.index, workload, finding.check)
                });
                Finding { accepted, ..finding }
            })
            .collect();
        findings.sort_by(|a, b| {
            let key = |finding: &Finding| {
                (
                    finding.severity(),
                    finding.check,
                    finding.namespace.clone(),
                    finding.object.clone(),
                )
            };
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        findings.dedup();
        let not_checked = self
            .not_checked
            .into_iter()
            .map(|((check, why), objects)| NotChecked { check, why, objects })
            .collect();
        Report { findings, not_checked, workloads: context.workloads.len() }
    }
}
