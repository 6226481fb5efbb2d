//! The outlook against real outages: random clusters lose a zone, and as many pods must stay
//! Pending, and as many be in each zone, as `zonespread outlook` said before.
//!
//! `OUTLOOKS=n SEED=s` decide how many outages, and which.

use crate::dice::{Dice, setting};
use crate::harness::{Cluster, Workload, ZONE, deployment, eventually, stateful_set};
use kube::ResourceExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

const ZONES: [&str; 3] = ["a", "b", "c"];
/// In the place of a zone: the pod is bound to a node that is gone. The garbage collector
/// deletes it.
const NO_NODE: &str = "gone";
const SETTLES_WITHIN: Duration = Duration::from_secs(90);
/// The scheduler's first retries come within this time.
const QUIET: Duration = Duration::from_secs(4);

/// Where the pods of a workload are, or are said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    pending: usize,
    /// Of what is said: at least so many.
    fewest_pending: usize,
    zones: BTreeMap<String, usize>,
}

impl Seen {
    fn running(&self) -> usize {
        self.zones.values().sum()
    }
}

/// A random workload and what it is.
struct Drawn {
    name: String,
    is_set: bool,
    replicas: u32,
    object: Workload,
    /// The claim that its pods share, and its volume, which is in one zone.
    volume: Option<String>,
}

/// How many forecasts were right.
#[derive(Default)]
struct Tally {
    tiers: usize,
    /// As many as were said, or in the range that was said.
    pending_right: usize,
    exact: usize,
    surviving_right: usize,
    zones_right: usize,
    pending: usize,
}

#[tokio::test]
async fn as_many_pods_wait_after_an_outage_as_was_said_before() {
    let cluster = Cluster::start().await;
    let (first, outages) = (setting("SEED", 1), setting("OUTLOOKS", 6));
    let mut tally = Tally::default();
    for seed in first..first + outages {
        outage(&cluster, seed, &mut tally).await;
    }
    let Tally { tiers, pending_right, exact, surviving_right, zones_right, pending } = tally;
    println!(
        "{outages} outages, {tiers} workloads, {pending} pods Pending: Pending right for {pending_right} ({exact} to the pod), \
         surviving for {surviving_right}, zones for {zones_right}"
    );
    assert_eq!(surviving_right, tiers, "survivors are counted, not predicted");
    assert!(pending_right * 100 >= tiers * 99, "{pending_right} of {tiers}: see above");
}

/// One cluster loses one zone.
async fn outage(cluster: &Cluster, seed: u64, tally: &mut Tally) {
    let mut dice = Dice::new(seed);
    let gone = dice.chance(50);
    let lost = dice.pick(&ZONES);
    let nodes = add_nodes(cluster, &mut dice, seed).await;
    let namespace = format!("outage-{seed}");
    cluster.namespace(&namespace).await;
    let drawn: Vec<Drawn> =
        (0..dice.between(2, 4)).map(|number| draw(&mut dice, &namespace, number)).collect();
    for workload in &drawn {
        if let Some(volume) = &workload.volume {
            cluster.apply(volume).await;
        }
        cluster.apply(workload.object.to_string()).await;
        // One after the other, so that who gets the last room is not a matter of chance.
        settled(cluster, &namespace, std::slice::from_ref(workload), "").await;
    }
    let forecast = forecast(cluster, &namespace, lost);
    let before = now(cluster, &namespace, &drawn).await;
    if gone {
        cluster.delete_zone(lost).await;
    } else {
        cluster.fail_zone(lost).await;
    }
    settled(cluster, &namespace, &drawn, if gone { "" } else { lost }).await;
    let after = now(cluster, &namespace, &drawn).await;
    let phase = if gone { "gone" } else { "unreachable" };
    for (workload, (before, after)) in drawn.iter().zip(before.iter().zip(&after)) {
        let said = &forecast[&workload.name];
        tally.add(seed, phase, lost, workload, said, before, after);
    }
    clean_up(cluster, &namespace, &nodes).await;
}

impl Tally {
    #[allow(clippy::too_many_arguments, reason = "all of it is what a miss is told by")]
    fn add(
        &mut self,
        seed: u64,
        phase: &str,
        lost: &str,
        workload: &Drawn,
        said: &Value,
        before: &Seen,
        after: &Seen,
    ) {
        let said_then = seen_in(&said[phase]);
        let surviving = before.running() - before.zones.get(lost).copied().unwrap_or_default();
        let right = (said_then.fewest_pending..=said_then.pending).contains(&after.pending);
        self.exact += usize::from(said_then.pending == after.pending);
        self.tiers += 1;
        self.pending += after.pending;
        self.pending_right += usize::from(right);
        self.surviving_right += usize::from(said["surviving"] == json!(surviving));
        self.zones_right += usize::from(said_then.zones == after.zones);
        if said_then.zones != after.zones || said["surviving"] != json!(surviving) {
            println!(
                "SEED={seed}, zone {lost} {phase}, {}: said {said_then:?}, surviving {}, seen {after:?}; before {before:?}\n  {}\n  {:#}",
                workload.name,
                said["surviving"],
                said["message"],
                workload.object.to_string().replace('\n', " ")
            );
        }
    }
}

