//! Watching a landing: from the eviction to the replacement's Availability.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::MoveState;
use crate::observe::{Index, Pod, Uid};

use super::record::{Asked, Move, seconds};

/// After this long an eviction that was not confirmed, and whose pod is still
/// there, is taken as not made.
const UNCONFIRMED_FOR: SignedDuration = SignedDuration::from_secs(30);
/// After a restart, a replacement may be this much older than the move: the
/// API server's clock may be behind ours.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// How a move ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Available in the target zone.
    Landed,
    /// In another zone.
    Missed,
    /// Not Available in time; whether the replacement is in the target zone.
    Stuck {
        /// Then the zone itself is in doubt.
        in_target_zone: bool,
    },
    /// Not made.
    Refused,
}

/// Brings a move up to what the index shows. `claimed` are uids of pods that
/// other moves take for their replacement.
pub fn follow(
    index: &Index,
    namespace: &str,
    moved: &mut Move,
    claimed: &BTreeSet<Uid>,
    timeout: Duration,
    now: Timestamp,
) -> Option<Ending> {
    if moved.status.state == MoveState::Evicting {
        let pod = index
            .cluster()
            .pod_id(namespace, &moved.status.pod)
            .and_then(|id| index.cluster().pod(id))
            .filter(|pod| pod.uid == *moved.status.uid && !pod.terminating);
        let confirmed = moved.asked == Asked::Granted || pod.is_none();
        if confirmed {
            moved.status.state = MoveState::Evicted;
        } else if moved.asked == Asked::Unknown
            && now.duration_since(moved.started) >= UNCONFIRMED_FOR
        {
            return Some(end(moved, Ending::Refused, "the eviction was not made".to_owned(), now));
        } else {
            return None;
        }
    }
    if moved.status.state != MoveState::Evicted {
        return None;
    }
    let replacement = replacement(index, namespace, moved, claimed);
    moved.replacement = replacement.map(|pod| pod.uid.clone());
    moved.status.replacement = replacement.map(|pod| pod.name.to_string());
    moved.status.node = replacement.and_then(|pod| pod.node.as_deref()).map(str::to_owned);
    let zone = replacement.and_then(|pod| index.cluster().zone_of(pod));
    if let (Some(pod), Some(zone)) = (replacement, zone) {
        if !moved.is_expected_in(zone.as_str()) {
            let message = format!(
                "{} landed on {} in zone {zone}, expected in {}",
                pod.name,
                pod.node.as_deref().unwrap_or_default(),
                moved.status.to
            );
            return Some(end(moved, Ending::Missed, message, now));
        }
        let min_ready = index.workload_of(pod).map_or(0, |workload| workload.min_ready_seconds);
        if pod.is_available(min_ready, now) {
            let took = now.duration_since(moved.started).as_secs();
            let message = format!("{} is Available in zone {zone} after {took}s", pod.name);
            zone.as_str().clone_into(&mut moved.status.to);
            return Some(end(moved, Ending::Landed, message, now));
        }
    }
    let timeout = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
    if now.duration_since(moved.started) < timeout {
        return None;
    }
    let in_target_zone = zone.is_some();
    let message = match (replacement, zone) {
        (Some(pod), Some(zone)) => {
            format!("{} in zone {zone} is not Available after {}s", pod.name, timeout.as_secs())
        }
        (Some(pod), None) => format!("{} has no node after {}s", pod.name, timeout.as_secs()),
        (None, _) => format!("no replacement was made within {}s", timeout.as_secs()),
    };
    Some(end(moved, Ending::Stuck { in_target_zone }, message, now))
}

fn end(moved: &mut Move, ending: Ending, message: String, now: Timestamp) -> Ending {
    moved.status.state = match ending {
        Ending::Landed => MoveState::Landed,
        Ending::Missed => MoveState::Missed,
        Ending::Stuck { .. } => MoveState::Stuck,
        Ending::Refused => MoveState::Refused,
    };
    moved.status.message = message;
    moved.status.finished_at = Some(seconds(now));
    ending
}

/// The pod that the owner made in place of the evicted one: the oldest that
/// was not there before, and that no other move claims.
fn replacement<'a>(
    index: &'a Index,
    namespace: &str,
    moved: &Move,
    claimed: &BTreeSet<Uid>,
) -> Option<&'a Pod> {
    let status = &moved.status;
    let (kind, owner) = status.owner.split_once('/')?;
    let is_new = |pod: &Pod| match &moved.siblings {
        Some(siblings) => !siblings.contains(&pod.uid),
        None => pod.created.time() >= status.started_at.0 - CLOCK_TOLERANCE,
    };
    index
        .cluster()
        .pods_in(namespace)
        .map(|(_, pod)| pod)
        .filter(|pod| {
            pod.owner.as_ref().is_some_and(|known| &*known.kind == kind && &*known.name == owner)
        })
        .filter(|pod| kind != "StatefulSet" || *pod.name == *status.pod)
        .filter(|pod| pod.uid != *status.uid && !pod.terminating && !claimed.contains(&pod.uid))
        .filter(|pod| is_new(pod))
        .min_by_key(|pod| (moved.replacement.as_ref() != Some(&pod.uid), pod.created, &pod.name))
}
