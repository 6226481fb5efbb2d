//! Kubernetes objects as a watch shows them.

use crate::resizes::SIZES;
use crate::script::{Millis, PolicyScript, TierScript, Window};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use zonespread::api::{MOVE, OWN_DELETION_COST, PAUSED, ZoneSpreadPolicy};
use zonespread::observe::{
    DELETION_COST, HASH_LABELS, WatchedBudget, WatchedDeployment, WatchedNamespace, WatchedNode,
    WatchedPod, WatchedReplicaSet, WatchedStatefulSet, Zone,
};

pub const NAMESPACE: &str = "default";

/// The true time.
pub fn time(at: Millis) -> Timestamp {
    let start = Timestamp::from_second(1_800_000_000).unwrap();
    start + SignedDuration::from_millis(i64::try_from(at).unwrap())
}

/// The reverse of [`time`].
pub fn millis(time: Timestamp) -> Millis {
    u64::try_from(time.as_millisecond() - 1_800_000_000_000).unwrap_or(0)
}

fn whole_second(at: Millis) -> Time {
    Time(Timestamp::from_second(time(at).as_second()).unwrap())
}

/// A node of the world.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Node {
    pub name: String,
    pub zone: usize,
    pub ready: bool,
    pub cordoned: bool,
    /// A taint for which the scheduler would rather put pods elsewhere.
    pub avoided: Option<&'static str>,
    /// It is of a pool that no tier may use.
    pub pool: bool,
    /// Somebody wants no pods there for a while.
    pub tainted: bool,
    /// An agent does not run there yet.
    pub starting: bool,
    /// None if it was there long before the world began.
    pub created: Option<Millis>,
    /// How many pods fit on it.
    pub room: usize,
}

impl Node {
    pub fn is_usable(&self) -> bool {
        self.ready && !self.cordoned && !self.tainted && !self.starting
    }

    pub fn watched(&self) -> WatchedNode {
        let taint = |key: &str| json!({"key": key, "effect": "NoSchedule"});
        let mut taints = Vec::new();
        if let Some(key) = self.avoided {
            taints.push(json!({"key": key, "effect": "PreferNoSchedule"}));
        }
        if self.cordoned {
            taints.push(taint("node.kubernetes.io/unschedulable"));
        }
        if !self.ready {
            taints.push(taint("node.kubernetes.io/not-ready"));
        }
        if self.pool {
            taints.push(taint("gpu"));
        }
        if self.starting {
            taints.push(taint("agent.example.com/agent-not-ready"));
        }
        let mut labels = json!({
            "kubernetes.io/hostname": self.name,
            "topology.kubernetes.io/zone": zone_name(self.zone),
        });
        if self.tainted {
            taints.push(json!({"key": "maintenance", "effect": "NoExecute"}));
            labels[TAINTED] = json!("true");
        }
        let created = self
            .created
            .map_or_else(|| Time(time(0) - SignedDuration::from_hours(1)), whole_second);
        serde_json::from_value(json!({
            "metadata": {"name": self.name, "labels": labels, "creationTimestamp": created},
            "spec": {"unschedulable": self.cordoned, "taints": taints},
            "status": {
                "allocatable": {"cpu": "64", "memory": "256Gi", "pods": self.room.to_string()},
                "conditions": [{"type": "Ready", "status": if self.ready { "True" } else { "False" }}],
            },
        }))
        .unwrap()
    }
}

/// A label of nodes with that taint, for those who read a story.
pub const TAINTED: &str = "example.com/tainted";

const ZONES: [&str; 5] = ["a", "b", "c", "d", "e"];

pub fn zone_name(zone: usize) -> &'static str {
    ZONES[zone]
}

/// The reverse of [`zone_name`].
pub fn zone_number(name: &str) -> usize {
    ZONES.iter().position(|known| *known == name).expect("a zone of the world")
}

/// Annotations of pods that are not to be moved.
pub const MARKS: [(&str, &str); 3] = [
    ("zonespread.io/do-not-evict", "true"),
    ("karpenter.sh/do-not-disrupt", "true"),
    ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
];

/// A pod of the world.
#[derive(Clone, Debug)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    pub tier: usize,
    pub revision: u32,
    pub node: Option<String>,
    pub ready_since: Option<Millis>,
    /// When it is gone; never while its node is down.
    pub terminating: bool,
    pub created: Millis,
    /// By which of [`MARKS`] it asks not to be moved.
    pub mark: Option<usize>,
    /// The eviction that it replaces.
    pub replaces: Option<usize>,
    /// Whether it has its owner's hash no longer.
    pub released: bool,
    /// Whether its `ReplicaSet` counts it.
    pub owned: bool,
    /// What an operator has written of a surge.
    pub note: Option<String>,
    pub cost: Option<String>,
    /// The cost that an operator calls its own.
    pub own_cost: Option<String>,
    /// The zone that it was made to prefer.
    pub steered: Option<Zone>,
    /// Which of [`SIZES`] it was resized to.
    pub size: usize,
}

