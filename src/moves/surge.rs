//! The move that starts before it stops: the pod's owner is made to let it go and makes
//! another; once that is Available where it should be, the pod is evicted. Where it is not, the
//! pod goes back to its owner, and nothing was lost.
//!
//! The mark on the pod is the state. Whatever is looked up here is on the pods, so that every
//! leader comes to the same next step, and each step may be made twice.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::MOVE;
use crate::observe::{
    DELETION_COST, Index, MoveMark, Name, Pod, PolicyKey, Workload, WorkloadKey, WorkloadKind,
    hash_before, hash_label, released_hash,
};

use super::follow::{Ending, View, follow, lands_by, settles_at};
use super::request::{PodPatch, Verb};
use super::step::Next;
use super::tracked_move::{Move, RequestState, Transition};

/// A surge must be over so long after its replacement should have landed: the time to evict
/// the pod.
pub const DEADLINE_AFTER_LANDING: SignedDuration = SignedDuration::from_mins(1);

/// After this long a request that was not confirmed, and does not show, is taken as not made.
const UNCONFIRMED_FOR: SignedDuration = SignedDuration::from_secs(30);

/// An owner that is not there any more for so long is gone.
const OWNER_GONE_FOR: SignedDuration = SignedDuration::from_secs(10);

/// The cost of deleting a replacement that is to go: nothing is lower.
const DEMOTED: i32 = i32::MIN;

/// How far a surge is, besides what the pods show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SurgeProgress {
    /// When it must be over.
    pub deadline: Option<Timestamp>,
    /// What is said of the replacement once it has landed.
    landed: Option<String>,
    /// How it ends once it is undone.
    pub verdict: Option<Ending>,
    /// Whether the pod was seen to be released.
    seen_released: bool,
    /// How many pods the owner wanted when it was first looked at.
    wanted: Option<i32>,
    /// When the pod was first seen to be back.
    back_since: Option<Timestamp>,
    /// Since when its owner is gone.
    owner_gone: Option<Timestamp>,
    /// How many requests in a row were refused.
    pub(super) refused: u32,
    /// Whether its pod could not be evicted when that was last tried.
    not_retired: bool,
    /// Whether labels cannot be changed any more: then the pod is evicted instead.
    unpatchable: bool,
}

impl SurgeProgress {
    /// One that must be over by then.
    pub(super) fn due(deadline: Timestamp) -> Self {
        Self { deadline: Some(deadline), ..Self::default() }
    }

    /// A request after the first was answered.
    pub(super) fn answered(&mut self, verb: Verb, refusal: Refusal) {
        self.refused = if refusal == Refusal::None { 0 } else { self.refused.saturating_add(1) };
        let forbidden = refusal == Refusal::Forbidden;
        match verb {
            Verb::Restore | Verb::Demote | Verb::Promote if forbidden => self.unpatchable = true,
            // Each is tried in turn until one is let through.
            Verb::Retire => {
                self.unpatchable = false;
                self.not_retired = true;
            }
            _ => {}
        }
    }
}

/// Whether a request after the first was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was not.
    None,
    /// The right for it is missing.
    Forbidden,
    /// For another reason.
    Other,
}

