//! Moves that may be under way at once land in their zones in whatever order all of it
//! happens: tried in every order, in random small clusters.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::json;

use super::{OpenLanding, OpenLandings};
use crate::observe::fixtures::{PodFixture, cluster, node, pod};
use crate::observe::{Cluster, Name, PodId, Zone};
use crate::predict::{Best, InFlightPods, PendingPod, Scheduler, SchedulerCache};

const ZONES: [&str; 3] = ["a", "b", "c"];

/// On how many nodes that tie a pod is placed: those of small clusters are fewer.
const TRIED: usize = 4;

/// A cluster, and pods that are moved at once.
#[derive(Clone, Debug)]
struct Case {
    /// How many nodes each zone has.
    nodes: [usize; 3],
    apps: Vec<App>,
    /// Of each pod: its app, and its node, counted over all nodes.
    pods: Vec<(usize, usize)>,
    /// Which are moved, if they can be.
    moved: Vec<usize>,
}

#[derive(Clone, Debug)]
struct App {
    /// Tenths of a core, and gigabytes.
    requests: (u32, u32),
    hard: bool,
    /// A zone that its pods prefer, and how much.
    likes: Option<(usize, u32)>,
    /// Whether they would rather not share a node.
    avoids_its_like: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    let app = (
        (1..15_u32, 0..6_u32),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.5, (0..3_usize, 10..101_u32)),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(requests, hard, likes, avoids_its_like)| App {
            requests,
            hard,
            likes,
            avoids_its_like,
        });
    let nodes = (1..3_usize, 1..3_usize, 1..3_usize).prop_map(|(a, b, c)| [a, b, c]);
    let pods = prop::collection::vec((0..2_usize, 0..6_usize), 4..14);
    let moved = prop::collection::vec(0..14_usize, 2..4);
    (nodes, prop::collection::vec(app, 2), pods, moved)
        .prop_map(|(nodes, apps, pods, moved)| Case { nodes, apps, pods, moved })
}

impl Case {
    fn cluster(&self) -> Cluster {
        let names: Vec<String> = (0..3)
            .flat_map(|zone| (0..self.nodes[zone]).map(move |at| format!("{}{at}", ZONES[zone])))
            .collect();
        let nodes = names.iter().map(|name| {
            node(name)
                .zone(&name[..1])
                .label("kubernetes.io/hostname", name)
                .cpu("4")
                .memory("16Gi")
        });
        let pods = self.pods.iter().enumerate().map(|(at, (app, on))| {
            self.apps[*app].pod(*app, &format!("pod-{at}")).on(&names[on * 37 % names.len()])
        });
        cluster(nodes, pods.collect::<Vec<_>>())
    }
}

impl App {
    fn pod(&self, number: usize, name: &str) -> PodFixture {
        let (cpu, memory) = self.requests;
        let app = format!("app-{number}");
        let mut shown = pod(name)
            .label("app", &app)
            .owner("ReplicaSet", &app)
            .cpu(&format!("{}m", cpu * 100))
            .memory(&format!("{memory}Gi"));
        shown = if self.hard {
            shown.spread_hard("topology.kubernetes.io/zone", 1)
        } else {
            shown.spread_soft("topology.kubernetes.io/zone", 1)
        };
        let mut affinity = json!({});
        if let Some((zone, weight)) = self.likes {
            affinity["nodeAffinity"] = json!({"preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": weight, "preference": {"matchExpressions": [{
                    "key": "topology.kubernetes.io/zone", "operator": "In",
                    "values": [ZONES[zone]]}]}}]});
        }
        if self.avoids_its_like {
            affinity["podAntiAffinity"] = json!({"preferredDuringSchedulingIgnoredDuringExecution":
                [{"weight": 50, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"app": app}}}}]});
        }
        shown.spec("affinity", affinity)
    }
}

/// A move that was let begin.
struct Begun {
    victim: PodId,
    name: Name,
    from: Zone,
    pod: PendingPod,
    best: Best,
}

impl Begun {
    fn landing(&self) -> OpenLanding<'_> {
        OpenLanding {
            leaves: &self.name,
            victim: Some(self.victim),
            from: &self.from,
            pod: &self.pod,
            to: self.best.zones.iter().collect(),
            nodes: &self.best.nodes,
            margin: self.best.margin,
            spare: self.best.spare,
        }
    }
}

/// How far a move is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Progress {
    evicted: bool,
    gone: bool,
    placed: Option<Name>,
}

