//! lint over manifests, as it runs before they are applied.

use serde_json::Value;

use super::run::{fixture, zonespread};

#[test]
fn manifests_of_a_directory_are_checked_before_they_are_applied() {
    let ran = zonespread(&["lint", "-f", &fixture("lint"), "--zones", "3"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    // Where this repository is must not be in the snapshot.
    insta::assert_snapshot!(ran.out.replace(&fixture(""), ""));
    let lines: Vec<&str> = ran.err.lines().collect();
    assert!(lines[0].ends_with("template.yaml: line 1: a template: render it first"), "{lines:?}");
    assert_eq!(lines[1..], ["2 errors, 1 warning, 2 info"], "{lines:?}");
}

#[test]
fn what_needs_the_number_of_zones_is_said_without_it() {
    let file = fixture("lint/shop.yaml");
    let ran = zonespread(&["lint", "-f", &file, "--fail-on", "never"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("NOT CHECKED") && ran.out.contains("--zones N"), "{}", ran.out);
    assert!(!ran.out.contains("error      WouldStayPending"), "{}", ran.out);
    let ran = zonespread(&["lint", "-f", &file, "-n", "other", "--fail-on", "info"]);
    assert_eq!(ran.code, Some(0), "nothing of another namespace: {ran:?}");
}

#[test]
fn programs_get_findings_with_file_and_line() {
    let file = fixture("lint/shop.yaml");
    let ran = zonespread(&["lint", "-f", &file, "--zones", "3", "-o", "json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let found = |check: &str| {
        let findings = answer["findings"].as_array().unwrap();
        findings.iter().find(|known| known["check"] == check).unwrap_or(&Value::Null)
    };
    let budget = found("BudgetNeverAllows");
    assert_eq!(budget["severity"], "error");
    assert_eq!(
        (&budget["namespace"], &budget["object"]),
        (&"shop".into(), &"PodDisruptionBudget/web".into())
    );
    assert_eq!((&budget["line"], &budget["accepted"]), (&21.into(), &Value::Null));
    assert!(budget["file"].as_str().unwrap().ends_with("shop.yaml"));
    let cache = found("SingleReplica");
    assert_eq!(cache["accepted"]["reason"], "moves to a managed service");
    assert_eq!((&cache["accepted"]["policy"], &cache["line"]), (&"shop/shop".into(), &30.into()));
}

#[test]
fn alerts_get_a_metric_with_a_series_for_each_check() {
    let file = fixture("lint/shop.yaml");
    let format = ["-o", "prometheus", "--fail-on", "never"];
    let ran = zonespread(&[["lint", "-f", &file, "--zones", "3"].as_slice(), &format].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let series = |check: &str, severity: &str, accepted: bool| {
        format!(
            "zonespread_lint_findings{{accepted=\"{accepted}\",check=\"{check}\",severity=\"{severity}\"}} "
        )
    };
    for (series, expected) in [
        (series("BudgetNeverAllows", "error", false), "1"),
        (series("BudgetNeverAllows", "error", true), "0"),
        (series("SingleReplica", "warning", true), "1"),
        (series("OtherScheduler", "info", false), "0"),
    ] {
        let line = ran.out.lines().find_map(|line| line.strip_prefix(&series));
        assert_eq!(line, Some(expected), "{series}\n{}", ran.out);
    }
    let told = ran.out.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(told.count(), 2 * zonespread::lint::Check::ALL.len());
}

#[test]
fn code_scanning_gets_sarif() {
    let file = fixture("lint/shop.yaml");
    let ran =
        zonespread(&["lint", "-f", &file, "--zones", "3", "-o", "sarif", "--fail-on", "never"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let log: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        let location = &result["locations"][0]["physicalLocation"];
        assert!(location["region"]["startLine"].as_u64().unwrap() >= 1);
        assert!(location["artifactLocation"]["uri"].as_str().unwrap().ends_with("shop.yaml"));
    }
    let accepted = run["results"].as_array().unwrap().iter();
    let accepted = accepted.filter(|known| known["suppressions"].is_array()).count();
    assert!(accepted >= 1, "{run}");
}

#[test]
fn a_file_that_is_named_must_be_readable() {
    let template = fixture("lint/more/template.yaml");
    let ran = zonespread(&["lint", "-f", &template]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.err.contains("template.yaml: line "), "{}", ran.err);
    let ran = zonespread(&["lint", "-f", &fixture("lint/more")]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("no Kubernetes objects in "), "{}", ran.err);
}
