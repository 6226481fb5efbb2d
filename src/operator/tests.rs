//! Stories about the operator, in a small world.

use rstest::rstest;
use serde_json::json;

use super::world::World;
use super::*;
use crate::api::{MoveState, Phase, Reason};
use crate::moves::Effect;
use crate::observe::fixtures::pod;

/// 2/2/2, then zone c is lost: 3/3/0.
pub fn an_outage() -> World {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "b1", "b2", "c1", "c2"]);
    world.policy("web", json!({}));
    world.pass(1);
    assert_eq!(world.status("web").phase, Some(Phase::Balanced));
    world.cordon("c");
    world.evacuate("c");
    world.pass(10);
    assert_eq!(world.spread("web"), "3/3/0");
    world
}

pub fn reason(world: &World, policy: &str) -> Option<Reason> {
    world.status(policy).tiers[0].blocked.as_ref().map(|blocked| blocked.reason)
}

#[test]
fn recovered_zone_gets_its_pods_back_with_the_fewest_evictions() {
    let mut world = an_outage();
    world.open("c");
    world.pass(59);
    assert_eq!(world.status("web").phase, Some(Phase::Holding));
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneRecovering));
    assert!(world.evicted.is_empty(), "the hold is not over");
    world.pass(30);
    assert_eq!(world.spread("web"), "2/2/2");
    assert_eq!(world.evicted.len(), 2);
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Balanced));
    assert_eq!(status.summary.moves, "2/2");
    assert!(status.moves.iter().all(|moved| moved.state == MoveState::Landed));
    let recovery = status.recovery.as_ref().unwrap();
    assert_eq!((recovery.zone.as_deref(), recovery.moves_done), (Some("c"), 2));
    assert!(recovery.balanced_at.is_some());
}

#[test]
fn nothing_moves_while_a_zone_is_out() {
    let mut world = an_outage();
    world.pass(600);
    assert_eq!(world.status("web").phase, Some(Phase::Frozen));
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneImpaired));
    assert!(world.asked.is_empty());
}

#[test]
fn a_zone_that_has_been_empty_for_an_hour_no_longer_freezes_the_others() {
    let mut world = World::new();
    world.pass(1);
    world.remove_nodes("c");
    world.replica_set("web", &["a1", "a1", "a2", "a2", "b1"]);
    world.policy("web", json!({}));
    world.pass(1);
    assert_eq!(world.status("web").phase, Some(Phase::Frozen));
    world.now += jiff::SignedDuration::from_mins(61);
    world.pass(60);
    assert_eq!(world.evicted.len(), 1, "4/1/0 becomes 3/2/0: lower is not possible");
    assert_eq!(world.spread("web"), "3/2/0");
    assert_eq!(reason(&world, "web"), Some(Reason::NoRoom));
    assert_eq!(world.status("web").tiers[0].reachable_skew, 3);
}

#[test]
fn the_canary_becomes_available_before_a_second_pod_goes_there() {
    let mut world = an_outage();
    world.replica_set("was", &["a1", "b1", "a2", "b2"]);
    world.policy("was", json!({}));
    world.start_delay = 20;
    world.open("c");
    world.pass(75);
    assert_eq!(world.evicted.len(), 1, "one move over both policies");
    let waiting = if world.evicted[0].starts_with("web") { "was" } else { "web" };
    assert_eq!(reason(&world, waiting), Some(Reason::MovesUnderWay));
    world.pass(60);
    let web = &world.status("web").tiers[0].blocked;
    assert_eq!(
        (world.spread("web"), world.spread("was")),
        ("2/2/2".into(), "1/2/1".into()),
        "{web:?} {:?}",
        world.status("web").moves
    );
}

#[test]
fn a_replacement_is_the_end_of_one_move_only() {
    let mut world = an_outage();
    world.replica_set("was", &["a1", "b1", "a2", "b2"]);
    world.policy("was", json!({}));
    // The canary is of `was`; then two pods of `web` go at once, and one of
    // them has a replacement in zone c before the other is seen to be gone.
    world.trouble.late.extend([(2, 1), (3, 20)]);
    world.open("c");
    world.pass(80);
    assert_eq!(world.evicted.len(), 3);
    let under_way = |world: &World| {
        let moves = &world.status("web").moves;
        moves.iter().filter(|moved| moved.state.is_under_way()).count()
    };
    assert_eq!((world.spread("web"), under_way(&world)), ("2/3/1".into(), 1));
    world.pass(30);
    assert_eq!((world.spread("web"), world.asked.len()), ("2/2/2".into(), 3));
    let mut replacements: Vec<_> =
        world.status("web").moves.iter().map(|moved| moved.replacement.clone()).collect();
    replacements.dedup();
    assert_eq!(replacements.len(), 2, "{:?}", world.status("web").moves);
}

