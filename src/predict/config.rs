//! How kube-scheduler is configured.

use crate::observe::Name;

/// What of a `KubeSchedulerConfiguration` decides where pods land.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerConfig {
    /// The names that pods call this scheduler by.
    pub names: Vec<Name>,
    /// How much each plugin's score counts.
    pub weights: Weights,
    /// Whether pods without spread constraints get the system's defaults.
    pub default_spread: bool,
    /// How much one required affinity of another pod counts as a preference.
    pub hard_pod_affinity_weight: i64,
    /// Of how many nodes that fit the scores are looked at; 0 adapts to the
    /// size of the cluster.
    pub percentage_of_nodes_to_score: i64,
    /// How many nodes are looked at at once: how far a sample is from one
    /// stretch of the list of nodes.
    pub parallelism: usize,
    /// Something that is set but not modelled: no pod is predictable.
    pub not_modelled: Option<String>,
}

/// How much each plugin's score counts
/// (`pkg/scheduler/apis/config/v1/default_plugins.go`, 1.37).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Untolerated `PreferNoSchedule` taints.
    pub taint_toleration: i64,
    /// Preferred node affinity.
    pub node_affinity: i64,
    /// `NodeResourcesFit`: the strategy `LeastAllocated`.
    pub least_allocated: i64,
    /// Soft spread constraints.
    pub pod_topology_spread: i64,
    /// Preferred affinity to other pods, and theirs to it.
    pub inter_pod_affinity: i64,
    /// `NodeResourcesBalancedAllocation`.
    pub balanced_allocation: i64,
    /// Images that the node holds.
    pub image_locality: i64,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            names: vec![Name::from("default-scheduler")],
            weights: Weights::default(),
            default_spread: true,
            hard_pod_affinity_weight: 1,
            percentage_of_nodes_to_score: 0,
            parallelism: 16,
            not_modelled: None,
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            taint_toleration: 3,
            node_affinity: 2,
            least_allocated: 1,
            pod_topology_spread: 2,
            inter_pod_affinity: 2,
            balanced_allocation: 1,
            image_locality: 1,
        }
    }
}
