//! Stories about zones that come back without nodes, and the probes that open them.

use rstest::rstest;
use serde_json::{Value, json};

use super::tests::reason;
use super::world::World;
use super::*;
use crate::api::{Phase, Reason, ZoneState};
use crate::observe::fixtures::node;
use crate::plan::OpeningRight;

/// 2/2/2, then zone c is lost with its nodes: 3/3/0.
fn a_zone_without_nodes() -> World {
    let mut world = World::new().with_cloud();
    world.replica_set("web", &["a1", "a2", "b1", "b2", "c1", "c2"]);
    world.policy("web", json!({}));
    world.pass(1);
    world.cordon("c");
    world.evacuate("c");
    world.pass(2);
    world.remove_nodes("c");
    world.pass(5);
    assert_eq!(world.spread("web"), "3/3/0");
    world
}

fn message(world: &World) -> String {
    world.status("web").tiers[0].blocked.as_ref().unwrap().message.clone()
}

#[test]
fn a_zone_that_came_back_without_nodes_is_opened_and_filled_with_the_fewest_evictions() {
    let mut world = a_zone_without_nodes();
    world.pass(50);
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneImpaired), "held for as long as a return");
    assert!(world.probe_log().is_empty());
    while world.probe_log().is_empty() {
        world.pass(1);
    }
    assert_eq!(world.probe_log(), ["start c"]);
    assert_eq!(reason(&world, "web"), Some(Reason::OpeningZone));
    assert_eq!(world.status("web").phase, Some(Phase::Holding));
    assert!(message(&world).contains("zonespread-system/zonespread-probe-c waits for a node"));
    world.pass(12);
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneRecovering), "it has a node");
    assert_eq!((world.evicted.len(), world.probes()), (0, 1));
    world.pass(100);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
    assert_eq!(world.probe_log(), ["start c", "give room c"]);
    assert_eq!(world.status("web").phase, Some(Phase::Balanced));
    let opening = world.zone("c").opening.clone().unwrap();
    assert_eq!((opening.failures, opening.opened_at.is_some()), (0, true));
    world.pass(1_000);
    assert_eq!(world.probe_log().len(), 2, "nothing more");
}

#[test]
fn an_outage_without_nodes_ends_for_a_tier_that_would_go_elsewhere_too() {
    let mut world = World::new().with_cloud();
    world.replica_set("other", &["a1", "b1", "c1"]);
    world.policy("other", json!({}));
    world.pass(1);
    world.remove_nodes("c");
    world.pass(1);
    world.replica_set("web", &["a1", "a2"]);
    world.policy("web", json!({"rebalance": {"holdDown": "60s", "settle": "0s"}}));
    world.pass(10);
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneImpaired));
    world.pass(300);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("1/1/0", 1));
    assert_eq!(world.probe_log()[0], "start c", "nothing else tells that zone c is back");
    assert_eq!((world.zone("c").state, world.probes()), (Some(ZoneState::Ready), 0));
}

#[test]
fn nodes_that_hold_one_pod_each_are_opened_one_by_one() {
    let mut world = a_zone_without_nodes();
    world.cloud().room = 1;
    world.pass(250);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
    assert_eq!(world.probe_log(), ["start c", "give room c", "start c", "give room c"]);
}

#[test]
fn a_probe_that_gets_no_node_goes_and_comes_back_less_and_less_often() {
    let mut world = a_zone_without_nodes();
    world.cloud().gives = false;
    world.cloud().says = Some("incompatible with nodepool \"default\"");
    world.pass(7_000);
    let cloud = world.cloud();
    let times: Vec<i64> = cloud.log.iter().map(|(second, _)| *second).collect();
    let kept: Vec<i64> = times.chunks_exact(2).map(|pair| (pair[1] - pair[0]) / 60).collect();
    let pauses: Vec<i64> =
        times[1..].chunks_exact(2).map(|pair| (pair[1] - pair[0]) / 60).collect();
    assert_eq!((&kept[..3], &pauses[..3]), (&[10, 10, 10][..], &[10, 20, 40][..]), "{times:?}");
    assert_eq!((world.evicted.len(), world.probes()), (0, 0));
    assert_eq!(reason(&world, "web"), Some(Reason::OpeningZone));
    let message = message(&world);
    let expected = "the last probe did not get a node within 10m (karpenter: incompatible with";
    assert!(message.contains(expected), "{message}");
    assert!(world.zone("c").opening.as_ref().unwrap().failures >= 3);
}

