//! Pods of negative priority are room; others of lower priority are not.

use rstest::rstest;
use serde_json::json;

use super::stories::{ZONE, landing, pending, zones};
use super::{PendingPod, predict};
use crate::observe::fixtures::{PodFixture, cluster, id_of, node, pod};
use crate::observe::{Change, Cluster, Index, Name};
use crate::predict::{InFlightPods, Landing, Prediction, Scheduler, SchedulerCache};

/// A pod that holds room for others.
fn headroom(name: &str, cpu: &str) -> PodFixture {
    pod(name).cpu(cpu).spec("priority", json!(-10)).spec("terminationGracePeriodSeconds", json!(0))
}

/// Two pods of web in zone a and one in b, of one core each; zone c is left to `there`.
fn three_zones_with(there: impl IntoIterator<Item = PodFixture>) -> Cluster {
    let web = ["a1", "a1", "b1"].into_iter().enumerate();
    let web = web.map(|(at, node)| web_pod(&format!("web-{at}")).on(node));
    let nodes = ["a1", "b1", "c1"].map(|name| node(name).zone(&name[..1]));
    cluster(nodes, web.chain(there))
}

fn web_pod(name: &str) -> PodFixture {
    pod(name).cpu("1").spread_hard(ZONE, 1)
}

/// Where the replacement of the pod lands.
fn goes(cluster: &Cluster, name: &str) -> Prediction {
    let id = id_of(cluster, name);
    let mut in_flight = InFlightPods::default();
    in_flight.evict(id);
    predict(cluster, &in_flight, &PendingPod::replacing(cluster, cluster.pod(id).unwrap()))
}

fn preempted(cluster: &Cluster, landing: &Landing) -> Vec<String> {
    let names = landing.preempts.iter().map(|id| cluster.pod(*id).unwrap().name.to_string());
    names.collect()
}

#[test]
fn headroom_gives_way_and_is_named() {
    let cluster = three_zones_with([headroom("pause-0", "3900m").on("c1")]);
    let landing = landing(goes(&cluster, "web-0"));
    assert_eq!((zones(&landing), landing.certain), (vec!["c"], true));
    assert_eq!(preempted(&cluster, &landing), ["pause-0"]);
    assert_eq!(landing.zone_probability.len(), 1);
}

#[test]
fn nobody_gives_way_where_there_is_room() {
    let cluster = three_zones_with([headroom("pause-0", "3").on("c1")]);
    assert_eq!(landing(goes(&cluster, "web-0")).preempts, []);
}

/// As many stay as can, the more important first.
#[test]
fn no_more_have_to_go_than_must() {
    let lower = headroom("pause-1", "1").spec("priority", json!(-20));
    let cluster = three_zones_with([
        headroom("pause-0", "1").on("c1"),
        lower.on("c1"),
        headroom("pause-2", "2").on("c1"),
    ]);
    let landing = landing(goes(&cluster, "web-0"));
    assert_eq!(preempted(&cluster, &landing), ["pause-1"]);
}

#[rstest]
#[case::not_negative(0, "PreemptLowerPriority", 1000, Some("default/other-0 (priority 0)"))]
#[case::of_its_own(-10, "PreemptLowerPriority", -10, None)]
#[case::of_a_higher(-10, "PreemptLowerPriority", -20, None)]
#[case::never(-10, "Never", 0, None)]
fn room_of_others_is_not_taken(
    #[case] theirs: i32,
    #[case] policy: &str,
    #[case] own: i32,
    #[case] held_by: Option<&str>,
) {
    let others = pod("other-0").cpu("3900m").spec("priority", json!(theirs)).on("c1");
    let web = |name: &str| {
        web_pod(name).spec("priority", json!(own)).spec("preemptionPolicy", json!(policy))
    };
    let nodes = ["a1", "b1", "c1"].map(|name| node(name).zone(&name[..1]));
    let pods = [web("web-0").on("a1"), web("web-1").on("a1"), web("web-2").on("b1"), others];
    let rejections = pending(goes(&cluster(nodes, pods), "web-0"));
    let there = rejections.iter().find(|rejection| &*rejection.node == "c1").unwrap();
    assert_eq!((there.message.as_str(), there.held_by.as_deref()), ("Insufficient cpu", held_by));
}

/// Zones a and b are full of headroom, too, and nothing else decides between them.
fn full_of(headroom_of: impl Fn(&str) -> Vec<PodFixture>) -> Cluster {
    let nodes = ["a1", "b1"].map(|name| node(name).zone(&name[..1]));
    let web = pod("web-0").cpu("2").on("a1");
    let pods = ["a1", "b1"].into_iter().flat_map(|node| {
        headroom_of(node).into_iter().map(move |pod| pod.on(node)).collect::<Vec<_>>()
    });
    cluster(nodes, pods.chain([web]))
}

