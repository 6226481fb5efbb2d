//! Stories about zones whose last nodes an autoscaler removes in order: no outage.

use serde_json::json;

use super::tests::reason;
use super::world::World;
use super::*;
use crate::api::{Phase, Reason, ZoneState};
use crate::observe::fixtures::node;

/// 2/2/2, and the autoscaler begins to remove the nodes of zone c.
fn a_zone_that_is_removed(taint: &str) -> World {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "b1", "b2", "c1", "c2"]);
    world.policy("web", json!({"rebalance": {"holdDown": "60s", "settle": "0s"}}));
    world.pass(1);
    for name in ["c1", "c2"] {
        let leaving = node(name).zone("c").taint(taint, "NoSchedule");
        world.operator.apply(Change::Node(leaving.watched()));
    }
    world.pass(1);
    assert_eq!(world.zone("c").state, Some(ZoneState::Ready), "its pods are drained in order");
    assert_eq!(world.status("web").phase, Some(Phase::Balanced));
    world
}

#[test]
fn a_zone_that_an_autoscaler_removed_in_order_had_no_outage_and_freezes_nobody() {
    for taint in ["karpenter.sh/disrupted", "ToBeDeletedByClusterAutoscaler"] {
        let mut world = a_zone_that_is_removed(taint);
        world.evacuate("c");
        world.remove_nodes("c");
        world.pass(1);
        let zone = world.zone("c").clone();
        assert_eq!((zone.state, zone.outages), (Some(ZoneState::Empty), 0), "{taint}");
        assert!(zone.message.starts_with("its last nodes were removed in order"), "{zone:?}");
        assert_eq!(world.spread("web"), "3/3/0");
        assert_eq!(reason(&world, "web"), Some(Reason::NoRoom));
        assert_eq!(world.status("web").phase, Some(Phase::Blocked));
        world.restart();
        world.pass(5);
        assert_eq!(world.zone("c").outages, 0);
        assert_eq!(reason(&world, "web"), Some(Reason::NoRoom));
    }
}

#[test]
fn other_tiers_go_on_while_a_zone_is_without_nodes_in_order() {
    let mut world = a_zone_that_is_removed("karpenter.sh/disrupted");
    world.evacuate("c");
    world.remove_nodes("c");
    world.replica_set("was", &["a1", "a1", "a2", "a2", "b1"]);
    world.policy("was", json!({"rebalance": {"holdDown": "60s", "settle": "0s"}}));
    world.pass(30);
    assert_eq!(world.spread("was"), "3/2/0", "lower is not possible");
}

#[test]
fn a_pod_that_was_lost_with_the_node_makes_it_an_outage() {
    let mut world = a_zone_that_is_removed("karpenter.sh/disrupted");
    world.remove_nodes("c");
    world.evacuate("c");
    world.pass(1);
    assert_eq!((world.zone("c").state, world.zone("c").outages), (Some(ZoneState::Impaired), 1));
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneImpaired));
}

#[test]
fn a_node_that_failed_while_it_was_removed_makes_it_an_outage() {
    let mut world = a_zone_that_is_removed("karpenter.sh/disrupted");
    world.evacuate("c");
    let failed = node("c2").zone("c").taint("karpenter.sh/disrupted", "NoSchedule").not_ready();
    world.operator.apply(Change::Node(failed.watched()));
    world.remove_nodes("c");
    world.pass(1);
    assert_eq!((world.zone("c").state, world.zone("c").outages), (Some(ZoneState::Impaired), 1));
}

#[test]
fn what_happened_while_nobody_looked_is_taken_for_an_outage() {
    let mut world = a_zone_that_is_removed("karpenter.sh/disrupted");
    world.evacuate("c");
    world.pass(1);
    // The nodes go between two processes.
    let mut nodes_gone = World::new();
    std::mem::swap(&mut nodes_gone.zones, &mut world.zones);
    nodes_gone.remove_nodes("c");
    nodes_gone.restart();
    nodes_gone.pass(1);
    assert_eq!(nodes_gone.zone("c").state, Some(ZoneState::Impaired), "nobody can tell");
}
