//! Every alert has a page to look at when it wakes somebody.

use serde_json::Value;

use super::read;

/// What each entry tells.
const PARTS: [&str; 3] = ["**It means:**", "**Look:**", "**Do:**"];

/// The alerts of `deploy/alerts.yaml`, in order.
fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read("deploy/alerts.yaml")).unwrap();
    let groups = file["spec"]["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules.cloned().collect()
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let text = read("docs/runbooks.md");
    let entries: Vec<(&str, &str)> =
        text.split("\n### ").skip(1).map(|entry| entry.split_once('\n').unwrap()).collect();
    let alerts = alerts();
    let names: Vec<&str> = alerts.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    let titles: Vec<&str> = entries.iter().map(|(title, _)| *title).collect();
    assert_eq!(titles, names, "docs/runbooks.md has an entry for each alert, in their order");
    for (alert, body) in &entries {
        let body = body.split("\n## ").next().unwrap();
        let places: Vec<Option<usize>> = PARTS.iter().map(|part| body.find(part)).collect();
        assert!(
            places[0].is_some() && places.is_sorted(),
            "{alert}: wants {PARTS:?} in this order"
        );
        assert!(body.contains("\n```\n"), "{alert}: no command to look with");
    }
}

#[test]
fn every_alert_links_its_runbook() {
    for rule in alerts() {
        let alert = rule["alert"].as_str().unwrap();
        let anchor = alert.to_lowercase();
        assert_eq!(
            rule["annotations"]["runbook_url"],
            format!("https://zonespread.io/runbooks#{anchor}"),
            "{alert}"
        );
    }
}
