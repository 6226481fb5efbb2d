//! Nodes: plain API objects, brought to life by kwok.

use super::cluster::Cluster;
use super::eventually::eventually;
use k8s_openapi::api::core::v1::{Node, NodeSpec, NodeStatus, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use std::collections::BTreeMap;
use std::time::Duration;

/// The label that says in which zone a node is.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// Label `true` on a node without a kubelet: kwok leaves it alone (see outage.rs).
pub const DOWN: &str = "zonespread.test/down";

/// A node to be created.
#[must_use = "nothing exists before create()"]
pub struct NodeBuilder<'a> {
    cluster: &'a Cluster,
    node: Node,
}

impl Cluster {
    /// A node with 4 CPUs, 16Gi and room for 110 pods, in no zone.
    pub fn node(&self, name: &str) -> NodeBuilder<'_> {
        let builder = NodeBuilder {
            cluster: self,
            node: Node {
                metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
                spec: Some(NodeSpec::default()),
                status: Some(NodeStatus::default()),
            },
        };
        builder
            .label("kubernetes.io/hostname", name)
            .resource("cpu", "4")
            .resource("memory", "16Gi")
            .resource("pods", "110")
    }

    /// `count` plain nodes in a zone, named after it: a1, a2, …; waits until they are Ready.
    pub async fn add_zone(&self, zone: &str, count: usize) {
        for number in 1..=count {
            self.node(&format!("{zone}{number}")).zone(zone).create().await;
        }
        self.wait_for_nodes().await;
    }

    /// Waits until all nodes that are not down are Ready and have lost the taint of new
    /// nodes. Before that the first pods pile up in the zones that were quicker.
    pub async fn wait_for_nodes(&self) {
        eventually(Duration::from_mins(1), "nodes to be Ready", async || {
            let nodes = self.nodes("").await;
            let waiting: Vec<String> = nodes
                .iter()
                .filter(|node| node.labels().get(DOWN).is_none_or(|down| down != "true"))
                .filter(|node| !is_ready(node) || has_outage_taint(node))
                .map(ResourceExt::name_any)
                .collect();
            if waiting.is_empty() {
                Ok(())
            } else {
                Err(format!("{} not Ready or tainted", waiting.join(", ")))
            }
        })
        .await;
    }

    /// The nodes with these labels, all of them for an empty selector.
    pub async fn nodes(&self, selector: &str) -> Vec<Node> {
        let nodes = Api::<Node>::all(self.client());
        let list = nodes.list(&ListParams::default().labels(selector)).await;
        list.expect("a list of nodes").items
    }

    /// The nodes of a zone.
    pub async fn zone_nodes(&self, zone: &str) -> Vec<Node> {
        self.nodes(&format!("{ZONE}={zone}")).await
    }
}

impl NodeBuilder<'_> {
    /// In this zone.
    pub fn zone(self, zone: &str) -> Self {
        self.label(ZONE, zone)
    }

    /// With so many CPUs, `4` or `500m`.
    pub fn cpu(self, cpu: &str) -> Self {
        self.resource("cpu", cpu)
    }

    /// With so much memory, `16Gi`.
    pub fn memory(self, memory: &str) -> Self {
        self.resource("memory", memory)
    }

    /// With so much of any resource.
    pub fn resource(mut self, name: &str, quantity: &str) -> Self {
        let quantity = Quantity(quantity.to_owned());
        if let Some(status) = &mut self.node.status {
            for amounts in [&mut status.capacity, &mut status.allocatable] {
                amounts.get_or_insert_with(BTreeMap::new).insert(name.to_owned(), quantity.clone());
            }
        }
        self
    }

    /// With a label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.node.labels_mut().insert(key.to_owned(), value.to_owned());
        self
    }

    /// With a taint; the effect is `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub fn taint(mut self, key: &str, value: &str, effect: &str) -> Self {
        let taint = Taint {
            key: key.to_owned(),
            value: Some(value.to_owned()),
            effect: effect.to_owned(),
            time_added: None,
        };
        if let Some(spec) = &mut self.node.spec {
            spec.taints.get_or_insert_with(Vec::new).push(taint);
        }
        self
    }

    /// Creates the node; [`Cluster::wait_for_nodes`] waits until it is Ready.
    pub async fn create(self) {
        let nodes = Api::all(self.cluster.client());
        let created = nodes.create(&PostParams::default(), &self.node).await;
        created.expect("a new node");
    }
}

/// Whether the node's Ready condition is True.
pub fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| &status.conditions);
    conditions.flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The taints that the node controller puts on nodes that are not Ready.
pub fn outage_taints(node: &Node) -> impl Iterator<Item = &Taint> {
    let taints = node.spec.iter().flat_map(|spec| &spec.taints);
    taints.flatten().filter(|taint| {
        taint.key == "node.kubernetes.io/not-ready" || taint.key == "node.kubernetes.io/unreachable"
    })
}

/// Whether it has one of them.
pub fn has_outage_taint(node: &Node) -> bool {
    outage_taints(node).next().is_some()
}
