//! Stories about deletion costs: when they are asked for, and when not.

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};

use super::Operator;
use crate::api::OWN_DELETION_COST;
use crate::moves::{ActionError, ActionRequest, Effect, Outcome, Verb};
use crate::observe::fixtures::{node, pod};
use crate::observe::{Change, DELETION_COST, Name};
use crate::plan::ScaleInRight;

/// Zones a, b and c, and an API server that carries deletion costs out.
struct Shop {
    operator: Operator,
    now: Timestamp,
    /// Their nodes and costs, by name.
    pods: Vec<(String, &'static str, Option<String>)>,
    refuses: Option<ActionError>,
    asked: Vec<ActionRequest>,
    evictions: usize,
}

impl Shop {
    fn new(nodes: &[&'static str], spec: &Value) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut operator = Operator::default();
        for zone in ["a", "b", "c"] {
            operator.apply(Change::Node(node(&format!("{zone}1")).zone(zone).watched()));
        }
        operator.set_scale_in_right(ScaleInRight::Proven);
        operator.lead([], [], now);
        let owner = json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "uid-web"},
            "spec": {"replicas": nodes.len(), "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
        });
        operator.apply(Change::ReplicaSet(serde_json::from_value(owner).unwrap()));
        let mut shop = Self {
            operator,
            now,
            pods: Vec::new(),
            refuses: None,
            asked: Vec::new(),
            evictions: 0,
        };
        for (number, node) in nodes.iter().enumerate() {
            shop.pods.push((format!("web-{number}"), node, None));
            shop.show(number);
        }
        shop.policy(spec, &json!({}));
        shop
    }

    fn policy(&mut self, spec: &Value, annotations: &Value) {
        let mut whole = json!({"selector": {"matchLabels": {"app": "web"}}});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let policy = json!({
            "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 1,
                "annotations": annotations},
            "spec": whole,
        });
        self.operator.apply(Change::Policy(serde_json::from_value(policy).unwrap()));
    }

    fn show(&mut self, number: usize) {
        let (name, node, cost) = &self.pods[number];
        let shown = pod(name).on(node).owner("ReplicaSet", "web");
        let shown = shown.spread_hard("topology.kubernetes.io/zone", 1);
        let shown = cost.iter().fold(shown.created(self.now), |pod, cost| {
            pod.annotation(DELETION_COST, cost).annotation(OWN_DELETION_COST, cost)
        });
        self.operator.apply(Change::Pod(shown.watched()));
    }

    /// Decides, and answers what is asked for; how many costs were.
    fn decide(&mut self) -> usize {
        let before = self.asked.len();
        let decision = self.operator.decide(self.now, None);
        for write in &decision.zones {
            self.operator.zone_written(write, true, self.now);
        }
        for effect in decision.effects {
            match effect {
                Effect::WriteStatus(write) => {
                    let (policy, uid, status) = (write.policy, write.uid, write.status);
                    self.operator.outcome(Outcome::Written { policy, uid, status }, self.now);
                }
                Effect::Act(request) if request.verb == Verb::SetCost => self.answer(request),
                Effect::Act(_) => self.evictions += 1,
            }
        }
        self.asked.len() - before
    }

    fn answer(&mut self, request: ActionRequest) {
        let ActionRequest { verb, policy, uid, .. } = request.clone();
        if let Some(refusal) = self.refuses.clone() {
            self.operator.outcome(Outcome::Refused { verb, policy, uid, refusal }, self.now);
        } else {
            let patch = request.patch.as_ref().unwrap();
            let number = self.pods.iter().position(|(name, ..)| **name == *patch.pod).unwrap();
            let [(DELETION_COST, cost), (OWN_DELETION_COST, mark)] = &patch.annotations[..] else {
                panic!("{patch:?}")
            };
            assert_eq!(cost, mark);
            self.pods[number].2.clone_from(cost);
            self.operator.outcome(Outcome::Acted { verb, policy, uid }, self.now);
            self.show(number);
        }
        self.asked.push(request);
    }

    /// Each second a decision; how many costs were asked for.
    fn pass(&mut self, seconds: i64) -> usize {
        let each = (0..seconds).map(|_| {
            self.now += SignedDuration::from_secs(1);
            self.decide()
        });
        each.sum()
    }

    fn costs(&self) -> Vec<&str> {
        self.pods.iter().map(|(.., cost)| cost.as_deref().unwrap_or("-")).collect()
    }
}

