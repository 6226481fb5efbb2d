//! Random nodes, and what runs on them already.

use super::affinity;
use super::containers;
use crate::dice::Dice;
use serde_json::{Value, json};

pub const ZONE: &str = "topology.kubernetes.io/zone";
pub const ZONES: [&str; 4] = ["a", "b", "c", "d"];
pub const NAMESPACES: [&str; 3] = ["red", "green", "blue"];
pub const TIERS: [&str; 3] = ["web", "db", "cache"];
const MIB: u64 = 1 << 20;

/// So many nodes of different sizes in three or four zones, in a share of the clusters with a
/// pool among them. Their names are new in each epoch.
pub fn nodes(dice: &mut Dice, epoch: usize, count: usize, share: usize) -> Vec<Value> {
    let zones = dice.between(3, 4);
    // Half of the clusters are tidy: no taints, all labels.
    let tidy = dice.chance(50);
    let has_pool = dice.chance(share);
    // In some of them a zone has no other nodes.
    let only = has_pool.then(|| dice.below(zones * 2));
    (0..count)
        .map(|number| {
            let zone = number % zones;
            let in_pool = has_pool && (only == Some(zone) || dice.chance(30));
            let suffix = if in_pool { IN_POOL } else { "" };
            let name = format!("n{epoch}-{number:03}{suffix}");
            let mut node = plain(dice, &name, ZONES[zone]);
            if in_pool {
                node["metadata"]["labels"]["pool"] = json!("batch");
                let taint = json!({"key": "pool", "value": "batch", "effect": "NoSchedule"});
                node["spec"]["taints"] = json!([taint]);
            }
            if !tidy {
                disturb(dice, &mut node);
            }
            node
        })
        .collect()
}

/// How the names of a pool's nodes end.
const IN_POOL: &str = "-pool";

/// Whether this node is set aside by a taint for pods that ask for it.
pub fn is_in_pool(node: &str) -> bool {
    node.ends_with(IN_POOL)
}

fn plain(dice: &mut Dice, name: &str, zone: &str) -> Value {
    let mut resources = json!({
        "cpu": dice.pick(&["2", "4", "4", "8", "16", "3920m"]),
        "memory": dice.pick(&["4Gi", "8Gi", "16Gi", "16Gi", "31Gi", "7500M", "15951572Ki"]),
        "pods": dice.pick(&["110", "110", "110", "12"]),
        "ephemeral-storage": dice.pick(&["20Gi", "47093746742"]),
    });
    if dice.chance(30) {
        resources["example.com/gpu"] = json!(dice.pick(&["1", "2", "4"]));
    }
    let images: Vec<Value> = containers::IMAGES
        .iter()
        .zip([40, 300, 700, 90, 2500])
        .filter(|_| dice.chance(35))
        .map(|(image, size)| json!({"names": [image], "sizeBytes": size * MIB}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            ZONE: zone,
            "topology.kubernetes.io/region": "r",
            "disk": dice.pick(&["ssd", "hdd"]),
            "rack": dice.pick(&["r1", "r2", "r3", "r4", "r5"]),
            "gen": dice.pick(&["1", "2", "3", "7", "12", "x"]),
            // No kubelet and no kwok here: nothing happens that the test did not ask for.
            "zonespread.test/down": "true",
        }},
        "spec": {},
        "status": {
            "capacity": resources, "allocatable": resources, "images": images,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Test",
                "lastHeartbeatTime": "2026-01-01T00:00:00Z",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        },
    })
}

fn disturb(dice: &mut Dice, node: &mut Value) {
    let labels = node["metadata"]["labels"].as_object_mut().unwrap();
    for (label, percent) in [("kubernetes.io/hostname", 3), (ZONE, 3), ("rack", 15), ("gen", 10)] {
        if dice.chance(percent) {
            labels.remove(label);
        }
    }
    if dice.chance(2) {
        labels.insert(ZONE.to_owned(), json!(""));
    }
    if dice.chance(3) {
        labels.insert("kubernetes.io/hostname".to_owned(), json!("twin"));
    }
    let taints = [
        ("maintenance", "", "PreferNoSchedule", 15),
        ("flaky", "very", "PreferNoSchedule", 10),
        ("dedicated", "batch", "NoSchedule", 10),
        ("old", "", "NoExecute", 4),
    ];
    let taints: Vec<Value> = taints
        .into_iter()
        .filter(|(.., percent)| dice.chance(*percent))
        .map(|(key, value, effect, _)| json!({"key": key, "value": value, "effect": effect}))
        .collect();
    for taint in taints {
        containers::push(&mut node["spec"]["taints"], taint);
    }
    node["spec"]["unschedulable"] = json!(dice.chance(6));
}

/// How many volumes some of the nodes can have: `CSINode` objects, in a third of the clusters.
pub fn volume_limits(dice: &mut Dice, nodes: &[String]) -> Vec<Value> {
    if !dice.chance(33) {
        return Vec::new();
    }
    let mut limited = Vec::new();
    for node in nodes {
        if !dice.chance(70) {
            continue;
        }
        let mut drivers = json!([
            {"name": "csi.example", "nodeID": node, "allocatable": {"count": 1}}]);
        if dice.chance(70) {
            containers::push(&mut drivers, json!({"name": "picky.example", "nodeID": node}));
        }
        limited.push(json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": node},
            "spec": {"drivers": drivers},
        }));
    }
    limited
}

/// A pod that is on a node already.
pub fn tenant(dice: &mut Dice, name: &str, node: &str) -> Value {
    let tier = dice.pick(&TIERS);
    let mut spec = containers::spec(dice);
    spec["nodeName"] = json!(node);
    // Taints must not evict it: what happens is up to the test.
    spec["tolerations"] = json!([{"operator": "Exists"}]);
    if dice.chance(25) {
        let mut terms = affinity::pod_affinity(dice, "tenant");
        // Too many of these, and no pod fits anywhere.
        if dice.chance(70) {
            terms["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = json!([]);
        }
        spec["affinity"] = terms;
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": dice.pick(&NAMESPACES),
            "labels": {"app": "tenant", "tier": tier, "rev": dice.pick(&["1", "2"])}},
        "spec": spec,
    })
}

/// Priorities of pods that hold room for others, by the name of their class.
pub const HEADROOM: [(&str, i32); 2] = [("headroom", -10), ("spare", -1000)];

/// Thousandths of a core.
pub fn milli(cpu: &str) -> usize {
    cpu.strip_suffix('m')
        .map_or_else(|| cpu.parse::<usize>().unwrap() * 1000, |milli| milli.parse().unwrap())
}

/// A pod that holds room for others, so many thousandths of a core: it gives way at once.
pub fn headroom(dice: &mut Dice, name: &str, node: &str, milli: usize) -> Value {
    let cpu = format!("{milli}m");
    let memory = dice.pick(&["256Mi", "1Gi", "4Gi"]);
    // Some are such that others mind them for more than the room.
    let tier = if dice.chance(15) { dice.pick(&TIERS) } else { "none" };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": dice.pick(&NAMESPACES),
            "labels": {"app": "pause", "tier": tier}},
        "spec": {
            "nodeName": node, "priorityClassName": dice.pick(&HEADROOM).0,
            "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "main", "image": "registry.example/pause:3",
                "resources": {"requests": {"cpu": cpu, "memory": memory}}}],
        },
    })
}

/// The classes of [`HEADROOM`].
pub fn priority_classes() -> Vec<Value> {
    let class = |(name, value): (&str, i32)| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": name}, "value": value})
    };
    HEADROOM.into_iter().map(class).collect()
}
