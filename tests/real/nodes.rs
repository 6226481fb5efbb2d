//! Nodes and pods at the edge: what is no part of a zone, or no part of a count.

use crate::harness::{Cluster, Workload, ZONE, pod};
use crate::policy::{self, policy, tier, zone, zone_object};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use zonespread::api::{Phase, ZoneState};

/// More than a debug build takes, and far less than a cache of whole objects would.
const MEMORY_AT_REST: u64 = 60 * 1024 * 1024;

/// A pod of the tier `web`, on this node.
fn web(name: &str, node: &str) -> Workload {
    let pod = pod("shop", name).label("app", "web").label("part-of", "shop");
    pod.pod_spec("nodeName", node.into())
}

async fn nodes(cluster: &Cluster) {
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 1).await;
    }
    cluster.node("nowhere").create().await;
    cluster.node("blank").zone("").create().await;
    // Counted, these two would put zone c out: nothing makes them Ready.
    for name in ["control-1", "control-2"] {
        let node = cluster.node(name).zone("c").label("zonespread.test/down", "true");
        node.taint("node-role.kubernetes.io/control-plane", "", "NoSchedule").create().await;
    }
    cluster.wait_for_nodes().await;
}

/// Four that count, two in no zone, and one of each kind that does not count.
async fn pods(cluster: &Cluster) {
    cluster.namespace("shop").await;
    let counted = [("web-1", "a1"), ("web-2", "a1"), ("web-3", "b1"), ("web-4", "c1")];
    let elsewhere = [("in-no-zone", "nowhere"), ("in-a-nameless-zone", "blank")];
    for (name, node) in counted.into_iter().chain(elsewhere) {
        cluster.apply(web(name, node).to_string()).await;
    }
    for name in ["finished-1", "finished-2"] {
        cluster.apply(web(name, "c1").to_string()).await;
    }
    for name in ["leaving-1", "leaving-2"] {
        cluster.apply(web(name, "c1").stop_delay("1h").to_string()).await;
    }
    let homeless = pod("shop", "homeless").label("app", "web").label("part-of", "shop");
    let nowhere = json!({"zonespread.test/no-such-node": "true"});
    cluster.apply(homeless.pod_spec("nodeSelector", nowhere).to_string()).await;
    policy::ready(cluster, "shop", "app=web", 10).await;

    let api: Api<Pod> = Api::namespaced(cluster.client(), "shop");
    let succeeded = json!({"status": {"phase": "Succeeded"}});
    for name in ["finished-1", "finished-2"] {
        let patch = Patch::Merge(&succeeded);
        api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }
    for name in ["leaving-1", "leaving-2"] {
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_in_no_zone_or_does_not_count_breaks_no_count() {
    let cluster = Cluster::start().await;
    nodes(&cluster).await;
    let operator = policy::operator(&cluster).await;
    let memory = operator.rss_bytes();
    println!(
        "at rest without pods: {:.1} MiB",
        f64::from(u32::try_from(memory / 1024).unwrap()) / 1024.0
    );
    assert!(memory < MEMORY_AT_REST, "{memory} bytes");

    pods(&cluster).await;
    cluster.apply(policy("shop", "shop", "")).await;
    let zones = "a:2 b:1 c:1 none:2";
    let seen =
        policy::until(&cluster, "shop", "shop", zones, |status| status.summary.zones == zones)
            .await;
    assert!(seen.message.contains("in-no-zone on node nowhere"), "{}", seen.message);
    let web = tier(&seen, "web");
    let zones: Vec<(&str, i32)> =
        web.zones.iter().map(|zone| (zone.name.as_str(), zone.pods)).collect();
    assert_eq!(zones, [("a", 2), ("b", 1), ("c", 1)]);
    let names: Vec<&str> = seen.zones.iter().map(|zone| zone.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"], "no zone without a name");
    assert_eq!((web.skew, seen.phase), (1, Some(Phase::Balanced)), "{seen:#?}");
    let mut recount = cluster.spread("shop", "app=web").await;
    recount.remove("");
    assert_eq!(recount.into_values().collect::<Vec<_>>(), [2, 1, 1]);

    let c = zone(&seen, "c");
    let counted = zone_object(&cluster, "c").await;
    assert_eq!((c.state, counted.nodes, counted.usable_nodes), (ZoneState::Ready, 1, 1), "{c:?}");
    assert_eq!(cluster.nodes(&format!("{ZONE}=c")).await.len(), 3);
    let nameless = operator
        .metrics()
        .await
        .into_iter()
        .find(|sample| sample.labels.get("zone").is_some_and(String::is_empty));
    assert_eq!(nameless, None);
}
