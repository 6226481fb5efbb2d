//! Clusters as people have them, in files: what is right was asked of kube-scheduler.

use serde_json::{Value, json};

use super::run::{fixture, zonespread};

/// The only tier of the only policy in a file of `tests/fixtures/cases`.
fn tier(case: &str) -> Value {
    let file = fixture(&format!("cases/{case}.json"));
    let ran = zonespread(&["plan", "-A", "-f", &file, "-o", "json"]);
    assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
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

#[test]
fn one_tainted_node_of_five_is_another_pools_and_freezes_nobody() {
    let tier = tier("pool-taint-one-node-of-five");
    assert_eq!(tier["zones"], json!({"z-a": 2, "z-b": 0}), "{tier}");
    assert_eq!((targets(&tier), &tier["blocked"]), (vec!["z-b"], &Value::Null), "{tier}");
}

#[test]
fn a_tier_on_a_tainted_pool_recovers() {
    let tier = tier("pool-taint-tolerated");
    // Zone dc3 has nodes of the control plane and of another pool only.
    assert_eq!(tier["zones"], json!({"dc1": 4, "dc2": 0}), "{tier}");
    assert_eq!((targets(&tier), &tier["blocked"]), (vec!["dc2", "dc2"], &Value::Null), "{tier}");
}

#[test]
fn a_zone_with_another_pool_only_is_no_zone_of_the_tier() {
    let tier = tier("zone-with-another-pool-only");
    assert_eq!(tier["zones"], json!({"z-a": 2, "z-b": 2}), "{tier}");
    assert_eq!((&tier["skew"], targets(&tier)), (&json!(0), vec![]), "{tier}");
}

/// The zone of a regional pool is a domain to the scheduler all the same: it has no pod, so
/// that no other zone may have a second one by a replacement.
#[test]
fn a_domain_that_is_no_zone_of_the_tier_is_named_with_what_helps() {
    let tier = tier("regional-zone-zero");
    let zones = json!({"westus2-1": 3, "westus2-2": 3, "westus2-3": 0});
    assert_eq!((&tier["zones"], targets(&tier)), (&zones, vec!["westus2-3"]), "{tier}");
    assert_eq!((&tier["skew"], &tier["reachableSkew"]), (&json!(3), &json!(2)), "{tier}");
}
