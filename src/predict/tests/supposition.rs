//! What is supposed of a cluster is predicted as if it were so.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::stories::ZONE;
use crate::observe::fixtures::{PodFixture, cluster, id_of, node, pod, replica_set};
use crate::observe::{Cluster, Name, Node, Pod, Zone};
use crate::predict::{
    InFlightPods, PendingPod, Prediction, Scheduler, SchedulerCache, SchedulerConfig, Supposition,
};

const ZONES: [&str; 3] = ["a", "b", "c"];

/// A cluster, and what is supposed of it.
#[derive(Clone, Debug)]
struct Case {
    /// Cores of the nodes of each zone.
    cores: [Vec<u32>; 3],
    /// The node of each pod, counted over all nodes, and which kind it is of.
    pods: Vec<(usize, usize)>,
    /// What is placed later.
    placed: Vec<(usize, usize)>,
    /// The pod that is to be placed then.
    next: usize,
    /// Whether the nodes of zone c are gone, or tainted and their pods terminate.
    gone: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let zone = || prop::collection::vec(1..5_u32, 1..3);
    let pods = |most| prop::collection::vec((0..6_usize, 0..KINDS), 0..most);
    (zone(), zone(), zone(), pods(8), pods(6), 0..KINDS, any::<bool>()).prop_map(
        |(a, b, c, pods, placed, next, gone)| Case { cores: [a, b, c], pods, placed, next, gone },
    )
}

const KINDS: usize = 7;

/// A pod that cares for others in one way or another.
fn shaped(name: &str, kind: usize) -> PodFixture {
    let near = |key: &str, kind: &str| {
        let terms = json!([{"topologyKey": key, "labelSelector": {"matchLabels": {"app": "web"}}}]);
        json!({kind: {"requiredDuringSchedulingIgnoredDuringExecution": terms}})
    };
    let pod = pod("web").named(name).owner("ReplicaSet", "web").cpu("700m");
    match kind {
        0 => pod.spread_hard(ZONE, 1),
        1 => pod.spread_soft(ZONE, 1),
        2 => pod.spec("affinity", near("kubernetes.io/hostname", "podAntiAffinity")),
        3 => pod.spec("affinity", near(ZONE, "podAffinity")),
        4 => pod.host_port(8080),
        5 => pod.spec("priority", json!(-1)),
        _ => pod.spread("kubernetes.io/hostname", 1, "ScheduleAnyway", json!({})),
    }
}

/// The cluster before, and the names of its nodes.
fn before(case: &Case) -> (Cluster, Vec<String>) {
    let zones = ZONES.iter().zip(&case.cores);
    let nodes: Vec<(String, &str, u32)> = zones
        .flat_map(|(zone, cores)| {
            let named = cores.iter().enumerate();
            named.map(move |(number, cores)| (format!("{zone}{number}"), *zone, *cores))
        })
        .collect();
    let names: Vec<String> = nodes.iter().map(|(name, ..)| name.clone()).collect();
    let shown = nodes.iter().map(|(name, zone, cores)| {
        node(name).zone(zone).label("kubernetes.io/hostname", name).cpu(&cores.to_string())
    });
    let pods = case.pods.iter().enumerate().map(|(number, (at, kind))| {
        shaped(&format!("old-{number}"), *kind).on(&names[at % names.len()])
    });
    let mut cluster = cluster(shown, pods);
    cluster.put_workload(replica_set("web", "web"));
    (cluster, names)
}

fn tainted(node: &Node) -> Node {
    let taint = crate::observe::fixtures::node("x").taint("out", "NoSchedule").build().taints;
    Node { taints: taint, ready: false, ..node.clone() }
}

fn is_lost(node: &Node) -> bool {
    node.zone.as_ref() == Some(&Zone::new("c"))
}

/// The pods that are placed later, and their nodes.
fn placed(case: &Case, names: &[String]) -> Vec<(Pod, Name)> {
    let left: Vec<&String> = names.iter().filter(|name| !name.starts_with('c')).collect();
    let placed = case.placed.iter().enumerate().map(|(number, (at, kind))| {
        let node = left[at % left.len()];
        // What was placed is never pushed out: see `Supposition`.
        let kind = if *kind == 5 { 6 } else { *kind };
        (shaped(&format!("new-{number}"), kind).on(node).build(), Name::from(node.as_str()))
    });
    placed.collect()
}

