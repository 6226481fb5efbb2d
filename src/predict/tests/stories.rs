//! What a planner asks: this pod is evicted; where does the next one go?

use serde_json::json;

use super::predict;
use crate::observe::fixtures::{NodeFixture, PodFixture, cluster, id_of, node, pod};
use crate::observe::{Cluster, Name, TaintEffect, Zone};
use crate::predict::{
    InFlightPods, Landing, PendingPod, Prediction, Rejection, Scheduler, SchedulerCache,
};

pub const ZONE: &str = "topology.kubernetes.io/zone";

/// Two nodes in each of the zones a, b and c: `a1`, `a2`, `b1`, ...
pub fn three_zones() -> Vec<NodeFixture> {
    let names = ["a1", "a2", "b1", "b2", "c1", "c2"];
    names.map(|name| node(name).zone(&name[..1])).to_vec()
}

/// Pods `web-0`, `web-1`, ... on these nodes.
pub fn web_on(nodes: &[&str], shape: impl Fn(PodFixture) -> PodFixture) -> Vec<PodFixture> {
    let pods = nodes.iter().enumerate();
    pods.map(|(at, node)| shape(pod(&format!("web-{at}"))).on(node)).collect()
}

/// Evicts a pod of the namespace `default` and predicts where its replacement lands.
pub fn evicted(cluster: &Cluster, name: &str) -> Prediction {
    let id = id_of(cluster, name);
    let mut in_flight = InFlightPods::default();
    in_flight.evict(id);
    predict(cluster, &in_flight, &PendingPod::like(cluster.pod(id).unwrap()))
}

pub fn landing(prediction: Prediction) -> Landing {
    match prediction {
        Prediction::Lands(landing) => landing,
        other => panic!("expected a landing, got {other:?}"),
    }
}

pub fn pending(prediction: Prediction) -> Vec<Rejection> {
    match prediction {
        Prediction::Pending(rejections) => rejections,
        other => panic!("expected no landing, got {other:?}"),
    }
}

pub fn unpredictable(prediction: Prediction) -> String {
    match prediction {
        Prediction::Unpredictable(reason) => reason,
        other => panic!("expected no prediction, got {other:?}"),
    }
}

pub fn zones(landing: &Landing) -> Vec<&str> {
    landing.zones.iter().map(Zone::as_str).collect()
}

pub fn score(landing: &Landing, node: &str, plugin: &str) -> i64 {
    let node = landing.scores.iter().find(|score| &*score.node == node).unwrap();
    node.by_plugin.iter().find(|(known, _)| known.as_str() == plugin).unwrap().1
}

fn why<'r>(rejections: &'r [Rejection], node: &str) -> (&'r str, &'r str) {
    let rejection = rejections.iter().find(|rejection| &*rejection.node == node).unwrap();
    (rejection.plugin.as_str(), &rejection.message)
}

#[test]
fn the_replacement_of_an_evicted_pod_goes_to_the_recovered_zone() {
    let pods = web_on(&["a1", "a2", "b1", "b2", "a1", "b1"], |pod| pod.spread_hard(ZONE, 1));
    let cluster = cluster(three_zones(), pods);
    let landing = landing(evicted(&cluster, "web-0"));
    assert_eq!(zones(&landing), ["c"]);
    assert!(landing.certain);
    let nodes: Vec<&str> = landing.nodes.iter().map(|node| &**node).collect();
    assert_eq!(nodes, ["c1", "c2"]);
    assert_eq!(
        why(&landing.rejections, "b1"),
        ("PodTopologySpread", "node(s) didn't match pod topology spread constraints")
    );
}

#[test]
fn a_soft_constraint_pulls_as_hard_when_replicas_are_few() {
    let pods = web_on(&["a1", "a2", "b1", "b2", "a1", "b1"], |pod| pod.spread_soft(ZONE, 1));
    let cluster = cluster(three_zones(), pods);
    let landing = landing(evicted(&cluster, "web-0"));
    assert_eq!(zones(&landing), ["c"]);
    // 2, 3 and 0 pods: 100 * (3 + 0 - count) / 3 with Go's integers, twice.
    assert_eq!(score(&landing, "c1", "PodTopologySpread"), 200);
    assert_eq!(score(&landing, "b1", "PodTopologySpread"), 0);
}

