//! Situations that people report, from files, on a real control plane: what the commands and
//! the operator say of them, and where kube-scheduler puts what is moved.
//!
//! `tests/cli` asks the same of the files.

mod dump;

use crate::harness::{self, Cluster, eventually, evictions, holds_for, install};
use crate::landings::Requests;
use crate::policy::{self, SOON, blocked, evictions_in, tier, until};
use dump::Dump;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;
use zonespread::api::{MoveState, Phase, Reason};

/// One situation, and what is right there.
struct Situation {
    file: &'static str,
    tier: &'static str,
    /// Selects the pods of the tier, and of their replacements.
    pods: &'static str,
    /// Its zones, and how many pods it has in each.
    zones: &'static [(&'static str, usize)],
    /// Where moves go.
    moves: &'static [&'static str],
    /// Why there are no more, and what is said of that.
    blocked: Option<(Reason, &'static str)>,
}

/// What becomes of the replacement of a pod that somebody deletes although nothing is moved.
enum Fate {
    Pending,
    LandsIn(&'static str),
}

fn zones(pods: &[(&str, usize)]) -> Value {
    json!(pods.iter().map(|(zone, count)| (*zone, *count)).collect::<BTreeMap<_, _>>())
}

impl Situation {
    /// What `zonespread plan` says of its tier now.
    async fn planned(&self, cluster: &Cluster, dump: &Dump) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zonespread"));
        command.args(["plan", "-o", "json", "-n", &dump.namespace]);
        let output = command.env("KUBECONFIG", cluster.admin_kubeconfig()).output().await.unwrap();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
        let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
        plan["policies"][0]["tiers"][0].clone()
    }

    /// Waits until the plan for the live cluster is the right one.
    async fn is_planned_rightly(&self, cluster: &Cluster, dump: &Dump) {
        let reason = self.blocked.map(|(reason, _)| reason.to_string());
        eventually(SOON, &format!("the right plan for {}", self.file), async || {
            let tier = self.planned(cluster, dump).await;
            let moves = tier["moves"].as_array().map_or(&[][..], Vec::as_slice);
            let targets: Vec<&str> = moves.iter().map(|m| m["to"].as_str().unwrap()).collect();
            let says = tier["blocked"]["reason"].as_str().map(str::to_owned);
            let is_right = tier["zones"] == zones(self.zones)
                && targets == self.moves
                && (says == reason || !targets.is_empty());
            if is_right { Ok(()) } else { Err(tier.to_string()) }
        })
        .await;
    }

    /// Loads the dump, and lets an operator do what it thinks is right; gives the dump.
    async fn is_right(&self, cluster: &Cluster, kubeconfig: &Path) -> Dump {
        let dump = Dump::read(self.file);
        dump.load(cluster).await;
        cluster.apply(dump.policy()).await;
        self.is_planned_rightly(cluster, &dump).await;
        let (namespace, name) = (dump.namespace.clone(), dump.policy_name().to_owned());
        let before = evictions_in(cluster, &namespace).len();
        let mut operator = policy::replica(cluster, kubeconfig, &[]).await;
        let what = format!("the moves of {}", self.file);
        let status = until(cluster, &namespace, &name, &what, |status| {
            let landed = status.moves.iter().all(|moved| moved.state == MoveState::Landed);
            let is_over = matches!(status.phase, Some(Phase::Balanced | Phase::Blocked));
            landed && is_over && status.moves.len() == self.moves.len()
        })
        .await;
        if let Some((reason, said)) = self.blocked {
            let message = blocked(cluster, &namespace, &name, self.tier, reason).await;
            assert!(message.contains(said), "{}: {message}", self.file);
        }
        let longer = Duration::from_secs(3);
        holds_for(longer, "no more is evicted", before + self.moves.len(), async || {
            evictions_in(cluster, &namespace).len()
        })
        .await;
        let seen = cluster.spread(&namespace, self.pods).await;
        let told = &tier(&status, self.tier).zones;
        for zone in told {
            assert_eq!(usize::try_from(zone.pods).unwrap(), seen[&zone.name], "{status:#?}");
        }
        for target in self.moves {
            let before = self.zones.iter().find(|(zone, _)| zone == target).unwrap().1;
            let made = self.moves.iter().filter(|other| *other == target).count();
            assert_eq!(seen[*target], before + made, "{seen:?}");
        }
        operator.terminate().await;
        dump
    }

