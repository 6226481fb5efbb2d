//! The alerts of `deploy/alerts.yaml`, tried with promtool. `tests/alerts` has what raises
//! each of them, and what must not, for promtool.

use crate::harness::promtool;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

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
