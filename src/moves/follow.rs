//! Following a move: which pod replaces the one that left, and where it lands.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::MoveState;
use crate::observe::{Index, Name, Pod, Uid};

use super::discard::needless;
use super::stuck::why_stuck;
use super::tracked_move::{Move, Replacement};

/// After a restart, a replacement may be this much older than the move: the
/// API server's clock may be behind ours.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// For so long it is waited until every pod that left beside the evicted one has its
/// replacement, where it is not known how many the owner wants.
const SETTLES_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// A pod whose eviction was granted is seen to leave within this: a watch that went silent is
/// ended by the API server after at most five minutes, and then opened anew.
const SHOWS_WITHIN: SignedDuration = SignedDuration::from_mins(6);

/// What a move is judged by.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The cluster.
    pub index: &'a Index,
    /// The namespace of the policy and its pods.
    pub namespace: &'a Name,
    /// The policy's other moves.
    pub others: &'a OtherMoves,
    /// How long a landing may take.
    pub landing_timeout: Duration,
    /// Whether a pod may be evicted now at the end of a surge: no zone is out, and nothing is
    /// unknown.
    pub may_evict: bool,
    /// Whether there is a policy that wants the pod moved.
    pub is_wanted: bool,
}

impl<'a> View<'a> {
    /// For a request of a move, whose other moves do not matter.
    #[must_use]
    pub const fn of_one(index: &'a Index, namespace: &'a Name, others: &'a OtherMoves) -> Self {
        let landing_timeout = Duration::ZERO;
        Self { index, namespace, others, landing_timeout, may_evict: true, is_wanted: true }
    }
}

/// A policy's other moves: what of their pods must not be taken for ours.
#[derive(Clone, Debug, Default)]
pub struct OtherMoves {
    /// Pods that they take for their replacements.
    pub claimed: BTreeSet<Uid>,
    /// Pods that left because they, or we, evicted them.
    pub evicted: BTreeSet<Uid>,
}

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
    /// Nobody needs the replacement any more.
    Discarded,
    /// Not made.
    Refused,
}

impl Ending {
    /// As users see it.
    #[must_use]
    pub const fn state(self) -> MoveState {
        match self {
            Self::Landed => MoveState::Landed,
            Self::Missed => MoveState::Missed,
            Self::Stuck { .. } => MoveState::Stuck,
            Self::Discarded => MoveState::Discarded,
            Self::Refused => MoveState::Refused,
        }
    }
}

/// Brings what is known of a move's replacement up to what the index shows, and judges
/// where it lands: the ending, with a message for a human, once that is certain.
pub(super) fn follow(
    moved: &mut Move,
    view: &View<'_>,
    now: Timestamp,
) -> Option<(Ending, String)> {
    let index = view.index;
    if let Some(ended) = landed_and_leaving(moved, view, now) {
        return Some(ended);
    }
    // What there is before it is seen to leave was made for something else.
    let replacement = if is_owned(moved, view) { None } else { replacement(moved, view, now) };
    moved.replacement = replacement.map(|pod| Replacement {
        name: Name::clone(&pod.name),
        uid: Some(pod.uid.clone()),
        node: pod.node.clone(),
    });
    let zone = replacement.and_then(|pod| index.cluster().zone_of(pod));
    if let (Some(pod), Some(zone)) = (replacement, zone) {
        if !moved.is_expected_in(zone) {
            let node = pod.node.as_deref().unwrap_or_default();
            let mut message =
                format!("{} landed on {node} in zone {zone}, expected in {}", pod.name, moved.to);
            if let Some(rival) = moved.explanation(zone) {
                message = format!("{message}; {}", rival.advice());
            }
            return Some((Ending::Missed, message));
        }
        let min_ready = index.workload_of(pod).map_or(0, |workload| workload.min_ready_seconds);
        if pod.is_available(min_ready, now) {
            let took = now.duration_since(moved.started).as_secs();
            let message = format!("{} is Available in zone {zone} after {took}s", pod.name);
            moved.to = zone.clone();
            return Some((Ending::Landed, message));
        }
    }
    if replacement.is_none()
        && !is_there(moved, view)
        && let Some(why) = needless(moved, view, now)
    {
        return Some((Ending::Discarded, why));
    }
    // What is seen is older than the eviction: nothing follows from what is not seen.
    let is_blind = is_owned(moved, view);
    if now < lands_by(moved, view.landing_timeout) || is_blind && now < shows_by(moved) {
        return None;
    }
    let message = if is_blind {
        format!("{} was evicted, and is still there", moved.pod)
    } else {
        why_stuck(view, replacement, zone, view.landing_timeout.as_secs())
    };
    Some((Ending::Stuck { in_target_zone: zone.is_some() }, message))
}

/// A replacement that became Available and is deleted before anybody looked has landed. The
/// pod that the owner makes for it is for another loss, and no move may go on beside it (law 3).
fn landed_and_leaving(
    moved: &mut Move,
    view: &View<'_>,
    now: Timestamp,
) -> Option<(Ending, String)> {
    let known = moved.replacement.as_ref()?;
    let cluster = view.index.cluster();
    let pod = cluster.pod(cluster.pod_id(view.namespace, &known.name)?)?;
    if known.uid.as_ref() != Some(&pod.uid) || !pod.terminating {
        return None;
    }
    let zone = view.index.cluster().zone_of(pod).filter(|zone| moved.is_expected_in(zone))?;
    let min_ready = view.index.workload_of(pod).map_or(0, |workload| workload.min_ready_seconds);
    if !pod.was_available(min_ready, now) {
        return None;
    }
    moved.to = zone.clone();
    Some((Ending::Landed, format!("{} was Available in zone {zone}, and is deleted", pod.name)))
}

