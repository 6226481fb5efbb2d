//! Whose pods there are: tiers of policies, and workloads that no policy selects.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::observe::{Cluster, Index, Name, Pod, PodId, PodPhase, PolicyEntry, WorkloadKind, Zone};

use super::Of;

/// Every workload whose pods are of interest, tiers first, by namespace and name.
#[derive(Debug)]
pub(super) struct Workloads {
    list: Vec<WorkloadPods>,
    of_pod: FxHashMap<PodId, usize>,
}

/// The pods of a tier, or of another workload.
#[derive(Clone, Debug)]
pub(super) struct WorkloadPods {
    pub namespace: Name,
    pub of: Of,
    /// Whether the policy accepts that the tier is in one zone.
    pub accepted: bool,
    /// Whether they are of a `StatefulSet`, whose members often need a majority.
    pub is_set: bool,
    /// Those that are meant to run.
    pub pods: Vec<PodId>,
    /// How many of them wait for a node.
    pub waiting: usize,
}

impl Workloads {
    pub(super) fn of(index: &Index) -> Self {
        let cluster = index.cluster();
        let mut all: BTreeMap<(bool, Name, Of), WorkloadPods> = BTreeMap::new();
        let mut is_of_tier: FxHashSet<PodId> = FxHashSet::default();
        for policy in index.policies() {
            for (tier, pods) in &policy.tiers {
                let of = Of::Tier(Name::clone(&policy.key.name), Name::clone(tier));
                let namespace = Name::clone(&policy.key.namespace);
                let meant: Vec<PodId> =
                    pods.iter().copied().filter(|id| is_meant(cluster, *id)).collect();
                is_of_tier.extend(meant.iter().copied());
                let workload = WorkloadPods {
                    namespace: Name::clone(&namespace),
                    of: of.clone(),
                    accepted: is_accepted(policy, tier),
                    is_set: is_set(cluster, &meant),
                    waiting: waiting(cluster, &meant),
                    pods: meant,
                };
                all.insert((false, namespace, of), workload);
            }
        }
        for (id, pod) in cluster.pods() {
            if is_of_tier.contains(&id) || !is_meant(cluster, id) {
                continue;
            }
            let of = outermost_owner(cluster, pod);
            let namespace = Name::clone(&pod.namespace);
            let key = (true, Name::clone(&namespace), of.clone());
            let workload = all.entry(key).or_insert_with(|| WorkloadPods {
                namespace,
                of,
                accepted: false,
                is_set: is_set(cluster, &[id]),
                pods: Vec::new(),
                waiting: 0,
            });
            workload.pods.push(id);
            workload.waiting += waiting(cluster, &[id]);
        }
        let list: Vec<WorkloadPods> = all.into_values().collect();
        let of_pod = list.iter().enumerate();
        let of_pod =
            of_pod.flat_map(|(at, workload)| workload.pods.iter().map(move |id| (*id, at)));
        Self { of_pod: of_pod.collect(), list }
    }

    /// Every one, and its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &WorkloadPods)> {
        self.list.iter().enumerate()
    }

    /// The number of the workload that a pod is of.
    pub(super) fn of_pod(&self, id: PodId) -> Option<usize> {
        self.of_pod.get(&id).copied()
    }
}

impl WorkloadPods {
    /// How many pods are on nodes of each zone; of no zone first. Those that wait are nowhere.
    pub(super) fn zones(&self, cluster: &Cluster) -> BTreeMap<Option<Zone>, usize> {
        let mut zones = BTreeMap::new();
        for id in self.pods.iter().filter(|id| cluster.slot_of(**id).is_some()) {
            *zones.entry(cluster.zone_of_slot(*id).cloned()).or_default() += 1;
        }
        zones
    }
}

/// Whether the pod is meant to run, and not on each node: a `DaemonSet`'s pods and those of
/// a kubelet's files go and come with their nodes.
fn is_meant(cluster: &Cluster, id: PodId) -> bool {
    cluster.pod(id).is_some_and(|pod| {
        !pod.terminating && pod.phase != PodPhase::Finished && !is_bound_to_its_node(pod)
    })
}

/// Whether the pod comes and goes with its node.
pub(super) fn is_bound_to_its_node(pod: &Pod) -> bool {
    pod.mirror
        || pod.owner.as_ref().is_some_and(|owner| matches!(&*owner.kind, "DaemonSet" | "Node"))
}

fn waiting(cluster: &Cluster, pods: &[PodId]) -> usize {
    pods.iter().filter(|id| cluster.slot_of(**id).is_none()).count()
}

fn is_accepted(policy: &PolicyEntry, tier: &str) -> bool {
    let tiers = policy.spec.tiers.iter();
    tiers
        .filter(|own| own.name == tier)
        .any(|own| own.single_zone.as_ref().is_some_and(|single| single.accepted))
}

fn is_set(cluster: &Cluster, pods: &[PodId]) -> bool {
    let mut owners = pods.iter().filter_map(|id| cluster.pod(*id)?.owner.as_ref());
    let set = WorkloadKind::StatefulSet.as_str();
    owners.next().is_some_and(|first| &*first.kind == set)
        && owners.all(|owner| &*owner.kind == set)
}

fn outermost_owner(cluster: &Cluster, pod: &Pod) -> Of {
    let owner = cluster.owner_of(pod).and_then(|workload| workload.owner.as_ref());
    owner.or(pod.owner.as_deref()).map_or_else(
        || Of::Workload(Name::from("Pod"), Name::clone(&pod.name)),
        |owner| Of::Workload(Name::clone(&owner.kind), Name::clone(&owner.name)),
    )
}
