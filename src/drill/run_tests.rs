//! Stories about a drill as a state machine: each step, and each reason to open at once.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;

use super::run::{Pending, RunFacts, RunTier, step};
use crate::api::{
    DrillAbort, DrillForecast, DrillPhase, DrillReason, DrillResult, DrillTier, ZoneDrillSpec,
    ZoneDrillStatus, seconds,
};
use crate::observe::{Name, PolicyKey};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn web() -> RunTier {
    RunTier {
        policy: PolicyKey { namespace: Name::from("shop"), name: Name::from("petclinic") },
        name: Name::from("web"),
        desired: 6,
        available: 6,
        budget: 2,
        zones: Vec::new(),
        in_zone: 0,
        to_evict: 0,
        pending: 0,
        waits_longest: None,
        is_at_rest: true,
        paused: None,
    }
}

fn facts() -> RunFacts {
    RunFacts { nodes: 2, marked: 2, tiers: vec![web()], ..RunFacts::default() }
}

fn spec() -> ZoneDrillSpec {
    ZoneDrillSpec { zone: "c".to_owned(), ..ZoneDrillSpec::default() }
}

fn status(phase: DrillPhase) -> ZoneDrillStatus {
    ZoneDrillStatus {
        phase: Some(phase),
        started_at: Some(seconds(at(0))),
        deadline: Some(seconds(at(1800))),
        forecast: Some(DrillForecast { evictions: 2, ..DrillForecast::default() }),
        result: Some(DrillResult { evictions: 2, ..DrillResult::default() }),
        ..ZoneDrillStatus::default()
    }
}

fn phase(status: &ZoneDrillStatus) -> DrillPhase {
    status.phase.unwrap()
}

#[test]
fn a_drill_goes_its_way_step_by_step() {
    let closing = status(DrillPhase::Closing);
    let mut now = facts();
    now.open_nodes = 1;
    assert_eq!(phase(&step(&spec(), &closing, &now, at(1))), DrillPhase::Closing);
    now.open_nodes = 0;
    now.tiers[0].to_evict = 1;
    assert_eq!(phase(&step(&spec(), &closing, &now, at(2))), DrillPhase::Closing);
    now.tiers[0].to_evict = 0;
    now.tiers[0].available = 5;
    let closed = step(&spec(), &closing, &now, at(3));
    assert_eq!((phase(&closed), &closed.settled_at), (DrillPhase::Closed, &None));
    now.tiers[0].available = 6;
    let settled = step(&spec(), &closed, &now, at(10));
    assert_eq!(settled.settled_at, Some(seconds(at(10))));
    assert_eq!(settled.result.as_ref().unwrap().seconds_to_ready, Some(10));
    assert_eq!(phase(&step(&spec(), &settled, &now, at(69))), DrillPhase::Closed);
    let opening = step(&spec(), &settled, &now, at(70));
    assert_eq!((phase(&opening), &opening.admission), (DrillPhase::Opening, &None));
    assert_eq!(opening.result.as_ref().unwrap().forecast_met, Some(true));
    assert_eq!(phase(&step(&spec(), &opening, &now, at(71))), DrillPhase::Opening);
    now.marked = 0;
    let recovering = step(&spec(), &opening, &now, at(72));
    assert_eq!(phase(&recovering), DrillPhase::Recovering);
    now.tiers[0].is_at_rest = false;
    assert_eq!(phase(&step(&spec(), &recovering, &now, at(80))), DrillPhase::Recovering);
    now.tiers[0].is_at_rest = true;
    let over = step(&spec(), &recovering, &now, at(90));
    assert_eq!((phase(&over), over.ended_at.is_some()), (DrillPhase::Succeeded, true));
    assert_eq!(over.result.as_ref().unwrap().seconds_to_balanced, Some(20));
    assert_eq!(step(&spec(), &over, &facts(), at(999)), over, "nothing more becomes of it");
}

