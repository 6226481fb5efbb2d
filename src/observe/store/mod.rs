//! Where nodes, pods and what they refer to are kept.

mod changed_slots;
pub(super) mod cluster;
pub(super) mod pod_class;
pub(super) mod pod_set;
pub(super) mod pods;
pub(super) mod references;