/// Plans each move after those before, as the operator does, and lets it begin if it turns
/// none of them, unless that is `ignored`.
fn begin(cluster: &Cluster, scheduler: &Scheduler<'_>, case: &Case, ignored: bool) -> Vec<Begun> {
    let mut begun: Vec<Begun> = Vec::new();
    for at in &case.moved {
        let name = format!("pod-{}", at % case.pods.len());
        let Some(victim) = cluster.pod_id("default", &name) else { continue };
        let pod = cluster.pod(victim).unwrap();
        if begun.iter().any(|known| known.victim == victim) {
            continue;
        }
        let mut state = InFlightPods::default();
        for known in &begun {
            state.evict(known.victim);
            state.assume(known.pod.clone(), known.best.nodes[0].clone());
        }
        let pending = scheduler.replacing(pod);
        let mut simulation = scheduler.simulate(&state, &pending).unwrap();
        simulation.evict(victim);
        let Some(best) = simulation.best() else { continue };
        let from = cluster.zone_of(pod).unwrap().clone();
        if best.zones.contains(&from) {
            continue;
        }
        let next = Begun { victim, name: name.as_str().into(), from, pod: pending, best };
        let open = OpenLandings {
            gone: Vec::new(),
            landings: begun.iter().map(Begun::landing).collect(),
            leaving: Vec::new(),
        };
        if ignored || open.turned_by(cluster, scheduler, &next.landing()).is_none() {
            begun.push(next);
        }
    }
    begun
}

/// Tries every order; the move that lands elsewhere in one of them.
fn turned(scheduler: &Scheduler<'_>, begun: &[Begun]) -> Option<String> {
    let mut seen = HashSet::new();
    let mut open = vec![vec![Progress::default(); begun.len()]];
    while let Some(state) = open.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        let mut pods = InFlightPods::default();
        for (known, progress) in begun.iter().zip(&state) {
            match progress {
                Progress { gone: true, .. } => pods.remove(known.victim),
                Progress { evicted: true, .. } => pods.evict(known.victim),
                _ => {}
            }
            if let Some(node) = &progress.placed {
                pods.assume(known.pod.clone(), node.clone());
            }
        }
        for (at, known) in begun.iter().enumerate() {
            let with = |change: &dyn Fn(&mut Progress)| {
                let mut next = state.clone();
                change(&mut next[at]);
                next
            };
            if !state[at].evicted {
                open.push(with(&|progress| progress.evicted = true));
                continue;
            }
            if state[at].placed.is_some() {
                open.push(with(&|progress| progress.gone = true));
                continue;
            }
            let best = scheduler.simulate(&pods, &known.pod).unwrap().best();
            // Where there is no room, it waits.
            let Some(best) = best else { continue };
            if !best.zones.iter().all(|zone| known.best.zones.contains(zone)) {
                let (name, to) = (&known.name, &known.best.zones);
                return Some(format!("{name} goes to {:?}, not {to:?}: {state:?}", best.zones));
            }
            for node in best.nodes.iter().take(TRIED) {
                open.push(with(&|progress| progress.placed = Some(node.clone())));
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn moves_that_may_begin_land_in_their_zones_in_any_order(case in cases()) {
        let cluster = case.cluster();
        let cache = SchedulerCache::default();
        let scheduler = Scheduler::new(&cluster, &cache);
        let begun = begin(&cluster, &scheduler, &case, false);
        prop_assert_eq!(turned(&scheduler, &begun), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Of more than 100 nodes kube-scheduler scores a sample.
    #[test]
    fn the_same_where_only_a_sample_of_the_nodes_is_scored(
        case in cases(),
        nodes in (30..60_usize, 30..60_usize, 60..80_usize),
    ) {
        let case = Case { nodes: [nodes.0, nodes.1, nodes.2], ..case };
        let cluster = case.cluster();
        let cache = SchedulerCache::default();
        let scheduler = Scheduler::new(&cluster, &cache);
        let begun = begin(&cluster, &scheduler, &case, false);
        prop_assert_eq!(turned(&scheduler, &begun), None);
    }
}

#[test]
fn without_the_check_some_land_elsewhere_and_with_it_most_begin_all_the_same() {
    let (all, let_begin, turned_without) = tried(300, None);
    println!("{turned_without} of 300 turned without; {let_begin} of {all} begin");
    assert!(turned_without > 20, "{turned_without}");
    assert!(let_begin * 10 > all * 6, "{let_begin} of {all}");
}

#[test]
fn the_check_lets_most_begin_where_a_sample_is_scored() {
    let (all, let_begin, turned_without) = tried(100, Some([60, 40, 70]));
    println!("{turned_without} of 100 turned without; {let_begin} of {all} begin");
    assert!(turned_without > 0, "{turned_without}");
    assert!(let_begin * 10 > all * 6, "{let_begin} of {all}");
}

/// How many moves of random cases there are, how many of them may begin, and in how many cases
/// one lands elsewhere if all begin. In zones of their own sizes, or of these.
fn tried(cases_to_try: usize, nodes: Option<[usize; 3]>) -> (usize, usize, usize) {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut all, mut let_begin, mut turned_without) = (0, 0, 0);
    for _ in 0..cases_to_try {
        let mut case = cases().new_tree(&mut runner).unwrap().current();
        case.nodes = nodes.unwrap_or(case.nodes);
        let cluster = case.cluster();
        let cache = SchedulerCache::default();
        let scheduler = Scheduler::new(&cluster, &cache);
        let without = begin(&cluster, &scheduler, &case, true);
        turned_without += usize::from(turned(&scheduler, &without).is_some());
        all += without.len();
        let_begin += begin(&cluster, &scheduler, &case, false).len();
    }
    (all, let_begin, turned_without)
}
