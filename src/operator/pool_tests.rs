//! Stories about tiers beside nodes of another pool, in the small world.

use serde_json::json;

use super::tests::reason;
use super::world::World;
use super::*;
use crate::api::{Phase, Reason, ZoneState};
use crate::observe::fixtures::{NodeFixture, node};

fn gpu(name: &str, zone: &str) -> NodeFixture {
    node(name).zone(zone).taint("gpu", "NoSchedule")
}

/// Three nodes of another pool in zone c, and one in a zone without other nodes.
fn show_pool(world: &mut World, change: impl Fn(NodeFixture) -> NodeFixture) {
    for (name, zone) in [("gpu-1", "c"), ("gpu-2", "c"), ("gpu-3", "c"), ("gpu-4", "d")] {
        world.operator.apply(Change::Node(change(gpu(name, zone)).watched()));
    }
}

/// 2/2/2, and the other pool beside.
fn beside_a_pool() -> World {
    let mut world = World::new();
    show_pool(&mut world, |node| node);
    world.replica_set("web", &["a1", "a2", "b1", "b2", "c1", "c2"]);
    world.policy("web", json!({}));
    world.pass(1);
    world
}

fn zone_c(world: &World) -> ZoneState {
    let zones = &world.status("web").zones;
    zones.iter().find(|zone| zone.name == "c").unwrap().state
}

#[test]
fn a_zone_with_another_pool_alone_is_no_zone_of_the_tier() {
    let world = beside_a_pool();
    let status = world.status("web");
    assert_eq!((status.phase, &*status.summary.zones), (Some(Phase::Balanced), "a:2 b:2 c:2"));
    assert_eq!(world.zone("d").usable, "1/1", "the cluster's record knows it");
}

#[test]
fn a_pool_that_fails_beside_freezes_nobody() {
    let mut world = beside_a_pool();
    show_pool(&mut world, NodeFixture::not_ready);
    world.pass(1);
    assert_eq!(world.zone("c").usable, "2/5");
    assert_eq!(world.zone("c").state, Some(ZoneState::Impaired), "the cluster's record");
    assert_eq!(
        (world.status("web").phase, zone_c(&world)),
        (Some(Phase::Balanced), ZoneState::Ready)
    );
}

/// Law 1: the record does not show it, since the pool is well.
#[test]
fn an_outage_of_the_tiers_nodes_alone_is_held_also_after_a_restart() {
    let mut world = beside_a_pool();
    world.cordon("c");
    world.evacuate("c");
    world.pass(10);
    assert_eq!((world.spread("web"), world.zone("c").usable.as_str()), ("3/3/0".into(), "3/5"));
    assert_eq!(world.zone("c").state, Some(ZoneState::Ready));
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneImpaired));
    world.open("c");
    world.pass(30);
    assert_eq!(
        (world.status("web").phase, zone_c(&world)),
        (Some(Phase::Holding), ZoneState::Recovering)
    );
    world.restart();
    show_pool(&mut world, |node| node);
    world.pass(20);
    assert_eq!((world.evicted.len(), zone_c(&world)), (0, ZoneState::Recovering));
    world.pass(60);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

/// Law 1: nobody knows yet whether it is a pool's.
#[test]
fn a_taint_that_appears_on_nodes_in_use_is_an_outage_and_named() {
    let mut world = beside_a_pool();
    for name in ["c1", "c2"] {
        let tainted = node(name).zone("c").taint("maintenance", "NoExecute");
        world.operator.apply(Change::Node(tainted.watched()));
    }
    world.evacuate("c");
    world.pass(10);
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneImpaired));
    let message = &world.status("web").message;
    assert!(message.contains("zone c is out (Tainted: maintenance)"), "{message}");
    let taints = world.zone("c").taints.clone().unwrap();
    assert_eq!((&*taints[0].key, taints[0].since.is_some()), ("maintenance", true));
    assert_eq!((&*taints[1].key, taints[1].since.is_some()), ("gpu", false));
    world.now += jiff::SignedDuration::from_mins(70);
    world.pass(60);
    assert_eq!(world.evicted.len(), 0, "a pool's by now: the tier has no node there");
}
