//! Drills that close their zone: what comes up elsewhere, what is seen of it, and that nothing
//! is left behind, whatever is killed, deleted or paused on the way.

use crate::harness::{
    Cluster, DoNotSchedule, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Operator, ScheduleAnyway,
    deployment, eventually, evictions, holds_for, install,
};
use crate::policy::{self, SOON, phase, policy, ready, zone_object};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use tokio::process::Command;
use zonespread::api::{
    DRILL, DrillPhase, DrillReason, DrillZone, Phase, ZoneDrill, ZoneDrillStatus, ZoneState,
};

const HOLD: &str = "  rebalance: {holdDown: 2s}\n";
/// A drill, its recovery, and a while.
const LONG: Duration = Duration::from_mins(2);

/// As `kubectl apply -k deploy/drill` does, without the Deployment.
async fn install_drill(cluster: &Cluster) -> PathBuf {
    let kubeconfig = install(cluster).await;
    for file in ["rbac.yaml", "fence.yaml", "policy.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/drill").join(file);
        cluster.kubectl(&["apply", "-f", &path.display().to_string()]).await.unwrap();
    }
    kubeconfig
}

/// Whether the cluster's API server serves what drills take.
async fn can_drill(cluster: &Cluster) -> bool {
    let version = cluster.client().apiserver_version().await.unwrap();
    version.minor.trim_end_matches('+').parse::<u32>().unwrap() >= 36
}

fn drill(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: zonespread.io/v1alpha1\nkind: ZoneDrill\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

async fn status(cluster: &Cluster, name: &str) -> ZoneDrillStatus {
    let drills: Api<ZoneDrill> = Api::all(cluster.client());
    let drill = drills.get_opt(name).await.unwrap();
    drill.and_then(|drill| drill.status).unwrap_or_default()
}

async fn until_phase(cluster: &Cluster, name: &str, phases: &[DrillPhase]) -> ZoneDrillStatus {
    eventually(LONG, &format!("drill {name} to be {phases:?}"), async || {
        let status = status(cluster, name).await;
        let is_there = status.phase.is_some_and(|phase| phases.contains(&phase));
        if is_there { Ok(status) } else { Err(format!("{status:#?}")) }
    })
    .await
}

/// Nodes with a taint or a mark of a drill.
async fn closed_nodes(cluster: &Cluster) -> Vec<String> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let nodes = nodes.list(&ListParams::default()).await.unwrap().items;
    let is_closed = |node: &Node| {
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
        let tainted = taints.into_iter().flatten().any(|taint| taint.key == DRILL);
        tainted || node.annotations().contains_key(DRILL)
    };
    nodes.iter().filter(|node| is_closed(node)).map(ResourceExt::name_any).collect()
}

async fn until_open(cluster: &Cluster) {
    eventually(LONG, "no node to be closed", async || {
        let closed = closed_nodes(cluster).await;
        if closed.is_empty() { Ok(()) } else { Err(format!("{closed:?}")) }
    })
    .await;
}

fn pods(zones: &[DrillZone]) -> Vec<usize> {
    zones.iter().map(|zone| usize::try_from(zone.pods).unwrap()).collect()
}

async fn counted(cluster: &Cluster) -> Vec<usize> {
    cluster.spread("shop", "app=web").await.values().copied().collect()
}

/// Six pods of web in three zones of two nodes, a policy, and an operator that may drill.
async fn a_shop(cluster: &Cluster) -> Operator {
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.to_string()).await;
    ready(cluster, "shop", "app=web", 6).await;
    let kubeconfig = install_drill(cluster).await;
    let operator = policy::replica(cluster, &kubeconfig, &[]).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    phase(cluster, "shop", "shop", Phase::Balanced).await;
    operator
}

