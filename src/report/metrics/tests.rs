use crate::api::{Blocked, Phase, Reason, TierStatus, TierZone, ZoneLoss};

use super::*;

pub(super) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn metrics() -> Metrics {
    Metrics::new().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn tier(name: &str, pods: &[(&str, i32)]) -> TierStatus {
    let zones = pods.iter().map(|(zone, pods)| TierZone {
        name: (*zone).to_owned(),
        pods: *pods,
        available: *pods,
    });
    TierStatus {
        name: name.to_owned(),
        pods: pods.iter().map(|(_, pods)| pods).sum(),
        max_skew: 1,
        zones: zones.collect(),
        ..TierStatus::default()
    }
}

fn status(phase: Phase, tiers: Vec<TierStatus>) -> ZoneSpreadPolicyStatus {
    let effective = serde_json::from_value(serde_json::json!({
        "type": "Effective", "status": "True", "reason": "Effective", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }));
    ZoneSpreadPolicyStatus {
        phase: Some(phase),
        tiers,
        conditions: vec![effective.unwrap()],
        ..ZoneSpreadPolicyStatus::default()
    }
}

fn because(reason: Reason) -> Blocked {
    Blocked { reason, message: String::new() }
}

/// Every metric with at least one series.
pub(super) fn recovering_petclinic() -> Metrics {
    let metrics = metrics();
    let web = TierStatus {
        skew: 3,
        reachable_skew: 1,
        blocked: Some(because(Reason::ZoneRecovering)),
        zone_loss: vec![
            ZoneLoss { zone: "a".to_owned(), surviving: 3, percent: 50, ..ZoneLoss::default() },
            ZoneLoss { zone: "c".to_owned(), surviving: 6, percent: 100, ..ZoneLoss::default() },
        ],
        ..tier("web", &[("a", 3), ("b", 3), ("c", 0)])
    };
    metrics.policy("shop", "petclinic", &status(Phase::Holding, vec![web]));
    metrics.zones([("a", ZoneState::Ready, None), ("c", ZoneState::Recovering, Some(at(90)))]);
    let lost = ZoneLossSeries { pending: 2, cpu: 0.5, memory: 1024.0, pods: 1, is_safe: false };
    metrics.zone_losses([("a", lost)]);
    metrics.eviction("shop", "petclinic", "web", EvictionResult::Evicted);
    metrics.eviction("shop", "petclinic", "web", EvictionResult::RefusedBudget);
    let took = Some(Duration::from_secs(7));
    metrics.move_ended("shop", "petclinic", "web", (MoveKind::Surge, MoveOutcome::Landed), took);
    metrics.move_ended("shop", "petclinic", "web", (MoveKind::Evict, MoveOutcome::Stuck), None);
    metrics.prediction(true);
    metrics.plan_took(Duration::from_millis(3));
    metrics.decision_took(Duration::from_millis(4));
    metrics.event_took(Duration::from_micros(15));
    metrics.probes([(Zone::new("c"), ProbeStage::Pending)]);
    metrics.staleness("pods", Duration::from_millis(1500));
    metrics.reconcile_error(ErrorCategory::WriteStatus);
    metrics.leader(true);
    metrics
}

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|known| known == line)
}

fn lines_with<'a>(text: &'a str, part: &str) -> Vec<&'a str> {
    text.lines().filter(|line| !line.starts_with('#') && line.contains(part)).collect()
}

