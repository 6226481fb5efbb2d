//! Which pods are moved, and which are left alone.

use serde_json::json;

use super::PlanInput;
use super::fixtures::{Story, three_three_zero, web};
use crate::api::Reason;
use crate::observe::fixtures::{PodFixture, node, pod};
use crate::observe::{Change, Name};

#[test]
fn a_pod_whose_budget_allows_an_eviction_goes_first() {
    let story = Story::new(three_three_zero());
    assert_eq!(story.first_moved(), "web-1");
    let story = story.budget("db", json!({"part": "db"}), 0);
    assert_eq!(story.first_moved(), "web-4", "the other zone is as full");
    assert_eq!(story.reason(), None);
}

#[test]
fn what_a_surge_under_way_has_made_is_not_moved() {
    let story = Story::new(three_three_zero());
    let pods = |input: &PlanInput| -> Vec<String> {
        let name = |id| story.index.cluster().pod(id).unwrap().name.to_string();
        story.plan_with(input).moves.iter().map(|planned| name(planned.pod)).collect()
    };
    assert_eq!(pods(&PlanInput::default()), ["web-1", "web-4"]);
    let surge_replacements = ["web-1", "web-4"].map(Name::from).into();
    assert_eq!(
        pods(&PlanInput { surge_replacements, ..PlanInput::default() }),
        ["web-2", "web-5"],
        "they may be taken back"
    );
}

#[test]
fn the_budget_is_the_reason_when_none_allows_an_eviction() {
    let story = Story::new(three_three_zero()).budget("web", json!({"app": "web"}), 0);
    assert_eq!(story.reason(), Some(Reason::BudgetExhausted));
    assert_eq!(story.plan().moves.len(), 2, "the way is known all the same");
}

#[test]
fn a_pod_with_two_budgets_is_left_for_one_that_can_be_evicted() {
    let story = Story::new(three_three_zero()).budget("db", json!({"part": "db"}), 5).budget(
        "more",
        json!({"part": "db"}),
        5,
    );
    assert_eq!(story.first_moved(), "web-4");
}

/// Must run near pods of the part `db`.
fn cache(number: usize, near: &str) -> PodFixture {
    let affinity = json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": near, "labelSelector": {"matchLabels": {"part": "db"}}}]}});
    pod(&format!("cache-{number}")).on("a1").spec("affinity", affinity)
}

#[test]
fn the_last_pod_that_another_must_run_near_stays() {
    let nodes = ["a1", "a1", "a1", "a1", "b1", "b1"];
    let pods = |of_db: usize| {
        let part = move |at: usize| if at < of_db { "db" } else { "front" };
        let web = nodes
            .iter()
            .enumerate()
            .map(move |(at, node)| web(at + 1, node).label("part", part(at)));
        web.chain([cache(1, "topology.kubernetes.io/zone")])
    };
    assert_eq!(Story::new(pods(1)).first_moved(), "web-2", "web-1 is what the cache needs");
    assert_eq!(Story::new(pods(2)).first_moved(), "web-1", "web-2 is left for the cache");
}

#[test]
fn a_pod_that_others_need_is_named_when_it_is_in_the_way() {
    let story = Story::new(
        [
            web(1, "a1").label("part", "db"),
            web(2, "a1").annotation("zonespread.io/do-not-evict", "true"),
        ]
        .into_iter()
        .chain([cache(1, "kubernetes.io/hostname")]),
    );
    let obstacle = story.plan().obstacle.unwrap();
    assert_eq!(obstacle.reason, Reason::Pinned);
    assert!(obstacle.message.contains("cache-1"), "{}", obstacle.message);
}

#[test]
fn a_replacement_that_may_land_on_a_node_without_a_zone_is_not_risked() {
    let soft = |at: usize, on: &str| {
        pod(&format!("web-{at}"))
            .on(on)
            .owner("ReplicaSet", "web-rs")
            .spread_soft("topology.kubernetes.io/region", 1)
    };
    let nodes = ["a1", "a1", "a1", "b1", "b1", "b1"].iter().enumerate();
    let mut story = Story::new(nodes.map(|(at, on)| soft(at + 1, on)));
    assert!(story.plan().moves.iter().all(|step| step.to.len() == 1));
    assert_eq!(story.plan().moves.len(), 2);
    story.index.apply(Change::Node(node("somewhere").watched()));
    assert_eq!(story.plan().moves, [], "it is as empty as c1");
    assert!(story.plan().obstacle.is_some());
}

/// 3/3/0 over zones with these numbers of nodes, spread softly.
fn large(nodes: [usize; 3]) -> Story {
    let soft = |at: usize, on: &str| {
        pod(&format!("web-{at}"))
            .on(on)
            .owner("ReplicaSet", "web-rs")
            .spread_soft("topology.kubernetes.io/zone", 1)
    };
    let on = ["a1", "a1", "a1", "b1", "b1", "b1"].iter().enumerate();
    let mut story = Story::new(on.map(|(at, on)| soft(at + 1, on)));
    for (zone, count) in ["a", "b", "c"].into_iter().zip(nodes) {
        for number in 2..=count {
            let node = node(&format!("{zone}{number}")).zone(zone);
            story.index.apply(Change::Node(node.watched()));
        }
    }
    story
}

#[test]
fn in_a_large_cluster_pods_are_moved_when_every_sample_of_nodes_brings_them_home() {
    assert_eq!(large([80, 80, 80]).plan().moves.len(), 2);
}

#[test]
fn in_a_large_cluster_nothing_is_moved_when_the_sample_may_miss_the_zone() {
    let plan = large([110, 110, 20]).plan();
    assert_eq!(plan.moves, []);
    let obstacle = plan.obstacle.unwrap();
    assert_eq!(obstacle.reason, Reason::Unpredictable);
    assert!(obstacle.message.contains("only a sample of the nodes"), "{}", obstacle.message);
}