/// The pod that is moved, as the index shows it.
enum Moved<'a> {
    Gone,
    Owned(&'a Pod),
    Released(&'a Pod),
}

impl<'a> Moved<'a> {
    fn of(moved: &Move, view: &View<'a>) -> Self {
        match moved.pod(view.index, view.namespace) {
            Some((_, pod)) if pod.terminating => Self::Gone,
            Some((_, pod)) if pod.is_released() => Self::Released(pod),
            Some((_, pod)) => Self::Owned(pod),
            None => Self::Gone,
        }
    }
}

pub(super) fn step(moved: &mut Move, view: &View<'_>, now: Timestamp) -> Next {
    let pod = Moved::of(moved, view);
    if moved.is_unconfirmed() {
        match (moved.request(), &pod) {
            (RequestState::Due, _) => return Next::Ask(Verb::Release),
            (RequestState::Waiting, _) => return Next::Wait,
            (RequestState::Unknown, Moved::Owned(_)) if now < shows_by(moved) => {
                return Next::Wait;
            }
            (RequestState::Unknown, Moved::Owned(_)) => {
                return Next::End(Ending::Refused, "the pod was not released".to_owned());
            }
            (RequestState::Unknown | RequestState::Granted, _) => {
                moved.apply(Transition::Released, now);
            }
        }
    }
    match pod {
        Moved::Gone => gone(moved, view, now),
        Moved::Owned(pod) if moved.is_undoing() => back(moved, view, pod, now),
        Moved::Owned(_) if !moved.surge.seen_released && now < shows_by(moved) => Next::Wait,
        Moved::Owned(pod) => {
            let message = format!("{} was given back to its owner", pod.name);
            moved.apply(Transition::Undoing(Ending::Refused, message), now);
            back(moved, view, pod, now)
        }
        Moved::Released(pod) if moved.is_undoing() => undo(moved, view, pod, now),
        Moved::Released(pod) => released(moved, view, pod, now),
    }
}

pub(super) fn wakes_at(moved: &Move, landing_timeout: Duration) -> Vec<Timestamp> {
    match moved.request() {
        RequestState::Due | RequestState::Waiting => Vec::new(),
        RequestState::Unknown | RequestState::Granted => [
            Some(shows_by(moved)),
            Some(settles_at(moved)),
            Some(lands_by(moved, landing_timeout)),
            moved.surge.deadline,
            moved.surge.back_since.map(settled_after),
            moved.surge.owner_gone.and_then(|since| since.checked_add(OWNER_GONE_FOR).ok()),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

fn shows_by(moved: &Move) -> Timestamp {
    settled_after(moved.started)
}

fn settled_after(since: Timestamp) -> Timestamp {
    since.saturating_add(UNCONFIRMED_FOR).unwrap_or(Timestamp::MAX)
}

/// What `verb` changes of which pod; none if it changes none, or the pod is gone.
pub(super) fn patch(
    moved: &Move,
    verb: Verb,
    policy: &PolicyKey,
    index: &Index,
) -> Option<PodPatch> {
    let (_, pod) = moved.pod(index, &policy.namespace)?;
    let patch = |pod: &Pod| PodPatch {
        pod: Name::clone(&pod.name),
        uid: pod.uid.clone(),
        labels: Vec::new(),
        annotations: Vec::new(),
        resource_version: None,
    };
    Some(match verb {
        Verb::Evict
        | Verb::Retire
        | Verb::Demote
        | Verb::Promote
        | Verb::Vacate
        | Verb::Remake
        | Verb::SetCost => return None,
        Verb::Release => {
            let (key, hash) = hash_label(&pod.labels)?;
            let mark = mark(moved, policy, hash);
            PodPatch {
                labels: vec![(key, released_hash(hash))],
                annotations: vec![(MOVE, Some(mark.to_string()))],
                ..patch(pod)
            }
        }
        Verb::Restore => PodPatch {
            labels: hash_before(&pod.labels)
                .map(|(key, hash)| (key, hash.to_owned()))
                .into_iter()
                .collect(),
            annotations: vec![(MOVE, None)],
            ..patch(pod)
        },
    })
}

/// The same of the replacement.
pub(super) fn replacement_patch(
    moved: &Move,
    verb: Verb,
    policy: &PolicyKey,
    view: &View<'_>,
) -> Option<PodPatch> {
    let pod = replacement(moved, view)?;
    let (mark, cost) = if verb == Verb::Demote {
        let hash = hash_label(&pod.labels).map_or("", |(_, hash)| hash);
        let mark = MoveMark { cost: pod.deletion_cost, ..mark(moved, policy, hash) };
        (Some(mark.to_string()), Some(DEMOTED))
    } else {
        let before = pod.mark.as_ref().map_or(0, |mark| mark.cost);
        let cost = if pod.deletion_cost == DEMOTED { before } else { pod.deletion_cost };
        (None, Some(cost).filter(|cost| *cost != 0))
    };
    let annotations = vec![(MOVE, mark), (DELETION_COST, cost.map(|cost| cost.to_string()))];
    Some(PodPatch {
        pod: Name::clone(&pod.name),
        uid: pod.uid.clone(),
        labels: Vec::new(),
        annotations,
        resource_version: None,
    })
}

fn mark(moved: &Move, policy: &PolicyKey, hash: &str) -> MoveMark {
    let zones = std::iter::once(&moved.to).chain(&moved.alternatives);
    MoveMark {
        policy: policy.name.to_string(),
        tier: moved.tier.to_string(),
        pod: moved.pod.to_string(),
        uid: moved.uid.to_string(),
        owner: moved.owner.as_ref().map_or_else(String::new, ToString::to_string),
        from: moved.from.to_string(),
        to: zones.map(ToString::to_string).collect(),
        hash: hash.to_owned(),
        started_at: moved.decided,
        deadline: moved.surge.deadline.unwrap_or(moved.decided),
        cost: 0,
    }
}

/// The pod is released and serves; its replacement is awaited.
fn released(moved: &mut Move, view: &View<'_>, pod: &Pod, now: Timestamp) -> Next {
    moved.surge.seen_released = true;
    let own = lands_by(moved, view.landing_timeout).saturating_add(DEADLINE_AFTER_LANDING);
    let marked = pod.mark.as_ref().map(|mark| mark.deadline);
    let deadline =
        *moved.surge.deadline.get_or_insert(marked.or(own.ok()).unwrap_or(Timestamp::MAX));
    let why = match owner(moved, view) {
        Owner::Gone => return follow_owner(moved, view, now),
        Owner::Unknown => Some("which owner it had is not known".to_owned()),
        Owner::Known(_) if !view.is_wanted => Some("its policy is gone".to_owned()),
        Owner::Known(workload) => changed(moved, view, workload),
    };
    moved.surge.owner_gone = None;
    if let Some(why) = why {
        moved.apply(Transition::Undoing(Ending::Refused, why), now);
        return undo(moved, view, pod, now);
    }
    let in_time = now < deadline;
    let landing = follow(moved, view, now);
    moved.surge.landed = None;
    let (ending, message) = match landing {
        // Whoever comes late tries once.
        Some((Ending::Landed, message))
            if view.may_evict && (in_time || !moved.surge.not_retired) =>
        {
            moved.surge.landed = Some(message);
            return Next::Ask(Verb::Retire);
        }
        Some((Ending::Landed, message)) if in_time => {
            moved.surge.landed = Some(message);
            return Next::Wait;
        }
        Some((Ending::Landed, message)) => {
            let message = format!("{message}, but {} could not be evicted in time", pod.name);
            (Ending::Stuck { in_target_zone: false }, message)
        }
        Some(ended) => ended,
        None if in_time => return Next::Wait,
        None => {
            let message = "it was not over in time".to_owned();
            (Ending::Stuck { in_target_zone: false }, message)
        }
    };
    moved.apply(Transition::Undoing(ending, message), now);
    undo(moved, view, pod, now)
}

/// Nobody can have the pod back: it follows its owner. One that is deleted and made again at
/// once takes its pods over.
fn follow_owner(moved: &mut Move, view: &View<'_>, now: Timestamp) -> Next {
    let since = *moved.surge.owner_gone.get_or_insert(now);
    let is_gone = now >= since.saturating_add(OWNER_GONE_FOR).unwrap_or(Timestamp::MAX);
    if view.may_evict && is_gone { Next::Ask(Verb::Retire) } else { Next::Wait }
}

/// The pod is to go back to its owner, which then has one too many: the replacement.
fn undo(moved: &mut Move, view: &View<'_>, pod: &Pod, now: Timestamp) -> Next {
    debug_assert!(pod.is_released());
    if matches!(owner(moved, view), Owner::Gone) {
        return follow_owner(moved, view, now);
    }
    moved.surge.owner_gone = None;
    if moved.surge.unpatchable {
        // Wherever the replacement is, only if it serves is nothing lost.
        let is_up = replacement(moved, view).is_some_and(|replacement| {
            let workload = view.index.workload_of(replacement);
            let min_ready = workload.map_or(0, |workload| workload.min_ready_seconds);
            replacement.is_available(min_ready, now)
        });
        let may_go = is_up || has_enough(moved, view, now);
        return Next::Ask(if may_go && view.may_evict { Verb::Retire } else { Verb::Restore });
    }
    match replacement(moved, view) {
        Some(replacement) if replacement.deletion_cost != DEMOTED => Next::Ask(Verb::Demote),
        _ => Next::Ask(Verb::Restore),
    }
}

/// The pod is back: its owner removes the replacement, or another pod.
fn back(moved: &mut Move, view: &View<'_>, pod: &Pod, now: Timestamp) -> Next {
    if pod.mark.is_some() && !moved.surge.unpatchable {
        return Next::Ask(Verb::Restore);
    }
    let since = *moved.surge.back_since.get_or_insert(now);
    let may_go = now < settled_after(since) && has_surplus(moved, view);
    match replacement(moved, view).filter(|replacement| replacement.mark.is_some()) {
        Some(_) if may_go => Next::Wait,
        Some(_) if !moved.surge.unpatchable => Next::Ask(Verb::Promote),
        _ => end(moved, view),
    }
}

/// The pod has left: evicted by us, or by somebody else.
fn gone(moved: &mut Move, view: &View<'_>, now: Timestamp) -> Next {
    let marked = replacement(moved, view).is_some_and(|replacement| replacement.mark.is_some());
    if marked && !moved.surge.unpatchable {
        return Next::Ask(Verb::Promote);
    }
    if let Some(message) = moved.surge.landed.clone() {
        return Next::End(Ending::Landed, message);
    }
    if moved.is_undoing() {
        return end(moved, view);
    }
    if !moved.is_evicted() {
        moved.apply(Transition::Evicted, now);
    }
    follow(moved, view, now).map_or(Next::Wait, |(ending, message)| Next::End(ending, message))
}

/// The surge is undone.
fn end(moved: &Move, view: &View<'_>) -> Next {
    match (moved.surge.verdict, &moved.owner) {
        (Some(verdict), _) => Next::End(verdict, moved.message().to_owned()),
        // Taken over from another leader, which had its reason. That is not known any more, but
        // that nobody needs the move is.
        (None, Some(name)) if matches!(owner(moved, view), Owner::Gone) => {
            Next::End(Ending::Discarded, format!("{name} is gone: nobody makes a replacement"))
        }
        // What the other leader did not count is counted once.
        (None, _) => Next::End(Ending::Stuck { in_target_zone: false }, moved.message().to_owned()),
    }
}

/// The replacement, while it is there and stays.
fn replacement<'a>(moved: &Move, view: &View<'a>) -> Option<&'a Pod> {
    let known = moved.replacement.as_ref()?;
    let id = view.index.cluster().pod_id(view.namespace, &known.name)?;
    let pod = view.index.cluster().pod(id).filter(|pod| !pod.terminating)?;
    known.uid.as_ref().is_none_or(|uid| pod.uid == *uid).then_some(pod)
}

enum Owner<'a> {
    Gone,
    Unknown,
    Known(&'a Workload),
}

fn owner<'a>(moved: &Move, view: &View<'a>) -> Owner<'a> {
    let Some(owner) = &moved.owner else { return Owner::Unknown };
    let Some(kind) = WorkloadKind::parse(&owner.kind) else { return Owner::Unknown };
    let namespace = Name::clone(view.namespace);
    let key = WorkloadKey { namespace, kind, name: Name::clone(&owner.name) };
    view.index.cluster().workload(&key).map_or(Owner::Gone, Owner::Known)
}

