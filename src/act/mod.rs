//! Changing the cluster: what is asked of the API server, in which order, and what its
//! answers mean, decided without IO. [`Executor`] carries out effects, [`Election`]
//! decides who leads. `controller/` only sends the requests.

mod action;
mod election;
mod executor;
mod pending;
mod request;

use std::time::Duration;

pub use election::{Election, Grant, LEASE_NAME, LeaseAnswer, LeaseRequest, RETRY_PERIOD, Turn};
pub use executor::{Asking, Executor, Lanes, Progress, Ticket};
pub use request::{Answer, Request};

/// How long one request that changes something may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
