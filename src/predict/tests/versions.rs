//! What differs between the minor versions of kube-scheduler. Each value is the scheduler's
//! own: from its tests where that is said, else seen in `make landings` of that version.

use rstest::rstest;
use serde_json::json;

use super::stories::{ZONE, landing, score, three_zones, web_on, zones};
use crate::observe::fixtures::{
    PodFixture, claim, cluster, id_of, lazy_class, node, pod, stateful_set,
};
use crate::observe::{Cluster, CsiDriver, CsiNode, Interner};
use crate::predict::SchedulerVersion::{V1_33, V1_34, V1_35, V1_36, V1_37};
use crate::predict::{
    InFlightPods, Landing, PendingPod, Prediction, Scheduler, SchedulerCache, SchedulerConfig,
    SchedulerVersion,
};

/// Where a pod goes if the scheduler is of this version.
fn goes(version: SchedulerVersion, cluster: &Cluster, newcomer: PodFixture) -> Prediction {
    let cache = SchedulerCache::new(SchedulerConfig { version, ..SchedulerConfig::default() });
    let pod = PendingPod::like(&newcomer.build());
    Scheduler::new(cluster, &cache).predict(&InFlightPods::default(), &pod)
}

/// Values from `balanced_allocation_test.go` of Kubernetes 1.35 and 1.37: "nothing
/// scheduled, resources requested, differently sized nodes".
#[rstest]
#[case(V1_33, [87, 100])]
#[case(V1_34, [87, 100])]
#[case(V1_35, [87, 100])]
#[case(V1_36, [68, 75])]
#[case(V1_37, [68, 75])]
fn balance_is_what_comes_of_the_pod_before_1_36_and_what_it_changes_since(
    #[case] version: SchedulerVersion,
    #[case] expected: [i64; 2],
) {
    let nodes = [("a1", "4000m"), ("b1", "6000m")];
    let nodes = nodes.map(|(name, cpu)| node(name).cpu(cpu).memory("10000"));
    let asks = pod("web-0").cpu("3000m").memory("5000");
    let landing = landing(goes(version, &cluster(nodes, []), asks));
    let scores = ["a1", "b1"].map(|node| score(&landing, node, "NodeResourcesBalancedAllocation"));
    assert_eq!(scores, expected);
}

/// The container's image is on both nodes, the one that is mounted on one.
#[rstest]
#[case(V1_35, [17, 17])]
#[case(V1_36, [38, 17])]
#[case(V1_37, [19, 8])]
fn images_that_are_mounted_count_since_1_36_and_among_the_images_since_1_37(
    #[case] version: SchedulerVersion,
    #[case] expected: [i64; 2],
) {
    const MEBI: i64 = 1024 * 1024;
    let nodes = [
        node("a1")
            .image("registry.example/app:1", 190 * MEBI)
            .image("data.example/set:1", 420 * MEBI),
        node("b1").image("registry.example/app:1", 190 * MEBI),
    ];
    let newcomer = pod("web-0")
        .image("registry.example/app:1")
        .spec("volumes", json!([{"name": "data", "image": {"reference": "data.example/set:1"}}]));
    let landing = landing(goes(version, &cluster(nodes, []), newcomer));
    // 190Mi on all nodes, 420Mi on half of them: (190 - 23) / 977 = 17 %, (400 - 23) / 977 =
    // 38 %; of two images 377 / 1977 = 19 % and 167 / 1977 = 8 %.
    assert_eq!(["a1", "b1"].map(|node| score(&landing, node, "ImageLocality")), expected);
}

#[rstest]
#[case(V1_36, vec![])]
#[case(V1_37, vec!["a1", "b1"])]
fn a_driver_may_keep_pods_from_nodes_where_it_does_not_run_since_1_37(
    #[case] version: SchedulerVersion,
    #[case] expected: Vec<&str>,
) {
    let mut cluster = cluster(["a1", "b1", "c1"].map(node), []);
    cluster.put_storage_class(lazy_class("fast", &[]));
    cluster.put_claim(claim("data", "fast", None));
    for (node, driver) in [("b1", "other.example"), ("c1", "csi.example")] {
        let shown = json!({"metadata": {"name": node}, "spec": {"drivers": [{"name": driver}]}});
        let shown = serde_json::from_value(shown).unwrap();
        cluster.put_csi_node(CsiNode::new(shown, &mut Interner::default()));
    }
    let newcomer = || {
        let source = json!({"claimName": "data"});
        pod("db-0").spec("volumes", json!([{"name": "data", "persistentVolumeClaim": source}]))
    };
    let rejected = |cluster: &Cluster| -> Vec<String> {
        let landing = landing(goes(version, cluster, newcomer()));
        landing.rejections.iter().map(|rejection| rejection.node.to_string()).collect()
    };
    let driver = |must_run: bool| {
        let spec = json!({"preventPodSchedulingIfMissing": must_run});
        let shown = json!({"metadata": {"name": "csi.example"}, "spec": spec});
        CsiDriver::new(serde_json::from_value(shown).unwrap())
    };
    cluster.put_csi_driver(driver(false));
    assert_eq!(rejected(&cluster), Vec::<String>::new());
    cluster.put_csi_driver(driver(true));
    assert_eq!(rejected(&cluster), expected);
}

/// Where the replacement of a pod goes if the scheduler is of this version.
fn replaced(version: SchedulerVersion, cluster: &Cluster, name: &str) -> Landing {
    let cache = SchedulerCache::new(SchedulerConfig { version, ..SchedulerConfig::default() });
    let scheduler = Scheduler::new(cluster, &cache);
    let id = id_of(cluster, name);
    let mut in_flight = InFlightPods::default();
    in_flight.evict(id);
    landing(scheduler.predict(&in_flight, &scheduler.replacing(cluster.pod(id).unwrap())))
}

