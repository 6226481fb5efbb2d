//! The health of zones.

pub(super) mod condition;
pub(super) mod health;
pub(super) mod object;
pub(super) mod record;
pub(super) mod taints;
