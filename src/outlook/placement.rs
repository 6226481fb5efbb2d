//! Placing the pods that a lost zone leaves without a node, one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::observe::{Cluster, Name, Owner, Pod, PodPhase, Template, WorkloadKind, Zone};
use crate::predict::{
    Hindrance, InFlightPods, PendingPod, Plugin, Scheduler, SchedulerCache, SchedulerConfig,
};

use super::loss::Lost;
use super::{Missing, Phase, PhaseOutlook};

/// What became of the pods that had to be placed.
#[derive(Debug, Default)]
pub(super) struct Placements {
    by_workload: FxHashMap<usize, Placed>,
    missing: Missing,
}

/// What became of a workload's pods.
#[derive(Debug, Default)]
pub(super) struct Placed {
    zones: BTreeMap<Option<Zone>, usize>,
    /// Those that stay Pending.
    pub waiting: Option<Waiting>,
    /// How many of them would if the pods of a node left one by one.
    fewest_pending: usize,
    absent: usize,
    unknown: usize,
    /// Why the landing of the first of these is unknown.
    pub cause: Option<String>,
}

/// Pods that stay Pending.
#[derive(Debug)]
pub(super) struct Waiting {
    pub pods: usize,
    /// What keeps the first of them Pending; none if it was put on a silent node.
    pub hindrance: Option<Hindrance>,
    pub template: Arc<Template>,
}

/// In which order the pods of a silent zone leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    NodeByNode,
    OneByOne,
}

/// Where the pods of a run go, the first first.
struct Run {
    pending: PendingPod,
    nodes: Vec<Name>,
    /// Why the next one goes nowhere.
    stopped: Option<Stopped>,
}

enum Stopped {
    Pending(Option<Hindrance>),
    Unknown(String),
}

impl Placements {
    pub(super) fn of(lost: &mut Lost, config: &SchedulerConfig) -> Self {
        let cache = SchedulerCache::new(config.clone());
        let mut placements = Self::default();
        let to_place = std::mem::take(&mut lost.to_place);
        // Sets that wait for a pod of theirs before they make the next.
        let mut stopped_sets: FxHashSet<(Name, Name)> = FxHashSet::default();
        for run in to_place.chunk_by(|(one, a), (other, b)| one == other && are_alike(a, b)) {
            let (at, first) = &run[0];
            let set = first
                .owner
                .as_ref()
                .map(|owner| (Name::clone(&first.namespace), Name::clone(&owner.uid)));
            if set.as_ref().is_some_and(|set| stopped_sets.contains(set)) {
                placements.by_workload.entry(*at).or_default().absent += run.len();
                continue;
            }
            let placed = place(lost, &cache, run, Leaving::NodeByNode);
            if placed.stopped.is_some() && makes_one_after_the_other(&lost.cluster, first) {
                stopped_sets.extend(set);
            }
            placements.note(*at, run, &placed, lost);
            placements.by_workload.entry(*at).or_default().fewest_pending +=
                fewest_pending(lost, &cache, run, &placed);
            if lost.phase == Phase::Unreachable {
                let leaving = run.iter().filter(|(_, pod)| pod.node.is_some());
                leaving.for_each(|(_, pod)| lost.terminate(pod));
            }
            for ((_, pod), node) in run.iter().zip(placed.nodes) {
                lost.cluster.put_pod(bound(pod, &placed.pending, node));
            }
        }
        placements
    }

    fn note(&mut self, at: usize, run: &[(usize, Pod)], placed: &Run, lost: &Lost) {
        let workload = self.by_workload.entry(at).or_default();
        let mut rest = run.len();
        let mut on_silent_nodes = 0;
        for node in &placed.nodes {
            rest -= 1;
            let zone = lost.cluster.zone_of_node(node).cloned();
            if zone.as_ref() == Some(&lost.zone) {
                on_silent_nodes += 1;
            } else {
                *workload.zones.entry(zone).or_default() += 1;
            }
        }
        let template = &placed.pending.template;
        let mut wait = |pods: usize, hindrance: Option<Hindrance>| {
            if pods > 0 {
                let known = workload.waiting.get_or_insert_with(|| Waiting {
                    pods: 0,
                    hindrance,
                    template: Arc::clone(template),
                });
                known.pods += pods;
            }
        };
        wait(on_silent_nodes, None);
        match &placed.stopped {
            None => {}
            Some(Stopped::Unknown(cause)) => {
                workload.unknown += rest;
                workload.cause.get_or_insert_with(|| cause.clone());
            }
            Some(Stopped::Pending(hindrance)) => {
                wait(rest, hindrance.clone());
                let room =
                    hindrance.as_ref().is_some_and(|why| why.plugin == Plugin::NodeResourcesFit);
                if room {
                    let pods = i64::try_from(rest).unwrap_or(i64::MAX);
                    self.missing.pods += rest;
                    self.missing.cpu_milli += template.requests.cpu_milli.saturating_mul(pods);
                    self.missing.memory += template.requests.memory.saturating_mul(pods);
                }
            }
        }
    }

    pub(super) const fn missing(&self) -> Missing {
        self.missing
    }