#[test]
fn a_prefer_no_schedule_taint_outweighs_soft_spreading() {
    let mut nodes = three_zones();
    for node in &mut nodes[4..] {
        *node = node.clone().taint("DeletionCandidateOfClusterAutoscaler", "PreferNoSchedule");
    }
    let pods = web_on(&["a1", "a2", "b1", "b2", "a1", "b1"], |pod| pod.spread_soft(ZONE, 1));
    let cluster = cluster(nodes, pods);
    let landing = landing(evicted(&cluster, "web-0"));
    assert_eq!(zones(&landing), ["a"]);
    let note = landing.scores.iter().find(|score| &*score.node == "c1").unwrap().note.as_deref();
    assert_eq!(
        note,
        Some("untolerated taint DeletionCandidateOfClusterAutoscaler:PreferNoSchedule")
    );
}

#[test]
fn an_evicted_pod_holds_its_place_until_it_is_gone() {
    let nodes = [node("a1").zone("a").cpu("1"), node("b1").zone("b").cpu("1")];
    let pods = [pod("web-0").on("a1").cpu("800m"), pod("db-0").on("b1").cpu("900m")];
    let cluster = cluster(nodes, pods);
    let rejections = pending(evicted(&cluster, "web-0"));
    assert_eq!(why(&rejections, "a1"), ("NodeResourcesFit", "Insufficient cpu"));
    assert_eq!(why(&rejections, "b1"), ("NodeResourcesFit", "Insufficient cpu"));
}

#[test]
fn a_stateful_pod_comes_back_only_once_its_place_is_free() {
    let nodes = [node("a1").zone("a").cpu("1"), node("b1").zone("b").cpu("1")];
    let owned = |name: &str| pod(name).owner("StatefulSet", "db").spread_soft(ZONE, 1);
    let pods = [owned("db-0").on("a1").cpu("800m"), owned("db-1").on("b1").cpu("900m")];
    let cluster = cluster(nodes, pods);
    assert_eq!(zones(&landing(evicted(&cluster, "db-0"))), ["a"]);
}

#[test]
fn moves_under_way_count_as_done() {
    let pods = web_on(&["a1", "a2", "a1", "b1", "b2", "b1"], |pod| pod.spread_hard(ZONE, 1));
    let cluster = cluster(three_zones(), pods);
    let cache = SchedulerCache::default();
    let scheduler = Scheduler::new(&cluster, &cache);
    let like = PendingPod::like(cluster.pod(id_of(&cluster, "web-0")).unwrap());
    let mut simulation = scheduler.simulate(&InFlightPods::default(), &like).unwrap();
    for (victim, lands_in) in [("web-0", vec!["c"]), ("web-3", vec!["c"]), ("web-1", vec!["a"])] {
        simulation.evict(id_of(&cluster, victim));
        let best = simulation.best().unwrap();
        assert_eq!(best.zones.iter().map(Zone::as_str).collect::<Vec<_>>(), lands_in, "{victim}");
        simulation.assume(like.clone(), Name::clone(&best.nodes[0]));
        // What is kept up to date is what a fresh look would find.
        let fresh = scheduler.simulate(simulation.in_flight(), &like).unwrap();
        assert_eq!(simulation.explain(), fresh.explain());
    }
}

