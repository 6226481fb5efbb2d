//! The health of zones.

pub(super) mod condition;
pub(super) mod departure;
pub(super) mod health;
mod node_pools;
mod nodeless;
pub(super) mod object;
pub(super) mod observed_outages;
pub(super) mod record;
pub(super) mod taints;
