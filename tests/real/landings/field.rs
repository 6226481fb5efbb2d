//! The cluster on which pods land: nodes and tenants come and go in epochs.

use super::mirror::Mirror;
use super::requests::Requests;
use super::resizes;
use super::scheduler_log::SchedulerLog;
use super::terrain::{self, NAMESPACES};
use super::workloads::{Workload, driver_of, storage_classes, storage_drivers};
use super::world::World;
use crate::dice::{Dice, setting};
use crate::harness::Cluster;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use zonespread::predict::SchedulerVersion;

/// The scheduler hears of pods by one watch, in order; of nodes, services and claims by
/// others, which a busy machine may serve this much later.
const HEARSAY: Duration = Duration::from_millis(400);

/// A control plane, and what the test has put there.
pub struct Field {
    /// The scheduler's.
    pub version: SchedulerVersion,
    pub requests: Requests,
    pub mirror: Arc<Mirror>,
    pub scheduler_log: SchedulerLog,
    pub nodes: Vec<String>,
    /// Namespace and name of the pods that were there before any workload.
    tenants: Vec<(String, String)>,
    /// Whether pods of workloads are resized in place.
    pub resizes: bool,
    /// Whether pods that hold room for others take all that is free, again and again.
    pub is_full: bool,
    /// Whether deploy/steering is there, and replacements are steered.
    pub steers: bool,
    named: usize,
    settled: Vec<Workload>,
}

/// A pod of the workload, as the API server shows it.
pub fn pods_of<'w>(world: &'w World, workload: &Workload) -> impl Iterator<Item = &'w Value> {
    world.all("Pod").filter(move |pod| {
        pod["metadata"]["labels"]["app"] == *workload.app
            && pod["metadata"]["namespace"] == *workload.namespace
    })
}

pub fn is_leaving(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_string()
}

pub fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

/// Where the scheduler has put the pod; the inner none: nowhere. The outer
/// none: it has not decided yet.
#[allow(
    clippy::option_option,
    reason = "undecided, and decided for nowhere, are different answers"
)]
pub fn verdict(pod: &Value) -> Option<Option<String>> {
    if let Some(node) = pod["spec"]["nodeName"].as_str() {
        return Some(Some(node.to_owned()));
    }
    // Others are being pushed out for it.
    if nominated(pod).is_some() {
        return None;
    }
    let conditions = pod["status"]["conditions"].as_array()?;
    let refused = conditions.iter().find(|condition| condition["reason"] == "Unschedulable")?;
    let message = refused["message"].as_str().unwrap_or_default();
    // It tries again by itself when the claim is there.
    let too_early = ["waiting for ephemeral volume controller", "not found"];
    (!too_early.iter().any(|early| message.contains(early))).then_some(None)
}

/// The node on which room is being made for the pod.
pub fn nominated(pod: &Value) -> Option<String> {
    let node = pod["status"]["nominatedNodeName"].as_str()?;
    (!node.is_empty()).then(|| node.to_owned())
}

/// How long a pod is waited for after room was made for it. The scheduler (1.37.1) may leave
/// one alone though those that it pushed out are gone, until something else happens.
pub const NOMINATED: Duration = Duration::from_secs(8);

impl Field {
    pub async fn on(cluster: &Cluster, version: SchedulerVersion) -> Self {
        let requests = Requests(cluster.client());
        for (namespace, warm) in NAMESPACES.into_iter().zip(["yes", "no", "yes"]) {
            cluster.namespace(namespace).await;
            let labels = json!({"metadata": {"labels": {"warm": warm}}});
            requests.patch(&format!("/api/v1/namespaces/{namespace}"), &labels).await;
        }
        for class in storage_classes() {
            requests.post("/apis/storage.k8s.io/v1/storageclasses", &class).await;
        }
        for class in terrain::priority_classes() {
            requests.post("/apis/scheduling.k8s.io/v1/priorityclasses", &class).await;
        }
        for driver in storage_drivers() {
            requests.post("/apis/storage.k8s.io/v1/csidrivers", &driver).await;
        }
        let mirror = Arc::new(Mirror::of(&cluster.client()).await);
        tokio::spawn(make_volumes(requests.clone(), Arc::clone(&mirror)));
        Self {
            version,
            requests,
            mirror,
            scheduler_log: SchedulerLog::of(cluster),
            nodes: Vec::new(),
            tenants: Vec::new(),
            resizes: false,
            is_full: false,
            steers: false,
            named: 0,
            settled: Vec::new(),
        }
    }