#[tokio::test]
async fn a_tier_of_six_is_drilled_and_comes_home_and_the_report_is_true() {
    let cluster = Cluster::start().await;
    if !can_drill(&cluster).await {
        return;
    }
    let _operator = a_shop(&cluster).await;
    cluster.apply(drill("friday", "{zone: c, maxDuration: 2m, observeFor: 5s}")).await;
    let closed = until_phase(&cluster, "friday", &[DrillPhase::Closed]).await;
    assert_eq!(closed_nodes(&cluster).await, ["c1", "c2"], "{closed:#?}");
    eventually(SOON, "six pods elsewhere", async || {
        let seen = counted(&cluster).await;
        let up = cluster.ready_pods("shop", "app=web").await;
        let is_so = seen.iter().sum::<usize>() == 6 && seen.last() == Some(&0) || seen == [3, 3];
        if is_so && up == 6 { Ok(()) } else { Err(format!("{seen:?}, {up} up")) }
    })
    .await;
    let all: Api<Pod> = Api::namespaced(cluster.client(), "shop");
    let fresh = all.list(&ListParams::default()).await.unwrap().items;
    let kept_out = fresh
        .iter()
        .filter(|pod| serde_json::to_string(&pod.spec).unwrap().contains("zonespread.io/drilled"));
    assert_eq!(kept_out.count(), 2, "the new pods were kept out by admission as well");
    let over = until_phase(
        &cluster,
        "friday",
        &[DrillPhase::Succeeded, DrillPhase::Aborted, DrillPhase::Failed],
    )
    .await;
    assert_eq!(over.phase, Some(DrillPhase::Succeeded), "{over:#?}");
    assert_eq!(closed_nodes(&cluster).await, Vec::<String>::new());

    let result = over.result.unwrap();
    assert_eq!(result.forecast_met, Some(true), "{result:#?}");
    let tier = &result.tiers[0];
    assert_eq!((pods(&tier.before), pods(&tier.after)), (vec![2, 2, 2], vec![2, 2, 2]));
    assert_eq!(pods(&tier.during), [3, 3, 0]);
    assert_eq!(counted(&cluster).await, [2, 2, 2]);
    // Two out, two home: as the audit log has it.
    assert_eq!((tier.evictions, evictions(&cluster)), (2, 4));
    assert!(tier.lowest_available >= 4, "{tier:?}");
    let zone = zone_object(&cluster, "c").await;
    assert_eq!((zone.outages, zone.last_outage), (0, None));
}

#[tokio::test]
async fn without_the_right_or_the_fence_no_zone_is_closed() {
    let cluster = Cluster::start().await;
    if !can_drill(&cluster).await {
        return;
    }
    for zone in ["a", "b"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 4).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.to_string()).await;
    ready(&cluster, "shop", "app=web", 4).await;
    let _operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    let file = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/drill").join(name);
        path.display().to_string()
    };
    for (name, apply, says) in [
        ("no-right", None, "no right to close zones"),
        ("no-fence", Some("rbac.yaml"), "zonespread-drill or its binding is missing"),
        ("no-admission", Some("fence.yaml"), "keeps new pods out"),
    ] {
        if let Some(apply) = apply {
            cluster.kubectl(&["apply", "-f", &file(apply)]).await.unwrap();
        }
        cluster.apply(drill(name, "{zone: b}")).await;
        let refused = until_phase(&cluster, name, &[DrillPhase::Refused]).await;
        assert_eq!(refused.reason, Some(DrillReason::CannotClose), "{refused:#?}");
        assert!(refused.message.contains(says), "{name}: {}", refused.message);
    }
    assert_eq!((closed_nodes(&cluster).await.len(), evictions(&cluster)), (0, 0));
}

