//! What holds for every plan, tried on thousands of random small tiers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;

use super::fixtures::tiers_by_record;
use super::{PlanInput, TierPlan, TierView, plan_tier, skew_of};
use crate::observe::fixtures::{PodFixture, node, pod};
use crate::observe::{
    Change, Index, Kind, Name, PolicyKey, RecentTaints, Zone, ZoneEvent, ZoneTracker,
    zone_conditions,
};
use crate::predict::{InFlightPods, PendingPod, Prediction, Scheduler, SchedulerCache};

const ZONES: [&str; 3] = ["a", "b", "c"];

/// A tier, by what makes it hard.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Nodes in each zone, and how many pods of the tier fit on each.
    pub room: [Vec<u32>; 3],
    /// For each pod, its node, counted over all nodes; and whether it is marked.
    pub pods: Vec<(usize, bool)>,
    /// Whether the tier's pods want to be spread at all, and how strictly.
    pub spread: Spread,
    pub max_skew: i32,
    /// How many moves may be under way at once.
    pub at_once: usize,
    /// A zone whose nodes the scheduler would rather avoid.
    pub avoided: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Spread {
    Soft,
    Hard,
    None,
}

pub(super) fn cases() -> impl Strategy<Value = Case> {
    let zone = || prop::collection::vec(1..4_u32, 1..3);
    let pods = prop::collection::vec((0..6_usize, prop::bool::weighted(0.15)), 1..8);
    let spread =
        prop_oneof![4 => Just(Spread::Soft), 2 => Just(Spread::Hard), 1 => Just(Spread::None)];
    let avoided = prop::option::weighted(0.2, 0..3_usize);
    (zone(), zone(), zone(), pods, spread, 1..3_i32, 1..4_usize, avoided).prop_map(
        |(a, b, c, pods, spread, max_skew, at_once, avoided)| {
            let room = [a, b, c];
            Case { room, pods, spread, max_skew, at_once, avoided }
        },
    )
}

pub(super) struct Small {
    pub index: Index,
    zones: ZoneTracker,
    cache: SchedulerCache,
    pub case: Case,
    made: u32,
    /// How many of these were there before any move.
    first: u32,
}

impl Small {
    pub fn new(case: Case) -> Self {
        let mut small = Self {
            index: Index::default(),
            zones: ZoneTracker::default(),
            cache: SchedulerCache::default(),
            case,
            made: 0,
            first: 0,
        };
        let mut nodes = Vec::new();
        for (at, zone) in ZONES.iter().enumerate() {
            for (number, room) in small.case.room[at].clone().into_iter().enumerate() {
                let name = format!("{zone}{number}");
                let mut shown = node(&name).zone(zone).cpu(&room.to_string());
                if small.case.avoided == Some(at) {
                    shown = shown.taint("busy", "PreferNoSchedule");
                }
                small.index.apply(Change::Node(shown.watched()));
                nodes.push((name, room));
            }
        }
        let mut taken: BTreeMap<String, u32> = BTreeMap::new();
        let pods = small.case.pods.clone();
        let set = json!({
            "metadata": {"name": "web-rs", "namespace": "default", "uid": "uid-web-rs"},
            "spec": {"replicas": pods.len(), "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
        });
        small.index.apply(Change::ReplicaSet(serde_json::from_value(set).unwrap()));
        for (wish, marked) in pods {
            // The next node with room from where the pod would like to be.
            let place = (0..nodes.len())
                .map(|step| &nodes[(wish + step) % nodes.len()])
                .find(|(name, room)| taken.get(name).copied().unwrap_or(0) < *room);
            let Some((name, _)) = place else { continue };
            *taken.entry(name.clone()).or_default() += 1;
            let name = name.clone();
            small.add_pod(&name, marked);
        }
        small.first = small.made;
        let policy = json!({
            "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "maxSkew": small.case.max_skew,
                "rebalance": {"maxUnavailable": small.case.at_once}},
        });
        small.index.apply(Change::Policy(serde_json::from_value(policy).unwrap()));
        let conditions = zone_conditions(
            small.index.cluster().nodes().map(|(node, _)| node),
            &RecentTaints::default(),
        );
        small.zones.on(ZoneEvent::Nodes(&conditions), Timestamp::UNIX_EPOCH);
        small
    }

    pub fn add_pod(&mut self, node: &str, marked: bool) -> String {
        self.made += 1;
        let name = format!("web-{}", self.made);
        self.show_pod(&name, node, marked);
        name
    }

