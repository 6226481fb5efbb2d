//! Whose pods there are: tiers of policies, and workloads that no policy selects.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::api::{LossReason, Strategy};
use crate::observe::{
    Cluster, Index, Name, Pod, PodId, PodPhase, PodSet, PolicyEntry, PolicyKey, WorkloadKind, Zone,
};

use super::Of;

/// Every workload whose pods are of interest, tiers first, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    list: Vec<WorkloadPods>,
}

/// The pods of a tier, or of another workload.
#[derive(Clone, Debug)]
pub(super) struct WorkloadPods {
    pub namespace: Name,
    pub of: Of,
    /// Whether the policy accepts that the tier is in one zone.
    pub accepted: bool,
    /// Reasons why a zone is not safe to lose that the policy accepts.
    pub accepted_losses: Vec<LossReason>,
    /// Whether they are of a `StatefulSet`, whose members often need a majority.
    pub is_set: bool,
    /// How the policy has its pods moved.
    pub strategy: Strategy,
    /// How many of them are not Ready.
    pub not_ready: usize,
    /// Those that are meant to run.
    pub pods: Vec<PodId>,
    /// How many of them are on nodes of each zone, or of none, in no order.
    pub zones: Vec<(Option<Zone>, usize)>,
    /// How many of them wait for a node.
    pub waiting: usize,
}

impl Workloads {
    /// Those of all pods.
    pub(super) fn of(index: &Index) -> Self {
        let mut of_tier = PodSet::default();
        let Self { mut list } = Self::of_tiers(index, |_, _| true);
        for id in list.iter().flat_map(|workload| &workload.pods) {
            of_tier.insert(*id);
        }
        list.append(&mut Self::others(index.cluster(), &of_tier));
        Self { list }
    }

    /// Those of the tiers that are wanted.
    pub(super) fn of_tiers(index: &Index, is_wanted: impl Fn(&PolicyKey, &Name) -> bool) -> Self {
        let cluster = index.cluster();
        let mut list = Vec::new();
        for policy in index.policies() {
            for (tier, pods) in &policy.tiers {
                if !is_wanted(&policy.key, tier) {
                    continue;
                }
                let of = Of::Tier(Name::clone(&policy.key.name), Name::clone(tier));
                let mut workload = WorkloadPods::new(Name::clone(&policy.key.namespace), of);
                workload.accepted = is_accepted(policy, tier);
                workload.accepted_losses = policy.spec.accepted_losses().collect();
                workload.strategy = strategy(policy, tier);
                workload.pods.reserve(pods.len());
                for id in pods {
                    if let Some(pod) = cluster.pod(*id).filter(|pod| is_meant(pod)) {
                        workload.add(cluster, *id, pod);
                    }
                }
                list.push(workload);
            }
        }
        list.sort_by(by_name);
        Self { list }
    }

    /// Those of the pods that are of no tier.
    fn others(cluster: &Cluster, of_tier: &PodSet) -> Vec<WorkloadPods> {
        let mut others: Vec<WorkloadPods> = Vec::new();
        let mut of_owner: FxHashMap<(Name, Name), usize> = FxHashMap::default();
        let mut of_controller: FxHashMap<Name, usize> = FxHashMap::default();
        for (id, pod) in cluster.pods() {
            if of_tier.contains(id) || !is_meant(pod) {
                continue;
            }
            let known = pod.owner.as_ref().and_then(|owner| of_controller.get(&owner.uid));
            let at = known.copied().unwrap_or_else(|| {
                let (of, uid) = outermost_owner(cluster, pod);
                let next = others.len();
                let at = *of_owner.entry((Name::clone(&pod.namespace), uid)).or_insert(next);
                if at == next {
                    others.push(WorkloadPods::new(Name::clone(&pod.namespace), of));
                }
                if let Some(owner) = &pod.owner {
                    of_controller.insert(Name::clone(&owner.uid), at);
                }
                at
            });
            if let Some(workload) = others.get_mut(at) {
                workload.add(cluster, id, pod);
            }
        }
        others.sort_by(by_name);
        others
    }

    /// The same pods, where this cluster has them.
    pub(super) fn on(&self, cluster: &Cluster) -> Self {
        let list = self.list.iter().map(|known| {
            let fresh = WorkloadPods {
                zones: Vec::new(),
                waiting: 0,
                not_ready: 0,
                pods: Vec::new(),
                ..known.clone()
            };
            known.pods.iter().fold(fresh, |mut workload, id| {
                if let Some(pod) = cluster.pod(*id) {
                    workload.add(cluster, *id, pod);
                }
                workload
            })
        });
        Self { list: list.collect() }
    }

