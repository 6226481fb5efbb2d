//! The move that every cluster knows: the pod is evicted, and its owner makes another.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::follow::{Ending, View, follow, is_there, lands_by, settles_at, shows_by};
use super::request::Verb;
use super::step::Next;
use super::tracked_move::{Move, RequestState, Transition};

/// After this long an eviction that was not confirmed, and whose pod is still
/// there, is taken as not made.
const UNCONFIRMED_FOR: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn step(moved: &mut Move, view: &View<'_>, now: Timestamp) -> Next {
    if moved.is_unconfirmed() {
        match moved.request() {
            RequestState::Due => return Next::Ask(Verb::Evict),
            // Somebody else may have deleted it: the answer will tell.
            RequestState::Waiting => return Next::Wait,
            RequestState::Unknown if is_there(moved, view) && now < given_up_at(moved) => {
                return Next::Wait;
            }
            RequestState::Unknown if is_there(moved, view) => {
                return Next::End(Ending::Refused, "the eviction was not made".to_owned());
            }
            RequestState::Unknown | RequestState::Granted => moved.apply(Transition::Evicted, now),
        }
    }
    follow(moved, view, now).map_or(Next::Wait, |(ending, message)| Next::End(ending, message))
}

pub(super) fn wakes_at(moved: &Move, landing_timeout: Duration) -> Vec<Timestamp> {
    match moved.request() {
        RequestState::Due | RequestState::Waiting => Vec::new(),
        RequestState::Unknown if moved.is_unconfirmed() => vec![given_up_at(moved)],
        RequestState::Unknown | RequestState::Granted => {
            vec![settles_at(moved), lands_by(moved, landing_timeout), shows_by(moved)]
        }
    }
}

fn given_up_at(moved: &Move) -> Timestamp {
    moved.started.saturating_add(UNCONFIRMED_FOR).unwrap_or(Timestamp::MAX)
}