impl Pod {
    pub fn is_counted(&self) -> bool {
        self.node.is_some() && !self.terminating
    }

    pub fn is_available(&self) -> bool {
        self.ready_since.is_some() && !self.terminating
    }

    /// Not up yet.
    pub fn is_coming(&self) -> bool {
        self.ready_since.is_none() && !self.terminating
    }

    /// Pods that an owner makes at once are alike: which of them is for which that left,
    /// nobody can tell.
    pub fn is_twin_of(&self, other: &Self) -> bool {
        (self.tier, self.created) == (other.tier, other.created) && self.uid != other.uid
    }

    /// As a watch shows it, from what its workload's pods have in common.
    pub fn watched(&self, template: &WatchedPod) -> WatchedPod {
        let mut shown = template.clone();
        shown.metadata.name = Some(self.name.clone());
        shown.metadata.uid = Some(self.uid.clone());
        shown.metadata.creation_timestamp = Some(whole_second(self.created));
        shown.metadata.deletion_timestamp = self.terminating.then(|| whole_second(self.created));
        let mark = self.mark.map(|mark| MARKS[mark]);
        let note = self.note.as_deref().map(|note| (MOVE, note));
        let cost = self.cost.as_deref().map(|cost| (DELETION_COST, cost));
        let own_cost = self.own_cost.as_deref().map(|cost| (OWN_DELETION_COST, cost));
        let annotations = [mark, note, cost, own_cost].into_iter().flatten();
        let annotations: BTreeMap<_, _> =
            annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        shown.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
        if self.released
            && let Some(labels) = &mut shown.metadata.labels
        {
            labels.insert(HASH.to_owned(), released(&labels[HASH]));
        }
        if !self.owned {
            shown.metadata.owner_references = None;
        }
        shown.spec.node_name.clone_from(&self.node);
        let phase = if self.ready_since.is_some() { "Running" } else { "Pending" };
        let ready = self.ready_since.map(|since| {
            json!({"type": "Ready", "status": "True", "lastTransitionTime": whole_second(since)})
        });
        let mut status = json!({"phase": phase, "conditions": Vec::from_iter(ready)});
        if self.size > 0 {
            shown.metadata.generation = Some(2);
            let size = json!({"cpu": SIZES[self.size]});
            status["containerStatuses"] = json!([{"name": "main",
                "allocatedResources": size, "resources": {"requests": size}}]);
        }
        shown.status = serde_json::from_value(status).expect("a pod's status");
        shown
    }
}

pub fn namespace(paused: bool) -> WatchedNamespace {
    let annotations = if paused { json!({PAUSED: "true"}) } else { json!({}) };
    serde_json::from_value(json!({"metadata": {"name": NAMESPACE, "annotations": annotations}}))
        .unwrap()
}

pub fn app(tier: usize) -> String {
    format!("app{tier}")
}

pub fn policy_name(policy: usize) -> String {
    format!("policy{policy}")
}

/// A template of a workload, and the workload: one that is deleted and made again has the
/// same hash, and is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    pub number: u32,
    pub hash: u32,
}

/// By what a `ReplicaSet` knows its pods.
pub const HASH: &str = HASH_LABELS[0];

pub fn hash(revision: Revision) -> String {
    format!("h{}", revision.hash)
}

/// The hash of a pod that was made to leave its owner.
pub fn released(hash: &str) -> String {
    format!("{hash}-released")
}

fn owner(tier: usize, script: &TierScript, revision: Revision) -> (&'static str, String) {
    if script.stateful {
        ("StatefulSet", app(tier))
    } else {
        ("ReplicaSet", format!("{}-{}", app(tier), revision.hash))
    }
}

pub fn replica_set_name(tier: usize, revision: Revision) -> String {
    format!("{}-{}", app(tier), revision.hash)
}

fn labels(tier: usize, script: &TierScript, revision: Revision) -> serde_json::Value {
    let mut labels = json!({"app": app(tier), "policy": policy_name(script.policy)});
    if !script.stateful {
        labels[HASH] = json!(hash(revision));
    }
    labels
}

/// What a workload selects.
fn selector(tier: usize, script: &TierScript, revision: Revision) -> serde_json::Value {
    let mut labels = labels(tier, script, revision);
    labels.as_object_mut().expect("labels").remove("policy");
    json!({"matchLabels": labels})
}

