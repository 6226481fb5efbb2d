//! Stories about the executor: many policies at once, an API server that is slow, and
//! what is under way when something comes in between.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Answer, Asking, Executor, Lanes, Progress, Request};
use crate::api::{MoveKind, MoveState, MoveStatus, PAUSED, ZoneSpreadPolicyStatus, seconds};
use crate::moves::{
    ActionError, ActionRequest, Effect, Event, Outcome, Preconditions, StatusWrite, Verb,
    WriteFailure,
};
use crate::observe::fixtures::{node, pod};
use crate::observe::{Change, Index, Name, PolicyKey, Zone};

const START: i64 = 1_800_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn policy(name: &str) -> PolicyKey {
    PolicyKey { namespace: "shop".into(), name: name.into() }
}

fn is_about(effect: &Effect) -> &ActionRequest {
    match effect {
        Effect::Act(request) => request,
        Effect::WriteStatus(_) => panic!("not an eviction"),
    }
}

/// A pod of the tier of a policy is to leave node a1 for c1.
fn evict(policy_name: &str, tier: &str, pod: &str, second: i64) -> Effect {
    Effect::Act(ActionRequest {
        verb: Verb::Evict,
        policy: policy(policy_name),
        tier: tier.into(),
        pod: pod.into(),
        uid: Name::from(format!("uid-{pod}")),
        node: "a1".into(),
        target: "c1".into(),
        zone: "c".into(),
        preconditions: Box::new(Preconditions {
            tier_selector: None,
            snapshot: Arc::default(),
            awaited: 0,
            available: 1,
            moving: Box::default(),
            min_ready_seconds: 0,
            zones: Box::new([Zone::new("c")]),
            eligible: Arc::default(),
            all_nodes: false,
        }),
        patch: None,
        decided: at(second),
        steering: None,
        closes: None,
        probe: None,
    })
}

/// A status that holds the moves of these evictions.
fn write(policy_name: &str, evictions: &[Effect]) -> Effect {
    let moved = |effect: &Effect| {
        let request = is_about(effect);
        MoveStatus {
            kind: MoveKind::default(),
            tier: request.tier.to_string(),
            pod: request.pod.to_string(),
            uid: request.uid.to_string(),
            owner: "ReplicaSet/web".to_owned(),
            from: "a".to_owned(),
            to: "c".to_owned(),
            alternatives: Vec::new(),
            replacement: None,
            node: None,
            state: MoveState::Evicting,
            started_at: seconds(request.decided),
            finished_at: None,
            message: String::new(),
        }
    };
    let status = ZoneSpreadPolicyStatus {
        moves: evictions.iter().map(moved).collect(),
        ..ZoneSpreadPolicyStatus::default()
    };
    Effect::WriteStatus(StatusWrite {
        policy: policy(policy_name),
        uid: policy_name.into(),
        status: Arc::new(status),
        events: Vec::new(),
    })
}

/// One decision: a status, and the evictions whose moves it holds.
fn decision(policy_name: &str, evictions: Vec<Effect>) -> Vec<Effect> {
    let status = write(policy_name, &evictions);
    std::iter::once(status).chain(evictions).collect()
}

/// An executor, and what it has asked for and not been answered yet.
struct Hand {
    executor: Executor,
    asked: Vec<Asking>,
    outcomes: Vec<Outcome>,
    now: Timestamp,
    leads: bool,
}

impl Hand {
    fn with(writes: usize, evictions: usize) -> Self {
        Self {
            executor: Executor::new(Lanes { writes, evictions, costs: evictions }),
            asked: Vec::new(),
            outcomes: Vec::new(),
            now: at(0),
            leads: true,
        }
    }

    fn follow(&mut self, progress: Progress) {
        self.asked.extend(progress.asks);
        self.outcomes.extend(progress.outcomes);
    }

    fn take_on(&mut self, effects: Vec<Effect>) {
        self.executor.submit(effects);
        let progress = self.executor.begin(self.leads, self.now);
        self.follow(progress);
    }

    /// Answers the first request that fits.
    fn answer(&mut self, answer: Answer, fits: impl Fn(&Asking) -> bool) {
        let place = self.asked.iter().position(fits).expect("it is asked for");
        let asking = self.asked.remove(place);
        let progress = self.executor.answered(asking.ticket, answer, self.leads, self.now);
        self.follow(progress);
    }

