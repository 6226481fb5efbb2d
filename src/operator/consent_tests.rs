//! Stories about those who say when pods may move: windows, pauses, approvals.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::tests::{an_outage, reason};
use super::world::World;
use crate::api::{Phase, Reason};

/// 2/2/2, then zone c is lost and comes back; the world begins at 08:00:00Z.
fn a_recovery(spec: &Value) -> World {
    let mut world = an_outage();
    world.policy("web", spec.clone());
    world.open("c");
    world
}

fn windows(windows: Value) -> Value {
    json!({"holdDown": "60s", "landingTimeout": "60s", "windows": windows})
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

#[test]
fn pods_wait_for_the_window_and_go_when_it_opens() {
    let night = json!([{"schedule": "5 9 * * *", "duration": "1h", "timeZone": "Europe/Paris"}]);
    let mut world = a_recovery(&json!({"rebalance": windows(night)}));
    world.pass(120);
    assert_eq!(reason(&world, "web"), Some(Reason::OutsideWindow));
    let status = world.status("web").clone();
    assert_eq!(status.phase, Some(Phase::Blocked));
    assert_eq!(
        status.message,
        "web: OutsideWindow: no window of rebalance.windows is open: the next opens at 2027-01-15 08:05:00Z"
    );
    // Asked for nothing else, it wakes by itself.
    let decision = world.operator.decide(world.now, None);
    assert!(decision.next.is_some_and(|next| next <= at("2027-01-15T08:05:00Z")));
    while world.now < at("2027-01-15T08:04:59Z") {
        world.pass(1);
    }
    assert!(world.asked.is_empty());
    world.pass(1);
    assert_eq!(world.asked.len(), 1);
    assert_eq!(world.asked[0].closes, Some(at("2027-01-15T09:05:00Z")));
    world.pass(30);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn a_move_under_way_when_the_window_closes_is_the_last() {
    let minute = json!([{"schedule": "2 8 * * *", "duration": "1m"}]);
    let mut world = a_recovery(&json!({"rebalance": windows(minute)}));
    world.start_delay = 55;
    while world.now < at("2027-01-15T08:02:50Z") {
        world.pass(1);
    }
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/3/1".into(), 1), "the canary");
    world.pass(120);
    assert_eq!(world.evicted.len(), 1);
    assert_eq!(world.status("web").moves[0].state, crate::api::MoveState::Landed);
    assert_eq!(reason(&world, "web"), Some(Reason::OutsideWindow));
    assert!(world.status("web").message.ends_with("2027-01-16 08:02:00Z"));
}

#[test]
fn a_window_that_closes_is_told_while_other_things_are_in_the_way() {
    let short = json!([{"schedule": "1 8 * * *", "duration": "2m"}]);
    let mut world = a_recovery(&json!({"rebalance": windows(short)}));
    world.trouble.refuses = Some(super::Refusal::Forbidden("rbac".into()));
    world.pass(140);
    assert_eq!(reason(&world, "web"), Some(Reason::Forbidden));
    world.pass(60);
    assert_eq!(reason(&world, "web"), Some(Reason::OutsideWindow));
}

#[test]
fn a_tier_may_have_windows_of_its_own() {
    let closed = json!([{"schedule": "0 3 * * *", "duration": "1h"}]);
    let mut world = an_outage();
    world.policy(
        "web",
        json!({"rebalance": windows(closed), "tiers": [
            {"name": "web", "rebalance": {"windows": []}},
        ]}),
    );
    world.open("c");
    world.pass(100);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn windows_that_cannot_be_read_make_their_policy_invalid_and_no_other() {
    let mut world = an_outage();
    world.replica_set("was", &["a1", "b1", "a2", "b2"]);
    world.policy("was", json!({}));
    let broken = json!([{"schedule": "0 25 * * *", "duration": "1h"}]);
    world.policy("web", json!({"rebalance": windows(broken)}));
    world.open("c");
    world.pass(100);
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Invalid));
    assert!(
        status.message.starts_with("spec.rebalance.windows[0].schedule: \"0 25 * * *\" is no cron"),
        "{}",
        status.message
    );
    assert_eq!((world.spread("was"), world.spread("web")), ("1/2/1".into(), "3/3/0".into()));
}

#[test]
fn a_tier_without_a_move_to_make_tells_what_is_in_its_way_by_day_and_by_night() {
    let closed = json!([{"schedule": "0 3 * * *", "duration": "1h"}]);
    let mut world = an_outage();
    let accepted = json!([{"name": "web", "singleZone": {"accepted": true, "reason": "cache"}}]);
    world.policy("web", json!({"rebalance": windows(closed), "tiers": accepted}));
    world.open("c");
    world.pass(100);
    assert_eq!(reason(&world, "web"), Some(Reason::SingleZoneAccepted));
    assert_eq!(world.status("web").phase, Some(Phase::Balanced));
}
