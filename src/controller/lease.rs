//! The election of a leader, carried out: see [`Election`] for how it decides.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::act::{
    Election, Grant, LEASE_NAME, LeaseAnswer, LeaseRequest, REQUEST_TIMEOUT, RETRY_PERIOD, Turn,
};

use super::clock;
use super::error_text::error_text;

/// A failure that lasts is told again after this long.
const TELL_AGAIN: Duration = Duration::from_mins(5);

/// Whether this process may change the cluster, right now.
#[derive(Clone, Debug)]
pub struct Leadership {
    granted: Arc<Mutex<Option<Grant>>>,
    always: bool,
}

impl Leadership {
    /// For a single replica without leader election.
    #[must_use]
    pub fn always() -> Self {
        Self { granted: Arc::default(), always: true }
    }

    fn none() -> Self {
        Self { granted: Arc::default(), always: false }
    }

    /// Whether this process may change the cluster. Ask before every request.
    #[must_use]
    pub fn may_act(&self) -> bool {
        let granted = *self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        self.always || granted.is_some_and(|granted| granted.holds(clock::now()))
    }

    fn set(&self, granted: Option<Grant>) {
        *self.granted.lock().unwrap_or_else(PoisonError::into_inner) = granted;
    }
}

/// Takes part in the election of a leader.
pub struct Elector {
    api: Api<Lease>,
    election: Election,
    leadership: Leadership,
    /// Why the lease could not be renewed, as it was told last, and when.
    told: Option<(String, Instant)>,
}

impl Elector {
    /// An elector for the lease in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, election: Election::new(identity), leadership: Leadership::none(), told: None }
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
            // No answer proves nothing: what was granted runs out by itself.
            let failure = match tokio::time::timeout(REQUEST_TIMEOUT, self.round()).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error_text(&error)),
                Err(_) => Some("no answer in time".to_owned()),
            };
            self.tell(failure);
            self.leadership.set(self.election.granted());
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
        if held && let Some(release) = self.election.release(clock::now()) {
            match tokio::time::timeout(REQUEST_TIMEOUT, self.ask(&release)).await {
                Ok(Ok(_)) => info!("the lease was released"),
                Ok(Err(error)) => warn!("the lease could not be released: {}", error_text(&error)),
                Err(_) => warn!("the lease could not be released in time"),
            }
        }
    }

    /// Says why the lease could not be renewed: once, and again while that lasts.
    fn tell(&mut self, failure: Option<String>) {
        let Some(why) = failure else {
            if self.told.take().is_some() {
                info!("the lease can be renewed again");
            }
            return;
        };
        let is_told =
            self.told.as_ref().is_some_and(|(told, at)| *told == why && at.elapsed() < TELL_AGAIN);
        if is_told {
            debug!("the lease could not be renewed: {why}");
            return;
        }
        warn!("the lease could not be renewed, and nothing is evicted without it: {why}");
        self.told = Some((why, Instant::now()));
    }

    /// One round of the election.
    async fn round(&mut self) -> Result<(), Error> {
        let mut request = self.election.begin(clock::now());
        loop {
            let answer = self.ask(&request).await?;
            match self.election.answered(&request, answer, clock::now()) {
                Turn::Ask(next) => request = next,
                Turn::Over => return Ok(()),
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
