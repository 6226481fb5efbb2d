//! Looking at one node of each kind finds what looking at every node finds.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::stories::ZONE;
use crate::observe::fixtures::{NodeFixture, PodFixture, cluster, node, pod};
use crate::observe::{Cluster, Labels, Name, PodId};
use crate::predict::{
    InFlightPods, PendingPod, Scheduler, SchedulerCache, SchedulerConfig, SchedulerVersion,
    Simulation,
};

const HOST: &str = "kubernetes.io/hostname";
const RACK: &str = "rack";
/// Each node has its own value, and no constraint knows it as the host name.
const SERIAL: &str = "serial";

fn nodes() -> impl Strategy<Value = Vec<NodeFixture>> {
    let one = (0..4_usize, 0..3_usize, 0..6_usize, 1..4_u32);
    prop::collection::vec(one, 2..14).prop_map(|nodes| {
        let build = |(at, (zone, rack, extra, cores)): (usize, (usize, usize, usize, u32))| {
            let name = format!("n{at:02}");
            let node = node(&name).cpu(&cores.to_string()).label(SERIAL, &name);
            // Some nodes have no zone, or no rack.
            let node = if zone < 3 { node.zone(["a", "b", "c"][zone]) } else { node };
            let node = if rack < 2 { node.label(RACK, ["r", "s"][rack]) } else { node };
            match extra {
                0 => node.taint("busy", "PreferNoSchedule"),
                1 => node.taint("gpu", "NoSchedule"),
                2 => node.image("images.example/web:1", 700_000_000),
                3 => node.cordoned(),
                4 => node.without_label(HOST),
                _ => node,
            }
        };
        nodes.into_iter().enumerate().map(build).collect()
    })
}