#[test]
fn a_zone_in_which_nothing_starts_costs_one_eviction_and_becomes_suspect() {
    let mut world = an_outage();
    world.replica_set("was", &["a1", "b1", "a2", "b2"]);
    world.policy("was", json!({}));
    world.trouble.broken_nodes.extend(["c1", "c2"]);
    world.open("c");
    world.pass(60 + 61);
    assert_eq!(world.evicted.len(), 1);
    for policy in ["web", "was"] {
        let zone = &world.status(policy).zones[2];
        assert_eq!(zone.state, crate::api::ZoneState::Suspect, "{policy}: {zone:?}");
    }
    world.pass(100);
    assert_eq!(world.evicted.len(), 1, "held twice as long");
}

#[test]
fn whatever_the_scheduler_does_three_misses_end_it() {
    let mut world = an_outage();
    world.open("c");
    world.trouble.scheduler_prefers = Some("a1");
    world.pass(62);
    assert_eq!(world.evicted.len(), 1);
    assert_eq!(world.status("web").moves.last().unwrap().state, MoveState::Missed);
    world.pass(30);
    assert_eq!(reason(&world, "web"), Some(Reason::Backoff));
    world.pass(3600);
    assert_eq!(world.evicted.len(), 3);
    assert_eq!(reason(&world, "web"), Some(Reason::MissedTooOften));
    // Changing the policy is a new chance.
    world.trouble.scheduler_prefers = None;
    world.policy("web", json!({"maxSkew": 1, "mode": "Auto", "tiers": []}));
    world.pass(120);
    assert_eq!(world.status("web").phase, Some(Phase::Balanced), "{}", world.status("web").message);
}

