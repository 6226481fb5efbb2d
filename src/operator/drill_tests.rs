//! Stories about drills: their turns, their forecasts, and what is written.

use serde_json::json;

use super::decision::DrillWrite;
use super::world::World;
use super::*;
use crate::api::{DrillPhase, DrillReason, LossReason, ZoneDrillSpec, ZoneDrillStatus};
use crate::observe::Change;
use crate::observe::fixtures::pod;

/// 2/2/2, and a balanced policy.
pub fn six_pods() -> World {
    let mut world = World::new();
    world.replica_set("web", &["a1", "a2", "b1", "b2", "c1", "c2"]);
    world.policy("web", json!({}));
    world.pass(1);
    world
}

fn spec(zone: &str) -> ZoneDrillSpec {
    ZoneDrillSpec { zone: zone.to_owned(), dry_run: true, ..ZoneDrillSpec::default() }
}

fn drill(name: &str, zone: &str, phase: Option<DrillPhase>, created: i64) -> KnownDrill {
    KnownDrill {
        name: Name::from(name),
        uid: Name::from(format!("uid-{name}")),
        created: Timestamp::from_second(created).unwrap(),
        generation: Some(1),
        spec: Arc::new(spec(zone)),
        status: Arc::new(ZoneDrillStatus { phase, ..ZoneDrillStatus::default() }),
        is_paused: false,
    }
}

/// Makes what is due, and gives what is to be written.
fn look(world: &mut World) -> Vec<DrillWrite> {
    while world.operator.forecast_is_due() {
        // As slowly as it may be.
        let mut steps = 0..2;
        world.operator.make_forecast(|| steps.next().is_some());
    }
    world.operator.decide(world.now, None).drills
}

fn written(world: &mut World, write: &DrillWrite, is_written: bool) {
    world.operator.drill_written(write, is_written, world.now);
}

fn forecast(world: &World, spec: &ZoneDrillSpec) -> ZoneDrillStatus {
    world.operator.forecast_drill(spec, world.now)
}

#[test]
fn a_drill_gets_its_forecast_once_and_evicts_nothing() {
    let mut world = six_pods();
    world.operator.set_drills(vec![drill("friday", "c", None, 1)]);
    let writes = look(&mut world);
    assert_eq!((writes.len(), &*writes[0].name), (1, "friday"));
    let status = &writes[0].status;
    assert_eq!((status.phase, status.observed_generation), (Some(DrillPhase::Forecast), Some(1)));
    let tiers = &status.forecast.as_ref().unwrap().tiers;
    let then: Vec<(&str, i32)> =
        tiers[0].zones.iter().map(|zone| (zone.name.as_str(), zone.pods)).collect();
    assert_eq!((tiers[0].in_zone, then), (2, vec![("a", 3), ("b", 3)]));
    // The command says the same.
    let mut said = forecast(&world, &spec("c"));
    said.observed_generation = Some(1);
    assert_eq!(said, **status);
    written(&mut world, &writes[0].clone(), true);
    assert!(!world.operator.forecast_is_due() && look(&mut world).is_empty());
    world.pass(60);
    assert!(look(&mut world).is_empty() && world.evicted.is_empty());
}

#[test]
fn drills_take_turns_the_oldest_first_and_those_that_are_over_are_let_be() {
    let mut world = six_pods();
    world.operator.set_drills(vec![
        drill("third", "a", None, 30),
        drill("first", "c", Some(DrillPhase::Refused), 10),
        drill("second", "b", Some(DrillPhase::Pending), 20),
    ]);
    let first = look(&mut world);
    assert_eq!((first.len(), &*first[0].name), (1, "second"));
    let then = look(&mut world);
    assert_eq!((then.len(), &*then[0].name), (1, "third"));
    assert!(look(&mut world).is_empty(), "both are on their way");
}

