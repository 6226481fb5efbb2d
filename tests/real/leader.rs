//! One hand (law 8), and kill it anywhere (law 7): replicas under one account.

use crate::harness::{
    Cluster, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Request, ScheduleAnyway, deployment, eventually,
    evictions,
};
use crate::policy::{
    self, SOON, another, becomes_leader, evictions_in, leads, phase, policy, ready, zone,
};
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeSet;
use zonespread::api::{MoveState, Phase, ZoneState};

async fn holder(cluster: &Cluster) -> String {
    let lease = ["get", "lease", "-n", OPERATOR_NAMESPACE, "zonespread"];
    let identity = ["-o", "jsonpath={.spec.holderIdentity}"];
    cluster.kubectl(&[&lease[..], &identity].concat()).await.unwrap()
}

/// What changed the cluster in this time, the lease left out.
fn changes(cluster: &Cluster, from: Timestamp, to: Timestamp) -> Vec<Request> {
    let requests = cluster.requests_by_service_account(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT);
    let changes = |request: &Request| {
        request.is_write() && request.resource != "leases" && (from..to).contains(&request.time)
    };
    requests.into_iter().filter(changes).collect()
}

async fn first_eviction_after(cluster: &Cluster, before: usize) {
    eventually(SOON, "an eviction", async || (evictions(cluster) > before).then_some(())).await;
}

#[tokio::test]
async fn leaders_lost_in_the_hold_and_among_moves_cost_no_eviction_and_no_hold() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 12).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.start_delay("3s").to_string()).await;
    ready(&cluster, "shop", "app=web", 12).await;
    let mut first = policy::operator(&cluster).await;
    becomes_leader(&first, "the first to lead").await;
    let mut second = another(&cluster).await;
    // One at a time, so that there are moves left for whoever takes over.
    let slowly = "  rebalance: {holdDown: 25s, maxUnavailable: 1}\n";
    cluster.apply(policy("shop", "shop", slowly)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert!(leads(&first).await && !leads(&second).await, "one leads, the other follows");

    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    ready(&cluster, "shop", "app=web", 12).await;
    phase(&cluster, "shop", "shop", Phase::Frozen).await;
    cluster.uncordon_zone("c").await;
    let holding = phase(&cluster, "shop", "shop", Phase::Holding).await;
    let hold_until = zone(&holding, "c").hold_until.as_ref().unwrap().0;

    first.kill().await;
    let killed = Timestamp::now();
    becomes_leader(&second, "the second to take over").await;
    let held = policy::status(&cluster, "shop", "shop").await;
    assert_eq!(zone(&held, "c").state, ZoneState::Recovering, "{:?}", held.zones);
    assert!(zone(&held, "c").hold_until.as_ref().unwrap().0 >= hold_until, "{:?}", held.zones);
    // Not before: it would have waited for the lease as long as the second, which may have seen
    // the last renewal after the kill, and either could have been the next leader.
    let mut third = another(&cluster).await;

    // Paused for longer than its lease, with a move under way and others to come.
    first_eviction_after(&cluster, 0).await;
    second.stop_signal().await;
    let made = evictions_in(&cluster, "shop");
    assert_eq!(made.len(), 1, "paused after its first move: {made:?}");
    assert!(made[0].time >= hold_until, "{made:?}, held until {hold_until}");
    let early = changes(&cluster, killed, hold_until);
    println!("written in the hold, after the kill: {early:?}");
    let asked = |request: &Request| request.subresource == "eviction";
    assert!(!early.iter().any(asked), "not even a dry run in the hold: {early:?}");
    becomes_leader(&third, "the third to take over").await;
    let led_by = holder(&cluster).await;
    second.cont_signal();
    // It would find a pod to be moved, and has to find out that it no longer leads.
    first_eviction_after(&cluster, 1).await;
    assert_eq!(holder(&cluster).await, led_by, "the third still leads");
    eventually(SOON, "the paused one to follow", async || {
        if leads(&second).await { Err("it still leads") } else { Ok(()) }
    })
    .await;
    assert!(leads(&third).await);
    third.kill().await;
    let killed_among_moves = evictions_in(&cluster, "shop").len();
    assert!(killed_among_moves < 4, "nothing left to do for the next leader");
    becomes_leader(&second, "the second to lead again").await;

    let after = phase(&cluster, "shop", "shop", Phase::Balanced).await;
    let counts: Vec<usize> = cluster.spread("shop", "app=web").await.into_values().collect();
    assert_eq!(counts, [4, 4, 4]);
    let made = evictions_in(&cluster, "shop");
    let pods: BTreeSet<&str> = made.iter().map(|request| request.name.as_str()).collect();
    assert_eq!((made.len(), pods.len()), (4, 4), "the fewest, each pod once: {made:?}");
    assert_eq!(after.moves.len(), 4, "{:?}", after.moves);
    assert!(after.moves.iter().all(|moved| moved.state == MoveState::Landed), "{:?}", after.moves);
}
