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
    let timeout = view.landing_timeout.as_secs();
    if now < lands_by(moved, view.landing_timeout) {
        return None;
    }
    let message = why_stuck(view, replacement, zone, timeout);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{OwnerSnapshot, RequestState, Step, Transition};
    use super::*;
    use crate::observe::fixtures::{node, pod};
    use crate::observe::{Change, Kind, Zone};
    use crate::plan::PlannedMove;
    use crate::predict::PendingPod;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn show(index: &mut Index, name: &str, node: &str, created: i64) {
        let shown = pod(name).on(node).owner("ReplicaSet", "web").created(at(created));
        index.apply(Change::Pod(shown.watched()));
    }

    fn starting(index: &mut Index, name: &str, node: &str, created: i64) {
        let shown = pod(name).on(node).owner("ReplicaSet", "web").created(at(created));
        index.apply(Change::Pod(shown.not_ready().watched()));
    }

    fn leaving(index: &mut Index, name: &str, node: &str) {
        let shown = pod(name).on(node).owner("ReplicaSet", "web").created(at(-100));
        index.apply(Change::Pod(shown.terminating().watched()));
    }

    fn gone(index: &mut Index, name: &str) {
        index.apply(Change::Gone(Kind::Pod, Name::from("default"), Name::from(name)));
    }

    /// Web has three pods; web-1 is evicted for zone c, and a user deletes web-2.
    struct Scene {
        index: Index,
        moved: Move,
    }

    impl Scene {
        fn new() -> Self {
            Self::of(Index::default())
        }

        /// The owner wants so many pods at the decision.
        fn wanting(wanted: i32) -> Self {
            let mut index = Index::default();
            let owner = json!({
                "metadata": {"name": "web", "namespace": "default", "uid": "uid-web"},
                "spec": {"replicas": wanted, "selector": {"matchLabels": {}}, "template": {}},
            });
            index.apply(Change::ReplicaSet(serde_json::from_value(owner).unwrap()));
            Self::of(index)
        }

        fn of(mut index: Index) -> Self {
            for zone in ["a", "b", "c"] {
                index.apply(Change::Node(node(&format!("{zone}1")).zone(zone).watched()));
            }
            for (name, node) in [("web-1", "a1"), ("web-2", "a1"), ("web-3", "b1")] {
                show(&mut index, name, node, -100);
            }
            let cluster = index.cluster();
            let id = cluster.pod_id("default", "web-1").unwrap();
            let evicted = cluster.pod(id).unwrap();
            let planned = PlannedMove {
                kind: crate::api::MoveKind::Evict,
                pod: id,
                from: Zone::new("a"),
                to: vec![Zone::new("c")],
                nodes: vec![Name::from("c1")],
                tied: 1,
                margin: 100,
                spare: 1,
                preempts: Vec::new(),
                waits: false,
                steered: None,
            };
            let snapshot = Arc::new(OwnerSnapshot::of(&index, evicted));
            let web = Name::from("web");
            let mut moved =
                Move::begin(&web, evicted, &planned, PendingPod::like(evicted), snapshot, at(0))
                    .unwrap();
            moved.apply(Transition::Granted, at(0));
            gone(&mut index, "web-1");
            gone(&mut index, "web-2");
            Self { index, moved }
        }

        /// In an event of its own.
        fn seen(&mut self, show: impl Fn(&mut Index)) {
            self.index.advance();
            show(&mut self.index);
        }

        /// How the move is at that time, and who replaces its pod.
        fn after(&mut self, second: i64) -> (Option<Ending>, Option<String>) {
            let evicted = [self.moved.uid.clone()].into();
            let others = OtherMoves { evicted, ..OtherMoves::default() };
            let view = View {
                index: &self.index,
                namespace: &Name::from("default"),
                others: &others,
                landing_timeout: Duration::from_mins(1),
                may_evict: true,
                is_wanted: true,
            };
            let ending = match self.moved.step(&view, at(second)) {
                Step::Ended(ending) => Some(ending),
                Step::Wait => None,
                Step::Ask(verb) => panic!("{verb:?}"),
            };
            (ending, self.moved.to_status().replacement)
        }
    }

    #[test]
    fn of_two_new_pods_the_first_is_for_the_one_that_left_besides() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-4", "c1", 0);
        assert_eq!(scene.after(1), (None, None), "whose it is, nobody knows yet");
        show(&mut scene.index, "web-5", "a1", 1);
        assert_eq!(scene.after(2), (Some(Ending::Missed), Some("web-5".to_owned())));
    }

    #[test]
    fn a_replacement_that_was_available_has_landed_though_it_is_deleted() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-4", "a1", 0);
        scene.seen(|index| starting(index, "web-5", "c1", 1));
        assert_eq!(scene.after(2), (None, Some("web-5".to_owned())));
        // Ready and deleted between two looks.
        scene.seen(|index| leaving(index, "web-5", "c1"));
        assert_eq!(scene.after(3), (Some(Ending::Landed), Some("web-5".to_owned())));
    }

    #[test]
    fn of_two_pods_of_one_second_the_one_that_is_where_it_was_expected_is_ours() {
        let mut scene = Scene::new();
        scene.moved = Move::from_status(&scene.moved.to_status(), at(1));
        scene.moved.apply(Transition::Evicted, at(1));
        for (name, node) in [("web-4", "a1"), ("web-5", "c1"), ("web-6", "b1")] {
            show(&mut scene.index, name, node, 0);
        }
        assert_eq!(scene.after(2), (Some(Ending::Landed), Some("web-5".to_owned())));
    }

    #[test]
    fn a_pod_that_leaves_later_is_replaced_later() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-2", "a1", -100);
        assert_eq!(scene.after(1), (None, None));
        gone(&mut scene.index, "web-2");
        show(&mut scene.index, "web-4", "c1", 1);
        assert_eq!(scene.after(2), (Some(Ending::Landed), Some("web-4".to_owned())));
    }

    #[test]
    fn what_a_scale_down_takes_that_had_begun_before_is_not_waited_for() {
        let mut scene = Scene::wanting(2);
        show(&mut scene.index, "web-4", "c1", 0);
        assert_eq!(scene.after(1), (Some(Ending::Landed), Some("web-4".to_owned())));
        let mut scene = Scene::wanting(3);
        show(&mut scene.index, "web-4", "c1", 0);
        assert_eq!(scene.after(20), (None, None), "it may be that of web-2");
    }

    #[test]
    fn a_pod_that_goes_before_the_api_server_answers_may_not_be_ours() {
        let mut scene = Scene::new();
        scene.moved.apply(Transition::Asked, at(0));
        show(&mut scene.index, "web-4", "c1", 0);
        show(&mut scene.index, "web-5", "c1", 0);
        assert_eq!(scene.after(20), (None, None));
        assert!(scene.moved.is_unconfirmed());
        assert_eq!(scene.moved.request(), RequestState::Waiting);
        scene.moved.apply(Transition::Unanswered, at(20));
        assert_eq!(scene.after(21), (Some(Ending::Landed), Some("web-5".to_owned())));
    }

    #[test]
    fn a_replacement_that_goes_is_not_made_up_for_by_a_pod_that_was_there() {
        let mut scene = Scene::wanting(3);
        show(&mut scene.index, "web-4", "a1", 0);
        starting(&mut scene.index, "web-5", "c1", 1);
        assert_eq!(scene.after(2), (None, Some("web-5".to_owned())));
        gone(&mut scene.index, "web-3");
        show(&mut scene.index, "web-6", "b1", 3);
        assert_eq!(scene.after(4), (None, Some("web-5".to_owned())));
        gone(&mut scene.index, "web-5");
        assert_eq!(scene.after(20), (None, None));
        show(&mut scene.index, "web-7", "c1", 21);
        assert_eq!(scene.after(22), (Some(Ending::Landed), Some("web-7".to_owned())));
    }

    #[test]
    fn what_a_scale_up_made_before_the_pod_left_is_not_its_replacement() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-2", "a1", -100);
        show(&mut scene.index, "web-1", "a1", -100);
        // In this order, all within one second.
        scene.seen(|index| show(index, "web-9", "c1", 0));
        scene.seen(|index| show(index, "web-8", "b1", 0));
        assert_eq!(scene.after(0), (None, None), "it was granted, and is still there");
        scene.seen(|index| leaving(index, "web-1", "a1"));
        assert_eq!(scene.after(1), (None, None));
        scene.seen(|index| starting(index, "web-7", "c1", 0));
        scene.seen(|index| show(index, "web-6", "b1", 0));
        assert_eq!(scene.after(1), (None, Some("web-7".to_owned())));
        scene.seen(|index| show(index, "web-7", "c1", 0));
        assert_eq!(scene.after(5), (Some(Ending::Landed), Some("web-7".to_owned())));
    }

    #[test]
    fn a_list_is_in_no_order() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-2", "a1", -100);
        scene.seen(|index| {
            show(index, "web-0", "c1", 0);
            leaving(index, "web-1", "a1");
        });
        assert_eq!(scene.after(1), (Some(Ending::Landed), Some("web-0".to_owned())));
    }

    #[test]
    fn a_pod_that_left_for_good_is_waited_for_ten_seconds() {
        let mut scene = Scene::new();
        show(&mut scene.index, "web-4", "c1", 0);
        assert_eq!(scene.after(9), (None, None));
        assert_eq!(scene.after(10), (Some(Ending::Landed), Some("web-4".to_owned())));
    }
}
