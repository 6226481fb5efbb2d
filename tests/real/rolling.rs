//! Rollouts: one that ends unevenly evicts nobody before the tier has settled, and one in a
//! recovery ends the move that it makes needless, and is no miss.

use crate::harness::{Cluster, ScheduleAnyway, deployment, eventually, evictions, holds_for};
use crate::policy::{self, blocked, evictions_in, phase, policy, ready, tier};
use crate::scale::{a_replacement_starts_in_c, a_shop, it_is_discarded, the_others_land};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use std::time::Duration;
use zonespread::api::{Phase, Reason};

async fn three_zones(cluster: &Cluster) {
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
}

/// Changes the template of web's pods.
async fn roll(cluster: &Cluster, spec: Value) {
    let api: Api<Deployment> = Api::namespaced(cluster.client(), "shop");
    let patch = json!({"spec": {"template": {"spec": spec}}});
    api.patch("web", &PatchParams::default(), &Patch::Strategic(&patch)).await.unwrap();
}

/// Waits until all of web's pods are of the last template, and Ready.
async fn rolled(cluster: &Cluster) {
    let api: Api<Deployment> = Api::namespaced(cluster.client(), "shop");
    eventually(Duration::from_mins(2), "the rollout to end", async || {
        let web = api.get("web").await.unwrap();
        let status = web.status.unwrap_or_default();
        let wanted = web.spec.replicas;
        let is_over = status.observed_generation == web.metadata.generation
            && status.updated_replicas == wanted
            && status.replicas == wanted
            && status.available_replicas == wanted;
        if is_over { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}

/// The pods before counted in zone a while the new ones were placed.
#[tokio::test]
async fn a_rollout_that_ends_unevenly_evicts_nobody_before_the_tier_has_settled() {
    let cluster = Cluster::start().await;
    three_zones(&cluster).await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    let only_a = json!({"topology.kubernetes.io/zone": "a"});
    cluster.apply(web.start_delay("1s").pod_spec("nodeSelector", only_a).to_string()).await;
    ready(&cluster, "shop", "app=web", 6).await;
    let _operator = policy::operator(&cluster).await;
    let settle = "  rebalance: {holdDown: 1s, settle: 25s}\n";
    cluster.apply(policy("shop", "shop", settle)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    roll(&cluster, json!({"nodeSelector": null})).await;
    rolled(&cluster).await;
    let over = Timestamp::now();
    let spread = cluster.spread("shop", "app=web").await;
    println!("the rollout ends at {spread:?}");
    assert!(cluster.skew("shop", "app=web").await >= 2, "{spread:?}");
    let message = blocked(&cluster, "shop", "shop", "web", Reason::Settling).await;
    let status = policy::status(&cluster, "shop", "shop").await;
    let imbalance = tier(&status, "web").imbalance.clone().unwrap();
    assert!(!imbalance.outage, "{imbalance:?}");
    let until = imbalance.steady_since.0 + SignedDuration::from_secs(25);
    assert!(message.contains(&until.strftime("settles until %H:%M:%SZ").to_string()), "{message}");
    assert!(until >= over + SignedDuration::from_secs(20), "{until} after {over}");
    let left = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
    holds_for(left.saturating_sub(Duration::from_secs(3)), "nobody is evicted", 0, async || {
        evictions(&cluster)
    })
    .await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    let made = evictions_in(&cluster, "shop");
    assert!(!made.is_empty() && made.iter().all(|request| request.time >= until), "{made:?}");
}

#[tokio::test]
async fn a_rollout_in_a_recovery_discards_a_move_and_is_no_miss() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "12s").await;
    let operator = policy::operator(&cluster).await;
    a_replacement_starts_in_c(&cluster, ", settle: 2s").await;
    // Of the old pods it is the one that has not started: the ReplicaSet removes it first.
    roll(&cluster, json!({"containers": [{"name": "main", "image": "registry.invalid/app:2"}]}))
        .await;
    it_is_discarded(&cluster).await;
    rolled(&cluster).await;
    the_others_land(&cluster, &operator).await;
}