/// What the scheduler says of a cluster that has become so.
fn become_so(case: &Case, next: &PendingPod) -> Prediction {
    let (mut cluster, names) = before(case);
    let lost: Vec<(Node, Vec<Pod>)> = cluster
        .nodes()
        .filter(|(node, _)| is_lost(node))
        .map(|(node, entry)| {
            let pods = entry.pods.iter().filter_map(|id| cluster.pod(*id).cloned());
            (node.clone(), pods.collect())
        })
        .collect();
    for (node, pods) in lost {
        for pod in pods {
            if case.gone {
                cluster.remove_pod(&pod.namespace, &pod.name);
            } else {
                cluster.put_pod(Pod { terminating: true, ..pod });
            }
        }
        if case.gone {
            cluster.remove_node(&node.name);
        } else {
            cluster.put_node(tainted(&node));
        }
    }
    for (pod, _) in placed(case, &names) {
        cluster.put_pod(pod);
    }
    super::predict(&cluster, &InFlightPods::default(), next)
}

/// What it says of the cluster before, if it is supposed to be so.
fn supposed(case: &Case, next: &PendingPod) -> Prediction {
    let (cluster, names) = before(case);
    let seen = |node: &Arc<Node>| match (is_lost(node), case.gone) {
        (false, _) => Some(Arc::clone(node)),
        (true, true) => None,
        (true, false) => Some(Arc::new(tainted(node))),
    };
    let silence = |supposition: &mut Supposition| {
        for (node, entry) in cluster.nodes() {
            if !case.gone && is_lost(node) {
                entry.pods.iter().for_each(|id| supposition.terminate(*id));
            }
        }
    };
    let mut supposition = Supposition::new(&cluster, seen);
    silence(&mut supposition);
    let config = SchedulerConfig::default();
    for (pod, node) in placed(case, &names) {
        // Looked at in between, so that what is kept has to be brought up to date.
        let _ = Scheduler::supposing(&cluster, &config, &supposition)
            .predict(&InFlightPods::default(), next);
        let mut in_flight = InFlightPods::default();
        in_flight.assume(PendingPod::like(&pod), node);
        supposition.settle(&cluster, &in_flight, 0);
    }
    let predict = |supposition: &Supposition| {
        Scheduler::supposing(&cluster, &config, supposition).predict(&InFlightPods::default(), next)
    };
    let first = predict(&supposition);
    // The same, put on the nodes again from what was kept.
    let mut again = Supposition::new(&cluster, seen);
    silence(&mut again);
    for placed in supposition.into_placed() {
        again.place(placed);
    }
    assert_eq!(predict(&again), first);
    first
}

proptest! {
    #[test]
    fn what_is_supposed_is_predicted_as_if_it_were_so(case in cases()) {
        let next = PendingPod { name: None, ..PendingPod::like(&shaped("next", case.next).build()) };
        let (so, supposed) = (become_so(&case, &next), supposed(&case, &next));
        // Who is pushed out, ids tell only within one index.
        let told = |prediction: Prediction| match prediction {
            Prediction::Lands(mut landing) => {
                landing.preempts.clear();
                Prediction::Lands(landing)
            }
            other => other,
        };
        prop_assert_eq!(told(supposed), told(so));
    }
}

#[test]
fn pods_that_were_pushed_out_leave_their_room() {
    let nodes = [node("a1").zone("a").cpu("2"), node("b1").zone("b").cpu("2")];
    let headroom = pod("headroom").owner("ReplicaSet", "headroom").cpu("1900m").on("b1");
    let cluster = cluster(nodes, [headroom.spec("priority", json!(-1))]);
    let config = SchedulerConfig::default();
    let mut supposition =
        Supposition::new(&cluster, |node| (&*node.name != "a1").then(|| Arc::clone(node)));
    let web = pod("web").owner("ReplicaSet", "web").cpu("900m").spread_soft(ZONE, 1).build();
    let web = PendingPod::like(&web);
    let mut in_flight = InFlightPods::default();
    in_flight.remove(id_of(&cluster, "headroom"));
    in_flight.assume(web.clone(), Name::from("b1"));
    supposition.settle(&cluster, &in_flight, 0);
    let scheduler = Scheduler::supposing(&cluster, &config, &supposition);
    let Prediction::Lands(landing) = scheduler.predict(&InFlightPods::default(), &web) else {
        panic!("there is room for two")
    };
    assert_eq!((landing.nodes, landing.preempts), (vec![Name::from("b1")], vec![]));
    // The cluster itself is as it was.
    let cache = SchedulerCache::default();
    let now = Scheduler::new(&cluster, &cache).predict(&InFlightPods::default(), &web);
    assert!(matches!(now, Prediction::Lands(landing) if landing.nodes == [Name::from("a1")]));
}
