//! Pools: nodes that are set aside by a taint, beside the tiers and under them.

use crate::harness::{Cluster, ScheduleAnyway, deployment};
use crate::policy::{self, evictions_in, phase, policy, ready, tier, zone_object, zone_until};
use serde_json::json;
use zonespread::api::{Phase, Reason, ZoneSpreadPolicyStatus, ZoneState};

const HOLD: &str = "  rebalance: {holdDown: 2s}\n";

/// Zones a, b and c with two nodes each, and a pool besides: one node in each of them, and a
/// zone d that has no others.
async fn a_pool_beside(cluster: &Cluster) {
    for (zone, count) in [("a", 1), ("b", 1), ("c", 1), ("d", 2)] {
        for number in 1..=count {
            let node = cluster.node(&format!("gpu-{zone}{number}")).zone(zone);
            node.taint("nvidia.com/gpu", "present", "NoSchedule").create().await;
        }
    }
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
}

fn zones(status: &ZoneSpreadPolicyStatus) -> Vec<&str> {
    status.zones.iter().map(|zone| zone.name.as_str()).collect()
}

fn counts(status: &ZoneSpreadPolicyStatus) -> Vec<i32> {
    tier(status, "web").zones.iter().map(|zone| zone.pods).collect()
}

/// Zone c is closed and empty, and open again.
async fn an_outage_of_zone_c(cluster: &Cluster) {
    cluster.cordon_zone("c").await;
    let frozen = phase(cluster, "shop", "shop", Phase::Frozen).await;
    let blocked = tier(&frozen, "web").blocked.as_ref();
    assert!(blocked.is_none_or(|why| why.reason == Reason::ZoneImpaired), "{blocked:?}");
    cluster.evacuate_zone("c").await;
    ready(cluster, "shop", "app=web", 6).await;
    cluster.uncordon_zone("c").await;
}

/// Five of eleven nodes are of a pool that web may not use, and then its zone is down.
#[tokio::test]
async fn a_tainted_pool_beside_freezes_nobody_healthy_or_not() {
    let cluster = Cluster::start().await;
    a_pool_beside(&cluster).await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.start_delay("1s").to_string()).await;
    ready(&cluster, "shop", "app=web", 6).await;
    let _operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    let before = phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!((zones(&before), counts(&before)), (vec!["a", "b", "c"], vec![2, 2, 2]));
    let pool = zone_until(&cluster, "d", "the pool's zone to be told", |zone| {
        zone.state == Some(ZoneState::Ready)
    })
    .await;
    assert_eq!((pool.nodes, pool.usable_nodes), (2, 2), "a pool's taint is no fault");

    cluster.fail_zone("d").await;
    zone_until(&cluster, "d", "the pool to be down", |zone| {
        zone.state == Some(ZoneState::Impaired)
    })
    .await;
    let beside = policy::status(&cluster, "shop", "shop").await;
    assert_eq!(beside.phase, Some(Phase::Balanced), "{beside:#?}");

    an_outage_of_zone_c(&cluster).await;
    let after = phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!(counts(&after), [2, 2, 2]);
    assert_eq!(evictions_in(&cluster, "shop").len(), 2, "{:#?}", after.moves);
    let pool = zone_object(&cluster, "d").await;
    assert_eq!(pool.state, Some(ZoneState::Impaired), "the pool was down all the time");
}

/// All nodes that web may use have a taint, which it tolerates: in its zones none is out, and
/// what comes back is used again.
#[tokio::test]
async fn a_tier_on_a_tainted_pool_recovers_and_is_balanced() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        for number in 1..=2 {
            let node = cluster.node(&format!("db-{zone}{number}")).zone(zone);
            let node = node.label("pool", "db").taint("dedicated", "db", "NoSchedule");
            node.create().await;
        }
        // Those of everybody.
        cluster.add_zone(zone, 1).await;
    }
    cluster.namespace("shop").await;
    let tolerates = json!([{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}]);
    let web = deployment("shop", "web", 6)
        .label("part-of", "shop")
        .spread(ScheduleAnyway)
        .start_delay("1s")
        .pod_spec("nodeSelector", json!({"pool": "db"}))
        .pod_spec("tolerations", tolerates);
    cluster.apply(web.to_string()).await;
    ready(&cluster, "shop", "app=web", 6).await;
    let _operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    let before = phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!((zones(&before), counts(&before)), (vec!["a", "b", "c"], vec![2, 2, 2]));

    an_outage_of_zone_c(&cluster).await;
    let after = phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!(counts(&after), [2, 2, 2]);
    assert_eq!(evictions_in(&cluster, "shop").len(), 2, "{:#?}", after.moves);
    for pod in cluster.pods("shop", "app=web").await {
        let node = pod.spec.unwrap().node_name.unwrap();
        assert!(node.starts_with("db-"), "{node}");
    }
}
