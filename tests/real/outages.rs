//! Outages of every kind: what is said of them, and that nothing is evicted meanwhile.

use crate::harness::{Cluster, ScheduleAnyway, Spread, Workload, deployment, evictions, holds_for};
use crate::policy::{self, evictions_in, phase, policy, ready, tier, zone};
use k8s_openapi::jiff::SignedDuration;
use serde_json::json;
use std::time::Duration;
use zonespread::api::{MoveState, Phase, Reason, ZoneSpreadPolicyStatus, ZoneState, ZoneStatus};

async fn zones(cluster: &Cluster, names: &[&str]) {
    for name in names {
        cluster.add_zone(name, 2).await;
    }
}

fn member(namespace: &str, policy: &str, name: &str, replicas: u32) -> Workload {
    deployment(namespace, name, replicas).label("part-of", policy).spread(ScheduleAnyway)
}

async fn counts(cluster: &Cluster, namespace: &str, app: &str) -> Vec<usize> {
    let spread: Spread = cluster.spread(namespace, &format!("app={app}")).await;
    spread.into_values().collect()
}

/// Waits until zone c is out for this reason and its pods have found a place elsewhere.
async fn out(cluster: &Cluster, reason: &str) -> ZoneSpreadPolicyStatus {
    let what = format!("zone c to be out ({reason}) and empty");
    let status = policy::until(cluster, "shop", "shop", &what, |status| {
        status.phase == Some(Phase::Frozen)
            && zone(status, "c").reason.as_deref() == Some(reason)
            && status.summary.skew == 3
    })
    .await;
    assert_eq!(zone(&status, "c").state, ZoneState::Impaired);
    let blocked = tier(&status, "web").blocked.as_ref().unwrap();
    assert_eq!(blocked.reason, Reason::ZoneImpaired);
    let out = format!("zone c is out ({reason})");
    assert!(blocked.message.starts_with(&out), "{}", blocked.message);
    policy::zone_until(cluster, "c", "the Zone to count no node", |zone| zone.usable_nodes == 0)
        .await;
    assert_eq!(evictions(cluster), 0, "nothing is evicted in an outage");
    status
}

/// Waits until zone c is back and held; for how long, and the status.
async fn held(cluster: &Cluster, outages: i32) -> (SignedDuration, ZoneSpreadPolicyStatus) {
    let what = format!("zone c to be held after outage {outages}");
    let status = policy::until(cluster, "shop", "shop", &what, |status| {
        status.phase == Some(Phase::Holding)
    })
    .await;
    let is_told =
        |zone: &ZoneStatus| zone.outages == outages && zone.state == Some(ZoneState::Recovering);
    let told = policy::zone_until(cluster, "c", &what, is_told).await;
    let held = zone(&status, "c");
    assert_eq!(held.state, ZoneState::Recovering);
    let until = held.hold_until.as_ref().unwrap().0;
    let hold = until.duration_since(told.recovered_at.as_ref().unwrap().0);
    (hold, status)
}

#[tokio::test]
async fn a_zone_that_flaps_is_held_twice_as_long_each_time_whatever_ailed_it() {
    let cluster = Cluster::start().await;
    zones(&cluster, &["a", "b", "c"]).await;
    cluster.namespace("shop").await;
    let web = member("shop", "shop", "web", 6).leave_failed_nodes_after(1);
    cluster.apply(web.to_string()).await;
    ready(&cluster, "shop", "app=web", 6).await;
    let mut operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", "  rebalance: {holdDown: 3s}\n")).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;

    cluster.fail_zone("c").await;
    out(&cluster, "NotReady").await;
    cluster.heal_zone("c").await;
    let (hold, _) = held(&cluster, 1).await;
    assert_eq!(hold, SignedDuration::from_secs(3));

    // Out again before the hold is over: it starts anew, and lasts longer.
    cluster.cordon_zone("c").await;
    out(&cluster, "Cordoned").await;
    cluster.uncordon_zone("c").await;
    let (hold, _) = held(&cluster, 2).await;
    assert_eq!(hold, SignedDuration::from_secs(6));

    cluster.delete_zone("c").await;
    let gone = out(&cluster, "NoNodes").await;
    let zones: Vec<_> = tier(&gone, "web").zones.iter().map(|zone| zone.pods).collect();
    assert_eq!(zones, [3, 3, 0], "a zone without nodes is a zero, not a gap");
    let labels = [("namespace", "shop"), ("policy", "shop"), ("tier", "web"), ("zone", "c")];
    assert_eq!(operator.metric("zonespread_tier_pods", &labels).await, Some(0.0));

    cluster.add_zone("c", 2).await;
    let (hold, holding) = held(&cluster, 3).await;
    assert_eq!(hold, SignedDuration::from_secs(12));
    let until = zone(&holding, "c").hold_until.as_ref().unwrap().0;
    let at_most = [("zone", "c")];
    let left = operator.metric("zonespread_zone_hold_seconds", &at_most).await.unwrap();
    assert!(left > 0.0 && left <= 12.0, "{left}");
    let six = Duration::from_secs(6);
    holds_for(six, "no eviction while the zone is held", 0, async || evictions(&cluster)).await;

    let after = phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!(counts(&cluster, "shop", "web").await, [2, 2, 2]);
    let made = evictions_in(&cluster, "shop");
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(made.iter().all(|request| request.time >= until), "{made:?}, held until {until}");
    assert!(after.moves.iter().all(|moved| moved.state == MoveState::Landed), "{:?}", after.moves);
    assert!(operator.exited().is_none());
}

