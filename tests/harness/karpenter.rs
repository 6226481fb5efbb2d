//! Karpenter with its kwok provider: it makes Node objects, and kwok runs them.

use super::binaries;
use super::cluster::Cluster;
use super::components::Component;
use super::eventually::eventually;
use super::process::Process;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const NAMESPACE: &str = "karpenter";

impl Cluster {
    /// Starts Karpenter, with one kind of node: 2 CPUs (1.9 for pods), in the zones a, b and c.
    /// `pool` is its only `NodePool`, see [`node_pool`].
    pub async fn start_karpenter(&self, pool: &Value) {
        let crds = binaries::karpenter().join("crds");
        let crds = crds.display().to_string();
        let applied = self.kubectl(&["apply", "--server-side", "-f", &crds]).await;
        applied.unwrap_or_else(|error| panic!("{error}"));
        self.namespace(NAMESPACE).await;
        self.crds_are_established().await;
        let types = self.directory().join("instance-types.json");
        std::fs::write(&types, instance_types().to_string()).expect("a file of instance types");
        let mut command = Command::new(binaries::karpenter().join(Component::Karpenter.program()));
        command
            .env("KUBECONFIG", self.kubeconfig_of("karpenter"))
            .env("DISABLE_LEADER_ELECTION", "true")
            .env("METRICS_PORT", self.next_port().to_string())
            .env("HEALTH_PROBE_PORT", self.next_port().to_string())
            .env("SYSTEM_NAMESPACE", NAMESPACE)
            .env("INSTANCE_TYPES_FILE_PATH", &types);
        let program = Component::Karpenter.program();
        let process = Process::start(program, command, self.directory(), self.watchdog());
        self.control_plane().components.add(Component::Karpenter, process);
        let class = json!({"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass",
            "metadata": {"name": "default"}, "spec": {}});
        self.apply(class.to_string()).await;
        self.apply(pool.to_string()).await;
        eventually(Duration::from_mins(1), "Karpenter to know its pool", async || {
            self.control_plane().components.assert_running();
            let ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
            match self.kubectl(&["get", "nodepool", "default", "-o", ready]).await {
                Ok(status) if status == "True" => Ok(()),
                Ok(status) => Err(status),
                Err(error) => Err(error),
            }
        })
        .await;
    }
}

/// The pool of all nodes, which may be made in these zones.
pub fn node_pool(zones: &[&str]) -> Value {
    json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "default"},
    "spec": {
        "template": {"spec": {
            "nodeClassRef":
                {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"},
            "requirements": [
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": zones},
                {"key": "karpenter.sh/capacity-type", "operator": "In",
                 "values": ["on-demand"]},
            ],
        }},
        "disruption":
            {"consolidationPolicy": "WhenEmptyOrUnderutilized", "consolidateAfter": "5s"},
    }})
}

fn instance_types() -> Value {
    let offering = |zone: &str| {
        json!({"Price": 1.0, "Available": true, "Requirements": [
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]},
        ]})
    };
    let offerings = ["a", "b", "c"].map(offering);
    json!([{
        "name": "s-2x-amd64-linux", "architecture": "amd64", "operatingSystems": ["linux"],
        "resources": {"cpu": "2", "memory": "4Gi", "ephemeral-storage": "20Gi", "pods": "16"},
        "offerings": offerings,
    }])
}
