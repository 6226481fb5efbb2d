//! An independent recount: pods per zone as kube-scheduler counts them.

use super::cluster::Cluster;
use super::nodes::ZONE;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use std::collections::BTreeMap;

/// Pods by zone; every zone that has nodes is in it.
pub type Spread = BTreeMap<String, usize>;

impl Cluster {
    /// Counts the pods that match the label selector: those that are assigned to a node
    /// in a zone, not terminating and not finished. Readiness does not matter.
    pub async fn spread(&self, namespace: &str, selector: &str) -> Spread {
        let zone_of: BTreeMap<String, String> = self
            .nodes(ZONE)
            .await
            .iter()
            .map(|node| (node.name_any(), node.labels()[ZONE].clone()))
            .collect();
        let mut spread: Spread = zone_of.values().map(|zone| (zone.clone(), 0)).collect();
        for pod in self.pods(namespace, selector).await {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
            if let Some(zone) = node.and_then(|node| zone_of.get(node)).filter(|_| counts(&pod)) {
                *spread.entry(zone.clone()).or_default() += 1;
            }
        }
        spread
    }

    /// Most minus fewest pods over the zones that have nodes.
    pub async fn skew(&self, namespace: &str, selector: &str) -> usize {
        let spread = self.spread(namespace, selector).await;
        let most = spread.values().max().copied().unwrap_or(0);
        most - spread.values().min().copied().unwrap_or(0)
    }

    /// How many pods that match the label selector are Ready and not terminating.
    pub async fn ready_pods(&self, namespace: &str, selector: &str) -> usize {
        let pods = self.pods(namespace, selector).await;
        pods.iter().filter(|pod| counts(pod) && is_ready(pod)).count()
    }

    /// The pods that match the label selector, in one namespace or (empty) in all.
    pub async fn pods(&self, namespace: &str, selector: &str) -> Vec<Pod> {
        let pods: Api<Pod> = match namespace {
            "" => Api::all(self.client()),
            _ => Api::namespaced(self.client(), namespace),
        };
        let list = pods.list(&ListParams::default().labels(selector)).await;
        list.expect("a list of pods").items
    }
}

fn counts(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| &status.conditions);
    conditions.flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
