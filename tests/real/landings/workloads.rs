//! Random workloads: the whole of what users write that the scheduler minds.

use super::affinity;
use super::containers::{self, push};
use super::profiles;
use super::terrain::{NAMESPACES, TIERS, ZONE, is_in_pool};
use crate::dice::Dice;
use serde_json::{Value, json};

/// A workload of one kind, with what belongs to it.
#[derive(Clone, Debug)]
pub struct Workload {
    pub namespace: String,
    pub app: String,
    pub kind: &'static str,
    pub replicas: usize,
    pub object: Value,
    /// Path and body of what has to be there before it.
    pub company: Vec<(String, Value)>,
}

impl Workload {
    /// The plural name of its kind.
    pub fn path(&self) -> String {
        let plural = match self.kind {
            "Deployment" => "deployments",
            "ReplicaSet" => "replicasets",
            _ => "statefulsets",
        };
        format!("/apis/apps/v1/namespaces/{}/{plural}", self.namespace)
    }

    /// Whether its pods are gone as soon as they are evicted.
    pub fn vanishes(&self) -> bool {
        self.object["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == json!(0)
    }

    /// Whether its template can change without any pod being replaced.
    pub fn is_revisable(&self) -> bool {
        self.object["spec"]["updateStrategy"].is_object()
    }

    /// The path of the workload itself.
    pub fn own_path(&self) -> String {
        format!("{}/{}", self.path(), self.app)
    }
}

/// A workload with a number of its own.
pub fn workload(dice: &mut Dice, number: usize, nodes: &[String]) -> Workload {
    let app = format!("w{number}");
    let namespace = dice.pick(&NAMESPACES).to_owned();
    let kind = dice.pick(&["Deployment", "Deployment", "ReplicaSet", "StatefulSet"]);
    let replicas = dice.between(2, 9);
    let mut spec = containers::spec(dice);
    constrain(dice, &mut spec, &app, kind);
    choose_nodes(dice, &mut spec, nodes);
    if nodes.iter().any(|node| is_in_pool(node)) && dice.chance(45) {
        join_pool(dice, &mut spec);
    }
    profiles::choose(dice, &mut spec);
    let affinity = affinity::pod_affinity(dice, &app);
    if dice.chance(50) {
        spec["affinity"]["podAffinity"] = affinity["podAffinity"].clone();
        spec["affinity"]["podAntiAffinity"] = affinity["podAntiAffinity"].clone();
    }
    // Some are gone as soon as they are evicted, others only when the test buries them.
    if dice.chance(20) {
        spec["terminationGracePeriodSeconds"] = json!(0);
    }
    let mut company = Vec::new();
    let mut claims = json!([]);
    match dice.below(20) {
        0 if kind != "StatefulSet" => {
            company = bound_claim(dice, &namespace, &app);
            spec["volumes"] =
                json!([{"name": "data", "persistentVolumeClaim": {"claimName": app}}]);
        }
        1 => {
            spec["volumes"] = json!([
                {"name": "scratch", "emptyDir": {}}, {"name": "logs", "hostPath": {"path": "/log"}}
            ]);
        }
        2..8 if kind == "StatefulSet" => claims = json!([lazy_claim(dice)]),
        2 => {
            spec["volumes"] = json!([{"name": "cache", "ephemeral": {
                "volumeClaimTemplate": {"spec": lazy_claim(dice)["spec"].clone()}}}]);
        }
        // Where the API server has no such volumes, it takes them for empty directories.
        8 | 9 => {
            let image = containers::IMAGES[dice.below(containers::IMAGES.len())];
            spec["volumes"] = json!([{"name": "dataset", "image": {"reference": image}}]);
        }
        _ => {}
    }
    if dice.chance(50) {
        let selector =
            if dice.chance(80) { json!({"app": app}) } else { json!({"tier": dice.pick(&TIERS)}) };
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": app},
            "spec": {"selector": selector, "clusterIP": "None", "ports": [{"port": 80}]}});
        company.push((format!("/api/v1/namespaces/{namespace}/services"), service));
    }
    let labels = json!({"app": app, "tier": dice.pick(&TIERS), "rev": dice.pick(&["1", "2"])});
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": app, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    });
    if kind == "StatefulSet" {
        object["spec"]["podManagementPolicy"] = json!("Parallel");
        object["spec"]["serviceName"] = json!(app);
        object["spec"]["volumeClaimTemplates"] = claims;
        // Pods of two revisions, as nobody else would change any: see `Field::revise`.
        match dice.below(5) {
            0 => object["spec"]["updateStrategy"] = json!({"type": "OnDelete"}),
            1 => {
                let rolling = json!({"partition": replicas});
                object["spec"]["updateStrategy"] =
                    json!({"type": "RollingUpdate", "rollingUpdate": rolling});
            }
            _ => {}
        }
    }
    Workload { namespace, app, kind, replicas, object, company }
}

