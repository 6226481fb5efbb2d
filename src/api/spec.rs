//! What users write.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::loss::LossReason;
use super::status::ZoneSpreadPolicyStatus;
use super::{duration, schema};

/// Keeps the tiers of an application spread over the zones, and brings pods
/// back after a zone has recovered.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "zonespread.io",
    version = "v1alpha1",
    kind = "ZoneSpreadPolicy",
    plural = "zonespreadpolicies",
    shortname = "zsp",
    namespaced,
    status = "ZoneSpreadPolicyStatus",
    derive = "PartialEq",
    doc = "Keeps the tiers of an application spread over the zones, and brings pods back after a zone has recovered.",
    printcolumn(
        name = "Tiers",
        type_ = "integer",
        json_path = ".status.summary.tiers",
        description = "How many tiers the policy has"
    ),
    printcolumn(
        name = "Zones",
        type_ = "string",
        json_path = ".status.summary.zones",
        description = "Pods per zone, over all tiers"
    ),
    printcolumn(
        name = "Skew",
        type_ = "integer",
        json_path = ".status.summary.skew",
        description = "Most minus fewest pods over the zones, of the worst tier"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Moves",
        type_ = "string",
        json_path = ".status.summary.moves",
        description = "Done of planned in this recovery"
    ),
    printcolumn(
        name = "Survives",
        type_ = "string",
        json_path = ".status.summary.survives",
        description = "The tier that loses most with its fullest zone, and what is left of it"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct ZoneSpreadPolicySpec {
    /// Which pods the policy is for, in its own namespace. Must not be empty.
    #[schemars(schema_with = "schema::selector")]
    #[x_kube(
        validation = Rule::new("(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)").message("spec.selector is empty and would select every pod: name the pods with matchLabels or matchExpressions"),
        validation = Rule::new("!has(self.matchExpressions) || self.matchExpressions.all(e, (e.operator in ['In', 'NotIn']) == (has(e.values) && size(e.values) > 0))").message("spec.selector.matchExpressions: In and NotIn need values, Exists and DoesNotExist take none: add or remove values")
    )]
    pub selector: LabelSelector,

    /// The pod label whose values are the tiers, such as `tier` or
    /// `app.kubernetes.io/component`. Without it all selected pods are one
    /// tier, named like the policy. A selected pod without the label is
    /// counted in status.untieredPods and never touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_key")]
    #[x_kube(validation = Rule::new(schema::label_key_rule()).message("spec.tierLabel must be a label key, such as tier or app.kubernetes.io/component"))]
    pub tier_label: Option<String>,

    /// How far the zones may differ: most minus fewest pods of a tier.
    #[serde(default = "default_max_skew")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_skew: i32,

    /// Whether pods are moved. Auto moves them, Approve moves those of a plan
    /// that was approved with the annotation zonespread.io/approve, Observe
    /// only reports.
    #[serde(default)]
    pub mode: Mode,

    /// How pods are moved.
    #[serde(default)]
    pub rebalance: Rebalance,

    /// Settings that differ for single tiers, by the tier's name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tiers: Vec<TierOverride>,

    /// What is known and accepted: findings of `zonespread lint`, and reasons
    /// why a zone is not safe to lose. They are shown as accepted, and not
    /// counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["check"]))]
    pub accept: Vec<AcceptedCheck>,
}

impl ZoneSpreadPolicySpec {
    /// Reasons why a zone is not safe to lose that are accepted, for every tier.
    pub fn accepted_losses(&self) -> impl Iterator<Item = LossReason> {
        self.accept.iter().filter_map(|known| LossReason::parse(&known.check))
    }
}

/// Something that is known and accepted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedCheck {
    /// A check of `zonespread lint`, such as `NoBudget`, or a reason of the
    /// condition `SafeToLoseZone`, such as `QuorumLost`.
    #[schemars(length(min = 1, max = 64))]
    pub check: String,
    /// Why; shown to the person on call.
    #[schemars(length(min = 1, max = 256))]
    pub reason: String,
}

const fn default_max_skew() -> i32 {
    1
}

/// Whether pods are moved.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Reports, never evicts.
    Observe,
    /// Publishes a plan, and evicts the pods of an approved plan only.
    Approve,
    /// Evicts pods to bring a tier back into balance.
    #[default]
    Auto,
}