    fn written(&mut self, policy_name: &str) {
        self.answer(Answer::Written, |asking| writes(asking) == Some(policy_name));
    }

    fn not_written(&mut self, policy_name: &str) {
        let answer = Answer::NotWritten(WriteFailure::TimedOut);
        self.answer(answer, |asking| writes(asking) == Some(policy_name));
    }

    /// Takes the eviction of a pod one request further, with an answer that fits.
    fn step(&mut self, pod_name: &str) {
        let of_pod = |asking: &Asking| moves(asking) == Some(pod_name);
        let asking = self.asked.iter().find(|asking| of_pod(asking)).expect("it is asked for");
        let answer = match &asking.request {
            Request::Pod { name, .. } => {
                let uid = format!("uid-{name}");
                let mut shown = pod(name).on("a1").watched();
                shown.metadata.uid = Some(uid);
                Answer::Pods(vec![shown])
            }
            Request::Node { name } => Answer::nodes([node(name).zone("c").watched()]),
            _ => Answer::Acted(Ok(())),
        };
        self.answer(answer, of_pod);
    }

    fn evict(&mut self, pod_name: &str) {
        (0..4).for_each(|_| self.step(pod_name));
    }

    /// The pods whose eviction is under way.
    fn moving(&self) -> Vec<&str> {
        self.asked.iter().filter_map(moves).collect()
    }

    /// The policies whose status is being written.
    fn writing(&self) -> Vec<&str> {
        self.asked.iter().filter_map(writes).collect()
    }

    fn evicted(&self) -> Vec<&str> {
        let evicted = self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Acted { uid, .. } => Some(&**uid),
            _ => None,
        });
        evicted.collect()
    }

    /// Why this eviction was not made.
    fn refusal(&self, pod_name: &str) -> &ActionError {
        let uid = format!("uid-{pod_name}");
        let mut refusals = self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Refused { uid: of, refusal, .. } if **of == *uid => Some(refusal),
            _ => None,
        });
        refusals.next_back().expect("it is refused")
    }
}

fn writes(asking: &Asking) -> Option<&str> {
    match &asking.request {
        Request::WriteStatus(write) => Some(&write.policy.name),
        _ => None,
    }
}

fn moves(asking: &Asking) -> Option<&str> {
    asking.eviction.as_ref().map(|request| &*request.pod)
}

#[test]
fn nothing_is_dropped_and_nothing_evicted_before_its_move_is_stored() {
    let mut hand = Hand::with(2, 2);
    let names: Vec<String> = (0..600).map(|number| format!("policy-{number}")).collect();
    let pods: Vec<String> = (0..600).map(|number| format!("pod-{number}")).collect();
    for (name, pod_name) in names.iter().zip(&pods) {
        hand.take_on(decision(name, vec![evict(name, "web", pod_name, 0)]));
    }
    assert_eq!(hand.writing(), ["policy-0", "policy-1"]);
    let mut stored = BTreeSet::new();
    for _ in 0..600 {
        let name = hand.writing()[0].to_owned();
        hand.written(&name);
        stored.insert(name.replace("policy", "pod"));
        let moving: Vec<String> = hand.moving().iter().map(ToString::to_string).collect();
        assert!(moving.iter().all(|moved| stored.contains(moved)), "{moving:?} {stored:?}");
        hand.evict(&moving[0]);
    }
    while let Some(moved) = hand.moving().first().map(ToString::to_string) {
        hand.evict(&moved);
    }
    assert_eq!(hand.evicted().len(), 600);
    assert!(!hand.executor.is_waiting());
}

#[test]
fn a_newer_status_takes_the_place_of_one_that_nobody_began_to_write() {
    let mut hand = Hand::with(1, 4);
    let note = |text: &str| Event {
        warning: false,
        reason: "Moved",
        action: "Move",
        text: text.to_owned(),
        related: None,
    };
    let noted = |mut effects: Vec<Effect>, text: &str| {
        if let Effect::WriteStatus(write) = &mut effects[0] {
            write.events.push(note(text));
        }
        effects
    };
    let [one, two] = ["one", "two"].map(|tier| evict("shop", tier, tier, 0));
    hand.take_on(decision("other", vec![]));
    hand.take_on(noted(decision("shop", vec![one.clone()]), "first"));
    let mut newer = noted(vec![write("shop", &[one, two.clone()])], "second");
    newer.push(two);
    hand.take_on(newer);
    hand.written("other");
    let Request::WriteStatus(written) = &hand.asked[0].request else { panic!("a status") };
    assert_eq!(written.status.moves.len(), 2);
    let told: Vec<&str> = written.events.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(told, ["first", "second"], "no event is lost");
    hand.written("shop");
    assert_eq!(hand.moving(), ["one", "two"], "both moves are in what is stored");
    assert!(hand.writing().is_empty());
}