/// Seen in 1.33.13, in 2 of 1,500 landings: the replacement is placed as if the pod were there.
#[rstest]
#[case(V1_33, false)]
#[case(V1_34, false)]
#[case(V1_35, true)]
#[case(V1_37, true)]
fn before_1_35_a_replacement_may_be_placed_before_its_eviction_is_seen(
    #[case] version: SchedulerVersion,
    #[case] is_certain: bool,
) {
    let pods = web_on(&["a1", "b1", "c1"], |pod| pod.spread_soft(ZONE, 1));
    let cluster = cluster(three_zones(), pods);
    let landing = replaced(version, &cluster, "web-0");
    assert_eq!(landing.certain, is_certain);
    if is_certain {
        assert_eq!((zones(&landing), &landing.unless), (vec!["a"], &None));
        return;
    }
    assert_eq!(zones(&landing), ["a", "b", "c"]);
    let unless = landing.unless.unwrap();
    assert!(unless.what.contains("does not know of the eviction"), "{}", unless.what);
    assert!(landing.zone_probability[0].1 > 0.99, "{:?}", landing.zone_probability);
    let sum: f64 = landing.zone_probability.iter().map(|(_, share)| share).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
}

/// What a move is for is certain in both orders: the pods in its own zone are more than in
/// the other, with the pod that leaves or without it.
#[test]
fn a_move_to_an_empty_zone_is_certain_also_before_1_35() {
    let pods =
        web_on(&["a1", "a2", "a1", "b1", "b2", "b1"], |pod| pod.spread_soft(ZONE, 1).cpu("100m"));
    let landing = replaced(V1_33, &cluster(three_zones(), pods), "web-0");
    assert_eq!((zones(&landing), landing.certain), (vec!["c"], true));
}

/// Where a pod that is not there any more takes the place, the scheduler hears of it and tries
/// again; of one that is about to go it may hear while it is not asked to.
#[rstest]
#[case(30, false)]
#[case(0, true)]
fn a_replacement_that_waits_for_an_eviction_to_be_seen_is_certain_if_it_is_tried_again(
    #[case] grace: i64,
    #[case] is_certain: bool,
) {
    let shape = |pod: PodFixture| {
        pod.spread_hard(ZONE, 1).spec("terminationGracePeriodSeconds", json!(grace))
    };
    let pods = web_on(&["a1", "a1", "b1"], shape);
    let nodes = [node("a1").zone("a"), node("b1").zone("b").room_for_pods(1)];
    let landing = replaced(V1_33, &cluster(nodes, pods), "web-0");
    assert_eq!((zones(&landing), landing.certain), (vec!["a"], is_certain));
    let waits = landing.unless.map(|unless| matches!(unless.prediction, Prediction::Pending(_)));
    assert_eq!(waits, (!is_certain).then_some(true));
}

/// The pod that leaves is the one that is too few in its zone: the others may have no more.
#[test]
fn what_lands_only_while_its_eviction_is_not_seen_mostly_stays_pending() {
    let pods = web_on(&["a1", "b1"], |pod| pod.spread_hard(ZONE, 1));
    let nodes = [node("a1").zone("a").room_for_pods(1), node("b1").zone("b")];
    let cluster = cluster(nodes, pods);
    let landing = replaced(V1_33, &cluster, "web-0");
    assert_eq!((zones(&landing), landing.certain), (vec!["b"], false));
    let unless = landing.unless.unwrap();
    assert!(unless.what.contains("knows of the eviction by then"), "{}", unless.what);
    assert!(matches!(unless.prediction, Prediction::Pending(_)), "{:?}", unless.prediction);
}

/// A `StatefulSet` makes the next pod when the one before is gone, which may not be seen yet
/// either.
#[test]
fn a_set_whose_pod_is_gone_may_still_be_thought_to_have_it() {
    let pods = web_on(&["a1", "b1"], |pod| pod.owner("StatefulSet", "web").spread_soft(ZONE, 1));
    let nodes = [node("a1").zone("a").room_for_pods(1), node("b1").zone("b")];
    let mut cluster = cluster(nodes, pods);
    cluster.put_workload(stateful_set("web", "web"));
    let at = |version| replaced(version, &cluster, "web-0");
    assert_eq!((zones(&at(V1_37)), at(V1_37).certain), (vec!["a"], true));
    assert_eq!((zones(&at(V1_33)), at(V1_33).certain), (vec!["a", "b"], false));
}

/// Two containers swap their sizes: 4 cores before and after, and 3 for each of them meanwhile
/// (`k8s.io/component-helpers/resource/helpers.go` of 0.36.3 and 0.37.1).
#[rstest]
#[case(V1_33, false)]
#[case(V1_36, false)]
#[case(V1_37, true)]
fn a_pod_in_resize_counts_container_by_container_until_1_36(
    #[case] version: SchedulerVersion,
    #[case] fits: bool,
) {
    let container =
        |name: &str, cpu: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu}}});
    let swapping = pod("db-0")
        .on("a1")
        .spec("containers", json!([container("one", "3"), container("two", "1")]))
        .status("containerStatuses", json!([container("one", "1"), container("two", "3")]));
    let cluster = cluster([node("a1").cpu("8").zone("a")], [swapping]);
    let prediction = goes(version, &cluster, pod("web-0").cpu("3"));
    assert_eq!(matches!(prediction, Prediction::Lands(_)), fits, "{prediction:?}");
    // Nor is anything left when it goes.
    let mut cluster = cluster;
    cluster.remove_pod("default", "db-0");
    assert!(cluster.node("a1").unwrap().1.more_by_container.is_none());
    assert!(matches!(goes(version, &cluster, pod("web-0").cpu("8")), Prediction::Lands(_)));
}
