//! Stories about Zone objects and holds by hand.

use jiff::SignedDuration;
use serde_json::json;

use super::tests::{an_outage, reason};
use super::world::World;
use crate::api::{Phase, Reason, ZoneState};

fn in_minutes(world: &World, minutes: i64) -> jiff::Timestamp {
    world.now + SignedDuration::from_mins(minutes)
}

#[test]
fn a_hold_survives_the_end_of_all_policies_and_a_restart() {
    let mut world = an_outage();
    world.open("c");
    world.pass(30);
    let recovered_at = world.zone("c").recovered_at.clone();
    assert!(recovered_at.is_some());
    world.delete_policy("web");
    world.pass(1);
    world.restart();
    world.pass(25);
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneRecovering), "made anew without a past");
    assert_eq!((world.evicted.len(), &world.zone("c").recovered_at), (0, &recovered_at));
    world.pass(40);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
    assert!(world.zone("c").proven);
}

#[test]
fn a_zone_that_lost_its_nodes_is_known_after_the_end_of_all_policies_and_a_restart() {
    let mut world = an_outage();
    world.remove_nodes("c");
    world.delete_policy("web");
    world.pass(1);
    world.restart();
    world.pass(2);
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneImpaired));
    assert_eq!(world.zone("c").outages, 1);
}

#[test]
fn nothing_is_evicted_before_the_zones_are_written() {
    let mut world = an_outage();
    world.trouble.zone_writes_fail = true;
    world.open("c");
    world.pass(300);
    assert!(world.evicted.is_empty(), "nobody else would know of the hold");
    assert_eq!(reason(&world, "web"), Some(Reason::ClusterUnstable));
    let message = &world.status("web").tiers[0].blocked.as_ref().unwrap().message;
    assert!(message.starts_with("Zone c could not be written"), "{message}");
    world.trouble.zone_writes_fail = false;
    world.pass(100);
    assert_eq!(world.spread("web"), "2/2/2");
}

#[test]
fn a_zone_object_that_somebody_deletes_is_written_again() {
    let mut world = an_outage();
    world.open("c");
    world.pass(10);
    let known = world.zone("c").clone();
    world.delete_zone("c");
    world.pass(1);
    let again = world.zone("c");
    assert_eq!(
        (again.outages, &again.last_outage, &again.recovered_at),
        (1, &known.last_outage, &known.recovered_at)
    );
}

#[test]
fn zone_objects_that_are_deleted_while_nobody_runs_shorten_no_hold() {
    let mut world = an_outage();
    world.open("c");
    world.pass(10);
    world.zones.clear();
    world.restart();
    world.pass(45);
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneRecovering));
    assert!(world.evicted.is_empty());
    world.pass(60);
    assert_eq!(world.spread("web"), "2/2/2");
}

#[test]
fn a_node_more_changes_one_zone_and_no_policy() {
    let mut world = World::new();
    for number in 0..2_000 {
        let app = format!("app{number}");
        world.replica_set(&app, &["a1", "b1", "c1"]);
        world.policy(&app, json!({}));
    }
    world.pass(1);
    assert_eq!(world.statuses.len(), 2_000);
    world.pass(20);
    let (statuses, zones) = (world.status_writes, world.zone_writes);
    world.add_node("c3", "c");
    world.pass(1);
    assert_eq!((world.status_writes - statuses, world.zone_writes - zones), (0, 1));
    assert_eq!(world.zone("c").usable, "3/3");
}

#[test]
fn counts_of_nodes_are_written_every_ten_seconds_at_most() {
    let mut world = World::new();
    world.pass(20);
    let before = world.zone_writes;
    for name in ["c3", "c4", "c5", "c6", "c7", "c8"] {
        world.add_node(name, "c");
        world.pass(2);
    }
    world.pass(10);
    assert_eq!((world.zone_writes - before, world.zone("c").usable.as_str()), (2, "8/8"));
}

#[test]
fn a_zone_that_is_held_by_hand_gets_no_pods_until_somebody_releases_it() {
    let mut world = an_outage();
    world.hold("c", Some(in_minutes(&world, 120)));
    world.open("c");
    world.pass(600);
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneHeld));
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Holding));
    assert!(status.message.contains("it drops packets"), "{}", status.message);
    assert!(status.message.contains("zonespread release c"), "{}", status.message);
    assert_eq!(status.zones[2].state, ZoneState::Held);
    assert_eq!(world.zone("c").state, Some(ZoneState::Held));
    assert!(world.asked.is_empty());
    world.restart();
    world.pass(60);
    assert!(world.asked.is_empty(), "a restart ends no hold");
    world.hold("c", None);
    world.pass(60);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
    assert_eq!(world.zone("c").outages, 1, "a hold is no outage");
}

