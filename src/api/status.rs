//! What users read. Written by the operator only, and only when it changed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reason;
use super::cause::Cause;
use super::history::{LowestReady, PastRecovery};
use super::imbalance::Imbalance;
use super::loss::ZoneLoss;
use super::move_kind::MoveKind;
use super::scheduler_status::SchedulerStatus;
use super::schema;
use super::steering::Steering;

/// Condition: the policy protects pods, and all of its settings are for tiers that exist.
pub const CONDITION_EFFECTIVE: &str = "Effective";
/// Condition: every tier is within its skew.
pub const CONDITION_BALANCED: &str = "Balanced";
/// Condition: pods are being moved, or will be.
pub const CONDITION_PROGRESSING: &str = "Progressing";
/// Condition: a zone is out, or a tier is unbalanced and blocked.
pub const CONDITION_DEGRADED: &str = "Degraded";

/// What the operator knows and does.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ZoneSpreadPolicyStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the policy stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// One sentence for a human.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// The columns of `kubectl get`.
    pub summary: Summary,
    /// Selected pods without the tier label; counted, never touched.
    pub untiered_pods: i32,
    /// The zones that the tiers use, and whether they wait for them. The rest of what is
    /// known of a zone is in its Zone object.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub zones: Vec<PolicyZone>,
    /// The tiers, by name.
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub tiers: Vec<TierStatus>,
    /// The kube-scheduler that predictions are made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<SchedulerStatus>,
    /// Whether the operator has proven that it may replace pods before they stop.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub can_surge: bool,
    /// Where new pods are steered to, where deploy/steering is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steering: Option<Steering>,
    /// What would be moved now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The plan that was approved last, while the annotation
    /// zonespread.io/approve names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<ApprovedPlan>,
    /// The moves under way, and the last of the others, oldest first.
    #[schemars(length(max = 1024))]
    pub moves: Vec<MoveStatus>,
    /// The recovery under way, or the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// The last recoveries that are over, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub history: Vec<PastRecovery>,
    /// Effective, Balanced, Progressing, Degraded and `SafeToLoseZone`.
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Where a policy stands.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum Phase {
    /// Every tier is within its skew.
    Balanced,
    /// A zone recovers and its hold-down runs, or a tier settles.
    Holding,
    /// A zone is out, or the cluster is unstable; nothing is evicted.
    Frozen,
    /// Pods are being moved.
    Rebalancing,
    /// The mode is Approve, and a plan waits for approval.
    AwaitingApproval,
    /// Unbalanced, and the mode is Observe.
    Observing,
    /// Unbalanced, and nothing can be done now; the tiers say why.
    Blocked,
    /// The policy protects nothing: it selects no pods, or none with the tier label.
    Ineffective,
    /// The policy cannot be followed; the message says why.
    Invalid,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 9] = [
        Self::Balanced,
        Self::Holding,
        Self::Frozen,
        Self::Rebalancing,
        Self::AwaitingApproval,
        Self::Observing,
        Self::Blocked,
        Self::Ineffective,
        Self::Invalid,
    ];

    /// The word users see, in status and as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Balanced => "Balanced",
            Self::Holding => "Holding",
            Self::Frozen => "Frozen",
            Self::Rebalancing => "Rebalancing",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Observing => "Observing",
            Self::Blocked => "Blocked",
            Self::Ineffective => "Ineffective",
            Self::Invalid => "Invalid",
        }
    }
}

/// The columns of `kubectl get zonespreadpolicies`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    /// How many tiers there are.
    pub tiers: i32,
    /// Pods per zone, the common prefix of the zones' names cut: `2a:5 2b:5 2c:1`.
    #[schemars(length(max = 1024))]
    pub zones: String,
    /// The skew of the worst tier.
    pub skew: i32,
    /// Moves done of moves planned in this recovery: `1/3`.
    #[schemars(length(max = 32))]
    pub moves: String,
    /// The tier that loses most with a zone, what is left, and what stays Pending:
    /// `was: 50%, 1 Pending`.
    #[schemars(length(max = 128))]
    pub survives: String,
}

/// What a policy makes of a zone that it uses; the Zone object tells the rest.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PolicyZone {
    /// The value of `topology.kubernetes.io/zone`.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its health.
    pub state: ZoneState,
    /// Why, in a word: `NotReady`, Cordoned, Tainted or `NoNodes` if it is out, `HeldByHand`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// Since when it is in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Until when nothing moves there, if it is Recovering, Suspect or Held: by the longest
    /// hold-down of the policy's tiers, or by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_until: Option<Time>,
}

/// The health of a zone.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum ZoneState {
    /// Usable.
    Ready,
    /// Out: at most 45 % of its nodes are usable, or its last node left within the hour.
    Impaired,
    /// Usable again; the hold-down runs.
    Recovering,
    /// Usable, but the first pod moved there did not come up.
    Suspect,
    /// Held by hand, with `spec.hold` of its Zone.
    Held,
    /// Without nodes for an hour; no outage is seen in it any more.
    Empty,
}

impl ZoneState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Ready, Self::Impaired, Self::Recovering, Self::Suspect, Self::Held, Self::Empty];

    /// The word users see, in status and as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Impaired => "Impaired",
            Self::Recovering => "Recovering",
            Self::Suspect => "Suspect",
            Self::Held => "Held",
            Self::Empty => "Empty",
        }
    }
}