    /// What became of a workload's pods that had to be placed, if it had any.
    pub(super) fn of_workload(&self, workload: usize) -> Option<&Placed> {
        self.by_workload.get(&workload)
    }

    /// Where a workload's pods are, of which these survive and so many are not re-created.
    pub(super) fn outcome(
        &self,
        workload: usize,
        surviving: &BTreeMap<Option<Zone>, usize>,
        absent: usize,
    ) -> PhaseOutlook {
        let none = Placed::default();
        let placed = self.by_workload.get(&workload).unwrap_or(&none);
        let mut zones: BTreeMap<Zone, usize> = BTreeMap::new();
        for (zone, pods) in surviving.iter().chain(&placed.zones) {
            if let Some(zone) = zone {
                *zones.entry(zone.clone()).or_default() += pods;
            }
        }
        PhaseOutlook {
            pending: placed.waiting.as_ref().map_or(0, |waiting| waiting.pods),
            fewest_pending: placed.fewest_pending,
            absent: placed.absent + absent,
            unknown: placed.unknown,
            zones,
        }
    }
}

/// Where the replacements of these pods go, which are alike.
///
/// A silent zone is evicted node by node, one in ten seconds (`--node-eviction-rate` of
/// kube-controller-manager, 0.1 by default): the first pods are replaced while the others
/// still count, so that a hard constraint lets more of them go elsewhere.
fn place(lost: &Lost, cache: &SchedulerCache, run: &[(usize, Pod)], leaving: Leaving) -> Run {
    let first = &run[0].1;
    let scheduler = Scheduler::new(&lost.cluster, cache);
    let pending = scheduler.replacing(first);
    let mut nodes = Vec::new();
    let mut simulation = match scheduler.simulate(&InFlightPods::default(), &pending) {
        Ok(simulation) => simulation,
        Err(cause) => return Run { pending, nodes, stopped: Some(Stopped::Unknown(cause)) },
    };
    for (at, (_, pod)) in run.iter().enumerate() {
        // The first of a node leaves with all that are on it; they are side by side.
        let alone = leaving == Leaving::OneByOne;
        if alone || at == 0 || run[at - 1].1.node != pod.node {
            let beside = run[at..].iter().take_while(|(_, other)| other.node == pod.node);
            let leaving = beside.take(if alone { 1 } else { usize::MAX });
            let ids = leaving.filter_map(|(_, pod)| lost.cluster.pod_id(&pod.namespace, &pod.name));
            ids.for_each(|id| simulation.evict(id));
        }
        // Where several tie, each is as good as the first.
        let Some(node) = simulation.best().and_then(|best| best.nodes.into_iter().next()) else {
            let hindrance = simulation.hindrance(&lost.zone);
            return Run { pending, nodes, stopped: Some(Stopped::Pending(hindrance)) };
        };
        nodes.push(Name::clone(&node));
        if nodes.len() < run.len() {
            simulation.assume(pending.clone(), node);
        }
    }
    Run { pending, nodes, stopped: None }
}

/// How many of these pods stay Pending at least. The pods of a node are deleted together, but
/// by requests of their own: a replacement may be scheduled while the next one still counts.
fn fewest_pending(
    lost: &Lost,
    cache: &SchedulerCache,
    run: &[(usize, Pod)],
    placed: &Run,
) -> usize {
    if !matches!(placed.stopped, Some(Stopped::Pending(_))) {
        return 0;
    }
    let share_a_node = run.windows(2).any(|pair| pair[0].1.node == pair[1].1.node);
    let placed = if lost.phase == Phase::Unreachable && share_a_node {
        place(lost, cache, run, Leaving::OneByOne).nodes.len()
    } else {
        placed.nodes.len()
    };
    run.len() - placed
}

/// The replacement of `pod`, on its node.
fn bound(pod: &Pod, pending: &PendingPod, node: Name) -> Pod {
    // The one that it replaces may still be there, terminating.
    let name = if pending.name.is_some() || pod.node.is_none() {
        Name::clone(&pod.name)
    } else {
        Name::from(format!("{}+", pod.name))
    };
    Pod {
        name,
        labels: Arc::clone(&pending.labels),
        template: Arc::clone(&pending.template),
        node: Some(node),
        phase: PodPhase::Running,
        ..pod.clone()
    }
}

/// Whether the scheduler sees no difference between the replacements of these pods.
fn are_alike(one: &Pod, other: &Pod) -> bool {
    let same_owner = |one: &Option<Arc<Owner>>, other: &Option<Arc<Owner>>| match (one, other) {
        (Some(one), Some(other)) => {
            &*one.kind != WorkloadKind::StatefulSet.as_str() && one == other
        }
        _ => false,
    };
    one.namespace == other.namespace
        && same_owner(&one.owner, &other.owner)
        && one.labels == other.labels
        && one.template == other.template
}

/// Whether the pod's set makes the next pod only once this one is Ready.
fn makes_one_after_the_other(cluster: &Cluster, pod: &Pod) -> bool {
    cluster.owner_of(pod).is_some_and(|workload| workload.one_after_the_other)
}