    /// Clears the field, then puts new nodes and tenants there.
    pub async fn begin(&mut self, dice: &mut Dice, epoch: usize, count: usize) {
        self.clear().await;
        let share = usize::try_from(setting("SHARE", 30)).unwrap();
        let nodes = terrain::nodes(dice, epoch, count, share);
        self.nodes = nodes.iter().map(name).collect();
        for node in &nodes {
            self.requests.post("/api/v1/nodes", node).await;
        }
        for limits in terrain::volume_limits(dice, &self.nodes) {
            self.requests.post("/apis/storage.k8s.io/v1/csinodes", &limits).await;
        }
        self.await_taints().await;
        let density = dice.pick(&[0, 1, 1, 3]);
        for _ in 0..density * count {
            self.add_tenant(dice).await;
        }
        if dice.chance(share) {
            for at in 0..self.tenants.len() {
                let (namespace, name) = self.tenants[at].clone();
                if dice.chance(50) {
                    resizes::resize(self, dice, &namespace, &name).await;
                }
            }
        }
        self.resizes = dice.chance(share);
        let has_headroom = dice.chance(share);
        self.is_full = has_headroom && dice.chance(60);
        if self.is_full {
            self.fill(dice).await;
        } else if has_headroom {
            for node in &nodes {
                for _ in 0..dice.pick(&[0, 1, 2, 2, 3, 4]) {
                    let has = node["status"]["allocatable"]["cpu"].as_str().unwrap();
                    let milli = terrain::milli(has) * dice.pick(&[10, 30, 50, 50, 80]) / 100;
                    self.add_headroom(dice, &name(node), milli).await;
                }
            }
        }
        for at in 0..self.tenants.len().min(dice.below(3)) {
            let (namespace, name) = &self.tenants[at];
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/status");
            self.requests.patch(&path, &json!({"status": {"phase": "Succeeded"}})).await;
        }
    }

    /// The node controller takes the taint of new nodes away, and marks cordoned ones.
    async fn await_taints(&self) {
        self.mirror
            .until("the nodes' taints", |world| {
                let tainted = |node: &Value, key: &str| {
                    let taints = node["spec"]["taints"].as_array();
                    taints.is_some_and(|taints| taints.iter().any(|taint| taint["key"] == key))
                };
                let ready = world.all("Node").all(|node| {
                    !tainted(node, "node.kubernetes.io/not-ready")
                        && tainted(node, "node.kubernetes.io/unschedulable")
                            == (node["spec"]["unschedulable"] == true)
                });
                (ready && world.all("Node").count() == self.nodes.len()).then_some(())
            })
            .await;
    }

    /// Pods that hold room for others take what is free, as those do that somebody makes again.
    pub async fn fill(&mut self, dice: &mut Dice) {
        for node in self.nodes.clone() {
            let free = self.mirror.look(|world| {
                let (has, entry) = world.index.cluster().node(&node)?;
                usize::try_from(has.allocatable.cpu_milli - entry.requested.cpu_milli).ok()
            });
            let mut free = free.unwrap_or(0);
            while free >= 100 {
                let milli = (free * dice.pick(&[40, 100, 100]) / 100).max(100);
                self.add_headroom(dice, &node, milli).await;
                free -= milli;
            }
        }
        if !self.version.hears_in_order() {
            tokio::time::sleep(HEARSAY).await;
        }
    }

    async fn add_headroom(&mut self, dice: &mut Dice, node: &str, milli: usize) {
        self.named += 1;
        let pod = terrain::headroom(dice, &format!("pause-{}", self.named), node, milli);
        self.post_tenant(&pod).await;
    }

    async fn add_tenant(&mut self, dice: &mut Dice) {
        self.named += 1;
        let node = &self.nodes[dice.below(self.nodes.len())];
        let pod = terrain::tenant(dice, &format!("tenant-{}", self.named), node);
        self.post_tenant(&pod).await;
    }

    async fn post_tenant(&mut self, pod: &Value) {
        let namespace = pod["metadata"]["namespace"].as_str().unwrap().to_owned();
        self.requests.post(&format!("/api/v1/namespaces/{namespace}/pods"), pod).await;
        let name = name(pod);
        self.mirror
            .until("a new tenant", |world| world.get("Pod", &namespace, &name).map(drop))
            .await;
        self.tenants.push((namespace, name));
    }

    /// A tenant comes or goes.
    pub async fn stir_tenants(&mut self, dice: &mut Dice) {
        if self.tenants.is_empty() || dice.chance(50) {
            return self.add_tenant(dice).await;
        }
        let (namespace, name) = self.tenants.swap_remove(dice.below(self.tenants.len()));
        self.remove_pods(&namespace, &[name]).await;
    }

