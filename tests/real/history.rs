//! What is kept of a recovery, whoever led in it and whatever was written since.

use crate::harness::{Cluster, ScheduleAnyway, deployment, eventually, evictions};
use crate::policy::{self, SOON, another, becomes_leader, phase, policy, ready, zone};
use serde_json::Value;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use zonespread::api::{Phase, RecoveryOutcome};

/// The command, as a user of the cluster runs it, or without a cluster.
async fn history(kubeconfig: Option<&std::path::Path>, arguments: &str, stdin: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonespread"));
    command.arg("history").args(arguments.split(' ')).env("HOME", "/nonexistent");
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The operator is killed in the hold, among moves and after the end; of all that there is one
/// entry.
#[tokio::test]
async fn an_outage_and_its_recovery_are_one_entry_whoever_led() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.start_delay("3s").to_string()).await;
    ready(&cluster, "shop", "app=web", 6).await;
    let mut first = policy::operator(&cluster).await;
    becomes_leader(&first, "the first to lead").await;
    // One at a time, so that there is a move left for whoever takes over.
    let slowly = "  rebalance: {holdDown: 20s, maxUnavailable: 1}\n";
    cluster.apply(policy("shop", "shop", slowly)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;

    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    ready(&cluster, "shop", "app=web", 6).await;
    let frozen = phase(&cluster, "shop", "shop", Phase::Frozen).await;
    let lost_at = zone(&frozen, "c").since.clone().unwrap();
    cluster.uncordon_zone("c").await;
    let holding = phase(&cluster, "shop", "shop", Phase::Holding).await;
    let back_at = zone(&holding, "c").since.clone().unwrap();
    let admin = cluster.admin_kubeconfig();
    let told = history(Some(admin), "shop -n shop", "").await;
    assert!(told.contains("UnderWay") && told.lines().count() == 2, "{told}");

    first.kill().await;
    let mut second = another(&cluster).await;
    eventually(SOON * 2, "the first eviction", async || (evictions(&cluster) > 0).then_some(()))
        .await;
    second.kill().await;
    assert_eq!(evictions(&cluster), 1, "one is left for the next leader");
    let mut third = another(&cluster).await;
    let after = policy::until(&cluster, "shop", "shop", "the end of the recovery", |status| {
        status.phase == Some(Phase::Balanced)
    })
    .await;
    let [past] = &after.history[..] else { panic!("{:#?}", after.history) };
    assert_eq!((past.zone.as_deref(), past.outcome), (Some("c"), RecoveryOutcome::Balanced));
    assert_eq!((past.lost_at.as_ref(), &past.started_at), (Some(&lost_at), &back_at));
    let held = past.held_until.as_ref().unwrap().0.duration_since(back_at.0);
    assert_eq!(held.as_secs(), 20, "{past:?}");
    assert_eq!(Some(&past.ended_at), after.recovery.as_ref().unwrap().balanced_at.as_ref());
    assert_eq!((past.moves, past.misses, evictions(&cluster)), (2, 0, 2));
    let lowest = past.lowest.as_ref().unwrap();
    assert_eq!((lowest.tier.as_str(), lowest.available, lowest.replicas), ("web", 5, 6));

    // Whoever comes next writes another status, and the entry stays in it.
    third.kill().await;
    let _fourth = another(&cluster).await;
    cluster.cordon_zone("b").await;
    let frozen = policy::until(&cluster, "shop", "shop", "the next outage", |status| {
        status.phase == Some(Phase::Frozen)
    })
    .await;
    assert_eq!(frozen.history, after.history);

    let live = history(Some(admin), "-A -o json", "").await;
    let answer: Value = serde_json::from_str(&live).unwrap();
    let told = &answer["recoveries"][0];
    assert_eq!(answer["recoveries"].as_array().unwrap().len(), 1, "{answer:#}");
    assert_eq!((&told["policy"], &told["zone"]), (&"shop".into(), &"c".into()));
    assert_eq!((&told["moves"], &told["outcome"]), (&2.into(), &"Balanced".into()));
    let dump = cluster.kubectl(&["get", "zsp", "-A", "-o", "json"]).await.unwrap();
    assert_eq!(history(None, "-A -o json -f -", &dump).await, live, "a dump says the same");
}
