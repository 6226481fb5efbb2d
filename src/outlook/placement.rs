//! Placing the pods that a lost zone leaves without a node, one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::observe::{Cluster, Name, Owner, Pod, PodId, Template, WorkloadKind, Zone};
use crate::predict::{
    Hindrance, InFlightPods, PendingPod, PlacedPods, Plugin, Scheduler, SchedulerConfig,
};

use super::loss::{Lost, ToPlace};
use super::workloads::Workloads;
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
    /// The zones of their nodes.
    zones: Vec<Option<Zone>>,
    in_flight: InFlightPods,
    /// Why the next one goes nowhere.
    stopped: Option<Stopped>,
}

enum Stopped {
    Pending(Option<Hindrance>),
    Unknown(String),
}

/// A phase of the loss of a zone, while its pods are being re-created.
#[derive(Debug)]
pub(super) struct Recreation {
    lost: Lost,
    next: usize,
    /// Sets that wait for a pod of theirs before they make the next.
    stopped_sets: FxHashSet<(Name, Name)>,
    placements: Placements,
}

impl Recreation {
    pub(super) fn of(lost: Lost) -> Self {
        let (stopped_sets, placements) = (FxHashSet::default(), Placements::default());
        Self { lost, next: 0, stopped_sets, placements }
    }

    /// Places the next pods, those that are alike together; false if there are none left.
    pub(super) fn step(
        &mut self,
        cluster: &Cluster,
        config: &SchedulerConfig,
        workloads: &Workloads,
    ) -> bool {
        let rest = &self.lost.to_place[self.next..];
        let Some(begin) = rest.first() else { return false };
        let is_alike = |one: &ToPlace, other: &ToPlace| {
            let pods = cluster.pod(one.pod).zip(cluster.pod(other.pod));
            one.workload == other.workload && pods.is_some_and(|(a, b)| are_alike(a, b))
        };
        let more = rest.windows(2).take_while(|pair| is_alike(&pair[0], &pair[1])).count();
        let run: Vec<PodId> = rest[..=more].iter().map(|known| known.pod).collect();
        let at = begin.workload as usize;
        let tag = workloads.tag(at);
        self.next += run.len();
        self.recreate(cluster, config, (at, tag), &run);
        true
    }

    fn recreate(
        &mut self,
        cluster: &Cluster,
        config: &SchedulerConfig,
        (at, tag): (usize, u64),
        ids: &[PodId],
    ) {
        let run: Vec<(PodId, &Pod)> =
            ids.iter().filter_map(|id| Some((*id, cluster.pod(*id)?))).collect();
        let Some((_, first)) = run.first() else { return };
        let set = first
            .owner
            .as_ref()
            .map(|owner| (Name::clone(&first.namespace), Name::clone(&owner.uid)));
        if set.as_ref().is_some_and(|set| self.stopped_sets.contains(set)) {
            self.placements.by_workload.entry(at).or_default().absent += run.len();
            return;
        }
        let lost = &mut self.lost;
        let placed = place(cluster, config, lost, &run, Leaving::NodeByNode);
        if placed.stopped.is_some() && makes_one_after_the_other(cluster, first) {
            self.stopped_sets.extend(set);
        }
        self.placements.note(at, run.len(), &placed, &lost.zone);
        self.placements.by_workload.entry(at).or_default().fewest_pending +=
            fewest_pending(cluster, config, lost, &run, &placed);
        if lost.phase == Phase::Unreachable {
            let leaving = run.iter().filter(|(_, pod)| pod.node.is_some());
            leaving.for_each(|(id, _)| lost.supposition.terminate(*id));
        }
        let bound = run.iter().zip(&placed.zones).filter(|((_, pod), _)| pod.node.is_none());
        bound.for_each(|((id, _), _)| lost.supposition.bind(*id));
        lost.supposition.settle(cluster, &placed.in_flight, tag);
    }

    /// The pods that nobody re-creates, what became of the others, and where those are.
    pub(super) fn end(self) -> (FxHashMap<usize, usize>, Placements, Vec<PlacedPods>) {
        (self.lost.absent, self.placements, self.lost.supposition.into_placed())
    }
}

impl Placements {
    fn note(&mut self, at: usize, pods: usize, placed: &Run, lost: &Zone) {
        let workload = self.by_workload.entry(at).or_default();
        let rest = pods - placed.zones.len();
        let mut on_silent_nodes = 0;
        for zone in &placed.zones {
            if zone.as_ref() == Some(lost) {
                on_silent_nodes += 1;
            } else {
                *workload.zones.entry(zone.clone()).or_default() += 1;
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
        surviving: &BTreeMap<Zone, usize>,
        absent: usize,
    ) -> PhaseOutlook {
        let none = Placed::default();
        let placed = self.by_workload.get(&workload).unwrap_or(&none);
        let mut zones = surviving.clone();
        for (zone, pods) in &placed.zones {
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
fn place(
    cluster: &Cluster,
    config: &SchedulerConfig,
    lost: &Lost,
    run: &[(PodId, &Pod)],
    leaving: Leaving,
) -> Run {
    let scheduler = Scheduler::supposing(cluster, config, &lost.supposition);
    let pending = scheduler.replacing(run[0].1);
    let mut zones = Vec::new();
    let mut simulation = match scheduler.simulate(&InFlightPods::default(), &pending) {
        Ok(simulation) => simulation,
        Err(cause) => {
            let in_flight = InFlightPods::default();
            return Run { pending, zones, in_flight, stopped: Some(Stopped::Unknown(cause)) };
        }
    };
    let mut stopped = None;
    for (at, (_, pod)) in run.iter().enumerate() {
        // The first of a node leaves with all that are on it; they are side by side.
        let alone = leaving == Leaving::OneByOne;
        let is_first = alone || at == 0 || run[at - 1].1.node != pod.node;
        if lost.phase == Phase::Unreachable && is_first {
            let beside = run[at..].iter().take_while(|(_, other)| other.node == pod.node);
            let leaving = beside.take(if alone { 1 } else { usize::MAX });
            leaving.for_each(|(id, _)| simulation.evict(*id));
            simulation.see_all();
        }
        // Where several tie, each is as good as the first.
        let Some(node) = simulation.first_of_best() else {
            stopped = Some(Stopped::Pending(simulation.hindrance(&lost.zone)));
            break;
        };
        zones.push(cluster.zone_of_node(&node).cloned());
        simulation.assume(pending.clone(), node);
    }
    let in_flight = simulation.in_flight().clone();
    Run { pending, zones, in_flight, stopped }
}

/// How many of these pods stay Pending at least. The pods of a node are deleted together, but
/// by requests of their own: a replacement may be scheduled while the next one still counts.
fn fewest_pending(
    cluster: &Cluster,
    config: &SchedulerConfig,
    lost: &Lost,
    run: &[(PodId, &Pod)],
    placed: &Run,
) -> usize {
    if !matches!(placed.stopped, Some(Stopped::Pending(_))) {
        return 0;
    }
    let share_a_node = run.windows(2).any(|pair| pair[0].1.node == pair[1].1.node);
    let placed = if lost.phase == Phase::Unreachable && share_a_node {
        place(cluster, config, lost, run, Leaving::OneByOne).zones.len()
    } else {
        placed.zones.len()
    };
    run.len() - placed
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
