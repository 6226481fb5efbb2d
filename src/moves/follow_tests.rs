//! Which pod replaces one that was moved, and when that is judged.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::follow::{Ending, OtherMoves, View};
use super::{Move, OwnerSnapshot, RequestState, Step, Transition};
use crate::observe::fixtures::{node, pod};
use crate::observe::{Change, Index, Kind, Name, Zone};
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
fn while_the_evicted_pod_is_still_seen_nobody_can_tell_that_no_replacement_was_made() {
    let mut scene = Scene::wanting(3);
    show(&mut scene.index, "web-1", "a1", -100);
    assert_eq!(scene.after(61), (None, None), "past the landing timeout");
    gone(&mut scene.index, "web-1");
    assert_eq!(scene.after(62).0, Some(Ending::Stuck { in_target_zone: false }));
    let mut scene = Scene::wanting(3);
    show(&mut scene.index, "web-1", "a1", -100);
    assert_eq!(scene.after(359), (None, None));
    assert_eq!(scene.after(360).0, Some(Ending::Stuck { in_target_zone: false }));
    assert_eq!(scene.moved.to_status().message, "web-1 was evicted, and is still there");
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
