//! zonespread keeps tiers of pods spread over availability zones, and brings
//! them back after a zone has recovered.
//!
//! ```text
//!  watch Pods, Nodes, PDBs, workloads, policies          controller/watches
//!         │ events
//!         ▼
//!  observe/   a synchronous index of the cluster, no IO: zones and their
//!         │   health, pods per tier and zone, what is on the nodes
//!         │ a view, and the time
//!         ▼
//!  plan/      pure functions: skew → fewest moves → gates (why not)
//!         │   └─ uses ─▶ predict/   what kube-scheduler would do
//!         │                 └─ used by ─▶ outlook/   what the loss of a zone would do
//!         │                                  └─ used by ─▶ lint/   what will go wrong then
//!         │                                  └─ used by ─▶ drill/   before it is lost on purpose
//!         │ decisions
//!         ▼
//!  moves/     what is remembered of a move, following it to its end, what is
//!         │   asked of the cluster for it and what became of that
//!         │   └─ used by ─▶ act/   carries it out step by step, one leader
//!         │ outcomes (come back as events)
//!         ▼
//!  report/    status, events, metrics: the same numbers everywhere
//! ```
//!
//! `operator/` puts these together without any IO: events go in, effects come
//! out. `controller/` wires it to a cluster. `cli/` holds the commands.
//!
//! The eleven laws of the operator, and where they are kept:
//!
//! 1. no eviction in an outage: `plan/gates`, on what `observe/zones`, `observe/freshness`
//!    and `operator/cluster_state` say; checked again in `act/action`
//! 2. no blind eviction: `plan/planner` asks `predict/`; `plan/open_landings` minds what is
//!    under way
//! 3. the floor holds: `plan/gates` and `plan/evictable`; checked again in `act/action`
//! 4. fewest evictions: `plan/skew`
//! 5. no loops: `moves/follow` verifies, `operator/policy_state` counts, `plan/gates` stops
//! 6. polite: `act/action`, `controller/refusal`
//! 7. crash-safe: `operator/policy_state` restores what `report/status` wrote
//! 8. single writer: `act/election`
//! 9. canary first: `operator/in_flight`, `plan/gates`
//! 10. honest status: `report/`
//! 11. nothing is left behind: `moves/surge`, `operator/follow_up`, `operator/opening`,
//!     `operator/steering`
//!
//! `tests/simulate` attacks them all.

pub mod act;
pub mod api;
pub mod cli;
pub mod controller;
pub mod drill;
pub mod lint;
pub mod moves;
pub mod observe;
pub mod operator;
pub mod outlook;
pub mod plan;
pub mod predict;
pub mod report;

#[cfg(test)]
#[path = "../tests/conventions/mod.rs"]
mod conventions;