#[rstest]
#[case::alike(["a-0", "b-0"], [-10, -10], ["2", "2"], &["a", "b"])]
#[case::the_lower_priority(["a-0", "b-0"], [-10, -20], ["2", "2"], &["b"])]
fn the_node_whose_pods_matter_least_is_taken(
    #[case] names: [&str; 2],
    #[case] priorities: [i32; 2],
    #[case] cpu: [&str; 2],
    #[case] expected: &[&str],
) {
    let cluster = full_of(|node| {
        let at = usize::from(node == "b1");
        let rest = if at == 0 { "0" } else { "2" };
        let pause = headroom(names[at], cpu[at]).spec("priority", json!(priorities[at]));
        vec![pause, pod(&format!("rest-{at}")).cpu(rest)]
    });
    let landing = landing(goes(&cluster, "web-0"));
    assert_eq!((zones(&landing), landing.certain), (expected.to_vec(), expected.len() == 1));
}

#[test]
fn the_node_with_fewer_victims_is_taken() {
    let cluster = full_of(|node| match node {
        "a1" => vec![headroom("a-0", "1"), headroom("a-1", "1")],
        _ => vec![headroom("b-0", "4")],
    });
    let landing = landing(goes(&cluster, "web-0"));
    assert_eq!((zones(&landing), preempted(&cluster, &landing)), (vec!["b"], vec!["b-0".into()]));
}

/// While pods with a grace period leave, the evicted pod may be gone first.
#[test]
fn headroom_that_takes_time_to_leave_may_lose_the_race_against_the_evicted_pod() {
    let slow =
        |name: &str, cpu| headroom(name, cpu).spec("terminationGracePeriodSeconds", json!(30));
    let nodes = ["a1", "b1"].map(|name| node(name).zone(&name[..1]));
    let pods = [pod("web-0").cpu("4").on("a1"), slow("pause-0", "4").on("b1")];
    let landing = landing(goes(&cluster(nodes, pods), "web-0"));
    assert_eq!((zones(&landing), landing.certain), (vec!["a", "b"], false));
    // Not where a constraint keeps it out of its own zone.
    let cluster = three_zones_with([slow("pause-0", "3900m").on("c1")]);
    let landing = super::stories::landing(goes(&cluster, "web-0"));
    assert_eq!((zones(&landing), landing.certain), (vec!["c"], true));
}

#[test]
fn one_replacement_after_the_other_takes_the_room() {
    let cluster = three_zones_with([
        headroom("pause-0", "2").on("c1"),
        headroom("pause-1", "1500m").on("c1"),
    ]);
    let cache = SchedulerCache::default();
    let scheduler = Scheduler::new(&cluster, &cache);
    let mut in_flight = InFlightPods::default();
    let like = |cpu: &str| PendingPod::like(&pod("job-0").cpu(cpu).build());
    for node in ["a1", "a1", "b1", "b1"] {
        in_flight.assume(like("1900m"), Name::from(node));
    }
    let newcomer = like("1");
    let mut simulation = scheduler.simulate(&in_flight, &newcomer).unwrap();
    let first = simulation.best().unwrap();
    assert_eq!((first.nodes[0].as_ref(), first.preempts.len()), ("c1", 1));
    simulation.assume(newcomer.clone(), Name::from("c1"));
    // The one of 1500m has gone, and left a core more than was asked for.
    assert!(simulation.best().is_some_and(|second| second.preempts.is_empty()));
    simulation.assume(newcomer.clone(), Name::from("c1"));
    assert!(simulation.best().is_some_and(|third| third.preempts.len() == 1));
    simulation.assume(newcomer.clone(), Name::from("c1"));
    simulation.assume(newcomer.clone(), Name::from("c1"));
    assert_eq!(simulation.best(), None, "four of a core are all that the node takes");
    // The same when the pods that are assumed are known from the beginning.
    for _ in 0..3 {
        in_flight.assume(newcomer.clone(), Name::from("c1"));
    }
    let after = scheduler.simulate(&in_flight, &newcomer).unwrap();
    assert_eq!(after.best().unwrap().nodes[0].as_ref(), "c1");
}

/// A budget that allows no disruption: the scheduler takes its pods only in need.
#[test]
fn headroom_that_a_budget_protects_is_not_room() {
    let budget = |allowed: i32| {
        let budget = json!({
            "metadata": {"name": "pause", "namespace": "default", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "pause"}}},
            "status": {"disruptionsAllowed": allowed, "observedGeneration": 1},
        });
        Change::Budget(serde_json::from_value(budget).unwrap())
    };
    let goes = |allowed: i32| {
        let mut index = Index::default();
        for name in ["a1", "b1", "c1"] {
            index.apply(Change::Node(node(name).zone(&name[..1]).watched()));
        }
        index.apply(Change::Pod(headroom("pause-0", "3900m").on("c1").watched()));
        for (at, node) in ["a1", "a1", "b1"].into_iter().enumerate() {
            index.apply(Change::Pod(web_pod(&format!("web-{at}")).on(node).watched()));
        }
        index.apply(budget(allowed));
        goes(index.cluster(), "web-0")
    };
    assert_eq!(zones(&landing(goes(1))), ["c"]);
    pending(goes(0));
}

#[test]
fn pods_that_hold_room_for_others_are_not_missed_while_they_wait() {
    let waits = headroom("pause-0", "1").owner("ReplicaSet", "pause").phase("Pending");
    let cluster = three_zones_with([waits]);
    assert_eq!(cluster.waiting_pods(), (0, 0));
}
