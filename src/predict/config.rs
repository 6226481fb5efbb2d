//! How kube-scheduler is configured.

use crate::observe::Name;

use super::plugins::Weights;

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
