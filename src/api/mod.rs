//! `ZoneSpreadPolicy`, `Zone` and `ZoneDrill`: what users write and read.
//!
//! The CRDs under `crds/` are printed from these types by `zonespread crd`;
//! `make verify` fails when the two differ.

mod cause;
mod drill;
mod drill_reason;
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
    AcceptedCheck, LocalStorage, Mode, OpenZones, Rebalance, RebalanceWindow, SingleZone, Strategy,
    TierOverride, Trigger, ZoneSpreadPolicy, ZoneSpreadPolicySpec,
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

/// The label of the pods that open zones, in the operator's own namespace.
pub const PROBE: &str = "zonespread.io/probe";

/// The node label that names the zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