    /// What tells the one with this number from all others.
    pub(super) fn tag(&self, at: usize) -> u64 {
        self.list.get(at).map_or(0, WorkloadPods::tag)
    }

    /// Every one, and its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &WorkloadPods)> {
        self.list.iter().enumerate()
    }
}

impl WorkloadPods {
    const fn new(namespace: Name, of: Of) -> Self {
        Self {
            namespace,
            of,
            accepted: false,
            accepted_losses: Vec::new(),
            is_set: true,
            strategy: Strategy::Auto,
            not_ready: 0,
            pods: Vec::new(),
            zones: Vec::new(),
            waiting: 0,
        }
    }

    /// What tells it from all others.
    pub(super) fn tag(&self) -> u64 {
        FxBuildHasher.hash_one((&self.namespace, &self.of))
    }

    fn add(&mut self, cluster: &Cluster, id: PodId, pod: &Pod) {
        let set = WorkloadKind::StatefulSet.as_str();
        self.is_set &= pod.owner.as_ref().is_some_and(|owner| &*owner.kind == set);
        self.not_ready += usize::from(pod.ready_since.is_none());
        self.pods.push(id);
        if cluster.slot_of(id).is_none() {
            self.waiting += 1;
            return;
        }
        let zone = cluster.zone_of_slot(id);
        match self.zones.iter_mut().find(|(known, _)| known.as_ref() == zone) {
            Some((_, pods)) => *pods += 1,
            None => self.zones.push((zone.cloned(), 1)),
        }
    }

    /// How many are on nodes of the zone.
    pub(super) fn in_zone(&self, zone: &Zone) -> usize {
        let known = self.zones.iter().find(|(known, _)| known.as_ref() == Some(zone));
        known.map_or(0, |(_, pods)| *pods)
    }

    /// How many are on nodes of each other zone.
    pub(super) fn elsewhere(&self, lost: &Zone) -> BTreeMap<Zone, usize> {
        let zones = self.zones.iter().filter_map(|(zone, pods)| Some((zone.clone()?, *pods)));
        zones.filter(|(zone, _)| zone != lost).collect()
    }
}

fn by_name(one: &WorkloadPods, other: &WorkloadPods) -> Ordering {
    (&one.namespace, &one.of).cmp(&(&other.namespace, &other.of))
}

/// Whether the pod is meant to run, and not on each node: a `DaemonSet`'s pods and those of
/// a kubelet's files go and come with their nodes.
fn is_meant(pod: &Pod) -> bool {
    !pod.terminating && pod.phase != PodPhase::Finished && !is_bound_to_its_node(pod)
}

/// Whether the pod comes and goes with its node.
pub(super) fn is_bound_to_its_node(pod: &Pod) -> bool {
    pod.mirror
        || pod.owner.as_ref().is_some_and(|owner| matches!(&*owner.kind, "DaemonSet" | "Node"))
}

fn is_accepted(policy: &PolicyEntry, tier: &str) -> bool {
    let tiers = policy.spec.tiers.iter();
    tiers
        .filter(|own| own.name == tier)
        .any(|own| own.single_zone.as_ref().is_some_and(|single| single.accepted))
}

fn strategy(policy: &PolicyEntry, tier: &str) -> Strategy {
    let own = policy.spec.tiers.iter().find(|own| own.name == tier);
    let own = own.and_then(|own| own.rebalance.strategy);
    own.or(policy.spec.rebalance.strategy).unwrap_or_default()
}

/// The outermost owner of a pod, and what tells it from others of its namespace.
fn outermost_owner(cluster: &Cluster, pod: &Pod) -> (Of, Name) {
    let owner = cluster.owner_of(pod).and_then(|workload| workload.owner.as_ref());
    owner.or(pod.owner.as_deref()).map_or_else(
        || {
            let alone = format!("Pod/{}", pod.name);
            (Of::Workload(Name::from("Pod"), Name::clone(&pod.name)), Name::from(alone))
        },
        |owner| {
            let of = Of::Workload(Name::clone(&owner.kind), Name::clone(&owner.name));
            let named = format!("{}/{}", owner.kind, owner.name);
            (of, Name::from(named))
        },
    )
}
