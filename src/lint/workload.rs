//! Workloads as the checks see them: what is declared, and the pods that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::observe::{
    Cluster, Index, Labels, Name, Pod, PodId, PodPhase, RecentTaints, Template, WorkloadKind, Zone,
};
use crate::predict::{NodeGroups, Scheduler};

use super::declared::{Declared, DeclaredAutoscaler, DeclaredWorkload, Object};

/// A workload that wants to be spread: every one but DaemonSets and Jobs.
#[derive(Clone, Debug)]
pub struct Workload<'a> {
    /// Which one.
    pub object: Object,
    /// How many pods it wants.
    pub replicas: i32,
    /// What scales it.
    pub autoscaler: Option<&'a DeclaredAutoscaler>,
    /// The labels of its pods.
    pub labels: Arc<Labels>,
    /// What of its pods the scheduler looks at.
    pub template: Arc<Template>,
    /// Its manifest; none for owners of a kind that is not known.
    pub declared: Option<&'a DeclaredWorkload>,
    /// Its pods that are there and meant to run.
    pub pods: Vec<PodId>,
    /// How many of them are on nodes of each zone.
    pub zones: BTreeMap<Zone, usize>,
    /// The nodes that it may use, counted by zone; empty where no node is known.
    pub may_use: BTreeMap<Zone, usize>,
}

impl Workload<'_> {
    /// How many pods it always has: what it wants, or the minimum of its autoscaler.
    #[must_use]
    pub fn least(&self) -> i32 {
        self.autoscaler.map_or(self.replicas, |autoscaler| autoscaler.min_replicas)
    }

    /// How many pods it may have.
    #[must_use]
    pub fn most(&self) -> i32 {
        let scaled = self.autoscaler.map_or(0, |autoscaler| autoscaler.max_replicas);
        self.replicas.max(scaled)
    }

    /// Whether it may have more than one pod.
    #[must_use]
    pub fn is_several(&self) -> bool {
        self.most() > 1
    }

    /// How many of its pods are on nodes of a zone.
    #[must_use]
    pub fn placed(&self) -> usize {
        self.zones.values().sum()
    }

    /// `a:3 b:1`, the fullest zone first.
    #[must_use]
    pub fn spread(&self) -> String {
        let mut zones: Vec<(&Zone, &usize)> = self.zones.iter().collect();
        zones.sort_by_key(|(zone, pods)| (std::cmp::Reverse(**pods), *zone));
        let zones = zones.into_iter().map(|(zone, pods)| format!("{zone}:{pods}"));
        zones.collect::<Vec<_>>().join(" ")
    }

    /// The zone with most of its pods.
    #[must_use]
    pub fn fullest(&self) -> Option<(&Zone, usize)> {
        let zones = self.zones.iter().map(|(zone, pods)| (zone, *pods));
        zones.max_by_key(|(zone, pods)| (*pods, std::cmp::Reverse(*zone)))
    }

    /// The nodes on which its pods are.
    #[must_use]
    pub fn nodes<'c>(&self, cluster: &'c Cluster) -> BTreeSet<&'c Name> {
        let pods = self.pods.iter().filter_map(|id| cluster.pod(*id));
        pods.filter_map(|pod| pod.node.as_ref()).collect()
    }
}

/// The workloads that are declared, and those whose pods are there, by namespace and name.
#[must_use]
pub fn workloads_of<'a>(
    index: &Index,
    declared: &'a Declared,
    scheduler: &Scheduler<'_>,
) -> Vec<Workload<'a>> {
    let mut all = pods_by_owner(index.cluster());
    let spread = declared.workloads.iter().filter(|known| !known.is_on_each_node());
    let mut workloads: Vec<Workload<'a>> = spread
        .map(|known| {
            let Object { namespace, kind, name, .. } = &known.object;
            let pods = all.remove(&(namespace.clone(), kind.clone(), name.clone()));
            let scales = |autoscaler: &&DeclaredAutoscaler| {
                autoscaler.object.namespace == *namespace
                    && autoscaler.target.0 == *kind
                    && autoscaler.target.1 == *name
            };
            Workload {
                object: known.object.clone(),
                replicas: known.replicas,
                autoscaler: declared.autoscalers.iter().find(scales),
                labels: Arc::clone(&known.labels),
                template: Arc::clone(&known.template),
                declared: Some(known),
                pods: pods.unwrap_or_default(),
                zones: BTreeMap::new(),
                may_use: BTreeMap::new(),
            }
        })
        .collect();
    workloads.extend(all.into_iter().filter_map(|(owner, pods)| other(index, owner, pods)));
    let groups = NodeGroups::new(Arc::new(RecentTaints::default()));
    for workload in &mut workloads {
        for id in &workload.pods {
            if let Some(zone) = index.cluster().zone_of_slot(*id) {
                *workload.zones.entry(zone.clone()).or_default() += 1;
            }
        }
        let eligible = groups.eligible(scheduler, std::slice::from_ref(&workload.template));
        let zones = eligible.zones();
        let zones = zones.iter().map(|(zone, seen)| (zone.clone(), seen.condition.nodes));
        workload.may_use = zones.filter(|(_, nodes)| *nodes > 0).collect();
    }
    // Nothing is at risk of a workload that wants no pods.
    workloads.retain(|workload| workload.most() > 0);
    workloads.sort_by(|a, b| {
        let key = |workload: &Workload<'_>| {
            let Object { namespace, kind, name, .. } = &workload.object;
            (namespace.clone(), name.clone(), kind.clone())
        };
        key(a).cmp(&key(b))
    });
    workloads
}

/// Namespace, kind and name.
type Key = (String, String, String);

/// The pods that are meant to run and to be spread, by what re-creates them.
fn pods_by_owner(cluster: &Cluster) -> BTreeMap<Key, Vec<PodId>> {
    let mut by_owner: BTreeMap<Key, Vec<PodId>> = BTreeMap::new();
    for (id, pod) in cluster.pods() {
        if pod.terminating || pod.phase == PodPhase::Finished || pod.mirror {
            continue;
        }
        if let Some((kind, name)) = owner_of(cluster, pod) {
            by_owner.entry((pod.namespace.to_string(), kind, name)).or_default().push(id);
        }
    }
    by_owner
}

/// What re-creates a pod: of a `ReplicaSet` its owner, if it has one.
fn owner_of(cluster: &Cluster, pod: &Pod) -> Option<(String, String)> {
    let own = pod.owner.as_deref()?;
    let above = if &*own.kind == WorkloadKind::ReplicaSet.as_str() {
        cluster.owner_of(pod).and_then(|set| set.owner.as_ref())
    } else {
        None
    };
    let owner = above.unwrap_or(own);
    let is_spread = !matches!(&*owner.kind, "DaemonSet" | "Node" | "Job");
    is_spread.then(|| (owner.kind.to_string(), owner.name.to_string()))
}

/// A workload of which nothing but its pods is known.
fn other<'a>(
    index: &Index,
    (namespace, kind, name): Key,
    pods: Vec<PodId>,
) -> Option<Workload<'a>> {
    let pod = index.cluster().pod(*pods.first()?)?;
    Some(Workload {
        object: Object { kind, namespace, name, ..Object::default() },
        replicas: i32::try_from(pods.len()).unwrap_or(i32::MAX),
        autoscaler: None,
        labels: Arc::clone(&pod.labels),
        template: Arc::clone(&pod.template),
        declared: None,
        pods,
        zones: BTreeMap::new(),
        may_use: BTreeMap::new(),
    })
}
