//! The only code that changes the cluster: it evicts, and watches the landing.
//!
//! What is asked of the API server, in which order, and what its answers mean
//! is decided without IO: [`Performance`] carries out effects, [`Election`]
//! decides who leads. `controller/` and [`Elector`] only send the requests.

mod attempt;
mod election;
mod landing;
mod lease;
mod performance;
mod record;
mod refusal;

use std::time::Duration;

pub use election::{Election, Grant, LEASE_NAME, LeaseAnswer, LeaseRequest, RETRY_PERIOD, Turn};
pub use landing::{Ending, OtherMoves, follow};
pub use lease::{Elector, Leadership};
pub use performance::{Answer, Asking, Next, Performance, Request};
pub use record::{Asked, Move, Siblings, seconds};
pub use refusal::{no_answer, refusal_of};

/// How long one request that changes something may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
