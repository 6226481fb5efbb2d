//! Before and after: where the pods of each tier are, where they would be after a restart or
//! with twice as many, and what the loss of each zone leaves; today, and as if every workload
//! had the recommended constraint.

use std::sync::Arc;

use kube::core::Selector;
use rustc_hash::FxHashMap;

use crate::api::ZONE_LABEL;
use crate::observe::{Cluster, Index, Name, Pod, PodId, SpreadConstraint, Template, Zone};
use crate::predict::{InFlightPods, PendingPod, Scheduler, SchedulerCache, SchedulerConfig};

use super::survey::Survey;
use super::workloads::{WorkloadPods, Workloads};
use super::{Of, PhaseOutlook, TierOutlook};

/// Labels that tell the pods of a workload apart, or that the API server writes.
const OF_SINGLE_PODS: [&str; 6] = [
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-revision-hash",
    "pod-template-hash",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
];

/// Something that may happen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Nothing.
    Normal,
    /// All pods of the tier end at once and are made again, one after the other.
    Restart,
    /// As many pods again are added, one after the other.
    ScaleOut,
    /// The zone is lost; told is the worse of the two phases.
    Lost(Zone),
}

/// Where a tier's pods are in each scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct TierScenarios {
    /// Its namespace.
    pub namespace: Name,
    /// Whose pods they are.
    pub of: Of,
    /// How many there are now.
    pub pods: usize,
    /// As it is.
    pub today: Vec<(Scenario, PhaseOutlook)>,
    /// As if every workload of two or more pods had the recommended constraint, and had been
    /// made anew with it; none if it was not asked for.
    pub if_spread: Option<Vec<(Scenario, PhaseOutlook)>>,
}

/// Goes through the scenarios of every tier and workload.
#[must_use]
pub fn scenarios(index: &Index, config: &SchedulerConfig, if_spread: bool) -> Vec<TierScenarios> {
    let workloads = Workloads::of(index);
    let then = if_spread.then(|| {
        let cluster = spread_out(index.cluster(), config, &workloads);
        let workloads = workloads.on(&cluster);
        in_each(&cluster, config, workloads)
    });
    let mut then = then.map(Vec::into_iter);
    let told: Vec<(Name, Of, usize)> = workloads
        .iter()
        .map(|(_, known)| (Name::clone(&known.namespace), known.of.clone(), known.pods.len()))
        .collect();
    let today = in_each(index.cluster(), config, workloads);
    told.into_iter()
        .zip(today)
        .map(|((namespace, of, pods), today)| TierScenarios {
            namespace,
            of,
            pods,
            today,
            if_spread: then.as_mut().and_then(Iterator::next),
        })
        .collect()
}

/// The scenarios of each workload, in their order.
fn in_each(
    cluster: &Cluster,
    config: &SchedulerConfig,
    workloads: Workloads,
) -> Vec<Vec<(Scenario, PhaseOutlook)>> {
    let cache = SchedulerCache::new(config.clone());
    let scheduler = Scheduler::new(cluster, &cache);
    let mut told: Vec<Vec<(Scenario, PhaseOutlook)>> = workloads
        .iter()
        .map(|(_, known)| {
            vec![
                (Scenario::Normal, now(known)),
                (Scenario::Restart, restart(cluster, &scheduler, known)),
                (Scenario::ScaleOut, scale_out(cluster, &scheduler, known)),
            ]
        })
        .collect();
    let mut survey = Survey::over(cluster, workloads, None);
    while !survey.is_over() {
        let Some(lost) = survey.step_on(cluster, config) else { continue };
        for (told, tier) in told.iter_mut().zip(lost.tiers) {
            told.push((Scenario::Lost(lost.zone.clone()), worse(tier)));
        }
    }
    told
}

/// The phase in which more pods wait.
fn worse(tier: TierOutlook) -> PhaseOutlook {
    if tier.unreachable.pending > tier.gone.pending { tier.unreachable } else { tier.gone }
}

/// Where the pods are.
fn now(workload: &WorkloadPods) -> PhaseOutlook {
    let zones = workload.zones.iter().filter_map(|(zone, pods)| Some((zone.clone()?, *pods)));
    PhaseOutlook {
        pending: workload.waiting,
        fewest_pending: workload.waiting,
        zones: zones.collect(),
        ..PhaseOutlook::default()
    }
}

/// All pods end at once, and are made again.
fn restart(cluster: &Cluster, scheduler: &Scheduler<'_>, workload: &WorkloadPods) -> PhaseOutlook {
    let mut in_flight = InFlightPods::default();
    workload.pods.iter().for_each(|id| in_flight.remove(*id));
    let mut told = PhaseOutlook::default();
    let mut pods = Vec::new();
    for pod in workload.pods.iter().filter_map(|id| cluster.pod(*id)) {
        if pod.owner.is_some() {
            pods.push(scheduler.replacing(pod));
        } else {
            told.absent += 1;
        }
    }
    place(cluster, scheduler, in_flight, &pods, &mut told, &mut |_, _| {});
    told
}

