//! A cluster on paper for manifests without one: the pods that they ask for, evenly spread
//! over zones with room enough. The outlook then says what the constraints alone would do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::api::ZONE_LABEL;
use crate::observe::{Change, Index, RecentTaints};
use crate::predict::{NodeGroups, Scheduler, SchedulerCache, SchedulerConfig};

use super::declared::DeclaredWorkload;
use super::workload::Workload;

/// More pods of a workload tell nothing new.
const MOST_PODS: i32 = 60;
/// Nodes that every zone has at least.
const FEWEST_NODES: usize = 3;

const NODES_UNKNOWN: &str = "which nodes it may use is not known: read a cluster or a dump";
const NEIGHBOURS_UNKNOWN: &str =
    "it must be near other pods, which are not known: read a cluster or a dump";

/// The cluster on paper.
#[derive(Debug)]
pub(super) struct Paper {
    pub index: Index,
    /// Why workloads are not in it, one by one.
    pub left_out: Vec<&'static str>,
}

impl Paper {
    pub(super) fn of(workloads: &[Workload<'_>], zones: usize) -> Self {
        let mut index = Index::default();
        let several = workloads.iter().filter(|workload| pods_of(workload) > 1);
        let several = several.filter_map(|workload| Some((workload, workload.declared?)));
        let several: Vec<(&Workload<'_>, &DeclaredWorkload)> = several.collect();
        let most = several.iter().map(|(workload, _)| pods_of(workload)).max().unwrap_or(0);
        let nodes = usize::try_from(most).unwrap_or(0).max(FEWEST_NODES);
        let allocatable = allocatable(&several);
        for zone in 1..=zones {
            for number in 1..=nodes {
                apply(&mut index, Change::Node, node(zone, number, &allocatable));
            }
        }
        let left_out: Vec<Option<&'static str>> =
            several.iter().map(|(workload, _)| unknown(&index, workload, zones)).collect();
        for ((workload, declared), _) in
            several.iter().zip(&left_out).filter(|(_, left_out)| left_out.is_none())
        {
            add(&mut index, workload, declared, zones, nodes);
        }
        Self { index, left_out: left_out.into_iter().flatten().collect() }
    }
}

fn pods_of(workload: &Workload<'_>) -> i32 {
    workload.replicas.max(workload.least()).min(MOST_PODS)
}

/// What cannot be known of a workload without its cluster.
fn unknown(index: &Index, workload: &Workload<'_>, zones: usize) -> Option<&'static str> {
    let cache = SchedulerCache::new(SchedulerConfig::default());
    let scheduler = Scheduler::new(index.cluster(), &cache);
    let groups = NodeGroups::new(Arc::new(RecentTaints::default()));
    let eligible = groups.eligible(&scheduler, std::slice::from_ref(&workload.template));
    if eligible.zones().values().filter(|zone| zone.condition.nodes > 0).count() < zones {
        return Some(NODES_UNKNOWN);
    }
    let own = |selector: &kube::core::Selector| {
        use kube::core::SelectorExt;
        selector.matches(&*workload.labels)
    };
    let mut near = workload.template.required_affinity.iter();
    near.any(|term| !term.selector.as_ref().is_some_and(own)).then_some(NEIGHBOURS_UNKNOWN)
}

/// Room for everything that is asked for by name.
fn allocatable(workloads: &[(&Workload<'_>, &DeclaredWorkload)]) -> Map<String, Value> {
    let asked = workloads.iter().flat_map(|(_, declared)| {
        let init = declared.spec.init_containers.iter().flatten();
        let containers = declared.spec.containers.iter().chain(init);
        containers.filter_map(|container| container.resources.as_ref())
    });
    let names: BTreeSet<&String> = asked
        .flat_map(|resources| [&resources.requests, &resources.limits])
        .flatten()
        .flat_map(BTreeMap::keys)
        .collect();
    let mut room = Map::new();
    for name in names {
        room.insert(name.clone(), json!("1000000"));
    }
    for (name, amount) in [
        ("cpu", "100000"),
        ("memory", "1000Ti"),
        ("ephemeral-storage", "1000Ti"),
        ("pods", "100000"),
    ] {
        room.insert(name.to_owned(), json!(amount));
    }
    room
}

fn node(zone: usize, number: usize, allocatable: &Map<String, Value>) -> Value {
    let name = format!("node-{zone}-{number}");
    json!({
        "metadata": {"name": name, "labels": {
            ZONE_LABEL: zone.to_string(), "topology.kubernetes.io/region": "paper",
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        }},
        "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn add(
    index: &mut Index,
    workload: &Workload<'_>,
    declared: &DeclaredWorkload,
    zones: usize,
    nodes: usize,
) {
    let object = &workload.object;
    let (namespace, kind, name) = (&object.namespace, &object.kind, &object.name);
    let uid = format!("{kind}/{namespace}/{name}");
    let own = |kind: &str, name: &str, uid: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true}]);
    let is_set = kind == "StatefulSet";
    let mut spec = declared.written.clone();
    if let Some(spec) = spec.as_object_mut() {
        // Which volumes there are is not known.
        spec.remove("volumes");
    }
    let template = json!({"metadata": {"labels": &*declared.labels}, "spec": spec});
    let set = |owner: Value, name: &str, uid: &str| {
        json!({
            "metadata": {"namespace": namespace, "name": name, "uid": uid, "ownerReferences": owner},
            "spec": {"replicas": pods_of(workload), "template": template,
                     "selector": {"matchLabels": &*declared.labels}},
        })
    };
    let owner = if is_set {
        apply(index, Change::StatefulSet, set(json!([]), name, &uid));
        own(kind, name, &uid)
    } else {
        let of_set = format!("{uid}/set");
        apply(index, Change::ReplicaSet, set(own(kind, name, &uid), name, &of_set));
        own("ReplicaSet", name, &of_set)
    };
    for number in 0..usize::try_from(pods_of(workload)).unwrap_or(0) {
        let mut spec = spec.clone();
        let on = format!("node-{}-{}", number % zones + 1, number / zones % nodes + 1);
        spec["nodeName"] = json!(on);
        let pod = json!({
            "metadata": {"namespace": namespace, "name": format!("{name}-{number}"),
                         "uid": format!("{uid}/{number}"), "labels": &*declared.labels,
                         "ownerReferences": owner},
            "spec": spec,
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        apply(index, Change::Pod, pod);
    }
}

/// What is made here is read as the API's answers are; what cannot be read is left out.
fn apply<T: serde::de::DeserializeOwned>(
    index: &mut Index,
    change: impl Fn(T) -> Change,
    object: Value,
) {
    if let Ok(object) = serde_json::from_value(object) {
        index.apply(change(object));
    }
}
