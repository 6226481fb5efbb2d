//! The API server hangs, is killed, and loses its etcd, in holds and among moves.

use super::{a_shop, evicted, give_back, lose, three_moves_and_no_more};
use crate::harness::{Cluster, Component, eventually};
use crate::policy::{self, SOON, another, becomes_leader, evictions_in, leads, phase, policy};
use std::time::{Duration, Instant};
use zonespread::api::Phase;

/// Twice as long as a lease lasts.
const HANGS_FOR: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_api_server_that_hangs_or_is_killed_costs_no_eviction_and_no_hold() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "2s").await;
    let leader = policy::operator(&cluster).await;
    becomes_leader(&leader, "the first to lead").await;
    let mut follower = another(&cluster).await;
    let slowly = "  rebalance: {holdDown: 4s, maxUnavailable: 1}\n";
    cluster.apply(policy("shop", "shop", slowly)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;

    // It hangs with a move under way. Nobody leads then, and all who are told to end do.
    lose(&cluster, "c").await;
    let hold_until = give_back(&cluster, "c").await;
    evicted(&cluster, "shop", 1).await;
    cluster.freeze(Component::ApiServer).await;
    let began = Instant::now();
    let exit = follower.terminate().await;
    assert!(exit.status.success() && exit.after < Duration::from_secs(10), "{exit:?}");
    eventually(Duration::from_secs(15), "the leader to stop leading", async || {
        (!leads(&leader).await).then_some(())
    })
    .await;
    assert_eq!(leader.get("/livez").await.0, 200, "it lives, and need not be restarted");
    tokio::time::sleep(HANGS_FOR.saturating_sub(began.elapsed())).await;
    cluster.thaw(Component::ApiServer);
    becomes_leader(&leader, "the leader to lead again").await;
    three_moves_and_no_more(&cluster, 0, hold_until).await;

    // It is killed with a move under way.
    follower.start_again();
    lose(&cluster, "b").await;
    let hold_until = give_back(&cluster, "b").await;
    evicted(&cluster, "shop", 4).await;
    cluster.crash(Component::ApiServer, Duration::from_secs(2)).await;
    three_moves_and_no_more(&cluster, 3, hold_until).await;

    // Its etcd is killed in the hold.
    lose(&cluster, "a").await;
    let hold_until = give_back(&cluster, "a").await;
    cluster.crash(Component::Etcd, Duration::from_secs(2)).await;
    three_moves_and_no_more(&cluster, 6, hold_until).await;

    // The leader ends in time, too, while the API server hangs.
    let mut replicas = [leader, follower];
    let leading = eventually(SOON, "one of the two to lead", async || {
        for (at, replica) in replicas.iter().enumerate() {
            if leads(replica).await {
                return Some(at);
            }
        }
        None
    })
    .await;
    cluster.freeze(Component::ApiServer).await;
    let exit = replicas[leading].terminate().await;
    cluster.thaw(Component::ApiServer);
    assert!(exit.status.success() && exit.after < Duration::from_secs(10), "{exit:?}");
    assert_eq!(evictions_in(&cluster, "shop").len(), 9);
}