/// As many pods again.
fn scale_out(
    cluster: &Cluster,
    scheduler: &Scheduler<'_>,
    workload: &WorkloadPods,
) -> PhaseOutlook {
    let mut told = now(workload);
    let pods = workload.pods.iter().filter_map(|id| cluster.pod(*id));
    let more = pods.filter(|pod| pod.owner.is_some());
    // They have names and volumes of their own.
    let more: Vec<PendingPod> =
        more.map(|pod| PendingPod { name: None, ..scheduler.replacing(pod) }).collect();
    place(cluster, scheduler, InFlightPods::default(), &more, &mut told, &mut |_, _| {});
    told
}

/// Places pods one after the other, adds up where they are, and tells the node of each.
fn place(
    cluster: &Cluster,
    scheduler: &Scheduler<'_>,
    mut in_flight: InFlightPods,
    pods: &[PendingPod],
    told: &mut PhaseOutlook,
    tell: &mut dyn FnMut(usize, &Name),
) {
    let mut begin = 0;
    while let Some(first) = pods.get(begin) {
        let alike = |pod: &&PendingPod| pod.name.is_none() && first.name.is_none() && *pod == first;
        let run = pods[begin..].iter().take_while(alike).count().max(1);
        match scheduler.simulate(&in_flight, first) {
            Err(_) => told.unknown += run,
            Ok(mut simulation) => {
                for at in begin..begin + run {
                    let Some(node) = simulation.first_of_best() else {
                        told.pending += begin + run - at;
                        break;
                    };
                    if let Some(zone) = cluster.zone_of_node(&node) {
                        *told.zones.entry(zone.clone()).or_default() += 1;
                    }
                    tell(at, &node);
                    simulation.assume(first.clone(), node);
                }
                in_flight = simulation.in_flight().clone();
            }
        }
        begin += run;
    }
    told.fewest_pending = told.pending;
}

/// The cluster with every workload made anew with the recommended constraint, one after the
/// other.
fn spread_out(cluster: &Cluster, config: &SchedulerConfig, workloads: &Workloads) -> Cluster {
    let mut then = cluster.clone();
    let several: Vec<&WorkloadPods> =
        workloads.iter().map(|(_, known)| known).filter(|known| known.pods.len() > 1).collect();
    let mut templates = FxHashMap::default();
    for id in several.iter().flat_map(|known| &known.pods) {
        let Some(pod) = cluster.pod(*id).filter(|pod| pod.owner.is_some()) else { continue };
        let template: &mut Arc<Template> = templates
            .entry((
                Arc::as_ptr(&pod.template),
                pod.owner.as_ref().map(|owner| Name::clone(&owner.uid)),
            ))
            .or_insert_with(|| Arc::new(recommended(cluster, pod)));
        let template = Arc::clone(template);
        then.put_pod(Pod { template, node: None, ..pod.clone() });
    }
    for workload in several {
        for (id, node) in placed(&then, config, workload) {
            if let Some(pod) = then.pod(id).cloned() {
                then.put_pod(Pod { node: Some(node), ..pod });
            }
        }
    }
    then
}

/// Where the pods of a workload go that have no node.
fn placed(
    cluster: &Cluster,
    config: &SchedulerConfig,
    workload: &WorkloadPods,
) -> Vec<(PodId, Name)> {
    let cache = SchedulerCache::new(config.clone());
    let scheduler = Scheduler::new(cluster, &cache);
    let waiting = workload.pods.iter().filter_map(|id| Some((*id, cluster.pod(*id)?)));
    let waiting = waiting.filter(|(_, pod)| pod.node.is_none() && pod.owner.is_some());
    let (ids, pods): (Vec<PodId>, Vec<PendingPod>) = waiting
        .map(|(id, pod)| {
            let like = PendingPod::like(pod);
            let keeps_name = pod.owner.as_ref().is_some_and(|owner| owner.keeps_names());
            (id, PendingPod { name: like.name.filter(|_| keeps_name), ..like })
        })
        .unzip();
    let mut nodes = Vec::new();
    let mut told = PhaseOutlook::default();
    place(cluster, &scheduler, InFlightPods::default(), &pods, &mut told, &mut |at, node| {
        nodes.push((ids[at], Name::clone(node)));
    });
    nodes
}

/// What the documentation recommends: one hard constraint on zones that minds taints, for the
/// pods of the workload's own revision.
fn recommended(cluster: &Cluster, pod: &Pod) -> Template {
    let mut template = Template::clone(&pod.template);
    template.spread.retain(|constraint| !constraint.is_of_zones());
    template.required_anti_affinity.retain(|term| !term.is_of_zones());
    let own = cluster.owner_of(pod).and_then(|owner| owner.selector.clone());
    let selector = own.unwrap_or_else(|| {
        let labels = pod.labels.iter().filter(|(key, _)| !OF_SINGLE_PODS.contains(&key.as_str()));
        labels.map(|(key, value)| (key.clone(), value.clone())).collect::<Selector>()
    });
    template.spread.push(SpreadConstraint {
        hard: true,
        selector: Some(selector),
        honor_taints: true,
        ..SpreadConstraint::soft(ZONE_LABEL, 1)
    });
    template
}
