//! Argo Rollouts: its CRDs, its controller, and the workloads that it runs.

use super::binaries;
use super::cluster::Cluster;
use super::components::Component;
use super::control_plane::run;
use super::workload::Workload;
use serde_json::Value;

/// A `Rollout`; `strategy` is that of its spec.
pub fn rollout(namespace: &str, name: &str, replicas: u32, strategy: Value) -> Workload {
    Workload::new("argoproj.io/v1alpha1", "Rollout", namespace, name)
        .set("/spec/replicas", replicas.into())
        .set("/spec/strategy", strategy)
}

impl Cluster {
    /// Installs the CRDs of Argo Rollouts, and starts its controller.
    pub async fn start_rollouts(&self) {
        let crds = binaries::rollouts().join("crds").display().to_string();
        // Some of them are too large for the annotation of a client-side apply.
        let apply = ["apply", "--server-side", "-k", &crds];
        self.kubectl(&apply).await.unwrap_or_else(|error| panic!("{error}"));
        self.crds_are_established().await;
        let arguments = vec![
            format!("--kubeconfig={}", self.admin_kubeconfig().display()),
            "--leader-elect=false".to_owned(),
            format!("--healthzPort={}", self.next_port()),
            format!("--metricsport={}", self.next_port()),
        ];
        let components = &self.control_plane().components;
        let which = (Component::Rollouts, None);
        run(components, which, arguments, self.directory(), self.watchdog());
    }
}
