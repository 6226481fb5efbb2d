//! The health of zones.

pub(super) mod condition;
pub(super) mod health;
mod node_pools;
pub(super) mod object;
pub(super) mod record;
pub(super) mod taints;