    fn show_pod(&mut self, name: &str, node: &str, marked: bool) {
        let shown = self.fixture(name, node, marked);
        self.index.apply(Change::Pod(shown.watched()));
    }

    pub fn fixture(&self, name: &str, node: &str, marked: bool) -> PodFixture {
        let mut shown = pod(name).on(node).owner("ReplicaSet", "web-rs").cpu("1");
        shown = match self.case.spread {
            Spread::Soft => shown.spread_soft("topology.kubernetes.io/zone", self.case.max_skew),
            Spread::Hard => shown.spread_hard("topology.kubernetes.io/zone", self.case.max_skew),
            Spread::None => shown,
        };
        if marked {
            shown = shown.annotation("zonespread.io/do-not-evict", "true");
        }
        shown
    }

    /// A budget that allows no eviction of these pods.
    fn refuse(&mut self, pods: &[String]) {
        for pod in pods {
            self.show_again(pod, |pod| pod.label("budget", "spent"));
        }
        let budget = json!({
            "metadata": {"name": "spent", "namespace": "default", "generation": 1},
            "spec": {"selector": {"matchLabels": {"budget": "spent"}}},
            "status": {"disruptionsAllowed": 0, "observedGeneration": 1},
        });
        self.index.apply(Change::Budget(serde_json::from_value(budget).unwrap()));
    }

    /// These pods are not to be moved.
    fn mark(&mut self, pods: &[String]) {
        for pod in pods {
            self.show_again(pod, |pod| {
                pod.label("budget", "spent").annotation("zonespread.io/do-not-evict", "true")
            });
        }
    }

    /// Whether the pod came in place of one that was moved.
    fn is_replacement(&self, name: &str) -> bool {
        (self.first + 1..=self.made).any(|made| name == format!("web-{made}"))
    }

    /// What has moved is not to be moved again.
    fn mark_replacements(&mut self) {
        for made in self.first + 1..=self.made {
            self.show_again(&format!("web-{made}"), |pod| {
                pod.annotation("zonespread.io/do-not-evict", "true")
            });
        }
    }

    /// Makes the moves of a plan, each on a node where it may land.
    pub fn carry_out(&mut self, plan: &TierPlan) {
        for planned in &plan.moves {
            let pod = self.index.cluster().pod(planned.pod).unwrap();
            assert!(pod.keep.is_none(), "a marked pod is never moved");
            let view = self.view().unwrap();
            for to in &planned.to {
                assert!(helps(&view, Some(&planned.from), to), "{planned:?} lowers nothing");
            }
            let name = pod.name.to_string();
            let node = planned.nodes[0].to_string();
            self.make_move(&name, &node);
            let (target, entry) = self.index.cluster().node(&node).unwrap();
            let room = target.allocatable.cpu_milli;
            assert!(entry.requested.cpu_milli <= room, "no room on {node}");
        }
    }

    pub fn show_again(&mut self, name: &str, change: impl Fn(PodFixture) -> PodFixture) {
        let id = self.index.cluster().pod_id("default", name).unwrap();
        let pod = self.index.cluster().pod(id).unwrap();
        let marked = pod.keep.is_some();
        let node = pod.node.as_ref().unwrap().to_string();
        let shown = change(self.fixture(name, &node, marked));
        self.index.apply(Change::Pod(shown.watched()));
    }

    pub fn view(&self) -> Option<TierView> {
        let key = PolicyKey { namespace: Name::from("default"), name: Name::from("web") };
        let policy = self.index.policy(&key).unwrap();
        tiers_by_record(&self.index, &self.scheduler(), policy, &self.zones).pop()
    }

