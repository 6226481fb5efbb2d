//! Whether a preferred zone is reached however full the others are.

use rstest::rstest;
use serde_json::{Value, json};

use super::stories::{ZONE, three_zones, web_on};
use crate::observe::fixtures::{NodeFixture, PodFixture, cluster, id_of};
use crate::observe::{EMPTY_NODE, Zone};
use crate::predict::{InFlightPods, PendingPod, Scheduler, SchedulerCache};

/// Whether the replacement of `web-0`, steered to zone c, lands there now, and whether it
/// reaches the zone.
fn steered(
    nodes: Vec<NodeFixture>,
    on: &[&str],
    shape: impl Fn(PodFixture) -> PodFixture,
) -> (bool, bool) {
    let cluster = cluster(nodes, web_on(on, |pod| shape(pod).spread_soft(ZONE, 1)));
    let cache = SchedulerCache::default();
    let scheduler = Scheduler::new(&cluster, &cache);
    let victim = id_of(&cluster, "web-0");
    let zone = Zone::new("c");
    let next = PendingPod::replacing(&cluster, cluster.pod(victim).unwrap()).steered(Some(&zone));
    let mut simulation = scheduler.simulate(&InFlightPods::default(), &next).unwrap();
    simulation.evict(victim);
    let before = simulation.explain();
    let reaches = simulation.reaches(&zone);
    assert_eq!(simulation.explain(), before, "it is supposed for a moment only");
    (simulation.best().is_some_and(|best| best.zones == [zone]), reaches)
}

fn c_with_taint(key: &str) -> Vec<NodeFixture> {
    let mut nodes = three_zones();
    for node in &mut nodes[4..] {
        *node = node.clone().taint(key, "PreferNoSchedule");
    }
    nodes
}

/// Tiers of four to six pods, one after the other nearer to balance.
const SPREADS: [&[&str]; 4] = [
    &["a1", "a2", "a1", "a2", "a1", "b1"],
    &["a1", "a2", "a1", "b1", "b2", "b1"],
    &["a1", "a2", "a1", "b1", "b2", "c1"],
    &["a1", "a2", "b1", "b2"],
];

#[rstest]
#[case::none("", [true; 4], true)]
#[case::of_an_empty_node(EMPTY_NODE, [true; 4], true)]
#[case::of_somebody_else("busy", [false, true, false, true], false)]
fn a_taint_is_outweighed_for_all_moves_or_for_none(
    #[case] key: &str,
    #[case] lands: [bool; 4],
    #[case] reaches: bool,
) {
    let nodes = if key.is_empty() { three_zones() } else { c_with_taint(key) };
    for (on, lands) in SPREADS.into_iter().zip(lands) {
        assert_eq!(steered(nodes.clone(), on, |pod| pod), (lands, reaches), "{on:?}");
    }
}

fn prefers(zone: &str) -> Value {
    json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "preference": {"matchExpressions": [
            {"key": ZONE, "operator": "In", "values": [zone]}]}}]}})
}

#[test]
fn a_preference_of_the_pods_own_leaves_the_zone_to_spreading_which_decides_for_it() {
    let own = |pod: PodFixture| pod.spec("affinity", prefers("a"));
    for on in SPREADS {
        assert_eq!(steered(three_zones(), on, own), (true, true), "{on:?}");
    }
}

#[test]
fn pods_that_keep_each_other_apart_reach_a_zone_only_where_that_does_not_decide() {
    let apart = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 50, "podAffinityTerm": {"topologyKey": ZONE,
            "labelSelector": {"matchLabels": {"app": "web"}}}}]}});
    let apart = |pod: PodFixture| pod.spec("affinity", apart.clone());
    assert_eq!(steered(three_zones(), SPREADS[1], apart), (true, true));
    assert_eq!(steered(c_with_taint("busy"), SPREADS[1], apart), (true, false));
}