fn seen_in(phase: &Value) -> Seen {
    let zones = phase["zones"].as_object().unwrap().iter();
    let count = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    Seen {
        pending: count(&phase["pending"]),
        fewest_pending: count(&phase["fewestPending"]),
        zones: zones.map(|(zone, pods)| (zone.clone(), count(pods))).collect(),
    }
}

/// One or two nodes in each zone, some small; gives their names.
async fn add_nodes(cluster: &Cluster, dice: &mut Dice, seed: u64) -> Vec<String> {
    let mut names = Vec::new();
    for zone in ZONES {
        for number in 1..=dice.between(1, 2) {
            let name = format!("{zone}{number}-{seed}");
            let cpu = dice.pick(&["1", "2", "4"]);
            cluster.node(&name).zone(zone).cpu(cpu).create().await;
            names.push(name);
        }
    }
    cluster.wait_for_nodes().await;
    names
}

fn draw(dice: &mut Dice, namespace: &str, number: usize) -> Drawn {
    let name = format!("w{number}");
    let is_set = dice.chance(20);
    let replicas = u32::try_from(dice.between(1, 6)).unwrap();
    let object = if is_set {
        let policy = dice.pick(&["OrderedReady", "Parallel"]);
        stateful_set(namespace, &name, replicas).set("/spec/podManagementPolicy", policy.into())
    } else {
        deployment(namespace, &name, replicas)
    };
    let mut object = object.leave_failed_nodes_after(1);
    object = object.request("cpu", dice.pick(&["50m", "200m", "450m"]));
    let selector = json!({"matchLabels": {"app": name}});
    if dice.chance(75) {
        let mut constraint = json!({
            "topologyKey": ZONE, "maxSkew": dice.pick(&[1, 1, 2]), "labelSelector": selector,
            "whenUnsatisfiable": dice.pick(&["DoNotSchedule", "DoNotSchedule", "ScheduleAnyway"]),
        });
        if dice.chance(50) {
            constraint["nodeTaintsPolicy"] = json!(dice.pick(&["Honor", "Honor", "Ignore"]));
        }
        if constraint["whenUnsatisfiable"] == "DoNotSchedule" && dice.chance(25) {
            constraint["minDomains"] = json!(dice.pick(&[2, 3]));
        }
        if !is_set && dice.chance(25) {
            constraint["matchLabelKeys"] = json!(["pod-template-hash"]);
        }
        object = object.pod_spec("topologySpreadConstraints", json!([constraint]));
    }
    match dice.below(8) {
        0 => {
            let key = dice.pick(&[ZONE, "kubernetes.io/hostname"]);
            let terms = json!([{"topologyKey": key, "labelSelector": selector}]);
            let term = json!({"podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": terms}});
            object = object.pod_spec("affinity", term);
        }
        1 => {
            let zone = dice.pick(&ZONES);
            object = object.pod_spec("nodeSelector", json!({ZONE: zone}));
        }
        _ => {}
    }
    let in_zone = dice.chance(12).then(|| dice.pick(&ZONES));
    if in_zone.is_some() {
        let claim = json!({"claimName": name});
        let mounted = json!([{"name": "data", "persistentVolumeClaim": claim}]);
        object = object.pod_spec("volumes", mounted);
    }
    let volume = in_zone.map(|zone| volume(namespace, &name, zone));
    Drawn { name, is_set, replicas, object, volume }
}

/// A disk in one zone, and the claim that it is bound to.
fn volume(namespace: &str, name: &str, zone: &str) -> String {
    let disk = format!("{namespace}-{name}");
    let in_zone = json!({"key": ZONE, "operator": "In", "values": [zone]});
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": disk, "labels": {"of": namespace}},
        "spec": {
            "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "csi": {"driver": "disk.invalid", "volumeHandle": disk},
            "claimRef": {"namespace": namespace, "name": name},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [in_zone]}]}},
        },
    });
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": disk,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    });
    format!("{volume}\n---\n{claim}")
}

