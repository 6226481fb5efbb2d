//! Steering: zones that the scheduler would not choose are filled, with the fewest evictions,
//! and what steers is seen to work and has an end.

use crate::harness::{
    Cluster, Operator, ScheduleAnyway, Workload, deployment, eventually, evictions, holds_for, pod,
};
use crate::policy::{self, SOON, phase, policy, until};
use k8s_openapi::api::core::v1::{Node, Pod, Toleration};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use zonespread::api::{MoveState, Phase, Reason, ZoneSpreadPolicyStatus};

/// A large tier is brought home in waves.
const LONG: Duration = Duration::from_mins(3);
/// How soon the operator sees that steering was installed, or taken away, and a while.
const NOTICED: Duration = Duration::from_secs(90);
const HOLD: &str = "  rebalance: {holdDown: 2s}\n";

/// `kubectl apply -k deploy/steering`.
async fn install_steering(cluster: &Cluster) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/steering");
    cluster.apply_kustomize(&directory).await;
}

/// Whether the cluster's API server serves what steering takes.
async fn has_steering(cluster: &Cluster) -> bool {
    let version = cluster.client().apiserver_version().await.unwrap();
    version.minor.trim_end_matches('+').parse::<u32>().unwrap() >= 36
}

async fn until_log(operator: &Operator, what: &str) {
    eventually(NOTICED, what, async || operator.log().contains(what).then_some(())).await;
}

async fn ready(cluster: &Cluster, namespace: &str, pods: usize) {
    policy::ready(cluster, namespace, &format!("part-of={namespace}"), pods).await;
}

/// What the scheduler avoids a zone for: cluster-autoscaler's taint of empty nodes.
async fn avoid(cluster: &Cluster, zone: &str) {
    let nodes: Api<Node> = Api::all(cluster.client());
    for node in cluster.zone_nodes(zone).await {
        let taint = json!({"spec": {"taints": [{"key": "DeletionCandidateOfClusterAutoscaler",
            "value": "1", "effect": "PreferNoSchedule"}]}});
        let patch = PatchParams::default();
        nodes.patch(&node.name_any(), &patch, &Patch::Merge(taint)).await.unwrap();
    }
}

/// Pods of the tier that were made to prefer a zone.
async fn steered(cluster: &Cluster, namespace: &str, selector: &str) -> Vec<(String, String)> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let pods = pods.list(&ListParams::default().labels(selector)).await.unwrap().items;
    let zone = |pod: &Pod| {
        let pod = serde_json::to_value(pod).unwrap();
        let terms = pod["spec"]["affinity"]["nodeAffinity"]
            ["preferredDuringSchedulingIgnoredDuringExecution"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let ours: Vec<Value> = terms
            .into_iter()
            .filter(|term| term["preference"].to_string().contains("zonespread.io/steered"))
            .collect();
        assert!(ours.len() <= 1, "{ours:?}");
        let term = ours.first()?;
        assert_eq!(term["weight"], 100);
        term["preference"]["matchExpressions"][0]["values"][0].as_str().map(str::to_owned)
    };
    pods.iter().filter_map(|pod| Some((pod.name_any(), zone(pod)?))).collect()
}

fn tiers_steered(status: &ZoneSpreadPolicyStatus) -> usize {
    status.steering.as_ref().map_or(0, |steering| steering.tiers.len())
}

async fn counts(cluster: &Cluster, namespace: &str, tier: &str) -> Vec<usize> {
    cluster.spread(namespace, &format!("app={tier}")).await.values().copied().collect()
}

