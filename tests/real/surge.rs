//! Start before stop: the budget that refuses every eviction, the fence, and what is left
//! behind when everything is taken away in between.

use crate::harness::{
    Cluster, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Operator, ScheduleAnyway, Workload, deployment,
    disruption_budget, eventually, evictions, install,
};
use crate::policy::{self, SOON, phase, policy, ready, until};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use zonespread::api::{MoveKind, MoveState, Phase};

/// As `kubectl apply -k deploy/surge` does, without the Deployment.
pub async fn install_surge(cluster: &Cluster) -> PathBuf {
    let kubeconfig = install(cluster).await;
    for file in ["rbac.yaml", "fence.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/surge").join(file);
        cluster.kubectl(&["apply", "-f", &path.display().to_string()]).await.unwrap();
    }
    kubeconfig
}

/// Two replicas of a slow starter behind a Service and a budget, in zones a and c.
pub fn a_slow_pair(namespace: &str) -> Workload {
    deployment(namespace, "was", 2)
        .label("part-of", namespace)
        .spread(ScheduleAnyway)
        .start_delay("3s")
}

pub async fn apply_pair(
    cluster: &Cluster,
    pair: Workload,
    namespace: &str,
    rule: &str,
    value: Value,
) {
    cluster.namespace(namespace).await;
    cluster.apply(pair.to_string()).await;
    cluster.apply(disruption_budget(namespace, "was", rule, value)).await;
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": namespace, "name": "was"},
        "spec": {"selector": {"app": "was"}, "ports": [{"port": 80}]}});
    cluster.apply(service.to_string()).await;
    ready(cluster, namespace, "app=was", 2).await;
}

pub async fn ready_endpoints(cluster: &Cluster, namespace: &str) -> usize {
    let slices: Api<EndpointSlice> = Api::namespaced(cluster.client(), namespace);
    let slices = slices.list(&ListParams::default()).await.expect("endpoint slices").items;
    let endpoints = slices.into_iter().filter_map(|slice| slice.endpoints).flatten();
    let is_ready = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        endpoint.conditions.as_ref().is_some_and(|conditions| conditions.ready == Some(true))
    };
    endpoints.filter(is_ready).count()
}

/// The operator has proven that it may.
pub async fn can_surge(operator: &Operator) {
    eventually(SOON, "the right to be proven", async || {
        operator.log().contains("pods can be replaced before they stop").then_some(())
    })
    .await;
}

/// Nothing of a surge is left on any pod.
pub async fn left_behind(cluster: &Cluster, namespace: &str) -> Vec<String> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let pods = pods.list(&ListParams::default()).await.unwrap().items;
    let is_part = |pod: &Pod| {
        let marked = pod.annotations().contains_key("zonespread.io/move");
        let released = pod.labels().values().any(|value| value.ends_with("-released"));
        pod.metadata.deletion_timestamp.is_none() && (marked || released)
    };
    pods.iter().filter(|pod| is_part(pod)).map(ResourceExt::name_any).collect()
}

pub const HOLD: &str = "  rebalance: {holdDown: 2s}\n";

/// Both pods are in zone a, and zone c is usable again.
pub async fn lose_and_give_back(cluster: &Cluster, namespaces: &[&str]) {
    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    for namespace in namespaces {
        ready(cluster, namespace, "app=was", 2).await;
        phase(cluster, namespace, namespace, Phase::Frozen).await;
        eventually(SOON, "two endpoints", async || {
            let seen = ready_endpoints(cluster, namespace).await;
            if seen == 2 { Ok(()) } else { Err(seen.to_string()) }
        })
        .await;
    }
    cluster.uncordon_zone("c").await;
}