/// A tier and where its pods are.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct TierStatus {
    /// The value of the tier label.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Pods counted: assigned, not terminating, not finished.
    pub pods: i32,
    /// Pods that its workloads want.
    pub replicas: i32,
    /// Those of the counted pods that are in no zone: on nodes without the zone label, or on nodes that
    /// are gone.
    #[serde(skip_serializing_if = "is_zero")]
    pub unzoned: i32,
    /// Most minus fewest pods over the zones the tier may use.
    pub skew: i32,
    /// What the policy allows.
    pub max_skew: i32,
    /// The lowest skew that moves can reach now.
    pub reachable_skew: i32,
    /// Pods per zone; a zone without pods is a zero.
    // Atomic, as is `zone_loss`: of a list map the API server stores who owns each
    // field of each entry, which takes more room than the entries do.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub zones: Vec<TierZone>,
    /// How it got out of balance; kept until it is balanced and no move is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imbalance: Option<Imbalance>,
    /// Why it is unbalanced, in a word: what keeps it so, or else what brought it about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Why an unbalanced tier is not moved now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
    /// Moves of this recovery that did not help.
    pub misses: i32,
    /// When the tier is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Time>,
    /// What is left of the tier if a zone is lost now, and what becomes of the rest.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub zone_loss: Vec<ZoneLoss>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// A tier's pods in one zone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct TierZone {
    /// The zone.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Pods counted.
    pub pods: i32,
    /// Pods that are Available.
    pub available: i32,
}

/// Why nothing is moved.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// The reason, in a word.
    pub reason: Reason,
    /// The object that is in the way, and what would help.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// What would be moved now.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    /// A hash of the moves that are listed. With tiers in mode Approve, of
    /// their moves only: what other tiers do does not change it.
    #[schemars(length(max = 16))]
    pub id: String,
    /// The moves, those that need approval first; cut at 50.
    #[schemars(length(max = 50))]
    pub moves: Vec<PlannedMove>,
    /// How many moves there are.
    pub total: i32,
}

/// A plan that was approved.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ApprovedPlan {
    /// Its id.
    #[schemars(length(max = 16))]
    pub id: String,
    /// Its moves that are left. A tier whose next move is none of them has
    /// left the plan: the rest of its moves is dropped, and needs a new approval.
    #[schemars(length(max = 50))]
    pub moves: Vec<PlannedMove>,
}

/// A pod that would be moved.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase", default)]
pub struct PlannedMove {
    /// How the pod would be moved.
    #[serde(default)]
    pub kind: MoveKind,
    /// The tier.
    #[schemars(length(max = 253))]
    pub tier: String,
    /// The pod that would be moved.
    #[schemars(length(max = 253))]
    pub pod: String,
    /// Its uid.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The zone it leaves.
    #[schemars(length(max = 63))]
    pub from: String,
    /// The zone its replacement is expected in.
    #[schemars(length(max = 63))]
    pub to: String,
    /// Zones in which a landing is as good: they tie with `to`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub alternatives: Vec<String>,
    /// Pods of negative priority that the replacement pushes out, as namespace/name; the
    /// first 10.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 317)))]
    pub preempts: Vec<String>,
    /// The zone that the replacement is steered to, if it takes that to land there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub steered: Option<String>,
}

/// One eviction, its replacement, and where that landed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MoveStatus {
    /// How the pod is moved.
    #[serde(default)]
    pub kind: MoveKind,
    /// The tier.
    #[schemars(length(max = 253))]
    pub tier: String,
    /// The pod that was evicted.
    #[schemars(length(max = 253))]
    pub pod: String,
    /// Its uid.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The controller that makes the replacement, as `Kind/name`.
    #[schemars(length(max = 320))]
    pub owner: String,
    /// The zone it left.
    #[schemars(length(max = 63))]
    pub from: String,
    /// The zone its replacement is expected in.
    #[schemars(length(max = 63))]
    pub to: String,
    /// Zones in which a landing is as good: they tie with `to`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub alternatives: Vec<String>,
    /// The pod that replaced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub replacement: Option<String>,
    /// The node on which the replacement is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub node: Option<String>,
    /// How far it is.
    pub state: MoveState,
    /// When the eviction was decided.
    pub started_at: Time,
    /// When the move ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// What happened, for a human.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// How far a move is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MoveState {
    /// Decided; the eviction is being asked for.
    Evicting,
    /// Evicted; the replacement is awaited.
    Evicted,
    /// Decided; the surge is being asked for.
    Releasing,
    /// The pod is released and still serves; the replacement is awaited.
    Released,
    /// The surge did not help: the pod is given back to its owner.
    Undoing,
    /// The replacement is Available in the target zone.
    Landed,
    /// The replacement went to another zone.
    Missed,
    /// No replacement was Available in time.
    Stuck,
    /// Nobody needs the replacement any more: a scale-down or a rollout. No miss.
    Discarded,
    /// Not made, or given up without harm.
    Refused,
}

impl MoveState {
    /// Whether the replacement is still awaited.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        matches!(
            self,
            Self::Evicting | Self::Evicted | Self::Releasing | Self::Released | Self::Undoing
        )
    }
}

/// A recovery: from a zone's return, or from the first imbalance, to balance.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// The zone that came back; none if no outage was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub zone: Option<String>,
    /// When the outage of the zone began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_at: Option<Time>,
    /// When the zone came back, or else when the first move was planned.
    pub started_at: Time,
    /// When the hold of the zone ends or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Time>,
    /// Moves that landed.
    #[serde(default)]
    pub moves_done: i32,
    /// Moves that did not help.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub misses: i32,
    /// The tier that had the smallest share of its replicas Available, when that was so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowest: Option<LowestReady>,
    /// Moves that landed, are under way, or are planned.
    #[serde(default)]
    pub moves_total: i32,
    /// When it should be over, if every move takes as long as those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_end: Option<Time>,
    /// When every tier was balanced again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced_at: Option<Time>,
}
