//! What the API server shows, in the types that are kept of it.

pub(super) mod autoscaler;
pub(super) mod budget;
pub(super) mod csi;
pub(super) mod drill_mark;
pub(super) mod image;
pub(super) mod interner;
pub(super) mod kept_out;
pub(super) mod metadata;
pub(super) mod move_mark;
pub(super) mod namespace;
pub(super) mod node;
pub(super) mod owner;
pub(super) mod pod;
pub(super) mod pod_requests;
pub(super) mod pod_spec;
pub(super) mod quantity;
pub(super) mod resources;
pub(super) mod service;
pub(super) mod steering;
pub(super) mod taint;
pub(super) mod template;
pub(super) mod volume;
pub(super) mod workload;
