//! Replacements that are made to prefer a zone, by deploy/steering and a policy whose status
//! the test writes.

use super::field::Field;
use super::workloads::Workload;
use crate::dice::Dice;
use crate::harness::{self, Cluster};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// The admission policy hears of statuses by a watch.
const HEARD: Duration = Duration::from_millis(500);

impl Field {
    pub async fn install_steering(&mut self, cluster: &Cluster) {
        drop(harness::install(cluster).await);
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/steering");
        cluster.apply_kustomize(&directory).await;
        self.steers = true;
    }

    /// Makes new pods of the workload prefer some zone, mostly; gives that.
    pub async fn steer(&self, dice: &mut Dice, workload: &Workload) -> Option<String> {
        if !self.steers {
            return None;
        }
        let zones = self.mirror.look(|world| {
            let nodes = world.all("Node");
            let zone = |node: &serde_json::Value| {
                node["metadata"]["labels"]["topology.kubernetes.io/zone"]
                    .as_str()
                    .map(str::to_owned)
            };
            let mut zones: Vec<String> = nodes.filter_map(zone).collect();
            zones.sort();
            zones.dedup();
            zones.retain(|zone| !zone.is_empty());
            zones
        });
        let zone =
            (!zones.is_empty() && dice.chance(75)).then(|| zones[dice.below(zones.len())].clone());
        let policies = format!(
            "/apis/zonespread.io/v1alpha1/namespaces/{}/zonespreadpolicies",
            workload.namespace
        );
        let known = self.requests.list(&policies).await;
        if !known.iter().any(|policy| policy["metadata"]["name"] == *workload.app) {
            let policy = json!({"apiVersion": "zonespread.io/v1alpha1",
                "kind": "ZoneSpreadPolicy", "metadata": {"name": workload.app},
                "spec": {"selector": {"matchLabels": {"app": workload.app}}}});
            self.requests.post(&policies, &policy).await;
        }
        let until =
            (Timestamp::now() + SignedDuration::from_mins(10)).strftime("%Y-%m-%dT%H:%M:%SZ");
        let tiers: Vec<_> = zone
            .iter()
            .map(|zone| json!({"name": workload.app, "zone": zone, "until": until.to_string()}))
            .collect();
        let status = json!({"status": {"steering": {"available": true, "tiers": tiers}}});
        self.requests.patch(&format!("{policies}/{}/status", workload.app), &status).await;
        tokio::time::sleep(HEARD).await;
        zone
    }
}
