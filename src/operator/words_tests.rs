//! Stories about what people are told: policies without effect, pauses, approvals, columns.

use serde_json::{Value, json};

use super::tests::{an_outage, reason};
use super::world::World;
use crate::api::{APPROVE, CONDITION_EFFECTIVE, PAUSED, Phase, Reason, ZoneSpreadPolicyStatus};
use crate::observe::Change;

/// Status, reason and message of the condition Effective.
fn effective(status: &ZoneSpreadPolicyStatus) -> (&str, &str, &str) {
    let mut conditions = status.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == CONDITION_EFFECTIVE).unwrap();
    (&found.status, &found.reason, &found.message)
}

pub fn six_pods() -> World {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "b1", "b2", "c1", "c2"]);
    world
}

#[test]
fn a_policy_that_selects_nothing_is_ineffective_and_says_so() {
    let mut world = six_pods();
    world.policy("web", json!({"selector": {"matchLabels": {"app": "wbe"}}}));
    world.decide();
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Ineffective));
    let (value, reason, message) = effective(status);
    assert_eq!((value, reason), ("False", "NoPods"));
    assert!(
        message.starts_with("spec.selector selects no pod and no workload in namespace default")
    );
    assert_eq!(status.message, message);
    assert_eq!(world.told("web"), [("Ineffective".to_owned(), format!("NoPods: {message}"))]);

    world.policy("web", json!({}));
    world.decide();
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Balanced));
    assert_eq!(effective(status), ("True", "Effective", "1 tier"));
}

#[test]
fn pods_without_the_tier_label_are_counted_and_named() {
    let mut world = six_pods();
    world.policy("web", json!({"tierLabel": "teir"}));
    world.decide();
    let status = world.status("web");
    assert_eq!((status.phase, status.untiered_pods), (Some(Phase::Ineffective), 6));
    let (value, reason, message) = effective(status);
    assert_eq!((value, reason), ("False", "NoTierLabel"));
    assert!(message.starts_with("6 selected pods, and none with the label teir: "), "{message}");
}

#[test]
fn an_override_for_a_tier_that_does_not_exist_is_told_beside_the_rest() {
    let mut world = six_pods();
    world.policy("web", json!({"tiers": [{"name": "wbe", "mode": "Observe"}, {"name": "web"}]}));
    world.decide();
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Balanced));
    let (value, reason, message) = effective(status);
    assert_eq!((value, reason), ("False", "UnknownTierOverride"));
    assert_eq!(
        message,
        "spec.tiers names wbe, and there is no such tier: the tiers are web; correct or remove the entry"
    );
    assert_eq!(status.message, format!("every tier is within its skew; {message}"));
}

#[test]
fn a_workload_that_is_scaled_to_nothing_is_no_typo() {
    let mut world = World::new();
    world.replica_set("web", &[]);
    world.policy("web", json!({"tiers": [{"name": "web"}]}));
    world.decide();
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Balanced), "{}", status.message);
    assert_eq!(status.message, "the selected workloads have no pods: they are scaled to 0");
    assert_eq!(effective(status).0, "True");
}

#[test]
fn a_pause_shows_while_there_is_nothing_to_do() {
    let mut world = six_pods();
    world.policy("web", json!({}));
    world.decide();
    world.annotate_namespace(PAUSED, "true");
    world.pass(1);
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Balanced));
    assert_eq!(
        status.message,
        "every tier is within its skew; namespace default is paused (zonespread.io/paused): nothing is moved until that annotation is removed"
    );
    world.annotate_namespace(PAUSED, "false");
    world.pass(1);
    assert_eq!(world.status("web").message, "every tier is within its skew");
}