    /// A node is cordoned, or no longer is.
    pub async fn stir_nodes(&mut self, dice: &mut Dice) {
        let node = &self.nodes[dice.below(self.nodes.len())];
        let cordoned = self.mirror.look(|world| {
            world.get("Node", "", node).is_some_and(|node| node["spec"]["unschedulable"] == true)
        });
        let patch = json!({"spec": {"unschedulable": !cordoned}});
        self.requests.patch(&format!("/api/v1/nodes/{node}"), &patch).await;
        self.mirror
            .until("a node's cordon", |world| {
                let shown = world.get("Node", "", node)?["spec"]["unschedulable"] == true;
                (shown != cordoned).then_some(())
            })
            .await;
        self.await_taints().await;
        tokio::time::sleep(HEARSAY).await;
    }

    /// Takes pods away at once.
    pub async fn remove_pods(&self, namespace: &str, names: &[String]) {
        for name in names {
            self.requests.delete(&format!("/api/v1/namespaces/{namespace}/pods/{name}")).await;
        }
        self.mirror
            .until("pods to be gone", |world| {
                let gone = |name: &String| world.get("Pod", namespace, name).is_none();
                names.iter().all(gone).then_some(())
            })
            .await;
    }

    /// Creates a workload and waits until the scheduler has placed its pods. It
    /// gets as many pods as have room; false if that is not enough.
    pub async fn settle(&self, workload: &mut Workload) -> bool {
        for (path, object) in &workload.company {
            self.requests.post(path, object).await;
        }
        for (path, object) in &workload.company {
            let Some(namespace) = path.strip_suffix("/persistentvolumeclaims") else { continue };
            let namespace = namespace.rsplit('/').next().unwrap();
            let name = name(object);
            self.mirror
                .until("a claim to be bound", |world| {
                    let claim = world.get("PersistentVolumeClaim", namespace, &name)?;
                    (claim["status"]["phase"] == "Bound").then_some(())
                })
                .await;
        }
        self.requests.post(&workload.path(), &workload.object).await;
        tokio::time::sleep(HEARSAY).await;
        loop {
            let pending = self.await_verdicts(workload).await;
            if pending == 0 {
                return true;
            }
            // A StatefulSet's last pod need not be the one that waits.
            if workload.kind == "StatefulSet" || workload.replicas - pending < 2 {
                return false;
            }
            self.scale(workload, workload.replicas - pending).await;
        }
    }

    /// Waits until every pod is placed or refused; gives the number of the latter.
    async fn await_verdicts(&self, workload: &Workload) -> usize {
        let what = format!("verdicts on {} pods of {}", workload.replicas, workload.own_path());
        let refused = |world: &World, left_alone: bool| {
            let pods = pods_of(world, workload).filter(|pod| !is_leaving(pod));
            let verdicts: Option<Vec<_>> = pods
                .map(|pod| {
                    let is_left_alone = left_alone && nominated(pod).is_some();
                    verdict(pod).or_else(|| is_left_alone.then_some(None))
                })
                .collect();
            let verdicts = verdicts.filter(|all| all.len() == workload.replicas)?;
            Some(verdicts.iter().filter(|node| node.is_none()).count())
        };
        match self.mirror.within(NOMINATED, |world| refused(world, false)).await {
            Some(count) => count,
            None => self.mirror.until(&what, |world| refused(world, true)).await,
        }
    }

