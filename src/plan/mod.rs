//! The planner: pure functions from the index, a policy and the time to the
//! skew of each tier, the fewest moves, and the reason why none may be made.

mod affinity_dependents;
mod approval;
mod blocked;
mod cause;
mod evictable;
#[cfg(test)]
mod fixtures;
mod forecasts;
#[cfg(test)]
mod gate_tests;
mod gates;
mod imbalance;
mod ledger;
#[cfg(test)]
mod ledger_properties;
#[cfg(test)]
mod open_landing_properties;
mod open_landings;
mod opening;
mod pdb_limits;
mod planner;
#[cfg(test)]
mod properties;
mod scale_in;
mod settings;
mod skew;
mod steering;
#[cfg(test)]
mod steering_properties;
mod surge;
mod tier;
mod tier_plan;
#[cfg(test)]
mod tier_tests;
mod tier_workloads;
mod tier_zones;
mod touched;
#[cfg(test)]
mod victim_tests;
mod walk;
mod zone_loss;

pub use approval::Approval;
pub use cause::{cause_of, is_drained};
pub use evictable::{EvictionBlocker, eviction_blocker};
pub use gates::{
    ClusterFacts, GateInput, InFlight, MISSES_ALLOWED, MissHistory, Probe, gate, zone_gate,
};
pub use imbalance::Imbalance;
pub use open_landings::{OpenLanding, OpenLandings};
pub use opening::{OpeningRight, Openings, ProbeStage, Wish, ZoneProbe, wishes};
pub use planner::plan_tier;
pub use scale_in::{CostChange, ScaleInRight, cost_changes};
pub use settings::{DEFAULT_HOLD_DOWN, TierSettings};
pub use skew::{Minimum, ZoneRange, minimum_moves, skew_of};
pub use steering::{Steering, SteeringRight};
pub use surge::SurgeRight;
pub use tier::{TierView, TierZoneCount, tiers_of};
pub use tier_plan::{Expected, PlanInput, PlannedMove, TierPlan};
pub use tier_workloads::tier_count;
pub use tier_zones::{KnownZones, ZoneInput, ZoneLanding};
pub use zone_loss::zone_loss;
