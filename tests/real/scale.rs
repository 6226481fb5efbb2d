//! Scale-downs: one that unbalances a tier evicts nobody before the tier has settled, and one
//! in a recovery that takes a replacement away ends that move, and is no miss.

use crate::harness::{
    Cluster, Operator, ScheduleAnyway, deployment, eventually, evictions, holds_for,
};
use crate::policy::{self, SOON, blocked, evictions_in, phase, policy, ready, tier, until};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use zonespread::api::{MoveState, Phase, Reason};

/// Three zones, and nine pods of web spread over them.
pub async fn a_shop(cluster: &Cluster, start_delay: &str) {
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 9).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.start_delay(start_delay).to_string()).await;
    ready(cluster, "shop", "app=web", 9).await;
}

/// As users and autoscalers do.
async fn scale(cluster: &Cluster, replicas: usize) {
    let replicas = format!("--replicas={replicas}");
    cluster.kubectl(&["scale", "-n", "shop", "deployment/web", &replicas]).await.unwrap();
}

#[tokio::test]
async fn a_scale_down_evicts_nobody_before_the_tier_has_settled() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "1s").await;
    let _operator = policy::operator(&cluster).await;
    let settle = "  rebalance: {holdDown: 1s, settle: 25s}\n";
    cluster.apply(policy("shop", "shop", settle)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    // The ReplicaSet takes these first: it does not look at zones.
    for pod in cluster.zone_pods("c").await {
        let name = pod.metadata.name.unwrap();
        let cost = "controller.kubernetes.io/pod-deletion-cost=-10";
        cluster.kubectl(&["annotate", "pod", "-n", "shop", &name, cost]).await.unwrap();
    }
    scale(&cluster, 6).await;
    let message = blocked(&cluster, "shop", "shop", "web", Reason::Settling).await;
    let status = phase(&cluster, "shop", "shop", Phase::Holding).await;
    let imbalance = tier(&status, "web").imbalance.clone().unwrap();
    assert!(!imbalance.outage, "{imbalance:?}");
    let until = imbalance.steady_since.0 + SignedDuration::from_secs(25);
    assert!(message.contains(&until.strftime("settles until %H:%M:%SZ").to_string()), "{message}");
    let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
    holds_for(left.saturating_sub(Duration::from_secs(3)), "nobody is evicted", 0, async || {
        evictions(&cluster)
    })
    .await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    let made = evictions_in(&cluster, "shop");
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(made.iter().all(|request| request.time >= until), "{until}: {made:?}");
}

/// Zone c is lost and comes back, one pod is moved at a time, and the first replacement is on
/// its node there; it has not started yet.
pub async fn a_replacement_starts_in_c(cluster: &Cluster, settings: &str) {
    let slowly = format!("  rebalance: {{holdDown: 2s, maxUnavailable: 1{settings}}}\n");
    cluster.apply(policy("shop", "shop", &slowly)).await;
    phase(cluster, "shop", "shop", Phase::Balanced).await;
    cluster.cordon_zone("c").await;
    phase(cluster, "shop", "shop", Phase::Frozen).await;
    cluster.evacuate_zone("c").await;
    ready(cluster, "shop", "app=web", 9).await;
    cluster.uncordon_zone("c").await;
    eventually(SOON, "the first replacement in zone c", async || {
        (cluster.spread("shop", "app=web").await.get("c") == Some(&1)).then_some(())
    })
    .await;
}

/// The first move ends as Discarded, and that is no miss; gives its message.
pub async fn it_is_discarded(cluster: &Cluster) -> String {
    let status = until(cluster, "shop", "shop", "the move to be over", |status| {
        !status.moves[0].state.is_under_way()
    })
    .await;
    let moved = &status.moves[0];
    assert_eq!(moved.state, MoveState::Discarded, "{moved:?}");
    assert_eq!((tier(&status, "web").misses, &tier(&status, "web").retry_at), (0, &None));
    moved.message.clone()
}

/// All other moves of the recovery land.
pub async fn the_others_land(cluster: &Cluster, operator: &Operator) {
    let after = eventually(Duration::from_mins(3), "the rest of the recovery", async || {
        let status = policy::status(cluster, "shop", "shop").await;
        let is_over = status.phase == Some(Phase::Balanced);
        if is_over { Ok(status) } else { Err(format!("{status:#?}")) }
    })
    .await;
    let landed = after.moves.iter().filter(|moved| moved.state == MoveState::Landed).count();
    assert_eq!(landed + 1, after.moves.len(), "{:?}", after.moves);
    for (outcome, expected) in [("discarded", 1.0), ("stuck", 0.0), ("missed", 0.0)] {
        let seen = operator.metric("zonespread_moves_total", &[("outcome", outcome)]).await;
        assert_eq!(seen, Some(expected), "{outcome}");
    }
}

#[tokio::test]
async fn a_scale_down_in_a_recovery_discards_a_move_and_is_no_miss() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "12s").await;
    let operator = policy::operator(&cluster).await;
    a_replacement_starts_in_c(&cluster, "").await;
    // It has not started yet, so it is the one that goes.
    scale(&cluster, 8).await;
    let message = it_is_discarded(&cluster).await;
    assert!(message.contains("has the 8 pods that it wants"), "{message}");
    the_others_land(&cluster, &operator).await;
}