#[test]
fn what_waits_for_a_status_that_fails_is_not_evicted_unless_a_newer_one_is_stored() {
    let mut hand = Hand::with(1, 4);
    let [one, two, three] = ["one", "two", "three"].map(|tier| evict("shop", tier, tier, 0));
    hand.take_on(decision("shop", vec![one.clone()]));
    let newer = write("shop", &[one, two.clone()]);
    hand.take_on(vec![newer, two]);
    hand.not_written("shop");
    assert!(hand.moving().is_empty(), "{:?}", hand.moving());
    hand.written("shop");
    assert_eq!(hand.moving(), ["one", "two"]);

    hand.take_on(decision("shop", vec![three]));
    hand.not_written("shop");
    assert!(matches!(hand.refusal("three"), ActionError::Outdated(_)));
    assert_eq!(hand.moving(), ["one", "two"]);
    let written: Vec<bool> = hand.outcomes.iter().filter_map(is_written).collect();
    assert_eq!(written, [false, true, false]);
}

fn is_written(outcome: &Outcome) -> Option<bool> {
    match outcome {
        Outcome::Written { .. } => Some(true),
        Outcome::NotWritten { .. } => Some(false),
        _ => None,
    }
}

#[test]
fn tiers_are_moved_at_once_and_the_pods_of_a_tier_one_after_the_other() {
    let mut hand = Hand::with(1, 64);
    let pods = ["web-1", "web-2", "was-1", "was-2"];
    let evictions = pods.map(|name| evict("shop", &name[..3], name, 0));
    hand.take_on(decision("shop", evictions.to_vec()));
    hand.written("shop");
    assert_eq!(hand.moving(), ["web-1", "was-1"]);
    hand.evict("was-1");
    assert_eq!(hand.moving(), ["web-1", "was-2"]);
    hand.evict("web-1");
    assert_eq!(hand.moving(), ["was-2", "web-2"]);
}

#[test]
fn a_policy_whose_evictions_hang_leaves_places_to_the_others() {
    let mut hand = Hand::with(8, 8);
    let hanging = |name: &str| {
        let evictions = (0..20).map(|number| {
            let tier = format!("{name}-{number}");
            evict(name, &tier, &tier, 0)
        });
        decision(name, evictions.collect())
    };
    for (name, places) in [("a", 4), ("b", 2), ("c", 1)] {
        hand.take_on(hanging(name));
        hand.written(name);
        let own = hand.moving().into_iter().filter(|moved| moved.starts_with(name));
        assert_eq!(own.count(), places, "{name}");
    }
    hand.take_on(decision("shop", vec![evict("shop", "web", "web", 0)]));
    hand.written("shop");
    hand.evict("web");
    assert_eq!(hand.evicted(), ["uid-web"]);
}

#[test]
fn a_status_that_an_eviction_waits_for_is_written_before_thousands_of_others() {
    let mut hand = Hand::with(1, 1);
    for number in 0..10_000 {
        hand.take_on(decision(&format!("idle-{number}"), vec![]));
    }
    hand.take_on(decision("shop", vec![evict("shop", "web", "web", 0)]));
    hand.written("idle-0");
    assert_eq!(hand.writing(), ["shop"]);
    hand.written("shop");
    assert_eq!((hand.writing(), hand.moving()), (vec!["idle-1"], vec!["web"]));
}

