//! Scale-downs as a `ReplicaSet` makes them, by the costs that its pods were given.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::fixtures::{Story, web};
use super::super::skew_of;
use super::*;
use crate::api::OWN_DELETION_COST;
use crate::observe::DELETION_COST;

const ZONES: [&str; 3] = ["a1", "b1", "c1"];

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

/// A pod of the one `ReplicaSet`.
#[derive(Clone, Debug)]
struct Replica {
    number: usize,
    node: &'static str,
    /// The minute in which it was made.
    made: i64,
    cost: Option<i32>,
    /// A cost that somebody else wrote.
    users: Option<&'static str>,
}

impl Replica {
    const fn new(number: usize, node: &'static str, made: i64) -> Self {
        Self { number, node, made, cost: None, users: None }
    }

    fn name(&self) -> Name {
        Name::from(format!("web-{}", self.number))
    }

    /// What its owner sorts by: it removes the lowest.
    fn cost(&self) -> i32 {
        self.users.map_or_else(|| self.cost.unwrap_or(0), |cost| cost.parse().unwrap())
    }
}

/// A tier of one `ReplicaSet`, which goes by costs and then removes the youngest.
#[derive(Default)]
struct Tier {
    pods: Vec<Replica>,
    made: usize,
    minute: i64,
    moved: BTreeSet<Name>,
    spec: Value,
    patches: usize,
}

