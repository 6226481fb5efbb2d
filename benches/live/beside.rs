//! The outlook beside the real scheduler: how many pods of a lost zone each of them places in
//! a second, in the same cluster.

use std::hint::black_box;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use zonespread::observe::{
    Change, Index, WatchedDeployment, WatchedNode, WatchedPod, WatchedReplicaSet, Zone,
};
use zonespread::outlook::Outlook;
use zonespread::predict::SchedulerConfig;

use crate::harness::{Cluster, Component, ScheduleAnyway, deployment, eventually};

const ZONES: [&str; 3] = ["a", "b", "c"];
const LOST: &str = "c";
const NODES_OF_A_ZONE: usize = 20;
const TIERS: usize = 50;
const REPLICAS: u32 = 30;
const NAMESPACE: &str = "shop";
const SETUP_WITHIN: Duration = Duration::from_mins(8);
/// How often the outlook is made; the mean counts.
const TIMES: u32 = 20;

/// Loses the zone on paper and then for good, and prints how fast its pods were placed.
pub async fn measure() {
    let cluster = Cluster::start().await;
    set_up(&cluster).await;
    let index = index(&cluster).await;
    let (config, lost) = (SchedulerConfig::default(), Zone::new(LOST));
    let began = Instant::now();
    let mut placed = 0;
    for _ in 0..TIMES {
        let outlook = black_box(Outlook::of(&index, &config, Some(&lost)));
        // Each is placed in both phases.
        placed += outlook.zones[0].tiers.iter().map(|tier| 2 * tier.lost).sum::<usize>();
    }
    let on_paper = placed as f64 / began.elapsed().as_secs_f64();

    // The scheduler sees all of them at once, as it does when their nodes are gone.
    cluster.freeze(Component::Scheduler).await;
    cluster.cordon_zone(LOST).await;
    cluster.evacuate_zone(LOST).await;
    let displaced = placed / 2 / TIMES as usize;
    eventually(SETUP_WITHIN, "replacements", async || {
        let waiting = waiting(&cluster).await;
        if waiting == displaced { Ok(()) } else { Err(format!("{waiting} of {displaced}")) }
    })
    .await;
    let began = Instant::now();
    cluster.thaw(Component::Scheduler);
    while waiting(&cluster).await > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let for_good = displaced as f64 / began.elapsed().as_secs_f64();
    println!(
        "outlook beside kube-scheduler, {} nodes, {} pods, {displaced} of them in the zone: {on_paper:.0} pods a second on paper, {for_good:.0} by the scheduler, {:.0} times as many\n",
        ZONES.len() * NODES_OF_A_ZONE,
        TIERS * REPLICAS as usize,
        on_paper / for_good
    );
}

async fn set_up(cluster: &Cluster) {
    for zone in ZONES {
        for number in 1..=NODES_OF_A_ZONE {
            let node = cluster.node(&format!("{zone}{number}")).zone(zone);
            node.cpu("32").memory("128Gi").create().await;
        }
    }
    cluster.wait_for_nodes().await;
    cluster.namespace(NAMESPACE).await;
    let workloads: Vec<String> = (0..TIERS)
        .map(|tier| {
            let workload = deployment(NAMESPACE, &format!("tier-{tier}"), REPLICAS);
            workload.spread(ScheduleAnyway).request("cpu", "100m").to_string()
        })
        .collect();
    cluster.apply(workloads.join("\n---\n")).await;
    let all = TIERS * REPLICAS as usize;
    eventually(SETUP_WITHIN, "all pods on nodes", async || {
        let pods = pods(cluster).await;
        let on_nodes = pods.iter().filter(|pod| is_on_a_node(pod)).count();
        if on_nodes == all { Ok(()) } else { Err(format!("{on_nodes} of {all}")) }
    })
    .await;
}

fn is_on_a_node(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())
}

async fn pods(cluster: &Cluster) -> Vec<Pod> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
    pods.list(&ListParams::default()).await.unwrap().items
}

async fn waiting(cluster: &Cluster) -> usize {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
    // An empty node name is none.
    let params = ListParams::default().fields("spec.nodeName=");
    pods.list_metadata(&params).await.unwrap().items.len()
}

/// What the operator would know of the cluster.
async fn index(cluster: &Cluster) -> Index {
    let client = || cluster.client();
    let params = ListParams::default();
    let mut index = Index::default();
    let nodes: Api<WatchedNode> = Api::all(client());
    for node in nodes.list(&params).await.unwrap() {
        index.apply(Change::Node(node));
    }
    let deployments: Api<WatchedDeployment> = Api::namespaced(client(), NAMESPACE);
    for deployment in deployments.list(&params).await.unwrap() {
        index.apply(Change::Deployment(deployment));
    }
    let sets: Api<WatchedReplicaSet> = Api::namespaced(client(), NAMESPACE);
    for set in sets.list(&params).await.unwrap() {
        index.apply(Change::ReplicaSet(set));
    }
    let pods: Api<WatchedPod> = Api::namespaced(client(), NAMESPACE);
    for pod in pods.list(&params).await.unwrap() {
        assert!(!pod.name_any().is_empty());
        index.apply(Change::Pod(pod));
    }
    index
}
