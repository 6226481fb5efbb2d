//! `ZoneSpreadPolicy`, `Zone` and `ZoneDrill`: what users write and read.
//!
//! The CRDs under `crds/` are printed from these types by `zonespread crd`;
//! `make verify` fails when the two differ.

mod cause;
mod drill;
mod drill_reason;
mod drill_run;
mod duration;
mod explanation;
mod history;
mod imbalance;
pub mod limit;
mod loss;
mod move_kind;
mod reason;
mod scheduler_status;
mod schema;
mod spec;
mod status;
mod steering;
pub mod text;
mod time;
mod zone;

pub use cause::Cause;
pub use drill::{
    DrillForecast, DrillPhase, DrillRefusal, DrillTier, DrillZone, ZoneDrill, ZoneDrillSpec,
    ZoneDrillStatus,
};
pub use drill_reason::DrillReason;
pub use drill_run::{
    DrillAbort, DrillAdmission, DrillEvent, DrillResult, DrilledPolicy, DrilledTier,
};
pub use duration::{DurationBounds, parse_duration, written_duration};
pub use explanation::{
    EFFECTIVE_REASONS, Explanation, NO_PODS, NO_TIER_LABEL, UNKNOWN_TIER_OVERRIDE, reasons_document,
};
pub use history::{LowestReady, PastRecovery, RecoveryOutcome};
pub use imbalance::Imbalance;
pub use loss::{CONDITION_SAFE_TO_LOSE_ZONE, LossReason, ZoneLoss};
pub use move_kind::MoveKind;
pub use reason::Reason;
pub use scheduler_status::SchedulerStatus;
pub use spec::{
    AcceptedCheck, LocalStorage, Mode, OpenZones, Rebalance, RebalanceWindow, ScaleIn, SingleZone,
    Strategy, TierOverride, Trigger, ZoneSpreadPolicy, ZoneSpreadPolicySpec,
};
pub use status::{
    ApprovedPlan, Blocked, CONDITION_BALANCED, CONDITION_DEGRADED, CONDITION_EFFECTIVE,
    CONDITION_PROGRESSING, MoveState, MoveStatus, Phase, Plan, PlannedMove, PolicyZone, Recovery,
    Summary, TierStatus, TierZone, ZoneSpreadPolicyStatus, ZoneState,
};
pub use steering::{STEERED, STEERING_CHECK, STEERING_VERSION, SteeredTier, Steering};
pub use time::seconds;
pub use zone::{
    ZoneHealth, ZoneHold, ZoneObject, ZoneOpening, ZoneSpec, ZoneStatus, ZoneTaint,
    zone_object_name, zone_of_object,
};

/// The field manager of everything the operator applies.
pub const FIELD_MANAGER: &str = "zonespread";

/// Stops evictions while it is `"true"` on a pod.
pub const DO_NOT_EVICT: &str = "zonespread.io/do-not-evict";

/// Stops evictions while it is `"true"` on a policy or a namespace.
pub const PAUSED: &str = "zonespread.io/paused";

/// Approves the plan whose id it holds, on a policy.
pub const APPROVE: &str = "zonespread.io/approve";

/// On a pod: the surge that it is part of, so that whoever leads can end it.
pub const MOVE: &str = "zonespread.io/move";

/// The key of the taint, and of the annotation, on the nodes of a zone that a drill closes. Only
/// what has this key does the operator ever add to a node, or remove from one.
pub const DRILL: &str = "zonespread.io/drill";

/// What the admission policy of `deploy/drill` adds to new pods of a closed zone's tiers: a node
/// label that no node has, so that the pods can be told.
pub const DRILLED: &str = "zonespread.io/drilled";

/// On an Event that asks, as a dry run, whether that admission policy is in force: the name of
/// the drill. The answer is in [`DRILLED`].
pub const DRILL_CHECK: &str = "zonespread.io/drill-check";

/// The version of that answer.
pub const DRILL_VERSION: &str = "v1";

/// On a pod: the deletion cost that the operator has written. One that differs is somebody else's.
pub const OWN_DELETION_COST: &str = "zonespread.io/deletion-cost";

/// The label of the pods that open zones, in the operator's own namespace.
pub const PROBE: &str = "zonespread.io/probe";

/// The node label that names the zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
