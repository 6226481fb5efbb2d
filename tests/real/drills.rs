//! Drills as people ask for them: the forecast, what speaks against it, and that nothing
//! is done.

use crate::harness::{
    Cluster, DoNotSchedule, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Operator, ScheduleAnyway, ZONE,
    deployment, eventually, evictions,
};
use crate::policy::{self, SOON, phase, policy, ready};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use std::process::Output;
use tokio::process::Command;
use zonespread::api::{DrillPhase, DrillReason, LossReason, Phase, ZoneDrill, ZoneDrillStatus};

fn drill(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: zonespread.io/v1alpha1\nkind: ZoneDrill\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

/// What the operator says of a drill.
async fn answer(cluster: &Cluster, name: &str) -> ZoneDrillStatus {
    let drills: Api<ZoneDrill> = Api::all(cluster.client());
    // Drills are watched soon after the API server knows them.
    eventually(SOON * 2, &format!("an answer to drill {name}"), async || {
        let status = drills.get(name).await.unwrap().status.unwrap_or_default();
        status.phase.is_some_and(DrillPhase::is_over).then_some(status)
    })
    .await
}

/// The command, as a user of the cluster runs it.
async fn command(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonespread"));
    command.arg("--kubeconfig").arg(cluster.admin_kubeconfig()).args(arguments);
    command.output().await.unwrap()
}

/// web spreads if it can, was must be spread, and redis is one pod.
#[tokio::test]
async fn the_forecast_of_a_drill_names_what_would_be_harmed_and_nothing_is_done() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    let was = deployment("shop", "was", 6).label("part-of", "shop").spread(DoNotSchedule);
    cluster.apply(web.to_string()).await;
    cluster.apply(was.to_string()).await;
    ready(&cluster, "shop", "app=web", 6).await;
    ready(&cluster, "shop", "app=was", 6).await;
    let mut operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", "")).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;

    cluster.apply(drill("strict", "{zone: c, dryRun: true}")).await;
    let status = answer(&cluster, "strict").await;
    assert_eq!(status.phase, Some(DrillPhase::Refused), "{status:#?}");
    assert_eq!(status.reason, Some(DrillReason::NotSafeToLose), "{status:#?}");
    assert!(status.message.contains("shop/shop was: WouldPend"), "{}", status.message);
    let forecast = status.forecast.unwrap();
    assert_eq!((forecast.pods, forecast.pending, forecast.total_tiers), (4, 2, 2));
    let told = |tier: &str| forecast.tiers.iter().find(|known| known.tier == tier).unwrap();
    assert_eq!((told("was").pending, told("was").reason), (2, Some(LossReason::WouldPend)));
    assert_eq!((told("web").pending, told("web").reason, told("web").surviving), (0, None, 4));

    // Accepted, nothing speaks against it; the command says the same, and other things are
    // in the way of another zone.
    cluster.apply(drill("accepted", "{zone: c, dryRun: true, acceptRisk: [was]}")).await;
    let accepted = answer(&cluster, "accepted").await;
    assert_eq!(accepted.phase, Some(DrillPhase::Forecast), "{accepted:#?}");
    let flags = ["drill", "c", "--dry-run", "--accept-risk", "was", "-o", "json"];
    let said = command(&cluster, &flags).await;
    assert!(said.status.success(), "{said:?}");
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["forecast"], serde_json::to_value(&accepted.forecast).unwrap());
    let said = command(&cluster, &["drill", "zone/c", "--dry-run"]).await;
    assert_eq!(said.status.code(), Some(3), "{said:?}");
    let table = String::from_utf8(said.stdout).unwrap();
    assert!(table.contains("- NotSafeToLose: tier shop/shop was"), "{table}");

    a_leader_that_is_killed_leaves_its_drills_to_the_next(&cluster, &mut operator).await;
    what_is_no_drill_is_refused(&cluster).await;

    // Without dryRun nothing is done either.
    cluster.apply(drill("real", "{zone: c, acceptRisk: [was]}")).await;
    let real = answer(&cluster, "real").await;
    assert_eq!(real.reason, Some(DrillReason::CannotClose), "{real:#?}");
    let row = cluster.kubectl(&["get", "zsd", "real", "--no-headers"]).await.unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..6], ["real", "c", "Refused", "4", "2", "CannotClose"], "{row}");
    assert_eq!(evictions(&cluster), 0);
    let requests = cluster.requests_by_service_account(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT);
    let touched = requests.iter().find(|request| {
        request.resource == "nodes" && !["get", "list", "watch"].contains(&request.verb.as_str())
    });
    assert!(touched.is_none(), "{touched:?}");
}

