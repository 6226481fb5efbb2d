//! Stories about what is said of an unbalanced tier: one for each cause.

use jiff::SignedDuration;
use serde_json::json;

use super::tests::{an_outage, reason};
use super::world::World;
use super::*;
use crate::api::{Cause, Reason};
use crate::observe::fixtures::{node, pod};

fn cause(world: &World) -> Option<Cause> {
    world.status("web").tiers[0].cause
}

/// 2/2/2, settled for an hour.
fn a_steady_tier() -> World {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "b1", "b2", "c1", "c2"]);
    world.policy("web", json!({}));
    world.pass(1);
    world.now += SignedDuration::from_hours(1);
    world.pass(1);
    assert_eq!(cause(&world), None, "balanced");
    world
}

#[test]
fn an_outage_is_the_cause_until_the_pods_are_back() {
    let mut world = an_outage();
    world.policy("web", json!({}));
    world.pass(30);
    assert_eq!(cause(&world), Some(Cause::ZoneOutage));
    world.open("c");
    world.pass(30);
    assert_eq!((cause(&world), world.evicted.len()), (Some(Cause::ZoneOutage), 0));
    world.restart();
    world.pass(5);
    assert_eq!(cause(&world), Some(Cause::ZoneOutage), "also after a restart");
    world.pass(120);
    assert_eq!((world.spread("web").as_str(), cause(&world)), ("2/2/2", None));
}

#[test]
fn a_scale_in_is_remembered_also_by_the_next_leader() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "a1", "b1", "b2", "b1", "c1", "c2", "c1"]);
    world.policy("web", json!({}));
    world.pass(1);
    world.now += SignedDuration::from_hours(1);
    world.pass(1);
    world.scale("web", 6);
    world.pass(1);
    assert_eq!((world.spread("web").as_str(), cause(&world)), ("3/3/0", Some(Cause::ScaleIn)));
    world.restart();
    world.pass(5);
    assert_eq!(cause(&world), Some(Cause::ScaleIn));
}

#[test]
fn a_cordoned_node_whose_pods_went_elsewhere_is_a_drain() {
    let mut world = a_steady_tier();
    let drained = |name: &str| node(name).zone("c").cordoned().watched();
    world.operator.apply(Change::Node(drained("c2")));
    world.trouble.scheduler_prefers = Some("a1");
    let pods: Vec<String> = {
        let cluster = world.operator.index().cluster();
        let on_zone_c = cluster
            .pods()
            .filter(|(_, pod)| pod.node.as_deref().is_some_and(|node| node.starts_with('c')));
        on_zone_c.map(|(_, pod)| pod.name.to_string()).collect()
    };
    for pod in &pods {
        world.replace(pod);
    }
    world.pass(30);
    assert_eq!((world.spread("web").as_str(), cause(&world)), ("4/2/0", Some(Cause::Drain)));
    world.open("c");
    world.pass(30);
    assert_eq!(cause(&world), Some(Cause::Drain), "until it is balanced");
}

#[test]
fn pods_that_a_rollout_left_uneven_are_its_doing() {
    let mut world = a_steady_tier();
    let deployment = |updated: i32| {
        json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "uid-web", "generation": 2},
            "spec": {"replicas": 6, "template": {"spec": {"containers": []}},
                     "selector": {"matchLabels": {"app": "web"}}},
            "status": {"observedGeneration": 2, "replicas": 6, "updatedReplicas": updated},
        })
    };
    let apply = |world: &mut World, updated| {
        let deployment = serde_json::from_value(deployment(updated)).unwrap();
        world.operator.apply(Change::Deployment(deployment));
        let set = json!({
            "metadata": {"name": "web-rs", "namespace": "default", "uid": "uid-web-rs",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web",
                                     "uid": "uid-web", "controller": true}]},
            "spec": {"replicas": 6, "template": {"metadata": {"labels": {"app": "web"}},
                     "spec": {"containers": []}}},
        });
        world.operator.apply(Change::ReplicaSet(serde_json::from_value(set).unwrap()));
        world.pass(1);
    };
    apply(&mut world, 3);
    world.trouble.scheduler_prefers = Some("a1");
    world.evacuate("c");
    apply(&mut world, 6);
    assert_eq!((world.spread("web").as_str(), cause(&world)), ("4/2/0", Some(Cause::Rollout)));
}

