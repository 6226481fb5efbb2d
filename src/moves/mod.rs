//! Moves: what is remembered of one, how it is followed to its end, what is asked of the
//! cluster for it, and what became of that. No client and no clock.

mod event;
mod evict;
mod follow;
mod outcome;
mod owner_snapshot;
mod request;
mod step;
mod tracked_move;

pub use event::Note;
pub use follow::{Ending, OtherMoves, View};
pub use outcome::{
    ErrorCategory, EvictionResult, MoveOutcome, Outcome, Refusal, Signal, WriteFailure,
};
pub use owner_snapshot::Siblings;
pub use request::{ActionRequest, Check, Effect, Ground, StatusWrite, Verb};
pub use step::Step;
pub use tracked_move::{Asked, Move, OwnerName, Replacement, Transition};
