//! A drill that closes its zone: what ends it early, how it goes, and what it has shown.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::drill::DrillZone;
use super::{duration, schema};

/// What ends a drill early, besides what always does.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DrillAbort {
    /// A pod of a drilled tier waits for a node for this long. Default 2m, at most 2h.
    #[serde(default, with = "duration::drill_part", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new(schema::duration_rule(duration::DRILL_PART)).message("a duration from 1s to 2h, such as 90s"))]
    pub pending_for: Option<Duration>,
    /// Of a drilled tier less than this share of its pods is Available, in percent. A tier that
    /// misses more pods than its budget allows ends the drill in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub below_percent: Option<i32>,
}

/// Which new pods the admission policy of deploy/drill keeps out of the zone, and until when.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DrillAdmission {
    /// It ends then by itself.
    pub until: Time,
    /// The drilled policies: their pods.
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub policies: Vec<DrilledPolicy>,
}

/// A policy whose tiers are drilled.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DrilledPolicy {
    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Which pods are its own.
    #[schemars(schema_with = "schema::selector")]
    pub selector: LabelSelector,
}

/// Something that happened in a drill.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DrillEvent {
    /// When.
    pub at: Time,
    /// What.
    #[schemars(length(max = 512))]
    pub what: String,
}

/// What a drill has shown.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct DrillResult {
    /// Pods that were evicted to empty the zone; the forecast says how many it takes.
    pub evictions: i32,
    /// Seconds from the first taint until all pods were Available elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_ready: Option<i64>,
    /// Seconds from the opening of the zone until all tiers were balanced again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_balanced: Option<i64>,
    /// Whether it went as the forecast said: with the zone closed, as many pods waited, and
    /// as many were left in it. None while that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast_met: Option<bool>,
    /// Each drilled tier with pods in the zone; the list is cut at 200.
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "atomic"))]
    pub tiers: Vec<DrilledTier>,
}

/// What it has shown of one tier.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct DrilledTier {
    /// The namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The policy.
    #[schemars(length(max = 253))]
    pub policy: String,
    /// The tier.
    #[schemars(length(max = 253))]
    pub tier: String,
    /// How many pods it wants.
    pub replicas: i32,
    /// Pods by zone when the drill began.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub before: Vec<DrillZone>,
    /// The same with the zone closed, at the end of that.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub during: Vec<DrillZone>,
    /// The same at the end.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub after: Vec<DrillZone>,
    /// Available pods at the worst moment that was seen.
    pub lowest_available: i32,
    /// Pods that waited for a node, at most.
    pub most_pending: i32,
    /// Pods that were evicted to empty the zone.
    pub evictions: i32,
}
