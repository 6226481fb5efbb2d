//! The health of zones.

pub(super) mod condition;
pub(super) mod health;