/// Why the owner would not want the pod replaced any more, if so.
fn changed(moved: &mut Move, view: &View<'_>, workload: &Workload) -> Option<String> {
    let name = &workload.key.name;
    let wanted = *moved.surge.wanted.get_or_insert(workload.replicas);
    if workload.replicas < wanted || workload.replicas == 0 {
        return Some(format!("ReplicaSet {name} was scaled down to {}", workload.replicas));
    }
    let above =
        workload.owner.as_ref().and_then(|above| view.index.workload(view.namespace, above));
    above
        .filter(|above| above.rolling_out)
        .map(|above| format!("{} {} is rolling out", above.key.kind.as_str(), above.key.name))
}

/// Whether as many of the owner's other pods are Available as it wants: scaled down meanwhile,
/// it may need neither the pod nor its replacement.
fn has_enough(moved: &Move, view: &View<'_>, now: Timestamp) -> bool {
    let Owner::Known(workload) = owner(moved, view) else { return false };
    let others = pods_of(workload, moved, view).filter(|pod| pod.uid != moved.uid);
    let available = others.filter(|pod| pod.is_available(workload.min_ready_seconds, now)).count();
    available >= usize::try_from(workload.replicas).unwrap_or(usize::MAX)
}

/// Whether the owner has more pods than it wants, and is about to remove some.
fn has_surplus(moved: &Move, view: &View<'_>) -> bool {
    let Owner::Known(workload) = owner(moved, view) else { return false };
    pods_of(workload, moved, view).count() > usize::try_from(workload.replicas).unwrap_or(0)
}

/// The owner's pods that stay, and the one that is moved, whether it has it or not.
fn pods_of<'a>(
    workload: &'a Workload,
    moved: &'a Move,
    view: &View<'a>,
) -> impl Iterator<Item = &'a Pod> {
    view.index.cluster().pods_in(view.namespace).map(|(_, pod)| pod).filter(|pod| {
        let is_own = pod.owner.as_ref().is_some_and(|owner| owner.uid == workload.uid);
        !pod.terminating && (is_own || pod.uid == moved.uid)
    })
}
