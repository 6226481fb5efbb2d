//! `InterPodAffinity` and `NodeAffinity`, cases that the source of kube-scheduler decides.

use rstest::rstest;
use serde_json::{Value, json};

use super::predict;
use super::stories::{ZONE, evicted, landing, pending, score, three_zones, zones};
use crate::observe::Name;
use crate::observe::fixtures::{PodFixture, cluster, node, pod};
use crate::predict::{InFlightPods, PendingPod, Prediction};

const HOST: &str = "kubernetes.io/hostname";

fn term(app: &str, key: &str) -> Value {
    json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key})
}

fn with(pod: PodFixture, kind: &str, strength: &str, terms: &Value) -> PodFixture {
    let mut rules = json!({});
    rules[format!("{strength}DuringSchedulingIgnoredDuringExecution")] = terms.clone();
    let mut affinity = json!({});
    affinity[kind] = rules;
    pod.spec("affinity", affinity)
}

fn needs(pod: PodFixture, kind: &str, term: &Value) -> PodFixture {
    with(pod, kind, "required", &json!([term]))
}

fn likes(pod: PodFixture, kind: &str, weight: i32, term: &Value) -> PodFixture {
    with(pod, kind, "preferred", &json!([{"weight": weight, "podAffinityTerm": term}]))
}

fn goes(pods: impl IntoIterator<Item = PodFixture>, newcomer: PodFixture) -> Prediction {
    let cluster = cluster(three_zones(), pods);
    predict(&cluster, &InFlightPods::default(), &PendingPod::like(&newcomer.build()))
}

#[test]
fn a_pod_that_must_be_alone_waits_for_the_one_that_leaves() {
    let alone = |name: &str| needs(pod(name), "podAntiAffinity", &term("web", ZONE));
    let pods = ["a1", "b1", "c1"].iter().enumerate();
    let pods = pods.map(|(at, node)| alone(&format!("web-{at}")).on(node));
    let cluster = cluster(three_zones(), pods);
    // A terminating pod is still minded: interpodaffinity/filtering.go looks at all pods.
    let rejections = pending(evicted(&cluster, "web-0"));
    let reasons: Vec<&str> = rejections.iter().map(|rejection| &*rejection.message).collect();
    assert_eq!(reasons, ["node(s) didn't match pod anti-affinity rules"; 6]);
}

#[test]
fn pods_that_run_keep_others_away() {
    let loner = needs(pod("db-0"), "podAntiAffinity", &term("web", ZONE)).on("a1");
    let landing = landing(goes([loner], pod("web-0")));
    assert_eq!(zones(&landing), ["b", "c"]);
    assert_eq!(
        landing.rejections[0].message,
        "node(s) didn't satisfy existing pods anti-affinity rules"
    );
}

#[test]
fn a_pod_goes_where_the_pods_are_that_it_needs() {
    let near = |name: &str| needs(pod(name), "podAffinity", &term("cache", ZONE));
    let landing = landing(goes([pod("cache-0").on("b1")], near("web-0")));
    assert_eq!(zones(&landing), ["b"]);
    let rejections = pending(goes([], near("web-0")));
    assert_eq!(rejections[0].message, "node(s) didn't match pod affinity rules");
    // The first of a group that wants to be together may go anywhere.
    let first = needs(pod("cache-0"), "podAffinity", &term("cache", ZONE));
    assert_eq!(zones(&self::landing(goes([], first))), ["a", "b", "c"]);
}

