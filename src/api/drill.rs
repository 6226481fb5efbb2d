//! `ZoneDrill`: what the drill of a zone would do, whether it may begin, and how it goes. People
//! create it; the operator writes its status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::{
    DrillAbort, DrillAdmission, DrillEvent, DrillReason, DrillResult, LossReason, duration, schema,
};

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
    doc = "The drill of a zone: what its loss would do to the tiers of all policies, what speaks against losing it on purpose, and what came of it. A drill is created once; to delete it, or to annotate it with zonespread.io/paused=true, aborts it.",
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name of a drill has at most 63 characters"),
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

    /// Forecast only: nothing is evicted.
    #[serde(default)]
    pub dry_run: bool,

    /// How long the zone may be closed at most, whatever happens. Default 30m, at most 2h.
    #[serde(default, with = "duration::drill", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new(schema::duration_rule(duration::DRILL)).message("a duration from 10s to 2h, such as 30m"))]
    pub max_duration: Option<Duration>,

    /// How long the zone stays closed once its pods are up elsewhere, or wait as the forecast
    /// says. Default 1m, at most 2h.
    #[serde(default, with = "duration::drill_part", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new(schema::duration_rule(duration::DRILL_PART)).message("a duration from 1s to 2h, such as 90s"))]
    pub observe_for: Option<Duration>,

    /// What ends the drill early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_on: Option<DrillAbort>,
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
    /// The zone's nodes are tainted, and its pods evicted.
    Closing,
    /// The zone is empty of drilled pods, and stays closed for a while.
    Closed,
    /// The taints are removed.
    Opening,
    /// The tiers are brought into balance again.
    Recovering,
    /// The zone was closed and opened, and all tiers are balanced again.
    Succeeded,
    /// The zone was opened early: see reason.
    Aborted,
    /// The zone was opened, and a tier was not balanced again in time.
    Failed,
}

impl DrillPhase {
    /// Whether nothing more becomes of the drill.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Pending | Self::Closing | Self::Closed | Self::Opening | Self::Recovering => {
                false
            }
            Self::Refused | Self::Forecast | Self::Succeeded | Self::Aborted | Self::Failed => true,
        }
    }

    /// Whether the zone is closed by then, or is being closed.
    #[must_use]
    pub const fn closes(self) -> bool {
        matches!(self, Self::Closing | Self::Closed)
    }

    /// Whether it has begun, and is not over.
    #[must_use]
    pub const fn runs(self) -> bool {
        self.closes() || matches!(self, Self::Opening | Self::Recovering)
    }

    /// The word users see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Refused => "Refused",
            Self::Forecast => "Forecast",
            Self::Closing => "Closing",
            Self::Closed => "Closed",
            Self::Opening => "Opening",
            Self::Recovering => "Recovering",
            Self::Succeeded => "Succeeded",
            Self::Aborted => "Aborted",
            Self::Failed => "Failed",
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
    /// The first of the refusals, or why the zone was opened early, in a word.
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
    /// When it began to close the zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// Then the zone is opened, whatever happens. Written before the first taint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// Which new pods are kept out of the zone, while it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admission: Option<DrillAdmission>,
    /// Since when all is as it stays while the zone is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Time>,
    /// When it began to open the zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Time>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// What it has shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<DrillResult>,
    /// What happened, the last 30 of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30), extend("x-kubernetes-list-type" = "atomic"))]
    pub timeline: Vec<DrillEvent>,
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