#[test]
fn all_metrics_read_as_the_contract_says() {
    let text = recovering_petclinic().render(NOW);
    insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
fn a_new_operator_has_no_tiers_and_does_not_lead() {
    let text = metrics().render(NOW);
    assert!(has_line(&text, "zonespread_leader 0"), "{text}");
    assert!(has_line(&text, r#"zonespread_predictions_total{outcome="miss"} 0"#), "{text}");
    assert!(!text.contains("zonespread_tier"), "{text}");
}

#[test]
fn a_zone_without_pods_is_a_zero() {
    let text = recovering_petclinic().render(NOW);
    for metric in ["zonespread_tier_pods", "zonespread_tier_available_pods"] {
        let zero =
            format!(r#"{metric}{{namespace="shop",policy="petclinic",tier="web",zone="c"}} 0"#);
        assert!(has_line(&text, &zero), "{text}");
    }
}

#[test]
fn series_of_a_deleted_tier_disappear() {
    let metrics = metrics();
    let both = vec![tier("web", &[("a", 1)]), tier("was", &[("a", 1)])];
    metrics.policy("shop", "petclinic", &status(Phase::Balanced, both));
    metrics.eviction("shop", "petclinic", "was", EvictionResult::Evicted);
    assert!(!lines_with(&metrics.render(NOW), r#"tier="was""#).is_empty());

    let one = vec![tier("web", &[("a", 1)])];
    metrics.policy("shop", "petclinic", &status(Phase::Balanced, one));
    let text = metrics.render(NOW);
    assert_eq!(lines_with(&text, r#"tier="was""#), Vec::<&str>::new());
    assert!(!lines_with(&text, r#"tier="web""#).is_empty());
}

#[test]
fn series_of_a_zone_a_reason_and_a_phase_that_are_no_more_disappear() {
    let metrics = metrics();
    let web = TierStatus {
        blocked: Some(because(Reason::NoRoom)),
        zone_loss: vec![ZoneLoss {
            zone: "c".to_owned(),
            surviving: 3,
            percent: 75,
            ..ZoneLoss::default()
        }],
        ..tier("web", &[("a", 3), ("c", 1)])
    };
    metrics.policy("shop", "petclinic", &status(Phase::Blocked, vec![web]));
    metrics.zones([("a", ZoneState::Ready, None), ("c", ZoneState::Ready, None)]);
    assert_eq!(lines_with(&metrics.render(NOW), r#"reason="NoRoom"} 1"#).len(), 1);

    let web = tier("web", &[("a", 4)]);
    metrics.policy("shop", "petclinic", &status(Phase::Balanced, vec![web]));
    metrics.zones([("a", ZoneState::Ready, None)]);
    let text = metrics.render(NOW);
    assert_eq!(lines_with(&text, r#"zone="c""#), Vec::<&str>::new());
    assert_eq!(lines_with(&text, "zonespread_tier_blocked"), Vec::<&str>::new());
    assert_eq!(
        lines_with(&text, "zonespread_policy_phase"),
        [r#"zonespread_policy_phase{namespace="shop",policy="petclinic",phase="Balanced"} 1"#]
    );
}

#[test]
fn a_forgotten_policy_leaves_nothing_and_a_late_landing_does_not_bring_it_back() {
    let metrics = recovering_petclinic();
    metrics.policy("shop", "other", &status(Phase::Balanced, vec![tier("web", &[("a", 1)])]));
    metrics.forget_policy("shop", "petclinic");
    metrics.move_ended("shop", "petclinic", "web", (MoveKind::Evict, MoveOutcome::Landed), None);
    metrics.eviction("shop", "petclinic", "web", EvictionResult::Gone);
    let text = metrics.render(NOW);
    assert_eq!(lines_with(&text, "petclinic"), Vec::<&str>::new());
    assert!(!lines_with(&text, r#"policy="other""#).is_empty());
}

#[test]
fn a_landing_in_a_tier_that_is_gone_is_gone_with_the_next_status() {
    let metrics = recovering_petclinic();
    metrics.move_ended("shop", "petclinic", "was", (MoveKind::Evict, MoveOutcome::Stuck), None);
    assert!(!lines_with(&metrics.render(NOW), r#"tier="was""#).is_empty());
    metrics.policy("shop", "petclinic", &status(Phase::Balanced, vec![]));
    assert_eq!(lines_with(&metrics.render(NOW), "tier="), Vec::<&str>::new());
}

#[test]
fn counters_begin_at_zero_with_the_tier_and_outlive_every_status() {
    let metrics = metrics();
    let petclinic = status(Phase::Balanced, vec![tier("web", &[("a", 1)])]);
    metrics.policy("shop", "petclinic", &petclinic);
    let text = metrics.render(NOW);
    for result in EvictionResult::ALL {
        let zero = format!(r#"result="{}"}} 0"#, result.as_str());
        assert_eq!(lines_with(&text, &zero).len(), 1, "{text}");
    }

    for (count, result) in EvictionResult::ALL.into_iter().enumerate() {
        (0..=count).for_each(|_| metrics.eviction("shop", "petclinic", "web", result));
    }
    for (count, outcome) in MoveOutcome::ALL.into_iter().enumerate() {
        (0..=count).for_each(|_| {
            metrics.move_ended("shop", "petclinic", "web", (MoveKind::Evict, outcome), None);
        });
    }
    metrics.policy("shop", "petclinic", &petclinic);
    let text = metrics.render(NOW);
    for (count, result) in EvictionResult::ALL.into_iter().enumerate() {
        let line = format!(r#"result="{}"}} {}"#, result.as_str(), count + 1);
        assert_eq!(lines_with(&text, &line).len(), 1, "{text}");
    }
    for (count, outcome) in MoveOutcome::ALL.into_iter().enumerate() {
        let line = format!(r#"outcome="{}"}} {}"#, outcome.as_str(), count + 1);
        // By tier, and by kind.
        assert_eq!(lines_with(&text, &line).len(), 2, "{text}");
    }
}

#[test]
fn policies_whose_names_run_together_keep_their_own_series() {
    let metrics = metrics();
    let with_pods = |pods| status(Phase::Balanced, vec![tier("web", &[("a", pods)])]);
    metrics.policy("ab", "c", &with_pods(1));
    metrics.policy("a", "bc", &with_pods(2));
    metrics.eviction("ab", "c", "web", EvictionResult::Evicted);
    let text = metrics.render(NOW);
    for line in [
        r#"zonespread_tier_pods{namespace="ab",policy="c",tier="web",zone="a"} 1"#,
        r#"zonespread_tier_pods{namespace="a",policy="bc",tier="web",zone="a"} 2"#,
        r#"zonespread_evictions_total{namespace="ab",policy="c",tier="web",result="evicted"} 1"#,
        r#"zonespread_evictions_total{namespace="a",policy="bc",tier="web",result="evicted"} 0"#,
    ] {
        assert!(has_line(&text, line), "{line}\n{text}");
    }
}

#[test]
fn a_tiers_name_cannot_forge_a_series() {
    let metrics = metrics();
    let forged = "x\"} 1\nzonespread_leader 1\n\\";
    metrics.policy("shop", "petclinic", &status(Phase::Balanced, vec![tier(forged, &[])]));
    let text = metrics.render(NOW);
    assert!(!has_line(&text, "zonespread_leader 1"), "{text}");
    let escaped = r#"tier="x\"} 1\nzonespread_leader 1\n\\"} 1"#;
    assert_eq!(lines_with(&text, escaped).len(), 1, "{text}");
}

#[test]
fn every_zone_has_every_state_and_one_is_true() {
    for state in ZoneState::ALL {
        let metrics = metrics();
        metrics.zones([("a", state, None)]);
        let text = metrics.render(NOW);
        assert_eq!(lines_with(&text, "zonespread_zone_state").len(), ZoneState::ALL.len());
        let is_in_it = format!(r#"zonespread_zone_state{{zone="a",state="{}"}} 1"#, state.as_str());
        assert_eq!(
            lines_with(&text, "} 1"),
            [lines_with(&text, "zonespread_build_info")[0], is_in_it.as_str(),]
        );
    }
}

#[test]
fn a_hold_runs_down_between_scrapes_and_ends_at_zero() {
    let metrics = metrics();
    metrics.zones([("a", ZoneState::Ready, None), ("c", ZoneState::Recovering, Some(at(90)))]);
    for (seconds, left) in [(0, "90"), (30, "60"), (90, "0"), (600, "0")] {
        let text = metrics.render(at(seconds));
        let line = format!(r#"zonespread_zone_hold_seconds{{zone="c"}} {left}"#);
        assert!(has_line(&text, &line), "{line}\n{text}");
        assert!(has_line(&text, r#"zonespread_zone_hold_seconds{zone="a"} 0"#), "{text}");
    }
}

#[test]
fn only_landings_that_took_time_are_timed() {
    let text = recovering_petclinic().render(NOW);
    assert!(has_line(&text, "zonespread_move_duration_seconds_count 1"), "{text}");
    assert!(has_line(&text, "zonespread_move_duration_seconds_sum 7"), "{text}");
}
