//! Clusters of any size, as the API gives them.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zonespread::observe::Change;
use zonespread::operator::Operator;

const ZONES: [&str; 3] = ["a", "b", "c"];

/// How many images a node reports; kubelets report 50 at most.
const IMAGES: usize = 30;

/// The size of a cluster.
#[derive(Clone, Copy)]
pub struct Size {
    pub nodes: usize,
    pub pods: usize,
    pub tiers: usize,
    pub tiers_per_policy: usize,
    /// Every so many tiers one has no pod in zone c; 0 for none.
    pub unbalanced_every: usize,
    /// How strictly the tiers want their zones to be even.
    pub spread: &'static str,
    /// Into how many pools the nodes are divided by a label and a taint, and with them the
    /// tiers; 0 for one that is everybody's.
    pub pools: usize,
}

/// The scheduler refuses what is not even.
pub const HARD: &str = "DoNotSchedule";
/// It only prefers what is.
pub const SOFT: &str = "ScheduleAnyway";

pub const LARGE: Size = Size {
    nodes: 5_000,
    pods: 150_000,
    tiers: 2_000,
    tiers_per_policy: 100,
    unbalanced_every: 0,
    spread: HARD,
    pools: 0,
};
pub const MEDIUM: Size = Size { nodes: 999, pods: 10_000, tiers: 500, ..LARGE };

impl Size {
    /// The cluster, all of it applied.
    pub fn build(self) -> Operator {
        let mut operator = Operator::default();
        (0..self.nodes).for_each(|at| operator.apply(Change::Node(read(self.node(at)))));
        for policy in 0..self.tiers.div_ceil(self.tiers_per_policy) {
            operator.apply(Change::Policy(read(self::policy(policy))));
        }
        let replicas = self.pods / self.tiers;
        for tier in 0..self.tiers {
            let workload = self.workload(tier, replicas);
            operator.apply(Change::ReplicaSet(read(workload)));
            for at in 0..replicas {
                operator.apply(Change::Pod(read(self.pod(tier, at, true))));
            }
        }
        operator
    }

    /// A node in its pool, as the API gives it.
    pub fn node(self, at: usize) -> Value {
        let mut node = node(at, true);
        if self.pools > 0 {
            // Each pool has nodes in every zone.
            let pool = format!("pool-{}", at / ZONES.len() % self.pools);
            node["metadata"]["labels"]["pool"] = json!(pool);
            node["spec"]["taints"] =
                json!([{"key": "dedicated", "value": pool, "effect": "NoSchedule"}]);
        }
        node
    }

    fn namespace(self, tier: usize) -> String {
        format!("namespace-{}", tier / self.tiers_per_policy)
    }

    /// The workload of a tier, as the API gives it.
    pub fn workload(self, tier: usize, replicas: usize) -> Value {
        json!({
            "metadata": {
                "name": format!("tier-{tier}-6d4f9c8b7"), "namespace": self.namespace(tier),
                "uid": format!("{tier:08x}-1111-4000-8000-000000000000"),
            },
            "spec": {"replicas": replicas, "template": {"metadata": {"labels": labels(tier)}, "spec": self.spec(tier)}},
        })
    }

