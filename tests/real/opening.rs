//! A zone that comes back without nodes, with the real Karpenter: it is opened by a probe pod,
//! and filled. A zone whose last node Karpenter removed in order is no outage.

use crate::harness::{
    Cluster, DoNotSchedule, OPERATOR_NAMESPACE, Operator, ZONE, deployment, eventually, evictions,
    install, node_pool,
};
use crate::policy::{self, phase, policy, status, tier, until, zone_object};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use std::path::Path;
use std::time::Duration;
use zonespread::api::{Phase, Reason, ZoneState, ZoneStatus};

/// As `kubectl apply -k deploy/opening` does, without the Deployment.
async fn install_opening(cluster: &Cluster) -> Operator {
    let kubeconfig = install(cluster).await;
    let rights = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/opening/rbac.yaml");
    cluster.kubectl(&["apply", "-f", &rights.display().to_string()]).await.unwrap();
    let arguments = ["--probe-image", "zonespread:test", "--probe-timeout", "4s"];
    policy::replica(cluster, &kubeconfig, &arguments).await
}

async fn probes(cluster: &Cluster) -> Vec<String> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), OPERATOR_NAMESPACE);
    let params = ListParams::default().labels("zonespread.io/probe");
    pods.list(&params).await.unwrap().items.iter().map(ResourceExt::name_any).collect()
}

async fn zone_until(
    cluster: &Cluster,
    zone: &str,
    what: &str,
    wanted: impl Fn(&ZoneStatus) -> bool,
) -> ZoneStatus {
    eventually(Duration::from_mins(1), what, async || {
        let seen = zone_object(cluster, zone).await;
        if wanted(&seen) { Ok(seen) } else { Err(format!("{seen:#?}")) }
    })
    .await
}

async fn spreads(cluster: &Cluster, shop: &str, expected: &[usize]) {
    eventually(Duration::from_mins(1), &format!("a spread of {expected:?}"), async || {
        let seen = cluster.spread(shop, "app=web").await;
        let mut counts: Vec<usize> = seen.values().copied().collect();
        counts.retain(|count| *count > 0);
        if counts == expected { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

const HOLD: &str = "  rebalance: {holdDown: 2s, settle: 0s}\n";

#[tokio::test]
async fn a_zone_that_comes_back_without_nodes_is_opened_and_filled() {
    let cluster = Cluster::start().await;
    cluster.start_karpenter(&node_pool(&["a", "b", "c"])).await;
    cluster.namespace("shop").await;
    let web = deployment("shop", "web", 6)
        .label("part-of", "shop")
        .request("cpu", "500m")
        .spread(DoNotSchedule);
    cluster.apply(web.to_string()).await;
    spreads(&cluster, "shop", &[2, 2, 2]).await;
    let operator = install_opening(&cluster).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;

    // The outage: kubelets are gone, then the nodes; Karpenter may make none there.
    cluster.fail_zone("c").await;
    cluster.apply(node_pool(&["a", "b"]).to_string()).await;
    cluster.delete_zone("c").await;
    spreads(&cluster, "shop", &[3, 3]).await;

    // It is said what keeps the zone closed, and asked for less and less often.
    let closed = zone_until(&cluster, "c", "two probes to have failed", |zone| {
        zone.opening.as_ref().is_some_and(|opening| opening.failures >= 2)
    })
    .await;
    let opening = closed.opening.unwrap();
    assert!(opening.message.contains("did not get a node within 4s"), "{opening:?}");
    assert!(opening.message.contains("karpenter: "), "{opening:?}");
    let pause = opening.retry_at.unwrap().0.duration_since(k8s_openapi::jiff::Timestamp::now());
    assert!(pause.as_secs() > 4, "the pause has doubled: {pause}");
    let told = status(&cluster, "shop", "shop").await;
    let blocked = tier(&told, "web").blocked.clone().unwrap();
    assert_eq!(blocked.reason, Reason::OpeningZone);
    assert_eq!((told.phase, evictions(&cluster)), (Some(Phase::Holding), 0));
    eventually(Duration::from_secs(5), "no probe in the pause", async || {
        let left = probes(&cluster).await;
        if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
    })
    .await;

    // Karpenter may use it again: nobody has to do anything more.
    cluster.apply(node_pool(&["a", "b", "c"]).to_string()).await;
    zone_until(&cluster, "c", "the zone to have been opened", |zone| {
        zone.opening.as_ref().is_some_and(|opening| opening.opened_at.is_some())
    })
    .await;
    let opened: Vec<String> = cluster.zone_nodes("c").await.iter().map(Node::name_any).collect();
    until(&cluster, "shop", "shop", "two moves to have landed", |status| {
        status.summary.moves == "2/2"
    })
    .await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    spreads(&cluster, "shop", &[2, 2, 2]).await;
    assert_eq!(evictions(&cluster), 2, "the minimum");
    assert_eq!(probes(&cluster).await, Vec::<String>::new());
    let kept: Vec<String> = cluster.zone_nodes("c").await.iter().map(Node::name_any).collect();
    assert_eq!(kept, opened, "the node was kept until the replacement was on it");
    assert_eq!(operator.metric("zonespread_probe_pods", &[("zone", "c")]).await, None);
}

#[tokio::test]
async fn a_zone_whose_last_node_karpenter_removes_in_order_is_no_outage() {
    let cluster = Cluster::start().await;
    cluster.start_karpenter(&node_pool(&["a", "b"])).await;
    cluster.namespace("shop").await;
    let alone =
        deployment("shop", "alone", 1).pod_spec("nodeSelector", serde_json::json!({ZONE: "c"}));
    let web = deployment("shop", "web", 2).label("part-of", "shop").spread(DoNotSchedule);
    cluster.apply(web.to_string()).await;
    spreads(&cluster, "shop", &[1, 1]).await;
    cluster.apply(node_pool(&["a", "b", "c"]).to_string()).await;
    cluster.apply(alone.to_string()).await;
    eventually(Duration::from_mins(1), "a node in zone c", async || {
        (!cluster.zone_nodes("c").await.is_empty()).then_some(())
    })
    .await;
    let _operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", "  mode: Observe\n")).await;
    zone_until(&cluster, "c", "zone c to be Ready", |zone| zone.state == Some(ZoneState::Ready))
        .await;
    // As it does when it consolidates: it taints the node, drains it and deletes it.
    cluster.kubectl(&["delete", "deployment", "alone", "-n", "shop"]).await.unwrap();
    let of_zone = format!("{ZONE}=c");
    cluster.kubectl(&["delete", "nodeclaims", "-l", &of_zone, "--wait=false"]).await.unwrap();
    let empty =
        zone_until(&cluster, "c", "zone c to be without nodes", |zone| zone.nodes == 0).await;
    assert_eq!((empty.state, empty.outages), (Some(ZoneState::Empty), 0), "{empty:#?}");
    assert!(empty.message.contains("removed in order"), "{}", empty.message);
    let told = status(&cluster, "shop", "shop").await;
    assert_ne!(told.phase, Some(Phase::Frozen), "{told:#?}");
}
