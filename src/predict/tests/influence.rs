//! What others may change at most is no less than what they change.

use proptest::prelude::*;

use super::predict;
use crate::observe::Cluster;
use crate::observe::fixtures::{PodFixture, cluster, node, pod};
use crate::predict::{InFlightPods, MostChange, PendingPod, Prediction, Scheduler, SchedulerCache};

/// Tenths of a core, and gigabytes; 0 asks for nothing.
fn asks(name: &str, (cpu, memory): (u32, u32)) -> PodFixture {
    let mut asking = pod(name).image("images.example/web:1");
    if cpu > 0 {
        asking = asking.cpu(&format!("{}m", cpu * 100));
    }
    if memory > 0 {
        asking = asking.memory(&format!("{memory}Gi"));
    }
    asking
}

/// What the first node scores for the pod; none if it has no room.
fn points(cluster: &Cluster, pod: &PendingPod) -> Option<i64> {
    match predict(cluster, &InFlightPods::default(), pod) {
        Prediction::Lands(landing) => {
            landing.scores.iter().find(|score| &*score.node == "a0").map(|score| score.total)
        }
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn pods_change_no_score_by_more_than_is_said(
        room in (1..17_u32, 1..65_u32),
        there in prop::collection::vec((0..20_u32, 0..9_u32), 0..6),
        others in prop::collection::vec((0..30_u32, 0..17_u32), 1..6),
        own in (0..30_u32, 0..17_u32),
    ) {
        let nodes = || [node("a0").zone("a").cpu(&room.0.to_string()).memory(&format!("{}Gi", room.1))];
        let pods = || there.iter().enumerate().map(|(at, asked)| {
            asks(&format!("there-{at}"), *asked).on("a0")
        });
        let without = cluster(nodes(), pods());
        let coming = || others.iter().enumerate().map(|(at, asked)| {
            asks(&format!("other-{at}"), *asked).on("a0")
        });
        let with = cluster(nodes(), pods().chain(coming()));
        let pending = PendingPod::like(&asks("own", own).build());
        let cache = SchedulerCache::default();
        let scheduler = Scheduler::new(&without, &cache);
        let most = coming()
            .map(|other| scheduler.most_change("a0", &other.build().template).unwrap())
            .fold(MostChange::default(), MostChange::and)
            .points();
        if let (Some(before), Some(after)) = (points(&without, &pending), points(&with, &pending)) {
            prop_assert!((after - before).abs() <= most, "{before} becomes {after}, at most {most}");
        }
    }

    #[test]
    fn an_image_on_one_node_more_is_worth_no_more_than_is_said(
        nodes in 2..9_usize,
        holders in 1..8_usize,
        megabytes in 1..3_000_i64,
    ) {
        let built = |holders: usize| {
            let all = (0..nodes).map(|at| {
                let node = node(&format!("a{at}")).zone("a");
                if at < holders { node.image("images.example/web:1", megabytes << 20) } else { node }
            });
            cluster(all.collect::<Vec<_>>(), [])
        };
        let holders = holders.min(nodes - 1);
        let (before, after) = (built(holders), built(holders + 1));
        let pending = PendingPod::like(&asks("own", (1, 1)).build());
        let cache = SchedulerCache::default();
        let most = Scheduler::new(&before, &cache).most_image_gain(&pending, &pending);
        let gain = points(&after, &pending).unwrap() - points(&before, &pending).unwrap();
        prop_assert!((0..=most).contains(&gain), "{gain}, at most {most}");
    }
}

#[test]
fn pods_that_are_counted_or_named_are_minded_and_others_are_not() {
    let cluster = cluster([node("a0").zone("a")], []);
    let cache = SchedulerCache::default();
    let scheduler = Scheduler::new(&cluster, &cache);
    let web = || pod("web-1").spread_soft("topology.kubernetes.io/zone", 1);
    let minds = |one: PodFixture, other: PodFixture| {
        let like = |pod: PodFixture| PendingPod::like(&pod.build());
        scheduler.minding(&like(one)).minds(&like(other))
    };
    assert!(minds(web(), pod("web-2")), "it is counted");
    assert!(!minds(web(), pod("db-1")));
    assert!(!minds(web(), pod("web-2").namespace("elsewhere")));
    assert!(minds(pod("db-1").host_port(80), web().host_port(81)), "both want ports");
    let near = serde_json::json!({"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"app": "web"}}}}]}});
    let near_web = || pod("cache-1").spec("affinity", near.clone());
    assert!(
        minds(near_web(), web()) && minds(web(), near_web()),
        "pods on the nodes are asked, too"
    );
    assert!(!minds(near_web(), pod("db-1")));
}