#[tokio::test]
async fn two_replicas_behind_a_tight_budget_come_home_without_a_dip() {
    let cluster = Arc::new(Cluster::start().await);
    for zone in ["a", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    let shops = ["least", "most"];
    apply_pair(&cluster, a_slow_pair("least"), "least", "minAvailable", 2.into()).await;
    apply_pair(&cluster, a_slow_pair("most"), "most", "maxUnavailable", 0.into()).await;
    let kubeconfig = install_surge(&cluster).await;
    let operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    for shop in shops {
        cluster.apply(policy(shop, shop, HOLD)).await;
        phase(&cluster, shop, shop, Phase::Balanced).await;
    }
    can_surge(&operator).await;
    lose_and_give_back(&cluster, &shops).await;
    assert_eq!(evictions(&cluster), 0);

    let (fewest, done) = (Arc::new(AtomicUsize::new(2)), Arc::new(AtomicBool::new(false)));
    let watched = {
        let (cluster, fewest, done) = (cluster.clone(), fewest.clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                for shop in shops {
                    let seen = ready_endpoints(&cluster, shop).await;
                    fewest.fetch_min(seen, Ordering::Relaxed);
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        })
    };
    for shop in shops {
        let status = until(&cluster, shop, shop, "the move to have landed", |status| {
            status.moves.iter().any(|moved| moved.state == MoveState::Landed)
        })
        .await;
        assert_eq!(status.moves.len(), 1, "{:?}", status.moves);
        assert_eq!(status.moves[0].kind, MoveKind::Surge);
        phase(&cluster, shop, shop, Phase::Balanced).await;
        let spread = cluster.spread(shop, "app=was").await;
        assert_eq!(spread.values().copied().collect::<Vec<_>>(), [1, 1], "{shop}");
        assert_eq!(left_behind(&cluster, shop).await, Vec::<String>::new());
    }
    done.store(true, Ordering::Relaxed);
    watched.await.unwrap();
    assert_eq!(fewest.load(Ordering::Relaxed), 2, "endpoints at the worst moment");
    assert_eq!(evictions(&cluster), 2, "one for each");
}

/// Patches of a pod that the fence must refuse, besides those of the operator itself.
fn forbidden() -> Vec<(&'static str, Value)> {
    let metadata = |value: Value| json!({"metadata": value});
    let mut patches = vec![
        ("image", json!({"spec": {"containers": [{"name": "main", "image": "evil:1"}]}})),
        ("deadline", json!({"spec": {"activeDeadlineSeconds": 10}})),
        ("toleration", json!({"spec": {"tolerations": [{"operator": "Exists"}]}})),
        ("grace", json!({"spec": {"terminationGracePeriodSeconds": 1}})),
        ("node", json!({"spec": {"nodeName": "elsewhere"}})),
        ("gates", json!({"spec": {"schedulingGates": [{"name": "x"}]}})),
        ("account", json!({"spec": {"serviceAccountName": "admin"}})),
        ("priority", json!({"spec": {"priority": 1_000_000}})),
        ("host network", json!({"spec": {"hostNetwork": true}})),
        ("another label", metadata(json!({"labels": {"evil": "1"}}))),
        ("the app", metadata(json!({"labels": {"app": "evil"}}))),
        ("no app", metadata(json!({"labels": {"app": null}}))),
        ("no hash", metadata(json!({"labels": {"pod-template-hash": null}}))),
        ("another hash", metadata(json!({"labels": {"pod-template-hash": "evil"}}))),
        ("an empty hash", metadata(json!({"labels": {"pod-template-hash": ""}}))),
        ("a hash of Rollouts", metadata(json!({"labels": {"rollouts-pod-template-hash": "x"}}))),
        (
            "a cost alone",
            metadata(json!({"annotations": {
            "controller.kubernetes.io/pod-deletion-cost": "-100"}})),
        ),
        (
            "a mark at somebody else's cost",
            metadata(json!({"annotations": {"zonespread.io/deletion-cost": "50"}})),
        ),
        ("another cost in place of somebody else's", metadata_of_cost("-2")),
        (
            "no cost in place of somebody else's",
            metadata(json!({"annotations": {"controller.kubernetes.io/pod-deletion-cost": null}})),
        ),
        ("a finalizer", metadata(json!({"finalizers": ["evil/x"]}))),
        ("no owner", metadata(json!({"ownerReferences": [{"$patch": "replace"}]}))),
        (
            "another owner",
            metadata(json!({"ownerReferences": [{"apiVersion": "v1",
            "kind": "ConfigMap", "name": "x", "uid": "x"}]})),
        ),
    ];
    let annotations = [
        "zonespread.io/do-not-evict",
        "zonespread.io/paused",
        "zonespread.io/moved",
        "karpenter.sh/do-not-disrupt",
        "cluster-autoscaler.kubernetes.io/safe-to-evict",
        "kubectl.kubernetes.io/restartedAt",
        "prometheus.io/scrape",
        "sidecar.istio.io/inject",
        "kubernetes.io/config.mirror",
        "evil/x",
    ];
    let labels = [
        "zonespread.io/move",
        "tier",
        "part-of",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "controller-revision-hash",
        "app.kubernetes.io/name",
        "apps.kubernetes.io/pod-index",
        "statefulset.kubernetes.io/pod-name",
        "job-name",
    ];
    patches.extend(annotations.map(|key| (key, metadata(json!({"annotations": {key: "x"}})))));
    patches.extend(labels.map(|key| (key, metadata(json!({"labels": {key: "x"}})))));
    patches
}

fn metadata_of_cost(cost: &str) -> Value {
    json!({"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": cost,
                                        "zonespread.io/deletion-cost": cost}}})
}