const SPREAD: [&str; 9] = ["a1", "b1", "c1", "a1", "b1", "c1", "a1", "b1", "c1"];

#[test]
fn each_pod_of_a_balanced_tier_gets_its_cost_once_and_a_few_at_a_time() {
    let mut shop = Shop::new(&SPREAD, &json!({}));
    assert_eq!(shop.decide(), 5);
    assert_eq!(shop.pass(10), 4);
    assert_eq!(shop.costs(), ["-2", "-2", "-2", "-4", "-4", "-4", "-6", "-6", "-6"]);
    assert_eq!(shop.pass(60), 0);
    shop.policy(&json!({"rebalance": {"scaleIn": "Never"}}), &json!({}));
    assert_eq!(shop.pass(10), 9);
    assert_eq!(shop.costs(), ["-"; 9]);
    assert_eq!(shop.pass(60), 0);
}

#[test]
fn without_the_right_nothing_is_asked_for_and_with_it_at_once() {
    let mut shop = Shop::new(&SPREAD, &json!({}));
    shop.operator.set_scale_in_right(ScaleInRight::default());
    assert_eq!(shop.pass(30), 0);
    shop.operator.set_scale_in_right(ScaleInRight::Proven);
    assert_eq!(shop.decide(), 5);
}

#[rstest]
#[case::auto(json!({}), json!({}), 9)]
#[case::approve(json!({"mode": "Approve"}), json!({}), 9)]
#[case::observe(json!({"mode": "Observe"}), json!({}), 0)]
#[case::paused(json!({}), json!({"zonespread.io/paused": "true"}), 0)]
#[case::no_window(json!({"rebalance": {"windows": [{"schedule": "0 0 1 1 *", "duration": "1m"}]}}),
    json!({}), 9)]
fn costs_need_no_approval_and_no_window_but_a_policy_that_may_act(
    #[case] spec: Value,
    #[case] annotations: Value,
    #[case] asked: usize,
) {
    let mut shop = Shop::new(&SPREAD, &json!({"mode": "Observe"}));
    shop.policy(&spec, &annotations);
    assert_eq!(shop.pass(20), asked);
}

#[test]
fn moves_and_outages_come_first() {
    let spec = json!({"rebalance": {"settle": "0s", "strategy": "Evict"}});
    let mut shop = Shop::new(&["a1", "a1", "a1", "b1"], &spec);
    assert_eq!((shop.pass(5), shop.evictions), (0, 1), "the move is under way");
    let mut shop = Shop::new(&SPREAD, &json!({}));
    let lost = node("c1").zone("c").not_ready().taint("node.kubernetes.io/not-ready", "NoExecute");
    shop.operator.apply(Change::Node(lost.watched()));
    assert_eq!(shop.pass(30), 0);
}

#[test]
fn what_is_refused_is_asked_for_ever_more_rarely_and_blocks_no_moves() {
    let mut shop = Shop::new(&SPREAD, &json!({}));
    shop.refuses = Some(ActionError::Forbidden("a webhook says no".to_owned()));
    assert_eq!((shop.decide(), shop.pass(299)), (5, 0));
    assert_eq!(shop.pass(2), 5);
    shop.refuses = Some(ActionError::Stale("its deletion cost is somebody else's".to_owned()));
    shop.pass(300);
    let asked = shop.asked.len();
    shop.pass(30);
    assert!(shop.asked.len() - asked <= 3 * 9, "each once in ten seconds");
    let name = Name::from("web");
    let status = shop.asked.iter().all(|request| request.policy.name == name);
    assert!(status && shop.operator.unpatchable_until.is_none());
}

#[test]
fn many_policies_share_what_is_asked_for_in_a_decision() {
    let mut shop = Shop::new(&SPREAD, &json!({}));
    for number in 0..4 {
        let app = format!("app{number}");
        for (at, node) in SPREAD.iter().enumerate() {
            let name = format!("{app}-{at}");
            let shown = pod(&name).label("app", &app).on(node).owner("ReplicaSet", &app);
            shop.operator.apply(Change::Pod(shown.watched()));
        }
        let policy = json!({
            "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
            "metadata": {"name": app, "namespace": "default", "uid": app, "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": app}}},
        });
        shop.operator.apply(Change::Policy(serde_json::from_value(policy).unwrap()));
    }
    let decision = shop.operator.decide(shop.now, None);
    let asked = decision.effects.iter().filter(|effect| matches!(effect, Effect::Act(_)));
    assert_eq!(asked.count(), 10);
}
