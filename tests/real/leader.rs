//! One hand (law 8), and kill it anywhere (law 7): two replicas under one account.

use crate::harness::{
    Cluster, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Operator, Request, ScheduleAnyway, deployment,
    eventually, evictions, holds_for,
};
use crate::policy::{self, SOON, evictions_in, phase, policy, ready, zone};
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;
use zonespread::api::{MoveState, Phase, ZoneState};

/// A second replica, as the Deployment would start it.
async fn another(cluster: &Cluster) -> Operator {
    let kubeconfig = cluster.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT).await;
    let binary = env!("CARGO_BIN_EXE_zonespread");
    let arguments = ["--namespace", OPERATOR_NAMESPACE];
    let mut operator = Operator::start(cluster, binary, &kubeconfig, &arguments);
    operator.ready().await;
    operator
}

async fn leads(operator: &Operator) -> bool {
    operator.metric("zonespread_leader", &[]).await == Some(1.0)
}

async fn becomes_leader(operator: &Operator, what: &str) {
    eventually(SOON, what, async || leads(operator).await.then_some(())).await;
}

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

#[tokio::test]
async fn a_leader_lost_in_the_hold_and_one_killed_among_moves_cost_no_eviction_and_no_hold() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.start_delay("2s").to_string()).await;
    ready(&cluster, "shop", "app=web", 6).await;
    let mut first = policy::operator(&cluster).await;
    becomes_leader(&first, "the first to lead").await;
    let mut second = another(&cluster).await;
    cluster.apply(policy("shop", "shop", "  rebalance: {holdDown: 25s}\n")).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert!(leads(&first).await && !leads(&second).await, "one leads, the other follows");

    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    ready(&cluster, "shop", "app=web", 6).await;
    phase(&cluster, "shop", "shop", Phase::Frozen).await;
    cluster.uncordon_zone("c").await;
    let holding = phase(&cluster, "shop", "shop", Phase::Holding).await;
    let hold_until = zone(&holding, "c").hold_until.as_ref().unwrap().0;

    // Paused for longer than its lease: when it goes on it must not act as if it still led.
    first.stop_signal().await;
    becomes_leader(&second, "the second to take over").await;
    let led_by = holder(&cluster).await;
    let continued = Timestamp::now();
    first.cont_signal();
    holds_for(Duration::from_secs(3), "the lease's holder", led_by, async || {
        holder(&cluster).await
    })
    .await;
    assert!(leads(&second).await && !leads(&first).await, "the paused one follows");
    let held = policy::status(&cluster, "shop", "shop").await;
    assert_eq!(zone(&held, "c").state, ZoneState::Recovering, "{:?}", held.zones);
    assert!(zone(&held, "c").hold_until.as_ref().unwrap().0 >= hold_until, "{:?}", held.zones);

    eventually(SOON, "the first eviction", async || (evictions(&cluster) > 0).then_some(())).await;
    second.kill().await;
    let killed = evictions_in(&cluster, "shop");
    assert_eq!(killed.len(), 1, "killed among the moves: {killed:?}");
    assert!(killed[0].time >= hold_until, "{killed:?}, held until {hold_until}");
    let early = changes(&cluster, continued, hold_until);
    assert!(early.is_empty(), "nobody had anything to change in the hold: {early:?}");
    becomes_leader(&first, "the first to lead again").await;

    let after = phase(&cluster, "shop", "shop", Phase::Balanced).await;
    let counts: Vec<usize> = cluster.spread("shop", "app=web").await.into_values().collect();
    assert_eq!(counts, [2, 2, 2]);
    let made = evictions_in(&cluster, "shop");
    let pods: BTreeSet<&str> = made.iter().map(|request| request.name.as_str()).collect();
    assert_eq!((made.len(), pods.len()), (2, 2), "the fewest, each pod once: {made:?}");
    assert_eq!(after.moves.len(), 2, "{:?}", after.moves);
    assert!(after.moves.iter().all(|moved| moved.state == MoveState::Landed), "{:?}", after.moves);
}
