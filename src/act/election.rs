//! One hand (law 8): a Lease with compare-and-swap on its resourceVersion,
//! without its IO. Time comes in as a value.
//!
//! Expiry is measured on the local monotonic clock, from when a change of the
//! lease was observed, so that clocks need not agree. That clock stands still while the
//! machine is suspended: then another's lease is waited for longer, and for our own the
//! wall clock counts, too.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use crate::observe::ClockReading;

/// The lease's name.
pub const LEASE_NAME: &str = "zonespread";
/// How long a lease holds without being renewed.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// The leader stops acting this long after its last renewal began: well before
/// another could take over.
pub const ACTS_FOR: Duration = Duration::from_secs(8);
/// How often the lease is renewed or looked at.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// The right to change the cluster, from a round that began then.
#[derive(Clone, Copy, Debug)]
pub struct Grant(ClockReading);

impl Grant {
    /// Whether it lasts still. Ask before every request.
    #[must_use]
    pub fn holds(self, now: ClockReading) -> bool {
        now.since(self.0) < ACTS_FOR
    }
}

/// What is asked of the API server.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseRequest {
    /// Read the lease.
    Read,
    /// Make it, held by us.
    Create(Box<Lease>),
    /// Replace it, if it is still the version that we hold.
    Renew(Box<Lease>),
    /// Replace it, if it is still the version that we found.
    Take(Box<Lease>),
}

/// What the API server said.
#[derive(Clone, Debug, PartialEq)]
pub enum LeaseAnswer {
    /// The lease, read or written.
    Lease(Box<Lease>),
    /// There is none.
    Missing,
    /// Somebody else wrote in between.
    Conflict,
}

/// How a round goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// Send this, and pass the answer to [`Election::answered`].
    Ask(LeaseRequest),
    /// The round is over: [`Election::granted`] says what came of it.
    Over,
}

/// Takes part in the election of a leader, one round every [`RETRY_PERIOD`].
/// A round without an answer proves nothing: what was granted runs out by itself.
#[derive(Clone, Debug)]
pub struct Election {
    identity: String,
    /// The lease as last seen, and when it last changed, on our clock.
    seen: Option<(Lease, Instant)>,
    /// When the round began.
    began: Option<ClockReading>,
    granted: Option<Grant>,
}

impl Election {
    /// One that has seen nothing yet.
    #[must_use]
    pub const fn new(identity: String) -> Self {
        Self { identity, seen: None, began: None, granted: None }
    }

    /// This replica's name in the lease.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What we hold, if we hold the lease.
    #[must_use]
    pub const fn granted(&self) -> Option<Grant> {
        self.granted
    }

    /// What to ask first in a round that begins now.
    #[must_use]
    pub fn begin(&mut self, now: ClockReading) -> LeaseRequest {
        self.began = Some(now);
        match &self.seen {
            Some((lease, _)) if self.holds(lease) => {
                LeaseRequest::Renew(Box::new(self.held(lease, false, now.wall)))
            }
            _ => LeaseRequest::Read,
        }
    }

    /// What follows from the answer to `asked`.
    pub fn answered(
        &mut self,
        asked: &LeaseRequest,
        answer: LeaseAnswer,
        now: ClockReading,
    ) -> Turn {
        match (asked, answer) {
            (LeaseRequest::Read, LeaseAnswer::Lease(lease)) => self.found(*lease, now),
            (LeaseRequest::Read, _) => {
                let metadata =
                    ObjectMeta { name: Some(LEASE_NAME.to_owned()), ..ObjectMeta::default() };
                let fresh = self.held(&Lease { metadata, spec: None }, true, now.wall);
                Turn::Ask(LeaseRequest::Create(Box::new(fresh)))
            }
            (_, LeaseAnswer::Lease(written)) => {
                self.seen = Some((*written, now.monotonic));
                // The others count from when they see it, which is later.
                self.granted = self.began.map(Grant);
                Turn::Over
            }
            // Somebody wrote in between: look again.
            (LeaseRequest::Renew(_), _) => {
                self.seen = None;
                Turn::Ask(LeaseRequest::Read)
            }
            (LeaseRequest::Create(_) | LeaseRequest::Take(_), _) => self.not_ours(),
        }
    }

