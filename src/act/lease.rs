//! The election of a leader, carried out: see [`Election`] for how it decides.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use tokio::sync::watch;
use tracing::{info, warn};

use super::REQUEST_TIMEOUT;
use super::election::{
    ACTS_FOR, Election, LEASE_NAME, LeaseAnswer, LeaseRequest, Moment, RETRY_PERIOD, Turn,
};

/// Whether this process may change the cluster, right now.
#[derive(Clone, Debug)]
pub struct Leadership {
    acts_until: Arc<Mutex<Option<Instant>>>,
    always: bool,
}

impl Leadership {
    /// For a single replica without leader election.
    #[must_use]
    pub fn always() -> Self {
        Self { acts_until: Arc::default(), always: true }
    }

    fn none() -> Self {
        Self { acts_until: Arc::default(), always: false }
    }

    /// Whether this process may change the cluster. Ask before every request.
    #[must_use]
    pub fn may_act(&self) -> bool {
        let until = *self.acts_until.lock().unwrap_or_else(PoisonError::into_inner);
        self.always || until.is_some_and(|until| Instant::now() < until)
    }

    fn set(&self, until: Option<Instant>) {
        *self.acts_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// Takes part in the election of a leader.
pub struct Elector {
    api: Api<Lease>,
    election: Election,
    leadership: Leadership,
}

impl Elector {
    /// An elector for the lease in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, election: Election::new(identity), leadership: Leadership::none() }
    }

    /// What this process may do; kept up to date by [`Elector::run`].
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Renews the lease, or waits for it, until `stop`; then gives it up.
    /// Tells `leading` of every change.
    pub async fn run(mut self, leading: watch::Sender<bool>, mut stop: watch::Receiver<bool>) {
        loop {
            let began = Instant::now();
            match tokio::time::timeout(REQUEST_TIMEOUT, self.round()).await {
                Ok(Ok(true)) => self.leadership.set(Some(began + ACTS_FOR)),
                Ok(Ok(false)) => self.leadership.set(None),
                // No answer proves nothing: what was granted runs out by itself.
                Ok(Err(error)) => warn!(%error, "the lease could not be renewed"),
                Err(_) => warn!("the lease could not be renewed in time"),
            }
            let now_leading = self.leadership.may_act();
            let changed = leading.send_if_modified(|known| {
                let changed = *known != now_leading;
                *known = now_leading;
                changed
            });
            if changed {
                let identity = self.election.identity();
                info!(leading = now_leading, identity, "leadership changed");
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_PERIOD) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        let held = self.leadership.may_act();
        self.leadership.set(None);
        if held && let Some(release) = self.election.release(Moment::now()) {
            match tokio::time::timeout(REQUEST_TIMEOUT, self.ask(&release)).await {
                Ok(Ok(_)) => info!("the lease was released"),
                Ok(Err(error)) => warn!(%error, "the lease could not be released"),
                Err(_) => warn!("the lease could not be released in time"),
            }
        }
    }

    /// One round: whether we hold the lease now.
    async fn round(&mut self) -> Result<bool, Error> {
        let mut request = self.election.begin(Moment::now());
        loop {
            let answer = self.ask(&request).await?;
            match self.election.answered(&request, answer, Moment::now()) {
                Turn::Ask(next) => request = next,
                Turn::Over(holds) => return Ok(holds),
            }
        }
    }

    async fn ask(&self, request: &LeaseRequest) -> Result<LeaseAnswer, Error> {
        let params = PostParams::default();
        let answer = match request {
            LeaseRequest::Read => self.api.get(LEASE_NAME).await,
            LeaseRequest::Create(lease) => self.api.create(&params, lease).await,
            LeaseRequest::Renew(lease) | LeaseRequest::Take(lease) => {
                self.api.replace(LEASE_NAME, &params, lease).await
            }
        };
        match answer {
            Ok(lease) => Ok(LeaseAnswer::Lease(Box::new(lease))),
            Err(Error::Api(status)) if status.code == 404 => Ok(LeaseAnswer::Missing),
            Err(Error::Api(status)) if status.code == 409 => Ok(LeaseAnswer::Conflict),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::election::LEASE_DURATION;
    use std::time::Duration;

    #[test]
    fn leadership_runs_out_by_itself() {
        let leadership = Leadership::none();
        assert!(!leadership.may_act());
        leadership.set(Some(Instant::now() + Duration::from_mins(1)));
        assert!(leadership.may_act());
        leadership.set(Some(Instant::now()));
        assert!(!leadership.may_act());
    }

    #[test]
    fn what_a_leader_sent_is_over_before_another_may_start() {
        // Clocks may run apart by a twentieth each.
        assert!((ACTS_FOR + REQUEST_TIMEOUT) * 21 / 20 <= LEASE_DURATION * 19 / 20);
    }
}
