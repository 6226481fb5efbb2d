//! Which scheduler an answer is about.

use serde_json::{Value, json};

use super::run::{fixture, zonespread_with};

/// Room for the pod is the same on a1 and b1. On a1 cores and memory are used less alike
/// than on b1, with the pod (73 and 88 points before 1.36), but the pod evens that out, and
/// on b1 it does the contrary (80 and 69 points since).
fn cluster(kubelets: [&str; 2]) -> Value {
    let node = |name: &str, kubelet: &str| {
        json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": name[..1],
                "kubernetes.io/hostname": name}},
            "spec": {"unschedulable": name == "c1"},
            "status": {
                "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "nodeInfo": {"kubeletVersion": kubelet},
                "conditions": [{"type": "Ready", "status": "True"}]}})
    };
    let pod = |name: &str, node: &str, requests: Value| {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "uid": name},
            "spec": {"nodeName": node, "containers": [
                {"name": "main", "image": "app", "resources": {"requests": requests}}]},
            "status": {"phase": "Running"}})
    };
    let [newer, older] = kubelets;
    json!({"apiVersion": "v1", "kind": "List", "items": [
        node("a1", newer), node("b1", older), node("c1", older),
        pod("cores", "a1", json!({"cpu": "3", "memory": "0"})),
        pod("both", "b1", json!({"cpu": "1500m", "memory": "3Gi"})),
        pod("web", "c1", json!({"cpu": "100m", "memory": "2Gi"})),
    ]})
}

/// The answer, and what was said besides.
fn predict(cluster: &Value, more: &[&str]) -> (Value, String) {
    let arguments = ["predict", "shop/web", "-f", "-", "-o", "json"];
    let ran = zonespread_with(&cluster.to_string(), &[&arguments, more].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    (serde_json::from_str(&ran.out).unwrap(), ran.err)
}

#[test]
fn a_dump_is_answered_for_the_newest_kubelet_or_the_version_that_is_said() {
    let old = cluster(["v1.35.4", "v1.34.4-eks-1"]);
    let (answer, said) = predict(&old, &[]);
    assert_eq!((&answer["zones"], &answer["certain"]), (&json!(["b"]), &json!(true)));
    let scheduler = json!({"version": "1.35", "reported": "v1.35.4", "source": "Nodes"});
    assert_eq!(answer["scheduler"], scheduler);
    let told = "kube-scheduler 1.35 (the newest kubelet is v1.35.4); --scheduler-version";
    assert!(said.contains(told), "{said}");

    let (answer, said) = predict(&old, &["--scheduler-version", "1.36"]);
    assert_eq!(answer["zones"], json!(["a"]));
    assert!(!said.contains("kube-scheduler"), "{said}");

    let (answer, _) = predict(&cluster(["v1.36.0", "v1.33.1"]), &[]);
    assert_eq!(answer["zones"], json!(["a"]), "{answer}");
}

#[test]
fn a_version_that_is_not_predicted_is_answered_for_the_nearest_and_said() {
    let (answer, said) = predict(&cluster(["v1.41.0", "v1.40.0"]), &[]);
    assert_eq!(
        (&answer["zones"], &answer["scheduler"]["version"]),
        (&json!(["a"]), &json!("1.37"))
    );
    assert!(said.contains("v1.41.0 is newer than the schedulers that are predicted"), "{said}");
    let (answer, said) = predict(&cluster(["v1.29.0", "v1.28.0"]), &[]);
    assert_eq!(
        (&answer["zones"], &answer["scheduler"]["version"]),
        (&json!(["b"]), &json!("1.33"))
    );
    assert!(said.contains("v1.29.0 is older than the schedulers that are predicted"), "{said}");
    let (_, said) = predict(&cluster(["", ""]), &[]);
    assert!(said.contains("the version of kube-scheduler is not known"), "{said}");
}

#[test]
fn a_version_that_is_none_is_a_wrong_argument() {
    let file = fixture("petclinic.yaml");
    let ran = zonespread_with("", &["plan", "-f", &file, "--scheduler-version", "latest"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("expected a version such as 1.35"), "{}", ran.err);
}

/// As AKS configures it: zones softly with maxSkew 1, and nothing else. Hosts no longer count.
#[test]
fn default_constraints_of_a_cloud_are_taken_from_the_configuration() {
    let file = fixture("petclinic.yaml");
    let config = fixture("scheduler-zones-softly.yaml");
    let arguments =
        ["predict", "was-6d4-4", "-f", &file, "-o", "json", "--scheduler-config", &config];
    let ran = zonespread_with("", &arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(answer["unpredictable"].is_null(), "{answer}");
    assert_eq!(answer["zones"], json!(["eu-west-2c"]), "{answer}");
}
