//! Which kube-scheduler is predicted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kube-scheduler that predictions are made for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct SchedulerStatus {
    /// Its minor version: `1.37`.
    #[schemars(length(max = 16))]
    pub version: String,
    /// What may make predictions miss: that the cluster's version is not predicted or not
    /// known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}