    pub fn scheduler(&self) -> Scheduler<'_> {
        Scheduler::new(self.index.cluster(), &self.cache)
    }

    pub fn plan(&self, view: &TierView) -> TierPlan {
        plan_tier(&self.index, &self.scheduler(), view, &PlanInput::default())
    }

    pub fn remove_pod(&mut self, name: &str) {
        self.index.apply(Change::Gone(Kind::Pod, Name::from("default"), Name::from(name)));
    }

    /// Evicts a pod, and makes its replacement on the node.
    fn make_move(&mut self, name: &str, node: &str) -> String {
        self.remove_pod(name);
        self.add_pod(node, false)
    }

    /// Pods per zone if these moves are made, by trying all sequences of
    /// moves that the scheduler would follow, up to `depth`: the lowest skew.
    /// With `plannable`, only moves that a plan may hold: of pods that are
    /// there now, and such that lower the difference of two zones (law 2).
    fn lowest_skew_within(&mut self, depth: usize, plannable: bool) -> i32 {
        let view = self.view().unwrap();
        let mut best = view.skew();
        if depth == 0 || best <= self.case.max_skew {
            return best;
        }
        let movable: Vec<(String, String, String)> = view
            .zones
            .values()
            .flat_map(|zone| &zone.pods)
            .filter_map(|id| {
                let pod = self.index.cluster().pod(*id).unwrap();
                let again = plannable && self.is_replacement(&pod.name);
                if pod.keep.is_some() || again {
                    return None;
                }
                let mut in_flight = InFlightPods::default();
                in_flight.evict(*id);
                let mut pending = PendingPod::like(pod);
                pending.name = None;
                // Its room may be free by the time its replacement is scheduled, or not.
                let mut gone = InFlightPods::default();
                gone.remove(*id);
                let scheduler = self.scheduler();
                let is_certain = |zones: &[Zone]| match scheduler.predict(&gone, &pending) {
                    Prediction::Lands(landing) => landing.zones == zones,
                    _ => false,
                };
                match scheduler.predict(&in_flight, &pending) {
                    Prediction::Lands(landing)
                        if landing.zones.len() == 1
                            && is_certain(&landing.zones)
                            && (!plannable
                                || helps(
                                    &view,
                                    self.index.cluster().zone_of(pod),
                                    &landing.zones[0],
                                )) =>
                    {
                        Some((
                            pod.name.to_string(),
                            pod.node.as_ref().unwrap().to_string(),
                            landing.nodes[0].to_string(),
                        ))
                    }
                    _ => None,
                }
            })
            .collect();
        for (name, from, to) in movable {
            let made = self.make_move(&name, &to);
            best = best.min(self.lowest_skew_within(depth - 1, plannable));
            self.remove_pod(&made);
            self.show_pod(&name, &from, false);
        }
        best
    }
}

/// Whether a move between the zones lowers their difference.
fn helps(view: &TierView, from: Option<&Zone>, to: &Zone) -> bool {
    let count = |zone: &Zone| view.zones.get(zone).map_or(0, |counted| counted.pods.len());
    from.is_some_and(|from| count(from) >= count(to) + 2)
}

