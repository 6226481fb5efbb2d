//! Nodes and pods for tests, read the way the real ones are.
//!
//! `node("a1").zone("a").cpu("4")`, `pod("web-1").on("a1").label("app", "web")`.

#![allow(dead_code, reason = "a vocabulary for the tests of all modules")]

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Claim, Cluster, Interner, Node, PersistentVolume, Pod, PodId, Service, StorageClass,
    WatchedNode, WatchedPod, WatchedReplicaSet, WatchedStatefulSet, Workload,
};

/// A node that is Ready, with 4 cores, 16 GiB, room for 110 pods and its
/// hostname label.
pub fn node(name: &str) -> NodeFixture {
    NodeFixture(json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {
            "allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }))
}

/// A running, ready pod in the namespace `default` with one container that
/// asks for nothing; its label `app` is its name up to the last dash.
pub fn pod(name: &str) -> PodFixture {
    let app = name.rsplit_once('-').map_or(name, |(app, _)| app);
    PodFixture(json!({
        "metadata": {
            "name": name, "namespace": "default", "uid": format!("uid-{name}"),
            "labels": {"app": app},
        },
        "spec": {"containers": [{"name": "main", "image": "registry.example/app:1"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }))
}

/// See [`node`].
#[derive(Clone, Debug)]
pub struct NodeFixture(Value);

/// See [`pod`].
#[derive(Clone, Debug)]
pub struct PodFixture(Value);

impl NodeFixture {
    pub fn zone(self, zone: &str) -> Self {
        self.label("topology.kubernetes.io/zone", zone)
    }

    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][key] = json!(value);
        self
    }

    pub fn without_label(mut self, key: &str) -> Self {
        self.0["metadata"]["labels"].as_object_mut().unwrap().remove(key);
        self
    }

    pub fn allocatable(mut self, resource: &str, amount: &str) -> Self {
        self.0["status"]["allocatable"][resource] = json!(amount);
        self
    }

    pub fn cpu(self, amount: &str) -> Self {
        self.allocatable("cpu", amount)
    }

    pub fn memory(self, amount: &str) -> Self {
        self.allocatable("memory", amount)
    }

    pub fn room_for_pods(self, count: u32) -> Self {
        self.allocatable("pods", &count.to_string())
    }

    pub fn cordoned(mut self) -> Self {
        self.0["spec"]["unschedulable"] = json!(true);
        self
    }

    pub fn not_ready(mut self) -> Self {
        self.0["status"]["conditions"][0]["status"] = json!("False");
        self
    }

    pub fn deleting(mut self) -> Self {
        self.0["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self
    }

    pub fn taint(mut self, key: &str, effect: &str) -> Self {
        push(&mut self.0["spec"]["taints"], json!({"key": key, "effect": effect}));
        self
    }

    /// Closed by a drill.
    pub fn drilled(mut self, mark: &super::DrillMark) -> Self {
        let taint = json!({
            "key": crate::api::DRILL, "value": mark.drill, "effect": "NoSchedule",
        });
        push(&mut self.0["spec"]["taints"], taint);
        self.0["metadata"]["annotations"] = json!({crate::api::DRILL: mark.to_string()});
        self
    }

    /// A taint that says when it was added.
    pub fn taint_added(mut self, key: &str, effect: &str, at: Timestamp) -> Self {
        let taint = json!({"key": key, "effect": effect, "timeAdded": at.to_string()});
        push(&mut self.0["spec"]["taints"], taint);
        self
    }

    pub fn created(mut self, at: Timestamp) -> Self {
        self.0["metadata"]["creationTimestamp"] = json!(at.to_string());
        self
    }

    pub fn image(mut self, name: &str, bytes: i64) -> Self {
        push(&mut self.0["status"]["images"], json!({"names": [name], "sizeBytes": bytes}));
        self
    }

    pub fn kubelet(mut self, version: &str) -> Self {
        self.0["status"]["nodeInfo"]["kubeletVersion"] = json!(version);
        self
    }

    /// As a watch would show it.
    pub fn watched(self) -> WatchedNode {
        serde_json::from_value(self.0).unwrap()
    }

    pub fn build(self) -> Node {
        Node::new(self.watched(), &mut Interner::default())
    }
}

impl PodFixture {
    pub fn on(self, node: &str) -> Self {
        self.spec("nodeName", json!(node))
    }

    /// By another name; the label `app` stays.
    pub fn named(mut self, name: &str) -> Self {
        self.0["metadata"]["name"] = json!(name);
        self.0["metadata"]["uid"] = json!(format!("uid-{name}"));
        self
    }

    pub fn namespace(mut self, namespace: &str) -> Self {
        self.0["metadata"]["namespace"] = json!(namespace);
        self
    }

    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["labels"][key] = json!(value);
        self
    }

    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.0["metadata"]["annotations"][key] = json!(value);
        self
    }

    /// Any field of the spec, by its first name.
    pub fn spec(mut self, field: &str, value: Value) -> Self {
        self.0["spec"][field] = value;
        self
    }

    pub fn requests(mut self, resource: &str, amount: &str) -> Self {
        self.0["spec"]["containers"][0]["resources"]["requests"][resource] = json!(amount);
        self
    }

    pub fn cpu(self, amount: &str) -> Self {
        self.requests("cpu", amount)
    }

    pub fn memory(self, amount: &str) -> Self {
        self.requests("memory", amount)
    }

    pub fn image(mut self, image: &str) -> Self {
        self.0["spec"]["containers"][0]["image"] = json!(image);
        self
    }

    pub fn host_port(mut self, port: i32) -> Self {
        push(&mut self.0["spec"]["containers"][0]["ports"], json!({"hostPort": port}));
        self
    }

    pub fn tolerates(mut self, key: &str, effect: &str) -> Self {
        let toleration = json!({"key": key, "operator": "Exists", "effect": effect});
        push(&mut self.0["spec"]["tolerations"], toleration);
        self
    }

    /// `DoNotSchedule` over `key`, for pods with the same `app`.
    pub fn spread_hard(self, key: &str, max_skew: i32) -> Self {
        self.spread(key, max_skew, "DoNotSchedule", json!({}))
    }

    /// `ScheduleAnyway` over `key`, for pods with the same `app`.
    pub fn spread_soft(self, key: &str, max_skew: i32) -> Self {
        self.spread(key, max_skew, "ScheduleAnyway", json!({}))
    }

    /// A spread constraint with more fields, for pods with the same `app`.
    pub fn spread(mut self, key: &str, max_skew: i32, action: &str, more: Value) -> Self {
        let mut constraint = json!({
            "topologyKey": key, "maxSkew": max_skew, "whenUnsatisfiable": action,
            "labelSelector": {"matchLabels": {"app": self.0["metadata"]["labels"]["app"]}},
        });
        let more: Map<String, Value> = serde_json::from_value(more).unwrap();
        constraint.as_object_mut().unwrap().extend(more);
        push(&mut self.0["spec"]["topologySpreadConstraints"], constraint);
        self
    }

    pub fn owner(mut self, kind: &str, name: &str) -> Self {
        self.0["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": format!("uid-{name}"),
            "controller": true,
        }]);
        self
    }

    pub fn created(mut self, at: jiff::Timestamp) -> Self {
        let at = jiff::Timestamp::from_second(at.as_second()).unwrap();
        self.0["metadata"]["creationTimestamp"] = json!(at.to_string());
        self
    }

    pub fn terminating(mut self) -> Self {
        self.0["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self
    }

    pub fn not_ready(mut self) -> Self {
        self.0["status"]["conditions"] = json!([]);
        self
    }

    pub fn phase(mut self, phase: &str) -> Self {
        self.0["status"]["phase"] = json!(phase);
        self
    }

    /// Any field of the status, by its first name.
    pub fn status(mut self, field: &str, value: Value) -> Self {
        self.0["status"][field] = value;
        self
    }

    /// Whose spec was changed after it was made.
    pub fn changed(mut self) -> Self {
        self.0["metadata"]["generation"] = json!(2);
        self
    }

    /// What was allocated to the container, and what it has.
    pub fn sized(self, allocated: Value, actual: Value) -> Self {
        let main = json!({
            "name": "main", "allocatedResources": allocated, "resources": {"requests": actual},
        });
        self.status("containerStatuses", json!([main]))
    }

    /// The node cannot grant the size that is asked for.
    pub fn resize_pending(mut self, reason: &str) -> Self {
        let pending = json!({"type": "PodResizePending", "status": "True", "reason": reason});
        push(&mut self.0["status"]["conditions"], pending);
        self
    }

    /// As a watch would show it.
    pub fn watched(self) -> WatchedPod {
        serde_json::from_value(self.0).unwrap()
    }

    pub fn build(self) -> Pod {
        Pod::new(self.watched(), &mut Interner::default())
    }
}

fn push(list: &mut Value, entry: Value) {
    if list.is_null() {
        *list = json!([]);
    }
    list.as_array_mut().unwrap().push(entry);
}

/// A cluster of these nodes and pods.
pub fn cluster(
    nodes: impl IntoIterator<Item = NodeFixture>,
    pods: impl IntoIterator<Item = PodFixture>,
) -> Cluster {
    let mut cluster = Cluster::default();
    for node in nodes {
        cluster.put_node(node.build());
    }
    for pod in pods {
        cluster.put_pod(pod.build());
    }
    cluster
}

/// The id of a pod in the namespace `default`.
pub fn id_of(cluster: &Cluster, pod: &str) -> PodId {
    cluster.pod_id("default", pod).unwrap()
}

/// A Service in the namespace `default` for pods with this `app`.
pub fn service(name: &str, app: &str) -> Service {
    let service = json!({
        "metadata": {"name": name, "namespace": "default"}, "spec": {"selector": {"app": app}},
    });
    Service::new(serde_json::from_value(service).unwrap())
}

/// A `ReplicaSet` in the namespace `default` for pods with this `app`.
pub fn replica_set(name: &str, app: &str) -> Workload {
    let watched: WatchedReplicaSet = serde_json::from_value(owner(name, app)).unwrap();
    Workload::replica_set(watched, &mut Interner::default())
}

/// A `StatefulSet` in the namespace `default` for pods with this `app`.
pub fn stateful_set(name: &str, app: &str) -> Workload {
    let watched: WatchedStatefulSet = serde_json::from_value(owner(name, app)).unwrap();
    Workload::stateful_set(watched, &mut Interner::default())
}

fn owner(name: &str, app: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}")},
        "spec": {
            "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": {"app": app}}, "spec": {"containers": []}},
        },
    })
}

/// A claim in the namespace `default`.
pub fn claim(name: &str, class: &str, volume: Option<&str>) -> Claim {
    let claim = json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"volumeName": volume, "storageClassName": class},
    });
    Claim::new(serde_json::from_value(claim).unwrap(), &mut Interner::default())
}

/// A volume that can be reached from nodes of one zone.
pub fn zonal_volume(name: &str, zone: &str) -> PersistentVolume {
    let volume = json!({
        "metadata": {"name": name},
        "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}
        ]}]}}},
    });
    PersistentVolume::new(serde_json::from_value(volume).unwrap())
}

/// A storage class that makes volumes when a pod wants them, in these zones
/// only (none: anywhere).
pub fn lazy_class(name: &str, zones: &[&str]) -> StorageClass {
    let topologies = (!zones.is_empty()).then(|| {
        json!([{"matchLabelExpressions": [
            {"key": "topology.kubernetes.io/zone", "values": zones}
        ]}])
    });
    let class = json!({
        "metadata": {"name": name}, "provisioner": "csi.example",
        "volumeBindingMode": "WaitForFirstConsumer", "allowedTopologies": topologies,
    });
    StorageClass::new(serde_json::from_value(class).unwrap())
}
