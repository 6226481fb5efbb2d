//! Stories about what must hold before a zone is lost on purpose.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rstest::rstest;

use super::facts::names;
use super::*;
use crate::api::{LossReason, ZoneState};
use crate::observe::{Name, PolicyKey, Zone};
use crate::outlook::{Missing, Of, PhaseOutlook, TierOutlook};

fn policy() -> PolicyKey {
    PolicyKey { namespace: Name::from("shop"), name: Name::from("petclinic") }
}

/// A balanced tier of six, two in zone c.
fn web() -> TierFacts {
    TierFacts {
        policy: policy(),
        name: Name::from("web"),
        zones: Vec::new(),
        in_zone: 2,
        skew: 0,
        max_skew: 1,
        is_single_zone: false,
        paused: None,
        observed: false,
        moves: 0,
        rolling_out: None,
        unstable: None,
        desired: 6,
        missing: 0,
        budget: None,
        stays: 0,
        why_it_stays: None,
    }
}

fn zones(pods: [usize; 3]) -> BTreeMap<Zone, usize> {
    let zones = ["a", "b", "c"].map(Zone::new).into_iter().zip(pods);
    zones.filter(|(_, pods)| *pods > 0).collect()
}

fn loss(of: Of, reason: Option<(LossReason, &str)>, pending: usize) -> TierOutlook {
    let phase = PhaseOutlook { pending, zones: zones([3, 3, 0]), ..PhaseOutlook::default() };
    TierOutlook {
        namespace: Name::from("shop"),
        of,
        pods: 6,
        surviving: 4,
        lost: 2,
        quorum_lost: false,
        accepted: false,
        unreachable: phase.clone(),
        gone: phase,
        reason: reason.map(|(reason, message)| (reason, message.to_owned())),
    }
}

fn of_web() -> Of {
    Of::Tier(Name::from("petclinic"), Name::from("web"))
}

/// All is well: a drill of zone c, with what is known of it.
struct Story {
    spec: ZoneDrillSpec,
    facts: DrillFacts,
    outlook: ZoneOutlook,
}

impl Story {
    fn new() -> Self {
        Self {
            spec: ZoneDrillSpec { zone: "c".to_owned(), dry_run: true, ..ZoneDrillSpec::default() },
            facts: DrillFacts {
                others_are_usable: true,
                tiers: vec![web()],
                ..DrillFacts::default()
            },
            outlook: ZoneOutlook {
                zone: Zone::new("c"),
                tiers: vec![loss(of_web(), None, 0)],
                missing: Missing::default(),
            },
        }
    }

    fn web(&mut self) -> &mut TierFacts {
        &mut self.facts.tiers[0]
    }

    fn answer(&self) -> ZoneDrillStatus {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        answer(&self.spec, Some(1), &self.facts, Some(&self.outlook), now)
    }
}

#[test]
fn nothing_speaks_against_a_drill_when_all_is_well() {
    let status = Story::new().answer();
    assert_eq!((status.phase, status.reason), (Some(DrillPhase::Forecast), None));
    assert_eq!(
        status.message,
        "nothing speaks against a drill of zone c: 2 pods of 1 tier are evicted, and all of them find a place elsewhere"
    );
    let forecast = status.forecast.unwrap();
    assert_eq!((forecast.pods, forecast.evictions, forecast.pending), (2, 2, 0));
    let tier = &forecast.tiers[0];
    assert_eq!((tier.pods, tier.in_zone, tier.surviving), (6, 2, 4));
    let then: Vec<(&str, i32)> =
        tier.zones.iter().map(|zone| (zone.name.as_str(), zone.pods)).collect();
    assert_eq!(then, [("a", 3), ("b", 3)]);
}

