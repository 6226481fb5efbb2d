//! `PodTopologySpread`, cases that the source of kube-scheduler decides.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::TopologySpreadConstraint;
use rstest::rstest;
use serde_json::{Value, json};

use super::predict;
use super::stories::{ZONE, evicted, landing, pending, score, three_zones, web_on, zones};
use crate::observe::fixtures::{PodFixture, cluster, node, pod, replica_set, service};
use crate::observe::{Cluster, Name, SpreadConstraint};
use crate::predict::{
    DefaultConstraints, InFlightPods, PendingPod, Plugin, Prediction, Scheduler, SchedulerCache,
    SchedulerConfig,
};

/// Where one more pod like `pod` goes.
fn one_more(cluster: &Cluster, pod: PodFixture) -> Prediction {
    predict(cluster, &InFlightPods::default(), &PendingPod::like(&pod.build()))
}

/// The zones whose nodes can take the pod, the best or not.
fn open_zones(prediction: Prediction) -> Vec<String> {
    let scores = landing(prediction).scores;
    let zones: BTreeSet<_> = scores.into_iter().filter_map(|score| score.zone).collect();
    zones.iter().map(ToString::to_string).collect()
}

#[test]
fn pods_that_end_or_belong_elsewhere_do_not_count() {
    let spread = |pod: PodFixture| pod.spread_hard(ZONE, 1);
    let mut pods = web_on(&["a1", "b1", "c1"], spread);
    pods.push(spread(pod("web-9")).on("c2").terminating());
    pods.push(spread(pod("web-8")).on("c2").phase("Succeeded"));
    pods.push(spread(pod("web-7")).on("c2").namespace("other"));
    pods.push(spread(pod("web-6")));
    pods.push(spread(pod("db-0")).on("c2"));
    pods.push(spread(pod("web-5")).on("a2"));
    let cluster = cluster(three_zones(), pods);
    // 2/1/1: all but zone a.
    assert_eq!(open_zones(one_more(&cluster, spread(pod("web-4")))), ["b", "c"]);
}

#[test]
fn too_few_domains_count_as_an_empty_one() {
    let nodes = || three_zones().into_iter().take(4);
    let spread = |min: Value| {
        move |pod: PodFixture| {
            let more = json!({"minDomains": min});
            pod.spread(ZONE, 1, "DoNotSchedule", more)
        }
    };
    let two = cluster(nodes(), web_on(&["a1", "b1"], spread(json!(2))));
    assert_eq!(zones(&landing(one_more(&two, spread(json!(2))(pod("web-9"))))), ["a", "b"]);
    let rejections = pending(one_more(&two, spread(json!(3))(pod("web-9"))));
    assert_eq!(rejections.len(), 4);
}

