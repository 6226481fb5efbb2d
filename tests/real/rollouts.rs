//! Argo Rollouts: its pods belong to a ReplicaSet like a Deployment's, and the Services that a
//! Rollout names select them by their hash. Such pods are never relabelled.

use crate::harness::{
    Cluster, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, ScheduleAnyway, Workload, disruption_budget,
    eventually, rollout,
};
use crate::policy::{self, phase, policy, ready, status};
use crate::surge::{can_surge, install_surge, left_behind, ready_endpoints};
use k8s_openapi::api::core::v1::Service;
use kube::api::Api;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use zonespread::api::{MoveKind, MoveState, Phase, Reason};

const MINUTES: Duration = Duration::from_mins(2);

/// Three pods behind these Services, and a budget.
async fn apply_rollout(cluster: &Cluster, shop: &str, strategy: Value, services: &[&str]) {
    cluster.namespace(shop).await;
    for service in services {
        let service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": shop, "name": service},
            "spec": {"selector": {"app": "was"}, "ports": [{"port": 80}]}});
        cluster.apply(service.to_string()).await;
    }
    let pods: Workload = rollout(shop, "was", 2, strategy).label("part-of", shop);
    cluster.apply(pods.spread(ScheduleAnyway).start_delay("2s").to_string()).await;
    ready(cluster, shop, "app=was", 2).await;
}

async fn selects_by_hash(cluster: &Cluster, shop: &str, name: &str) {
    eventually(MINUTES, &format!("Service {name} to select by the hash"), async || {
        let services: Api<Service> = Api::namespaced(cluster.client(), shop);
        let selector = services.get(name).await.unwrap().spec.unwrap().selector.unwrap();
        let by_hash = selector.contains_key("rollouts-pod-template-hash");
        if by_hash { Ok(()) } else { Err(format!("{selector:?}")) }
    })
    .await;
}

/// Requests that changed a pod other than by an eviction.
fn patches(cluster: &Cluster, shop: &str) -> usize {
    let requests = cluster.requests_by_service_account(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT);
    let is_patch = |request: &&crate::harness::Request| {
        let is_pod = (&*request.namespace, &*request.resource) == (shop, "pods");
        is_pod && request.verb == "patch" && !request.dry_run
    };
    requests.iter().filter(is_patch).count()
}

#[tokio::test]
async fn pods_of_a_rollout_are_relabelled_only_where_no_service_selects_their_hash() {
    let cluster = Arc::new(Cluster::start().await);
    for zone in ["a", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.start_rollouts().await;
    let canary = json!({"canary": {"maxSurge": 1, "maxUnavailable": 0}});
    let blue_green = json!({"blueGreen": {"activeService": "active", "previewService": "preview"}});
    let named = json!({"canary": {"canaryService": "canary", "stableService": "stable"}});
    apply_rollout(&cluster, "plain", canary, &["was"]).await;
    cluster.apply(disruption_budget("plain", "was", "minAvailable", 2)).await;
    apply_rollout(&cluster, "blue-green", blue_green.clone(), &["active", "preview"]).await;
    apply_rollout(&cluster, "insisting", blue_green, &["active", "preview"]).await;
    apply_rollout(&cluster, "canary", named, &["canary", "stable"]).await;
    selects_by_hash(&cluster, "blue-green", "active").await;
    selects_by_hash(&cluster, "canary", "stable").await;

    let kubeconfig = install_surge(&cluster).await;
    let operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    let shops = ["plain", "blue-green", "insisting", "canary"];
    for shop in shops {
        let strategy = if shop == "insisting" { "Surge" } else { "Auto" };
        // Nothing else changes pods here.
        let rest = format!("  rebalance: {{holdDown: 2s, strategy: {strategy}, scaleIn: Never}}\n");
        cluster.apply(policy(shop, shop, &rest)).await;
        phase(&cluster, shop, shop, Phase::Balanced).await;
    }
    can_surge(&operator).await;
    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    for shop in shops {
        ready(&cluster, shop, "app=was", 2).await;
        phase(&cluster, shop, shop, Phase::Frozen).await;
    }
    eventually(MINUTES, "two endpoints", async || {
        let seen = ready_endpoints(&cluster, "plain").await;
        if seen == 2 { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    let (fewest, done) = (Arc::new(AtomicUsize::new(2)), Arc::new(AtomicBool::new(false)));
    let watched = {
        let (cluster, fewest, done) = (cluster.clone(), fewest.clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let seen = ready_endpoints(&cluster, "plain").await;
                fewest.fetch_min(seen, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        })
    };
    cluster.uncordon_zone("c").await;

    for (shop, kind) in
        [("plain", MoveKind::Surge), ("blue-green", MoveKind::Evict), ("canary", MoveKind::Evict)]
    {
        let moves = eventually(MINUTES, &format!("the move of {shop} to land"), async || {
            let moves = status(&cluster, shop, shop).await.moves;
            let landed = moves.iter().any(|moved| moved.state == MoveState::Landed);
            if landed { Ok(moves) } else { Err(format!("{moves:?}")) }
        })
        .await;
        assert_eq!((moves.len(), moves[0].kind), (1, kind), "{shop}: {moves:?}");
        phase(&cluster, shop, shop, Phase::Balanced).await;
        assert_eq!(left_behind(&cluster, shop).await, Vec::<String>::new());
    }
    done.store(true, Ordering::Relaxed);
    watched.await.unwrap();
    assert_eq!(fewest.load(Ordering::Relaxed), 2, "endpoints at the worst moment");
    let why = policy::blocked(&cluster, "insisting", "insisting", "was", Reason::CannotSurge).await;
    assert!(why.contains("Service active"), "{why}");
    assert!(patches(&cluster, "plain") > 0);
    for shop in ["blue-green", "insisting", "canary"] {
        assert_eq!(patches(&cluster, shop), 0, "{shop}");
    }
    let phases = ["get", "rollouts", "-A", "-o", "jsonpath={.items[*].status.phase}"];
    let phases = cluster.kubectl(&phases).await.unwrap();
    assert_eq!(phases, "Healthy Healthy Healthy Healthy");
}