/// How pods are moved.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rebalance {
    /// How long a zone must be usable again before pods go back, 0s to 6h.
    /// Default 10m. Doubles for each repeated outage within 6 hours.
    #[serde(default, with = "duration::hold_down", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new(schema::duration_rule(duration::HOLD_DOWN)).message("rebalance.holdDown must be a duration from 0s to 6h, such as 90s or 1h30m"))]
    pub hold_down: Option<Duration>,

    /// What is moved. Always: every imbalance. Recovery: only one that began
    /// with an outage; others are shown. Default Always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,

    /// How long a tier must have been steady before an imbalance is moved that
    /// no outage explains, such as that after a scale-down or a rollout, 0s to
    /// 6h. Default 10m.
    #[serde(default, with = "duration::settle", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new(schema::duration_rule(duration::SETTLE)).message("rebalance.settle must be a duration from 0s to 6h, such as 90s or 1h30m"))]
    pub settle: Option<Duration>,

    /// The most pods of a tier that may be missing or moving at once, as a
    /// number or a percentage (rounded down, at least 1). Default: 1 up to 3
    /// replicas, 2 up to 29, else 10%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::int_or_percent")]
    #[x_kube(validation = Rule::new(schema::int_or_percent_rule()).message("rebalance.maxUnavailable must be a number of at least 1, or a percentage from 1% to 100%"))]
    pub max_unavailable: Option<IntOrString>,

    /// How long a replacement may take to become Available, 1s to 6h.
    /// Default 5m. After that the move is stuck.
    #[serde(default, with = "duration::landing_timeout", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new(schema::duration_rule(duration::LANDING_TIMEOUT)).message("rebalance.landingTimeout must be a duration from 1s to 6h, such as 90s or 1h30m"))]
    pub landing_timeout: Option<Duration>,

    /// When evictions may start. Without windows, or with an empty list, at
    /// any time. Moves that are under way when a window closes are finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub windows: Option<Vec<RebalanceWindow>>,

    /// How a pod is moved: Evict evicts it, and its owner makes another. Surge starts the
    /// replacement first and evicts the pod once that is Available; it needs the right to
    /// (deploy/surge) and a ReplicaSet, and evicts nothing else. Auto surges where it can,
    /// and evicts otherwise. Default Auto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,

    /// Whether a zone that has no node for the tier is opened by a probe pod, which an
    /// autoscaler makes a node for. It needs the right to (deploy/opening). Default Always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_zones: Option<OpenZones>,

    /// Whether a scale-down takes from the fullest zones: Guided writes
    /// controller.kubernetes.io/pod-deletion-cost to pods of ReplicaSets, except where somebody
    /// else did. It needs the right to (deploy/surge). Never removes what was written. Default
    /// Guided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_in: Option<ScaleIn>,

    /// Pods with emptyDir volumes: Evict moves them, Keep leaves them, Auto
    /// moves those of ReplicaSets and leaves those of StatefulSets. Default
    /// Auto. Pods with hostPath volumes are always left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_storage: Option<LocalStorage>,
}

/// What is moved.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Every imbalance; one that no outage explains once the tier has settled.
    #[default]
    Always,
    /// Imbalances that began with an outage; others are shown only.
    Recovery,
}

/// A time in which evictions may start.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RebalanceWindow {
    /// When it opens: a cron schedule of five fields (minute, hour, day of
    /// month, month, day of week), such as `0 22 * * MON-FRI`. A start that
    /// falls into the hour that daylight saving skips is the end of that
    /// hour; one in the hour that occurs twice is the first of the two.
    /// Where both kinds of days are restricted, also by a step such as `*/2`,
    /// a day of either kind opens it, as for a CronJob.
    #[schemars(schema_with = "schema::cron")]
    #[x_kube(validation = Rule::new(schema::cron_rule()).message("rebalance.windows[].schedule must be a cron schedule of five fields (minute, hour, day of month, month, day of week), such as 0 22 * * MON-FRI"))]
    pub schedule: String,
    /// How long it stays open, 1m to 7d, such as 90m or 168h.
    #[serde(with = "duration::window")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = Rule::new(schema::duration_rule(duration::WINDOW)).message("rebalance.windows[].duration must be a duration from 1m to 168h, such as 90m or 8h"))]
    pub duration: Duration,
    /// The IANA time zone of the schedule, such as `Europe/London`. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time_zone")]
    #[x_kube(validation = Rule::new(schema::time_zone_rule()).message("rebalance.windows[].timeZone must be the name of an IANA time zone, such as Europe/London"))]
    pub time_zone: Option<String>,
}

/// How a pod is moved.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// By a surge where that is possible and allowed, else by an eviction.
    #[default]
    Auto,
    /// By an eviction.
    Evict,
    /// By a surge only.
    Surge,
}

/// Whether zones without nodes are opened.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OpenZones {
    /// A probe pod opens them.
    #[default]
    Always,
    /// They stay as they are.
    Never,
}

/// Whether scale-downs are guided.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ScaleIn {
    /// Deletion costs make them take from the fullest zones.
    #[default]
    Guided,
    /// Pods have no deletion costs of the operator.
    Never,
}

/// What happens to pods with emptyDir volumes.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LocalStorage {
    /// Moves pods of `ReplicaSets`, leaves pods of `StatefulSets`.
    #[default]
    Auto,
    /// Moves them all.
    Evict,
    /// Leaves them all.
    Keep,
}

/// Settings of one tier that differ from the policy's.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TierOverride {
    /// The value of the tier label.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// How far the zones may differ, instead of spec.maxSkew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_skew: Option<i32>,
    /// Whether pods of this tier are moved, instead of spec.mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// How pods of this tier are moved; fields left out come from spec.rebalance.
    #[serde(default)]
    pub rebalance: Rebalance,
    /// Says that this tier is known to live in one zone. It is reported, but
    /// never alerted on and never moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.accepted || size(self.reason) > 0").message("tiers[].singleZone.reason is missing: say why a single zone is accepted for this tier"))]
    pub single_zone: Option<SingleZone>,
}

/// A known single point of failure.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SingleZone {
    /// Whether one zone is accepted.
    pub accepted: bool,
    /// Why; shown to the person on call.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub reason: String,
}
