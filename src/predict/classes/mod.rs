//! Nodes that the scheduler cannot tell apart are looked at together.

pub mod node_classes;
pub mod static_filters;
