//! `NodeResourcesFit`, `NodeResourcesBalancedAllocation` and `ImageLocality`.

use rstest::rstest;
use serde_json::{Value, json};

use super::predict;
use super::stories::{evicted, landing, pending, score};
use crate::observe::fixtures::{NodeFixture, PodFixture, cluster, node, pod};
use crate::observe::{Cluster, Name};
use crate::predict::{InFlightPods, Landing, PendingPod, Prediction, Scheduler, SchedulerCache};

fn goes(cluster: &Cluster, newcomer: PodFixture) -> Prediction {
    predict(cluster, &InFlightPods::default(), &PendingPod::like(&newcomer.build()))
}

fn container(cpu: &str) -> Value {
    json!({"name": cpu, "resources": {"requests": {"cpu": cpu}}})
}

fn sidecar(cpu: &str) -> Value {
    let mut sidecar = container(cpu);
    sidecar["restartPolicy"] = json!("Always");
    sidecar
}

#[rstest]
#[case::containers_run_together(vec![], vec![container("1"), container("2")], json!(null), 3000)]
#[case::init_containers_run_alone(vec![container("4")], vec![container("1")], json!(null), 4000)]
#[case::sidecars_stay(vec![sidecar("1")], vec![container("1")], json!(null), 2000)]
#[case::init_beside_earlier_sidecars(
    vec![sidecar("1"), container("3"), sidecar("2")], vec![container("1")], json!(null), 4000
)]
#[case::the_pod_as_a_whole(vec![], vec![container("1")], json!({"requests": {"cpu": "5"}}), 5000)]
fn room_is_asked_for_as_the_kubelet_needs_it(
    #[case] init: Vec<Value>,
    #[case] containers: Vec<Value>,
    #[case] whole: Value,
    #[case] milli: i64,
) {
    let shape = |pod: PodFixture| {
        pod.spec("initContainers", json!(init))
            .spec("containers", json!(containers))
            .spec("resources", whole.clone())
            .spec("overhead", json!({"cpu": "100m"}))
    };
    let milli = milli + 100;
    let fits = cluster([node("a1").cpu(&format!("{milli}m"))], []);
    landing(goes(&fits, shape(pod("web-0"))));
    let full = cluster([node("a1").cpu(&format!("{}m", milli - 1))], []);
    let rejections = pending(goes(&full, shape(pod("web-0"))));
    assert_eq!(rejections[0].message, "Insufficient cpu");
}

#[test]
fn extended_resources_run_out_too() {
    let gpus = node("a1").allocatable("nvidia.com/gpu", "2");
    let cluster = cluster([gpus], [pod("job-0").requests("nvidia.com/gpu", "1").on("a1")]);
    let like =
        |amount: &str| PendingPod::like(&pod("job-1").requests("nvidia.com/gpu", amount).build());
    let cache = SchedulerCache::default();
    let scheduler = Scheduler::new(&cluster, &cache);
    let mut simulation = scheduler.simulate(&InFlightPods::default(), &like("1")).unwrap();
    assert!(simulation.best().is_some());
    simulation.assume(like("1"), Name::from("a1"));
    assert_eq!(pending(simulation.explain())[0].message, "Insufficient nvidia.com/gpu");
}

#[test]
fn finished_pods_give_their_place_back() {
    let done = pod("job-0").cpu("4").on("a1").phase("Failed");
    let cluster = cluster([node("a1")], [done, pod("web-0").cpu("1").on("a1")]);
    landing(evicted(&cluster, "web-0"));
}

/// Cores (thousandths) and memory (bytes) of a node, what is used of it, and what is asked.
fn on_node(capacity: (i64, i64), used: (i64, i64), asked: (i64, i64)) -> Landing {
    let with = |pod: PodFixture, (cpu, memory): (i64, i64)| {
        let pod = if cpu > 0 { pod.cpu(&format!("{cpu}m")) } else { pod };
        if memory > 0 { pod.memory(&memory.to_string()) } else { pod }
    };
    let node: NodeFixture =
        node("a1").cpu(&format!("{}m", capacity.0)).memory(&capacity.1.to_string());
    let there = with(pod("other-0"), used).on("a1");
    let pods = if used == (0, 0) { vec![] } else { vec![there] };
    landing(goes(&cluster([node], pods), with(pod("web-0"), asked)))
}

