//! What cannot be reached is not tried: the operator stops exactly where the
//! scheduler would no longer follow, and says what decides.

use crate::harness::{
    Cluster, ScheduleAnyway, Spread, Workload, deployment, eventually, evictions, holds_for,
};
use crate::policy::{self, policy, tier};
use serde_json::json;
use std::time::Duration;
use zonespread::api::{MoveState, Phase, Reason, ZoneSpreadPolicyStatus};

/// Each story has nodes of its own, so that they do not disturb each other.
const POOLS: [&str; 4] = ["big", "tainted", "small", "volume"];

async fn nodes(cluster: &Cluster) {
    for zone in ["a", "b", "c"] {
        for pool in POOLS {
            let name = format!("{zone}-{pool}");
            let node = cluster.node(&name).zone(zone).label("pool", pool);
            match (pool, zone) {
                ("big", _) => node.cpu("64").memory("256Gi"),
                ("tainted", "c") => node.taint("maintenance", "", "PreferNoSchedule"),
                ("small", "c") => node.cpu("150m"),
                _ => node,
            }
            .create()
            .await;
        }
    }
    cluster.wait_for_nodes().await;
}

fn in_pool(pool: &str, replicas: u32) -> Workload {
    deployment(pool, "web", replicas)
        .label("part-of", "shop")
        .pod_spec("nodeSelector", json!({"pool": pool}))
}

async fn ready(cluster: &Cluster, namespace: &str, selector: &str, expected: u32) {
    let what = format!("{expected} ready pods in {namespace}");
    eventually(Duration::from_mins(1), &what, async || {
        let seen = cluster.ready_pods(namespace, selector).await;
        if seen == expected as usize { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
}

fn volume() -> String {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": "volume", "name": "data"},
        "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": "disk-in-a",
                 "resources": {"requests": {"storage": "1Gi"}}},
    });
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": "disk-in-a"},
        "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "", "capacity": {"storage": "1Gi"},
                 "csi": {"driver": "disk.invalid", "volumeHandle": "1"},
                 "claimRef": {"namespace": "volume", "name": "data"},
                 "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                     {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]}]}}},
    });
    format!("{volume}\n---\n{claim}")
}

async fn blocked(cluster: &Cluster, namespace: &str, reason: Reason) -> ZoneSpreadPolicyStatus {
    let what = format!("{namespace} to be blocked by {reason}");
    eventually(Duration::from_secs(90), &what, async || {
        let status = policy::status(cluster, namespace, "shop").await;
        let seen = status.tiers.first().and_then(|tier| tier.blocked.clone());
        let moving = status.moves.iter().any(|moved| moved.state.is_under_way());
        match seen {
            Some(blocked) if blocked.reason == reason && !moving => Ok(status),
            _ => Err(format!("{:?} {seen:?} {:?}", status.phase, status.moves)),
        }
    })
    .await
}

fn message(status: &ZoneSpreadPolicyStatus) -> &str {
    &tier(status, "web").blocked.as_ref().unwrap().message
}

fn counts(spread: &Spread) -> Vec<usize> {
    spread.values().copied().collect()
}

#[tokio::test]
async fn the_operator_stops_where_the_scheduler_would_no_longer_follow() {
    let cluster = Cluster::start().await;
    nodes(&cluster).await;
    for pool in POOLS {
        cluster.namespace(pool).await;
    }
    // Half of the zone that will fail and come back is taken by others.
    let filler = deployment("big", "filler", 1)
        .request("cpu", "32")
        .request("memory", "128Gi")
        .pod_spec("nodeSelector", json!({"pool": "big", "topology.kubernetes.io/zone": "c"}));
    cluster.apply(filler.to_string()).await;
    ready(&cluster, "big", "app=filler", 1).await;
    cluster.cordon_zone("c").await;
    cluster.apply(volume()).await;
    for (pool, replicas) in [("big", 60), ("tainted", 6), ("small", 6), ("volume", 2)] {
        let mut web = in_pool(pool, replicas).spread(ScheduleAnyway);
        if pool == "volume" {
            let claim = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]);
            web = web.pod_spec("volumes", claim);
        }
        cluster.apply(web.to_string()).await;
    }
    for (pool, replicas) in [("big", 60), ("tainted", 6), ("small", 6), ("volume", 2)] {
        ready(&cluster, pool, "app=web", replicas).await;
    }
    assert_eq!(counts(&cluster.spread("big", "app=web").await), [30, 30, 0]);
    let mut operator = policy::operator(&cluster).await;
    for pool in POOLS {
        cluster.apply(policy(pool, "shop", "  rebalance: {holdDown: 1s}\n")).await;
        policy::phase(&cluster, pool, "shop", Phase::Frozen).await;
    }
    cluster.uncordon_zone("c").await;

    let tainted = blocked(&cluster, "tainted", Reason::WouldNotLand).await;
    assert!(message(&tainted).contains("maintenance"), "{}", message(&tainted));
    assert_eq!(counts(&cluster.spread("tainted", "app=web").await), [3, 3, 0]);
    assert_eq!(tainted.moves, []);

    let small = blocked(&cluster, "small", Reason::NoRoom).await;
    assert!(message(&small).contains("c-small"), "{}", message(&small));
    assert_eq!(cluster.spread("small", "app=web").await["c"], 1);
    assert_eq!(small.moves.len(), 1, "room for one pod, one move");

    let volume = blocked(&cluster, "volume", Reason::Pinned).await;
    assert!(message(&volume).contains("data"), "{}", message(&volume));
    assert_eq!(volume.moves, []);

    let big = blocked(&cluster, "big", Reason::WouldNotLand).await;
    let spread = counts(&cluster.spread("big", "app=web").await);
    println!("60 replicas with a half loaded zone end at {spread:?}: {}", message(&big));
    let told = tier(&big, "web");
    assert_eq!(told.reachable_skew, told.skew, "it says what can be reached");
    assert_eq!(told.misses, 0);
    assert!(big.moves.iter().all(|moved| moved.state == MoveState::Landed), "{:?}", big.moves);
    let made = evictions(&cluster);
    assert_eq!(made, spread[2] + 1, "one eviction for each pod that came, and the one of small");
    holds_for(Duration::from_secs(10), "no futile eviction", made, async || evictions(&cluster))
        .await;
    assert_eq!(
        operator.metric("zonespread_predictions_total", &[("outcome", "miss")]).await,
        Some(0.0)
    );
    operator.terminate().await;
}
