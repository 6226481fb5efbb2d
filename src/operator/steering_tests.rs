//! Stories about moves whose replacements would not land without being steered.

use serde_json::json;

use super::world::World;
use crate::api::Reason;
use crate::observe::Zone;

/// Six pods, and none in zone c, which has recovered and which the scheduler avoids.
fn an_unloved_zone(steers: bool) -> World {
    let mut world = World::new();
    world.install_steering(steers);
    world.replica_set("web", &["a1", "b1", "c1", "a2", "b2", "c2"]);
    world.policy("web", json!({}));
    world.pass(1);
    world.cordon("c");
    world.pass(1);
    world.evacuate("c");
    world.pass(600);
    world.open_unloved("c");
    world.pass(60);
    world
}

fn steered(world: &World) -> Vec<(String, String)> {
    let steering = world.status("web").steering.iter();
    let tiers = steering.flat_map(|steering| &steering.tiers);
    tiers.map(|tier| (tier.name.clone(), tier.zone.clone())).collect()
}

#[test]
fn nothing_is_moved_into_a_zone_that_the_scheduler_avoids() {
    let mut world = an_unloved_zone(false);
    world.pass(60);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("3/3/0", 0));
    let blocked = world.status("web").tiers[0].blocked.as_ref().unwrap();
    assert_eq!(blocked.reason, Reason::WouldNotLand);
    assert!(blocked.message.contains("deploy/steering"), "{}", blocked.message);
    assert_eq!(world.status("web").steering, None);
}

#[test]
fn steered_pods_land_where_the_scheduler_would_not_put_them() {
    let mut world = an_unloved_zone(true);
    world.pass(60);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
    assert!(steered(&world).is_empty());
    assert!(world.asked.iter().all(|asked| {
        asked.steering.as_ref().and_then(|pod| pod.zone.as_ref()).map(Zone::as_str) == Some("c")
    }));
}

#[test]
fn no_move_begins_before_its_steering_is_stored_and_in_force() {
    let mut world = an_unloved_zone(true);
    while steered(&world).is_empty() {
        assert!(world.evicted.is_empty());
        world.pass(1);
    }
    let plan = world.status("web").plan.as_ref().unwrap();
    assert_eq!(plan.moves[0].steered.as_deref(), Some("c"));
    let blocked = world.status("web").tiers[0].blocked.as_ref().unwrap();
    assert_eq!(blocked.reason, Reason::MovesUnderWay);
    assert!(world.evicted.is_empty());
    world.pass(1);
    assert!(world.evicted.is_empty());
    world.pass(1);
    assert_eq!(world.evicted.len(), 1);
}

#[test]
fn killed_after_any_second_it_takes_no_move_more_and_ends_the_steering() {
    for second in 0..20 {
        let mut world = an_unloved_zone(true);
        world.pass(second);
        world.restart();
        world.pass(120);
        assert_eq!(world.spread("web"), "2/2/2", "after {second} s");
        assert_eq!(world.evicted.len(), 2, "after {second} s");
        assert!(steered(&world).is_empty(), "after {second} s");
    }
}

#[test]
fn without_what_steers_nothing_more_begins_and_the_status_says_so() {
    for second in 0..12 {
        let mut world = an_unloved_zone(true);
        world.pass(second);
        let before = world.evicted.len();
        world.install_steering(false);
        world.pass(120);
        assert!(world.evicted.len() <= before, "after {second} s");
        assert_eq!(world.status("web").steering, None, "after {second} s");
    }
}

#[test]
fn what_is_not_needed_is_not_steered() {
    let mut world = an_unloved_zone(true);
    world.open("c");
    assert!(steered(&world).is_empty());
    world.pass(60);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
    assert!(world.asked.iter().all(|asked| asked.steering.is_none()));
}

#[test]
fn a_tier_that_must_wait_is_not_steered_meanwhile() {
    let mut world = an_unloved_zone(true);
    world.annotate("web", "zonespread.io/paused", json!("true"));
    world.pass(10);
    assert!(steered(&world).is_empty(), "{:?}", world.status("web").tiers[0].blocked);
}

#[test]
fn the_steering_is_prolonged_while_a_pod_is_awaited_and_no_longer() {
    let mut world = an_unloved_zone(true);
    world.policy("web", json!({"rebalance": {"holdDown": "60s", "landingTimeout": "30m"}}));
    world.trouble.late.insert(1, 1200);
    while world.evicted.is_empty() {
        world.pass(1);
    }
    for _ in 0..1100 {
        world.pass(1);
        let steering = world.status("web").steering.as_ref().unwrap();
        assert!(steering.tiers[0].until.0 > world.now);
    }
    world.pass(300);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
    assert!(steered(&world).is_empty());
}