#[test]
fn nothing_is_evicted_where_the_probe_does_not_become_ready() {
    let mut world = a_zone_without_nodes();
    world.cloud().is_broken = true;
    world.pass(3_000);
    assert_eq!((world.evicted.len(), world.probes()), (0, 0));
    assert_eq!(world.zone("c").state, Some(ZoneState::Ready), "its nodes look well");
    assert_eq!(reason(&world, "web"), Some(Reason::OpeningZone));
    world.restart();
    world.pass(60);
    assert_eq!(world.evicted.len(), 0, "the next process knows it");
    world.cloud().is_broken = false;
    world.pass(2_500);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
}

#[rstest]
#[case::policy_deleted(|world: &mut World| world.delete_policy("web"))]
#[case::observed(|world: &mut World| world.policy("web", json!({"mode": "Observe"})))]
#[case::never(|world: &mut World| world.policy("web", json!({"rebalance": {"openZones": "Never"}})))]
#[case::paused(|world: &mut World| world.annotate("web", "zonespread.io/paused", json!("true")))]
#[case::accepted(|world: &mut World| world.policy("web", accepted()))]
#[case::no_right(|world: &mut World| world.operator.set_opening_right(OpeningRight::default()))]
fn a_probe_that_nobody_wants_any_more_goes(#[case] change: fn(&mut World)) {
    for seconds in [58, 60, 63, 80] {
        let mut world = a_zone_without_nodes();
        world.pass(seconds);
        assert_eq!(world.probes(), 1, "{seconds}");
        change(&mut world);
        world.pass(2);
        assert_eq!((world.probes(), world.evicted.len()), (0, 0), "{seconds}");
    }
}

fn accepted() -> Value {
    json!({"tiers": [{"name": "web", "singleZone": {"accepted": true, "reason": "a cache"}}]})
}

/// Laws 7 and 11: whoever leads goes on with what it finds.
#[test]
fn killed_after_any_second_it_opens_the_zone_all_the_same_and_leaves_nothing_behind() {
    for second in (50..140).step_by(3) {
        let mut world = a_zone_without_nodes();
        world.pass(second);
        world.restart();
        world.pass(250);
        let end = (world.spread("web"), world.evicted.len(), world.probes());
        assert_eq!(end, ("2/2/2".into(), 2, 0), "killed after {second} s: {:?}", world.probe_log());
    }
}

#[test]
fn without_the_right_no_zone_is_opened_and_the_message_says_so() {
    let mut world = a_zone_without_nodes();
    world.operator.set_opening_right(OpeningRight::default());
    world.pass(300);
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneImpaired));
    world.now += jiff::SignedDuration::from_mins(61);
    world.pass(60);
    assert_eq!(reason(&world, "web"), Some(Reason::NoRoom));
    assert!(message(&world).contains("deploy/opening gives it"), "{}", message(&world));
    assert!(world.probe_log().is_empty());
}

#[test]
fn no_zone_is_opened_while_another_is_out() {
    let mut world = a_zone_without_nodes();
    world.cordon("b");
    world.pass(600);
    assert!(world.probe_log().is_empty(), "{:?}", world.probe_log());
    world.open("b");
    world.pass(300);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
}

#[test]
fn a_zone_that_an_autoscaler_removed_in_order_is_opened_too() {
    let mut world = World::new().with_cloud();
    world.replica_set("web", &["a1", "a2", "b1", "b2", "c1", "c2"]);
    world.policy("web", json!({"rebalance": {"holdDown": "60s", "settle": "0s"}}));
    world.pass(1);
    for name in ["c1", "c2"] {
        let leaving = node(name).zone("c").taint("karpenter.sh/disrupted", "NoSchedule");
        world.operator.apply(Change::Node(leaving.watched()));
    }
    world.evacuate("c");
    world.pass(1);
    world.remove_nodes("c");
    world.pass(300);
    assert_eq!((world.spread("web").as_str(), world.evicted.len()), ("2/2/2", 2));
    assert_eq!((world.zone("c").outages, world.probes()), (0, 0));
}

#[test]
fn a_probe_that_waits_for_nobody_gives_its_node_up() {
    let mut world = a_zone_without_nodes();
    world.pass(70);
    world.trouble.refuses = Some(crate::moves::ActionError::Budget("no".to_owned()));
    world.pass(2_000);
    assert_eq!((world.probes(), world.evicted.len()), (0, 0), "{:?}", world.probe_log());
}