#[test]
fn an_eviction_that_waited_for_too_long_is_told_and_decided_anew() {
    let mut hand = Hand::with(1, 1);
    let evictions = ["one", "two"].map(|tier| evict("shop", tier, tier, 0));
    hand.take_on(decision("shop", evictions.to_vec()));
    hand.written("shop");
    hand.now = at(16);
    hand.step("one");
    for name in ["one", "two"] {
        assert!(matches!(hand.refusal(name), ActionError::Outdated(_)), "{:?}", hand.outcomes);
    }
    hand.take_on(decision("shop", vec![evict("shop", "two", "two", 16)]));
    hand.written("shop");
    hand.evict("two");
    assert_eq!(hand.evicted(), ["uid-two"]);
}

#[test]
fn an_api_server_that_asks_for_fewer_requests_is_left_alone_by_all_that_is_under_way() {
    let mut hand = Hand::with(4, 64);
    for name in ["a", "b"] {
        hand.take_on(decision(name, vec![evict(name, "web", name, 0)]));
        hand.written(name);
    }
    hand.step("a");
    hand.step("a");
    hand.now = at(1);
    let retry_after = SignedDuration::from_secs(5);
    let throttled = Answer::Acted(Err(ActionError::Throttled { retry_after }));
    hand.answer(throttled, |asking| moves(asking) == Some("a"));
    hand.step("b");
    assert!(matches!(hand.refusal("b"), ActionError::Outdated(_)));
    assert!(hand.moving().is_empty());
    // What is decided later is asked for, even if the wall clock was set back since.
    for (second, name) in [(2, "c"), (-3_600, "d")] {
        hand.now = at(second);
        hand.take_on(decision(name, vec![evict(name, "web", name, second)]));
        hand.written(name);
        hand.evict(name);
    }
    assert_eq!(hand.evicted(), ["uid-c", "uid-d"]);
}

#[test]
fn who_no_longer_leads_asks_for_nothing_more() {
    let mut hand = Hand::with(2, 2);
    for name in ["a", "b"] {
        hand.take_on(decision(name, vec![evict(name, "web", name, 0)]));
        hand.written(name);
    }
    hand.take_on(decision("c", vec![evict("c", "web", "c", 0)]));
    hand.written("c");
    hand.take_on(decision("d", vec![]));
    hand.take_on(decision("e", vec![]));
    hand.take_on(decision("f", vec![]));
    hand.leads = false;
    hand.step("a");
    hand.step("b");
    hand.written("d");
    assert_eq!((hand.moving(), hand.writing()), (vec![], vec!["e"]));
    // It leads again before anybody noticed: what waited is begun.
    hand.leads = true;
    hand.take_on(vec![]);
    assert_eq!((hand.moving(), hand.writing()), (vec!["c"], vec!["e", "f"]));
    // Another has led: what was decided before is nobody's business.
    hand.take_on(decision("g", vec![evict("g", "web", "g", 0)]));
    hand.executor.clear();
    hand.written("e");
    assert_eq!((hand.moving(), hand.writing()), (vec!["c"], vec!["f"]));
    assert!(!hand.executor.is_waiting());
}

#[test]
fn a_pause_stops_an_eviction_that_is_on_its_way() {
    let namespace = json!({"metadata": {"name": "shop", "annotations": {PAUSED: "true"}}});
    stops_an_eviction(Change::Namespace(serde_json::from_value(namespace).unwrap()));
}

#[test]
fn a_hold_by_hand_stops_an_eviction_that_is_on_its_way() {
    let hold = json!({"until": at(60).to_string(), "reason": "it drops packets"});
    let zone = json!({"metadata": {"name": "c"}, "spec": {"hold": hold}});
    stops_an_eviction(Change::Zone(serde_json::from_value(zone).unwrap()));
}

fn stops_an_eviction(change: Change) {
    let mut index = Index::default();
    index.apply(change);
    for steps in 0..=4 {
        let mut hand = Hand::with(1, 1);
        hand.take_on(decision("shop", vec![evict("shop", "web", "web-1", 0)]));
        if steps > 0 {
            hand.written("shop");
            (1..steps).for_each(|_| hand.step("web-1"));
        }
        hand.executor.heed(index.pauses());
        if steps == 0 {
            hand.written("shop");
        } else {
            hand.step("web-1");
        }
        // The eviction itself was asked for before the pause.
        assert_eq!(hand.evicted().len(), usize::from(steps == 4), "{steps}");
        if steps < 4 {
            assert!(matches!(hand.refusal("web-1"), ActionError::Outdated(_)), "{steps}");
        }
    }
}

#[path = "cost_tests.rs"]
mod costs;
