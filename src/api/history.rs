//! Recoveries that are over, as a policy's status keeps them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A recovery that is over. One without moves is kept only if a zone came back.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PastRecovery {
    /// The zone that came back; none if no outage was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub zone: Option<String>,
    /// When the outage of the zone began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Time>,
    /// When the zone came back, or else when the first move was planned.
    pub started_at: Time,
    /// When the hold of the zone ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Time>,
    /// When it was over.
    pub ended_at: Time,
    /// How it ended.
    pub outcome: RecoveryOutcome,
    /// Moves that landed.
    #[serde(default)]
    pub moves: i32,
    /// Moves that did not help: their replacement went elsewhere, or was not Available in time.
    #[serde(default)]
    pub misses: i32,
    /// The tier that had the smallest share of its replicas Available, when that was so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowest: Option<LowestReady>,
}

/// How a recovery ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryOutcome {
    /// Every tier was balanced.
    Balanced,
    /// Another outage began before that.
    Interrupted,
}

impl RecoveryOutcome {
    /// The word users see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Balanced => "Balanced",
            Self::Interrupted => "Interrupted",
        }
    }
}

/// How many pods of a tier were Available at one moment.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LowestReady {
    /// The tier.
    #[schemars(length(max = 253))]
    pub tier: String,
    /// Its pods that were Available.
    pub available: i32,
    /// Pods that its workloads wanted.
    pub replicas: i32,
}

impl LowestReady {
    /// Whether so many of so many replicas are a smaller share.
    #[must_use]
    pub fn is_above(&self, available: i32, replicas: i32) -> bool {
        let cross = |a: i32, b: i32| i64::from(a) * i64::from(b);
        cross(available, self.replicas) < cross(self.available, replicas)
    }
}
