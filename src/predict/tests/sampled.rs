//! Clusters of which the scheduler scores only a sample.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::stories::{ZONE, evicted, landing, zones};
use crate::observe::fixtures::{NodeFixture, PodFixture, cluster, id_of, node, pod};
use crate::observe::{Cluster, Zone};
use crate::predict::classes::node_classes::Candidates;
use crate::predict::{InFlightPods, PendingPod, Scheduler, SchedulerCache};

/// So many nodes in each of the zones a, b and c: `a000`, `a001` …
fn nodes(counts: [usize; 3]) -> Vec<NodeFixture> {
    let zones = ["a", "b", "c"].into_iter().zip(counts);
    zones
        .flat_map(|(zone, count)| {
            (0..count).map(move |at| {
                node(&format!("{zone}{at:03}"))
                    .zone(zone)
                    .label("topology.kubernetes.io/region", "r")
            })
        })
        .collect()
}

fn web(number: usize, node: &str) -> PodFixture {
    pod(&format!("web-{number}")).on(node).cpu("100m").spread_soft(ZONE, 1)
}

fn three_three_zero(counts: [usize; 3]) -> Cluster {
    let on = ["a000", "a001", "a002", "b000", "b001", "b002"];
    cluster(nodes(counts), on.iter().enumerate().map(|(at, node)| web(at, node)))
}

#[test]
fn a_soft_constraint_brings_pods_home_in_a_large_cluster() {
    for count in [40, 100, 400] {
        let landing = landing(evicted(&three_three_zero([count; 3]), "web-0"));
        assert_eq!((zones(&landing), landing.certain), (vec!["c"], true), "{count} in each zone");
        assert_eq!(landing.zone_probability.len(), 1);
        assert!((landing.zone_probability[0].1 - 1.0).abs() < 1e-9);
    }
}

