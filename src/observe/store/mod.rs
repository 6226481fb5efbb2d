//! Where nodes, pods and what they refer to are kept.

pub(super) mod cluster;
pub(super) mod pod_class;
pub(super) mod pods;
pub(super) mod references;
