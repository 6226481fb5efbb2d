//! Stories about drills that close their zone.

use std::time::Duration;

use serde_json::json;

use crate::api::{DrillPhase, DrillReason, ZoneDrillSpec};
use crate::moves::Verb;
use crate::operator::drill_tests::six_pods;
use crate::operator::world::World;

/// The same with a budget of one and pods that take their time.
fn six_slow_pods() -> World {
    let mut world = six_pods();
    world.policy("web", json!({"rebalance": {"maxUnavailable": 1, "holdDown": "60s"}}));
    world.pass(1);
    world.start_delay = 20;
    world
}

fn spec() -> ZoneDrillSpec {
    ZoneDrillSpec {
        zone: "c".to_owned(),
        max_duration: Some(Duration::from_mins(10)),
        observe_for: Some(Duration::from_secs(20)),
        ..ZoneDrillSpec::default()
    }
}

fn vacated(world: &World) -> usize {
    world.asked.iter().filter(|request| request.verb == Verb::Vacate).count()
}

#[test]
fn a_zone_is_closed_emptied_opened_and_filled_again_and_no_outage_is_remembered() {
    let mut world = six_pods();
    world.drill("friday", spec());
    world.until_drill("friday", DrillPhase::Closed);
    assert_eq!((world.spread("web").as_str(), world.closed_nodes()), ("3/3/0", 2));
    let deadline = world.drill_status("friday").deadline.clone().unwrap();
    assert!(deadline.0 > world.now);
    assert_eq!(world.zone("c").reason.as_deref(), Some("Drilled"));
    world.until_drill("friday", DrillPhase::Recovering);
    assert_eq!((world.spread("web").as_str(), world.closed_nodes()), ("3/3/0", 0));
    world.until_drill("friday", DrillPhase::Succeeded);
    assert_eq!((world.spread("web").as_str(), vacated(&world)), ("2/2/2", 2));
    let status = world.drill_status("friday");
    let result = status.result.as_ref().unwrap();
    assert_eq!((result.evictions, result.forecast_met), (2, Some(true)), "{result:#?}");
    let tier = &result.tiers[0];
    let pods = |zones: &[crate::api::DrillZone]| -> Vec<i32> {
        zones.iter().map(|zone| zone.pods).collect()
    };
    assert_eq!(pods(&tier.before), [2, 2, 2]);
    assert_eq!(pods(&tier.during), [3, 3, 0]);
    assert_eq!(pods(&tier.after), [2, 2, 2]);
    assert!(tier.lowest_available >= 4, "{tier:?}");
    assert_eq!((world.zone("c").outages, &world.zone("c").last_outage), (0, &None));
    assert_eq!(status.admission, None);
}

#[test]
fn a_tier_never_misses_more_than_its_budget() {
    let mut world = six_slow_pods();
    world.drill("friday", spec());
    world.until_drill("friday", DrillPhase::Closed);
    let tier = &world.drill_status("friday").result.as_ref().unwrap().tiers[0];
    assert_eq!((tier.evictions, tier.lowest_available), (2, 5), "{tier:?}");
}

#[test]
fn whoever_leads_next_goes_on_at_every_step_and_evicts_nothing_twice() {
    for phase in [DrillPhase::Closing, DrillPhase::Closed, DrillPhase::Recovering] {
        let mut world = six_slow_pods();
        world.drill("friday", spec());
        world.until_drill("friday", phase);
        world.restart();
        world.until_drill("friday", DrillPhase::Succeeded);
        assert_eq!((world.spread("web").as_str(), vacated(&world)), ("2/2/2", 2), "{phase:?}");
        assert_eq!(world.closed_nodes(), 0);
        assert_eq!(world.zone("c").outages, 0, "{phase:?}");
    }
}

#[test]
fn a_drill_that_is_deleted_leaves_nothing_closed() {
    for phase in [DrillPhase::Closing, DrillPhase::Closed] {
        let mut world = six_slow_pods();
        world.drill("friday", spec());
        world.until_drill("friday", phase);
        world.drills.clear();
        world.show_drills();
        world.pass(2);
        assert_eq!(world.closed_nodes(), 0, "{phase:?}");
        world.pass(200);
        assert_eq!(world.spread("web"), "2/2/2");
    }
}

#[test]
fn a_leader_that_starts_after_the_deadline_opens_the_zone() {
    let mut world = six_pods();
    world.drill("friday", spec());
    world.until_drill("friday", DrillPhase::Closed);
    world.now += jiff::SignedDuration::from_mins(20);
    world.restart();
    world.pass(2);
    assert_eq!(world.closed_nodes(), 0);
    world.until_drill("friday", DrillPhase::Aborted);
    assert_eq!(world.drill_status("friday").reason, Some(DrillReason::DeadlinePassed));
    assert_eq!(world.spread("web"), "2/2/2");
}

#[test]
fn while_nobody_knows_which_drills_there_are_a_zone_stays_closed_until_its_deadline() {
    let mut world = six_pods();
    world.drill("friday", spec());
    world.until_drill("friday", DrillPhase::Closed);
    world.operator.drills_unknown();
    world.pass(30);
    assert_eq!(world.closed_nodes(), 2);
    world.now += jiff::SignedDuration::from_mins(20);
    world.pass(2);
    assert_eq!(world.closed_nodes(), 0);
}

#[test]
fn another_zone_that_fails_opens_the_zone_at_once() {
    let mut world = six_pods();
    world.drill("friday", spec());
    world.until_drill("friday", DrillPhase::Closed);
    world.cordon("a");
    world.pass(2);
    assert_eq!(world.closed_nodes(), 0);
    let reason = world.drill_status("friday").reason;
    assert_eq!(reason, Some(DrillReason::ZoneNotReady));
}

#[test]
fn nothing_is_moved_by_the_main_job_while_a_zone_is_closed() {
    let mut world = six_pods();
    world.drill("friday", spec());
    world.until_drill("friday", DrillPhase::Closed);
    let before = world.evicted.len();
    world.pass(10);
    assert_eq!(world.evicted.len(), before);
    let blocked = world.status("web").tiers[0].blocked.as_ref().unwrap();
    assert_eq!(blocked.reason, crate::api::Reason::ZoneImpaired);
    assert!(blocked.message.contains("closed by a drill"), "{}", blocked.message);
}

#[test]
fn a_second_drill_waits_for_no_turn_it_is_refused() {
    let mut world = six_pods();
    world.drill("friday", spec());
    world.until_drill("friday", DrillPhase::Closed);
    world.drill("monday", ZoneDrillSpec { zone: "b".to_owned(), ..spec() });
    world.until_drill("monday", DrillPhase::Refused);
    assert_eq!(world.drill_status("monday").reason, Some(DrillReason::AnotherDrill));
}
