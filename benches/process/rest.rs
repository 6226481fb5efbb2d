//! The operator without pods, as it is installed.

use std::time::Duration;

use crate::harness::{Cluster, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Operator, install};
use crate::{BINARY, memory_of};

/// Starts it on a control plane, waits until it leads, and prints its memory.
pub fn measure() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::start().await;
        for zone in ["a", "b", "c"] {
            cluster.add_zone(zone, 2).await;
        }
        install(&cluster).await;
        let kubeconfig =
            cluster.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT).await;
        let arguments = ["--namespace", OPERATOR_NAMESPACE];
        let mut operator = Operator::start(&cluster, BINARY, &kubeconfig, &arguments);
        operator.ready().await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let memory = memory_of(operator.id(), "VmRSS").unwrap_or_default();
        println!("the process at rest, without pods: {memory:.1} MB resident (aim: 20 MB)\n");
        operator.terminate().await;
    });
}
