//! What users are told before the outage, and what it costs.

use serde_json::json;

use super::words_tests::six_pods;
use super::world::World;
use crate::api::{CONDITION_SAFE_TO_LOSE_ZONE, LossReason, ZoneLoss};
use crate::observe::Change;
use crate::observe::fixtures::pod;
use crate::operator::OutlookProgress;

/// The outlook is made in one go, and written: what Zone objects say of it takes 10 s.
fn look_ahead(world: &mut World) {
    assert!(world.operator.outlook_is_due());
    let of_all = OutlookProgress::Made { of_all: true };
    assert_eq!(world.operator.make_outlook(true, || true), of_all);
    world.pass(11);
}

/// Six pods that the scheduler puts nowhere else, two in each zone.
fn six_strict_pods() -> World {
    let mut world = six_pods();
    make_strict(&mut world);
    world
}

fn make_strict(world: &mut World) {
    let cluster = world.operator.index().cluster();
    let pods: Vec<(String, String)> = cluster
        .pods()
        .filter(|(_, pod)| pod.labels["app"] == "web")
        .map(|(_, pod)| (pod.name.to_string(), pod.node.as_ref().unwrap().to_string()))
        .collect();
    for (name, node) in pods {
        let shown = pod(&name).label("app", "web").owner("ReplicaSet", "web-rs").created(world.now);
        let shown = shown.spread_hard("topology.kubernetes.io/zone", 1).on(&node);
        world.operator.apply(Change::Pod(shown.watched()));
    }
}

fn condition(world: &World) -> Option<(String, String, String)> {
    let mut conditions = world.status("web").conditions.iter();
    let known = conditions.find(|known| known.type_ == CONDITION_SAFE_TO_LOSE_ZONE)?;
    Some((known.status.clone(), known.reason.clone(), known.message.clone()))
}

fn losses(world: &World) -> Vec<ZoneLoss> {
    world.status("web").tiers[0].zone_loss.clone()
}

#[test]
fn what_would_stay_pending_is_told_before_the_outage() {
    let mut world = six_strict_pods();
    world.policy("web", json!({}));
    world.decide();
    assert_eq!(condition(&world), None, "nothing is known yet");
    look_ahead(&mut world);
    for loss in losses(&world) {
        assert_eq!((loss.surviving, loss.percent), (4, 66));
        assert_eq!((loss.pending, loss.fits), (Some(2), Some(0)));
        assert_eq!(loss.reason, Some(LossReason::WouldPend));
    }
    let told: Vec<bool> = losses(&world).iter().map(|loss| loss.message.is_some()).collect();
    assert_eq!(told, [true, false, false], "in words for one of those that are alike");
    assert_eq!(world.status("web").summary.survives, "web: 66%, 2 Pending");
    let (status, reason, message) = condition(&world).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "WouldPend"));
    assert!(
        message.starts_with("web without zone a: 2 pods would stay Pending")
            && message.ends_with("set nodeTaintsPolicy: Honor"),
        "{message}"
    );
    assert_eq!(world.zone("a").safe_to_lose, Some(false));
    let series: Vec<_> = world.operator.zone_losses().collect();
    assert_eq!(series.len(), 3);
    assert!(series.iter().all(|(_, loss)| loss.pending == 2 && !loss.is_safe && loss.pods == 0));
}

#[test]
fn a_zone_that_is_safe_to_lose_is_told_as_well() {
    let mut world = six_pods();
    world.policy("web", json!({}));
    world.decide();
    look_ahead(&mut world);
    assert!(losses(&world).iter().all(|loss| loss.pending.is_none() && loss.reason.is_none()));
    let (status, reason, _) = condition(&world).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "Safe"));
    assert_eq!(world.status("web").summary.survives, "web: 66%");
    assert_eq!(world.zone("b").safe_to_lose, Some(true));
}

