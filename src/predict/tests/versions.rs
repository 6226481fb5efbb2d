//! What differs between the minor versions of kube-scheduler. Each value is the scheduler's
//! own: from its tests where that is said, else seen in `make landings` of that version.

use rstest::rstest;
use serde_json::json;

use super::stories::{landing, score};
use crate::observe::fixtures::{PodFixture, claim, cluster, lazy_class, node, pod};
use crate::observe::{Cluster, CsiDriver, CsiNode, Interner};
use crate::predict::SchedulerVersion::{V1_33, V1_34, V1_35, V1_36, V1_37};
use crate::predict::{
    InFlightPods, PendingPod, Prediction, Scheduler, SchedulerCache, SchedulerConfig,
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
