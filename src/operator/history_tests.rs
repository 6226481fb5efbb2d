//! Recoveries that are over, and what is kept of them.

use jiff::SignedDuration;
use rstest::rstest;
use serde_json::json;

use super::policy_state::PolicyState;
use super::tests::an_outage;
use super::world::World;
use crate::api::{
    LowestReady, PastRecovery, Phase, Recovery, RecoveryOutcome, ZoneSpreadPolicyStatus, limit,
    seconds,
};

/// Zone c is lost, its pods leave, it is back, and they come home; hours apart, so that the
/// hold is not doubled.
fn outage_and_recovery(world: &mut World) {
    world.now += SignedDuration::from_hours(7);
    world.cordon("c");
    world.pass(1);
    world.evacuate("c");
    world.pass(10);
    world.open("c");
    world.pass(100);
    assert_eq!(world.status("web").phase, Some(Phase::Balanced), "{}", world.status("web").message);
}

fn held(past: &PastRecovery) -> i64 {
    past.held_until.as_ref().unwrap().0.duration_since(past.started_at.0).as_secs()
}

#[rstest]
#[case::undisturbed(&[])]
#[case::restarted_in_the_hold(&[30])]
#[case::restarted_all_the_time(&[5; 18])]
fn a_recovery_is_kept_with_its_figures(#[case] restarts_after: &[i64]) {
    let mut world = an_outage();
    let lost = world.zone("c").last_outage.clone();
    assert_eq!(world.status("web").history, [], "nothing is over yet");
    world.open("c");
    for seconds in restarts_after {
        world.pass(*seconds);
        world.restart();
    }
    world.pass(120);
    let status = world.status("web");
    let [past] = &status.history[..] else { panic!("{:?}", status.history) };
    let recovery = status.recovery.as_ref().unwrap();
    assert!(lost.is_some() && past.lost_at == lost, "{past:?}");
    assert_eq!((past.zone.as_deref(), past.outcome), (Some("c"), RecoveryOutcome::Balanced));
    assert_eq!((past.moves, past.misses, held(past)), (2, 0, 60));
    assert_eq!(
        (&past.started_at, Some(&past.ended_at)),
        (&recovery.started_at, recovery.balanced_at.as_ref())
    );
    let lowest = LowestReady { tier: "web".to_owned(), available: 5, replicas: 6 };
    assert_eq!(past.lowest, Some(lowest), "one pod at a time");
}

#[test]
fn it_outlives_the_moves_and_restarts_and_a_spec_that_cannot_be_followed() {
    let mut world = an_outage();
    world.open("c");
    world.pass(100);
    let first = world.status("web").history.clone();
    for _ in 1..12 {
        outage_and_recovery(&mut world);
    }
    let status = world.status("web");
    assert_eq!((status.moves.len(), status.history.len()), (limit::FINISHED_MOVES, 12));
    assert_eq!(status.history[..1], first, "its moves are no longer listed");
    assert!(status.history.iter().all(|past| past.moves == 2 && held(past) == 60));
    for _ in 12..23 {
        outage_and_recovery(&mut world);
    }
    let history = world.status("web").history.clone();
    assert_eq!(history.len(), limit::PAST_RECOVERIES);
    assert!(history.is_sorted_by_key(|past| past.started_at.0));
    world.restart();
    world.pass(5);
    assert_eq!(world.status("web").history, history);
    world.policy("aaa", json!({"selector": {"matchLabels": {"app": "web"}}}));
    world.pass(2);
    assert_eq!(world.status("web").phase, Some(Phase::Invalid));
    assert_eq!(world.status("web").history, history);
    world.remake_policy("web");
    world.pass(2);
    assert_eq!(world.status("web").history, [], "another policy of that name");
}

#[test]
fn a_recovery_that_another_outage_ends_says_so() {
    let mut world = an_outage();
    world.open("c");
    world.pass(20);
    world.cordon("c");
    world.pass(10);
    assert_eq!(world.status("web").history, [], "it is known once the zone is back again");
    world.open("c");
    world.pass(1);
    let [past] = &world.status("web").history[..] else { panic!("{:?}", world.status("web")) };
    assert_eq!((past.outcome, past.moves), (RecoveryOutcome::Interrupted, 0));
    assert_eq!(past.ended_at.0.duration_since(past.started_at.0).as_secs(), 20);
    assert_eq!(held(past), 20, "the hold ended with it");
    world.pass(200);
    let history = &world.status("web").history;
    assert_eq!((history.len(), history[1].moves), (2, 2));
    assert_eq!(held(&history[1]), 120, "twice as long");
}

#[test]
fn moves_that_did_not_help_are_counted() {
    let mut world = an_outage();
    world.open("c");
    world.trouble.scheduler_prefers = Some("a1");
    world.pass(62);
    world.trouble.scheduler_prefers = None;
    world.restart();
    world.pass(900);
    let [past] = &world.status("web").history[..] else { panic!("{:?}", world.status("web")) };
    assert_eq!((past.moves, past.misses), (2, 1));
}

#[test]
fn a_hold_that_is_made_shorter_counts_as_long_as_it_was() {
    let mut world = an_outage();
    world.open("c");
    world.pass(30);
    world.policy("web", json!({"rebalance": {"holdDown": "10s"}}));
    world.pass(60);
    let [past] = &world.status("web").history[..] else { panic!("{:?}", world.status("web")) };
    assert!((30..=31).contains(&held(past)), "{past:?}");
}

#[test]
fn other_imbalances_do_not_push_outages_out() {
    let at = |second| jiff::Timestamp::from_second(second).unwrap();
    let mut memory = PolicyState::default();
    let mut ended = |zone: Option<&str>, moves_done, second: i64| {
        memory.recovery = Some(Recovery {
            zone: zone.map(str::to_owned),
            lost_at: None,
            started_at: seconds(at(second)),
            held_until: None,
            moves_done,
            moves_total: moves_done,
            misses: 0,
            lowest: None,
            estimated_end: None,
            balanced_at: None,
        });
        let balanced =
            ZoneSpreadPolicyStatus { phase: Some(Phase::Balanced), ..Default::default() };
        memory.update_recovery(&balanced, &[], &std::collections::BTreeMap::new(), at(second + 5));
        memory.history.clone()
    };
    (0..15).for_each(|day| drop(ended(Some("c"), 0, day)));
    assert_eq!(ended(None, 0, 50).len(), 15, "nothing was done");
    let mut history = Vec::new();
    for day in 100..130 {
        history = ended(None, 1, day);
    }
    let zones = history.iter().filter(|past| past.zone.is_some()).count();
    assert_eq!((history.len(), zones), (20, 10));
    assert_eq!(history[10].started_at, seconds(at(120)), "the last ones stay");
    for day in 200..230 {
        history = ended(Some("c"), 0, day);
    }
    assert!(history.len() == 20 && history[0].started_at == seconds(at(210)), "{history:?}");
}