#[rstest]
#[case::own_namespace_only(json!({}), vec!["a", "b", "c"])]
#[case::named(json!({"namespaces": ["other"]}), vec!["b", "c"])]
#[case::every_namespace(json!({"namespaceSelector": {}}), vec!["b", "c"])]
#[case::by_name_label(
    json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}),
    vec!["b", "c"]
)]
#[case::by_label(json!({"namespaceSelector": {"matchLabels": {"team": "x"}}}), vec!["b", "c"])]
#[case::by_another_label(
    json!({"namespaceSelector": {"matchLabels": {"team": "y"}}}),
    vec!["a", "b", "c"]
)]
fn terms_reach_the_namespaces_they_name(#[case] reach: Value, #[case] free: Vec<&str>) {
    let mut far = term("db", ZONE);
    far.as_object_mut().unwrap().extend(reach.as_object().unwrap().clone());
    let labels = |name: &str| {
        [("kubernetes.io/metadata.name", name), ("team", "x")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    };
    let mut cluster = cluster(three_zones(), [pod("db-0").namespace("other").on("a1")]);
    cluster.put_namespace(Name::from("other"), labels("other"));
    let web = needs(pod("web-0"), "podAntiAffinity", &far).build();
    let landing = landing(predict(&cluster, &InFlightPods::default(), &PendingPod::like(&web)));
    assert_eq!(zones(&landing), free);

    // The same from the other side: a pod that runs keeps the newcomer away.
    if far.get("namespaces").is_some() {
        far["namespaces"] = json!(["default"]);
    }
    let mut cluster = crate::observe::fixtures::cluster(
        three_zones(),
        [needs(pod("web-0"), "podAntiAffinity", &far).namespace("other").on("a1")],
    );
    cluster.put_namespace(Name::from("default"), labels("other"));
    let db = pod("db-0").build();
    let landing =
        self::landing(predict(&cluster, &InFlightPods::default(), &PendingPod::like(&db)));
    assert_eq!(zones(&landing), free);
}

#[test]
fn label_keys_narrow_terms_to_the_pods_own_labels() {
    let keyed = |field: &str| {
        let mut term = term("web", ZONE);
        term[field] = json!(["tenant"]);
        needs(pod("web-9"), "podAntiAffinity", &term).label("tenant", "x")
    };
    let pods =
        || [pod("web-0").on("a1").label("tenant", "x"), pod("web-1").on("b1").label("tenant", "y")];
    assert_eq!(zones(&landing(goes(pods(), keyed("matchLabelKeys")))), ["b", "c"]);
    assert_eq!(zones(&landing(goes(pods(), keyed("mismatchLabelKeys")))), ["a", "c"]);
}

#[test]
fn preferences_count_both_ways() {
    let cache = likes(pod("cache-0"), "podAffinity", 50, &term("web", ZONE)).on("a1");
    let batch = likes(pod("batch-0"), "podAntiAffinity", 100, &term("web", ZONE)).on("b1");
    let needy = needs(pod("needy-0"), "podAffinity", &term("web", ZONE)).on("c1");
    let web = likes(pod("web-0"), "podAffinity", 20, &term("cache", HOST));
    let landing = landing(goes([cache, batch, needy], web));
    // a1: 50 + 20, a2: 50, b: -100, c: 1 (a required affinity counts 1).
    // 100 * (raw + 100) / 170, cut off, twice.
    let scores = ["a1", "a2", "b1", "c1"].map(|node| score(&landing, node, "InterPodAffinity"));
    assert_eq!(scores, [200, 176, 0, 118]);
}

#[rstest]
#[case(json!([{"matchExpressions": [{"key": "gen", "operator": "Gt", "values": ["3"]}]}]), &["b1"])]
#[case(json!([{"matchExpressions": [{"key": "gen", "operator": "Lt", "values": ["3"]}]}]), &["a1"])]
#[case(json!([{"matchExpressions": [{"key": "gen", "operator": "NotIn", "values": ["2"]}]}]), &["b1", "c1"])]
#[case(json!([{"matchExpressions": [{"key": "gen", "operator": "DoesNotExist"}]}]), &["c1"])]
#[case(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c1"]}]}]), &["c1"])]
#[case(json!([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["c1"]}]}]), &["a1", "b1"])]
#[case::terms_are_alternatives(json!([
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c1"]}]},
    {"matchExpressions": [{"key": "gen", "operator": "In", "values": ["2"]}]},
]), &["a1", "c1"])]
#[case::an_empty_term_matches_nothing(json!([{}]), &[])]
fn required_node_affinity_picks_nodes(#[case] terms: Value, #[case] fit: &[&str]) {
    let nodes = [
        node("a1").zone("a").label("gen", "2"),
        node("b1").zone("b").label("gen", "5"),
        node("c1").zone("c"),
    ];
    let web = with(pod("web-0"), "nodeAffinity", "required", &json!({"nodeSelectorTerms": terms}));
    let cluster = cluster(nodes, []);
    match predict(&cluster, &InFlightPods::default(), &PendingPod::like(&web.build())) {
        Prediction::Lands(landing) => {
            let nodes: Vec<&str> = landing.scores.iter().map(|score| &*score.node).collect();
            assert_eq!(nodes, fit);
        }
        Prediction::Pending(_) => assert!(fit.is_empty()),
        Prediction::Unpredictable(reason) => panic!("{reason}"),
    }
}

#[test]
fn preferred_node_affinity_adds_up() {
    let prefer = |weight: i32, zone: &str| {
        let expressions = json!([{"key": ZONE, "operator": "In", "values": [zone]}]);
        json!({"weight": weight, "preference": {"matchExpressions": expressions}})
    };
    let terms = json!([prefer(30, "a"), prefer(10, "b"), prefer(5, "b")]);
    let landing = landing(goes([], with(pod("web-0"), "nodeAffinity", "preferred", &terms)));
    assert_eq!(zones(&landing), ["a"]);
    let scores = ["a1", "b1", "c1"].map(|node| score(&landing, node, "NodeAffinity"));
    assert_eq!(scores, [200, 100, 0]);
}
