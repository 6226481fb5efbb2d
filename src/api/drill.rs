//! `ZoneDrill`: what the drill of a zone would do, and whether it may begin. People create
//! it; the operator writes its status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DrillReason, LossReason, schema};

/// A drill: a zone is lost on purpose, to see whether all goes on without it.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "zonespread.io",
    version = "v1alpha1",
    kind = "ZoneDrill",
    plural = "zonedrills",
    shortname = "zsd",
    status = "ZoneDrillStatus",
    derive = "PartialEq",
    doc = "The drill of a zone: what its loss would do to the tiers of all policies, and what speaks against losing it on purpose. A drill is created once.",
    validation = Rule::new("self.spec == oldSelf.spec").message("spec of a drill does not change: delete it and create another"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".spec.zone"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Evictions",
        type_ = "integer",
        json_path = ".status.forecast.evictions",
        description = "Pods that would be evicted"
    ),
    printcolumn(
        name = "Pending",
        type_ = "integer",
        json_path = ".status.forecast.pending",
        description = "Pods that would find no place elsewhere"
    ),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct ZoneDrillSpec {
    /// The zone: a value of the node label topology.kubernetes.io/zone.
    #[schemars(length(min = 1, max = 63))]
    pub zone: String,

    /// The policies whose tiers are drilled, by their own labels. Default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::policy_selector")]
    pub policies: Option<LabelSelector>,

    /// Tiers that may be harmed: tier, policy/tier or namespace/policy/tier. What the
    /// forecast says of them is told and refuses nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 600)))]
    pub accept_risk: Vec<String>,

    /// Forecast only: nothing is evicted. Drills without it are refused by this version.
    #[serde(default)]
    pub dry_run: bool,
}

/// How far a drill is.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum DrillPhase {
    /// The forecast is being made.
    Pending,
    /// Something speaks against the drill: see refusals. Nothing was done.
    Refused,
    /// The forecast is made, and nothing speaks against the drill. Nothing was done.
    Forecast,
}

impl DrillPhase {
    /// Whether nothing more becomes of the drill.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Pending => false,
            Self::Refused | Self::Forecast => true,
        }
    }

    /// The word users see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Refused => "Refused",
            Self::Forecast => "Forecast",
        }
    }
}

/// What became of a drill.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ZoneDrillStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<DrillPhase>,
    /// The first of the refusals, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<DrillReason>,
    /// One sentence for a human.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// When that was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// What speaks against the drill, each with its object and remedy; 50 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), extend("x-kubernetes-list-type" = "atomic"))]
    pub refusals: Vec<DrillRefusal>,
    /// What the loss of the zone would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<DrillForecast>,
}

/// Something that speaks against a drill.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DrillRefusal {
    /// What it is, in a word.
    pub reason: DrillReason,
    /// The object, the fact and the remedy.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// What the loss of the zone would do.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct DrillForecast {
    /// Pods of the drilled tiers in the zone.
    pub pods: i32,
    /// As many of them would be evicted: the fewest that empty the zone of them.
    pub evictions: i32,
    /// As many would find no place elsewhere.
    pub pending: i32,
    /// As many would not be evicted: a mark, or data on the node, keeps them there.
    pub stays: i32,
    /// Pods in the zone that are of no drilled tier: a drill lets them be.
    pub other_pods: i32,
    /// Tiers that have pods in the zone; the list is cut at 200.
    pub total_tiers: i32,
    /// These tiers, those in danger first.
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "atomic"))]
    pub tiers: Vec<DrillTier>,
}

/// What it would do to one tier.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct DrillTier {
    /// The namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The policy.
    #[schemars(length(max = 253))]
    pub policy: String,
    /// The tier.
    #[schemars(length(max = 253))]
    pub tier: String,
    /// Its pods now.
    pub pods: i32,
    /// Those of them in the zone.
    pub in_zone: i32,
    /// Those in other zones: what is left at the worst moment, if nothing else fails.
    pub surviving: i32,
    /// As many would find no place elsewhere.
    pub pending: i32,
    /// As many would not be evicted.
    #[serde(skip_serializing_if = "is_zero")]
    pub stays: i32,
    /// Where its pods would be then, by zone.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub zones: Vec<DrillZone>,
    /// Whether the drill accepts the risk.
    #[serde(skip_serializing_if = "is_false")]
    pub accepted: bool,
    /// Why the zone is not safe to lose for the tier, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<LossReason>,
    /// The same in words, and what would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
}

/// How many pods are in a zone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct DrillZone {
    /// The zone.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Pods.
    pub pods: i32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
const fn is_zero(number: &i32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
