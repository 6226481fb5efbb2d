//! Stories about moves that would turn where others land.

use serde_json::json;

use super::tests::reason;
use super::world::World;
use crate::api::{MoveState, Reason};

/// 4/1/0: the first move goes to zone c, the second to b or c. Were the second's replacement
/// placed first, in c, the first's might go to b.
fn two_moves_that_may_swap_zones() -> World {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "a1", "a2", "b1"]);
    // After a restart, pods that are about as old as a move may be its replacements.
    world.pass(20);
    let rebalance = json!({"holdDown": "60s", "landingTimeout": "60s", "settle": "0s"});
    world.policy("web", json!({"rebalance": rebalance}));
    // The watch shows the first eviction 10 s late.
    world.trouble.late.insert(1, 10);
    world.pass(1);
    assert_eq!((world.spread("web"), world.evicted.len()), ("4/1/0".into(), 1));
    world
}

fn waits(world: &World) {
    assert_eq!(reason(world, "web"), Some(Reason::MovesUnderWay));
    let why = &world.status("web").tiers[0].blocked.as_ref().unwrap().message;
    let first = &world.evicted[0];
    assert!(why.starts_with(&format!("the replacement of {first} is to land in zone c")), "{why}");
}

fn lands_as_predicted(world: &mut World) {
    world.pass(60);
    let status = world.status("web");
    assert_eq!(world.evicted.len(), 2, "{:?}", status.moves);
    assert!(status.moves.iter().all(|moved| moved.state == MoveState::Landed));
    assert!(["2/2/1", "2/1/2"].contains(&&*world.spread("web")));
}

#[test]
fn a_move_waits_while_it_may_turn_where_another_lands() {
    let mut world = two_moves_that_may_swap_zones();
    waits(&world);
    world.pass(8);
    waits(&world);
    world.pass(4);
    assert_eq!(world.evicted.len(), 2, "the first replacement has a node, and is not up yet");
    lands_as_predicted(&mut world);
}

#[test]
fn after_a_restart_it_is_predicted_again_where_pods_land() {
    let mut world = two_moves_that_may_swap_zones();
    world.restart();
    world.pass(5);
    waits(&world);
    lands_as_predicted(&mut world);
}