/// Whether the pod that is moved is there, and not about to leave.
pub(super) fn is_there(moved: &Move, view: &View<'_>) -> bool {
    moved.pod(view.index, view.namespace).is_some_and(|(_, pod)| !pod.terminating)
}

/// Whether its owner still counts the pod that is moved.
fn is_owned(moved: &Move, view: &View<'_>) -> bool {
    let pod = moved.pod(view.index, view.namespace);
    pod.is_some_and(|(_, pod)| !pod.terminating && !pod.is_released())
}

/// When a replacement that is not Available yet is stuck.
pub(super) fn lands_by(moved: &Move, timeout: Duration) -> Timestamp {
    moved.started.saturating_add(timeout).unwrap_or(Timestamp::MAX)
}

/// When a pod that is evicted is seen to leave, at the latest.
pub(super) fn shows_by(moved: &Move) -> Timestamp {
    moved.started.saturating_add(SHOWS_WITHIN).unwrap_or(Timestamp::MAX)
}

/// When it is settled which of the new pods is the replacement.
pub(super) fn settles_at(moved: &Move) -> Timestamp {
    moved.started.saturating_add(SETTLES_WITHIN).unwrap_or(Timestamp::MAX)
}

/// The pod that the owner made in place of the evicted one: of those that were not there
/// before, and that no other move claims, the first after those for pods that left before.
fn replacement<'a>(moved: &mut Move, view: &View<'a>, now: Timestamp) -> Option<&'a Pod> {
    let View { index, namespace, others, .. } = *view;
    let known = moved.replacement_uid().cloned();
    let owner = moved.owner.as_ref()?;
    let is_new = |pod: &Pod| match &moved.snapshot {
        Some(snapshot) => !snapshot.has(&pod.uid),
        None => pod.created.time() >= moved.decided - CLOCK_TOLERANCE,
    };
    let owned: Vec<&Pod> = index
        .cluster()
        .pods_in(namespace)
        .map(|(_, pod)| pod)
        .filter(|pod| pod.owner.as_ref().is_some_and(|known| owner.is(known)))
        .filter(|pod| pod.uid != moved.uid && !pod.terminating)
        .collect();
    let mut new: Vec<&Pod> = owned
        .iter()
        .filter(|pod| !others.claimed.contains(&pod.uid) && is_new(pod))
        .copied()
        .collect();
    // A StatefulSet gives the new pod the name of the one before.
    if &*owner.kind == "StatefulSet" {
        return new.into_iter().find(|pod| pod.name == moved.pod);
    }
    let mut there: BTreeSet<&Uid> = owned.iter().map(|pod| &pod.uid).collect();
    let is_known = |pod: &&Pod| known.as_ref() == Some(&pod.uid);
    if let Some(known) = new.iter().copied().find(is_known) {
        // Should it go, its own replacement is none of those that are there now.
        if let Some(snapshot) = &mut moved.snapshot {
            there.remove(&known.uid);
            Arc::make_mut(snapshot).replacement_seen(index, namespace, &there);
        }
        return Some(known);
    }
    if let Some(snapshot) = &mut moved.snapshot {
        // The pod that was moved, or the replacement that was taken for its own.
        let has_left = |pod: &&Pod| match &known {
            Some(replacement) => pod.uid == *replacement,
            None => pod.uid == moved.uid,
        };
        let mut pods = index.cluster().pods_in(namespace).map(|(_, pod)| pod);
        let left = pods.find(has_left).and_then(|pod| pod.seen_leaving);
        Arc::make_mut(snapshot).pod_left(&there, left);
    }
    new.sort_by_key(|pod| (pod.seen, pod.created, &pod.name));
    let (left, is_certain, older) = match &moved.snapshot {
        Some(snapshot) => {
            let (left, is_certain) = snapshot.departures(index, namespace, &there, &others.evicted);
            let older = new.iter().filter(|pod| snapshot.is_older(pod)).count();
            (left, is_certain, older)
        }
        None => (0, true, 0),
    };
    let settled = !is_certain && now >= settles_at(moved);
    let left = if settled { left.min(new.len().saturating_sub(1)) } else { left };
    // More new pods than departures means a scale-up.
    let ours = new.get(left.max(older)).copied()?;
    if moved.snapshot.is_some() {
        return Some(ours);
    }
    // After a restart all that is known is the time, in whole seconds: of those of the same
    // one, any may be ours, and one that is where it was expected is the likelier.
    let mut of_its_second = new.into_iter().filter(|pod| pod.created == ours.created);
    let is_expected = |pod: &&Pod| {
        let zone = index.cluster().zone_of(pod);
        zone.is_some_and(|zone| moved.is_expected_in(zone))
    };
    of_its_second.find(is_expected).or(Some(ours))
}