/// Zone b could take the only pod that may leave zone a, but the scheduler prefers the emptier
/// node of c. From there it would go to b only as long as it still takes room in c: once it is
/// gone, its replacement lands in c again. So it stays there.
#[test]
fn a_pod_that_moved_stays_where_it_would_land_again() {
    let case = Case {
        room: [vec![2, 2], vec![2], vec![3, 1]],
        pods: vec![(0, true), (4, true), (0, false), (1, true), (1, true)],
        spread: Spread::Hard,
        max_skew: 2,
        at_once: 1,
        avoided: None,
    };
    let mut small = Small::new(case);
    let way = |plan: &TierPlan| -> Vec<String> {
        plan.moves.iter().map(|planned| format!("{} to {:?}", planned.from, planned.to)).collect()
    };
    let plan = small.plan(&small.view().unwrap());
    assert_eq!(way(&plan), [r#"a to [Zone("c")]"#]);
    assert_eq!(plan.reachable_skew, 3);
    small.carry_out(&plan);
    let plan = small.plan(&small.view().unwrap());
    assert_eq!((way(&plan), plan.reachable_skew), (Vec::new(), 3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_plan_keeps_its_word_and_ends(case in cases()) {
        let mut small = Small::new(case);
        let Some(view) = small.view() else { return Ok(()) };
        let plan = small.plan(&view);
        let before = view.skew();
        if before <= view.settings.max_skew {
            prop_assert!(plan.moves.is_empty(), "a balanced tier needs nothing");
            prop_assert_eq!(&plan.obstacle, &None);
        }
        prop_assert!(plan.reachable_skew <= before);
        prop_assert_eq!(plan.obstacle.is_some(), plan.reachable_skew > view.settings.max_skew);
        small.carry_out(&plan);
        let after = small.view().unwrap();
        if plan.moves.iter().all(|planned| planned.to.len() == 1) {
            prop_assert_eq!(after.skew(), plan.reachable_skew, "predictions came true");
            // Now that zones have got their pods, a pod that moved may move on:
            // that is the next plan's to say. The pods of this plan are done.
            small.mark_replacements();
            let left = small.plan(&small.view().unwrap()).moves;
            prop_assert_eq!(left, vec![], "nothing is left to do after {:?}", plan);
        }
    }

    /// Each move lowers the difference of two zones, so there is an end.
    #[test]
    fn plan_after_plan_comes_to_rest_where_the_first_said_or_lower(case in cases()) {
        let mut small = Small::new(case);
        let Some(view) = small.view() else { return Ok(()) };
        let first = small.plan(&view);
        let mut plan = first.clone();
        while !plan.moves.is_empty() {
            if plan.moves.iter().any(|planned| planned.to.len() > 1) {
                return Ok(());
            }
            small.carry_out(&plan);
            let after = small.view().unwrap();
            let next = small.plan(&after);
            prop_assert!(next.reachable_skew <= plan.reachable_skew, "{next:?} after {plan:?}");
            plan = next;
        }
        prop_assert_eq!(small.view().unwrap().skew(), plan.reachable_skew);
    }

    #[test]
    fn no_shorter_way_leads_as_far(case in cases()) {
        let mut small = Small::new(case);
        let Some(view) = small.view() else { return Ok(()) };
        let plan = small.plan(&view);
        let counts: Vec<i32> = view.counts().collect();
        prop_assert_eq!(skew_of(counts.iter().copied()), view.skew());
        let moves = plan.moves.len();
        if (2..=3).contains(&moves) && view.pods() <= 6 {
            let shorter = small.lowest_skew_within(moves - 1, false);
            prop_assert!(
                shorter > plan.reachable_skew.max(view.settings.max_skew),
                "{} moves lead to {shorter}, the plan needs {moves} for {}", moves - 1, plan.reachable_skew
            );
        }
    }

    #[test]
    fn no_way_leads_further(case in cases()) {
        let mut small = Small::new(case);
        let Some(view) = small.view() else { return Ok(()) };
        let plan = small.plan(&view);
        if view.pods() <= 5 && plan.reachable_skew > view.settings.max_skew {
            let lowest = small.lowest_skew_within(3, true);
            prop_assert!(
                lowest >= plan.reachable_skew.min(view.skew()),
                "{lowest} can be reached, and the plan ends at {}: {:?}", plan.reachable_skew, plan.obstacle
            );
        }
    }

    #[test]
    fn what_a_budget_refuses_is_moved_only_where_nothing_else_helps(
        case in cases(),
        refused in prop::collection::vec(prop::bool::ANY, 8),
    ) {
        refused_ones_go_last(case, &refused)?;
    }
}

/// The best victim first leads to one move, another first leads to two.
#[test]
fn a_plan_may_begin_with_another_than_the_best_victim() {
    let case = Case {
        room: [vec![1], vec![3, 3], vec![3]],
        pods: vec![(1, false), (5, true), (2, false), (5, true), (1, false)],
        spread: Spread::None,
        max_skew: 1,
        at_once: 2,
        avoided: None,
    };
    refused_ones_go_last(case, &[true, false, false, false, false]).unwrap();
}

fn refused_ones_go_last(case: Case, refused: &[bool]) -> Result<(), TestCaseError> {
    let mut small = Small::new(case);
    let Some(view) = small.view() else { return Ok(()) };
    let without = small.plan(&view);
    let refused: Vec<String> = view
        .zones
        .values()
        .flat_map(|zone| &zone.pods)
        .zip(refused.iter().copied())
        .filter(|(_, refused)| *refused)
        .map(|(id, _)| small.index.cluster().pod(*id).unwrap().name.to_string())
        .collect();
    small.refuse(&refused);
    let view = small.view().unwrap();
    let plan = small.plan(&view);
    // Below what is allowed, any skew is as good.
    let reached = |plan: &TierPlan| plan.reachable_skew.max(view.settings.max_skew);
    prop_assert_eq!(plan.moves.len(), without.moves.len(), "as few moves as without budgets");
    prop_assert_eq!(reached(&plan), reached(&without));
    let Some(first) = plan.moves.first() else { return Ok(()) };
    let first = small.index.cluster().pod(first.pod).unwrap().name.to_string();
    if refused.contains(&first) {
        small.mark(&refused);
        let view = small.view().unwrap();
        let others = small.plan(&view);
        prop_assert!(
            reached(&others) > reached(&plan) || others.moves.len() > plan.moves.len(),
            "{first} is refused, and others would do: {:?}",
            others.moves
        );
    }
    Ok(())
}