/// What makes a drill be refused, and what the message must say.
type Case = (DrillReason, &'static str, fn(&mut Story));

const REFUSED: [Case; 21] = [
    (DrillReason::CannotClose, "no right", |story| {
        story.spec.dry_run = false;
        story.facts.cannot_close = Some("there is no right".to_owned());
    }),
    (DrillReason::AnotherDrill, "zonespread drill abort monday", |story| {
        story.spec.dry_run = false;
        story.facts.other_drill = Some("monday".to_owned());
    }),
    (DrillReason::OnlyZone, "no zone but c", |story| story.facts.others_are_usable = false),
    (DrillReason::NothingToDrill, "has a pod in zone c", |story| {
        story.web().in_zone = 0;
        story.outlook.tiers.clear();
    }),
    (DrillReason::UnknownTier, "\"wbe\"", |story| story.spec.accept_risk = vec!["wbe".into()]),
    (DrillReason::PolicyInvalid, "shop/petclinic is Invalid: spec.selector", |story| {
        story.facts.invalid.push((policy(), "spec.selector is wrong".to_owned()));
    }),
    (DrillReason::ZoneNotReady, "zone b is out", |story| {
        story.facts.not_ready.insert(Zone::new("b"), ZoneState::Impaired);
    }),
    (DrillReason::ZoneNotReady, "`zonespread release b`", |story| {
        story.facts.not_ready.insert(Zone::new("b"), ZoneState::Held);
    }),
    (DrillReason::ZoneNotReady, "zone a is Recovering: wait", |story| {
        story.facts.not_ready.insert(Zone::new("a"), ZoneState::Recovering);
    }),
    (DrillReason::ClusterUnstable, "two zones", |story| {
        story.facts.unstable = Some("two zones are out".to_owned());
    }),
    (DrillReason::ClusterUnstable, "a fifth", |story| {
        story.web().unstable = Some("a fifth of its nodes".to_owned());
    }),
    (DrillReason::StaleView, "pods", |story| {
        story.facts.stale = Some("the watch of pods is silent".to_owned());
    }),
    (DrillReason::Paused, "zonespread resume", |story| {
        story.web().paused = Some("`zonespread resume petclinic -n shop`".to_owned());
    }),
    (DrillReason::ObserveOnly, "set its mode to Auto", |story| story.web().observed = true),
    (DrillReason::TierUnavailable, "1 of 6 pods are not", |story| story.web().missing = 1),
    (DrillReason::RolloutInProgress, "Deployment web is rolling", |story| {
        story.web().rolling_out = Some("Deployment web".to_owned());
    }),
    (DrillReason::MovesUnderWay, "2 moves under way", |story| story.web().moves = 2),
    (DrillReason::Unbalanced, "skew 2, maxSkew 1", |story| story.web().skew = 2),
    (DrillReason::BudgetExhausted, "minAvailable", |story| {
        let message = "PodDisruptionBudget web: minAvailable".to_owned();
        story.web().budget = Some(DrillRefusal { reason: DrillReason::BudgetExhausted, message });
    }),
    (DrillReason::PodsStay, "1 pod would stay in the zone: it has", |story| {
        story.web().stays = 1;
        story.web().why_it_stays = Some("it has data".to_owned());
    }),
    (DrillReason::NotSafeToLose, "WouldPend: a constraint", |story| {
        let reason = Some((LossReason::WouldPend, "a constraint"));
        story.outlook.tiers = vec![loss(of_web(), reason, 2)];
    }),
];

#[test]
fn each_thing_that_speaks_against_a_drill_refuses_it() {
    for (reason, says, spoil) in REFUSED {
        let mut story = Story::new();
        spoil(&mut story);
        let status = story.answer();
        assert_eq!((status.phase, status.reason), (Some(DrillPhase::Refused), Some(reason)));
        assert_eq!(status.refusals.len(), 1, "{:?}", status.refusals);
        assert!(status.refusals[0].message.contains(says), "{}", status.refusals[0].message);
        assert!(status.message.contains(says), "{}", status.message);
        assert!(status.forecast.is_some(), "the forecast is told all the same");
    }
    let tried: Vec<DrillReason> = REFUSED.iter().map(|(reason, ..)| *reason).collect();
    let elsewhere = [DrillReason::UnknownZone, DrillReason::MultipleBudgets];
    // The others end a drill that has begun: run_tests.
    let all = DrillReason::ALL.into_iter().filter(|reason| *reason <= DrillReason::NotSafeToLose);
    let untried = all.filter(|reason| !tried.contains(reason));
    assert_eq!(untried.collect::<Vec<_>>(), elsewhere);
}

#[test]
fn a_zone_without_nodes_is_no_zone() {
    let story = Story::new();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let status = answer(&story.spec, None, &story.facts, None, now);
    assert_eq!(status.reason, Some(DrillReason::UnknownZone));
    assert_eq!((status.forecast, status.refusals.len()), (None, 1));
}

#[test]
fn an_accepted_risk_is_told_and_refuses_nothing() {
    let mut story = Story::new();
    let reason = Some((LossReason::SingleZone, "its only pod is in zone c"));
    story.outlook.tiers = vec![loss(of_web(), reason, 2)];
    story.web().stays = 1;
    story.web().why_it_stays = Some("it has data".to_owned());
    story.spec.accept_risk = vec!["petclinic/web".to_owned()];
    let status = story.answer();
    assert_eq!((status.phase, status.reason), (Some(DrillPhase::Forecast), None));
    assert!(status.message.ends_with("2 of them stay Pending, which is accepted"));
    let forecast = status.forecast.unwrap();
    assert_eq!((forecast.pending, forecast.stays, forecast.evictions), (2, 1, 1));
    let tier = &forecast.tiers[0];
    assert_eq!((tier.accepted, tier.reason), (true, Some(LossReason::SingleZone)));
}

#[test]
fn what_an_accepted_risk_does_not_cover_refuses_the_drill_all_the_same() {
    let mut story = Story::new();
    story.spec.accept_risk = vec!["web".to_owned()];
    story.web().missing = 1;
    story.web().skew = 2;
    let reasons: Vec<DrillReason> =
        story.answer().refusals.into_iter().map(|refusal| refusal.reason).collect();
    assert_eq!(reasons, [DrillReason::TierUnavailable, DrillReason::Unbalanced]);
    assert!(story.answer().message.contains("(and 1 more: see refusals)"));
}

#[test]
fn a_tier_that_may_be_in_one_zone_need_not_be_balanced() {
    let mut story = Story::new();
    story.web().is_single_zone = true;
    story.web().skew = 6;
    assert_eq!(story.answer().reason, None);
}

#[test]
fn pods_of_others_are_counted_and_let_be() {
    let mut story = Story::new();
    let job = Of::Workload(Name::from("Job"), Name::from("report"));
    let harm = Some((LossReason::SingleZone, "its only pod is in zone c"));
    let left_out = Of::Tier(Name::from("another"), Name::from("web"));
    story.outlook.tiers.extend([loss(job, harm, 2), loss(left_out, harm, 2)]);
    let status = story.answer();
    assert_eq!(status.reason, None, "they are none of the drill's");
    let forecast = status.forecast.unwrap();
    assert_eq!((forecast.pods, forecast.other_pods, forecast.total_tiers), (2, 4, 1));
}

#[test]
fn those_in_danger_come_first_and_long_lists_are_cut() {
    let mut story = Story::new();
    let name = |at: usize| Name::from(format!("tier-{at}"));
    story.facts.tiers = (0..300).map(|at| TierFacts { name: name(at), ..web() }).collect();
    story.outlook.tiers = (0..300)
        .map(|at| {
            let of = Of::Tier(Name::from("petclinic"), name(at));
            loss(of, (at >= 240).then_some((LossReason::NoRoom, "no room")), 0)
        })
        .collect();
    let status = story.answer();
    assert_eq!(status.refusals.len(), limit::DRILL_REFUSALS);
    let forecast = status.forecast.unwrap();
    assert_eq!((forecast.total_tiers, forecast.tiers.len()), (300, limit::DRILL_TIERS));
    let in_danger = forecast.tiers.iter().take_while(|tier| tier.reason.is_some()).count();
    assert_eq!((in_danger, forecast.evictions), (60, 600));
}

#[rstest]
#[case("web", true)]
#[case("petclinic/web", true)]
#[case("shop/petclinic/web", true)]
#[case("was", false)]
#[case("shop/web", false)]
#[case("petclinic/shop/web", false)]
#[case("x/shop/petclinic/web", false)]
#[case("", false)]
fn a_risk_is_accepted_by_name(#[case] accepted: &str, #[case] is_it: bool) {
    assert_eq!(names(accepted, &policy(), "web"), is_it);
}
