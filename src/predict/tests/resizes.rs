//! Pods that are resized in place: what they count for on their nodes.
//!
//! The values follow `AggregateContainerRequests` and `PodRequests` with `UseStatusResources`
//! in `k8s.io/component-helpers/resource/helpers.go` (1.37); the real scheduler is asked in
//! `tests/real/landings`.

use rstest::rstest;
use serde_json::{Value, json};

use crate::observe::fixtures::{PodFixture, cluster, node, pod};

const MEBI: i64 = 1024 * 1024;

/// Cores (thousandths) and memory (mebibytes) that a pod takes on its node, and the cores
/// that it weighs in scores.
fn counted(pod: PodFixture) -> (i64, i64, i64) {
    let cluster = cluster([node("a1")], [pod.on("a1")]);
    let (_, entry) = cluster.node("a1").unwrap();
    let requested = &entry.requested;
    (requested.cpu_milli, requested.memory / MEBI, entry.scored_cpu_milli)
}

fn asks(cpu: &str, memory: &str) -> PodFixture {
    pod("db-0").cpu(cpu).memory(memory)
}

fn amounts(cpu: &str, memory: &str) -> Value {
    json!({"cpu": cpu, "memory": memory})
}

#[rstest]
#[case::as_asked(amounts("1", "1Gi"), amounts("1", "1Gi"), 1000, 1024)]
#[case::not_yet_shrunk(amounts("3500m", "1Gi"), amounts("3500m", "1Gi"), 3500, 1024)]
#[case::allocated_and_not_yet_done(amounts("1", "1Gi"), amounts("3", "2Gi"), 3000, 2048)]
#[case::still_growing(amounts("500m", "512Mi"), amounts("500m", "512Mi"), 1000, 1024)]
#[case::one_grows_and_one_shrinks(amounts("500m", "4Gi"), amounts("500m", "4Gi"), 1000, 4096)]
#[case::nothing_is_actual(amounts("2", "1Gi"), json!(null), 2000, 1024)]
#[case::nothing_is_allocated(json!(null), amounts("2", "1Gi"), 2000, 1024)]
fn of_each_resource_the_most_counts(
    #[case] allocated: Value,
    #[case] actual: Value,
    #[case] cpu: i64,
    #[case] memory: i64,
) {
    let sized = asks("1", "1Gi").sized(allocated, actual);
    assert_eq!(counted(sized.clone()), (cpu, memory, cpu));
    assert_eq!(counted(sized.resize_pending("Deferred")), (cpu, memory, cpu));
}

#[test]
fn what_the_node_can_never_grant_does_not_count() {
    let infeasible = asks("6", "1Gi").resize_pending("Infeasible");
    let sized = infeasible.clone().sized(amounts("1", "1Gi"), amounts("1", "1Gi"));
    assert_eq!(counted(sized), (1000, 1024, 1000));
    // As soon as another size is asked for, the condition goes.
    let growing = asks("6", "1Gi").sized(amounts("1", "1Gi"), amounts("1", "1Gi"));
    assert_eq!(counted(growing), (6000, 1024, 6000));
    // A kubelet that says so and shows no size: then the scheduler counts none.
    assert_eq!(counted(infeasible), (0, 0, 100));
}

#[test]
fn containers_are_added_up_before_the_most_is_taken() {
    let containers = json!([
        {"name": "one", "resources": {"requests": {"cpu": "3"}}},
        {"name": "two", "resources": {"requests": {"cpu": "1"}}},
    ]);
    let status = |name: &str, cpu: &str| json!({"name": name, "allocatedResources": {"cpu": cpu}, "resources": {"requests": {"cpu": cpu}}});
    // One grows from 1 to 3 cores and the other shrinks from 3 to 1: 4 before and after.
    let swapped = json!([status("one", "1"), status("two", "3")]);
    let pod = pod("db-0").spec("containers", containers).status("containerStatuses", swapped);
    assert_eq!(counted(pod).0, 4000);
}

#[test]
fn sidecars_are_resized_too_and_defaults_still_weigh() {
    let sidecar = json!([{"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}]);
    let status = json!([{"name": "proxy", "resources": {"requests": {"cpu": "2"}}}]);
    let pod = pod("db-0").spec("initContainers", sidecar).status("initContainerStatuses", status);
    // The main container asks for nothing, and weighs 100m.
    assert_eq!(counted(pod), (2000, 0, 2100));
}

/// The kubelet of 1.36 and later sums the containers up itself.
#[test]
fn what_the_pod_has_as_a_whole_counts_instead_of_its_containers() {
    let pod = asks("1", "1Gi")
        .sized(amounts("9", "9Gi"), amounts("9", "9Gi"))
        .status("allocatedResources", amounts("2", "1Gi"))
        .status("resources", json!({"requests": amounts("3", "1Gi")}));
    assert_eq!(counted(pod), (3000, 1024, 3000));
}

#[rstest]
#[case::growing(false, 4000)]
#[case::infeasible(true, 2000)]
fn requests_of_the_pod_as_a_whole_are_resized_too(#[case] infeasible: bool, #[case] cpu: i64) {
    let pod = asks("1", "1Gi")
        .spec("resources", json!({"requests": {"cpu": "4"}}))
        .spec("overhead", json!({"cpu": "0"}))
        .status("allocatedResources", json!({"cpu": "1"}))
        .status("resources", json!({"requests": {"cpu": "2"}}));
    let pod = if infeasible { pod.resize_pending("Infeasible") } else { pod };
    assert_eq!(counted(pod).0, cpu);
}

#[test]
fn a_pod_that_leaves_gives_back_what_it_held() {
    let mut cluster = cluster(
        [node("a1")],
        [asks("1", "1Gi").sized(amounts("3", "1Gi"), amounts("3", "1Gi")).on("a1")],
    );
    // The resize is done, then the pod is gone.
    cluster.put_pod(asks("1", "1Gi").on("a1").build());
    assert_eq!(cluster.node("a1").unwrap().1.requested.cpu_milli, 1000);
    cluster.remove_pod("default", "db-0");
    assert_eq!(cluster.node("a1").unwrap().1.requested.cpu_milli, 0);
}