#[test]
fn nothing_is_made_or_written_while_nothing_changes() {
    let mut world = six_strict_pods();
    world.policy("web", json!({}));
    world.decide();
    look_ahead(&mut world);
    let writes = (world.status_writes, world.zone_writes);
    world.pass(60);
    assert!(!world.operator.outlook_is_due());
    // Once more for a change that changes nothing of it.
    let other = pod("other").owner("ReplicaSet", "other").on("a1");
    world.operator.apply(Change::Pod(other.watched()));
    look_ahead(&mut world);
    world.pass(60);
    assert_eq!((world.status_writes, world.zone_writes), writes);
}

#[test]
fn a_tier_that_changed_is_looked_at_alone_with_all_others_where_they_went() {
    let mut world = six_pods();
    world.replica_set("was", &["a1", "b1", "c1"]);
    for app in ["web", "was"] {
        world.policy(app, json!({}));
    }
    world.decide();
    look_ahead(&mut world);
    let was = world.status("was").clone();
    assert!(!world.operator.outlook_is_quick());
    // The pods of web refuse to go elsewhere from now on.
    make_strict(&mut world);
    world.pass(1);
    assert!(world.operator.outlook_is_due() && world.operator.outlook_is_quick());
    let progress = world.operator.make_outlook(false, || true);
    assert_eq!(progress, OutlookProgress::Made { of_all: false });
    world.pass(1);
    assert_eq!(condition(&world).unwrap().1, "WouldPend");
    assert_eq!(world.status("was"), &was);
    assert!(world.operator.zone_losses().all(|(_, loss)| !loss.is_safe));
    // An outlook of all says the same.
    let told = losses(&world);
    assert!(world.operator.outlook_is_due() && !world.operator.outlook_is_quick());
    assert_eq!(world.operator.make_outlook(false, || true), OutlookProgress::Idle);
    look_ahead(&mut world);
    assert_eq!(losses(&world), told);
    assert!(!world.operator.outlook_is_due());
}

#[test]
fn a_restart_unsays_nothing() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2"]);
    world.policy("web", json!({}));
    world.decide();
    look_ahead(&mut world);
    let (before, safe) = (world.status("web").clone(), world.zone("a").safe_to_lose);
    assert_eq!(condition(&world).unwrap().1, "SingleZone");
    let writes = (world.status_writes, world.zone_writes);
    world.restart();
    world.pass(5);
    look_ahead(&mut world);
    world.pass(5);
    assert_eq!((world.status("web"), world.zone("a").safe_to_lose), (&before, safe));
    assert_eq!((world.status_writes, world.zone_writes), writes);
}

#[test]
fn an_accepted_single_zone_is_shown_and_makes_no_zone_unsafe() {
    let mut world = World::new();
    world.replica_set("web", &["a1"]);
    let accepted = json!({"name": "web", "singleZone": {"accepted": true, "reason": "a cache"}});
    world.policy("web", json!({"tiers": [accepted]}));
    world.decide();
    look_ahead(&mut world);
    let in_a = losses(&world).into_iter().find(|loss| loss.zone == "a").unwrap();
    assert_eq!(in_a.reason, Some(LossReason::SingleZone));
    assert_eq!(condition(&world).unwrap().0, "True");
    assert_eq!(world.zone("a").safe_to_lose, Some(true));
    assert_eq!(world.status("web").summary.survives, "- (1 accepted)");
}

#[test]
fn the_outlook_is_made_in_pieces_and_waits_for_moves() {
    let mut world = six_pods();
    world.policy("web", json!({}));
    world.decide();
    let mut pieces = 0;
    let mut goes_on = true;
    while goes_on {
        let mut left = 1;
        let progress = world.operator.make_outlook(true, || std::mem::take(&mut left) > 0);
        goes_on = progress == OutlookProgress::GoesOn;
        pieces += 1;
        world.pass(1);
        assert!(goes_on || condition(&world).is_some());
    }
    assert!(pieces > 9, "{pieces}");

    world.cordon("c");
    world.pass(1);
    world.evacuate("c");
    world.open("c");
    while world.evicted.is_empty() {
        world.pass(1);
    }
    assert!(!world.operator.outlook_is_due(), "a move is under way");
    world.pass(120);
    assert!(world.operator.outlook_is_due());
    look_ahead(&mut world);
}
