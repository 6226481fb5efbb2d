//! Which pool a node is of, where whoever made it says so.
//!
//! A pool's taint is on all of its nodes, since they are made from one template. A taint that
//! some nodes of a pool carry and others do not was put there by somebody.

use rustc_hash::FxHashMap;

use crate::observe::object::node::{KARPENTER_POOL, Node};
use crate::observe::object::taint::Taint;
use crate::observe::store::cluster::Cluster;

/// The labels by which the makers of nodes name a pool.
const LABELS: [&str; 7] = [
    KARPENTER_POOL,
    "eks.amazonaws.com/nodegroup",
    "alpha.eksctl.io/nodegroup-name",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "kops.k8s.io/instancegroup",
    "doks.digitalocean.com/node-pool",
];

/// A pool: the label, and its value.
type Pool<'c> = (&'static str, &'c str);

/// How many nodes each pool has, and how many of them carry which taint.
#[derive(Debug, Default)]
pub(super) struct NodePools<'c> {
    nodes: FxHashMap<Pool<'c>, usize>,
    tainted: FxHashMap<(Pool<'c>, &'c Taint), usize>,
}

impl<'c> NodePools<'c> {
    /// Those of a cluster.
    pub fn of(cluster: &'c Cluster) -> Self {
        let mut pools = Self::default();
        for (node, _) in cluster.nodes() {
            let Some(pool) = pool_of(node) else { continue };
            *pools.nodes.entry(pool).or_default() += 1;
            for taint in &node.taints {
                *pools.tainted.entry((pool, taint)).or_default() += 1;
            }
        }
        pools
    }

    /// Whether the node is of a pool of which others do not carry this taint.
    pub fn is_odd(&self, node: &'c Node, taint: &'c Taint) -> bool {
        let Some(pool) = pool_of(node) else { return false };
        self.nodes.get(&pool) > self.tainted.get(&(pool, taint))
    }
}

fn pool_of(node: &Node) -> Option<Pool<'_>> {
    LABELS.iter().find_map(|label| Some((*label, node.labels.get(*label)?.as_str())))
}