#[test]
fn a_zone_that_lost_its_nodes_in_order_is_without_nodes() {
    let mut world = a_steady_tier();
    for name in ["c1", "c2"] {
        let leaving = node(name).zone("c").taint("karpenter.sh/disrupted", "NoSchedule");
        world.operator.apply(Change::Node(leaving.watched()));
    }
    world.pass(1);
    world.evacuate("c");
    world.remove_nodes("c");
    world.pass(5);
    assert_eq!(world.spread("web"), "3/3/0");
    assert_eq!(cause(&world), Some(Cause::ZoneWithoutNodes));
}

#[test]
fn a_zone_without_room_is_a_matter_of_capacity() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "a1", "b1", "b2", "b1"]);
    for name in ["c1", "c2"] {
        let full = node(name).zone("c").room_for_pods(0);
        world.operator.apply(Change::Node(full.watched()));
    }
    world.policy("web", json!({"rebalance": {"settle": "0s"}}));
    world.pass(10);
    assert_eq!(reason(&world, "web"), Some(Reason::NoRoom));
    assert_eq!(cause(&world), Some(Cause::Capacity));
}

#[test]
fn a_soft_constraint_that_loses_is_named() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "a1", "b1", "b2", "b1"]);
    for name in ["c1", "c2"] {
        let shunned = node(name).zone("c").taint("busy", "PreferNoSchedule");
        world.operator.apply(Change::Node(shunned.watched()));
    }
    world.policy("web", json!({"rebalance": {"settle": "0s"}}));
    world.pass(10);
    assert_eq!(reason(&world, "web"), Some(Reason::WouldNotLand));
    assert_eq!(cause(&world), Some(Cause::Constraint));
}

#[test]
fn data_on_the_node_is_a_pinned_volume() {
    let mut world = World::new();
    world.replica_set_of("web", 4);
    for (at, on) in ["a1", "a2", "b1", "b2"].into_iter().enumerate() {
        let stuck = pod(&format!("web-{at}")).label("app", "web").owner("ReplicaSet", "web-rs");
        let stuck = stuck.spread_soft("topology.kubernetes.io/zone", 1).spec(
            "volumes",
            json!([{
            "name": "data", "hostPath": {"path": "/data"}}]),
        );
        world.operator.apply(Change::Pod(stuck.on(on).watched()));
    }
    world.policy("web", json!({"rebalance": {"settle": "0s"}}));
    world.pass(10);
    assert_eq!(reason(&world, "web"), Some(Reason::Pinned));
    assert_eq!(cause(&world), Some(Cause::PinnedVolume));
}

#[test]
fn a_pool_in_one_zone_is_told_although_nothing_is_to_be_balanced() {
    let mut world = World::new();
    for name in ["a1", "a2"] {
        let fast = node(name).zone("a").label("disk", "fast");
        world.operator.apply(Change::Node(fast.watched()));
    }
    let set = json!({
        "metadata": {"name": "web-rs", "namespace": "default", "uid": "uid-web-rs"},
        "spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": "web"}},
                 "spec": {"containers": [], "nodeSelector": {"disk": "fast"}}}},
    });
    world.operator.apply(Change::ReplicaSet(serde_json::from_value(set).unwrap()));
    for (name, on) in [("web-1", "a1"), ("web-2", "a2")] {
        let fast = pod(name).label("app", "web").owner("ReplicaSet", "web-rs").on(on);
        let fast = fast.spec("nodeSelector", json!({"disk": "fast"}));
        world.operator.apply(Change::Pod(fast.watched()));
    }
    world.policy("web", json!({}));
    world.pass(5);
    assert_eq!(world.status("web").phase, Some(crate::api::Phase::Balanced));
    assert_eq!(cause(&world), Some(Cause::SingleZonePool));
}

#[test]
fn what_nobody_saw_is_unknown() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "a1", "b1", "b2", "b1"]);
    world.now += SignedDuration::from_hours(1);
    world.policy("web", json!({"mode": "Observe"}));
    world.pass(5);
    assert_eq!(cause(&world), Some(Cause::Unknown));
}

#[test]
fn without_any_constraint_that_is_the_cause() {
    let mut world = World::new();
    world.spread_by_default = true;
    world.replica_set("web", &["a1", "a2", "a1", "b1", "b2", "b1"]);
    world.now += SignedDuration::from_hours(1);
    world.policy("web", json!({"mode": "Observe"}));
    world.pass(5);
    assert_eq!(cause(&world), Some(Cause::Constraint));
}
