//! The central story: a zone fails, comes back, and its pods come back with it.

use crate::harness::{
    Cluster, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Request, ScheduleAnyway, Spread, deployment,
    eventually, evictions, holds_for,
};
use crate::policy::{self, SOON, phase, policy, tier};
use std::time::Duration;
use zonespread::api::{MoveState, Phase, Reason};

const HOLD: Duration = Duration::from_secs(8);

fn petclinic() -> String {
    policy(
        "petclinic",
        "petclinic",
        "  rebalance: {holdDown: 8s}\n  tiers:\n  - name: redis\n    \
         singleZone: {accepted: true, reason: session cache}\n",
    )
}

async fn a_petclinic(cluster: &Cluster) {
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("petclinic").await;
    for (name, replicas) in [("web", 6), ("was", 3), ("redis", 1)] {
        let workload = deployment("petclinic", name, replicas)
            .label("part-of", "petclinic")
            .spread(ScheduleAnyway)
            .start_delay("1s");
        cluster.apply(workload.to_string()).await;
    }
    all_ready(cluster).await;
}

async fn all_ready(cluster: &Cluster) {
    eventually(SOON, "ten ready pods", async || {
        let seen = cluster.ready_pods("petclinic", "part-of=petclinic").await;
        if seen == 10 { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
}

async fn spread(cluster: &Cluster, tier: &str) -> Spread {
    cluster.spread("petclinic", &format!("app={tier}")).await
}

fn counts(spread: &Spread) -> Vec<usize> {
    spread.values().copied().collect()
}

#[tokio::test]
async fn recovered_zone_gets_its_pods_back_with_the_fewest_evictions() {
    let cluster = Cluster::start().await;
    a_petclinic(&cluster).await;
    let mut operator = policy::operator(&cluster).await;
    cluster.apply(petclinic()).await;
    let before = phase(&cluster, "petclinic", "petclinic", Phase::Balanced).await;
    assert_eq!((before.summary.tiers, before.summary.skew), (3, 1));
    let served = cluster.client().apiserver_version().await.unwrap();
    let scheduler = before.scheduler.as_ref().unwrap();
    assert_eq!(scheduler.version, format!("{}.{}", served.major, served.minor));
    assert_eq!(scheduler.message, None, "this version is predicted");
    let redis_before = cluster.pods("petclinic", "app=redis").await;

    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    all_ready(&cluster).await;
    assert_eq!(counts(&spread(&cluster, "web").await), [3, 3, 0]);
    let frozen = policy::until(&cluster, "petclinic", "petclinic", "the outage", |status| {
        status.phase == Some(Phase::Frozen) && status.summary.skew == 3
    })
    .await;
    let blocked = tier(&frozen, "web").blocked.as_ref().unwrap();
    assert_eq!(blocked.reason, Reason::ZoneImpaired);
    assert_eq!(frozen.zones[2].reason.as_deref(), Some("Cordoned"));
    assert_eq!(evictions(&cluster), 0, "nothing is evicted in an outage");

    cluster.uncordon_zone("c").await;
    let holding = phase(&cluster, "petclinic", "petclinic", Phase::Holding).await;
    let hold_until = holding.zones[2].hold_until.as_ref().unwrap().0;
    holds_for(HOLD / 2, "no eviction while the zone is held", 0, async || evictions(&cluster))
        .await;

    let after = phase(&cluster, "petclinic", "petclinic", Phase::Balanced).await;
    assert_eq!(counts(&spread(&cluster, "web").await), [2, 2, 2]);
    assert_eq!(counts(&spread(&cluster, "was").await), [1, 1, 1]);
    let made: Vec<Request> = cluster
        .requests_by_service_account(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT)
        .into_iter()
        .filter(Request::is_eviction)
        .collect();
    assert_eq!(made.len(), 3, "two for web, one for was: {made:?}");
    assert!(made.iter().all(|request| request.code == 201 && request.time >= hold_until));
    assert!(after.moves.iter().all(|moved| moved.state == MoveState::Landed), "{:?}", after.moves);
    assert_eq!(after.moves.len(), 3);
    assert_eq!(after.summary.moves, "3/3");
    let recovery = after.recovery.as_ref().unwrap();
    assert_eq!(recovery.zone.as_deref(), Some("c"));
    assert!(recovery.balanced_at.is_some());
    let redis = cluster.pods("petclinic", "app=redis").await;
    let uid = |pods: &[k8s_openapi::api::core::v1::Pod]| pods[0].metadata.uid.clone();
    if redis_before[0].spec.as_ref().unwrap().node_name.as_deref().unwrap().starts_with('c') {
        assert_eq!(redis.len(), 1, "redis was in zone c and moved with the outage");
    } else {
        assert_eq!(uid(&redis), uid(&redis_before), "redis was never touched");
    }

    numbers_agree(&cluster, &operator, &after).await;
    a_steady_cluster_is_left_alone(&cluster).await;

    let exit = operator.terminate().await;
    assert!(exit.after < Duration::from_secs(10) && exit.status.success(), "{exit:?}");
    let holder = cluster
        .kubectl(&[
            "get",
            "lease",
            "-n",
            OPERATOR_NAMESPACE,
            "zonespread",
            "-o",
            "jsonpath={.spec.holderIdentity}",
        ])
        .await
        .unwrap();
    assert_eq!(holder, "", "the lease is released");
}

/// Status and metrics equal a recount of the pods themselves (law 10).
async fn numbers_agree(
    cluster: &Cluster,
    operator: &crate::harness::Operator,
    status: &zonespread::api::ZoneSpreadPolicyStatus,
) {
    for name in ["web", "was", "redis"] {
        let recount = spread(cluster, name).await;
        let told = tier(status, name);
        let in_status: Spread =
            told.zones.iter().map(|zone| (zone.name.clone(), count(zone.pods))).collect();
        assert_eq!(in_status, recount, "{name} in the status");
        let skew = recount.values().max().unwrap() - recount.values().min().unwrap();
        assert_eq!(count(told.skew), skew);
        let own = [("namespace", "petclinic"), ("policy", "petclinic"), ("tier", name)];
        assert_eq!(operator.metric("zonespread_tier_skew", &own).await, Some(number(skew)));
        for (zone, pods) in &recount {
            let labels = [&own[..], &[("zone", zone.as_str())]].concat();
            let seen = operator.metric("zonespread_tier_pods", &labels).await;
            assert_eq!(seen, Some(number(*pods)), "{name} in zone {zone}");
            let seen = operator.metric("zonespread_tier_available_pods", &labels).await;
            assert_eq!(seen, Some(number(*pods)), "{name} available in zone {zone}");
        }
    }
    let web = [("namespace", "petclinic"), ("policy", "petclinic"), ("tier", "web")];
    let evicted = [&web[..], &[("result", "evicted")]].concat();
    assert_eq!(operator.metric("zonespread_evictions_total", &evicted).await, Some(2.0));
    let landed = [&web[..], &[("outcome", "landed")]].concat();
    assert_eq!(operator.metric("zonespread_moves_total", &landed).await, Some(2.0));
    assert_eq!(
        operator.metric("zonespread_predictions_total", &[("outcome", "miss")]).await,
        Some(0.0)
    );
    let ready = [("zone", "c"), ("state", "Ready")];
    assert_eq!(operator.metric("zonespread_zone_state", &ready).await, Some(1.0));
}

/// Watches only: no lists, no reads, no writes but the lease's; the policy does not change.
async fn a_steady_cluster_is_left_alone(cluster: &Cluster) {
    let version = policy::read(cluster, "petclinic", "petclinic").await.metadata.resource_version;
    let asked = || cluster.requests_by_service_account(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT);
    let before = asked().len();
    holds_for(Duration::from_secs(15), "the policy's resourceVersion", version, async || {
        policy::read(cluster, "petclinic", "petclinic").await.metadata.resource_version
    })
    .await;
    let requests = asked();
    let other: Vec<&Request> = requests[before..]
        .iter()
        .filter(|request| request.verb != "watch" && request.resource != "leases")
        .collect();
    assert!(other.is_empty(), "{other:?}");
}

fn count(of: i32) -> usize {
    of.try_into().unwrap()
}

fn number(of: usize) -> f64 {
    u32::try_from(of).unwrap().into()
}
