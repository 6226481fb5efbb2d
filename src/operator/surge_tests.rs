//! Stories about moves that start before they stop.

use serde_json::json;

use super::surge_world::World;
use crate::api::{MoveKind, MoveState, Reason, ZoneState};
use crate::moves::Verb;
use crate::observe::Change;
use crate::plan::SurgeRight;

fn last(world: &World) -> (MoveKind, MoveState) {
    let moved = world.status.as_ref().unwrap().moves.last().unwrap();
    (moved.kind, moved.state)
}

fn blocked(world: &World) -> Option<(Reason, String)> {
    let blocked = world.status.as_ref().unwrap().tiers[0].blocked.clone()?;
    Some((blocked.reason, blocked.message))
}

#[test]
fn two_replicas_behind_a_budget_of_two_come_home_without_a_dip() {
    let mut world = World::new();
    world.pass(60);
    assert_eq!(world.nodes(), ["a1", "c1"]);
    assert_eq!(world.verbs(), [Verb::Release, Verb::Retire]);
    assert_eq!(world.fewest_ready, 2);
    assert_eq!(last(&world), (MoveKind::Surge, MoveState::Landed));
    assert!(world.left_behind().is_empty());
}

#[test]
fn a_replacement_that_lands_elsewhere_is_undone_at_no_cost() {
    let mut world = World::new();
    world.lands_on = "a1";
    world.pass(30);
    assert_eq!(world.verbs(), [Verb::Release, Verb::Demote, Verb::Restore]);
    assert_eq!(last(&world), (MoveKind::Surge, MoveState::Missed));
    assert_eq!((world.nodes(), world.fewest_ready), (vec!["a1", "a1"], 2));
    assert!(world.left_behind().is_empty(), "{:?}", world.left_behind());
    assert_eq!(blocked(&world).unwrap().0, Reason::Backoff);
}

#[test]
fn a_replacement_that_does_not_start_is_undone_in_time() {
    let mut world = World::new();
    world.ready_after = 10_000;
    world.pass(60);
    assert_eq!(world.verbs(), [Verb::Release]);
    world.pass(6);
    assert_eq!(world.verbs(), [Verb::Release, Verb::Demote, Verb::Restore]);
    assert_eq!(last(&world), (MoveKind::Surge, MoveState::Stuck));
    assert_eq!((world.nodes(), world.fewest_ready), (vec!["a1", "a1"], 2));
    assert!(world.left_behind().is_empty());
}

#[test]
fn killed_after_any_second_it_leaves_nothing_behind() {
    for (lands_on, ready_after, home) in
        [("c1", 5, ["a1", "c1"]), ("a1", 5, ["a1", "a1"]), ("c1", 10_000, ["a1", "a1"])]
    {
        for second in (1..10).chain(57..70) {
            let mut world = World::new();
            (world.lands_on, world.ready_after) = (lands_on, ready_after);
            world.pass(second);
            world.restart();
            world.pass(80);
            // What was begun is ended, and nothing else begins.
            world.rebalance("strategy", json!("Evict"));
            world.pass(130);
            let what = format!("killed after {second} s, {lands_on}: {:?}", world.done);
            assert!(world.left_behind().is_empty(), "{what}");
            assert_eq!(world.fewest_ready, 2, "{what}");
            assert_eq!(world.nodes(), home, "{what}");
        }
    }
}

#[test]
fn killed_and_with_its_status_and_policy_gone_the_marks_are_enough() {
    for second in 1..10 {
        for lands_on in ["c1", "a1"] {
            let mut world = World::new();
            world.lands_on = lands_on;
            world.pass(second);
            world.delete_policy();
            world.status = None;
            world.restart();
            world.pass(30);
            assert!(world.left_behind().is_empty(), "{second} s: {:?}", world.done);
            assert_eq!((world.ready(), world.fewest_ready), (2, 2));
        }
    }
}