#[test]
fn a_policy_made_anew_gets_a_status_of_its_own_and_no_shorter_hold() {
    let mut world = an_outage();
    world.remake_policy("web");
    world.pass(1);
    assert_eq!(world.status("web").phase, Some(Phase::Frozen));
    world.open("c");
    world.pass(30);
    let before = world.status("web").zones[2].hold_until.clone();
    world.remake_policy("web");
    world.pass(29);
    assert_eq!(world.status("web").zones[2].hold_until, before);
    assert!(world.evicted.is_empty());
    world.pass(2);
    assert_eq!(world.evicted.len(), 1, "the canary is under way");
    world.remake_policy("web");
    world.pass(1);
    assert_eq!(world.status("web").moves.len(), 1, "and still known: {:?}", world.evicted);
    world.pass(30);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn a_canary_is_waited_for_though_its_policy_is_gone() {
    let mut world = an_outage();
    world.replica_set("was", &["a1", "b1", "a2", "b2"]);
    world.policy("was", json!({}));
    world.start_delay = 30;
    world.open("c");
    world.pass(61);
    assert_eq!(world.evicted.len(), 1, "one canary over both policies");
    let (first, other) =
        if world.evicted[0].starts_with("web") { ("web", "was") } else { ("was", "web") };
    world.delete_policy(first);
    world.pass(20);
    assert_eq!(world.evicted.len(), 1, "it has not come up yet");
    assert_eq!(reason(&world, other), Some(Reason::MovesUnderWay));
    world.remake_policy(first);
    world.pass(1);
    assert_eq!(world.status(first).moves.len(), 1, "made anew, it still knows its pod");
    world.pass(120);
    assert_eq!((world.spread("web"), world.spread("was")), ("2/2/2".into(), "1/2/1".into()));
}

#[test]
fn nodes_that_change_their_zones_are_a_reason_to_hold_both() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a1", "b1", "b1", "c1", "c1"]);
    world.policy("web", json!({}));
    world.pass(1);
    world.relabel("b1", "a");
    world.relabel("a2", "b");
    world.pass(59);
    assert_eq!(world.spread("web"), "4/0/2");
    assert_eq!(reason(&world, "web"), Some(Reason::ZoneRecovering));
    assert!(world.evicted.is_empty(), "held as after an outage");
    let held: Vec<_> = world.operator.zones().iter().map(|(_, zone)| zone.outages).collect();
    assert_eq!(held, [0, 0, 0], "and it was none");
    world.pass(60);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn a_restart_during_the_hold_does_not_shorten_it() {
    let mut world = an_outage();
    world.open("c");
    world.pass(30);
    let before = world.status("web").zones[2].hold_until.clone();
    world.restart();
    world.pass(29);
    assert_eq!(world.status("web").zones[2].hold_until, before);
    assert!(world.evicted.is_empty());
    world.pass(30);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn a_restart_in_the_middle_of_a_move_adds_no_eviction() {
    let mut world = an_outage();
    world.open("c");
    for _ in 0..20 {
        world.pass(5);
        world.restart();
    }
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
    assert!(world.status("web").moves.iter().all(|moved| moved.state == MoveState::Landed));
}

#[test]
fn misses_survive_a_restart() {
    let mut world = an_outage();
    world.open("c");
    world.trouble.scheduler_prefers = Some("b1");
    for _ in 0..200 {
        world.pass(20);
        world.restart();
    }
    assert_eq!(world.evicted.len(), 3);
    assert_eq!(reason(&world, "web"), Some(Reason::MissedTooOften));
}

#[test]
fn a_status_that_cannot_be_written_is_tried_less_and_less_often() {
    let mut world = an_outage();
    world.trouble.writes_fail = true;
    world.open("c");
    world.pass(300);
    // What else happens is a reason to try, too; every two seconds would be 150.
    assert!(world.writes_failed < 50, "{} writes", world.writes_failed);
    world.trouble.writes_fail = false;
    world.pass(100);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn no_pod_is_evicted_that_is_not_in_the_status_first() {
    let mut world = an_outage();
    world.open("c");
    world.pass(55);
    world.trouble.writes_fail = true;
    world.pass(60);
    assert!(world.asked.is_empty());
    world.trouble.writes_fail = false;
    world.pass(60);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn a_tier_that_waits_until_its_status_can_be_written_says_so() {
    let mut world = an_outage();
    world.open("c");
    world.pass(55);
    world.trouble.answers_are_lost = true;
    world.pass(60);
    assert!(world.asked.is_empty());
    assert_eq!(reason(&world, "web"), Some(Reason::ClusterUnstable));
    world.trouble.answers_are_lost = false;
    world.pass(60);
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
    assert_eq!(reason(&world, "web"), None);
}

#[rstest]
#[case(ActionError::Budget("pdb".into()), Reason::BudgetExhausted)]
#[case(ActionError::MultipleBudgets("two".into()), Reason::MultipleBudgets)]
#[case(ActionError::Forbidden("rbac".into()), Reason::Forbidden)]
#[case(ActionError::Throttled { retry_after: jiff::SignedDuration::from_secs(90) }, Reason::Throttled)]
fn a_refusal_is_told_and_asked_again_at_most_once_a_minute(
    #[case] refusal: ActionError,
    #[case] expected: Reason,
) {
    let mut world = an_outage();
    world.open("c");
    world.trouble.refuses = Some(refusal);
    world.pass(90);
    assert_eq!(reason(&world, "web"), Some(expected));
    world.pass(540);
    assert!((2..=10).contains(&world.asked.len()), "{} in ten minutes", world.asked.len());
    assert!(world.evicted.is_empty());
    world.trouble.refuses = None;
    world.pass(120);
    assert_eq!(world.spread("web"), "2/2/2");
}

#[test]
fn two_zones_out_freeze_everything() {
    let mut world = an_outage();
    world.cordon("b");
    world.pass(5);
    assert_eq!(world.status("web").phase, Some(Phase::Frozen));
    world.open("b");
    world.open("c");
    world.pass(30);
    assert!(world.evicted.is_empty());
    assert_eq!(world.status("web").phase, Some(Phase::Holding));
}

#[test]
fn observing_plans_and_never_evicts() {
    let mut world = an_outage();
    world.policy("web", json!({"mode": "Observe"}));
    world.open("c");
    world.pass(300);
    let status = world.status("web");
    assert_eq!(status.phase, Some(Phase::Observing));
    assert_eq!(reason(&world, "web"), Some(Reason::ObserveOnly));
    assert_eq!(status.plan.as_ref().map(|plan| plan.total), Some(2));
    assert!(world.asked.is_empty());
}

#[test]
fn of_two_policies_for_one_pod_the_older_goes_on() {
    let mut world = an_outage();
    world.policy("aaa", json!({"selector": {"matchLabels": {"app": "web"}}}));
    world.pass(1);
    // Made at the same second: the name decides who is older.
    assert_eq!(world.status("web").phase, Some(Phase::Invalid));
    assert!(
        world.status("web").message.contains("older policy aaa"),
        "{}",
        world.status("web").message
    );
    assert_eq!(world.status("aaa").phase, Some(Phase::Frozen));
}

#[test]
fn a_policy_with_more_tiers_than_its_status_can_hold_is_invalid() {
    let mut world = World::new();
    for number in 0..=200 {
        world.replica_set_of(&format!("app-{number}"), 1);
    }
    let any_app = json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]});
    world.policy("all", json!({"selector": any_app, "tierLabel": "app"}));
    world.pass(1);
    let status = world.status("all");
    assert_eq!(status.phase, Some(Phase::Invalid), "no pods yet, but they will come");
    assert!(status.message.contains("201 values"), "{}", status.message);
}

#[test]
fn a_tier_label_with_thousands_of_values_is_told_and_leaves_other_policies_alone() {
    let mut world = an_outage();
    for number in 0..10_000 {
        let shown = pod(&format!("job-{number}")).label("kind", "job").on("a1");
        world.operator.apply(Change::Pod(shown.label("app", &format!("job-{number}")).watched()));
    }
    world.policy("jobs", json!({"selector": {"matchLabels": {"kind": "job"}}, "tierLabel": "app"}));
    world.open("c");
    world.pass(80);
    let status = world.status("jobs");
    assert_eq!(status.phase, Some(Phase::Invalid));
    assert!(status.message.contains("10000 values"), "{}", status.message);
    assert!(status.tiers.is_empty() && !status.zones.is_empty());
    assert_eq!((world.spread("web"), world.evicted.len()), ("2/2/2".into(), 2));
}

#[test]
fn a_policy_that_becomes_invalid_forgets_no_hold() {
    let mut world = an_outage();
    world.open("c");
    world.pass(20);
    let held = world.status("web").zones[2].hold_until.clone();
    world.policy("aaa", json!({"selector": {"matchLabels": {"app": "web"}}}));
    world.pass(2);
    assert_eq!(world.status("web").phase, Some(Phase::Invalid));
    assert_eq!(world.status("web").zones[2].hold_until, held);
    assert!(world.status("web").recovery.is_some());
}

#[test]
fn a_steady_world_is_written_once() {
    let mut world = World::new();
    world.replica_set("web", &["a1", "b1", "c1"]);
    world.policy("web", json!({}));
    world.pass(1);
    let before = world.statuses.clone();
    for _ in 0..1000 {
        world.now += jiff::SignedDuration::from_secs(60);
        let decision = world.operator.decide(world.now, None);
        assert_eq!(decision.effects, []);
    }
    assert_eq!(world.statuses, before);
}

#[test]
fn a_stale_view_moves_nothing() {
    let mut world = an_outage();
    world.open("c");
    world.pass(58);
    for _ in 0..100 {
        world.now += jiff::SignedDuration::from_secs(1);
        let decision =
            world.operator.decide(world.now, Some("the watch of pods has failed".into()));
        assert!(!decision.effects.iter().any(|effect| matches!(effect, Effect::Act(_))));
    }
    world.pass(60);
    assert_eq!(world.spread("web"), "2/2/2");
}

#[test]
fn what_a_webhook_says_is_told_safely_and_never_too_long_for_the_status() {
    let mut world = an_outage();
    world.open("c");
    let hostile = format!("denied\n\u{1b}[2J\u{202e}{}", "x".repeat(1 << 20));
    world.trouble.refuses = Some(ActionError::Forbidden(hostile));
    world.pass(90);
    let status = world.status("web");
    let blocked = status.tiers[0].blocked.as_ref().unwrap();
    let moved = status.moves.last().unwrap();
    let refused = (blocked.reason, moved.state);
    assert_eq!(refused, (Reason::Forbidden, MoveState::Refused));
    for message in [&blocked.message, &moved.message, &status.message] {
        assert!(message.contains(r"denied\u000a\u001b[2J\u202exxx"), "{message:.80}");
        assert!(message.chars().count() <= 1024 && !message.contains(char::is_control));
    }
}

#[test]
fn pods_in_no_zone_are_in_the_tables_and_in_the_message() {
    let mut world = World::new();
    world.add_node("nowhere", "");
    world.replica_set("web", &["a1", "b1", "c1", "nowhere", "lost"]);
    world.policy("web", json!({}));
    world.pass(1);
    let status = world.status("web");
    assert_eq!((status.phase, status.tiers[0].unzoned), (Some(Phase::Balanced), 2));
    assert_eq!(status.summary.zones, "a:1 b:1 c:1 none:2");
    let message = &status.message;
    assert!(
        message.starts_with("every tier is within its skew; 2 pods are in no zone"),
        "{message}"
    );
    let says = |what: &str| message.ends_with(what);
    assert!(
        says("which has no label topology.kubernetes.io/zone") || says("which is gone"),
        "{message}"
    );
    world.operator.apply(Change::Gone(crate::observe::Kind::Node, "".into(), "nowhere".into()));
    world.pass(1);
    assert!(world.status("web").message.ends_with(", which is gone"), "{:?}", world.status("web"));
}
