//! Stories about a zone that is Ready and broken: one pod of the cluster finds out.

use rstest::rstest;
use serde_json::json;

use super::tests::{an_outage, reason};
use super::world::World;
use crate::api::{MoveState, Reason, ZoneState};

/// Two policies wait for zone c; the first pod moved there got stuck, and the doubled hold is
/// over. The policy of the stuck pod, and the other.
fn a_stuck_probe() -> (World, &'static str, &'static str) {
    let mut world = an_outage();
    world.replica_set("was", &["a1", "b1", "a2", "b2"]);
    world.policy("was", json!({}));
    world.trouble.broken_nodes.extend(["c1", "c2"]);
    world.open("c");
    world.pass(60 + 61 + 120 + 60);
    assert_eq!(world.evicted.len(), 1);
    let (own, other) =
        if world.evicted[0].starts_with("web") { ("web", "was") } else { ("was", "web") };
    (world, own, other)
}

fn stuck_pod(world: &World, policy: &str) -> String {
    let moved = &world.status(policy).moves[0];
    assert_eq!(moved.state, MoveState::Stuck);
    moved.replacement.clone().unwrap()
}

#[rstest]
#[case::as_it_is(false)]
#[case::after_a_restart(true)]
fn a_zone_that_is_broken_costs_one_pod_as_long_as_that_waits(#[case] restarts: bool) {
    let (mut world, own, other) = a_stuck_probe();
    let pod = stuck_pod(&world, own);
    if restarts {
        world.restart();
    }
    world.pass(3_600);
    assert_eq!(world.evicted.len(), 1, "nobody else risks a pod");
    assert_eq!(reason(&world, other), Some(Reason::ZoneSuspect));
    let message = &world.status(other).tiers[0].blocked.as_ref().unwrap().message;
    assert!(message.contains(&pod) && message.contains("zone c"), "{message}");
    world.mend();
    world.pass(60);
    assert_eq!((world.spread("web").as_str(), world.spread("was").as_str()), ("2/2/2", "1/2/1"));
    assert_eq!(world.evicted.len(), 3);
    assert!(world.zone("c").proven, "the stuck pod has shown that pods can start there");
}

#[test]
fn when_the_stuck_pod_is_gone_another_one_finds_out() {
    let (mut world, own, _) = a_stuck_probe();
    let pod = stuck_pod(&world, own);
    world.trouble.scheduler_prefers = Some("b1");
    world.replace(&pod);
    world.trouble.scheduler_prefers = None;
    world.pass(1);
    assert_eq!(world.evicted.len(), 2, "one, and not one of each policy");
    world.pass(600);
    assert_eq!(world.evicted.len(), 2);
}

#[test]
fn a_probe_is_known_though_its_policy_is_gone() {
    let (mut world, own, other) = a_stuck_probe();
    world.delete_policy(own);
    world.pass(600);
    assert_eq!((world.evicted.len(), reason(&world, other)), (1, Some(Reason::ZoneSuspect)));
}

#[test]
fn a_canary_that_the_next_outage_catches_makes_no_outage_more() {
    let mut world = an_outage();
    world.trouble.broken_nodes.extend(["c1", "c2"]);
    world.open("c");
    world.pass(62);
    assert_eq!(world.evicted.len(), 1);
    world.cordon("c");
    world.pass(120);
    assert_eq!(world.status("web").moves[0].state, MoveState::Stuck);
    let zone = world.zone("c");
    assert_eq!((zone.state, zone.outages), (Some(ZoneState::Impaired), 2));
}