#[test]
fn the_first_filter_in_the_schedulers_order_gives_the_reason() {
    let nodes = [
        node("cordoned").cordoned().taint("dedicated", "NoSchedule"),
        node("tainted").taint("dedicated", "NoSchedule"),
        node("elsewhere").label("disk", "hdd"),
        node("taken").label("disk", "ssd"),
        node("full").label("disk", "ssd").cpu("1").memory("1Gi"),
        node("crowded").label("disk", "ssd").room_for_pods(0),
    ];
    let want = |name: &str| {
        let selector = json!({"disk": "ssd"});
        pod(name).spec("nodeSelector", selector).host_port(80).cpu("2").memory("2Gi")
    };
    let pods = [want("web-0").on("gone"), pod("proxy-0").host_port(80).on("taken")];
    let cluster = cluster(nodes, pods);
    let rejections = pending(evicted(&cluster, "web-0"));
    for (node, plugin, message) in [
        ("cordoned", "NodeUnschedulable", "node(s) were unschedulable"),
        ("tainted", "TaintToleration", "node(s) had untolerated taint(s) {dedicated: }"),
        ("elsewhere", "NodeAffinity", "node(s) didn't match Pod's node affinity/selector"),
        ("taken", "NodePorts", "node(s) didn't have free ports for the requested pod ports"),
        ("full", "NodeResourcesFit", "Insufficient cpu, Insufficient memory"),
        ("crowded", "NodeResourcesFit", "Too many pods"),
    ] {
        assert_eq!(why(&rejections, node), (plugin, message));
    }
}

#[test]
fn tolerations_open_cordoned_and_tainted_nodes() {
    let nodes = [node("a1").zone("a").cordoned(), node("b1").zone("b").taint("gpu", "NoExecute")];
    let bears = |key: &str| {
        let pods = [pod("web-0").tolerates(key, "")];
        landing(evicted(&cluster(nodes.clone(), pods), "web-0"))
    };
    assert_eq!(zones(&bears("node.kubernetes.io/unschedulable")), ["a"]);
    assert_eq!(zones(&bears("gpu")), ["b"]);
    let numeric = json!([{"key": "gpu", "operator": "Gt", "value": "0"}]);
    let ignored = cluster(nodes.clone(), [pod("web-0").spec("tolerations", numeric)]);
    pending(evicted(&ignored, "web-0"));
    assert_eq!(nodes[1].clone().build().taints[0].effect, TaintEffect::NoExecute);
}

#[test]
fn what_cannot_be_predicted_is_named() {
    let cause = |pod: PodFixture| unpredictable(evicted(&cluster(three_zones(), [pod]), "web-0"));
    let web = || pod("web-0").on("a1");
    assert_eq!(
        cause(web().spec("schedulerName", json!("volcano"))),
        "schedulerName volcano: another scheduler places the pod, by rules of its own"
    );
    assert!(cause(web().spec("schedulingGates", json!([{"name": "g"}]))).contains("Gates"));
    assert!(
        cause(web().spec("resourceClaims", json!([{"name": "gpu"}]))).contains("resourceClaims")
    );
    for (field, value) in [
        ("schedulingGroup", json!({"podGroupName": "all"})),
        ("workloadRef", json!({"name": "all"})),
        ("evictionResponders", json!([{"name": "other"}])),
    ] {
        let told = if field == "workloadRef" { "schedulingGroup" } else { field };
        assert!(cause(web().spec(field, value)).starts_with(told));
    }
    let container = |more: (&str, serde_json::Value)| json!([{"name": "main", more.0: more.1}]);
    let rules = json!([{"action": "RestartAllContainers"}]);
    let mounts = json!([{"name": "data", "bindMountOptions": ["noexec"]}]);
    for declared in [
        web().spec("hostNetwork", json!(true)).spec("hostUsers", json!(false)),
        web().spec("containers", container(("restartPolicyRules", rules))),
        web().spec("initContainers", container(("volumeMounts", mounts))),
    ] {
        assert!(cause(declared).contains("NodeDeclaredFeatures"));
    }
    assert!(cause(web().cpu("lots")).contains("lots"));
    assert!(cause(web().owner("StatefulSet", "web")).starts_with("StatefulSet web"));
    assert!(
        cause(web().owner("ReplicationController", "web")).contains("ReplicationController web")
    );
}

#[test]
fn a_tie_between_zones_is_not_certain() {
    let cluster = cluster(three_zones(), [pod("web-0").on("a1")]);
    let landing = landing(evicted(&cluster, "web-0"));
    // The pod still holds its place on a1; the other node of its zone is as free as any.
    assert_eq!((zones(&landing), landing.nodes.len()), (vec!["a", "b", "c"], 5));
    assert!(!landing.certain);
    let elsewhere = crate::observe::fixtures::cluster([node("n1")], [pod("web-0")]);
    let landing = self::landing(evicted(&elsewhere, "web-0"));
    assert_eq!((zones(&landing), landing.certain), (vec![], false));
}

