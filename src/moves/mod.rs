//! Moves: what is remembered of one, how it is followed to its end, what is asked of the
//! cluster for it, and what became of that. No client and no clock.
//!
//! Another kind of move touches six files: `api/move_kind.rs` and `api/status.rs` (its name, and states that
//! users see), `moves/<kind>.rs` (its `step` and when that wakes), `moves/step.rs` (the arms that
//! lead there), `moves/request.rs` (its verbs, and what is checked before each),
//! `controller/requests.rs` (how a verb is sent), and `plan/planner.rs` (when it is chosen).
//! The executor, the operator's bookkeeping, restarts and the status need no change.

mod discard;
mod eligible_nodes;
mod event;
mod evict;
mod follow;
#[cfg(test)]
mod follow_tests;
mod outcome;
mod owner_name;
mod owner_snapshot;
mod probe;
mod request;
mod rivals;
mod step;
mod stuck;
mod surge;
mod tracked_move;

pub use eligible_nodes::EligibleNodes;
pub use event::Event;
pub use follow::{Ending, OtherMoves, View};
pub use outcome::{
    ActionError, ErrorCategory, EvictionResult, MoveOutcome, Outcome, Signal, WriteFailure,
};
pub use owner_name::OwnerName;
pub use owner_snapshot::OwnerSnapshot;
pub use probe::ProbeEnd;
pub use request::{
    ActionRequest, Check, Effect, PodPatch, Preconditions, ProbePod, StatusWrite, SteeredPod, Verb,
};
pub use step::Step;
pub use surge::Refusal;
pub use tracked_move::{ExpectedLanding, FollowUp, Move, Replacement, RequestState, Transition};
