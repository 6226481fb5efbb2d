//! What a replacement is made from: the owner's template, with what admission adds.

use rstest::rstest;
use serde_json::{Value, json};

use super::predict;
use super::stories::{landing, pending, three_zones, unpredictable, zones};
use crate::observe::fixtures::{PodFixture, cluster, id_of, node, pod};
use crate::observe::{Cluster, Interner, Workload};
use crate::predict::{InFlightPods, Landing, PendingPod, Prediction};

/// The `ReplicaSet` web of a Deployment with this pod template.
fn web(labels: &Value, spec: &Value) -> Workload {
    let mut set = standalone(labels, spec);
    set.owner = Some(crate::observe::Owner {
        kind: "Deployment".into(),
        name: "web".into(),
        uid: "uid-deployment".into(),
    });
    set
}

/// The same, made by hand.
fn standalone(labels: &Value, spec: &Value) -> Workload {
    let set = json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "uid-web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    });
    Workload::replica_set(serde_json::from_value(set).unwrap(), &mut Interner::default())
}

fn asking(cpu: &str) -> Value {
    let requests = json!({"requests": {"cpu": cpu}});
    let image = "registry.example/app:1";
    json!({"containers": [{"name": "main", "image": image, "resources": requests}]})
}

fn live() -> PodFixture {
    pod("web-0").owner("ReplicaSet", "web")
}

fn replaced(set: Workload, live: PodFixture) -> (Cluster, PendingPod) {
    let mut cluster = cluster(three_zones(), [live.on("a1")]);
    cluster.put_workload(set);
    let next = PendingPod::replacing(&cluster, cluster.pod(id_of(&cluster, "web-0")).unwrap());
    (cluster, next)
}

/// Cores of the replacement, and of the one that is as the pod is now, if that is another.
fn cores(set: Workload, live: PodFixture) -> (i64, Option<i64>) {
    let (_, next) = replaced(set, live);
    let cpu = |template: &crate::observe::Template| template.requests.cpu_milli;
    (cpu(&next.template), next.as_now.as_deref().map(cpu))
}

fn app() -> Value {
    json!({"app": "web"})
}

#[test]
fn a_pod_that_was_resized_in_place_is_replaced_with_the_templates_size_or_its_own() {
    assert_eq!(cores(web(&app(), &asking("3")), live().cpu("1")), (3000, Some(1000)));
    assert_eq!(cores(web(&app(), &asking("1")), live().cpu("1")), (1000, None));
    // What it still holds while it is resized is no part of it.
    let shrinking = live().cpu("1").sized(json!({"cpu": "2"}), json!({"cpu": "2"}));
    assert_eq!(cores(web(&app(), &asking("3")), shrinking.clone()), (3000, Some(1000)));
    let (_, next) = replaced(web(&app(), &asking("1")), shrinking);
    assert_eq!((next.template.counted().requests.cpu_milli, next.as_now), (1000, None));
}

#[rstest]
#[case::sidecar(json!({"containers": [
    {"name": "main", "image": "registry.example/app:1", "resources": {"requests": {"cpu": "1"}}},
    {"name": "proxy", "resources": {"requests": {"cpu": "2"}}},
]}), 3000)]
#[case::overhead(json!({"overhead": {"cpu": "250m"}}), 1250)]
#[case::as_a_whole(json!({"resources": {"requests": {"cpu": "5"}}}), 5000)]
#[case::tolerations(json!({"tolerations": [{"operator": "Exists"}]}), 1000)]
#[case::node_selector(json!({"nodeSelector": {"pool": "web"}}), 1000)]
#[case::affinity(json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
    {"weight": 100, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}},
]}}}), 1000)]
#[case::constraint(json!({"topologySpreadConstraints": [{
    "topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "web"}},
}]}), 1000)]
#[case::priority(json!({"priority": 1000}), 1000)]
#[case::scheduler(json!({"schedulerName": "fargate-scheduler"}), 1000)]
fn what_admission_adds_is_taken_from_the_live_pod(#[case] added: Value, #[case] cpu: i64) {
    for owner in [web, standalone] {
        let mut pod = live().cpu("1");
        for (field, value) in added.as_object().unwrap() {
            pod = pod.spec(field, value.clone());
        }
        let (cluster, next) = replaced(owner(&app(), &asking("1")), pod);
        let live = cluster.pod(id_of(&cluster, "web-0")).unwrap();
        assert_eq!((next.template.requests.cpu_milli, &next.as_now), (cpu, &None));
        assert_eq!(next.template, live.template);
    }
}

#[test]
fn defaults_of_a_limit_range_stay_and_what_is_resized_beside_them_does_not() {
    let template = json!({"containers": [
        {"name": "main", "image": "registry.example/app:1", "resources": {"requests": {"cpu": "2"}}},
    ]});
    let pod = live().cpu("1").memory("512Mi").spec("overhead", json!({"cpu": "250m"}));
    let (_, next) = replaced(web(&app(), &template), pod);
    let requests = &next.template.requests;
    assert_eq!((requests.cpu_milli, requests.memory), (2250, 512 << 20));
    assert_eq!(next.as_now.unwrap().requests.cpu_milli, 1250);
}

