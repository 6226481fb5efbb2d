//! What the operator hears is late, cut off, or nothing at all (law 1).

use super::{LONG, a_shop, give_back, lose, three_moves_and_no_more};
use crate::harness::{Call, Cluster, Fate, Proxy, evictions, holds_for, install};
use crate::policy::{self, blocked, evictions_in, phase, policy};
use std::time::{Duration, Instant};
use zonespread::api::{Phase, Reason};

/// Samples Ready pods of web until the recovery is over: never more than `missing` short.
async fn never_short_of_more_than(cluster: &Cluster, missing: usize, until: usize) {
    let began = Instant::now();
    while evictions_in(cluster, "shop").len() < until && began.elapsed() < LONG {
        let ready = cluster.ready_pods("shop", "app=web").await;
        assert!(ready + missing >= 9, "{ready} of 9 pods are Ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn watches_that_are_late_cut_or_silent_cost_no_eviction() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "1s").await;
    let proxy = Proxy::start(&cluster).await;
    let kubeconfig = proxy.kubeconfig(&install(&cluster).await);
    let operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    let hold = "  rebalance: {holdDown: 4s, maxUnavailable: 1}\n";
    cluster.apply(policy("shop", "shop", hold)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;

    // All that happens to pods is told three seconds late.
    lose(&cluster, "c").await;
    let hold_until = give_back(&cluster, "c").await;
    proxy.delay_watches("pods", Duration::from_secs(3));
    never_short_of_more_than(&cluster, 1, 3).await;
    three_moves_and_no_more(&cluster, 0, hold_until).await;
    proxy.mend();

    // Every watch is cut again and again, in the hold and among moves.
    lose(&cluster, "b").await;
    let hold_until = give_back(&cluster, "b").await;
    let began = Instant::now();
    while evictions(&cluster) < 6 && began.elapsed() < LONG {
        assert!(proxy.cut_watches("") > 0, "watches run");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    three_moves_and_no_more(&cluster, 3, hold_until).await;

    // Nodes fall silent in the hold of one zone, and another zone is lost unheard. A
    // fresh look before the first move tells; then the watch is begun anew by itself.
    lose(&cluster, "a").await;
    give_back(&cluster, "a").await;
    assert_eq!(proxy.silence_watches("nodes"), 1);
    let no_more_watches = |call: &Call| call.is_watch && call.resource == "storageclasses";
    proxy.turn(usize::MAX, no_more_watches, Fate::Swallowed);
    assert_eq!(proxy.silence_watches("storageclasses"), 1);
    let silenced = Instant::now();
    cluster.cordon_zone("b").await;
    let why = blocked(&cluster, "shop", "shop", "web", Reason::StaleView).await;
    assert!(why.contains("a fresh read of nodes: zone b has 0 of 2 nodes usable"), "{why}");
    blocked(&cluster, "shop", "shop", "web", Reason::ZoneImpaired).await;
    println!("the silence of a watch was noticed after {:?}", silenced.elapsed());

    // The other one cannot be begun anew: nothing is evicted until it can.
    let hold_until = give_back(&cluster, "b").await;
    let why = blocked(&cluster, "shop", "shop", "web", Reason::StaleView).await;
    assert!(why.starts_with("the watch of storageclasses has been silent since"), "{why}");
    let labels = [("resource", "storageclasses")];
    let age = operator.metric("zonespread_watch_staleness_seconds", &labels).await.unwrap();
    assert!(age >= 25.0, "{age}");
    let three = Duration::from_secs(3);
    holds_for(three, "no eviction on stale knowledge", 6, async || evictions(&cluster)).await;
    proxy.mend();
    three_moves_and_no_more(&cluster, 6, hold_until).await;
}