/// Values from `balanced_allocation_test.go` of Kubernetes 1.37.
#[rstest]
#[case::nothing_used((4000, 10_000), (0, 0), (3000, 5000), 68)]
#[case::nothing_used_larger((6000, 10_000), (0, 0), (3000, 5000), 75)]
#[case::asks_for_nothing((4000, 10_000), (0, 0), (0, 0), 0)]
fn balance_is_what_the_pod_changes(
    #[case] capacity: (i64, i64),
    #[case] used: (i64, i64),
    #[case] asked: (i64, i64),
    #[case] expected: i64,
) {
    let landing = on_node(capacity, used, asked);
    assert_eq!(score(&landing, "a1", "NodeResourcesBalancedAllocation"), expected);
}

/// The first two are from `least_allocated_test.go` of Kubernetes 1.37.
#[rstest]
#[case((4000, 10_000), (0, 0), (3000, 5000), 37)]
#[case((6000, 10_000), (0, 0), (3000, 5000), 50)]
#[case((10_000, 20_000), (6000, 5000), (3000, 5000), 30)]
fn more_free_is_better(
    #[case] capacity: (i64, i64),
    #[case] used: (i64, i64),
    #[case] asked: (i64, i64),
    #[case] expected: i64,
) {
    assert_eq!(score(&on_node(capacity, used, asked), "a1", "NodeResourcesFit"), expected);
}

#[test]
fn containers_that_ask_for_nothing_still_weigh_in_scores() {
    // 100m of 4 cores and 200Mi of 16Gi: 97 and 98, half of 195.
    let landing = landing(goes(&cluster([node("a1")], []), pod("web-0")));
    assert_eq!(score(&landing, "a1", "NodeResourcesFit"), 97);
}

#[test]
fn nodes_that_hold_the_image_are_better() {
    const MEBI: i64 = 1024 * 1024;
    let nodes = [
        node("a1").image("registry.example/app:latest", 400 * MEBI),
        node("b1").image("registry.example/app:latest", 400 * MEBI),
        node("c1").image("registry.example/other:1", 900 * MEBI),
        node("d1"),
    ];
    let landing = landing(goes(&cluster(nodes, []), pod("web-0").image("registry.example/app")));
    // 400Mi on half of the nodes: 100 * (200 - 23) / (1000 - 23) = 18.
    let scores = ["a1", "b1", "c1", "d1"].map(|node| score(&landing, node, "ImageLocality"));
    assert_eq!(scores, [18, 18, 0, 0]);
}

#[rstest]
#[case(json!([{"hostPort": 80, "hostIP": "10.0.0.1"}]), true)]
#[case(json!([{"hostPort": 80}]), true)]
#[case(json!([{"hostPort": 80, "protocol": "UDP"}]), false)]
#[case(json!([{"hostPort": 80, "hostIP": "10.0.0.2"}]), false)]
fn ports_are_taken_by_address_and_protocol(#[case] ports: Value, #[case] conflict: bool) {
    let with = |name: &str, ports: Value| {
        pod(name).spec("containers", json!([{"name": "main", "ports": ports}]))
    };
    let taken = with("proxy-0", json!([{"hostPort": 80, "hostIP": "10.0.0.1"}])).on("a1");
    let prediction = goes(&cluster([node("a1")], [taken]), with("web-0", ports));
    assert_eq!(matches!(prediction, Prediction::Pending(_)), conflict);
}

#[test]
fn an_init_container_gives_its_ports_back() {
    let ports = json!([{"hostPort": 80}]);
    let init = |restart: Value| json!([{"name": "init", "ports": ports, "restartPolicy": restart}]);
    let taken = pod("proxy-0").host_port(80).on("a1");
    let cluster = cluster([node("a1")], [taken]);
    landing(goes(&cluster, pod("web-0").spec("initContainers", init(json!(null)))));
    pending(goes(&cluster, pod("web-0").spec("initContainers", init(json!("Always")))));
}

#[test]
fn pod_level_resources_count_for_others_but_not_for_the_pods_own_fit_score() {
    let whole = |pod: PodFixture| pod.spec("resources", json!({"requests": {"memory": "8Gi"}}));
    let empty = cluster([node("a1")], []);
    let own = landing(goes(&empty, whole(pod("web-0"))));
    let plain = landing(goes(&empty, pod("web-0")));
    let fit = |landing: &Landing| score(landing, "a1", "NodeResourcesFit");
    assert_eq!(fit(&own), fit(&plain), "its 8Gi are left out");
    let beside = cluster([node("a1")], [whole(pod("db-0")).on("a1")]);
    let beside = landing(goes(&beside, pod("web-0")));
    assert!(fit(&beside) < fit(&plain) - 20, "those of a neighbour are not");
}