#[test]
fn a_limit_is_a_request_where_the_template_names_none() {
    let limits = json!({"limits": {"cpu": "3"}});
    let template = json!({"containers": [{"name": "main", "image": "registry.example/app:1", "resources": limits}]});
    assert_eq!(cores(web(&app(), &template), live().cpu("3")), (3000, None));
    assert_eq!(cores(web(&app(), &template), live().cpu("1")), (3000, Some(1000)));
}

#[test]
fn another_image_may_be_a_webhooks_or_somebodys_patch() {
    let (_, next) = replaced(web(&app(), &asking("1")), live().cpu("1").image("mirror/app:1"));
    assert_eq!(&*next.template.images[0], "registry.example/app:1");
    assert_eq!(&*next.as_now.unwrap().images[0], "mirror/app:1");
}

#[test]
fn gates_that_the_template_has_hold_the_replacement_back_though_the_pod_runs() {
    let mut template = asking("1");
    template["schedulingGates"] = json!([{"name": "queue"}]);
    let prediction = goes(web(&app(), &template), live().cpu("1"));
    assert!(unpredictable(prediction).contains("schedulingGates"));
}

#[test]
fn labels_are_the_templates_and_those_that_admission_adds_but_not_those_of_the_node() {
    let labels = json!({"app": "web", "rev": "2"});
    let pod = live()
        .label("rev", "1")
        .label("tier", "web")
        .label("topology.kubernetes.io/zone", "a")
        .label("topology.kubernetes.io/region", "r");
    let (_, next) = replaced(web(&labels, &asking("1")), pod);
    let labels: Vec<(&str, &str)> =
        next.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("app", "web"), ("rev", "2"), ("tier", "web")]);
}

/// The template of a `ReplicaSet` that nobody owns may be edited; its pods stay as they are.
#[test]
fn an_edited_template_is_followed_and_the_pod_as_it_is_too() {
    let in_zone = |zone: &str| json!({"topology.kubernetes.io/zone": zone});
    let mut template = asking("1");
    template["nodeSelector"] = in_zone("c");
    let pod = live().cpu("1").spec("nodeSelector", in_zone("b"));
    let landing = landing(goes(standalone(&app(), &template), pod));
    assert_eq!((zones(&landing), landing.certain), (vec!["b", "c"], false));
}

#[test]
fn merged_match_label_keys_are_no_difference() {
    let constraint = |selector: Value| {
        json!([{
            "topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, "matchLabelKeys": ["rev"],
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector,
        }])
    };
    let mut template = asking("1");
    template["topologySpreadConstraints"] = constraint(json!({"matchLabels": {"app": "web"}}));
    let merged = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
        {"key": "rev", "operator": "In", "values": ["1"]},
    ]});
    let pod = live().cpu("1").spec("topologySpreadConstraints", constraint(merged));
    let (cluster, next) = replaced(standalone(&app(), &template), pod);
    let live = cluster.pod(id_of(&cluster, "web-0")).unwrap();
    assert_eq!((&next.template, next.as_now), (&live.template, None));
}

fn goes(set: Workload, pod: PodFixture) -> Prediction {
    let (cluster, next) = replaced(set, pod);
    evicted(&cluster, &next)
}

fn evicted(cluster: &Cluster, next: &PendingPod) -> Prediction {
    let mut in_flight = InFlightPods::default();
    in_flight.evict(id_of(cluster, "web-0"));
    predict(cluster, &in_flight, next)
}

/// Zone a has room for anything, zone c for less than 2 cores.
fn narrow(template: &str, now: &str) -> Prediction {
    let nodes = [
        node("a1").zone("a").cpu("16"),
        node("b1").zone("b").cpu("16"),
        node("c1").zone("c").cpu("2"),
    ];
    let shape = |pod: PodFixture| pod.cpu(now).spread_hard("topology.kubernetes.io/zone", 1);
    let pods = [
        shape(live()).on("a1"),
        shape(pod("web-1").owner("ReplicaSet", "web")).on("a1"),
        shape(pod("web-2").owner("ReplicaSet", "web")).on("b1"),
    ];
    let mut cluster = cluster(nodes, pods);
    cluster.put_workload(web(&app(), &asking(template)));
    let next = PendingPod::replacing(&cluster, cluster.pod(id_of(&cluster, "web-0")).unwrap());
    evicted(&cluster, &next)
}

#[test]
fn a_landing_of_one_size_only_is_not_certain() {
    let lands = |prediction: Prediction| -> Landing { landing(prediction) };
    assert!(lands(narrow("1", "1")).certain);
    pending(narrow("3", "1"));
    let grown = lands(narrow("1", "3"));
    assert_eq!((zones(&grown), grown.certain), (vec!["c"], false));
    let unless = grown.unless.unwrap();
    assert!(unless.what.contains("as the pod is now"), "{}", unless.what);
    let rejections = pending(unless.prediction);
    assert!(rejections.iter().any(|rejection| rejection.message == "Insufficient cpu"));
}