/// Topology spread constraints; a third of the pods have none.
fn constrain(dice: &mut Dice, spec: &mut Value, app: &str, kind: &str) {
    if dice.chance(33) {
        return;
    }
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for _ in 0..dice.pick(&[1, 1, 2, 3]) {
        let key = dice.pick(&[ZONE, ZONE, ZONE, "kubernetes.io/hostname", "rack", "disk"]);
        let action = dice.pick(&["ScheduleAnyway", "ScheduleAnyway", "DoNotSchedule"]);
        if seen.contains(&(key, action)) {
            continue;
        }
        seen.push((key, action));
        let selector = if dice.chance(70) {
            json!({"matchLabels": {"app": app}})
        } else {
            affinity::selector(dice, app)
        };
        let mut constraint = json!({
            "topologyKey": key, "whenUnsatisfiable": action, "labelSelector": selector,
            "maxSkew": dice.pick(&[1, 1, 2, 3]),
        });
        if action == "DoNotSchedule" && dice.chance(25) {
            constraint["minDomains"] = json!(dice.between(1, 5));
        }
        if dice.chance(20) {
            constraint["nodeAffinityPolicy"] = json!(dice.pick(&["Ignore", "Honor"]));
        }
        if dice.chance(30) {
            constraint["nodeTaintsPolicy"] = json!(dice.pick(&["Ignore", "Honor"]));
        }
        if constraint["labelSelector"].is_object() && dice.chance(15) {
            let hash = kind == "Deployment" && dice.chance(50);
            let key = if hash { "pod-template-hash" } else { "rev" };
            constraint["matchLabelKeys"] = json!([key]);
        }
        push(&mut spec["topologySpreadConstraints"], constraint);
    }
}

/// Node selector, node affinity and tolerations.
fn choose_nodes(dice: &mut Dice, spec: &mut Value, nodes: &[String]) {
    if dice.chance(15) {
        spec["nodeSelector"] = json!({"disk": dice.pick(&["ssd", "hdd"])});
    }
    if dice.chance(40) {
        spec["affinity"]["nodeAffinity"] = affinity::node_affinity(dice, nodes);
    }
    let tolerations = [
        (json!({"key": "maintenance", "operator": "Exists"}), 15),
        (json!({"key": "flaky", "value": "very", "effect": "PreferNoSchedule"}), 10),
        (json!({"key": "flaky", "value": "other", "operator": "Equal"}), 5),
        (json!({"key": "dedicated", "value": "batch", "effect": "NoSchedule"}), 15),
        (json!({"key": "old", "operator": "Exists", "effect": "NoExecute"}), 10),
        (json!({"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}), 6),
        (json!({"operator": "Exists"}), 5),
    ];
    for (toleration, percent) in tolerations {
        if dice.chance(percent) {
            push(&mut spec["tolerations"], toleration);
        }
    }
}

/// Pods that may run in the pool; most of them nowhere else.
fn join_pool(dice: &mut Dice, spec: &mut Value) {
    let tolerates = json!({"key": "pool", "operator": "Equal", "value": "batch",
        "effect": "NoSchedule"});
    push(&mut spec["tolerations"], tolerates);
    match dice.below(3) {
        0 => spec["nodeSelector"]["pool"] = json!("batch"),
        1 => {
            let in_pool = json!({"key": "pool", "operator": "In", "values": ["batch"]});
            spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
                json!({"nodeSelectorTerms": [{"matchExpressions": [in_pool]}]});
        }
        _ => {}
    }
}

/// A claim and the volume it is bound to, in one zone.
fn bound_claim(dice: &mut Dice, namespace: &str, app: &str) -> Vec<(String, Value)> {
    let zone = dice.pick(&["a", "b", "c"]);
    let mut volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": format!("{namespace}-{app}")},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
            "csi": {"driver": "csi.example", "volumeHandle": app},
            "claimRef": {"namespace": namespace, "name": app},
        },
    });
    if dice.chance(50) {
        volume["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}]}});
    } else {
        let zones = dice.pick(&["a", "b", "a__c"]);
        volume["metadata"]["labels"] = json!({ZONE: zones});
    }
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": app},
        "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "",
            "volumeName": format!("{namespace}-{app}"),
            "resources": {"requests": {"storage": "1Gi"}}},
    });
    vec![
        ("/api/v1/persistentvolumes".to_owned(), volume),
        (format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims"), claim),
    ]
}

/// A claim template for a volume that is made where the pod lands.
fn lazy_claim(dice: &mut Dice) -> Value {
    json!({
        "metadata": {"name": "data"},
        "spec": {"accessModes": [dice.pick(&["ReadWriteOnce", "ReadWriteOnce", "ReadWriteOncePod"])],
            "storageClassName": dice.pick(&["lazy", "lazy", "lazy-in-a-and-b", PICKY]),
            "resources": {"requests": {"storage": "1Gi"}}},
    })
}

/// The class of the driver that keeps pods from nodes on which it does not run (1.37).
const PICKY: &str = "picky";

/// The driver of a storage class.
pub fn driver_of(class: &str) -> &'static str {
    if class == PICKY { "picky.example" } else { "csi.example" }
}

/// The drivers of all volumes. They attach none: what is attached and not yet
/// detached would count too.
pub fn storage_drivers() -> [Value; 2] {
    ["lazy", PICKY].map(|class| {
        let mut driver = json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver",
            "metadata": {"name": driver_of(class)},
            "spec": {"attachRequired": false, "storageCapacity": false}});
        if class == PICKY {
            driver["spec"]["preventPodSchedulingIfMissing"] = json!(true);
        }
        driver
    })
}

/// The storage classes that these claims name.
pub fn storage_classes() -> Vec<Value> {
    let class = |name: &str, more: Value| {
        let mut class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
            "provisioner": driver_of(name), "volumeBindingMode": "WaitForFirstConsumer",
        });
        class["allowedTopologies"] = more;
        class
    };
    let in_a_and_b = json!([{"matchLabelExpressions": [{"key": ZONE, "values": ["a", "b"]}]}]);
    vec![
        class("lazy", Value::Null),
        class("lazy-in-a-and-b", in_a_and_b),
        class(PICKY, Value::Null),
    ]
}
