//! Disruption budgets that change under way, seen and unseen (law 6).

use super::{a_shop, evicted, give_back, lose, three_moves_and_no_more};
use crate::harness::{Call, Cluster, Proxy, disruption_budget, holds_for, install};
use crate::policy::{self, blocked, evictions_in, phase, policy};
use serde_json::json;
use std::time::Duration;
use zonespread::api::{Phase, Reason};

/// Sets how many pods of web may be missing, and waits until the budget says so.
async fn budget(cluster: &Cluster, max_unavailable: i32) {
    cluster.apply(disruption_budget("shop", "web", "maxUnavailable", max_unavailable)).await;
    let allowed = json!(max_unavailable).to_string();
    crate::harness::eventually(policy::SOON, "the budget to be counted", async || {
        let path = "jsonpath={.status.disruptionsAllowed}";
        let seen = cluster.kubectl(&["get", "pdb", "-n", "shop", "web", "-o", path]).await.unwrap();
        if seen == allowed { Ok(()) } else { Err(seen) }
    })
    .await;
}

#[tokio::test]
async fn a_budget_that_changes_under_way_is_obeyed_and_not_asked_again_and_again() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "2s").await;
    budget(&cluster, 2).await;
    let proxy = Proxy::start(&cluster).await;
    let kubeconfig = proxy.kubeconfig(&install(&cluster).await);
    let _operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    let slowly = "  rebalance: {holdDown: 2s, maxUnavailable: 1}\n";
    cluster.apply(policy("shop", "shop", slowly)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;

    // It closes after the first move. The operator sees that, and does not even ask.
    lose(&cluster, "c").await;
    let hold_until = give_back(&cluster, "c").await;
    evicted(&cluster, "shop", 1).await;
    budget(&cluster, 0).await;
    let why = blocked(&cluster, "shop", "shop", "web", Reason::BudgetExhausted).await;
    assert!(why.contains("PodDisruptionBudget web allows no eviction"), "{why}");
    proxy.forget_calls();
    let asked = || proxy.calls().into_iter().filter(Call::is_eviction).count();
    holds_for(Duration::from_secs(5), "not asked", 0, async || asked()).await;
    assert_eq!(evictions_in(&cluster, "shop").len(), 1);
    budget(&cluster, 2).await;
    three_moves_and_no_more(&cluster, 0, hold_until).await;

    // It closes unseen: the API server refuses the dry run, and is asked once a minute.
    lose(&cluster, "b").await;
    let hold_until = give_back(&cluster, "b").await;
    assert_eq!(proxy.silence_watches("poddisruptionbudgets"), 1);
    budget(&cluster, 0).await;
    let why = blocked(&cluster, "shop", "shop", "web", Reason::BudgetExhausted).await;
    println!("refused: {why}");
    proxy.forget_calls();
    holds_for(Duration::from_secs(15), "not asked again", 0, async || asked()).await;
    budget(&cluster, 2).await;
    three_moves_and_no_more(&cluster, 3, hold_until).await;
}

/// A budget in percent needs to know how many pods there should be, and its controller
/// cannot ask the owner of a kind that is not there.
#[tokio::test]
async fn a_budget_that_never_syncs_says_why_from_its_condition() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "1s").await;
    let stranger = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "stranger", "namespace": "shop", "labels": {"app": "web"},
            "ownerReferences": [{"apiVersion": "example.com/v1", "kind": "Widget", "name": "w",
                "uid": "7c1d0a52-0000-4000-8000-000000000000", "controller": true}]},
        "spec": {"containers": [{"name": "main", "image": "registry.invalid/app:1"}]},
    });
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}},
    });
    let _operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", "  rebalance: {holdDown: 1s}\n")).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    lose(&cluster, "c").await;
    cluster.apply(stranger.to_string()).await;
    cluster.apply(budget.to_string()).await;
    give_back(&cluster, "c").await;
    let why = blocked(&cluster, "shop", "shop", "web", Reason::BudgetExhausted).await;
    println!("{why}");
    let expected = ["PodDisruptionBudget web allows no eviction of pod web-", "SyncFailed: "];
    assert!(expected.iter().all(|part| why.contains(part)), "{why}");
}