#[test]
fn a_zone_that_may_be_missing_from_the_sample_is_not_certain() {
    // Of 240 nodes 117 are scored; at the end of the list only a and b are left,
    // and of these a has lost a pod.
    let landing = landing(evicted(&three_three_zero([110, 110, 20]), "web-0"));
    assert!(!landing.certain);
    assert!(zones(&landing).contains(&"a") && zones(&landing).contains(&"c"));
    let odds: Vec<&str> = landing.zone_probability.iter().map(|(zone, _)| zone.as_str()).collect();
    assert_eq!(odds, ["a", "c"]);
    assert!(landing.zone_probability[1].1 > 0.5, "{:?}", landing.zone_probability);
    assert!(
        (landing.zone_probability.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9
    );
}

#[test]
fn zones_of_regions_that_share_a_name_are_not_in_rounds() {
    let nodes = nodes([100; 3]).into_iter().enumerate().map(|(at, node)| {
        node.label("topology.kubernetes.io/region", if at % 2 == 0 { "r" } else { "s" })
    });
    let on = ["a000", "a001", "a002", "b000", "b001", "b002"];
    let cluster = cluster(nodes, on.iter().enumerate().map(|(at, node)| web(at, node)));
    assert!(!landing(evicted(&cluster, "web-0")).certain);
}

#[test]
fn a_hard_constraint_decides_whatever_the_sample() {
    let on = ["a000", "a001", "b000", "b001"].iter().enumerate();
    let hard = |(at, node): (usize, &&str)| pod(&format!("web-{at}")).on(node).spread_hard(ZONE, 1);
    let landing = landing(evicted(&cluster(nodes([110, 110, 20]), on.map(hard)), "web-0"));
    assert_eq!((zones(&landing), landing.certain), (vec!["c"], true));
}

/// A cluster of 120 to 300 nodes on which little is the same.
#[derive(Clone, Debug)]
struct Case {
    counts: [usize; 3],
    /// For some nodes, by number: cores taken, and whether it is to be avoided.
    loads: Vec<(usize, usize, bool)>,
    on: Vec<usize>,
    hostname: bool,
    prefers: Option<usize>,
    near: bool,
    picks: Vec<usize>,
}

fn cases() -> impl Strategy<Value = Case> {
    let count = || 40..100_usize;
    (
        [count(), count(), count()],
        prop::collection::vec((0..300_usize, 0..5_usize, prop::bool::weighted(0.1)), 0..200),
        prop::collection::vec(0..300_usize, 2..9),
        any::<bool>(),
        prop::option::weighted(0.3, 0..3_usize),
        prop::bool::weighted(0.3),
        prop::collection::vec(any::<usize>(), 15),
    )
        .prop_map(|(counts, loads, on, hostname, prefers, near, picks)| Case {
            counts,
            loads,
            on,
            hostname,
            prefers,
            near,
            picks,
        })
}

fn cluster_of(case: &Case) -> Cluster {
    let mut nodes = nodes(case.counts);
    let total = nodes.len();
    let mut pods = Vec::new();
    for (number, (at, cores, avoided)) in case.loads.iter().enumerate() {
        let at = at % total;
        if *avoided {
            nodes[at] = nodes[at].clone().taint("busy", "PreferNoSchedule");
        }
        let name = nodes[at].clone().build().name;
        pods.push(pod(&format!("load-{number}")).on(&name).cpu(&cores.to_string()));
    }
    for (number, at) in case.on.iter().enumerate() {
        let name = nodes[at % total].clone().build().name;
        let mut shown = web(number, &name);
        if case.hostname {
            shown = shown.spread_soft("kubernetes.io/hostname", 1);
        }
        let mut affinity = json!({});
        if let Some(zone) = case.prefers {
            let value = ["a", "b", "c"][zone];
            let term = json!({"key": ZONE, "operator": "In", "values": [value]});
            affinity["nodeAffinity"] = json!({"preferredDuringSchedulingIgnoredDuringExecution":
                [{"weight": 10, "preference": {"matchExpressions": [term]}}]});
        }
        if case.near {
            affinity["podAntiAffinity"] = json!({"preferredDuringSchedulingIgnoredDuringExecution":
                [{"weight": 50, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"app": "load"}}}}]});
        }
        pods.push(shown.spec("affinity", affinity));
    }
    cluster(nodes, pods)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Samples as a search could find them: each zone has at least its share.
    #[test]
    fn no_sample_lands_in_another_zone(case in cases()) {
        let cluster = cluster_of(&case);
        let id = id_of(&cluster, "web-0");
        let mut in_flight = InFlightPods::default();
        in_flight.evict(id);
        let pending = PendingPod::like(cluster.pod(id).unwrap());
        let cache = SchedulerCache::default();
        let scheduler = Scheduler::new(&cluster, &cache);
        let simulation = scheduler.simulate(&in_flight, &pending).unwrap();
        let feasible = simulation.feasible();
        let Some(sample) = simulation.sample(&feasible) else { return Ok(()) };
        let best = simulation.best().unwrap();
        let full = simulation.best_in_full().unwrap();
        prop_assert_eq!(&best.zones, &full.zones, "by kind, and by node");
        let winners: BTreeSet<&Zone> = best.zones.iter().collect();
        let rows: Vec<usize> = feasible.rows().collect();
        let node_tree = scheduler.snapshot.node_tree();
        for pick in &case.picks {
            let mut shuffled: Vec<usize> = rows.clone();
            shuffled.sort_by_key(|row| {
                row.wrapping_add(1).wrapping_mul(pick | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            });
            let mut counts = vec![0; sample.found.len()];
            let (share, rest): (Vec<usize>, Vec<usize>) =
                shuffled.into_iter().partition(|row| {
                    let zone = node_tree.zone_of[*row];
                    counts[zone] += 1;
                    counts[zone] <= sample.found[zone]
                });
            let found: Vec<usize> = share.into_iter().chain(rest).take(sample.wanted).collect();
            for row in simulation.tied(Candidates::alone(found.into_iter())) {
                let zone = scheduler.rows()[row].node.zone.as_ref().unwrap();
                prop_assert!(winners.contains(zone), "{zone} is none of {winners:?}");
            }
        }
    }
}
