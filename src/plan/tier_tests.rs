//! Which pods, workloads and zones are a tier's.

use serde_json::json;

use super::TierView;
use super::fixtures::{Story, three_three_zero, web};
use crate::observe::Change;
use crate::observe::fixtures::{PodFixture, node};

/// The pods carry the tier label, and the template of their `ReplicaSet` does not.
fn labelled_at_admission(pods: impl IntoIterator<Item = PodFixture>) -> Story {
    let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "tierLabel": "tier"});
    Story::new(pods).policy(spec)
}

fn wanted(tiers: &[TierView]) -> Vec<(&str, i32, Vec<i32>)> {
    tiers.iter().map(|tier| (&*tier.name, tier.desired, tier.counts().collect())).collect()
}

#[test]
fn a_label_that_is_added_at_admission_makes_the_owner_a_workload_of_the_tier() {
    let pods = three_three_zero().into_iter().map(|pod| pod.label("tier", "front"));
    let story = labelled_at_admission(pods);
    assert_eq!(wanted(&story.tiers()), [("front", 6, vec![3, 3, 0])]);
}

#[test]
fn a_pod_that_such_an_owner_lacks_is_missed() {
    let pods = three_three_zero().into_iter().skip(1).map(|pod| pod.label("tier", "front"));
    let story = labelled_at_admission(pods);
    assert_eq!(wanted(&story.tiers()), [("front", 6, vec![2, 3, 0])]);
    assert_eq!(story.tiers()[0].missing(), 1);
}

#[test]
fn the_pods_of_an_owner_with_two_labels_are_wanted_where_they_are() {
    let label = |at: usize| if at < 2 { "old" } else { "new" };
    let pods = three_three_zero();
    let pods = pods.into_iter().enumerate().skip(1);
    let story = labelled_at_admission(pods.map(|(at, pod)| pod.label("tier", label(at))));
    // The one that is missing is of the tier with most of them.
    assert_eq!(wanted(&story.tiers()), [("new", 5, vec![1, 3, 0]), ("old", 1, vec![1, 0, 0])]);
}

#[test]
fn a_policy_looks_again_when_such_an_owner_is_scaled() {
    let pods = three_three_zero().into_iter().map(|pod| pod.label("tier", "front"));
    let mut story = labelled_at_admission(pods);
    story.index.take_changed();
    let set = json!({
        "metadata": {"name": "web-rs", "namespace": "default", "uid": "uid-web-rs"},
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"hash": "1"}}, "spec": {"containers": []}}},
    });
    story.index.apply(Change::ReplicaSet(serde_json::from_value(set).unwrap()));
    assert_eq!(story.index.take_changed().policies.len(), 1);
    assert_eq!(story.tiers()[0].desired, 4);
}

#[test]
fn pods_on_nodes_without_a_zone_or_on_nodes_that_are_gone_are_in_no_zone() {
    let mut story = Story::new([web(1, "a1"), web(2, "nowhere"), web(3, "gone")]);
    story.index.apply(Change::Node(node("nowhere").watched()));
    let tiers = story.tiers();
    assert_eq!((tiers[0].unzoned.len(), tiers[0].pods()), (2, 3));
}