#[test]
fn a_hold_by_hand_ends_by_itself_and_is_no_outage() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "b1", "b2", "a1", "b1"]);
    world.hold("c", Some(in_minutes(&world, 30)));
    world.policy("web", json!({}));
    world.pass(30 * 60 - 5);
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneHeld));
    assert!(world.asked.is_empty());
    world.pass(40);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
    let zone = world.zone("c");
    assert_eq!((zone.outages, zone.state), (0, Some(ZoneState::Ready)));
    assert!(zone.recovered_at.is_none());
}

#[test]
fn the_pods_of_a_held_zone_are_counted_as_lost() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "b1", "b2", "c1", "c2"]);
    world.policy("web", json!({}));
    world.pass(1);
    assert_eq!(world.status("web").summary.survives, "web: 66%");
    world.hold("c", Some(in_minutes(&world, 30)));
    world.pass(1);
    let status = world.status("web");
    assert_eq!(status.summary.survives, "web: 33%");
    assert_eq!(status.phase, Some(Phase::Holding), "balanced, and still to be waited for");
}

#[test]
fn an_object_for_a_zone_that_no_node_has_says_so() {
    let mut world = World::new();
    world.hold("eu-west-2x", Some(in_minutes(&world, 30)));
    world.hold("x--a", None);
    world.pass(1);
    let message = &world.zone("eu-west-2x").message;
    assert!(message.starts_with("no node has the label"), "{message}");
    assert!(world.zone("x--a").message.starts_with("x--a is the name of no zone"));
    world.restart();
    world.pass(1);
    assert!(world.operator.zones().iter().all(|(zone, _)| zone.as_str().len() == 1));
}

/// `web` and `was` lost zone c, and it is back; each is held as long as its policy says.
fn two_tiers(hold_down: &str, was: &str) -> World {
    let mut world = World::new();
    world.replica_set("was", &["a1", "b1", "c1", "c2"]);
    world.replica_set("web", &["a1", "a2", "b1", "b2", "c1", "c2"]);
    let both = json!({"key": "app", "operator": "In", "values": ["was", "web"]});
    world.policy(
        "shop",
        json!({
            "selector": {"matchExpressions": [both]}, "tierLabel": "app",
            "rebalance": {"holdDown": hold_down, "landingTimeout": "60s"},
            "tiers": [{"name": "was", "rebalance": {"holdDown": was}}],
        }),
    );
    world.pass(1);
    world.cordon("c");
    world.evacuate("c");
    world.pass(10);
    assert_eq!(world.status("shop").phase, Some(Phase::Frozen));
    world.open("c");
    world
}

#[test]
fn a_tier_that_is_held_for_a_shorter_time_than_its_policy_is_seen_to_move() {
    let mut world = two_tiers("1h", "90s");
    world.pass(60);
    let status = world.status("shop");
    assert_eq!(status.phase, Some(Phase::Holding));
    world.pass(31);
    let status = world.status("shop");
    assert!(!world.evicted.is_empty());
    assert_eq!(status.phase, Some(Phase::Rebalancing), "{}", status.message);
    assert!(
        status.message.contains("; web: zone c is usable again and is held until"),
        "{}",
        status.message
    );
    assert_eq!(status.zones[2].state, ZoneState::Recovering, "by the longest hold of its tiers");
    world.pass(60);
    let status = world.status("shop");
    assert_eq!(status.phase, Some(Phase::Holding));
    assert!(!status.message.contains("nothing is evicted"), "{}", status.message);
}

#[test]
fn a_tier_that_is_held_for_longer_than_its_policy_is_no_fault() {
    let mut world = two_tiers("90s", "1h");
    world.pass(200);
    let status = world.status("shop");
    assert_eq!(status.phase, Some(Phase::Holding), "{}", status.message);
    assert!(status.message.starts_with("was: zone c is usable again"), "{}", status.message);
    assert_eq!(status.zones[2].state, ZoneState::Recovering);
    let degraded = status.conditions.iter().find(|known| known.type_ == "Degraded").unwrap();
    assert_eq!(degraded.status, "False");
}
