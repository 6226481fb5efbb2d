//! Stories about imbalances that no outage explains: after a scale-down nobody is evicted
//! before the tier has settled.

use rstest::rstest;
use serde_json::{Value, json};

use super::tests::{an_outage, reason};
use super::world::World;
use crate::api::{Phase, Reason};

/// 3/3/3, settled for an hour, then scaled down to 3/3/0.
fn a_scale_down(rebalance: &Value) -> World {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "a1", "b1", "b2", "b1", "c1", "c2", "c1"]);
    world.policy("web", json!({"rebalance": rebalance}));
    world.pass(1);
    world.now += jiff::SignedDuration::from_hours(1);
    world.pass(1);
    assert_eq!(world.status("web").phase, Some(Phase::Balanced));
    world.scale("web", 6);
    assert_eq!(world.spread("web"), "3/3/0");
    world.pass(1);
    world
}

#[test]
fn a_scale_down_evicts_nobody_before_the_tier_has_settled() {
    let mut world = a_scale_down(&json!({}));
    assert_eq!(reason(&world, "web"), Some(Reason::Settling));
    let status = world.status("web").clone();
    assert_eq!(status.phase, Some(Phase::Holding), "nothing is wrong: {}", status.message);
    assert_eq!(status.plan.as_ref().map(|plan| plan.total), Some(2), "what will be moved is shown");
    let message = &status.tiers[0].blocked.as_ref().unwrap().message;
    let until = world.now + jiff::SignedDuration::from_mins(10);
    assert!(message.contains(&until.strftime("%H:%M:%SZ").to_string()), "{message}");
    assert!(message.contains("rebalance.settle 10m"), "{message}");
    world.pass(598);
    assert_eq!(world.status("web").phase, Some(Phase::Holding));
    assert!(world.asked.is_empty());
    world.pass(30);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
    assert_eq!(world.status("web").tiers[0].imbalance, None);
}

#[test]
fn every_step_of_an_autoscaler_starts_the_wait_anew() {
    let mut world = a_scale_down(&json!({}));
    for replicas in [5, 6, 5, 4, 5] {
        world.pass(400);
        world.scale("web", replicas);
    }
    world.pass(595);
    assert!(world.asked.is_empty(), "{:?}", world.status("web"));
    world.pass(60);
    assert_eq!(world.status("web").phase, Some(Phase::Balanced));
}

#[test]
fn a_restart_neither_ends_the_wait_nor_starts_it_anew() {
    let mut world = a_scale_down(&json!({}));
    for _ in 0..5 {
        world.pass(100);
        world.restart();
    }
    world.pass(95);
    assert_eq!((reason(&world, "web"), world.asked.len()), (Some(Reason::Settling), 0));
    world.pass(30);
    assert_eq!(world.spread("web"), "2/2/2");
}

#[test]
fn what_happened_while_nobody_looked_is_waited_for() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "a1", "b1", "b2", "b1", "c1", "c2", "c1"]);
    world.policy("web", json!({}));
    world.pass(1);
    world.now += jiff::SignedDuration::from_hours(1);
    world.scale("web", 6);
    world.restart();
    world.pass(590);
    assert_eq!((reason(&world, "web"), world.asked.len()), (Some(Reason::Settling), 0));
    world.pass(60);
    assert_eq!(world.spread("web"), "2/2/2");
}

#[test]
fn our_own_moves_do_not_unsettle_a_tier() {
    let mut world = World::new();
    let on: Vec<&str> = ["a1", "a2", "b1", "b2"].into_iter().cycle().take(24).collect();
    let zone_c = vec!["c1"; 12];
    world.replica_set("web", &[on, zone_c].concat());
    world.policy("web", json!({"rebalance": {"settle": "5m"}}));
    world.pass(600);
    world.scale("web", 24);
    world.pass(302);
    assert!(!world.evicted.is_empty(), "{:?}", world.status("web").tiers[0].blocked);
    world.pass(60);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("8/8/8", 8));
}

#[test]
fn a_tier_that_was_steady_before_anybody_looked_need_not_wait() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "b1", "b2", "a1", "b1"]);
    world.now += jiff::SignedDuration::from_hours(1);
    world.policy("web", json!({}));
    world.pass(30);
    assert_eq!(world.spread("web"), "2/2/2");
}

#[rstest]
#[case::settle(json!({"settle": "6h"}))]
#[case::trigger(json!({"trigger": "Recovery", "settle": "6h"}))]
fn a_recovery_is_not_delayed(#[case] rebalance: Value) {
    let mut world = an_outage();
    world.policy("web", json!({"rebalance": rebalance}));
    world.pass(1_200);
    world.open("c");
    world.pass(300);
    // Whatever happens meanwhile.
    world.restart();
    world.scale("web", 7);
    world.pass(302);
    assert!(!world.evicted.is_empty(), "{:?}", world.status("web").tiers[0].blocked);
    world.pass(60);
    assert_eq!(world.status("web").phase, Some(Phase::Balanced), "{:?}", world.status("web"));
}

#[test]
fn with_trigger_recovery_other_imbalances_are_only_shown() {
    let mut world = a_scale_down(&json!({"trigger": "Recovery"}));
    world.pass(3_600);
    assert_eq!(reason(&world, "web"), Some(Reason::NotARecovery));
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Observing), "{}", status.message);
    assert!(world.asked.is_empty());
    assert!(!status.tiers[0].imbalance.as_ref().unwrap().outage);
    world.policy("web", json!({"rebalance": {"trigger": "Always"}}));
    world.pass(30);
    assert_eq!(world.spread("web"), "2/2/2");
}