    /// Gives the pods that are still to be made another template.
    pub async fn revise(&self, workload: &Workload, dice: &mut Dice) {
        let mut containers = workload.object["spec"]["template"]["spec"]["containers"].clone();
        containers[0]["resources"] = json!({"requests": {"cpu": dice.pick(&["50m", "400m", "1"])}});
        let mut spec = json!({"containers": containers, "resources": null});
        if dice.chance(40) {
            spec["topologySpreadConstraints"] = json!([{
                "topologyKey": dice.pick(&[terrain::ZONE, "rack", "kubernetes.io/hostname"]),
                "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": workload.app}}}]);
        }
        if dice.chance(30) {
            spec["nodeSelector"] = json!({"disk": dice.pick(&["ssd", "hdd"])});
        }
        let labels = json!({"rev": dice.pick(&["1", "2", "3"])});
        let template = json!({"metadata": {"labels": labels}, "spec": spec});
        let patch = json!({"spec": {"template": template}});
        self.requests.patch(&workload.own_path(), &patch).await;
        self.mirror
            .until("a new revision", |world| {
                let set = world.get("StatefulSet", &workload.namespace, &workload.app)?;
                let seen = set["status"]["observedGeneration"] == set["metadata"]["generation"];
                let changed = set["metadata"]["generation"].as_i64()? > 1;
                (seen && changed).then_some(())
            })
            .await;
    }

    async fn scale(&self, workload: &mut Workload, replicas: usize) {
        workload.replicas = replicas;
        let patch = json!({"spec": {"replicas": replicas}});
        self.requests.patch(&workload.own_path(), &patch).await;
    }

    /// One pod less: the one that nobody can place. False if none would be left to move.
    pub async fn give_up_one(&self, workload: &mut Workload) -> bool {
        if workload.kind == "StatefulSet" || workload.replicas <= 2 {
            return false;
        }
        self.scale(workload, workload.replicas - 1).await;
        self.await_verdicts(workload).await == 0
    }

    /// Keeps a settled workload as a neighbour for the next ones, for a while.
    pub async fn keep(&mut self, workload: Workload) {
        self.settled.push(workload);
        if self.settled.len() > 2 {
            let oldest = self.settled.remove(0);
            self.retire(oldest).await;
        }
    }

    /// Takes a workload and its pods away.
    pub async fn retire(&self, mut workload: Workload) {
        self.scale(&mut workload, 0).await;
        let leaving = self
            .mirror
            .until("pods to leave", |world| {
                let pods: Vec<_> = pods_of(world, &workload).collect();
                let leaving = pods.iter().all(|pod| is_leaving(pod));
                leaving.then(|| pods.into_iter().map(name).collect::<Vec<_>>())
            })
            .await;
        self.remove_pods(&workload.namespace, &leaving).await;
        self.requests.delete(&workload.own_path()).await;
    }

    async fn clear(&mut self) {
        for workload in std::mem::take(&mut self.settled) {
            self.retire(workload).await;
        }
        self.tenants.clear();
        for namespace in NAMESPACES {
            for kind in ["pods", "services", "persistentvolumeclaims"] {
                self.requests.delete(&format!("/api/v1/namespaces/{namespace}/{kind}")).await;
            }
        }
        self.requests.delete("/api/v1/nodes").await;
        self.requests.delete("/api/v1/persistentvolumes").await;
        self.requests.delete("/apis/storage.k8s.io/v1/csinodes").await;
        self.mirror
            .until("an empty field", |world| {
                ["Pod", "Node", "CSINode", "PersistentVolumeClaim"]
                    .iter()
                    .all(|kind| world.all(kind).next().is_none())
                    .then_some(())
            })
            .await;
    }
}

/// In the place of a storage driver: makes a volume in the zone of the node
/// that the scheduler has chosen.
async fn make_volumes(requests: Requests, mirror: Arc<Mirror>) {
    let mut made: BTreeSet<String> = BTreeSet::new();
    let a_day = Duration::from_hours(24);
    loop {
        let volume = mirror
            .within(a_day, |world| {
                let wanting = world.all("PersistentVolumeClaim").find(|claim| {
                    let chosen = &claim["metadata"]["annotations"][SELECTED_NODE];
                    chosen.is_string()
                        && claim["spec"]["volumeName"].is_null()
                        && !made.contains(claim["metadata"]["uid"].as_str().unwrap())
                })?;
                Some(volume_for(world, wanting))
            })
            .await;
        let Some(volume) = volume else { return };
        made.insert(volume["spec"]["claimRef"]["uid"].as_str().unwrap().to_owned());
        requests.post("/api/v1/persistentvolumes", &volume).await;
    }
}

const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

fn volume_for(world: &World, claim: &Value) -> Value {
    let metadata = &claim["metadata"];
    let node = metadata["annotations"][SELECTED_NODE].as_str().unwrap();
    let zone = world.get("Node", "", node).map(|node| &node["metadata"]["labels"][terrain::ZONE]);
    let driver = driver_of(claim["spec"]["storageClassName"].as_str().unwrap());
    let mut volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": format!("pv-{}", metadata["uid"].as_str().unwrap()),
            "annotations": {"pv.kubernetes.io/provisioned-by": driver}},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": claim["spec"]["storageClassName"],
            "csi": {"driver": driver, "volumeHandle": metadata["uid"]},
            "claimRef": {"namespace": metadata["namespace"], "name": metadata["name"],
                "uid": metadata["uid"]},
        },
    });
    if let Some(Value::String(zone)) = zone {
        volume["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [
            {"matchExpressions":
                [{"key": terrain::ZONE, "operator": "In", "values": [zone]}]}]}});
    }
    volume
}
