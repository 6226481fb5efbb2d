//! Which scheduler it is, and how it is configured.

use crate::observe::{Name, SpreadConstraint};

use super::plugins::Weights;
use super::version::SchedulerVersion;

/// What of a scheduler decides where pods land: its version, and its
/// `KubeSchedulerConfiguration`.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerConfig {
    /// Its minor version.
    pub version: SchedulerVersion,
    /// The names that pods call this scheduler by.
    pub names: Vec<Name>,
    /// How much each plugin's score counts.
    pub weights: Weights,
    /// How pods are spread that have no spread constraints.
    pub default_constraints: DefaultConstraints,
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
            version: SchedulerVersion::default(),
            names: vec![Name::from("default-scheduler")],
            weights: Weights::default(),
            default_constraints: DefaultConstraints::System,
            hard_pod_affinity_weight: 1,
            percentage_of_nodes_to_score: 0,
            parallelism: 16,
            not_modelled: None,
        }
    }
}

/// The spread constraints of pods that have none: `defaultingType` and
/// `defaultConstraints` of `PodTopologySpread`.
#[derive(Clone, Debug, PartialEq)]
pub enum DefaultConstraints {
    /// kube-scheduler's own: softly over hosts (maxSkew 3) and zones (maxSkew 5). Nodes
    /// without a zone take part.
    System,
    /// These; none of them has a selector of its own. AKS sets zones with maxSkew 1.
    List(Vec<SpreadConstraint>),
}
