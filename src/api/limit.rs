//! The most entries that a list of the status holds.

/// Zones.
pub const ZONES: usize = 64;
/// Tiers of one policy; a policy with more is Invalid.
pub const TIERS: usize = 200;
/// Planned moves that are listed; `plan.total` counts them all.
pub const PLANNED_MOVES: usize = 50;
/// Pods of which a planned move says that they are pushed out.
pub const PREEMPTED: usize = 10;
/// Moves that have ended; those that are under way are listed besides.
pub const FINISHED_MOVES: usize = 20;
/// Recoveries that are over.
pub const PAST_RECOVERIES: usize = 20;
/// Those of them in which no outage was seen, while there are more in all.
pub const RECOVERIES_WITHOUT_ZONE: usize = 10;
/// The largest allowed limit of moves under way in a cluster.
pub const CONCURRENT_MOVES: usize = 1000;
/// Moves, ended or under way.
pub const MOVES: usize = 1024;
/// Losses of zones of which more than what survives is told, in one policy: etcd
/// takes 1.5 MB.
pub const TOLD_LOSSES: usize = 1000;
/// Taints that a Zone object remembers.
pub const ZONE_TAINTS: usize = 32;
/// Tiers that the forecast of a drill lists.
pub const DRILL_TIERS: usize = 200;
/// Policies that a drill that closes its zone may be about.
pub const DRILL_POLICIES: usize = 100;
/// What happened in a drill, as far as it is listed.
pub const DRILL_EVENTS: usize = 30;
/// What speaks against a drill, as far as it is listed.
pub const DRILL_REFUSALS: usize = 50;
