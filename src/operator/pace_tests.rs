//! Stories about how fast the operator moves pods: as fast as budgets allow, up to a cap
//! for the cluster.

use serde_json::json;

use super::tests::{an_outage, reason};
use super::world::World;
use crate::api::{MoveState, Reason, limit};
use crate::moves::{Effect, Move};
use crate::observe::Uid;

/// Zone c is back, and its first pod has proven it: this many apps are 3/3/0 and free to move.
fn a_proven_zone(apps: usize) -> (World, Vec<String>) {
    let mut world = an_outage();
    let apps: Vec<String> = (0..apps).map(|number| format!("app-{number}")).collect();
    world.open("c");
    world.pass(90);
    assert_eq!(world.spread("web"), "2/2/2");
    for app in &apps {
        world.replica_set(app, &["a1", "a2", "a1", "b1", "b2", "b1"]);
        world.policy(app, json!({}));
    }
    (world, apps)
}

fn under_way(world: &World, app: &str) -> usize {
    world.status(app).moves.iter().filter(|moved| moved.state.is_under_way()).count()
}

#[test]
fn a_tier_begins_all_the_moves_that_its_budget_allows_in_one_decision() {
    let (mut world, apps) = a_proven_zone(1);
    let decision = world.operator.decide(world.now, None);
    let evictions: Vec<_> = decision
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Act(request) => Some(request),
            Effect::WriteStatus(_) => None,
        })
        .collect();
    assert_eq!((decision.effects.len(), evictions.len()), (3, 2), "{:?}", decision.effects);
    // The second is judged by what the first leaves.
    let needed: Vec<usize> =
        evictions.iter().map(|request| request.preconditions.available).collect();
    assert_eq!(needed, [6, 5]);
    let moving: Vec<&[Uid]> =
        evictions.iter().map(|request| &*request.preconditions.moving).collect();
    let first = Uid::new(&evictions[0].uid);
    assert_eq!(moving, [&[][..], &[first]], "it may still be Available, and that says nothing");
    let Effect::WriteStatus(write) = &decision.effects[0] else { panic!("first the status") };
    let moves: Vec<&str> = write.status.moves.iter().map(|moved| moved.uid.as_str()).collect();
    let uids: Vec<&str> = evictions.iter().map(|request| &*request.uid).collect();
    assert_eq!(moves, uids, "{apps:?}");
}

#[test]
fn a_replacement_that_is_known_says_nothing_about_the_other_pods_either() {
    let (mut world, _) = a_proven_zone(0);
    world.start_delay = 20;
    world.replica_set("db", &["a1", "a2", "a1", "a2", "a1", "a2", "b1", "b2", "b1", "b2", "b1"]);
    world.policy("db", json!({"rebalance": {"maxUnavailable": 1, "holdDown": "0s"}}));
    world.pass(1);
    let evicted = world.asked.last().unwrap().uid.clone();
    let replacement = world.status("db").moves[0].replacement.clone().unwrap();
    // One more may be away from now on, and the first replacement is not Available yet.
    world.policy("db", json!({"rebalance": {"maxUnavailable": 2, "holdDown": "0s"}}));
    world.pass(1);
    let second = &world.asked.last().unwrap().preconditions;
    let index = world.operator.index().cluster();
    let uid = index.pod(index.pod_id("default", &replacement).unwrap()).unwrap().uid.clone();
    assert_eq!((&*second.moving, second.available), (&[uid, Uid::new(&evicted)][..], 10));
}

#[test]
fn no_more_moves_are_under_way_in_the_cluster_than_its_cap() {
    let (mut world, apps) = a_proven_zone(4);
    world.operator = std::mem::take(&mut world.operator).with_concurrent_moves(3);
    let before = world.evicted.len();
    world.pass(1);
    let moving: Vec<usize> = apps.iter().map(|app| under_way(&world, app)).collect();
    assert_eq!((moving.as_slice(), world.evicted.len() - before), (&[2, 1, 0, 0][..], 3));
    for app in &apps[1..] {
        assert_eq!(reason(&world, app), Some(Reason::MovesUnderWay));
        let why = world.status(app).tiers[0].blocked.clone().unwrap().message;
        assert!(why.starts_with("3 moves are under way in the cluster"), "{why}");
        assert!(why.contains("--max-concurrent-moves"), "{why}");
    }
    // Each that ends makes place for another.
    for _ in 0..30 {
        world.pass(1);
        let all: usize = apps.iter().map(|app| under_way(&world, app)).sum();
        assert!(all <= 3, "{all}");
    }
    assert!(apps.iter().all(|app| world.spread(app) == "2/2/2"));
    assert_eq!(world.evicted.len() - before, 8);
}

#[test]
fn all_moves_under_way_are_remembered_and_of_the_others_the_last() {
    let mut memory = super::policy_state::PolicyState::default();
    let (world, _) = a_proven_zone(0);
    let known = world.status("web").moves[0].clone();
    let mut remember = |number: i64, state: MoveState| {
        let mut status = known.clone();
        status.owner = format!("ReplicaSet/{}", number / 2);
        status.state = state;
        let at = |second: i64| {
            let second = world.now + jiff::SignedDuration::from_secs(second);
            k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(second)
        };
        status.started_at = at(number);
        status.finished_at = (!state.is_under_way()).then(|| at(number + 10));
        memory.moves.push(Move::from_status(&status, world.now));
    };
    // Pairs of one owner each, of which one is over: the other's replacement must not be
    // taken for that of the one that is still under way.
    for number in 0..100 {
        remember(number, if number % 2 == 0 { MoveState::Landed } else { MoveState::Evicted });
    }
    // Owners of which nothing is under way.
    for number in 200..300 {
        remember(number, MoveState::Landed);
    }
    memory.trim_moves();
    let of = |range: std::ops::Range<i64>| {
        let is_of = |moved: &&Move| {
            let number: i64 = moved.owner.as_ref().unwrap().name.parse().unwrap();
            range.contains(&(2 * number))
        };
        memory.moves.iter().filter(is_of).count()
    };
    assert_eq!((of(0..100), of(200..300)), (100, limit::FINISHED_MOVES));
    memory.moves.retain(|moved| !moved.is_under_way());
    memory.trim_moves();
    assert_eq!(memory.moves.len(), limit::FINISHED_MOVES);
}