#[test]
fn gone_for_an_hour_the_next_operator_ends_what_was_begun() {
    for (lands_on, home) in [("c1", ["a1", "c1"]), ("b1", ["a1", "b1"])] {
        let mut world = World::new();
        world.pass(1);
        assert_eq!(world.verbs(), [Verb::Release]);
        world.lands_on = lands_on;
        world.pass_alone(3600);
        world.restart();
        world.pass(5);
        assert!(world.left_behind().is_empty(), "{:?}", world.done);
        assert_eq!(world.fewest_ready, 2);
        assert_eq!(world.nodes(), home, "b helps as well");
    }
}

#[test]
fn scaled_down_meanwhile_the_owner_gets_its_pod_back_and_decides() {
    for wanted in [1, 0] {
        let mut world = World::new();
        (world.ready_after, world.min_available) = (30, 0);
        world.pass(2);
        world.wanted = Some(wanted);
        world.fewest_ready = wanted;
        world.pass(10);
        assert!(world.left_behind().is_empty(), "{:?}", world.done);
        assert_eq!(world.ready(), wanted);
        assert_eq!(last(&world), (MoveKind::Surge, MoveState::Refused));
    }
}

#[test]
fn a_pod_whose_owner_is_deleted_follows_it_as_soon_as_its_budget_allows() {
    let mut world = World::new();
    world.ready_after = 30;
    world.pass(2);
    world.wanted = None;
    world.pass(20);
    assert_eq!(world.left_behind(), ["web-1"], "its budget wants two");
    world.min_available = 0;
    world.pass(10);
    assert_eq!(world.nodes(), Vec::<&str>::new());
    assert_eq!(world.verbs(), [Verb::Release, Verb::Retire]);
}

#[test]
fn without_the_right_any_more_the_pod_is_evicted_once_the_budget_allows() {
    let mut world = World::new();
    world.ready_after = 20;
    world.pass(2);
    world.patches_forbidden = true;
    world.operator.set_surge_right(SurgeRight::default());
    world.pass(30);
    assert!(world.left_behind().is_empty(), "landed, and evicted: {:?}", world.done);
    let mut world = World::new();
    world.lands_on = "a1";
    world.pass(1);
    world.patches_forbidden = true;
    world.operator.set_surge_right(SurgeRight::default());
    world.pass(60);
    assert!(world.left_behind().is_empty(), "missed, and evicted: {:?}", world.done);
    assert_eq!((world.ready(), world.fewest_ready), (2, 2));
}

#[test]
fn scaled_down_and_without_the_right_the_released_pod_is_one_too_many_and_leaves() {
    let mut world = World::new();
    (world.ready_after, world.min_available) = (30, 1);
    while world.verbs().is_empty() {
        world.pass(1);
    }
    (world.wanted, world.patches_forbidden) = (Some(1), true);
    world.operator.set_surge_right(SurgeRight::default());
    world.pass(90);
    assert!(world.left_behind().is_empty(), "{:?}", world.done);
    assert_eq!((world.ready(), world.fewest_ready), (1, 1));
    assert_eq!(world.verbs(), [Verb::Release, Verb::Retire]);
}

#[test]
fn without_the_right_or_with_strategy_evict_nothing_is_released() {
    let mut world = World::new();
    world.operator.set_surge_right(SurgeRight::default());
    world.pass(20);
    assert_eq!(blocked(&world).unwrap().0, Reason::BudgetExhausted);
    world.rebalance("strategy", json!("Surge"));
    world.pass(2);
    let (reason, message) = blocked(&world).unwrap();
    assert_eq!(reason, Reason::CannotSurge);
    assert!(message.contains("deploy/surge"), "{message}");
    world.operator.set_surge_right(SurgeRight::Proven);
    world.rebalance("strategy", json!("Evict"));
    world.pass(20);
    assert_eq!(blocked(&world).unwrap().0, Reason::BudgetExhausted);
    assert!(world.done.is_empty());
    world.rebalance("strategy", json!("Surge"));
    world.pass(20);
    assert_eq!(world.verbs(), [Verb::Release, Verb::Retire]);
}