/// Pods that may use two of the four zones only.
fn local() -> Workload {
    let zones =
        json!({"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a", "d"]});
    let terms = json!([{"matchExpressions": [zones]}]);
    let required =
        json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
    member("near", "near", "local", 2).pod_spec("affinity", json!({"nodeAffinity": required}))
}

#[tokio::test]
async fn nothing_is_evicted_anywhere_while_two_zones_or_a_fifth_of_the_nodes_are_out() {
    let cluster = Cluster::start().await;
    zones(&cluster, &["a", "b", "c", "d"]).await;
    for namespace in ["near", "wide"] {
        cluster.namespace(namespace).await;
    }
    cluster.apply(member("wide", "wide", "web", 8).to_string()).await;
    ready(&cluster, "wide", "app=web", 8).await;
    cluster.cordon_zone("d").await;
    cluster.apply(local().to_string()).await;
    ready(&cluster, "near", "app=local", 2).await;
    cluster.uncordon_zone("d").await;
    assert_eq!(counts(&cluster, "near", "local").await, [2, 0, 0, 0]);

    // One of the four nodes that its pods may use.
    cluster.kubectl(&["cordon", "a1"]).await.unwrap();
    let _operator = policy::operator(&cluster).await;
    for namespace in ["near", "wide"] {
        let hold = "  rebalance: {holdDown: 4s, settle: 0s}\n";
        cluster.apply(policy(namespace, namespace, hold)).await;
    }
    phase(&cluster, "wide", "wide", Phase::Balanced).await;
    let frozen = phase(&cluster, "near", "near", Phase::Frozen).await;
    let blocked = tier(&frozen, "local").blocked.as_ref().unwrap();
    assert_eq!(blocked.reason, Reason::ClusterUnstable);
    assert!(
        blocked.message.starts_with("at least 20 % of the nodes that the tier may use are bad: "),
        "{}",
        blocked.message
    );

    tokio::join!(cluster.cordon_zone("b"), cluster.cordon_zone("c"));
    tokio::join!(cluster.evacuate_zone("b"), cluster.evacuate_zone("c"));
    ready(&cluster, "wide", "app=web", 8).await;
    assert_eq!(counts(&cluster, "wide", "web").await, [4, 0, 0, 4]);
    let frozen = policy::until(&cluster, "wide", "wide", "the outage", |status| {
        status.phase == Some(Phase::Frozen) && status.summary.skew == 4
    })
    .await;
    let blocked = tier(&frozen, "web").blocked.as_ref().unwrap();
    assert_eq!(blocked.reason, Reason::ZoneImpaired, "{}", blocked.message);
    // Its own nodes are well again, and still: two zones are out.
    cluster.kubectl(&["uncordon", "a1"]).await.unwrap();
    let elsewhere = policy::until(&cluster, "near", "near", "the outage", |status| {
        let blocked = tier(status, "local").blocked.as_ref();
        blocked.is_some_and(|blocked| {
            blocked.message.starts_with("zones b, c are out or held by hand: ")
        })
    })
    .await;
    assert_eq!(elsewhere.phase, Some(Phase::Frozen));
    let blocked = tier(&elsewhere, "local").blocked.as_ref().unwrap();
    assert_eq!(blocked.reason, Reason::ClusterUnstable);
    let three = Duration::from_secs(3);
    holds_for(three, "no eviction in an outage", 0, async || evictions(&cluster)).await;

    tokio::join!(cluster.uncordon_zone("b"), cluster.uncordon_zone("c"));
    let holding = phase(&cluster, "wide", "wide", Phase::Holding).await;
    let until = ["b", "c"].map(|name| zone(&holding, name).hold_until.as_ref().unwrap().0);
    phase(&cluster, "near", "near", Phase::Balanced).await;
    assert_eq!(evictions_in(&cluster, "near").len(), 1, "its own zones were never out");
    assert_eq!(counts(&cluster, "near", "local").await, [1, 0, 0, 1]);
    phase(&cluster, "wide", "wide", Phase::Balanced).await;
    assert_eq!(counts(&cluster, "wide", "web").await, [2, 2, 2, 2]);
    let made = evictions_in(&cluster, "wide");
    assert_eq!(made.len(), 4, "{made:?}");
    let latest = until.into_iter().max().unwrap();
    assert!(made.iter().all(|request| request.time >= latest), "{made:?}, held until {latest}");
}
