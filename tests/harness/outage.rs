//! What happens to zones: cordoned, failed, emptied, deleted, broken, and back again.

use super::cluster::Cluster;
use super::eventually::eventually;
use super::nodes::{DOWN, has_outage_taint, is_ready, outage_taints};
use futures::future::join_all;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_mins(1);

/// The one label besides the zone that Kubernetes copies from a node to its pods, when
/// they are bound. It is how a pod stage of kwok can know where its pod is.
const REGION: &str = "topology.kubernetes.io/region";
const NOTHING_STARTS: &str = "nothing-starts-here";

impl Cluster {
    /// Marks the zone's nodes unschedulable, as a zonal shift does.
    pub async fn cordon_zone(&self, zone: &str) {
        self.patch_zone(zone, json!({"spec": {"unschedulable": true}})).await;
        self.wait_for_zone(zone, "cordoned", |node| {
            is_unschedulable(node) && has_cordon_taint(node)
        })
        .await;
    }

    /// Marks them schedulable again, and waits until the taint is gone too.
    pub async fn uncordon_zone(&self, zone: &str) {
        self.patch_zone(zone, json!({"spec": {"unschedulable": null}})).await;
        self.wait_for_zone(zone, "uncordoned", |node| {
            !is_unschedulable(node) && !has_cordon_taint(node)
        })
        .await;
    }