impl Tier {
    fn of(nodes: &[&'static str]) -> Self {
        let mut tier = Self::default();
        for node in nodes {
            tier.make(node);
        }
        tier
    }

    fn make(&mut self, node: &'static str) {
        self.made += 1;
        self.minute += 1;
        self.pods.push(Replica::new(self.made, node, self.minute));
    }

    fn counts(&self) -> [i32; 3] {
        ZONES.map(|node| {
            let own = self.pods.iter().filter(|pod| pod.node == node);
            i32::try_from(own.count()).unwrap()
        })
    }

    fn story(&self) -> Story {
        let pods = self.pods.iter().map(|replica| {
            let mut pod = web(replica.number, replica.node).created(at(replica.made));
            if let Some(cost) = replica.cost {
                let cost = cost.to_string();
                pod = pod.annotation(DELETION_COST, &cost).annotation(OWN_DELETION_COST, &cost);
            }
            replica.users.into_iter().fold(pod, |pod, cost| pod.annotation(DELETION_COST, cost))
        });
        let mut spec = json!({"selector": {"matchLabels": {"app": "web"}}});
        if let Some(more) = self.spec.as_object() {
            spec.as_object_mut().unwrap().extend(more.clone());
        }
        Story::new(pods).policy(spec)
    }

    /// The changes are made; how many there were.
    fn guide(&mut self) -> usize {
        let story = self.story();
        let changes = cost_changes(&story.index, &story.tier(), &self.moved, at(self.minute));
        for CostChange { pod, cost } in &changes {
            let name = &story.index.cluster().pod(*pod).unwrap().name;
            let own = self.pods.iter_mut().find(|known| known.name() == *name).unwrap();
            assert_eq!(own.users, None, "{name}: somebody else's cost");
            own.cost = *cost;
        }
        self.patches += changes.len();
        changes.len()
    }

    fn scale(&mut self, to: usize) -> Vec<Replica> {
        while self.pods.len() < to {
            let counts = self.counts();
            let least = (0..3).min_by_key(|zone| counts[*zone]).unwrap();
            self.make(ZONES[least]);
        }
        self.pods.sort_by_key(|pod| (pod.cost(), std::cmp::Reverse(pod.made)));
        let excess = self.pods.len() - to;
        self.pods.drain(..excess).collect()
    }

    fn costs(&self, node: &str) -> Vec<(usize, i32)> {
        let mut costs: Vec<_> = self
            .pods
            .iter()
            .filter(|pod| pod.node == node)
            .map(|pod| (pod.number, pod.cost.unwrap_or(0)))
            .collect();
        costs.sort_unstable();
        costs
    }

    fn skew(&self) -> i32 {
        skew_of(self.counts())
    }
}

#[test]
fn the_youngest_of_a_zone_goes_first_and_each_pod_is_written_once() {
    let mut tier = Tier::of(&["a1", "b1", "c1", "a1", "b1", "c1"]);
    assert_eq!(tier.guide(), 6);
    assert_eq!(tier.costs("a1"), [(1, -2), (4, -4)]);
    assert_eq!(tier.guide(), 0, "it stands");
    tier.scale(9);
    assert_eq!(tier.guide(), 3, "only what is new");
    assert_eq!(tier.costs("c1"), [(3, -2), (6, -4), (9, -6)]);
    for replicas in [6, 3] {
        tier.scale(replicas);
        assert_eq!((tier.skew(), tier.guide()), (0, 0));
    }
}

#[test]
fn a_pod_in_place_of_another_takes_its_level() {
    let mut tier = Tier::of(&["a1", "b1", "c1", "a1", "b1", "c1"]);
    tier.guide();
    tier.pods.retain(|pod| pod.number != 1);
    tier.make("a1");
    assert_eq!(tier.guide(), 1);
    assert_eq!(tier.costs("a1"), [(4, -4), (7, -2)]);
}

#[test]
fn what_was_just_moved_goes_last_of_its_zone_and_of_its_level() {
    // Zone c was out and is back: one old pod is there, and one that was moved.
    let mut tier = Tier::of(&["a1", "b1", "c1", "a1", "b1"]);
    tier.guide();
    tier.make("c1");
    tier.moved.insert(Name::from("web-6"));
    assert_eq!(tier.guide(), 2, "the old one makes place");
    assert_eq!(tier.costs("c1"), [(3, -4), (6, -1)]);
    for replicas in (3..6).rev() {
        tier.scale(replicas);
        assert!(tier.pods.iter().any(|pod| pod.number == 6), "{:?}", tier.pods);
        assert!(tier.skew() <= 1);
    }
    // Nobody remembers the move any more: what its cost says is enough, for an hour.
    tier.moved.clear();
    assert_eq!(tier.guide(), 0);
    tier.minute += 60;
    assert_eq!(tier.guide(), 1);
    assert_eq!(tier.costs("c1"), [(6, -2)]);
}

#[test]
fn after_a_recovery_the_first_to_go_are_none_that_were_moved() {
    let mut tier = Tier::of(&["a1", "b1", "a1", "b1"]);
    for _ in 0..2 {
        tier.make("c1");
        tier.moved.insert(Name::from(format!("web-{}", tier.made)));
    }
    tier.guide();
    let gone: Vec<usize> = tier.scale(4).iter().map(|pod| pod.number).collect();
    assert_eq!(gone, [4, 3]);
}

#[test]
fn a_cost_that_somebody_else_wrote_stays_and_is_reckoned_with() {
    let mut tier = Tier::of(&["a1", "b1", "c1", "a1", "b1", "c1", "a1", "b1", "c1"]);
    tier.pods[0].users = Some("100");
    tier.pods[4].users = Some("-100");
    assert_eq!(tier.guide(), 7);
    // What stays is below the others of its zone, what goes first is not.
    assert_eq!(tier.costs("a1"), [(1, 0), (4, -4), (7, -6)]);
    assert_eq!(tier.costs("b1"), [(2, -2), (5, 0), (8, -4)]);
    for replicas in (3..9).rev() {
        tier.scale(replicas);
        assert!(tier.skew() <= 1, "{:?}", tier.pods);
    }
}

#[test]
fn pods_of_others_in_the_zone_stay_below() {
    let others = ["b1", "c1", "c1"].iter().enumerate();
    let others = others.map(|(at, node)| web(10 + at, node).owner("ReplicaSet", "other"));
    let own = ["a1", "a1", "a1", "b1", "b1", "c1"].iter().enumerate();
    let own = own.map(|(at, node)| web(at, node).created(at_number(at)));
    let story = Story::new(own.chain(others));
    let changes = cost_changes(&story.index, &story.tier(), &BTreeSet::new(), at(0));
    let cost = |name: &str| {
        let id = story.index.cluster().pod_id("default", name).unwrap();
        changes.iter().find(|change| change.pod == id).unwrap().cost.unwrap()
    };
    assert_eq!(["web-0", "web-1", "web-2"].map(cost), [-2, -4, -6]);
    assert_eq!(["web-3", "web-4"].map(cost), [-4, -6]);
    assert_eq!(cost("web-5"), -6);
}

fn at_number(number: usize) -> Timestamp {
    at(i64::try_from(number).unwrap())
}

#[test]
fn off_takes_back_what_the_operator_wrote_and_nothing_else() {
    let mut tier = Tier::of(&["a1", "b1", "c1"]);
    tier.pods[1].users = Some("7");
    assert_eq!(tier.guide(), 2);
    tier.spec = json!({"rebalance": {"scaleIn": "Never"}});
    assert_eq!((tier.guide(), tier.guide()), (2, 0));
    assert!(tier.pods.iter().all(|pod| pod.cost.is_none()));
    assert_eq!(tier.pods[1].users, Some("7"));
}

#[test]
fn whose_pods_must_not_be_touched_is_not_guided() {
    let spread = ["a1", "b1", "c1"];
    for spec in [
        json!({"mode": "Observe"}),
        json!({"mode": "Observe", "rebalance": {"scaleIn": "Never"}}),
        json!({"rebalance": {"scaleIn": "Never"}}),
    ] {
        let mut tier = Tier::of(&spread);
        tier.spec = spec.clone();
        assert_eq!(tier.guide(), 0, "{spec}");
    }
    let mut unbalanced = Tier::of(&["a1", "a1", "b1"]);
    assert_eq!(unbalanced.guide(), 0);
    // A StatefulSet removes its last pod, whatever it costs, and a pod that starts is the first.
    let pods = [web(1, "a1").owner("StatefulSet", "db"), web(2, "b1").not_ready(), web(3, "c1")];
    let story = Story::new(pods);
    let changes = cost_changes(&story.index, &story.tier(), &BTreeSet::new(), at(0));
    assert_eq!(changes.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn scale_downs_never_unbalance_a_guided_tier(
        sizes in prop::collection::vec(1_usize..15, 1..12),
        moved in prop::collection::vec(any::<bool>(), 15),
    ) {
        let mut tier = Tier::default();
        let mut new = 0;
        for replicas in sizes {
            let before = tier.made;
            let gone = tier.scale(replicas);
            new += tier.made - before;
            prop_assert!(tier.skew() <= 1, "{:?} to {replicas}: {:?}", gone, tier.counts());
            // Pods that were just moved go only once nobody else of their zone is left.
            for gone in gone.iter().filter(|pod| tier.moved.contains(&pod.name())) {
                let mut stay = tier.pods.iter().filter(|pod| pod.node == gone.node);
                prop_assert!(stay.all(|pod| tier.moved.contains(&pod.name())));
            }
            let made = tier.pods.iter().filter(|pod| pod.number > before);
            let chosen = made.filter(|pod| moved[pod.number % 15]).map(Replica::name);
            let chosen: Vec<Name> = chosen.collect();
            // Who makes place for one that was moved is changed as well.
            new += chosen.len();
            tier.moved.extend(chosen);
            tier.guide();
            prop_assert_eq!(tier.guide(), 0);
        }
        prop_assert!(tier.patches <= new, "{} patches, {new} changed pods", tier.patches);
    }
}