    /// Deletes a pod of a zone, as the operator does not: its replacement meets this fate.
    async fn shows_why(&self, cluster: &Cluster, dump: &Dump, zone: &str, fate: Fate) {
        let requests = Requests(cluster.client());
        let pods = format!("/api/v1/namespaces/{}/pods", dump.namespace);
        let listed = format!("{pods}?labelSelector={}", self.pods.replace('=', "%3D"));
        let before = requests.list(&listed).await;
        let node = |pod: &Value| pod["spec"]["nodeName"].as_str().map(str::to_owned);
        let is_in =
            |pod: &Value, zone: &str| node(pod).is_some_and(|node| dump.zone_of(&node) == zone);
        let there = before.iter().find(|pod| is_in(pod, zone)).unwrap();
        let name = there["metadata"]["name"].as_str().unwrap();
        requests.delete(&format!("{pods}/{name}")).await;
        let known: Vec<&Value> = before.iter().map(|pod| &pod["metadata"]["uid"]).collect();
        eventually(SOON, "kube-scheduler to decide", async || {
            let pods = requests.list(&listed).await;
            let new = pods.iter().find(|pod| !known.contains(&&pod["metadata"]["uid"]));
            let new = new.ok_or("no replacement yet")?;
            let refused = new["status"]["conditions"].as_array().is_some_and(|conditions| {
                conditions.iter().any(|condition| condition["reason"] == "Unschedulable")
            });
            let is_met = match fate {
                Fate::Pending => node(new).is_none() && refused,
                Fate::LandsIn(zone) => is_in(new, zone),
            };
            if is_met { Ok(()) } else { Err("it met another fate so far") }
        })
        .await;
    }
}

/// Nodes of a pool that the tier may not use, and of one that only it may.
#[tokio::test]
async fn pools_of_a_dump_are_seen_rightly_on_a_control_plane() {
    let cluster = Cluster::start().await;
    let kubeconfig = install(&cluster).await;
    for situation in [
        Situation {
            file: "cases/pool-taint-one-node-of-five",
            tier: "web",
            pods: "app=web",
            zones: &[("z-a", 2), ("z-b", 0)],
            moves: &["z-b"],
            blocked: None,
        },
        Situation {
            file: "cases/pool-taint-tolerated",
            tier: "api",
            pods: "app=crm",
            zones: &[("dc1", 4), ("dc2", 0)],
            moves: &["dc2", "dc2"],
            blocked: None,
        },
        // The scheduler counts a domain that is no zone of the tier, and says no to the second.
        Situation {
            file: "cases/regional-zone-zero",
            tier: "web",
            pods: "app=shop",
            zones: &[("westus2-1", 3), ("westus2-2", 3), ("westus2-3", 0)],
            moves: &["westus2-3"],
            blocked: Some((Reason::WouldNotLand, "nodeTaintsPolicy: Honor")),
        },
    ] {
        situation.is_right(&cluster, &kubeconfig).await.clear(&cluster).await;
    }
}