#[tokio::test]
async fn the_fence_lets_the_operator_release_a_pod_and_do_nothing_else() {
    let cluster = Cluster::start().await;
    cluster.add_zone("a", 1).await;
    for namespace in ["shop", "strangers"] {
        cluster.namespace(namespace).await;
        cluster.apply(deployment(namespace, "web", 1).to_string()).await;
        ready(&cluster, namespace, "app=web", 1).await;
    }
    install_surge(&cluster).await;
    cluster.apply(policy("shop", "shop", "")).await;
    let client = cluster.client_for(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT).await;
    let pods = |namespace: &str| Api::<Pod>::namespaced(client.clone(), namespace);
    let pod = cluster.pods("shop", "app=web").await.remove(0);
    let name = pod.name_any();
    let hash = pod.labels()["pod-template-hash"].clone();
    let patch = async |namespace: &str, name: &str, patch: &Value| {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        pods(namespace).patch(name, &params, &Patch::Strategic(patch)).await
    };
    let released = format!("{hash}-released");
    let release = |mark: bool, uid: Option<&str>| {
        let annotations = if mark { json!({"zonespread.io/move": "{}"}) } else { json!({}) };
        json!({"metadata": {"uid": uid, "annotations": annotations,
                            "labels": {"pod-template-hash": released}}})
    };
    // Each of the two policies takes effect a moment after it was applied, on its own.
    let stranger = cluster.pods("strangers", "app=web").await.remove(0).name_any();
    eventually(SOON, "the fence", async || {
        let label = patch("shop", &name, &forbidden()[9].1).await.is_err();
        let namespace = patch("strangers", &stranger, &release(true, None)).await.is_err();
        if label && namespace { Ok(()) } else { Err(format!("{label} {namespace}")) }
    })
    .await;
    let forbidden = forbidden();
    assert!(forbidden.len() >= 40);
    // A cost is the operator's own where nobody else has written one.
    let own = metadata_of_cost("-2");
    patch("shop", &name, &own).await.expect("a cost of its own");
    let users = "controller.kubernetes.io/pod-deletion-cost=50";
    cluster.kubectl(&["annotate", "pod", "-n", "shop", &name, users]).await.unwrap();
    assert!(patch("shop", &name, &own).await.is_err());
    for (what, refused) in &forbidden {
        let answer = patch("shop", &name, refused).await;
        assert!(answer.is_err(), "{what} is let through");
    }
    let uid = pod.uid().unwrap();
    assert!(patch("shop", &name, &release(false, None)).await.is_err(), "without a mark");
    assert!(patch("shop", &name, &release(true, Some("another"))).await.is_err());
    let refused = patch("strangers", &stranger, &release(true, None)).await;
    let refused = refused.expect_err("there is no policy").to_string();
    assert!(refused.contains("'zonespread-surge-namespaces'"), "{refused}");
    for subresource in ["status", "resize", "ephemeralcontainers"] {
        let answer = cluster.client_for(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT).await;
        let pods: Api<Pod> = Api::namespaced(answer, "shop");
        let body = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}}));
        let answer =
            pods.patch_subresource(subresource, &name, &PatchParams::default(), &body).await;
        assert!(answer.is_err(), "{subresource}");
    }
    eventually(SOON, "a release with its mark to be let through", async || {
        patch("shop", &name, &release(true, Some(&uid))).await.map_err(|err| err.to_string())
    })
    .await;
}