#[tokio::test]
async fn a_zone_that_the_scheduler_avoids_is_filled_with_the_fewest_evictions() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.to_string()).await;
    ready(&cluster, "shop", 6).await;
    let operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    ready(&cluster, "shop", 6).await;
    phase(&cluster, "shop", "shop", Phase::Frozen).await;
    avoid(&cluster, "c").await;
    cluster.uncordon_zone("c").await;

    let blocked = phase(&cluster, "shop", "shop", Phase::Blocked).await;
    let why = blocked.tiers[0].blocked.as_ref().unwrap();
    assert_eq!(why.reason, Reason::WouldNotLand);
    assert!(why.message.ends_with("would decide it, or deploy/steering"), "{}", why.message);
    assert_eq!((evictions(&cluster), blocked.steering), (0, None));
    let said = || operator.log().matches("new pods are not steered").count();
    if !has_steering(&cluster).await {
        until_log(&operator, "Kubernetes 1.36 has").await;
        holds_for(NOTICED, "said once", 1, async || said()).await;
        return;
    }
    until_log(&operator, "deploy/steering has both").await;

    install_steering(&cluster).await;
    until_log(&operator, "new pods can be steered into a zone").await;
    let after = phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!(counts(&cluster, "shop", "web").await, [2, 2, 2]);
    assert_eq!((evictions(&cluster), said()), (2, 1));
    assert!(after.moves.iter().all(|moved| moved.state == MoveState::Landed), "{:?}", after.moves);
    let moved: Vec<(String, String)> = after
        .moves
        .iter()
        .map(|moved| (moved.replacement.clone().unwrap(), "c".to_owned()))
        .collect();
    let mut seen = steered(&cluster, "shop", "app=web").await;
    seen.sort();
    let mut expected = moved;
    expected.sort();
    assert_eq!(seen, expected);
    let rest = until(&cluster, "shop", "shop", "nothing to steer any more", |status| {
        tiers_steered(status) == 0
    })
    .await;
    assert!(rest.steering.unwrap().available);
    // A pod made from now on is like any other, and what steered pods prefer is no part of
    // what is expected of those that replace them.
    let (victim, _) = &seen[0];
    let told = predicted(&cluster, "shop", victim).await;
    assert_eq!((&told["steered"], &told["zones"]), (&Value::Null, &json!(["a", "b"])), "{told:#}");
}

/// What `zonespread predict` says.
async fn predicted(cluster: &Cluster, namespace: &str, pod: &str) -> Value {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_zonespread"))
        .args(["predict", pod, "-n", namespace, "-o", "json", "--kubeconfig"])
        .arg(cluster.admin_kubeconfig())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Three quarters of a zone's nodes, in pods that none of the policies select.
async fn load(cluster: &Cluster, zone: &str) {
    for node in cluster.zone_nodes(zone).await {
        let name = node.name_any();
        let filler = pod("load", &format!("load-{name}"))
            .pod_spec("nodeName", name.clone().into())
            .request("cpu", "3")
            .request("memory", "12Gi");
        cluster.apply(filler.to_string()).await;
    }
}

#[tokio::test]
async fn sixty_replicas_come_home_to_a_zone_that_is_three_quarters_full() {
    let cluster = Cluster::start().await;
    if !has_steering(&cluster).await {
        return;
    }
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 3).await;
    }
    for namespace in ["load", "shop"] {
        cluster.namespace(namespace).await;
    }
    load(&cluster, "c").await;
    let web = deployment("shop", "web", 60).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.cordon_zone("c").await;
    cluster.apply(web.to_string()).await;
    ready(&cluster, "shop", 60).await;
    assert_eq!(counts(&cluster, "shop", "web").await, [30, 30, 0]);
    install_steering(&cluster).await;
    let operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    phase(&cluster, "shop", "shop", Phase::Frozen).await;
    until_log(&operator, "new pods can be steered into a zone").await;
    cluster.uncordon_zone("c").await;

    let balanced = eventually(LONG, "sixty to be at home", async || {
        let status = policy::status(&cluster, "shop", "shop").await;
        if status.phase == Some(Phase::Balanced) { Ok(status) } else { Err(format!("{status:#?}")) }
    })
    .await;
    assert_eq!(counts(&cluster, "shop", "web").await, [20, 20, 20]);
    assert_eq!(evictions(&cluster), 20);
    let missed = |status: &ZoneSpreadPolicyStatus| status.tiers[0].misses;
    assert_eq!(missed(&balanced), 0);
    let count = steered(&cluster, "shop", "app=web").await.len();
    println!("{count} of 20 replacements had to be steered");
    assert!(count > 0, "else there was no need to steer");
}

/// What the status of a policy says, as if the operator had written it.
async fn steer(cluster: &Cluster, namespace: &str, name: &str, tier: &str, lasts: i64) {
    let until = Timestamp::now() + SignedDuration::from_secs(lasts);
    let until = until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let status = json!({"status": {"steering": {"available": true, "tiers": [
        {"name": tier, "zone": "c", "until": until}]}}});
    let patch = ["patch", "zsp", name, "-n", namespace, "--subresource=status", "--type=merge"];
    cluster.kubectl(&[&patch[..], &["-p", &status.to_string()]].concat()).await.unwrap();
}

