//! kube-scheduler's plugins, as far as they decide where a pod lands: one file each.

pub mod balanced_allocation;
pub mod image_locality;
pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_ports;
pub mod node_resources;
pub mod resource_fits;
pub mod score;
pub mod spread_constraints;
pub mod taints;
pub mod topology_counts;
pub mod topology_spread;
pub mod volume_binding;
pub mod volume_limits;
pub mod volume_restrictions;