#[test]
fn what_could_not_be_written_is_made_and_written_again_ever_more_rarely() {
    let mut world = six_pods();
    world.operator.set_drills(vec![drill("friday", "c", None, 1)]);
    let mut after = Vec::new();
    for second in 0..200 {
        for write in look(&mut world) {
            after.push(second);
            written(&mut world, &write, false);
        }
        world.pass(1);
    }
    assert_eq!(after[..5], [0, 2, 6, 14, 30], "{after:?}");
    assert!(after.windows(2).all(|pair| pair[1] - pair[0] <= 32), "{after:?}");
}

#[test]
fn another_leader_makes_the_forecast_anew_and_a_follower_makes_none() {
    let mut world = six_pods();
    world.operator.set_drills(vec![drill("friday", "c", None, 1)]);
    let lost = look(&mut world);
    assert_eq!(lost.len(), 1, "killed before it was written");
    world.operator.follow();
    assert!(!world.operator.forecast_is_due() && look(&mut world).is_empty());
    world.restart();
    world.operator.set_drills(vec![drill("friday", "c", None, 1)]);
    world.decide();
    assert_eq!(look(&mut world)[0].status.forecast, lost[0].status.forecast);
}

#[test]
fn a_drill_that_is_deleted_while_its_forecast_is_made_is_forgotten() {
    let mut world = six_pods();
    world.operator.set_drills(vec![drill("friday", "c", None, 1)]);
    let mut one = 0..1;
    assert!(!world.operator.make_forecast(|| one.next().is_some()));
    world.operator.set_drills(Vec::new());
    assert!(!world.operator.forecast_is_due() && look(&mut world).is_empty());
}

#[test]
fn a_zone_that_is_not_there_is_named() {
    let mut world = six_pods();
    world.operator.set_drills(vec![drill("typo", "d", None, 1)]);
    let writes = look(&mut world);
    assert_eq!(writes[0].status.reason, Some(DrillReason::UnknownZone));
}

/// The reasons, with the first message of each.
fn refused(world: &World, spec: &ZoneDrillSpec) -> Vec<DrillReason> {
    let status = forecast(world, spec);
    status.refusals.into_iter().map(|refusal| refusal.reason).collect()
}

#[test]
fn what_people_decided_and_what_goes_on_is_found_in_the_cluster() {
    let mut world = six_pods();
    assert_eq!(refused(&world, &spec("c")), []);
    world.annotate("web", crate::api::PAUSED, json!("true"));
    assert_eq!(refused(&world, &spec("c")), [DrillReason::Paused]);
    world.annotate("web", crate::api::PAUSED, json!(null));
    world.hold("b", Some(world.now + jiff::SignedDuration::from_hours(1)));
    world.pass(1);
    let held = refused(&world, &spec("c"));
    assert!(held.contains(&DrillReason::ZoneNotReady), "{held:?}");
    world.hold("b", None);
    world.pass(1);
    assert_eq!(refused(&world, &spec("c")), []);
    world.policy("web", json!({"mode": "Observe"}));
    world.pass(1);
    assert_eq!(refused(&world, &spec("c")), [DrillReason::ObserveOnly]);
}

#[test]
fn in_an_outage_and_in_the_recovery_no_zone_is_lost_on_purpose() {
    let mut world = six_pods();
    world.cordon("c");
    world.evacuate("c");
    world.pass(2);
    let out = refused(&world, &spec("b"));
    assert_eq!(out[..1], [DrillReason::ZoneNotReady], "{out:?}");
    assert!(out.contains(&DrillReason::Unbalanced), "{out:?}");
    world.open("c");
    world.pass(2);
    let status = forecast(&world, &spec("b"));
    assert!(status.message.contains("zone c is Recovering"), "{}", status.message);
    world.pass(200);
    assert_eq!((world.spread("web").as_str(), refused(&world, &spec("b"))), ("2/2/2", vec![]));
}