/// The pods that would be made now, with what they prefer; as a dry run.
async fn made(cluster: &Cluster, namespace: &str, labels: &str, affinity: Value) -> Value {
    let mut object: Value =
        serde_json::from_str(&pod(namespace, "one").pod_spec("affinity", affinity).to_string())
            .unwrap();
    object["metadata"]["labels"] = serde_json::from_str(labels).unwrap();
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let params = kube::api::PostParams { dry_run: true, ..kube::api::PostParams::default() };
    let made = pods.create(&params, &serde_json::from_value(object).unwrap()).await.unwrap();
    let spec = made.spec.unwrap();
    let is_ours = |toleration: &Toleration| {
        toleration.key.as_deref() == Some("DeletionCandidateOfClusterAutoscaler")
            && toleration.operator.as_deref() == Some("Exists")
            && toleration.effect.as_deref() == Some("PreferNoSchedule")
    };
    let tolerates = spec.tolerations.iter().flatten().filter(|one| is_ours(one)).count();
    let affinity = serde_json::to_value(spec.affinity).unwrap();
    let is_steered = affinity.to_string().contains("zonespread.io/steered");
    // One that was steered before is left as it is.
    assert!(tolerates <= usize::from(is_steered), "{tolerates} of {affinity}");
    affinity
}

fn term() -> Value {
    json!({"weight": 100, "preference": {"matchExpressions": [
        {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["c"]},
        {"key": "zonespread.io/steered", "operator": "DoesNotExist"}]}})
}