#[rstest]
#[case::paused(|facts: &mut RunFacts| facts.is_paused = true, DrillReason::Stopped)]
#[case::another_zone(
    |facts: &mut RunFacts| facts.other_out = Some("a".to_owned()), DrillReason::ZoneNotReady
)]
#[case::the_cluster(
    |facts: &mut RunFacts| facts.unstable = Some("it is".to_owned()), DrillReason::ClusterUnstable
)]
#[case::a_policy(
    |facts: &mut RunFacts| facts.tiers[0].paused = Some("it is".to_owned()), DrillReason::Paused
)]
#[case::the_floor(|facts: &mut RunFacts| facts.tiers[0].available = 3, DrillReason::TierBelowFloor)]
#[case::a_pod_that_waits(
    |facts: &mut RunFacts| {
        facts.tiers[0].waits_longest = Some(Pending { pod: Name::from("web-1"), since: at(-20) });
    },
    DrillReason::PodsPending
)]
fn everything_that_is_wrong_opens_the_zone_at_once(
    #[case] wrong: fn(&mut RunFacts),
    #[case] reason: DrillReason,
    #[values(DrillPhase::Closing, DrillPhase::Closed)] began: DrillPhase,
    #[values(false, true)] is_stale: bool,
) {
    let mut now = facts();
    now.is_stale = is_stale;
    wrong(&mut now);
    let opened = step(&spec(), &status(began), &now, at(100));
    assert_eq!((phase(&opened), opened.reason), (DrillPhase::Opening, Some(reason)));
    assert!(opened.message.contains(reason.as_str()), "{}", opened.message);
    // Whatever comes later, it ends as aborted.
    now = RunFacts { marked: 0, ..facts() };
    let recovering = step(&spec(), &opened, &now, at(101));
    let over = step(&spec(), &recovering, &now, at(102));
    assert_eq!((phase(&over), over.reason), (DrillPhase::Aborted, Some(reason)));
}

#[test]
fn the_deadline_opens_the_zone_and_so_does_a_status_without_one() {
    let closed = status(DrillPhase::Closed);
    let before = step(&spec(), &closed, &RunFacts { is_stale: true, ..facts() }, at(1799));
    assert_eq!(phase(&before), DrillPhase::Closed);
    let after = step(&spec(), &closed, &RunFacts { is_stale: true, ..facts() }, at(1800));
    assert_eq!(after.reason, Some(DrillReason::DeadlinePassed));
    let without = ZoneDrillStatus { deadline: None, ..closed };
    assert_eq!(phase(&step(&spec(), &without, &facts(), at(1))), DrillPhase::Opening);
}

#[test]
fn a_share_below_which_nobody_wants_to_go_opens_it_as_well() {
    let mut now = facts();
    now.tiers[0].available = 4;
    let closed = status(DrillPhase::Closed);
    assert_eq!(phase(&step(&spec(), &closed, &now, at(1))), DrillPhase::Closed);
    let below_percent = Some(80);
    let abort_on = Some(DrillAbort { below_percent, ..DrillAbort::default() });
    let strict = ZoneDrillSpec { abort_on, ..spec() };
    let opened = step(&strict, &closed, &now, at(1));
    assert_eq!(opened.reason, Some(DrillReason::TierBelowFloor));
}

#[test]
fn pods_that_wait_as_forecast_do_not_keep_it_from_settling_and_a_node_that_comes_does() {
    let mut closed = status(DrillPhase::Closed);
    let told = DrillTier {
        namespace: "shop".to_owned(),
        policy: "petclinic".to_owned(),
        tier: "web".to_owned(),
        pending: 2,
        ..DrillTier::default()
    };
    let forecast = closed.forecast.as_mut().unwrap();
    (forecast.pending, forecast.tiers) = (2, vec![told]);
    let mut now = facts();
    now.tiers[0].available = 4;
    now.tiers[0].pending = 2;
    let settled = step(&spec(), &closed, &now, at(1));
    assert!(settled.settled_at.is_some());
    let unsettled = step(&spec(), &settled, &RunFacts { open_nodes: 1, ..now.clone() }, at(2));
    assert_eq!(unsettled.settled_at, None);
    let opened = step(&spec(), &settled, &now, at(61));
    assert_eq!(opened.result.unwrap().forecast_met, Some(true));
}

#[test]
fn a_tier_that_is_not_balanced_in_time_is_told() {
    let mut recovering = status(DrillPhase::Recovering);
    recovering.opened_at = Some(seconds(at(0)));
    let mut now = RunFacts { marked: 0, hold_down: Duration::from_mins(10), ..facts() };
    now.tiers[0].is_at_rest = false;
    let latest = at(0) + SignedDuration::from_mins(70);
    let before = step(&spec(), &recovering, &now, latest - SignedDuration::from_secs(1));
    assert_eq!(phase(&before), DrillPhase::Recovering);
    let failed = step(&spec(), &recovering, &now, latest);
    assert_eq!(
        (phase(&failed), failed.reason),
        (DrillPhase::Failed, Some(DrillReason::NotBalanced))
    );
    recovering.reason = Some(DrillReason::Stopped);
    assert_eq!(phase(&step(&spec(), &recovering, &now, latest)), DrillPhase::Aborted);
}

#[test]
fn the_timeline_has_an_end() {
    let mut now = facts();
    let mut closed = status(DrillPhase::Closed);
    for second in 0..100 {
        now.open_nodes = usize::from(second % 2 == 0);
        closed = step(&spec(), &closed, &now, at(second));
    }
    assert_eq!(closed.timeline.len(), 30);
}
