//! The alerts of `deploy/alerts.yaml` in the real Prometheus. `tests/alerts` has what raises
//! each of them, and what must not, for promtool.

use crate::harness::{Cluster, Prometheus, ScheduleAnyway, deployment, eventually, promtool};
use crate::policy::{self, phase, policy, ready};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use zonespread::api::Phase;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rule file of a plain Prometheus: what is under `spec`.
fn rules() -> Value {
    let text = std::fs::read_to_string(root().join("deploy/alerts.yaml")).unwrap();
    let mut file: Value = serde_saphyr::from_str(&text).unwrap();
    file["spec"].take()
}

fn each_rule(rules: &mut Value, mut change: impl FnMut(&mut Value)) {
    for group in rules["groups"].as_array_mut().unwrap() {
        group["rules"].as_array_mut().unwrap().iter_mut().for_each(&mut change);
    }
}

/// Runs promtool, which must be content; what it says.
fn ask_promtool(arguments: &[&str], files: &[PathBuf]) -> String {
    let mut command = Command::new(promtool());
    let output = command.args(arguments).args(files).output().expect("promtool starts");
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "promtool {arguments:?}:\n{}", said.concat());
    said.concat()
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = rules();
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, rules.to_string()).unwrap();
    ask_promtool(&["check", "rules", "--lint=all", "--lint-fatal"], std::slice::from_ref(&file));

    // promtool compares every annotation: the tests of the alerts mind the summary only.
    let mut alerts = BTreeSet::new();
    each_rule(&mut rules, |rule| {
        alerts.insert(rule["alert"].as_str().unwrap().to_owned());
        let annotations = rule["annotations"].as_object_mut().unwrap();
        annotations.retain(|name, _| name == "summary");
    });
    std::fs::write(&file, rules.to_string()).unwrap();
    let mut tests = Vec::new();
    let (mut fires, mut is_silent) = (BTreeSet::new(), BTreeSet::new());
    for entry in std::fs::read_dir(root().join("tests/alerts")).unwrap() {
        let from = entry.unwrap().path();
        let text = std::fs::read_to_string(&from).unwrap();
        let to = folder.path().join(from.file_name().unwrap());
        std::fs::write(&to, &text).unwrap();
        tests.push(to);
        for (alert, expected) in expectations(&serde_saphyr::from_str(&text).unwrap()) {
            if expected { &mut fires } else { &mut is_silent }.insert(alert);
        }
    }
    ask_promtool(&["test", "rules"], &tests);
    assert_eq!(fires, alerts, "no test in which it fires");
    assert_eq!(is_silent, alerts, "no test in which it does not");
}

/// The alerts that a file of tests asks for by name, and whether one is expected.
fn expectations(file: &Value) -> Vec<(String, bool)> {
    let tests = file["tests"].as_array().unwrap();
    let asked = tests.iter().filter_map(|test| test["alert_rule_test"].as_array()).flatten();
    asked
        .map(|asked| {
            let expected = asked["exp_alerts"].as_array().is_some_and(|some| !some.is_empty());
            (asked["alertname"].as_str().unwrap().to_owned(), expected)
        })
        .collect()
}

/// A minute becomes three seconds: in "5m", and in "[15m]".
fn twenty_times_as_fast(duration: &str) -> String {
    let (number, unit) = duration.split_at(duration.len() - 1);
    let minutes = match unit {
        "h" => 60,
        "m" => 1,
        _ => panic!("{duration}"),
    };
    format!("{}s", number.parse::<u32>().unwrap() * minutes * 3)
}

/// The rules for a story in which a minute takes three seconds.
fn fast_rules() -> Value {
    let mut rules = rules();
    each_rule(&mut rules, |rule| {
        if let Some(wait) = rule.get("for").and_then(Value::as_str) {
            rule["for"] = twenty_times_as_fast(wait).into();
        }
        let mut expr = rule["expr"].as_str().unwrap().to_owned();
        for range in ["15m", "30m", "2h"] {
            let fast = twenty_times_as_fast(range);
            expr = expr.replace(&format!("[{range}]"), &format!("[{fast}]"));
        }
        rule["expr"] = expr.into();
    });
    rules
}

const FIRING: &str = "ALERTS%7Balertstate=%22firing%22%7D";

#[tokio::test]
async fn an_outage_raises_its_alert_in_prometheus_and_no_other() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("market").await;
    let web = deployment("market", "web", 6).label("part-of", "market").spread(ScheduleAnyway);
    cluster.apply(web.to_string()).await;
    ready(&cluster, "market", "app=web", 6).await;
    let operator = policy::operator(&cluster).await;
    policy::becomes_leader(&operator, "the operator to lead").await;
    cluster.apply(policy("market", "market", "  rebalance: {holdDown: 5s}\n")).await;
    phase(&cluster, "market", "market", Phase::Balanced).await;
    let prometheus = Prometheus::start(&cluster, &operator, &fast_rules()).await;

    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    phase(&cluster, "market", "market", Phase::Frozen).await;
    eventually(Duration::from_mins(2), "the alert", async || {
        let firing = prometheus.values(FIRING, "alertname").await;
        if firing.iter().any(|alert| alert == "ZonespreadZoneImpaired") {
            Ok(())
        } else {
            Err("none")
        }
    })
    .await;
    let zones = prometheus.values(FIRING, "zone").await;
    assert!(zones.is_empty() || zones == ["c"], "{zones:?}");
    cluster.uncordon_zone("c").await;
    phase(&cluster, "market", "market", Phase::Balanced).await;
    eventually(policy::SOON, "the end of the alert", async || {
        let firing = prometheus.values(FIRING, "alertname").await;
        if firing.iter().any(|alert| alert == "ZonespreadZoneImpaired") {
            Err("fires")
        } else {
            Ok(())
        }
    })
    .await;
    let ever = format!("max_over_time({FIRING}[1h])");
    let mut fired = prometheus.values(&ever, "alertname").await;
    // A busy machine may be too slow for an operator whose minutes take three seconds.
    fired.retain(|alert| !["ZonespreadDown", "ZonespreadNoLeader"].contains(&alert.as_str()));
    assert_eq!(fired, ["ZonespreadZoneImpaired"]);
    every_rule_is_evaluated(&prometheus).await;
    let (_, text) = operator.get("/metrics").await;
    let file = cluster.directory().join("metrics.txt");
    std::fs::write(&file, text).unwrap();
    let checked = Command::new(promtool())
        .args(["check", "metrics"])
        .stdin(std::fs::File::open(file).unwrap())
        .output()
        .expect("promtool starts");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// No rule fails on the operator's own series, as one with two series on one side would.
async fn every_rule_is_evaluated(prometheus: &Prometheus) {
    let known = prometheus.api("rules").await;
    let groups = known["groups"].as_array().unwrap();
    let loaded: Vec<&Value> =
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    let mut count = 0;
    each_rule(&mut rules(), |_| count += 1);
    assert_eq!(loaded.len(), count);
    for rule in loaded {
        assert_eq!(rule["health"], "ok", "{}: {}", rule["name"], rule["lastError"]);
    }
}