#[test]
fn a_budget_or_a_mark_that_keeps_a_pod_in_the_zone_is_named() {
    let mut world = six_pods();
    let budget = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "minAvailable": 6},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 6, "desiredHealthy": 6,
                   "expectedPods": 6},
    });
    world.operator.apply(Change::Budget(serde_json::from_value(budget).unwrap()));
    let status = forecast(&world, &spec("c"));
    let reasons: Vec<DrillReason> = status.refusals.iter().map(|refusal| refusal.reason).collect();
    assert_eq!(reasons[0], DrillReason::BudgetExhausted, "{reasons:?}");
    assert!(status.message.contains("PodDisruptionBudget web"), "{}", status.message);

    let other = json!({
        "metadata": {"name": "all", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "maxUnavailable": 1},
        "status": {"disruptionsAllowed": 1, "currentHealthy": 6, "desiredHealthy": 5,
                   "expectedPods": 6},
    });
    world.operator.apply(Change::Budget(serde_json::from_value(other).unwrap()));
    assert_eq!(refused(&world, &spec("c"))[0], DrillReason::MultipleBudgets);

    let mut world = six_pods();
    let kept = pod("web-6").label("app", "web").owner("ReplicaSet", "web-rs").on("c2");
    let kept = kept.annotation(crate::api::DO_NOT_EVICT, "true").created(world.now);
    world.operator.apply(Change::Pod(kept.watched()));
    let mut asked = spec("c");
    let status = forecast(&world, &asked);
    assert_eq!(status.reason, Some(DrillReason::PodsStay), "{}", status.message);
    assert!(status.message.contains("zonespread.io/do-not-evict"), "{}", status.message);
    asked.accept_risk = vec!["web".to_owned()];
    let status = forecast(&world, &asked);
    assert_eq!(status.phase, Some(DrillPhase::Forecast), "{}", status.message);
    let told = status.forecast.unwrap();
    assert_eq!((told.pods, told.stays, told.evictions), (2, 1, 1));
}

#[test]
fn a_single_replica_is_told_to_be_down_and_must_be_accepted() {
    let mut world = six_pods();
    world.replica_set("redis", &["c1"]);
    world.policy(
        "redis",
        json!({"tiers": [
            {"name": "redis", "singleZone": {"accepted": true, "reason": "a cache"}},
        ]}),
    );
    world.pass(1);
    let mut asked = spec("c");
    let status = forecast(&world, &asked);
    assert_eq!(status.reason, Some(DrillReason::NotSafeToLose), "{}", status.message);
    assert!(status.message.contains("default/redis redis: SingleZone"), "{}", status.message);
    asked.accept_risk = vec!["default/redis/redis".to_owned()];
    let status = forecast(&world, &asked);
    assert_eq!(status.phase, Some(DrillPhase::Forecast), "{}", status.message);
    let first = &status.forecast.unwrap().tiers[0];
    assert_eq!((first.tier.as_str(), first.surviving, first.accepted), ("redis", 0, true));
    assert_eq!(first.reason, Some(LossReason::SingleZone));
}

#[test]
fn policies_are_chosen_by_their_own_labels() {
    let mut world = six_pods();
    world.replica_set("redis", &["c1"]);
    world.policy("redis", json!({}));
    world.label_policy("redis", "team", "cache");
    world.pass(1);
    let of = |labels: serde_json::Value| ZoneDrillSpec {
        policies: Some(serde_json::from_value(labels).unwrap()),
        ..spec("c")
    };
    let others = of(json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}));
    let status = forecast(&world, &others);
    assert_eq!(status.phase, Some(DrillPhase::Forecast), "{}", status.message);
    assert_eq!(status.forecast.unwrap().other_pods, 1, "redis is let be");
    let cache = of(json!({"matchLabels": {"team": "cache"}}));
    assert_eq!(refused(&world, &cache), [DrillReason::NotSafeToLose]);
    let nobody = of(json!({"matchLabels": {"team": "none"}}));
    assert_eq!(refused(&world, &nobody), [DrillReason::NothingToDrill]);
}