#[rstest]
// A cordon is no taint here: zone c exists, is empty, and blocks the others.
#[case::policies_by_default(json!({}), false)]
#[case::taints_ignored(json!({"nodeTaintsPolicy": "Ignore"}), false)]
#[case::taints_honoured(json!({"nodeTaintsPolicy": "Honor"}), true)]
fn a_tainted_zone_counts_as_empty_unless_taints_are_honoured(
    #[case] policy: Value,
    #[case] lands: bool,
) {
    let mut nodes = three_zones();
    for node in &mut nodes[4..] {
        *node = node.clone().taint("maintenance", "NoSchedule");
    }
    let spread = |pod: PodFixture| pod.spread(ZONE, 1, "DoNotSchedule", policy.clone());
    let cluster = cluster(nodes, web_on(&["a1", "b1"], spread));
    match one_more(&cluster, spread(pod("web-9"))) {
        Prediction::Lands(landing) if lands => assert_eq!(zones(&landing), ["a", "b"]),
        Prediction::Pending(_) if !lands => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn nodes_that_the_pod_cannot_use_are_no_domains_unless_affinity_is_ignored() {
    let mut nodes = three_zones();
    for node in &mut nodes[..4] {
        *node = node.clone().label("pool", "apps");
    }
    let spread = |policy: &str| {
        let more = json!({"nodeAffinityPolicy": policy});
        move |pod: PodFixture| {
            pod.spec("nodeSelector", json!({"pool": "apps"})).spread(
                ZONE,
                1,
                "DoNotSchedule",
                more.clone(),
            )
        }
    };
    let cluster = cluster(nodes, web_on(&["a1", "b1"], spread("Honor")));
    let honoured = landing(one_more(&cluster, spread("Honor")(pod("web-9"))));
    assert_eq!(zones(&honoured), ["a", "b"]);
    pending(one_more(&cluster, spread("Ignore")(pod("web-9"))));
}

#[test]
fn a_node_without_the_label_cannot_satisfy_a_hard_constraint() {
    let mut nodes = three_zones();
    nodes.push(node("stray"));
    let spread = |pod: PodFixture| pod.spread_hard(ZONE, 1);
    let cluster = cluster(nodes, web_on(&["a1", "b1"], spread));
    let landing = landing(one_more(&cluster, spread(pod("web-9"))));
    assert_eq!(zones(&landing), ["c"]);
    let stray = landing.rejections.iter().find(|rejection| &*rejection.node == "stray").unwrap();
    assert_eq!(
        stray.message,
        "node(s) didn't match pod topology spread constraints (missing required label)"
    );
}

#[test]
fn match_label_keys_count_one_revision_only() {
    let spread = |pod: PodFixture| {
        pod.spread(ZONE, 1, "DoNotSchedule", json!({"matchLabelKeys": ["pod-template-hash"]}))
    };
    let old = |pod: PodFixture| spread(pod).label("pod-template-hash", "old");
    let cluster = cluster(three_zones(), web_on(&["a1", "a2", "b1", "b2"], old));
    let new = spread(pod("web-9")).label("pod-template-hash", "new");
    assert_eq!(open_zones(one_more(&cluster, new)), ["a", "b", "c"]);
}

#[test]
fn a_selector_of_everything_counts_nothing() {
    let spread =
        |pod: PodFixture| pod.spread(ZONE, 1, "DoNotSchedule", json!({"labelSelector": {}}));
    let cluster = cluster(three_zones(), web_on(&["a1", "a2", "a1", "b1"], spread));
    assert_eq!(open_zones(one_more(&cluster, spread(pod("web-9")))), ["a", "b", "c"]);
}

#[test]
fn without_constraints_the_scheduler_spreads_what_services_and_owners_select() {
    let web = |pod: PodFixture| pod.owner("ReplicaSet", "web");
    let pods = web_on(&["a1", "a2", "b1", "b2", "a1", "b1"], web);
    let mut cluster = cluster(three_zones(), pods);
    let nowhere = evicted(&cluster, "web-0");
    assert!(matches!(nowhere, Prediction::Unpredictable(_)), "the ReplicaSet is not known yet");
    cluster.put_workload(replica_set("web", "web"));
    let landing = landing(evicted(&cluster, "web-0"));
    assert_eq!(zones(&landing), ["c"]);
    // Hostname: 1 pod (a1), 1 (a2), 2 (b1), 1 (b2), 0, 0, each ln(8), plus 2.
    // Zone: 2, 3, 0, each ln(5), plus 4. Rounded: 11, 11, 15, 13, 6, 6.
    let scores =
        ["a1", "a2", "b1", "b2", "c1", "c2"].map(|node| score(&landing, node, "PodTopologySpread"));
    assert_eq!(scores, [132, 132, 80, 106, 200, 200]);
}

#[test]
fn a_service_alone_is_enough_for_the_defaults() {
    let mut cluster = cluster(three_zones(), web_on(&["a1", "a2", "b1"], |pod| pod));
    let one = || pod("web-9");
    assert_eq!(zones(&landing(one_more(&cluster, one()))), ["b", "c"], "only emptier nodes");
    cluster.put_service(service("web", "web"));
    let spread = landing(one_more(&cluster, one()));
    assert_eq!(zones(&spread), ["c"]);
    let nodes = landing(predict_with_defaults(&cluster, Vec::new(), one())).nodes;
    assert_eq!(nodes, ["b2", "c1", "c2"].map(Name::from));
}

/// Where a pod goes if the scheduler has default constraints of its own.
fn predict_with_defaults(
    cluster: &Cluster,
    constraints: Vec<SpreadConstraint>,
    newcomer: PodFixture,
) -> Prediction {
    let default_constraints = DefaultConstraints::List(constraints);
    let config = SchedulerConfig { default_constraints, ..SchedulerConfig::default() };
    let cache = SchedulerCache::new(config);
    let pod = PendingPod::like(&newcomer.build());
    Scheduler::new(cluster, &cache).predict(&InFlightPods::default(), &pod)
}

#[test]
fn default_constraints_of_a_cloud_take_the_place_of_the_systems() {
    let zone = |max_skew: i32, action: &str| -> SpreadConstraint {
        let constraint =
            json!({"maxSkew": max_skew, "topologyKey": ZONE, "whenUnsatisfiable": action});
        let constraint: TopologySpreadConstraint = serde_json::from_value(constraint).unwrap();
        constraint.try_into().unwrap()
    };
    let mut cluster = cluster(three_zones(), web_on(&["a1", "a2", "b1", "b2", "a1"], |pod| pod));
    let one = || pod("web-9");
    let with = |cluster: &Cluster, max_skew, action| {
        predict_with_defaults(cluster, vec![zone(max_skew, action)], one())
    };
    let nobody = landing(with(&cluster, 1, "ScheduleAnyway"));
    assert_eq!(score(&nobody, "c1", "PodTopologySpread"), 0, "nothing selects the pod");
    cluster.put_service(service("web", "web"));
    // 3, 2 and 0 pods, each ln(5), and nothing more: 5, 3 and 0.
    let softly = landing(with(&cluster, 1, "ScheduleAnyway"));
    let scores = ["a1", "b1", "c1"].map(|node| score(&softly, node, "PodTopologySpread"));
    assert_eq!(scores, [0, 80, 200]);
    let hard = landing(with(&cluster, 1, "DoNotSchedule"));
    assert_eq!((zones(&hard), hard.certain), (vec!["c"], true));
    assert_eq!(hard.rejections[0].plugin, Plugin::PodTopologySpread);
    // A pod with constraints of its own gets none of the defaults.
    let own = one().spread_soft("kubernetes.io/hostname", 1);
    let own = predict_with_defaults(&cluster, vec![zone(1, "DoNotSchedule")], own);
    assert_eq!(landing(own).rejections, []);
}

#[test]
fn the_pull_fades_as_replicas_grow() {
    // 21/22/16 after the eviction, each ln(5), rounded: 34, 35 and 26. Zone a
    // gets 100 * (35 + 26 - 34) / 35 = 77, twice.
    let nodes = ["a1", "b1", "c1"].map(|name| node(name).zone(&name[..1]).room_for_pods(500));
    let homes = [vec!["a1"; 22], vec!["b1"; 22], vec!["c1"; 16]].concat();
    let cluster = cluster(nodes, web_on(&homes, |pod| pod.spread_soft(ZONE, 1)));
    let landing = landing(evicted(&cluster, "web-0"));
    assert_eq!(score(&landing, "c1", "PodTopologySpread"), 200);
    assert_eq!(score(&landing, "a1", "PodTopologySpread"), 154);
    assert_eq!(score(&landing, "b1", "PodTopologySpread"), 148);
}