#[tokio::test]
async fn new_pods_of_a_tier_are_steered_until_that_ends_and_no_others() {
    let cluster = Cluster::start().await;
    if !has_steering(&cluster).await {
        return;
    }
    let _ = crate::harness::install(&cluster).await;
    install_steering(&cluster).await;
    for namespace in ["shop", "bank"] {
        cluster.namespace(namespace).await;
    }
    // Two policies in a namespace, one with tiers, one with expressions.
    cluster.apply(policy("shop", "shop", "")).await;
    let other = "apiVersion: zonespread.io/v1alpha1\nkind: ZoneSpreadPolicy\n\
        metadata: {name: till, namespace: shop}\nspec:\n  selector: {matchExpressions: [\
        {key: app, operator: In, values: [till, desk]}, {key: part-of, operator: DoesNotExist}]}\n";
    cluster.apply(other).await;
    let pods =
        async |namespace: &str, labels: &str| made(&cluster, namespace, labels, Value::Null).await;
    let (web, was, till) = (
        r#"{"part-of": "shop", "app": "web"}"#,
        r#"{"part-of": "shop", "app": "was"}"#,
        r#"{"app": "till"}"#,
    );
    assert_eq!(pods("shop", web).await, Value::Null);
    steer(&cluster, "shop", "shop", "web", 60).await;
    steer(&cluster, "shop", "till", "till", 60).await;
    let preferred =
        json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term()]}});
    eventually(SOON, "the admission policy to know", async || {
        let seen = pods("shop", web).await;
        if seen == preferred { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    assert_eq!(pods("shop", till).await, preferred);
    assert_eq!(pods("shop", was).await, Value::Null, "another tier");
    assert_eq!(pods("shop", r#"{"app": "web"}"#).await, Value::Null, "not selected");
    assert_eq!(pods("shop", r#"{"app": "till", "part-of": "x"}"#).await, Value::Null);
    assert_eq!(pods("shop", "null").await, Value::Null, "without labels");
    assert_eq!(pods("bank", web).await, Value::Null, "another namespace");

    let own = json!({"weight": 7, "preference": {"matchExpressions": [
        {"key": "disk", "operator": "Exists"}]}});
    let required = json!({"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "disk", "operator": "Exists"}]}]});
    let near = json!({"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "disk", "labelSelector": {"matchLabels": {"app": "web"}}}]});
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let must = "requiredDuringSchedulingIgnoredDuringExecution";
    for (before, after) in [
        (json!({}), json!({"nodeAffinity": {preferred: [term()]}})),
        (json!({"nodeAffinity": {}}), json!({"nodeAffinity": {preferred: [term()]}})),
        (
            json!({"podAffinity": near}),
            json!({"podAffinity": near, "nodeAffinity": {preferred: [term()]}}),
        ),
        (
            json!({"nodeAffinity": {must: required}}),
            json!({"nodeAffinity": {must: required, preferred: [term()]}}),
        ),
        (
            json!({"nodeAffinity": {preferred: [own]}}),
            json!({"nodeAffinity": {preferred: [own, term()]}}),
        ),
        // As it would be when webhooks have changed something, and it is asked again.
        (
            json!({"nodeAffinity": {preferred: [term()]}}),
            json!({"nodeAffinity": {preferred: [term()]}}),
        ),
    ] {
        assert_eq!(made(&cluster, "shop", web, before.clone()).await, after, "{before}");
    }

    // Nobody is there to end it: it ends by itself.
    steer(&cluster, "shop", "shop", "web", 4).await;
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    assert_eq!(pods("shop", web).await, Value::Null);
    assert_ne!(pods("shop", till).await, Value::Null);
}

fn web() -> Workload {
    deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway)
}

/// Six pods of web in zones a and b, with zone c cordoned; steering, the operator and a policy.
async fn six_without_zone_c(cluster: &Cluster, web: Workload) -> Operator {
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    cluster.cordon_zone("c").await;
    cluster.apply(web.to_string()).await;
    ready(cluster, "shop", 6).await;
    install_steering(cluster).await;
    let operator = policy::operator(cluster).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    operator
}

#[tokio::test]
async fn a_killed_operator_ends_what_steered_when_it_is_back_and_takes_no_move_more() {
    let cluster = Cluster::start().await;
    if !has_steering(&cluster).await {
        return;
    }
    let web = web().start_delay("3s");
    let mut operator = six_without_zone_c(&cluster, web).await;
    until_log(&operator, "new pods can be steered into a zone").await;
    avoid(&cluster, "c").await;
    cluster.uncordon_zone("c").await;
    for kill in 0..2 {
        until(&cluster, "shop", "shop", "the tier to be steered", |status| {
            tiers_steered(status) > 0
        })
        .await;
        tokio::time::sleep(Duration::from_millis(2_500 * kill)).await;
        operator.kill().await;
        operator.start_again();
        operator.ready().await;
    }
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!(counts(&cluster, "shop", "web").await, [2, 2, 2]);
    assert_eq!(evictions(&cluster), 2);
    until(&cluster, "shop", "shop", "nothing to steer any more", |status| {
        tiers_steered(status) == 0
    })
    .await;
}

#[tokio::test]
async fn where_steering_is_taken_away_nothing_is_evicted_in_vain() {
    let cluster = Cluster::start().await;
    if !has_steering(&cluster).await {
        return;
    }
    let operator = six_without_zone_c(&cluster, web()).await;
    phase(&cluster, "shop", "shop", Phase::Frozen).await;
    until_log(&operator, "new pods can be steered into a zone").await;
    // Between two looks of the operator, somebody takes the binding away.
    let binding = ["delete", "mutatingadmissionpolicybinding", "zonespread-steering"];
    cluster.kubectl(&binding).await.unwrap();
    avoid(&cluster, "c").await;
    cluster.uncordon_zone("c").await;
    let seen = until(&cluster, "shop", "shop", "the dry run to be told", |status| {
        status.tiers.first().and_then(|tier| tier.blocked.as_ref()).is_some_and(|blocked| {
            blocked.message.contains("a dry run shows that new pods are not steered")
        })
    })
    .await;
    assert_eq!(seen.tiers[0].blocked.as_ref().unwrap().reason, Reason::StaleView);
    eventually(NOTICED, "nothing to be steered", async || {
        let status = policy::status(&cluster, "shop", "shop").await;
        let reason = status.tiers[0].blocked.as_ref().map(|blocked| blocked.reason);
        let is_told = status.steering.is_none() && reason == Some(Reason::WouldNotLand);
        if is_told { Ok(()) } else { Err(format!("{:?} {reason:?}", status.steering)) }
    })
    .await;
    assert_eq!(evictions(&cluster), 0);
}