#[tokio::test]
async fn a_drill_that_is_deleted_opens_its_zone_and_a_cordon_is_left_as_it_is() {
    let cluster = Cluster::start().await;
    if !can_drill(&cluster).await {
        return;
    }
    let mut operator = a_shop(&cluster).await;
    // Somebody has cordoned a node before.
    cluster.kubectl(&["cordon", "c1"]).await.unwrap();
    cluster.apply(drill("friday", "{zone: c, maxDuration: 2m, observeFor: 1m}")).await;
    eventually(SOON, "a closed node", async || {
        let closed = closed_nodes(&cluster).await;
        if closed.is_empty() {
            Err(format!("{:#?}", status(&cluster, "friday").await))
        } else {
            Ok(())
        }
    })
    .await;
    cluster.kubectl(&["delete", "zonedrill", "friday"]).await.unwrap();
    until_open(&cluster).await;
    let nodes: Api<Node> = Api::all(cluster.client());
    let is_cordoned = async |node: &str| nodes.get(node).await.unwrap().spec.unwrap().unschedulable;
    assert_eq!((is_cordoned("c1").await, is_cordoned("c2").await), (Some(true), None));
    cluster.kubectl(&["uncordon", "c1"]).await.unwrap();
    home_and_ready(&cluster).await;

    // Killed while the zone is closed, and back after the deadline.
    cluster.apply(drill("killed", "{zone: c, maxDuration: 20s, observeFor: 1m}")).await;
    until_phase(&cluster, "killed", &[DrillPhase::Closed]).await;
    operator.kill().await;
    holds_for(Duration::from_secs(3), "closed nodes", 2, async || {
        closed_nodes(&cluster).await.len()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    operator.start_again();
    operator.ready().await;
    until_open(&cluster).await;
    let over = until_phase(&cluster, "killed", &[DrillPhase::Aborted]).await;
    assert_eq!(over.reason, Some(DrillReason::DeadlinePassed), "{over:#?}");
    assert_eq!(counted(&cluster).await, [2, 2, 2]);
}

/// All pods are home, and zone c is held no more.
async fn home_and_ready(cluster: &Cluster) {
    phase(cluster, "shop", "shop", Phase::Balanced).await;
    eventually(LONG, "zone c to be Ready", async || {
        let zone = zone_object(cluster, "c").await;
        if zone.state == Some(ZoneState::Ready) { Ok(()) } else { Err(format!("{zone:?}")) }
    })
    .await;
    ready(cluster, "shop", "app=web", 6).await;
}

/// web must be spread: without zone c two pods wait. They are made anew when it is open.
#[tokio::test]
async fn pods_that_wait_end_the_drill_and_everything_comes_back() {
    let cluster = Cluster::start().await;
    if !can_drill(&cluster).await {
        return;
    }
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(DoNotSchedule);
    cluster.apply(web.to_string()).await;
    ready(&cluster, "shop", "app=web", 6).await;
    let kubeconfig = install_drill(&cluster).await;
    let _operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    let spec =
        "{zone: c, acceptRisk: [web], maxDuration: 3m, observeFor: 1m, abortOn: {pendingFor: 8s}}";
    cluster.apply(drill("friday", spec)).await;
    let over = until_phase(&cluster, "friday", &[DrillPhase::Aborted, DrillPhase::Succeeded]).await;
    assert_eq!(over.reason, Some(DrillReason::PodsPending), "{over:#?}");
    assert_eq!(over.result.unwrap().tiers[0].most_pending, 2);
    until_open(&cluster).await;
    ready(&cluster, "shop", "app=web", 6).await;
    assert_eq!(counted(&cluster).await, [2, 2, 2]);
}

/// Patches of a node that the fence must refuse.
fn forbidden() -> Vec<(&'static str, Value)> {
    let taint = |key: &str, effect: &str| json!({"key": key, "value": "x", "effect": effect});
    let mark = json!({"annotations": {DRILL: "{}"}});
    let mut patches = vec![
        ("cordon", json!({"spec": {"unschedulable": true}})),
        ("another taint", json!({"spec": {"taints": [taint("evil/x", "NoSchedule")]}})),
        ("NoExecute", json!({"metadata": mark, "spec": {"taints": [taint(DRILL, "NoExecute")]}})),
        (
            "Prefer",
            json!({"metadata": mark, "spec": {"taints": [taint(DRILL, "PreferNoSchedule")]}}),
        ),
        ("without a mark", json!({"spec": {"taints": [taint(DRILL, "NoSchedule")]}})),
        ("provider", json!({"spec": {"providerID": "evil://x"}})),
        ("a finalizer", json!({"metadata": {"finalizers": ["evil/x"]}})),
        (
            "an owner",
            json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap",
                "name": "x", "uid": "x"}]}}),
        ),
        ("no zone", json!({"metadata": {"labels": {"topology.kubernetes.io/zone": null}}})),
    ];
    let keys = [
        "zonespread.io/drilled",
        "zonespread.io/paused",
        "zonespread.io/move",
        "node.kubernetes.io/exclude-from-external-load-balancers",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node-role.kubernetes.io/control-plane",
        "karpenter.sh/nodepool",
        "karpenter.sh/do-not-disrupt",
        "cluster-autoscaler.kubernetes.io/scale-down-disabled",
        "evil/x",
    ];
    patches.extend(keys.map(|key| (key, json!({"metadata": {"labels": {key: "evil"}}}))));
    patches.extend(keys.map(|key| (key, json!({"metadata": {"annotations": {key: "evil"}}}))));
    patches
}

