//! The nodes' room for a pod, and how well it would use it.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::observe::{Resources, Template};

use crate::predict::prefilter::{Cycle, PodRef};
use crate::predict::scheduler::Scheduler;

use super::balanced_allocation;
use super::node_resources::Usage;

/// A node's room for the pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceFit {
    /// Whether there is room.
    pub fits: bool,
    /// `NodeResourcesFit`'s score.
    pub least_allocated: i64,
    /// `NodeResourcesBalancedAllocation`'s score.
    pub balanced: i64,
}

/// What a pod asks for, as far as fits depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FitKey {
    requests: Resources,
    own_scored_cpu_milli: i64,
    own_scored_memory: i64,
}

impl FitKey {
    /// What pods with this template ask for.
    pub fn of(template: &Template) -> Self {
        Self {
            requests: template.requests.clone(),
            own_scored_cpu_milli: template.own_scored_cpu_milli,
            own_scored_memory: template.own_scored_memory,
        }
    }
}

/// The nodes' room for pods with one template: as the cluster shows it, but
/// for some nodes.
#[derive(Debug)]
pub struct ResourceFits {
    shown: Arc<[ResourceFit]>,
    changed: FxHashMap<usize, (Usage, ResourceFit)>,
}

impl ResourceFits {
    /// Looks at what is on all nodes.
    pub fn pre_filter(cycle: &Cycle<'_>) -> Self {
        let (scheduler, template) = (cycle.scheduler, &*cycle.pod.template);
        let fit = |row| fit_on(scheduler, template, row, &scheduler.usage(row));
        let shown = scheduler.shared.fits(FitKey::of(template), |known| {
            let known =
                known.and_then(|(since, fits)| Some((scheduler.rows_changed_since(since)?, fits)));
            let Some((mut rows, fits)) = known else {
                return cycle.rows().map(fit).collect();
            };
            rows.sort_unstable();
            rows.dedup();
            let changed: Vec<(usize, ResourceFit)> = rows
                .into_iter()
                .map(|row| (row, fit(row)))
                .filter(|(row, fit)| fits[*row] != *fit)
                .collect();
            if changed.is_empty() {
                return fits;
            }
            let mut renewed = fits.to_vec();
            for (row, fit) in changed {
                renewed[row] = fit;
            }
            renewed.into()
        });
        let mut fits = Self { shown, changed: FxHashMap::default() };
        for (pod, row) in cycle.gone() {
            fits.remove_pod(cycle, PodRef::from(pod), row);
        }
        fits
    }

    /// A pod comes to the node.
    pub fn add_pod(&mut self, cycle: &Cycle<'_>, pod: PodRef<'_>, row: usize) {
        self.change(cycle, row, |usage| usage.add(pod.template));
    }

    /// A pod has left the node.
    pub fn remove_pod(&mut self, cycle: &Cycle<'_>, pod: PodRef<'_>, row: usize) {
        self.change(cycle, row, |usage| usage.subtract(pod.template));
    }

    /// Why `NodeResourcesFit` rejects the node, if it does.
    pub fn filter(&self, row: usize) -> Option<&'static str> {
        (!self.get(row).fits).then_some("Insufficient resources")
    }

    /// The same with what there is too little of, in the scheduler's words.
    pub fn details(&self, cycle: &Cycle<'_>, row: usize) -> String {
        let scheduler = cycle.scheduler;
        let node = &scheduler.rows()[row].node;
        let usage = self.usage(scheduler, row);
        let shortages = usage.shortages(&cycle.pod.template, node, scheduler.entry(row));
        shortages.map(|shortage| shortage.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// The node's room.
    pub fn get(&self, row: usize) -> ResourceFit {
        if self.changed.is_empty() {
            return self.shown[row];
        }
        self.changed.get(&row).map_or(self.shown[row], |(_, fit)| *fit)
    }

    /// The nodes' room as the cluster shows it.
    pub fn shown(&self) -> &Arc<[ResourceFit]> {
        &self.shown
    }

    /// The nodes whose room is not what the cluster shows.
    pub fn changed(&self) -> impl Iterator<Item = usize> {
        self.changed.keys().copied()
    }

    /// What is on the node.
    pub fn usage(&self, scheduler: &Scheduler<'_>, row: usize) -> Usage {
        let changed = self.changed.get(&row).map(|(usage, _)| usage.clone());
        changed.unwrap_or_else(|| scheduler.usage(row))
    }

    fn change(&mut self, cycle: &Cycle<'_>, row: usize, change: impl FnOnce(&mut Usage)) {
        let mut usage = self.usage(cycle.scheduler, row);
        change(&mut usage);
        let fit = fit_on(cycle.scheduler, &cycle.pod.template, row, &usage);
        self.changed.insert(row, (usage, fit));
    }
}

fn fit_on(
    scheduler: &Scheduler<'_>,
    template: &Template,
    row: usize,
    usage: &Usage,
) -> ResourceFit {
    let node = &scheduler.rows()[row].node;
    ResourceFit {
        fits: usage.shortages(template, node, scheduler.entry(row)).next().is_none(),
        least_allocated: usage.least_allocated(template, node),
        balanced: balanced_allocation::score(scheduler.config.version, usage, template, node),
    }
}
