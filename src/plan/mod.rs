//! What to do: pure functions from a view of the cluster, a policy and the
//! time to skew, moves, and the one reason why nothing is done.

mod consent;
mod forecasts;
mod gates;
mod moves;
mod needs;
mod obstacle;
mod outlook;
mod pinned;
#[cfg(test)]
mod properties;
mod settings;
mod skew;
mod tier;
#[cfg(test)]
mod victim_tests;
mod victims;

pub use consent::Consent;
pub use gates::{Facts, InFlight, MISSES_ALLOWED, Standing, gate};
pub use moves::{Expected, PlannedMove, TierPlan, plan_tier};
pub use outlook::{lose, worst_loss};
pub use settings::TierSettings;
pub use skew::{Minimum, ZoneRange, minimum_moves, skew_of};
pub use tier::{TierView, TierZoneCount, tier_count, tiers_of, workloads_by_tier};
