//! Which pods are moved, and which are left alone.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Facts, InFlight, Standing, TierPlan, TierView, gate, plan_tier, tiers_of};
use crate::api::Reason;
use crate::observe::fixtures::{PodFixture, node, pod};
use crate::observe::{Change, HealthRules, Index, Name, PolicyKey, ZoneTracker, zone_conditions};
use crate::predict::{InFlightPods, Scheduler, SchedulerCache};

/// Zones a, b and c with a node each (`a1`, `b1`, `c1`), and a policy for `app: web`.
struct Story {
    index: Index,
    zones: ZoneTracker,
    cache: SchedulerCache,
}

impl Story {
    fn new(pods: impl IntoIterator<Item = PodFixture>) -> Self {
        let mut index = Index::default();
        for zone in ["a", "b", "c"] {
            let node = node(&format!("{zone}1")).zone(zone);
            index.apply(Change::Node(node.watched()));
        }
        let set = json!({
            "metadata": {"name": "web-rs", "namespace": "default", "uid": "uid-web-rs"},
            "spec": {"replicas": 6, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
        });
        index.apply(Change::ReplicaSet(serde_json::from_value(set).unwrap()));
        for pod in pods {
            index.apply(Change::Pod(pod.watched()));
        }
        let policy = json!({
            "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "web"}}},
        });
        index.apply(Change::Policy(serde_json::from_value(policy).unwrap()));
        let mut zones = ZoneTracker::default();
        let nodes = index.cluster().nodes().map(|(node, _)| node);
        let conditions = zone_conditions(nodes, &HealthRules::default().allowed_taints);
        zones.observe(&conditions, Timestamp::UNIX_EPOCH);
        Self { index, zones, cache: SchedulerCache::default() }
    }

    fn budget(mut self, name: &str, selects: Value, allowed: i32) -> Self {
        let budget = json!({
            "metadata": {"name": name, "namespace": "default", "generation": 1},
            "spec": {"selector": {"matchLabels": selects}},
            "status": {"disruptionsAllowed": allowed, "observedGeneration": 1},
        });
        self.index.apply(Change::Budget(serde_json::from_value(budget).unwrap()));
        self
    }

    fn tier(&self) -> TierView {
        let key = PolicyKey { namespace: Name::from("default"), name: Name::from("web") };
        let policy = self.index.policy(&key).unwrap();
        let tiers =
            tiers_of(&self.index, &self.scheduler(), policy, &self.zones, Timestamp::UNIX_EPOCH);
        tiers.into_iter().next_back().unwrap()
    }

    fn scheduler(&self) -> Scheduler<'_> {
        Scheduler::new(self.index.cluster(), &self.cache)
    }

    fn plan(&self) -> TierPlan {
        let (in_flight, none) = (InFlightPods::default(), BTreeSet::new());
        plan_tier(&self.index, &self.scheduler(), &self.tier(), &self.zones, &in_flight, &[], &none)
    }

    fn first_moved(&self) -> String {
        let plan = self.plan();
        self.index.cluster().pod(plan.moves[0].pod).unwrap().name.to_string()
    }

    fn reason(&self) -> Option<Reason> {
        let facts = Facts {
            now: Timestamp::UNIX_EPOCH,
            zones: &self.zones,
            unstable: None,
            stale: None,
            throttled_until: None,
        };
        let (standing, in_flight) = (Standing::default(), InFlight::default());
        let plan = self.plan();
        gate(&self.index, &self.tier(), &plan, &facts, &standing, &in_flight)
            .map(|blocked| blocked.reason)
    }
}

fn web(number: usize, node: &str) -> PodFixture {
    pod(&format!("web-{number}"))
        .on(node)
        .owner("ReplicaSet", "web-rs")
        .spread_hard("topology.kubernetes.io/zone", 1)
}

/// Pods `web-1` to `web-6`, those in zone a of the part `db`.
fn three_three_zero() -> Vec<PodFixture> {
    let nodes = ["a1", "a1", "a1", "b1", "b1", "b1"];
    let pods = nodes.iter().enumerate().map(|(at, node)| {
        web(at + 1, node).label("part", if *node == "a1" { "db" } else { "front" })
    });
    pods.collect()
}

#[test]
fn a_pod_whose_budget_allows_an_eviction_goes_first() {
    let story = Story::new(three_three_zero());
    assert_eq!(story.first_moved(), "web-1");
    let story = story.budget("db", json!({"part": "db"}), 0);
    assert_eq!(story.first_moved(), "web-4", "the other zone is as full");
    assert_eq!(story.reason(), None);
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

/// 3/3/0 over zones of so many nodes, spread softly.
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
    assert!(obstacle.message.contains("only some of so many nodes"), "{}", obstacle.message);
}