/// What a workload asks for, by number.
fn shaped(app: usize, shape: &[usize]) -> PodFixture {
    let app = ["web", "was", "db"][app];
    let near = |key: &str, app: &str| json!({"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}});
    let mut affinity = json!({});
    let mut built = pod(&format!("{app}-0")).cpu("500m").image("images.example/web:1");
    for one in shape {
        built = match one {
            0 => built.spread_soft(ZONE, 1),
            1 => built.spread_hard(ZONE, 1),
            2 => built.spread_soft(HOST, 1),
            3 => built.spread_hard(HOST, 2),
            4 => built.spread_soft(RACK, 2),
            5 => built.spread_hard(RACK, 1),
            6 => built.spread_soft(SERIAL, 1),
            7 => built.tolerates("gpu", "NoSchedule"),
            8 => built.host_port(80),
            9 => built.spec("terminationGracePeriodSeconds", json!(0)),
            10 => built.owner("StatefulSet", app),
            11 => {
                affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
                    json!([near(HOST, app)]);
                built
            }
            12 => {
                affinity["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] =
                    json!([{"weight": 30, "podAffinityTerm": near(SERIAL, "was")}]);
                built
            }
            13 => {
                affinity["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] =
                    json!([{"weight": 70, "podAffinityTerm": near(ZONE, "was")}]);
                built
            }
            14 => {
                affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
                    json!([near(RACK, "web")]);
                built
            }
            _ => built,
        };
    }
    built.spec("affinity", affinity)
}

/// Pods of three apps on these nodes, each by its app and its node; and the nodes' names.
fn filled(
    nodes: Vec<NodeFixture>,
    shapes: &[Vec<usize>],
    placed: &[(usize, usize)],
) -> (Cluster, Vec<String>) {
    let names: Vec<String> = (0..nodes.len()).map(|at| format!("n{at:02}")).collect();
    let pods = placed.iter().enumerate().map(|(at, (app, on))| {
        shaped(*app, &shapes[*app]).named(&format!("p-{at}")).on(&names[on % names.len()])
    });
    let mut cluster = cluster(nodes, pods);
    for app in ["web", "was", "db"] {
        cluster.put_workload(crate::observe::fixtures::stateful_set(app, app));
    }
    (cluster, names)
}

fn agrees(simulation: &Simulation<'_>) -> Result<(), TestCaseError> {
    let (best, full) = (simulation.best(), simulation.best_in_full());
    match (best, full) {
        (None, None) => {}
        (Some(best), Some(full)) => {
            prop_assert_eq!(&best.nodes[..], &full.nodes[..best.nodes.len()]);
            prop_assert_eq!(best.nodes.len(), full.nodes.len().min(20));
            prop_assert_eq!((best.tied, &best.zones), (full.tied, &full.zones));
            prop_assert_eq!((best.certain, best.margin), (full.certain, full.margin));
        }
        (best, full) => prop_assert!(false, "{best:?} is not {full:?}"),
    }
    Ok(())
}

#[test]
fn the_first_of_a_group_needs_a_node_with_the_label_that_they_share() {
    let nodes = [node("n0").zone("c"), node("n1").zone("c").label(RACK, "r")];
    let cluster = cluster(nodes, []);
    let cache = SchedulerCache::default();
    let scheduler = Scheduler::new(&cluster, &cache);
    let first = PendingPod::like(&shaped(0, &[14]).build());
    let simulation = scheduler.simulate(&InFlightPods::default(), &first).unwrap();
    // The two nodes are alike in all that pods are counted by.
    assert_eq!(simulation.best().unwrap().nodes, ["n1".into()]);
    agrees(&simulation).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]
    #[test]
    fn one_node_of_each_kind_stands_for_all(
        nodes in nodes(),
        shapes in prop::collection::vec(prop::collection::vec(0..18_usize, 0..5), 3),
        placed in prop::collection::vec((0..3_usize, 0..14_usize), 1..24),
        steps in prop::collection::vec((0..4_usize, 0..24_usize, 0..14_usize), 0..12),
    ) {
        let (cluster, names) = filled(nodes, &shapes, &placed);
        let cache = SchedulerCache::default();
        let scheduler = Scheduler::new(&cluster, &cache);
        let ids: Vec<PodId> = cluster.pods().map(|(id, _)| id).collect();
        let like = |at: usize| scheduler.replacing(cluster.pod(ids[at % ids.len()]).unwrap());
        let Ok(mut simulation) = scheduler.simulate(&InFlightPods::default(), &like(0)) else {
            return Ok(());
        };
        agrees(&simulation)?;
        for (what, pod, on) in steps {
            match what {
                0 | 1 => simulation.evict(ids[pod % ids.len()]),
                2 => simulation.undo_evict(ids[pod % ids.len()]),
                _ => simulation.assume(like(pod), Name::from(names[on % names.len()].as_str())),
            }
            agrees(&simulation)?;
        }
    }

    /// What is kept up to date move by move is what a look at all of it finds.
    #[test]
    fn a_simulation_that_follows_moves_is_like_one_that_begins_after_them(
        nodes in nodes(),
        shapes in prop::collection::vec(prop::collection::vec(0..18_usize, 0..5), 3),
        placed in prop::collection::vec((0..3_usize, 0..14_usize), 1..24),
        steps in prop::collection::vec((0..8_usize, 0..24_usize, 0..14_usize), 0..12),
        in_order in prop::bool::ANY,
    ) {
        let (cluster, names) = filled(nodes, &shapes, &placed);
        let version = if in_order { SchedulerVersion::NEWEST } else { SchedulerVersion::OLDEST };
        let config = SchedulerConfig { version, ..SchedulerConfig::default() };
        let cache = SchedulerCache::new(config);
        let scheduler = Scheduler::new(&cluster, &cache);
        let ids: Vec<PodId> = cluster.pods().map(|(id, _)| id).collect();
        let like = |at: usize| scheduler.replacing(cluster.pod(ids[at % ids.len()]).unwrap());
        let asked = like(0);
        let Ok(mut simulation) = scheduler.simulate(&InFlightPods::default(), &asked) else {
            return Ok(());
        };
        let released = Arc::new(Labels::from([("app".to_owned(), "nobody".to_owned())]));
        for (what, pod, on) in steps {
            let id = ids[pod % ids.len()];
            match what {
                0 | 1 if simulation.in_flight().released_as(id).is_none() => simulation.evict(id),
                2 => simulation.undo_evict(id),
                3 => simulation.release(id, &released),
                4 => simulation.undo_release(id),
                5 => simulation.remove(id),
                6 => simulation.see_all(),
                _ => simulation.assume(like(pod), Name::from(names[on % names.len()].as_str())),
            }
            let after = scheduler.simulate(simulation.in_flight(), &asked).unwrap();
            prop_assert_eq!(simulation.best(), after.best(), "after {}", what);
        }
    }

    #[test]
    fn what_is_known_of_the_nodes_follows_the_pods(
        nodes in nodes(),
        shapes in prop::collection::vec(prop::collection::vec(0..18_usize, 0..5), 3),
        // Pods by number: those of a new number come, others move on or go.
        steps in prop::collection::vec((0..3_usize, 0..8_usize, 0..14_usize), 1..30),
    ) {
        let names: Vec<String> = (0..nodes.len()).map(|at| format!("n{at:02}")).collect();
        let mut cluster = cluster(nodes, []);
        for app in ["web", "was", "db"] {
            cluster.put_workload(crate::observe::fixtures::stateful_set(app, app));
        }
        let kept = SchedulerCache::default();
        for (app, pod, on) in steps {
            let name = format!("p-{pod}");
            let shown = shaped(app, &shapes[app]).named(&name);
            match names.get(on) {
                Some(node) => drop(cluster.put_pod(shown.on(node).build())),
                None => drop(cluster.remove_pod("default", &name)),
            }
            let best = |cache: &SchedulerCache| {
                let scheduler = Scheduler::new(&cluster, cache);
                let best = |(app, shape): (usize, &Vec<usize>)| {
                    let pending = PendingPod::like(&shaped(app, shape).build());
                    let known = scheduler.simulate(&InFlightPods::default(), &pending).ok()?;
                    known.best()
                };
                shapes.iter().enumerate().map(best).collect::<Vec<_>>()
            };
            prop_assert_eq!(best(&kept), best(&SchedulerCache::default()));
        }
    }
}
