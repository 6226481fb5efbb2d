//! How a tier got out of balance, as its status says it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Cause;

/// How a tier got out of balance.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Imbalance {
    /// Since when it is.
    pub since: Time,
    /// Since when it is steady: not scaled, not rolled out, no pod made but by moves.
    pub steady_since: Time,
    /// Whether it began or grew with an outage: then it does not wait for
    /// `rebalance.settle`.
    #[serde(default)]
    pub outage: bool,
    /// What happened when it began, if that was seen: `ScaleIn`, Rollout or Drain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Cause>,
}
