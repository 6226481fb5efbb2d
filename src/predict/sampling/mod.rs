//! From 100 nodes on kube-scheduler scores only a sample of the nodes that fit: what is
//! certain whatever the sample, and how probable the rest is.

pub mod bounds;
pub mod node_tree;
pub mod probability;
pub mod proof;
mod sampled;