#[test]
fn who_speaks_against_a_surge_is_named() {
    let service = json!({"metadata": {"name": "web-stable", "namespace": "default"},
        "spec": {"selector": {"app": "web", "pod-template-hash": "5d9c"}}});
    let service = Change::Service(serde_json::from_value(service).unwrap());
    let budget = json!({"metadata": {"name": "by-hash", "namespace": "default", "generation": 1},
        "spec": {"selector": {"matchLabels": {"pod-template-hash": "5d9c"}}},
        "status": {"disruptionsAllowed": 1, "observedGeneration": 1}});
    let budget = Change::Budget(serde_json::from_value(budget).unwrap());
    let autoscaler = |current: i32, desired: i32| {
        let autoscaler = json!({"metadata": {"name": "web-hpa", "namespace": "default"},
            "spec": {"scaleTargetRef": {"kind": "ReplicaSet", "name": "web-5d9c"}, "maxReplicas": 4},
            "status": {"currentReplicas": current, "desiredReplicas": desired}});
        Change::Autoscaler(serde_json::from_value(autoscaler).unwrap())
    };
    // It was made a moment ago.
    let at_most_two = json!({"metadata": {"name": "web-hpa", "namespace": "default"},
        "spec": {"scaleTargetRef": {"kind": "ReplicaSet", "name": "web-5d9c"}, "maxReplicas": 2}});
    let at_most_two = Change::Autoscaler(serde_json::from_value(at_most_two).unwrap());
    let adopter = json!({"metadata": {"name": "greedy", "namespace": "default", "uid": "g"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": {}}});
    let adopter = Change::ReplicaSet(serde_json::from_value(adopter).unwrap());
    let against = [
        (service, "Service web-stable"),
        (budget, "PodDisruptionBudget by-hash"),
        (autoscaler(4, 4), "HorizontalPodAutoscaler web-hpa is at its maximum"),
        (autoscaler(2, 3), "HorizontalPodAutoscaler web-hpa is scaling"),
        (at_most_two, "HorizontalPodAutoscaler web-hpa is at its maximum of 2"),
        (adopter, "ReplicaSet greedy"),
    ];
    for (change, name) in against {
        let mut world = World::new();
        world.rebalance("strategy", json!("Surge"));
        world.add(change);
        world.pass(10);
        let (reason, message) = blocked(&world).unwrap();
        assert_eq!(reason, Reason::CannotSurge, "{message}");
        assert!(message.contains(name), "{message}");
        assert!(world.done.is_empty());
    }
    // One at rest is no reason, nor one that has no metrics.
    for at_rest in [autoscaler(2, 2), autoscaler(2, 0)] {
        let mut world = World::new();
        world.rebalance("strategy", json!("Surge"));
        world.add(at_rest);
        world.pass(20);
        assert_eq!(world.verbs(), [Verb::Release, Verb::Retire]);
    }
}

#[test]
fn in_an_outage_no_released_pod_is_evicted_and_the_surge_is_undone() {
    let mut world = World::new();
    world.pass(2);
    world.add(Change::Node(crate::observe::fixtures::node("b1").zone("b").cordoned().watched()));
    world.pass(100);
    assert_eq!(world.verbs()[..1], [Verb::Release]);
    assert!(!world.verbs().contains(&Verb::Retire), "{:?}", world.done);
    world.pass(40);
    assert!(world.left_behind().is_empty(), "{:?}", world.done);
    assert_eq!((world.ready(), world.fewest_ready), (2, 2));
}

#[test]
fn of_a_policy_that_is_deleted_the_pod_is_given_back_and_not_evicted() {
    for second in 1..6 {
        let mut world = World::new();
        world.pass(second);
        world.delete_policy();
        world.pass(30);
        assert!(!world.verbs().contains(&Verb::Retire), "{second} s: {:?}", world.done);
        assert!(world.left_behind().is_empty(), "{second} s: {:?}", world.done);
        assert_eq!((world.ready(), world.fewest_ready), (2, 2));
    }
}

#[test]
fn a_pod_whose_owner_is_gone_is_not_evicted_in_an_outage_and_an_owner_made_again_has_it_back() {
    let a1 = || crate::observe::fixtures::node("a1").zone("a");
    let mut world = World::new();
    (world.ready_after, world.min_available) = (30, 0);
    world.pass(2);
    world.wanted = None;
    world.add(Change::Node(a1().cordoned().watched()));
    world.pass(60);
    assert_eq!(world.verbs(), [Verb::Release]);
    world.add(Change::Node(a1().watched()));
    world.pass(60);
    assert_eq!(world.verbs(), [Verb::Release, Verb::Retire]);

    let mut world = World::new();
    (world.ready_after, world.min_available) = (30, 0);
    world.pass(2);
    world.wanted = None;
    world.pass(8);
    assert_eq!(world.verbs(), [Verb::Release], "it may be made again");
    world.wanted = Some(2);
    world.pass(120);
    assert!(world.left_behind().is_empty(), "{:?}", world.done);
}

#[test]
fn undone_by_the_next_operator_for_an_owner_that_is_gone_it_is_not_called_stuck() {
    let mut world = World::new();
    (world.lands_on, world.ready_after) = ("a1", 30);
    while world.verbs().is_empty() {
        world.pass(1);
    }
    world.patches_forbidden = true;
    world.pass(10);
    assert_eq!(last(&world), (MoveKind::Surge, MoveState::Undoing));
    world.wanted = None;
    world.restart();
    world.min_available = 0;
    world.pass(30);
    assert_eq!(world.verbs(), [Verb::Release, Verb::Retire]);
    assert_eq!(last(&world), (MoveKind::Surge, MoveState::Discarded));
}

#[test]
fn what_is_refused_again_and_again_is_asked_ever_more_rarely() {
    let mut world = World::new();
    world.pass(2);
    world.min_available = 3;
    world.patches_forbidden = true;
    world.lands_on = "a1";
    world.pass(300);
    assert_eq!(world.verbs(), [Verb::Release], "nothing else is let through");
    assert!(world.refused < 25, "asked {} times", world.refused);
    world.patches_forbidden = false;
    world.pass(40);
    assert!(world.left_behind().is_empty(), "{:?}", world.done);
}

#[test]
fn a_mark_that_may_not_be_removed_holds_up_nobody() {
    let mut world = World::new();
    world.lands_on = "a1";
    world.pass(1);
    while !world.verbs().contains(&Verb::Demote) {
        world.pass(1);
    }
    // The pod is evicted instead, and its replacement, which was to go, stays.
    world.patches_forbidden = true;
    world.pass(60);
    let ended = last(&world);
    assert!(!ended.1.is_under_way(), "{ended:?} {:?}", world.done);
    assert!(world.refused < 15, "asked {} times", world.refused);
    world.patches_forbidden = false;
    world.pass(90);
    assert!(world.left_behind().is_empty(), "{:?}", world.done);
}

#[test]
fn a_tier_of_which_only_a_released_pod_is_left_takes_no_zone_for_lost() {
    for wanted in [Some(0), None] {
        let mut world = World::new();
        world.pass(2);
        (world.patches_forbidden, world.min_available) = (true, 3);
        world.wanted = wanted;
        world.pass(20);
        assert_eq!(world.left_behind(), ["web-1"]);
        let zones = &world.status.as_ref().unwrap().zones;
        assert!(!zones.is_empty() && zones.iter().all(|zone| zone.state == ZoneState::Ready));
    }
}