/// What the command says of each workload.
fn forecast(cluster: &Cluster, namespace: &str, lost: &str) -> BTreeMap<String, Value> {
    let ran = Command::new(env!("CARGO_BIN_EXE_zonespread"))
        .args(["outlook", "--zone", lost, "-o", "json", "-n", namespace])
        .env("KUBECONFIG", cluster.admin_kubeconfig())
        .output()
        .unwrap();
    assert!(matches!(ran.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&ran.stderr));
    let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let tiers = answer["zones"][0]["tiers"].as_array().unwrap().iter();
    let named = tiers.map(|tier| {
        let owner = tier["owner"].as_str().unwrap();
        (owner.split_once('/').unwrap().1.to_owned(), tier.clone())
    });
    named.collect()
}

/// Where the pods are now, by workload; those that are on their way out are nowhere.
async fn now(cluster: &Cluster, namespace: &str, drawn: &[Drawn]) -> Vec<Seen> {
    let zones: BTreeMap<String, String> = cluster
        .nodes("")
        .await
        .iter()
        .map(|node| (node.name_any(), node.labels().get(ZONE).cloned().unwrap_or_default()))
        .collect();
    let mut all = Vec::new();
    for workload in drawn {
        let mut seen = Seen::default();
        for pod in cluster.pods(namespace, &format!("app={}", workload.name)).await {
            if pod.metadata.deletion_timestamp.is_some() {
                continue;
            }
            match pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) {
                Some(node) => {
                    let zone = zones.get(node).map_or(NO_NODE, String::as_str);
                    *seen.zones.entry(zone.to_owned()).or_default() += 1;
                }
                None => seen.pending += 1,
            }
        }
        all.push(seen);
    }
    all
}

/// Waits until the controllers and the scheduler have done what they can: every pod is there
/// or cannot be, is on a node or was refused by all, and that stays so for a while.
async fn settled(cluster: &Cluster, namespace: &str, drawn: &[Drawn], silent: &str) {
    let mut quiet_since = tokio::time::Instant::now();
    let mut last = Vec::new();
    eventually(SETTLES_WITHIN, "pods to settle", async || {
        let mut waits = None;
        for workload in drawn {
            let pods = cluster.pods(namespace, &format!("app={}", workload.name)).await;
            let (leaving, there): (Vec<_>, Vec<_>) =
                pods.iter().partition(|pod| pod.metadata.deletion_timestamp.is_some());
            let refused = there.iter().any(|pod| is_refused(pod));
            // A set keeps the names of those that leave, and an ordered one waits.
            let complete = there.len() + if workload.is_set { leaving.len() } else { 0 };
            let missing = complete < usize::try_from(workload.replicas).unwrap();
            if missing && !(workload.is_set && refused) {
                waits = Some(format!("{} has {} pods", workload.name, there.len()));
            }
            for pod in there {
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
                let on_silent =
                    !silent.is_empty() && node.is_some_and(|node| node.starts_with(silent));
                if on_silent || (node.is_none() && !is_refused(pod)) {
                    waits = Some(format!("{} is not settled", pod.name_any()));
                }
            }
        }
        let seen = now(cluster, namespace, drawn).await;
        if seen.iter().any(|seen| seen.zones.contains_key(NO_NODE)) {
            waits = Some("a pod is on a node that is gone".to_owned());
        }
        if waits.is_some() || seen != last {
            quiet_since = tokio::time::Instant::now();
            last = seen;
        }
        match waits {
            None if quiet_since.elapsed() >= QUIET => Ok(()),
            waits => Err(format!("{waits:?}")),
        }
    })
    .await;
}

fn is_refused(pod: &k8s_openapi::api::core::v1::Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| {
        condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable")
    })
}

async fn clean_up(cluster: &Cluster, namespace: &str, nodes: &[String]) {
    let delete =
        ["delete", "deployments,statefulsets", "--all", "--cascade=foreground", "--wait=false"];
    cluster.kubectl(&[&delete[..], &["-n", namespace]].concat()).await.unwrap();
    let pods = ["delete", "pods", "--all", "--force", "--grace-period=0", "-n", namespace];
    cluster.kubectl(&pods).await.unwrap();
    let own = format!("of={namespace}");
    let volumes = ["delete", "persistentvolumes", "-l", &own, "--wait=false"];
    cluster.kubectl(&volumes).await.unwrap();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let delete = [&["delete", "nodes", "--ignore-not-found"][..], &nodes].concat();
    cluster.kubectl(&delete).await.unwrap();
    eventually(SETTLES_WITHIN, "the namespace to be empty", async || {
        let left = cluster.pods(namespace, "").await;
        for pod in &left {
            let name = pod.name_any();
            let delete = ["delete", "pod", &name, "--force", "--grace-period=0", "-n", namespace];
            // It may be gone by now.
            let _ = cluster.kubectl(&delete).await;
        }
        left.is_empty().then_some(())
    })
    .await;
}
