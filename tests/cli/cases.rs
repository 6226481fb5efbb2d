//! Clusters as people have them, in files: what is right was asked of kube-scheduler.

use serde_json::{Value, json};

use super::run::{fixture, zonespread};

/// The only tier of the only policy in a file of `tests/fixtures/cases`.
fn tier(case: &str) -> Value {
    let file = fixture(&format!("cases/{case}.json"));
    let ran = zonespread(&["plan", "-A", "-f", &file, "-o", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let plan: Value = serde_json::from_str(&ran.out).unwrap();
    plan["policies"][0]["tiers"][0].clone()
}

fn targets(tier: &Value) -> Vec<&str> {
    let moves = tier["moves"].as_array().unwrap().iter();
    moves.map(|planned| planned["to"].as_str().unwrap()).collect()
}

#[test]
fn a_tier_label_that_is_added_at_admission_makes_a_tier_all_the_same() {
    let tier = tier("labels-added-at-admission");
    assert_eq!(tier["zones"], json!({"a": 3, "b": 3, "c": 0}), "{tier}");
    assert_eq!((&tier["skew"], targets(&tier)), (&json!(3), vec!["c", "c"]), "{tier}");
}