#[test]
fn a_zone_may_be_used_when_nothing_speaks_against_it() {
    let cluster = cluster([node("a1").zone("a").label("disk", "ssd")], []);
    let allowed = |zone: &str, pod: PodFixture| {
        Scheduler::new(&cluster, &SchedulerCache::default())
            .may_use_zone(&pod.build().template, &Zone::new(zone))
    };
    let selects = |key: &str, value: &str| pod("web-0").spec("nodeSelector", json!({key: value}));
    assert!(allowed("a", pod("web-0")));
    assert!(allowed("a", selects("disk", "ssd")));
    assert!(!allowed("a", selects("disk", "hdd")));
    // Zone b has no nodes: what they will carry besides the zone is not known.
    assert!(allowed("b", selects("disk", "hdd")));
    assert!(!allowed("b", selects(ZONE, "a")));
    let requires = |operator: &str, zone: &str| {
        let expressions = json!([
            {"key": ZONE, "operator": operator, "values": [zone]},
            {"key": "disk", "operator": "Exists"},
        ]);
        let terms = json!([{"matchExpressions": expressions}]);
        let required = json!({"nodeSelectorTerms": terms});
        let affinity = json!({"requiredDuringSchedulingIgnoredDuringExecution": required});
        pod("web-0").spec("affinity", json!({"nodeAffinity": affinity}))
    };
    assert!(allowed("b", requires("In", "b")));
    assert!(!allowed("b", requires("NotIn", "b")));
}

#[test]
fn a_pod_without_a_grace_period_races_with_its_replacement() {
    let pods = |grace: i32| {
        let shape =
            move |pod: PodFixture| pod.cpu("3").spec("terminationGracePeriodSeconds", json!(grace));
        web_on(&["a1", "b1"], shape)
    };
    let nodes = || [node("a1").zone("a").cpu("4"), node("b1").zone("b").cpu("6200m")];
    let slow = landing(evicted(&cluster(nodes(), pods(30)), "web-0"));
    assert_eq!((zones(&slow), slow.certain), (vec!["b"], true), "a1 is still full");
    let quick = landing(evicted(&cluster(nodes(), pods(0)), "web-0"));
    assert_eq!(
        (zones(&quick), quick.certain),
        (vec!["a", "b"], false),
        "a1 may be free when the replacement is placed"
    );
}

#[test]
fn a_pod_that_waits_for_one_without_a_grace_period_is_placed_when_it_is_gone() {
    let full = pod("web-0").cpu("3").spec("terminationGracePeriodSeconds", json!(0)).on("a1");
    let landing = landing(evicted(&cluster([node("a1").zone("a")], [full]), "web-0"));
    assert_eq!((zones(&landing), landing.certain), (vec!["a"], true));
}

#[test]
fn an_eviction_that_is_taken_back_leaves_no_trace() {
    let shape = |pod: PodFixture| {
        pod.cpu("2").host_port(80).spread_soft(ZONE, 1).owner("StatefulSet", "web")
    };
    let cluster = cluster(three_zones(), web_on(&["a1", "a2", "b1", "b2"], shape));
    let victim = id_of(&cluster, "web-0");
    let replacement = PendingPod::replacing(&cluster, cluster.pod(victim).unwrap());
    let cache = SchedulerCache::default();
    let scheduler = Scheduler::new(&cluster, &cache);
    let mut simulation = scheduler.simulate(&InFlightPods::default(), &replacement).unwrap();
    let before = simulation.explain();
    simulation.evict(victim);
    assert_ne!(simulation.explain(), before, "its port and its cores are free");
    simulation.undo_evict(victim);
    assert_eq!(simulation.explain(), before);
}

#[test]
fn a_replacement_does_not_carry_the_zone_of_the_pod_before_it() {
    let bound = pod("web-0").label(ZONE, "a").label("topology.kubernetes.io/region", "r").build();
    let labels = PendingPod::replacing(&Cluster::default(), &bound).labels;
    assert_eq!(labels.keys().collect::<Vec<_>>(), ["app"]);
}
