//! Preemption: pods of negative priority are room for others.
//!
//! Follows `DefaultPreemption` (`pkg/scheduler/framework/preemption/preemption.go` and
//! `plugins/defaultpreemption`, 1.37) as far as only pods of negative priority have to go:
//! pods that hold room for others (headroom). Of lower priorities that are not negative the
//! room is not taken: it is somebody's. A node where headroom is enough is preferred to all
//! where it is not, so those need not be looked at.

use std::cmp::Reverse;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::observe::{Budget, Labels, Name, Pod, PodId, Template, Zone};

use super::in_flight::PendingPod;
use super::plugins::Scope;
use super::plugins::node_resources::Usage;
use super::prefilter::Cycle;
use super::simulation::{Best, Simulation};

/// As many nodes are tried at least (`minCandidateNodesAbsolute`): from more, the scheduler
/// takes those that it happens to try first.
const CANDIDATES_TRIED: usize = 100;

/// A node that has room once others are pushed out.
#[derive(Debug)]
struct Candidate {
    row: usize,
    victims: Vec<PodId>,
    /// The highest of the victims' priorities.
    highest: i32,
    /// The sum of their priorities above the lowest there may be, which counts them, too.
    sum: i64,
    /// Whether it is known who has to go.
    is_exact: bool,
}

