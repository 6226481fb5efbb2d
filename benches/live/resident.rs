//! Memory and processor time of the operator in a large cluster.

use std::time::{Duration, Instant};

use crate::build::{Build, Table, rounds};
use crate::cluster::{LARGE, Size};
use crate::harness::{Cluster, OPERATOR_NAMESPACE, Operator, install_build, uninstall_build};
use crate::large;
use crate::usage::{cpu_of, memory_of};

const SIZE: Size = Size { nodes: 3_000, pods: 90_000, tiers: 1_500, ..LARGE };

/// A cluster of that size takes a while to list where two cores do everything.
const READY_WITHIN: Duration = Duration::from_mins(5);
/// By then the allocator has given back what only the first lists needed.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);

/// Starts each build on the same cluster, of etcd and API server only, and prints its costs.
pub async fn measure(builds: &[Build]) {
    let cluster = Cluster::start_api_server_only().await;
    let began = Instant::now();
    large::fill(&cluster, SIZE).await;
    println!(
        "live, {} nodes, {} pods, {} tiers (written in {:.0?}); MB are resident, CPU is that of the process",
        SIZE.nodes,
        SIZE.pods,
        SIZE.tiers,
        began.elapsed()
    );
    let mut table = Table::new(&[
        "settled, MB",
        "most, MB",
        "CPU until ready, s",
        "CPU, 30 s later, s",
        "time until ready, s",
    ]);
    for _ in 0..rounds() {
        for build in builds {
            table.add(build, measure_one(&cluster, build).await);
        }
    }
    table.print();
}

async fn measure_one(cluster: &Cluster, build: &Build) -> Vec<f64> {
    let kubeconfig = install_build(cluster, &build.binary).await;
    large::apply_policies(cluster, SIZE).await;
    let began = Instant::now();
    let arguments = ["--namespace", OPERATOR_NAMESPACE];
    let mut operator = Operator::start(cluster, &build.binary, &kubeconfig, &arguments);
    operator.ready_within(READY_WITHIN).await;
    let ready = began.elapsed();
    let process = operator.id();
    let cpu = || cpu_of(process).expect("it runs").as_secs_f64();
    let until_ready = cpu();
    tokio::time::sleep(SETTLES_WITHIN).await;
    let until_settled = cpu();
    let memory = |what| memory_of(process, what).expect("it runs");
    let numbers =
        vec![memory("VmRSS"), memory("VmHWM"), until_ready, until_settled, ready.as_secs_f64()];
    let samples = operator.metrics().await;
    let counted = samples.iter().filter(|sample| sample.name == "zonespread_tier_pods");
    let counted: f64 = counted.map(|sample| sample.value).sum();
    let missed = (SIZE.pods as f64 - counted).abs();
    assert!(missed < 0.5, "it counts {counted} pods:\n{}", operator.last_words());
    operator.terminate().await;
    uninstall_build(cluster).await;
    numbers
}
