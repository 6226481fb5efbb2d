//! The scheduler that an answer is about, for programs.

use serde::Serialize;

use crate::predict::KnownVersion;

/// The kube-scheduler that predictions are made for.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PredictedScheduler {
    /// Its minor version.
    version: String,
    /// The version of Kubernetes that the cluster, or somebody, reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<String>,
    /// Who reports it.
    source: &'static str,
}

impl From<&KnownVersion> for PredictedScheduler {
    fn from(known: &KnownVersion) -> Self {
        Self {
            version: known.modelled().to_string(),
            reported: known.reported.as_ref().map(|(reported, _)| reported.to_string()),
            source: known.source.as_str(),
        }
    }
}