#[test]
fn an_approval_that_approves_nothing_is_answered() {
    let mut world = an_outage();
    world.policy("web", json!({"mode": "Approve"}));
    world.open("c");
    world.pass(100);
    assert_eq!(reason(&world, "web"), Some(Reason::AwaitingApproval));
    let plan = world.status("web").plan.as_ref().unwrap().id.clone();
    let message = world.status("web").message.clone();
    assert!(message.starts_with(&format!("web: plan {plan} (")), "said once: {message}");

    world.annotate("web", APPROVE, json!("0123456789"));
    world.pass(1);
    let wrong = format!(
        "the annotation zonespread.io/approve names 0123456789, which is not the plan that waits: that is {plan}"
    );
    let told = format!("web: {wrong}; plan {plan} (2 moves) waits for approval: kubectl annotate ");
    assert!(world.status("web").message.starts_with(&told), "{}", world.status("web").message);
    let (event, text) = world.told("web").pop().unwrap();
    assert!(event == "AwaitingApproval" && text.starts_with(&told), "{event}: {text}");

    world.annotate("web", APPROVE, json!(plan));
    world.pass(60);
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Balanced), "{}", status.message);
    assert_eq!(status.message, "every tier is within its skew", "it has done what it is for");

    world.policy("web", json!({"mode": "Auto"}));
    world.annotate("web", APPROVE, json!("0123456789"));
    world.pass(1);
    let message = &world.status("web").message;
    assert!(message.ends_with("approves nothing: no tier has the mode Approve"), "{message}");
}

#[test]
fn moves_are_those_of_this_recovery() {
    let mut world = an_outage();
    world.policy("web", json!({}));
    world.open("c");
    world.pass(120);
    let column = |world: &World| {
        let status = world.status("web");
        (status.phase.unwrap(), status.summary.moves.clone())
    };
    assert_eq!(column(&world), (Phase::Balanced, "2/2".to_owned()));
    world.cordon("c");
    world.pass(1);
    assert_eq!(column(&world), (Phase::Frozen, "-".to_owned()), "these were the last one's");
    world.evacuate("c");
    world.open("c");
    world.pass(1);
    assert_eq!(column(&world), (Phase::Holding, "0/2".to_owned()));
}

#[test]
fn a_hold_says_how_long_why_and_what_it_is_at_most() {
    let mut world = an_outage();
    world.policy("web", json!({}));
    world.open("c");
    world.pass(1);
    let first = world.status("web").message.clone();
    assert!(
        first.ends_with("Z (1m: rebalance.holdDown); a shorter holdDown ends it earlier"),
        "{first}"
    );
    for _ in 0..2 {
        world.cordon("c");
        world.pass(1);
        world.open("c");
        world.pass(1);
    }
    let third = world.status("web").message.clone();
    let why = "Z (4m: rebalance.holdDown 1m, doubled 2 times for outages within 6h of each other, at most 6h); a shorter holdDown ends it earlier";
    assert!(
        third.starts_with("zone c is usable again and is held until ") && third.ends_with(why),
        "{third}"
    );
}

#[test]
fn accepted_tiers_are_left_out_of_what_survives_and_that_shows() {
    let mut world = six_pods();
    let accepted = json!({"name": "web", "singleZone": {"accepted": true, "reason": "a cache"}});
    world.policy("web", json!({"tiers": [accepted]}));
    world.decide();
    assert_eq!(world.status("web").summary.survives, "- (1 accepted)");
}

#[test]
fn a_service_that_keeps_traffic_in_its_zone_is_named_while_a_zone_has_no_pods() {
    let service = |distribution: Value| {
        let service = json!({"metadata": {"name": "shop", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "trafficDistribution": distribution}});
        Change::Service(serde_json::from_value(service).unwrap())
    };
    let named = |world: &World| world.status("web").message.contains("Service shop keeps traffic");
    let mut world = an_outage();
    world.operator.apply(service(json!("PreferSameZone")));
    world.policy("web", json!({}));
    world.pass(1);
    world.evacuate("c");
    world.open("c");
    world.pass(1);
    let message = &world.status("web").message;
    let expected = "Service shop keeps traffic in its zone (trafficDistribution: PreferSameZone): the first pod of tier web in zone c takes all that starts there";
    assert!(message.ends_with(expected), "{message}");
    world.pass(300);
    assert!(!named(&world), "it is balanced: {}", world.status("web").message);
    let mut world = an_outage();
    world.operator.apply(service(Value::Null));
    world.policy("web", json!({}));
    world.pass(1);
    world.evacuate("c");
    world.open("c");
    world.pass(1);
    assert!(!named(&world), "its traffic goes to all zones");
}