impl Simulation<'_> {
    /// Where the pod lands by pushing others out.
    pub(super) fn best_by_preemption(&self, named: usize) -> Option<Best> {
        let chosen = preferred(self.candidates());
        let first = chosen.first()?;
        let node = |row: usize| &self.cycle.scheduler.rows()[row].node;
        let mut zones: Vec<Option<&Zone>> =
            chosen.iter().map(|candidate| node(candidate.row).zone.as_ref()).collect();
        // The pod waits until the others are gone. What leaves before them may make room, too.
        let waits = chosen.iter().flat_map(|candidate| &candidate.victims);
        let mut waits = waits.filter_map(|id| self.cycle.scheduler.cluster.pod(*id));
        if waits.any(|victim| !victim.template.vanishes) {
            zones.extend(self.freed().into_iter().map(|row| node(row).zone.as_ref()));
        }
        zones.sort_unstable();
        zones.dedup();
        let unzoned = zones.contains(&None);
        let rows = chosen.iter().map(|candidate| candidate.row);
        Some(Best {
            nodes: rows.take(named).map(|row| Name::clone(&node(row).name)).collect(),
            tied: chosen.len(),
            certain: zones.len() == 1 && !unzoned,
            zones: zones.into_iter().flatten().cloned().collect(),
            unzoned,
            may_wait: false,
            // What else leaves or comes meanwhile may turn it.
            margin: 0,
            spare: 0,
            preempts: first.victims.clone(),
        })
    }

    /// Every node where it is enough to push out pods of negative priority, by name.
    fn candidates(&self) -> Vec<Candidate> {
        let Some(cleared) = self.cleared() else { return Vec::new() };
        let mut rows: Vec<usize> = self.expendable().map(|(_, row)| row).collect();
        rows.sort_unstable();
        rows.dedup();
        // Where the pod does not mind who else is there, but for the room, it may be looked
        // at all nodes as if all had been pushed out, and not only those of one node.
        let minded = self.minds_expendable();
        rows.retain(|row| if minded { self.could_take(*row) } else { cleared.can_take(*row) });
        let candidates = rows.into_iter().filter_map(|row| self.candidate(row));
        candidates
            .map(|candidate| Candidate { is_exact: candidate.is_exact && !minded, ..candidate })
            .collect()
    }

    /// Whether the pod minds those that may be pushed out in more than the room they take.
    fn minds_expendable(&self) -> bool {
        let Cycle { scheduler, pod, .. } = &self.cycle;
        let minding = scheduler.minding(pod);
        let mut known: Vec<(*const Template, *const Labels)> = Vec::new();
        let mut pods = self.expendable().filter_map(|(id, _)| scheduler.cluster.pod(id));
        pods.any(|other| {
            let key = (Arc::as_ptr(&other.template), Arc::as_ptr(&other.labels));
            if known.contains(&key) {
                return false;
            }
            known.push(key);
            minding.minds(&PendingPod::like(other))
        })
    }

    /// Whether the node could take the pod without those that may be pushed out of it alone.
    fn could_take(&self, row: usize) -> bool {
        let mut in_flight = self.cycle.in_flight.clone();
        let there = self.expendable().filter(|(_, at)| *at == row);
        there.for_each(|(id, _)| in_flight.remove(id));
        let Cycle { scheduler, pod, order, .. } = &self.cycle;
        let alone = Self::with_order(scheduler, &in_flight, pod, *order);
        alone.is_ok_and(|alone| alone.can_take(row))
    }

    fn candidate(&self, row: usize) -> Option<Candidate> {
        let usage = self.state.usage(&self.cycle, row);
        let (mut victims, violates) = self.victims(row, usage, &self.cycle.pod.template);
        // Ports, volumes or affinity keep the pod away as well: by whom of them is not known.
        let is_exact = !victims.is_empty() && self.fits_but_for_room(row);
        if !is_exact {
            victims = self.expendable().filter(|(_, at)| *at == row).map(|(id, _)| id).collect();
        }
        if violates {
            return None;
        }
        let cluster = self.cycle.scheduler.cluster;
        let priorities = || {
            let pods = victims.iter().filter_map(|id| cluster.pod(*id));
            pods.map(|pod| pod.template.priority)
        };
        let highest = priorities().max()?;
        let sum = priorities().map(|priority| i64::from(priority) - i64::from(i32::MIN)).sum();
        let is_exact = is_exact && self.is_one_choice(row, highest);
        Some(Candidate { row, victims, highest, sum, is_exact })
    }

    /// Whether pods of one priority are alike on this node: else it depends on when they
    /// were started who of them may stay.
    fn is_one_choice(&self, row: usize, highest: i32) -> bool {
        let cluster = self.cycle.scheduler.cluster;
        let pods = self.expendable().filter(|(_, at)| *at == row);
        let pods: Vec<&Pod> = pods
            .filter_map(|(id, _)| cluster.pod(id))
            .filter(|pod| pod.template.priority <= highest)
            .collect();
        let is_like = |one: &Pod, other: &Pod| {
            one.template.priority != other.template.priority
                || one.template.counted().requests == other.template.counted().requests
        };
        pods.iter().all(|one| pods.iter().all(|other| is_like(one, other)))
    }

    /// Whether only room is missing on the node.
    fn fits_but_for_room(&self, row: usize) -> bool {
        self.passes_but_for_room(row) && self.passes(Scope::Topology, row)
    }

    /// Who has to leave the node, on which this is used, for a pod with this template, and
    /// whether that violates a budget. The most important stay first, and before all others
    /// those whose budgets would be violated.
    fn victims(&self, row: usize, mut usage: Usage, template: &Template) -> (Vec<PodId>, bool) {
        let scheduler = self.cycle.scheduler;
        let (node, entry) = (&scheduler.rows()[row].node, scheduler.entry(row));
        let pods = self.expendable().filter(|(_, at)| *at == row);
        let mut pods: Vec<(PodId, &Pod)> =
            pods.filter_map(|(id, _)| Some((id, scheduler.cluster.pod(id)?))).collect();
        pods.sort_by_key(|(id, pod)| (Reverse(pod.template.priority), pod.created, *id));
        for (_, pod) in &pods {
            usage.subtract(&pod.template);
        }
        let mut allowed: FxHashMap<(Name, Name), i32> = FxHashMap::default();
        let mut is_violating = |pod: &Pod| {
            let mut violates = false;
            for Budget { namespace, name, allowed: at_first, .. } in
                scheduler.cluster.budgets_of(pod)
            {
                let key = (Name::clone(namespace), Name::clone(name));
                let left = allowed.entry(key).or_insert(*at_first);
                *left -= 1;
                violates |= *left < 0;
            }
            violates
        };
        let (violating, others): (Vec<_>, Vec<_>) =
            pods.into_iter().partition(|(_, pod)| is_violating(pod));
        let mut victims = Vec::new();
        let mut violates = false;
        for ((id, pod), is_violating) in violating
            .into_iter()
            .map(|pod| (pod, true))
            .chain(others.into_iter().map(|pod| (pod, false)))
        {
            usage.add(&pod.template);
            if usage.shortages(template, node, entry).next().is_some() {
                usage.subtract(&pod.template);
                victims.push(id);
                violates |= is_violating;
            }
        }
        (victims, violates)
    }

    /// Nodes that could take the pod as soon as those that are evicted there are gone.
    fn freed(&self) -> Vec<usize> {
        let cycle = &self.cycle;
        let mut usages: FxHashMap<usize, Usage> = FxHashMap::default();
        for id in cycle.in_flight.evicted() {
            let Some(pod) = cycle.scheduler.cluster.pod(id) else { continue };
            let Some(row) = cycle.row_of(pod) else { continue };
            if pod.holds_place() && !cycle.is_gone(id, pod) {
                let usage = usages.entry(row).or_insert_with(|| self.state.usage(cycle, row));
                usage.subtract(&pod.template);
            }
        }
        let fits = |(row, usage): &(usize, Usage)| {
            let (node, entry) = (&cycle.scheduler.rows()[*row].node, cycle.scheduler.entry(*row));
            usage.shortages(&cycle.pod.template, node, entry).next().is_none()
                && [Scope::Static, Scope::Topology]
                    .into_iter()
                    .all(|scope| self.passes(scope, *row))
        };
        usages.into_iter().filter(fits).map(|(row, _)| row).collect()
    }

    /// Those that an assumed pod pushes out of its node.
    pub(super) fn pushed_out(&self, row: usize, assumed: &Template) -> Vec<PodId> {
        if self.expendable().all(|(_, at)| at != row) {
            return Vec::new();
        }
        let mut usage = self.state.usage(&self.cycle, row);
        usage.subtract(assumed);
        self.victims(row, usage, assumed).0
    }

    /// Pods that may be pushed out for the pod, and their nodes.
    pub(super) fn expendable(&self) -> impl Iterator<Item = (PodId, usize)> {
        let priority = self.cycle.pod.template.priority;
        let all = self.cycle.scheduler.expendable().iter().copied();
        all.filter(move |(id, _)| {
            !self.cycle.in_flight.is_evicted(*id)
                && !self.cycle.scheduler.is_leaving(*id)
                && self
                    .cycle
                    .scheduler
                    .cluster
                    .pod(*id)
                    .is_some_and(|pod| pod.template.priority < priority)
        })
    }
}

