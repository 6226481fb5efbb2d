//! One hand (law 8): a Lease with compare-and-swap on its resourceVersion.
//! Expiry is measured on the local monotonic clock, from when a change of the
//! lease was observed, so that clocks need not agree.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use tokio::sync::watch;
use tracing::{info, warn};

/// The lease's name.
pub const LEASE_NAME: &str = "zonespread";
/// How long a lease holds without being renewed.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// The leader stops acting this long after its last renewal began: well before
/// another could take over.
const ACTS_FOR: Duration = Duration::from_secs(10);
/// How often the lease is renewed or looked at.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

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
    identity: String,
    leadership: Leadership,
    /// The lease as last seen, and when it last changed, on our clock.
    seen: Option<(Lease, Instant)>,
}

impl Elector {
    /// An elector for the lease in `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, identity, leadership: Leadership::none(), seen: None }
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
            match tokio::time::timeout(REQUEST_TIMEOUT, self.acquire_or_renew()).await {
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
                info!(leading = now_leading, identity = %self.identity, "leadership changed");
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_PERIOD) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        let held = self.leadership.may_act();
        self.leadership.set(None);
        if held {
            match tokio::time::timeout(REQUEST_TIMEOUT, self.release()).await {
                Ok(Ok(())) => info!("the lease was released"),
                Ok(Err(error)) => warn!(%error, "the lease could not be released"),
                Err(_) => warn!("the lease could not be released in time"),
            }
        }
    }

    /// One step: whether we hold the lease now.
    async fn acquire_or_renew(&mut self) -> Result<bool, Error> {
        if let Some((lease, _)) = &self.seen
            && self.holds(lease)
        {
            let renewed = self.held(lease, false);
            match self.api.replace(LEASE_NAME, &PostParams::default(), &renewed).await {
                Ok(lease) => {
                    self.seen = Some((lease, Instant::now()));
                    return Ok(true);
                }
                // Somebody wrote in between: look again.
                Err(Error::Api(status)) if status.code == 409 || status.code == 404 => {
                    self.seen = None;
                }
                Err(error) => return Err(error),
            }
        }
        let Some(lease) = self.api.get_opt(LEASE_NAME).await? else {
            let fresh = Lease {
                metadata: ObjectMeta { name: Some(LEASE_NAME.to_owned()), ..ObjectMeta::default() },
                spec: None,
            };
            let fresh = self.held(&fresh, true);
            return self.swap(self.api.create(&PostParams::default(), &fresh).await);
        };
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let changed_at = match &self.seen {
            Some((seen, at)) if version(seen) == version(&lease) => *at,
            _ => Instant::now(),
        };
        self.seen = Some((lease.clone(), changed_at));
        if !self.holds(&lease) && !is_free(&lease, changed_at.elapsed()) {
            return Ok(false);
        }
        let takes_over = !self.holds(&lease);
        let taken = self.held(&lease, takes_over);
        let answer = self.api.replace(LEASE_NAME, &PostParams::default(), &taken).await;
        self.swap(answer)
    }

    /// The outcome of a compare-and-swap: losing it is no error.
    fn swap(&mut self, answer: Result<Lease, Error>) -> Result<bool, Error> {
        match answer {
            Ok(lease) => {
                self.seen = Some((lease, Instant::now()));
                Ok(true)
            }
            Err(Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn release(&mut self) -> Result<(), Error> {
        let Some((lease, _)) = self.seen.take() else { return Ok(()) };
        let mut freed = lease;
        if let Some(spec) = &mut freed.spec {
            spec.holder_identity = None;
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        self.api.replace(LEASE_NAME, &PostParams::default(), &freed).await.map(|_| ())
    }

    fn holds(&self, lease: &Lease) -> bool {
        lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.identity)
    }

    /// The lease, held by us from now on.
    fn held(&self, lease: &Lease, takes_over: bool) -> Lease {
        let now = MicroTime(Timestamp::now());
        let before = lease.spec.clone().unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or(0) + i32::from(takes_over);
        Lease {
            metadata: lease.metadata.clone(),
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
                acquire_time: if takes_over { Some(now.clone()) } else { before.acquire_time },
                renew_time: Some(now),
                lease_transitions: Some(transitions),
                ..before
            }),
        }
    }
}

/// Whether nobody holds the lease: given up, or unchanged for its duration.
fn is_free(lease: &Lease, unchanged_for: Duration) -> bool {
    let Some(spec) = &lease.spec else { return true };
    let held = spec.holder_identity.as_ref().is_some_and(|holder| !holder.is_empty());
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    // Never sooner than our own duration: a foreign value must not let two act.
    let duration = seconds.map_or(LEASE_DURATION, Duration::from_secs).max(LEASE_DURATION);
    !held || unchanged_for >= duration
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: Option<&str>, seconds: Option<i32>) -> Lease {
        Lease {
            metadata: ObjectMeta::default(),
            spec: Some(LeaseSpec {
                holder_identity: holder.map(str::to_owned),
                lease_duration_seconds: seconds,
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_is_free_once_given_up_or_unchanged_for_its_duration() {
        let almost = Duration::from_secs(14);
        assert!(is_free(&lease(None, Some(15)), Duration::ZERO));
        assert!(is_free(&lease(Some(""), Some(15)), Duration::ZERO));
        assert!(!is_free(&lease(Some("other"), Some(15)), almost));
        assert!(is_free(&lease(Some("other"), Some(15)), LEASE_DURATION));
        assert!(!is_free(&lease(Some("other"), Some(1)), almost));
        assert!(!is_free(&lease(Some("other"), Some(60)), LEASE_DURATION));
    }

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
    fn the_leader_stops_acting_well_before_another_may_start() {
        assert!(ACTS_FOR + REQUEST_TIMEOUT <= LEASE_DURATION);
    }
}
