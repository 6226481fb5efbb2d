//! Deletion costs: they wait for all that evicts, are in nobody's way, and overwrite nobody's.

use std::sync::Arc;

use super::*;
use crate::api::OWN_DELETION_COST;
use crate::moves::PodPatch;
use crate::observe::fixtures::PodFixture;
use crate::observe::{DELETION_COST, Uid};

/// The deletion cost of a pod of the tier is to become this one.
fn set_cost(policy_name: &str, tier: &str, pod: &str, cost: Option<&str>) -> Effect {
    let Effect::Act(request) = evict(policy_name, tier, pod, 0) else { panic!("an eviction") };
    let cost = cost.map(str::to_owned);
    let patch = PodPatch {
        pod: pod.into(),
        uid: Uid::new(&format!("uid-{pod}")),
        labels: Vec::new(),
        annotations: vec![(DELETION_COST, cost.clone()), (OWN_DELETION_COST, cost)],
        resource_version: None,
    };
    let preconditions = Box::new(Preconditions::default());
    let patch = Some(Arc::new(patch));
    Effect::Act(ActionRequest { verb: Verb::SetCost, preconditions, patch, ..request })
}

/// The read of the pod is answered with this one, version 7.
fn read(hand: &mut Hand, pod: PodFixture) {
    let mut shown = pod.watched();
    shown.metadata.resource_version = Some("7".to_owned());
    let reads = |asking: &Asking| matches!(asking.request, Request::Pod { .. });
    hand.answer(Answer::Pods(vec![shown]), reads);
}

fn own_cost(cost: &str) -> PodFixture {
    pod("web-1").annotation(DELETION_COST, cost).annotation(OWN_DELETION_COST, cost)
}

fn asked_for_cost() -> Hand {
    let mut hand = Hand::with(1, 1);
    hand.take_on(vec![set_cost("shop", "web", "web-1", Some("-2"))]);
    hand
}

/// The version of the pod that is changed.
fn patched(hand: &Hand) -> Option<&str> {
    hand.asked.iter().find_map(|asking| match &asking.request {
        Request::Act { request, dry_run: false } => {
            request.patch.as_ref()?.resource_version.as_deref()
        }
        _ => None,
    })
}

#[test]
fn only_the_pod_that_was_just_read_is_changed_and_once() {
    for before in [pod("web-1"), own_cost("-4")] {
        let mut hand = asked_for_cost();
        read(&mut hand, before);
        assert_eq!(patched(&hand), Some("7"));
        hand.step("web-1");
        assert!(matches!(hand.outcomes[..], [Outcome::Acted { verb: Verb::SetCost, .. }]));
        assert!(hand.asked.is_empty());
    }
}

#[test]
fn what_has_the_cost_already_is_not_changed() {
    let mut hand = asked_for_cost();
    read(&mut hand, own_cost("-2"));
    assert!(matches!(hand.outcomes[..], [Outcome::Acted { .. }]), "{:?}", hand.outcomes);
    assert!(hand.asked.is_empty());
    hand.take_on(vec![set_cost("shop", "web", "web-1", None)]);
    read(&mut hand, pod("web-1"));
    assert!(hand.asked.is_empty() && hand.outcomes.len() == 2);
}

#[test]
fn a_cost_of_somebody_else_is_not_overwritten() {
    let users = [
        pod("web-1").annotation(DELETION_COST, "0"),
        own_cost("-2").annotation(DELETION_COST, "-3"),
        // Somebody took the operator's away.
        pod("web-1").annotation(OWN_DELETION_COST, "-2"),
    ];
    for users in users {
        let mut hand = asked_for_cost();
        read(&mut hand, users);
        assert!(matches!(hand.refusal("web-1"), ActionError::Stale(_)), "{:?}", hand.outcomes);
        assert!(hand.asked.is_empty());
    }
    let mut hand = asked_for_cost();
    read(&mut hand, pod("web-2").named("web-1").terminating());
    assert!(matches!(hand.refusal("web-1"), ActionError::Gone));
}

#[test]
fn costs_wait_while_an_eviction_waits_and_keep_none_waiting() {
    let mut hand = Hand::with(1, 1);
    hand.take_on(decision("shop", vec![evict("shop", "web", "web-2", 0)]));
    hand.take_on(vec![set_cost("shop", "web", "web-1", Some("-2"))]);
    assert!(hand.moving().is_empty(), "the eviction waits for its status");
    hand.written("shop");
    assert_eq!(hand.moving(), ["web-2", "web-1"], "no place of the eviction's is taken");
    // Nor does an eviction of the tier wait for a cost that hangs.
    hand.evict("web-2");
    hand.take_on(decision("shop", vec![evict("shop", "web", "web-3", 0)]));
    hand.written("shop");
    assert_eq!(hand.moving(), ["web-1", "web-3"]);
}

#[test]
fn without_the_lease_and_in_a_pause_no_cost_is_written() {
    let mut hand = asked_for_cost();
    hand.leads = false;
    read(&mut hand, pod("web-1"));
    assert!(matches!(hand.refusal("web-1"), ActionError::Outdated(_)));
    assert!(hand.asked.is_empty());

    let mut hand = asked_for_cost();
    let paused = json!({"metadata": {"name": "shop", "annotations": {PAUSED: "true"}}});
    let mut index = Index::default();
    index.apply(Change::Namespace(serde_json::from_value(paused).unwrap()));
    hand.executor.heed(index.pauses());
    read(&mut hand, pod("web-1"));
    assert!(matches!(hand.refusal("web-1"), ActionError::Outdated(_)));
    assert!(hand.asked.is_empty());
}