/// How many pods whose room is not taken are named.
const NAMED: usize = 1;

impl Simulation<'_> {
    /// The pods of lower, but not negative, priority whose room on the node would do: they
    /// stay. None if their room is not enough.
    pub(super) fn held_by_lower(&self, row: usize) -> Option<String> {
        let (cycle, asked) = (&self.cycle, &self.cycle.pod.template);
        if asked.priority <= 0 || asked.never_preempts {
            return None;
        }
        let scheduler = cycle.scheduler;
        let (node, entry) = (&scheduler.rows()[row].node, scheduler.entry(row));
        let pods = entry.pods.iter().filter_map(|id| Some((*id, scheduler.cluster.pod(*id)?)));
        let mut lower: Vec<&Pod> = pods
            .filter(|(id, pod)| {
                pod.template.priority < asked.priority && !cycle.in_flight.is_evicted(*id)
            })
            .map(|(_, pod)| pod)
            .collect();
        let mut usage = self.state.usage(cycle, row);
        for pod in &lower {
            usage.subtract(&pod.template);
        }
        lower.retain(|pod| pod.template.priority >= 0);
        lower.sort_by_key(|pod| (pod.template.priority, Name::clone(&pod.name)));
        let first = lower.first()?;
        if usage.shortages(asked, node, entry).next().is_some() {
            return None;
        }
        let Pod { namespace, name, template, .. } = first;
        let others = match lower.len() - NAMED {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        Some(format!("{namespace}/{name} (priority {}){others}", template.priority))
    }
}

/// Those that the scheduler may choose (`pickOneNodeForPreemption`). The last of its rules,
/// when the victims were started, is left out.
fn preferred(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    if candidates.len() > CANDIDATES_TRIED {
        return candidates;
    }
    let highest = candidates.iter().map(|candidate| candidate.highest).min();
    candidates.retain(|candidate| Some(candidate.highest) == highest);
    if candidates.iter().all(|candidate| candidate.is_exact) {
        let sum = candidates.iter().map(|candidate| candidate.sum).min();
        candidates.retain(|candidate| Some(candidate.sum) == sum);
    }
    candidates
}