#[tokio::test]
async fn the_fence_lets_the_operator_close_a_node_and_do_nothing_else() {
    let cluster = Cluster::start().await;
    cluster.add_zone("a", 1).await;
    install_drill_fence(&cluster).await;
    let client = cluster.client_for(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT).await;
    let nodes: Api<Node> = Api::all(client);
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let patch = async |change: &Value| nodes.patch("a1", &params, &Patch::Merge(change)).await;
    let forbidden = forbidden();
    eventually(SOON, "the fence", async || match patch(&forbidden[0].1).await {
        Err(error) if error.to_string().contains("'zonespread-drill'") => Ok(()),
        other => Err(format!("{:?}", other.map(|node| node.name_any()))),
    })
    .await;
    assert!(forbidden.len() >= 35);
    for (what, change) in &forbidden {
        let answer = patch(change).await;
        assert!(answer.is_err(), "{what} is let through: {change}");
    }
    assert!(nodes.delete("a1", &DeleteParams::default()).await.is_err());
    let another: Node = serde_json::from_value(json!({"metadata": {"name": "evil"}})).unwrap();
    assert!(nodes.create(&PostParams::default(), &another).await.is_err());
    let close = json!({
        "metadata": {"annotations": {DRILL: "{}"}},
        "spec": {"taints": [{"key": DRILL, "value": "friday", "effect": "NoSchedule"}]},
    });
    patch(&close).await.unwrap();
}

async fn install_drill_fence(cluster: &Cluster) {
    install(cluster).await;
    for file in ["rbac.yaml", "fence.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/drill").join(file);
        cluster.kubectl(&["apply", "-f", &path.display().to_string()]).await.unwrap();
    }
}

async fn command(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonespread"));
    command.arg("--kubeconfig").arg(cluster.admin_kubeconfig()).args(arguments);
    command.output().await.unwrap()
}

/// From the terminal: a whole drill, one that is ended early, and one whose operator is gone.
#[tokio::test]
async fn people_drill_from_a_terminal_and_end_it_with_and_without_an_operator() {
    let cluster = Cluster::start().await;
    if !can_drill(&cluster).await {
        return;
    }
    let mut operator = a_shop(&cluster).await;
    let flags = ["drill", "c", "--yes", "--name", "whole", "--observe-for", "2s", "-o", "json"];
    let ran = command(&cluster, &flags).await;
    assert!(ran.status.success(), "{ran:?}");
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!((&told["phase"], &told["result"]["evictions"]), (&json!("Succeeded"), &json!(2)));
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(said.contains("zone c is closed") && said.contains("zone c is open"), "{said}");
    home_and_ready(&cluster).await;

    cluster.apply(drill("early", "{zone: c, observeFor: 5m}")).await;
    until_phase(&cluster, "early", &[DrillPhase::Closed]).await;
    let ran = command(&cluster, &["drill", "abort", "early"]).await;
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(closed_nodes(&cluster).await, Vec::<String>::new());
    let over = until_phase(&cluster, "early", &[DrillPhase::Aborted]).await;
    assert_eq!(over.reason, Some(DrillReason::Stopped), "{over:#?}");
    home_and_ready(&cluster).await;

    cluster.apply(drill("alone", "{zone: c, observeFor: 5m}")).await;
    until_phase(&cluster, "alone", &[DrillPhase::Closed]).await;
    operator.kill().await;
    let ran = command(&cluster, &["drill", "abort", "alone", "--force"]).await;
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), "2 nodes opened\n");
    assert_eq!(closed_nodes(&cluster).await, Vec::<String>::new());
}
