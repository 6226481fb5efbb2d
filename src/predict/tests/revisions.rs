//! A `StatefulSet` between two revisions: what the next pod is made from.

use rstest::rstest;
use serde_json::{Value, json};

use super::predict;
use super::stories::{landing, three_zones, unpredictable, zones};
use crate::observe::fixtures::{PodFixture, cluster, id_of, pod};
use crate::observe::{Cluster, Interner, Workload};
use crate::predict::{InFlightPods, PendingPod, Prediction};

/// The set `db` with three pods; its new revision wants to be in zone c.
fn set(strategy: &Value, status: Value) -> Workload {
    let mut set = json!({
        "metadata": {"name": "db", "namespace": "default", "uid": "uid-db", "generation": 2},
        "spec": {
            "replicas": 3, "updateStrategy": strategy,
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db", "tier": "new"}},
                "spec": {"containers": [], "nodeSelector": {"topology.kubernetes.io/zone": "c"}},
            },
        },
        "status": {"observedGeneration": 2, "currentRevision": "old", "updateRevision": "new"},
    });
    set["status"].as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    let set = serde_json::from_value(set).unwrap();
    Workload::stateful_set(set, &mut Interner::default())
}

fn db(name: &str, revision: &str) -> PodFixture {
    pod(name).on("a1").owner("StatefulSet", "db").label("controller-revision-hash", revision)
}

fn replaced(set: &Workload, pod: PodFixture, name: &str) -> (Cluster, PendingPod) {
    let mut cluster = cluster(three_zones(), [pod]);
    cluster.put_workload(set.clone());
    let next = PendingPod::replacing(&cluster, cluster.pod(id_of(&cluster, name)).unwrap());
    (cluster, next)
}

fn goes(set: &Workload, pod: PodFixture, name: &str) -> Prediction {
    let (cluster, next) = replaced(set, pod, name);
    let mut in_flight = InFlightPods::default();
    in_flight.evict(id_of(&cluster, name));
    predict(&cluster, &in_flight, &next)
}

#[rstest]
#[case::on_delete(json!({"type": "OnDelete"}), json!({}), "db-1", "c")]
#[case::above_the_partition(json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}), json!({}), "db-1", "c")]
#[case::below_the_partition(json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}), json!({}), "db-1", "b")]
#[case::still_to_be_rolled(json!({"type": "RollingUpdate"}), json!({"currentReplicas": 2}), "db-1", "b")]
#[case::being_rolled(json!({"type": "RollingUpdate"}), json!({"currentReplicas": 1}), "db-1", "c")]
fn the_next_pod_is_of_the_revision_that_the_set_gives_it(
    #[case] strategy: Value,
    #[case] status: Value,
    #[case] name: &str,
    #[case] zone: &str,
) {
    let old = db(name, "old").spec("nodeSelector", json!({"topology.kubernetes.io/zone": "b"}));
    assert_eq!(zones(&landing(goes(&set(&strategy, status), old, name))), [zone]);
}

/// Found by landings: sizes and labels of the new template were taken for those of the next
/// pod, which is of the old one.
#[test]
fn below_a_partition_nothing_of_the_new_template_counts() {
    let partition = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
    let old = || db("db-1", "old").cpu("800m").label("tier", "old");
    let (_, next) = replaced(&set(&partition, json!({})), old(), "db-1");
    assert_eq!(next.labels["tier"], "old");
    assert_eq!((next.template.requests.cpu_milli, next.as_now), (800, None));
    // Of which size the old revision is, nobody shows once one of its pods was resized.
    let mut cluster = cluster(three_zones(), [old(), db("db-0", "old").cpu("3")]);
    cluster.put_workload(set(&partition, json!({})));
    let next = PendingPod::replacing(&cluster, cluster.pod(id_of(&cluster, "db-1")).unwrap());
    let unknown = next.unknown.unwrap();
    assert!(unknown.contains("pods db-1 and db-0 are of one revision"), "{unknown}");
}

/// All of them resized alike look like their revision. The API server tells, by their generation.
#[test]
fn below_a_partition_a_pod_that_was_changed_does_not_show_its_revision() {
    let partition = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 2}});
    let below = |pod: PodFixture| replaced(&set(&partition, json!({})), pod, "db-1").1.unknown;
    assert_eq!(below(db("db-1", "old").cpu("3")), None);
    let unknown = below(db("db-1", "old").cpu("3").changed()).unwrap();
    assert!(unknown.contains("pod db-1 was changed after it was made"), "{unknown}");
    // Of the set's own revision the template tells.
    let current = replaced(&set(&partition, json!({})), db("db-2", "new").changed(), "db-2").1;
    assert_eq!(current.unknown, None);
}

#[test]
fn a_pod_of_the_new_revision_tells_more_than_the_template() {
    let on_delete = set(&json!({"type": "OnDelete"}), json!({}));
    // Something has changed the pod when it was created.
    let new = db("db-0", "new").spec("nodeSelector", json!({"topology.kubernetes.io/zone": "a"}));
    assert_eq!(zones(&landing(goes(&on_delete, new, "db-0"))), ["a"]);
}

#[test]
fn the_next_pod_keeps_its_claims_and_its_name() {
    let on_delete = set(&json!({"type": "OnDelete"}), json!({}));
    let volume = |name: &str, claim: &str| json!({"name": name, "persistentVolumeClaim": {"claimName": claim}});
    let old = db("db-0", "old")
        .label("statefulset.kubernetes.io/pod-name", "db-0")
        .tolerates("node.kubernetes.io/not-ready", "NoExecute")
        .spec("volumes", json!([volume("data", "data-db-0"), volume("shared", "library")]));
    let (cluster, next) = replaced(&on_delete, old, "db-0");
    let pod = cluster.pod(id_of(&cluster, "db-0")).unwrap();
    assert!(next.replaces(pod));
    assert_eq!(next.template.volumes, pod.template.volumes[..1], "the other is not the set's");
    assert_eq!(next.template.tolerations, pod.template.tolerations);
    let labels: Vec<&str> = next.labels.values().map(String::as_str).collect();
    assert_eq!(labels, ["db", "new", "db-0", "new"]);
}

#[test]
fn a_revision_that_nobody_shows_is_not_known() {
    let partition = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 3}});
    // The pod was updated, then the partition was raised: it goes back.
    let why = unpredictable(goes(&set(&partition, json!({})), db("db-0", "new"), "db-0"));
    assert!(why.contains("revision old"), "{why}");
}

/// Deleted and created again under its name, before the garbage collector has taken the old pods.
#[test]
fn a_set_that_was_created_again_does_not_own_the_pods_of_its_namesake() {
    let namesake = set(&json!({"type": "OnDelete"}), json!({}));
    let mut again = namesake.clone();
    again.uid = "uid-db-2".into();
    let old = db("db-0", "old").spec("nodeSelector", json!({"topology.kubernetes.io/zone": "b"}));
    let (cluster, next) = replaced(&again, old, "db-0");
    let pod = cluster.pod(id_of(&cluster, "db-0")).unwrap();
    assert!(cluster.owner_of(pod).is_none());
    assert_eq!(next.template, pod.template, "not the new set's");
    assert!(cluster.workload(&namesake.key).is_some(), "it is known by its name");
}
