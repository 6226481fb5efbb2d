//! Zone objects, and zones that people hold.

use crate::harness::{
    Cluster, Operator, ScheduleAnyway, deployment, eventually, evictions, holds_for,
};
use crate::policy::{
    self, SOON, blocked, phase, policy, read, ready, until, zone, zone_object, zone_until,
};
use kube::ResourceExt;
use std::process::Output;
use std::time::Duration;
use tokio::process::Command;
use zonespread::api::{Phase, Reason, ZoneState};

const HOLD: &str = "  rebalance: {holdDown: 24s}\n";

/// The command, as a user of the cluster runs it.
async fn zonespread(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonespread"));
    command.arg("--kubeconfig").arg(cluster.admin_kubeconfig()).args(arguments);
    command.output().await.unwrap()
}

async fn says(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = zonespread(cluster, arguments).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// 2/2/2 in three zones, and a policy that holds for 24 s.
async fn a_shop(cluster: &Cluster) -> Operator {
    for name in ["a", "b", "c"] {
        cluster.add_zone(name, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.to_string()).await;
    ready(cluster, "shop", "app=web", 6).await;
    let operator = policy::operator(cluster).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    phase(cluster, "shop", "shop", Phase::Balanced).await;
    operator
}

async fn lose(cluster: &Cluster) {
    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    ready(cluster, "shop", "app=web", 6).await;
    phase(cluster, "shop", "shop", Phase::Frozen).await;
}

#[tokio::test]
async fn a_hold_survives_the_end_of_all_policies_and_of_the_operator() {
    let cluster = Cluster::start().await;
    let mut operator = a_shop(&cluster).await;
    lose(&cluster).await;
    cluster.uncordon_zone("c").await;
    let recovers = |zone: &zonespread::api::ZoneStatus| zone.state == Some(ZoneState::Recovering);
    let told = zone_until(&cluster, "c", "zone c to recover", recovers).await;
    let back = told.recovered_at.clone().unwrap().0;
    cluster.kubectl(&["delete", "zsp", "--all", "-n", "shop"]).await.unwrap();
    operator.kill().await;
    operator.start_again();
    operator.ready().await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    let holding = phase(&cluster, "shop", "shop", Phase::Holding).await;
    let until = zone(&holding, "c").hold_until.as_ref().unwrap().0;
    assert_eq!(until.duration_since(back).as_secs(), 24, "from the return on");
    assert_eq!(evictions(&cluster), 0);
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!(evictions(&cluster), 2);
    let zone = zone_object(&cluster, "c").await;
    assert_eq!((zone.outages, zone.proven), (1, true));
}

#[tokio::test]
async fn a_zone_that_is_held_by_hand_gets_no_pods_until_it_is_released() {
    let cluster = Cluster::start().await;
    let mut operator = a_shop(&cluster).await;
    let said = says(&cluster, &["hold", "c", "--for", "2h", "--reason", "packets get lost"]).await;
    assert!(said.contains("`zonespread release c` ends the hold"), "{said}");
    let held = |zone: &zonespread::api::ZoneStatus| zone.state == Some(ZoneState::Held);
    zone_until(&cluster, "c", "zone c to be held", held).await;
    lose(&cluster).await;
    cluster.uncordon_zone("c").await;
    let why = blocked(&cluster, "shop", "shop", "web", Reason::ZoneHeld).await;
    assert!(why.contains("packets get lost") && why.contains("zonespread release c"), "{why}");
    let longer = Duration::from_secs(29);
    holds_for(longer, "no eviction, the hold-down is over", 0, async || evictions(&cluster)).await;
    operator.kill().await;
    operator.start_again();
    operator.ready().await;
    let status = phase(&cluster, "shop", "shop", Phase::Holding).await;
    assert_eq!(zone(&status, "c").state, ZoneState::Held, "{}", status.message);
    let labels = [("zone", "c"), ("state", "Held")];
    let told = eventually(SOON, "the metric", async || {
        operator.metric("zonespread_zone_state", &labels).await.filter(|value| *value > 0.0)
    });
    told.await;
    let table =
        cluster.kubectl(&["get", "zones.zonespread.io", "c", "--no-headers"]).await.unwrap();
    let words: Vec<&str> = table.split_whitespace().collect();
    assert_eq!(
        (words[..3].join(" "), words[4..].join(" ")),
        ("c Held 2/2".into(), "1 true HeldByHand".into())
    );
    // Nothing that is offline knows better.
    let kinds = "nodes,pods,namespaces,deployments,replicasets,zsp,zones.zonespread.io";
    let dump = cluster.kubectl(&["get", kinds, "-A", "-o", "yaml"]).await.unwrap();
    let file = cluster.directory().join("dump.yaml");
    std::fs::write(&file, dump).unwrap();
    let plan = zonespread(&cluster, &["plan", "-f", file.to_str().unwrap()]).await;
    let told = String::from_utf8(plan.stdout).unwrap();
    assert!(plan.status.code() == Some(3) && told.contains("ZoneHeld"), "{told}");
    assert_eq!(evictions(&cluster), 0);

    let said = says(&cluster, &["release", "zone/c"]).await;
    assert_eq!(said, "zone c is not held by hand any more\n");
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!(evictions(&cluster), 2);
    assert_eq!(zone_object(&cluster, "c").await.outages, 1, "a hold is no outage");
}

#[tokio::test]
async fn zones_are_written_again_and_a_node_more_writes_no_policy() {
    let cluster = Cluster::start().await;
    let _operator = a_shop(&cluster).await;
    let ready = |zone: &zonespread::api::ZoneStatus| zone.state == Some(ZoneState::Ready);
    zone_until(&cluster, "c", "the Zone", ready).await;
    cluster.kubectl(&["delete", "zones.zonespread.io", "c"]).await.unwrap();
    zone_until(&cluster, "c", "the Zone to be made again", ready).await;

    // The outlook comes later than the rest of the status.
    until(&cluster, "shop", "shop", "the outlook", |status| {
        let mut conditions = status.conditions.iter();
        conditions.any(|condition| condition.type_ == "SafeToLoseZone")
    })
    .await;
    let before = read(&cluster, "shop", "shop").await.resource_version();
    cluster.node("c9").zone("c").create().await;
    zone_until(&cluster, "c", "the third node", |zone| zone.usable == "3/3").await;
    assert_eq!(read(&cluster, "shop", "shop").await.resource_version(), before);

    // What is no zone is refused, or told to be none.
    let bad = "apiVersion: zonespread.io/v1alpha1\nkind: Zone\nmetadata: {name: x--Z}\nspec: {}";
    assert!(cluster.try_apply(bad).await.is_err());
    let bad = "apiVersion: zonespread.io/v1alpha1\nkind: Zone\nmetadata: {name: x--.z}\nspec: {}";
    let refused = cluster.try_apply(bad).await.unwrap_err();
    assert!(refused.contains("metadata.name is the name of the zone"), "{refused}");
    let said = zonespread(&cluster, &["hold", "Zone_X", "--for", "1h", "--reason", "a typo"]).await;
    let noted = String::from_utf8(said.stderr).unwrap();
    assert!(noted.contains("has seen no node in zone Zone_X"), "{noted}");
    let unknown = |zone: &zonespread::api::ZoneStatus| zone.message.starts_with("no node has");
    let told = zone_until(&cluster, "x---5aone-5f-58", "an answer", unknown).await;
    assert_eq!(told.zone, "Zone_X");
}