/// The spec of an app's pods; `likes` is a zone that they prefer to being spread.
pub fn spec(app: &str, hard: bool, likes: Option<usize>) -> serde_json::Value {
    let mut spec = json!({
        "containers": [{"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "10m"}}}],
        "topologySpreadConstraints": [{
            "topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1,
            "whenUnsatisfiable": if hard { "DoNotSchedule" } else { "ScheduleAnyway" },
            // A zone that is out must not keep pods Pending.
            "nodeTaintsPolicy": "Honor",
            "labelSelector": {"matchLabels": {"app": app}},
        }],
    });
    if let Some(zone) = likes {
        spec["affinity"] = json!({"nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {
                "matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In",
                    "values": [zone_name(zone)]}],
            }}],
        }});
    }
    spec
}

/// The pods of a revision, by their sizes.
pub fn pod_templates(
    tier: usize,
    script: &TierScript,
    revision: Revision,
) -> [WatchedPod; SIZES.len()] {
    SIZES.map(|size| pod_template((tier, script, revision), size))
}

fn pod_template(
    (tier, script, revision): (usize, &TierScript, Revision),
    size: &str,
) -> WatchedPod {
    let (kind, name) = owner(tier, script, revision);
    let mut spec = spec(&app(tier), script.hard, script.likes);
    spec["containers"][0]["resources"]["requests"]["cpu"] = json!(size);
    serde_json::from_value(json!({
        "metadata": {
            "namespace": NAMESPACE, "labels": labels(tier, script, revision),
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": name,
                "uid": uid(&name, revision), "controller": true}],
        },
        "spec": spec,
    }))
    .unwrap()
}

fn uid(name: &str, revision: Revision) -> String {
    format!("uid-{name}-{}", revision.number)
}

fn workload(
    tier: usize,
    script: &TierScript,
    revision: Revision,
    replicas: usize,
) -> serde_json::Value {
    let (_, name) = owner(tier, script, revision);
    let deployment = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": app(tier),
        "uid": format!("uid-deployment-{}", app(tier)), "controller": true}]);
    json!({
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": uid(&name, revision),
            "ownerReferences": if script.stateful { json!([]) } else { deployment }},
        "spec": {
            "replicas": replicas,
            "selector": selector(tier, script, revision),
            "template": {"metadata": {"labels": labels(tier, script, revision)}, "spec": spec(&app(tier), script.hard, script.likes)},
        },
    })
}

pub fn replica_set(
    tier: usize,
    script: &TierScript,
    revision: Revision,
    replicas: usize,
) -> WatchedReplicaSet {
    serde_json::from_value(workload(tier, script, revision, replicas)).unwrap()
}

pub fn stateful_set(tier: usize, script: &TierScript, replicas: usize) -> WatchedStatefulSet {
    let revision = Revision { number: 0, hash: 0 };
    serde_json::from_value(workload(tier, script, revision, replicas)).unwrap()
}

pub fn deployment(tier: usize, replicas: usize, pods: usize, updated: usize) -> WatchedDeployment {
    serde_json::from_value(json!({
        "metadata": {"name": app(tier), "namespace": NAMESPACE,
            "uid": format!("uid-deployment-{}", app(tier))},
        "spec": {"replicas": replicas},
        "status": {"replicas": pods, "updatedReplicas": updated},
    }))
    .unwrap()
}

/// A budget that allows so many evictions, of so many healthy pods, so many of which must be.
pub fn budget(tier: usize, allowed: i32, healthy: usize, desired: usize) -> WatchedBudget {
    serde_json::from_value(json!({
        "metadata": {"name": app(tier), "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": {"app": app(tier)}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": healthy,
            "desiredHealthy": desired, "expectedPods": desired},
    }))
    .unwrap()
}

/// A policy; `made` tells apart those of one name that were made one after the other.
pub fn policy(
    number: usize,
    script: &PolicyScript,
    made: u32,
    generation: i64,
) -> ZoneSpreadPolicy {
    let seconds = |millis: Millis| format!("{}s", millis / 1_000);
    let mut rebalance = json!({
        "holdDown": seconds(script.hold_down), "landingTimeout": seconds(script.landing_timeout),
        "settle": seconds(script.settle),
        "trigger": if script.recovery_only { "Recovery" } else { "Always" },
        "strategy": script.strategy,
    });
    if let Some(most) = script.max_unavailable {
        rebalance["maxUnavailable"] = json!(most);
    }
    if let Some(Window { every, lasts }) = script.window {
        // The world begins at a full hour.
        rebalance["windows"] =
            json!([{"schedule": format!("*/{every} * * * *"), "duration": format!("{lasts}m")}]);
    }
    let name = policy_name(number);
    serde_json::from_value(json!({
        "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": format!("uid-{name}-{made}"),
            "generation": generation, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"selector": {"matchLabels": {"policy": name}}, "tierLabel": "app",
            "maxSkew": script.max_skew,
            "mode": if script.approve { "Approve" } else { "Auto" }, "rebalance": rebalance},
    }))
    .unwrap()
}