    /// A pod of a tier, as the API gives it.
    pub fn pod(self, tier: usize, at: usize, ready: bool) -> Value {
        let mut node = (tier * 7 + at) % self.nodes;
        if self.pools > 0 {
            // The next node of the tier's pool in the same zone.
            let (block, zone) = (node / ZONES.len(), node % ZONES.len());
            let block = block - block % self.pools + tier % self.pools;
            node = block * ZONES.len() + zone;
            node -= if node >= self.nodes { self.pools * ZONES.len() } else { 0 };
        }
        if self.unbalanced_every > 0 && tier.is_multiple_of(self.unbalanced_every) && node % 3 == 2
        {
            // In an outage the pods of zone c were placed in a and b alike.
            node -= 1 + at / ZONES.len() % 2;
        }
        let mut spec = self.spec(tier);
        spec["nodeName"] = json!(format!("node-{node}"));
        let condition = |kind: &str, holds: bool| {
            json!({
                "type": kind, "status": if holds { "True" } else { "False" },
                "lastProbeTime": null, "lastTransitionTime": "2026-05-04T08:30:20Z",
            })
        };
        json!({
            "metadata": {
                "name": format!("tier-{tier}-6d4f9c8b7-{at:05}"), "namespace": self.namespace(tier),
                "uid": format!("{:08x}-0000-4000-8000-{at:012x}", tier * 7919),
                "creationTimestamp": "2026-05-04T08:30:00Z",
                "labels": labels(tier),
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "blockOwnerDeletion": true, "controller": true,
                    "kind": "ReplicaSet", "name": format!("tier-{tier}-6d4f9c8b7"),
                    "uid": format!("{tier:08x}-1111-4000-8000-000000000000"),
                }],
            },
            "spec": spec,
            "status": {
                "phase": "Running", "podIP": "10.1.2.3",
                "conditions": [condition("Initialized", true), condition("Ready", ready), condition("PodScheduled", true)],
            },
        })
    }

    fn spec(self, tier: usize) -> Value {
        let mut spec = self.own_spec(tier);
        if self.pools > 0 {
            let pool = format!("pool-{}", tier % self.pools);
            spec["nodeSelector"] = json!({"pool": pool});
            let tolerations = spec["tolerations"].as_array_mut().expect("a list");
            tolerations.push(json!({"key": "dedicated", "value": pool, "effect": "NoSchedule"}));
        }
        spec
    }

    fn own_spec(self, tier: usize) -> Value {
        json!({
            "schedulerName": "default-scheduler",
            "containers": [{
                "name": "main", "image": format!("images.example/tier-{tier}:1"),
                "resources": {"requests": {
                    "cpu": format!("{}m", 50 + tier % 30 * 25), "memory": format!("{}Mi", 128 << (tier % 4)),
                }},
                "volumeMounts": [{"mountPath": "/var/run/secrets", "name": "token", "readOnly": true}],
            }],
            "tolerations": [
                {"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
                {"effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300},
            ],
            "topologySpreadConstraints": [{
                "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": self.spread,
                "labelSelector": {"matchLabels": {"app": "shop", "tier": format!("tier-{tier}")}},
            }],
            "volumes": [{"name": "token", "projected": {"defaultMode": 420, "sources": []}}],
        })
    }
}

/// What the API's JSON says, in the type that is watched.
pub fn read<T: DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).expect("objects are written as the API writes them")
}

/// A node, as the API gives it, of one node group or the other.
pub fn node(at: usize, labelled: bool) -> Value {
    json!({
        "metadata": {
            "name": format!("node-{at}"), "creationTimestamp": "2026-05-04T08:00:00Z",
            "labels": {
                "kubernetes.io/hostname": format!("node-{at}"),
                "topology.kubernetes.io/zone": ZONES[at % ZONES.len()],
                "topology.kubernetes.io/region": "eu-west-2",
                "node.kubernetes.io/instance-type": if at.is_multiple_of(2) { "m5.8xlarge" } else { "m6i.8xlarge" },
                "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
                "eks.amazonaws.com/nodegroup": if labelled { "workers" } else { "others" },
                "eks.amazonaws.com/capacityType": "ON_DEMAND",
            },
        },
        "spec": {},
        "status": {
            "allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-05-04T09:00:00Z"}],
            "images": (0..IMAGES).map(|image| (at * 7 + image * 41) % 2_000).map(|image| json!({
                "names": [
                    format!("images.example/tier-{image}@sha256:{image:064x}"),
                    format!("images.example/tier-{image}:1"),
                ],
                "sizeBytes": 100_000_000 + image,
            })).collect::<Vec<_>>(),
        },
    })
}

/// The policy for a namespace, as the API gives it.
pub fn policy(at: usize) -> Value {
    json!({
        "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
        "metadata": {
            "name": "policy", "namespace": format!("namespace-{at}"), "uid": format!("policy-{at}"),
            "creationTimestamp": "2026-05-04T08:00:00Z", "generation": 1,
        },
        "spec": {"selector": {"matchLabels": {"app": "shop"}}, "tierLabel": "tier"},
    })
}

fn labels(tier: usize) -> Value {
    json!({"app": "shop", "tier": format!("tier-{tier}"), "pod-template-hash": "6d4f9c8b7"})
}

/// The time at which everything is looked at.
pub fn now() -> Timestamp {
    "2026-05-04T10:00:00Z".parse().expect("a time")
}