    fn found(&mut self, lease: Lease, now: ClockReading) -> Turn {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let changed_at = match &self.seen {
            Some((seen, at)) if version(seen) == version(&lease) => *at,
            _ => now.monotonic,
        };
        let holds = self.holds(&lease);
        let unchanged_for = now.monotonic.saturating_duration_since(changed_at);
        let turn = if holds || is_free(&lease, unchanged_for) {
            Turn::Ask(LeaseRequest::Take(Box::new(self.held(&lease, !holds, now.wall))))
        } else {
            self.not_ours()
        };
        self.seen = Some((lease, changed_at));
        turn
    }

    const fn not_ours(&mut self) -> Turn {
        self.granted = None;
        Turn::Over
    }

    /// What to replace the lease by, to give it up; none if we do not hold it.
    #[must_use]
    pub fn release(&mut self, now: ClockReading) -> Option<LeaseRequest> {
        self.granted = None;
        let (mut lease, _) = self.seen.take()?;
        if !self.holds(&lease) {
            return None;
        }
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.renew_time = Some(MicroTime(now.wall));
        }
        Some(LeaseRequest::Renew(Box::new(lease)))
    }

    fn holds(&self, lease: &Lease) -> bool {
        lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.identity)
    }

    /// The lease, held by us from now on.
    fn held(&self, lease: &Lease, takes_over: bool, now: Timestamp) -> Lease {
        let now = MicroTime(now);
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
    use crate::act::REQUEST_TIMEOUT;
    use std::time::Instant;

    fn now() -> ClockReading {
        ClockReading { monotonic: Instant::now(), wall: Timestamp::now() }
    }

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
    fn an_expired_lease_is_taken_after_it_was_seen_unchanged_for_its_duration() {
        let mut election = Election::new("me".to_owned());
        let start = now();
        let at = |seconds| ClockReading {
            monotonic: start.monotonic + Duration::from_secs(seconds),
            wall: start.wall + Duration::from_secs(seconds),
        };
        let other = Box::new(lease(Some("other"), Some(15)));
        for seconds in [0, 14] {
            assert_eq!(election.begin(at(seconds)), LeaseRequest::Read);
            let found = LeaseAnswer::Lease(other.clone());
            let turn = election.answered(&LeaseRequest::Read, found, at(seconds));
            assert_eq!(turn, Turn::Over);
            assert!(election.granted().is_none());
        }
        let found = LeaseAnswer::Lease(other);
        assert_eq!(election.begin(at(15)), LeaseRequest::Read);
        let Turn::Ask(take) = election.answered(&LeaseRequest::Read, found, at(15)) else {
            panic!("it is free")
        };
        let LeaseRequest::Take(taken) = &take else { panic!("{take:?}") };
        let written = LeaseAnswer::Lease(taken.clone());
        assert_eq!(election.answered(&take, written, at(18)), Turn::Over);
        assert!(matches!(election.begin(at(20)), LeaseRequest::Renew(_)));
        let granted = election.granted().unwrap();
        assert!(granted.holds(at(22)));
        assert!(!granted.holds(at(23)), "it counts from the beginning of the round");
        let suspended = ClockReading { wall: at(0).wall + Duration::from_mins(1), ..at(16) };
        assert!(!granted.holds(suspended), "the monotonic clock stood still");
    }

    #[test]
    fn what_a_leader_sent_is_over_before_another_may_start() {
        // Clocks may run apart by a twentieth each.
        assert!((ACTS_FOR + REQUEST_TIMEOUT) * 21 / 20 <= LEASE_DURATION * 19 / 20);
    }

    #[test]
    fn who_loses_the_swap_does_not_lead() {
        let mut election = Election::new("me".to_owned());
        let now = now();
        election.granted = Some(Grant(now));
        let renew = LeaseRequest::Renew(Box::new(lease(Some("me"), None)));
        let turn = election.answered(&renew, LeaseAnswer::Conflict, now);
        assert_eq!(turn, Turn::Ask(LeaseRequest::Read));
        let take = LeaseRequest::Take(Box::new(lease(None, None)));
        assert_eq!(election.answered(&take, LeaseAnswer::Conflict, now), Turn::Over);
        assert!(election.granted().is_none());
    }
}