async fn a_leader_that_is_killed_leaves_its_drills_to_the_next(
    cluster: &Cluster,
    operator: &mut Operator,
) {
    operator.kill().await;
    cluster.apply(drill("meanwhile", "{zone: a, dryRun: true}")).await;
    operator.start_again();
    operator.ready().await;
    let status = answer(cluster, "meanwhile").await;
    assert_eq!(status.reason, Some(DrillReason::NotSafeToLose), "{status:#?}");
}

async fn what_is_no_drill_is_refused(cluster: &Cluster) {
    for (spec, says) in [
        ("{dryRun: true}", "spec.zone"),
        ("{zone: ''}", "spec.zone"),
        ("{zone: c, dryrun: true}", "unknown field"),
        ("{zone: c, acceptRisk: ['']}", "spec.acceptRisk[0]"),
        ("{zone: c, policies: {matchLabels: {app: 1}}}", "spec.policies.matchLabels.app"),
    ] {
        let refused = cluster.try_apply(&drill("wrong", spec)).await.unwrap_err();
        assert!(refused.contains(says), "{spec}: {refused}");
    }
    let changed = cluster.try_apply(&drill("strict", "{zone: b, dryRun: true}")).await;
    let refused = changed.unwrap_err();
    assert!(refused.contains("delete it and create another"), "{refused}");
    cluster.apply(drill("typo", "{zone: d, dryRun: true}")).await;
    let typo = answer(cluster, "typo").await;
    assert_eq!(typo.reason, Some(DrillReason::UnknownZone), "{typo:#?}");
    assert_eq!(typo.forecast, None);
}

/// A pod like those of `was`, which must be spread over the zones, kept out of zone c.
fn kept_out(name: &str, more: &Value) -> String {
    let mut constraint = json!({
        "topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "was"}},
    });
    constraint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let elsewhere = json!([{"key": ZONE, "operator": "NotIn", "values": ["c"]}]);
    let terms = json!({"nodeSelectorTerms": [{"matchExpressions": elsewhere}]});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": "was"}},
        "spec": {
            "containers": [{"name": "main", "image": "registry.example/app:1"}],
            "affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": terms,
            }},
            "topologySpreadConstraints": [constraint],
        },
    })
    .to_string()
}

async fn waits(cluster: &Cluster, pod: &str) -> bool {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "shop");
    let what = format!("a word about pod {pod}");
    let scheduled = eventually(SOON, &what, async || {
        let status = pods.get(pod).await.unwrap().status?;
        let mut conditions = status.conditions?.into_iter();
        conditions.find(|condition| condition.type_ == "PodScheduled")
    });
    scheduled.await.status == "False"
}

/// With a taint alone, a closed zone is an empty domain, as in an outage. Whoever keeps new
/// pods out of it by a required affinity, so that no autoscaler makes a node there, makes it
/// no domain at all, and the trap that an outage would spring is not seen.
#[tokio::test]
async fn what_keeps_new_pods_out_of_a_zone_hides_that_they_would_wait() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let was = deployment("shop", "was", 6).spread(DoNotSchedule);
    cluster.apply(was.to_string()).await;
    ready(&cluster, "shop", "app=was", 6).await;
    for node in ["c1", "c2"] {
        let taint = ["taint", "node", node, "zonespread.io/drill=friday:NoSchedule"];
        cluster.kubectl(&taint).await.unwrap();
    }
    cluster.evacuate_zone("c").await;
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "shop");
    eventually(SOON, "two pods that wait", async || {
        let all = pods.list(&ListParams::default()).await.unwrap().items;
        let without = |pod: &&Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none());
        let waiting = all.iter().filter(without).count();
        if waiting == 2 { Ok(()) } else { Err(format!("{waiting} of {}", all.len())) }
    })
    .await;
    cluster.apply(kept_out("still-a-domain", &json!({"nodeAffinityPolicy": "Ignore"}))).await;
    assert!(waits(&cluster, "still-a-domain").await);
    cluster.apply(kept_out("no-domain", &json!({}))).await;
    assert!(!waits(&cluster, "no-domain").await);
}
