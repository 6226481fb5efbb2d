//! Why tiers are unbalanced: many tiers side by side, each brought out of balance in its own
//! way, on one control plane.

use crate::harness::{Cluster, ScheduleAnyway, Workload, deployment};
use crate::policy::{self, policy, ready, tier, until};
use kube::ResourceExt;
use serde_json::json;
use zonespread::api::{Cause, TierStatus};

const SLOTS: &str = "example.com/slots";
const LIMITS: &str = "/spec/template/spec/containers/0/resources/limits";
const ZONE: &str = "topology.kubernetes.io/zone";
const COST: &str = "controller.kubernetes.io/pod-deletion-cost=-100";

/// Zones a, b and c, of which c has no slots; a fast node in zone a; and zone d for those
/// that bear its taint.
async fn nodes(cluster: &Cluster) {
    for zone in ["a", "b", "c"] {
        for number in 1..=2 {
            let node = cluster.node(&format!("{zone}{number}")).zone(zone).label("drained", "yes");
            let slots = if zone == "c" { "0" } else { "20" };
            let node = node.resource(SLOTS, slots);
            if zone == "c" { node.label("drained", "no") } else { node }.create().await;
        }
    }
    cluster.node("fast").zone("a").label("disk", "fast").create().await;
    for name in ["d1", "d2"] {
        let node = cluster.node(name).zone("d").label("drained", "yes");
        node.taint("dedicated", "drained", "NoSchedule").create().await;
    }
    cluster.wait_for_nodes().await;
    cluster.namespace("shop").await;
}

fn web(name: &str, replicas: u32) -> Workload {
    deployment("shop", name, replicas).label("part-of", "shop").spread(ScheduleAnyway)
}

async fn workloads(cluster: &Cluster) {
    let near = json!({
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100,
            "preference": {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["a", "b"]}]}}]},
        "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100,
            "podAffinityTerm": {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "constraint"}}}}]},
    });
    let tolerations = json!([{"key": "dedicated", "operator": "Exists"}]);
    let path = json!([{"name": "data", "hostPath": {"path": "/data"}}]);
    let all = [
        web("outage", 6),
        web("capacity", 4).request(SLOTS, "1").set(LIMITS, json!({SLOTS: "1"})),
        web("constraint", 4).pod_spec("affinity", near),
        web("pool", 2).pod_spec("nodeSelector", json!({"disk": "fast"})),
        web("scalein", 9),
        web("volume", 9).pod_spec("volumes", path),
        web("drained", 6)
            .pod_spec("nodeSelector", json!({"drained": "yes"}))
            .pod_spec("tolerations", tolerations),
    ];
    for workload in &all {
        cluster.apply(workload.to_string()).await;
    }
    let pods = [
        ("outage", 6),
        ("capacity", 4),
        ("constraint", 4),
        ("pool", 2),
        ("scalein", 9),
        ("volume", 9),
        ("drained", 6),
    ];
    for (app, pods) in pods {
        ready(cluster, "shop", &format!("app={app}"), pods).await;
    }
}

fn counts(tier: &TierStatus) -> Vec<(&str, i32)> {
    tier.zones.iter().map(|zone| (zone.name.as_str(), zone.pods)).collect()
}

async fn caused(cluster: &Cluster, name: &str, cause: Option<Cause>) {
    let what = format!("{name} to be unbalanced by {cause:?}");
    let status = until(cluster, "shop", "shop", &what, |status| {
        status.tiers.iter().any(|tier| tier.name == name && tier.cause == cause)
    })
    .await;
    let tier = tier(&status, name);
    println!("{name}: {:?}, {:?}, {:?}", counts(tier), tier.cause, tier.blocked);
}

/// The pods in zone c are the first to go when the Deployment is scaled in.
async fn scale_in_in_zone_c(cluster: &Cluster, name: &str) {
    let pods: Vec<String> = cluster
        .zone_pods("c")
        .await
        .into_iter()
        .filter(|pod| pod.labels().get("app").is_some_and(|app| app == name))
        .map(|pod| pod.name_any())
        .collect();
    assert_eq!(pods.len(), 3, "{name}: {pods:?}");
    for pod in &pods {
        cluster.kubectl(&["annotate", "pod", pod, "-n", "shop", COST]).await.unwrap();
    }
    let deployment = format!("deployment/{name}");
    cluster.kubectl(&["scale", &deployment, "--replicas=6", "-n", "shop"]).await.unwrap();
    ready(cluster, "shop", &format!("app={name}"), 6).await;
}

#[tokio::test]
async fn each_unbalanced_tier_says_what_made_it_so() {
    let cluster = Cluster::start().await;
    nodes(&cluster).await;
    workloads(&cluster).await;
    let _operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", "  mode: Observe\n")).await;

    // At rest: what was there before anybody looked.
    caused(&cluster, "capacity", Some(Cause::Capacity)).await;
    caused(&cluster, "constraint", Some(Cause::Constraint)).await;
    caused(&cluster, "pool", Some(Cause::SingleZonePool)).await;
    for name in ["outage", "scalein", "volume", "drained"] {
        caused(&cluster, name, None).await;
    }

    scale_in_in_zone_c(&cluster, "scalein").await;
    caused(&cluster, "scalein", Some(Cause::ScaleIn)).await;
    scale_in_in_zone_c(&cluster, "volume").await;
    caused(&cluster, "volume", Some(Cause::PinnedVolume)).await;

    for node in ["d1", "d2"] {
        let taint = "ToBeDeletedByClusterAutoscaler=now:NoSchedule";
        cluster.kubectl(&["taint", "node", node, taint]).await.unwrap();
    }
    policy::zone_until(&cluster, "d", "its nodes to be removed", |zone| zone.usable_nodes == 0)
        .await;
    cluster.evacuate_zone("d").await;
    ready(&cluster, "shop", "app=drained", 6).await;
    caused(&cluster, "drained", Some(Cause::Drain)).await;
    cluster.delete_zone("d").await;
    caused(&cluster, "drained", Some(Cause::ZoneWithoutNodes)).await;

    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    ready(&cluster, "shop", "app=outage", 6).await;
    caused(&cluster, "outage", Some(Cause::ZoneOutage)).await;
    cluster.uncordon_zone("c").await;
    policy::zone_until(&cluster, "c", "zone c to be back", |zone| zone.usable_nodes == 2).await;
    caused(&cluster, "outage", Some(Cause::ZoneOutage)).await;
}