/// A zone that is none of the tier's; headroom; and a tier label that admission adds.
#[tokio::test]
async fn zones_and_pods_of_a_dump_are_seen_rightly_on_a_control_plane() {
    let cluster = Cluster::start().await;
    let kubeconfig = install(&cluster).await;
    let elsewhere = Situation {
        file: "cases/zone-with-another-pool-only",
        tier: "web",
        pods: "app=web",
        zones: &[("z-a", 2), ("z-b", 2)],
        moves: &[],
        blocked: None,
    };
    elsewhere.is_right(&cluster, &kubeconfig).await.clear(&cluster).await;
    let headroom = Situation {
        file: "situations/headroom-pods",
        tier: "web",
        pods: "app=live",
        zones: &[("z-a", 2), ("z-b", 1), ("z-c", 0)],
        moves: &["z-c"],
        blocked: None,
    };
    let dump = headroom.is_right(&cluster, &kubeconfig).await;
    let pauses = cluster.pods("headroom", "app=pause").await;
    let names: Vec<_> = pauses.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect();
    assert!(!names.contains(&"pause-6b7f8c9d5-bbc10".to_owned()), "preempted: {names:?}");
    dump.clear(&cluster).await;
    if harness::kubernetes().is_some() {
        return println!("admission policies that mutate take 1.36");
    }
    admission_adds_the_tier(&cluster).await;
    let added = Situation {
        file: "cases/labels-added-at-admission",
        tier: "web",
        pods: "app=cart",
        zones: &[("a", 3), ("b", 3), ("c", 0)],
        moves: &["c", "c"],
        blocked: None,
    };
    added.is_right(&cluster, &kubeconfig).await;
}

/// Sizes that are on their way, that will never be, and that end with the pod.
#[tokio::test]
async fn resizes_of_a_dump_are_seen_rightly_on_a_control_plane() {
    let cluster = Cluster::start().await;
    let kubeconfig = install(&cluster).await;
    let even = &[("z-a", 2), ("z-b", 1), ("z-c", 0)];
    for (file, reason, fate) in [
        ("situations/resize-downsize-not-done", Reason::NoRoom, Fate::Pending),
        ("situations/resize-infeasible", Reason::WouldNotLand, Fate::LandsIn("z-a")),
        ("situations/resize-own-pods-shrunk", Reason::NoRoom, Fate::Pending),
    ] {
        let blocked = Some((reason, ""));
        let (tier, pods) = ("web", "app=rsz");
        let situation = Situation { file, tier, pods, zones: even, moves: &[], blocked };
        let dump = situation.is_right(&cluster, &kubeconfig).await;
        situation.shows_why(&cluster, &dump, "z-a", fate).await;
        dump.clear(&cluster).await;
    }
    assert_eq!(evictions(&cluster), 0);
}

/// New pods of the cart get the label of their tier, which no template has.
async fn admission_adds_the_tier(cluster: &Cluster) {
    cluster.namespace("shop").await;
    let (group, rules) = ("admissionregistration.k8s.io/v1", "resourceRules");
    let of_carts = "has(object.metadata.labels) && 'app' in object.metadata.labels \
                    && object.metadata.labels['app'] == 'cart'";
    let add = "[JSONPatch{op: 'add', path: '/metadata/labels/tier', value: 'web'}]";
    let pods = json!([{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"],
        "operations": ["CREATE"]}]);
    let policy = json!({
        "apiVersion": group, "kind": "MutatingAdmissionPolicy", "metadata": {"name": "tiers"},
        "spec": {
            "matchConstraints": {rules: pods}, "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConditions": [{"name": "carts", "expression": of_carts}],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": add}}],
        },
    });
    let binding = json!({"apiVersion": group, "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": "tiers"}, "spec": {"policyName": "tiers"}});
    for object in [policy, binding] {
        cluster.apply(object.to_string()).await;
    }
    let requests = Requests(cluster.client());
    let cart = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "try", "labels": {"app": "cart"}},
        "spec": {"containers": [{"name": "c", "image": "registry.invalid/cart:1"}]}});
    eventually(SOON, "new carts to get their tier", async || {
        let tried = requests.post("/api/v1/namespaces/shop/pods?dryRun=All", &cart).await;
        let labels = tried["metadata"]["labels"].clone();
        if labels["tier"] == "web" { Ok(()) } else { Err(labels.to_string()) }
    })
    .await;
}