    /// The zone's kubelets are gone: Ready becomes Unknown, pods are not Ready, the node
    /// controller taints. Waits for the taints. Pods are not replaced before their
    /// tolerationSeconds (300 by default) are over.
    pub async fn fail_zone(&self, zone: &str) {
        // kwok lets go of the nodes first (its watch excludes this label), then this
        // does what the node controller does after 50 s without a heartbeat.
        self.patch_zone(zone, json!({"metadata": {"labels": {DOWN: "true"}}})).await;
        let now = Timestamp::now().to_string();
        let unknown = json!({"status": {"conditions": [{
            "type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        }]}});
        let nodes = Api::<Node>::all(self.client());
        let (parameters, patch) = (PatchParams::default(), Patch::Strategic(&unknown));
        for node in self.zone_nodes(zone).await {
            let patched = nodes.patch_status(&node.name_any(), &parameters, &patch).await;
            patched.expect("a node's status");
        }
        join_all(self.zone_pods(zone).await.iter().map(|pod| self.set_not_ready(pod))).await;
        // With no Ready node left anywhere the node controller stops evicting.
        let evicts = self.nodes("").await.iter().any(is_ready);
        self.wait_for_zone(zone, "tainted", |node| {
            has_outage_taint(node)
                && (!evicts || outage_taints(node).any(|taint| taint.effect == "NoExecute"))
        })
        .await;
    }

    async fn set_not_ready(&self, pod: &Pod) {
        let not_ready = json!({"status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "NodeNotReady",
             "lastTransitionTime": Timestamp::now().to_string()},
        ]}});
        self.patch_pod(pod, "status", &not_ready).await;
    }

    /// The kubelets are back: nodes Ready, taints gone, pods Ready again.
    pub async fn heal_zone(&self, zone: &str) {
        self.patch_zone(zone, json!({"metadata": {"labels": {DOWN: null}}})).await;
        self.wait_for_zone(zone, "healed", |node| is_ready(node) && !has_outage_taint(node)).await;
    }

    /// Deletes the zone's nodes, and the pods on them as the pod garbage collector
    /// would within a minute. They come back with [`Cluster::add_zone`].
    pub async fn delete_zone(&self, zone: &str) {
        let pods = self.zone_pods(zone).await;
        let nodes = Api::<Node>::all(self.client());
        for node in self.zone_nodes(zone).await {
            let deleted = nodes.delete(&node.name_any(), &DeleteParams::default()).await;
            deleted.expect("a node to be deleted");
        }
        self.delete_pods(&pods, 0).await;
    }

    /// Deletes the pods on the zone's nodes, as a drain would, and waits until they are gone.
    pub async fn evacuate_zone(&self, zone: &str) {
        let pods = self.zone_pods(zone).await;
        self.delete_pods(&pods, 30).await;
        let gone: Vec<_> = pods.iter().map(ResourceExt::uid).collect();
        eventually(TIMEOUT, &format!("zone {zone} to be empty"), async || {
            let left = self.zone_pods(zone).await;
            let old = left.iter().filter(|pod| gone.contains(&pod.uid())).count();
            if old == 0 { Ok(()) } else { Err(format!("{old} of its pods are left")) }
        })
        .await;
    }

    /// From now on pods that land in the zone never start, though its nodes are Ready:
    /// new nodes in the wrong security group. Pods that run there go on.
    pub async fn break_zone(&self, zone: &str) {
        self.patch_zone(zone, json!({"metadata": {"labels": {REGION: NOTHING_STARTS}}})).await;
    }

    /// Ends what [`Cluster::break_zone`] began; the pods that wait there start.
    pub async fn mend_zone(&self, zone: &str) {
        let without = json!({"metadata": {"labels": {REGION: null}}});
        self.patch_zone(zone, without.clone()).await;
        for pod in self.zone_pods(zone).await {
            self.patch_pod(&pod, "", &without).await;
        }
    }

    /// The pods bound to nodes of a zone, in all namespaces, terminating ones included.
    pub async fn zone_pods(&self, zone: &str) -> Vec<Pod> {
        let nodes = self.zone_nodes(zone).await;
        let names: Vec<String> = nodes.iter().map(ResourceExt::name_any).collect();
        let pods = Api::<Pod>::all(self.client());
        let list = pods.list(&ListParams::default()).await.expect("a list of pods");
        let on_node = |pod: &Pod| {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
            node.is_some_and(|node| names.contains(node))
        };
        list.items.into_iter().filter(on_node).collect()
    }

    async fn delete_pods(&self, pods: &[Pod], grace_period: u32) {
        let parameters = DeleteParams::default().grace_period(grace_period);
        join_all(pods.iter().map(async |pod| {
            let api = Api::<Pod>::namespaced(self.client(), &pod.namespace().unwrap_or_default());
            match api.delete(&pod.name_any(), &parameters).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                deleted => drop(deleted.expect("a pod to be deleted")),
            }
        }))
        .await;
    }

    async fn patch_zone(&self, zone: &str, patch: Value) {
        let api = Api::<Node>::all(self.client());
        let nodes = self.zone_nodes(zone).await;
        assert!(!nodes.is_empty(), "zone {zone} has no nodes");
        let parameters = PatchParams::default();
        join_all(nodes.iter().map(async |node| {
            let (name, patch) = (node.name_any(), Patch::Merge(&patch));
            let patched = api.patch(&name, &parameters, &patch);
            patched.await.expect("a node to be patched");
        }))
        .await;
    }

    async fn patch_pod(&self, pod: &Pod, subresource: &str, patch: &Value) {
        let api = Api::<Pod>::namespaced(self.client(), &pod.namespace().unwrap_or_default());
        let (name, parameters) = (pod.name_any(), PatchParams::default());
        let patched = match subresource {
            "" => api.patch(&name, &parameters, &Patch::Merge(patch)).await,
            _ => api.patch_status(&name, &parameters, &Patch::Strategic(patch)).await,
        };
        match patched {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            patched => drop(patched.expect("a pod to be patched")),
        }
    }

    async fn wait_for_zone(&self, zone: &str, what: &str, reached: impl Fn(&Node) -> bool) {
        eventually(TIMEOUT, &format!("zone {zone} to be {what}"), async || {
            let nodes = self.zone_nodes(zone).await;
            let waiting: Vec<_> = nodes.iter().filter(|node| !reached(node)).collect();
            if waiting.is_empty() {
                return Ok(());
            }
            let names: Vec<_> = waiting.iter().map(|node| node.name_any()).collect();
            Err(format!("not yet {}", names.join(", ")))
        })
        .await;
    }
}

fn is_unschedulable(node: &Node) -> bool {
    node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true))
}

/// The taint follows the field a moment later, and both count.
fn has_cordon_taint(node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|spec| &spec.taints);
    taints.flatten().any(|taint| taint.key == "node.kubernetes.io/unschedulable")
}
