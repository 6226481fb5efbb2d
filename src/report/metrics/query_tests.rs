//! The rules of `deploy/alerts.yaml` and the panels of `deploy/monitoring/dashboard.json` ask
//! for what `/metrics` has: metrics, labels and their values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::{MoveKind, Phase, Reason, ZoneState};
use crate::moves::{EvictionResult, MoveOutcome};

use super::tests::{NOW, recovering_petclinic};

/// `deploy/alerts.yaml`, rule by rule.
fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(include_str!("../../../deploy/alerts.yaml")).unwrap();
    let groups = file["spec"]["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(include_str!("../../../deploy/monitoring/dashboard.json")).unwrap()
}

/// What an alert, a panel, an annotation or a variable asks for, with its name.
fn queries() -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all: Vec<(String, String)> =
        alerts().iter().map(|rule| (text(&rule["alert"]), text(&rule["expr"]))).collect();
    let dashboard = dashboard();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            all.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    let annotations = dashboard["annotations"]["list"].as_array().unwrap();
    all.extend(annotations.iter().map(|note| (text(&note["name"]), text(&note["expr"]))));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let asking = variables.iter().filter(|variable| variable["type"] == "query");
    all.extend(asking.map(|variable| (text(&variable["name"]), text(&variable["definition"]))));
    assert!(all.len() > 40 && all.iter().all(|(_, query)| query.contains("zonespread_")));
    all
}

/// A metric in a query, and the labels that it is asked for with the values in quotes.
struct Selector<'a> {
    metric: &'a str,
    matchers: Vec<(&'a str, &'a str)>,
}

fn selectors(query: &str) -> Vec<Selector<'_>> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices("zonespread_") {
        let rest = &query[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (metric, rest) = rest.split_at(end);
        let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let pairs = matchers.map_or("", |(matchers, _)| matchers).split("\",");
        let matchers = pairs.filter_map(|pair| {
            let (label, value) = pair.split_once('=')?;
            Some((label.trim(), value.trim_start_matches('~').trim().trim_matches('"')))
        });
        found.push(Selector { metric, matchers: matchers.collect() });
    }
    found
}

/// The labels of each exported metric; `le` of histograms' buckets.
fn exported() -> BTreeMap<String, BTreeSet<String>> {
    let text = recovering_petclinic().render(NOW);
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (metric, labels) = series.split_once('{').unwrap_or((series, ""));
        let pairs = labels.split("\",").filter_map(|pair| pair.split_once("=\""));
        let known = all.entry(metric.to_owned()).or_default();
        known.extend(pairs.map(|(label, _)| label.to_owned()));
    }
    // Exported only where there are more tiers than have series.
    all.insert("zonespread_unreported_tiers".to_owned(), BTreeSet::new());
    all
}

#[test]
fn alerts_and_panels_ask_for_metrics_and_labels_that_exist() {
    let exported = exported();
    for (name, query) in queries() {
        for Selector { metric, matchers } in selectors(&query) {
            let labels = exported.get(metric);
            let labels = labels.unwrap_or_else(|| panic!("{name}: {metric} is not exported"));
            for (label, _) in matchers {
                assert!(labels.contains(label), "{name}: {metric} has no label {label}");
            }
        }
    }
}

#[test]
fn alerts_and_panels_ask_for_label_values_that_exist() {
    let mut known: BTreeMap<&str, Vec<&str>> = BTreeMap::from([
        ("reason", Reason::ALL.map(Reason::as_str).to_vec()),
        ("state", ZoneState::ALL.map(ZoneState::as_str).to_vec()),
        ("phase", Phase::ALL.map(Phase::as_str).to_vec()),
        ("outcome", MoveOutcome::ALL.map(MoveOutcome::as_str).to_vec()),
        ("result", EvictionResult::ALL.map(EvictionResult::as_str).to_vec()),
        ("kind", MoveKind::ALL.map(MoveKind::as_str).to_vec()),
        ("resource", vec!["cpu", "memory", "pods"]),
    ]);
    for chosen in ["namespace", "policy", "tier"] {
        known.insert(chosen, Vec::new());
    }
    let mut asked = BTreeSet::new();
    for (name, query) in queries() {
        for Selector { metric, matchers } in selectors(&query) {
            for (label, values) in matchers {
                asked.insert(label.to_owned());
                for value in values.split('|').filter(|value| !value.starts_with('$')) {
                    assert!(known[label].contains(&value), "{name}: {metric} with {label}={value}");
                }
            }
        }
    }
    assert!(asked.len() > 5, "{asked:?}");
}

#[test]
fn the_dashboard_shows_every_metric() {
    let dashboard = dashboard().to_string();
    for metric in exported().keys().filter(|metric| {
        // A histogram is shown by its buckets.
        !metric.ends_with("_sum") && !metric.ends_with("_count")
    }) {
        assert!(dashboard.contains(metric.as_str()), "{metric} is on no panel");
    }
}

#[test]
fn panels_say_what_they_show_and_lie_side_by_side() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "an id is taken twice");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for (x, y) in (at("x")..at("x") + at("w"))
            .flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
        {
            assert!(x < 24 && taken.insert((x, y)), "{title} lies on another panel, or outside");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{title} says nothing");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
}

#[test]
fn every_alert_says_what_is_and_what_to_do() {
    let rules = alerts();
    assert!(rules.len() > 8);
    for rule in rules {
        for text in [
            &rule["annotations"]["summary"],
            &rule["annotations"]["description"],
            &rule["labels"]["severity"],
        ] {
            assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{}", rule["alert"]);
        }
    }
}

/// A new reason needs a decision: who is told of a tier that it blocks?
#[test]
fn every_reason_is_tried_with_promtool() {
    let tests = include_str!("../../../tests/alerts/reasons.yaml");
    for reason in Reason::ALL.map(Reason::as_str) {
        assert!(
            tests.contains(&format!("tier=\"{reason}\",reason=\"{reason}\"")),
            "tests/alerts/reasons.yaml: which alert does a tier raise that {reason} blocks?"
        );
    }
}
