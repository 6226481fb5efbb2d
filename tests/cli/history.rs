//! Past recoveries from files.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::run::{fixture, zonespread, zonespread_with};

fn ago(hours: i64, minutes: i64) -> String {
    let ago = SignedDuration::from_hours(hours) + SignedDuration::from_mins(minutes);
    (Timestamp::now() - ago).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Two policies: one with two recoveries that are over and one under way, one with one.
fn dump() -> String {
    let policy = |namespace: &str, name: &str, status: Value| {
        json!({
            "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"matchLabels": {"app": name}}},
            "status": status,
        })
    };
    let shop = json!({
        "history": [
            {"zone": "eu-west-2c", "lostAt": ago(50, 12), "startedAt": ago(50, 0),
             "heldUntil": ago(49, 50), "endedAt": ago(49, 45), "outcome": "Balanced", "moves": 3,
             "lowest": {"tier": "web", "available": 4, "replicas": 6}},
            {"startedAt": ago(30, 0), "endedAt": ago(29, 50), "outcome": "Balanced", "moves": 1,
             "misses": 2},
        ],
        "recovery": {"zone": "eu-west-2a", "lostAt": ago(3, 4), "startedAt": ago(3, 0),
                     "movesDone": 1, "movesTotal": 2, "misses": 1},
    });
    let bank = json!({
        "history": [{"zone": "eu-west-2c", "lostAt": ago(48, 12), "startedAt": ago(48, 0),
                     "heldUntil": ago(47, 58), "endedAt": ago(47, 58), "outcome": "Interrupted"}],
        // What is over is in the history.
        "recovery": {"zone": "eu-west-2c", "startedAt": ago(40, 0), "balancedAt": ago(39, 0)},
    });
    let items = [policy("shop", "shop", shop), policy("bank", "bank", bank)];
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[test]
fn past_recoveries_are_told_from_a_file() {
    let ran = zonespread_with(&dump(), &["history", "-f", "-"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    insta::assert_snapshot!(ran.out);
    let ran = zonespread_with(&dump(), &["history", "zsp/shop", "-n", "shop", "-f", "-"]);
    assert_eq!(ran.out.lines().count(), 4, "{ran:?}");
    assert!(!ran.out.contains("NAMESPACE") && !ran.out.contains("bank"), "{ran:?}");
}

#[test]
fn programs_get_past_recoveries_in_the_documented_form() {
    let ran = zonespread_with(&dump(), &["history", "-f", "-", "-o", "json"]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let told: Vec<_> = answer["recoveries"].as_array().unwrap().iter().collect();
    let outcomes: Vec<_> = told.iter().map(|told| told["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["Balanced", "Interrupted", "Balanced", "UnderWay"], "the oldest first");
    let keys: Vec<&str> = told[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "endedAt",
            "heldUntil",
            "lostAt",
            "lowest",
            "misses",
            "moves",
            "namespace",
            "outcome",
            "policy",
            "startedAt",
            "zone"
        ]
    );
    assert_eq!(told[0]["lowest"], json!({"tier": "web", "available": 4, "replicas": 6}));
    assert_eq!((&told[2]["zone"], &told[2]["heldUntil"]), (&Value::Null, &Value::Null));
    assert_eq!((&told[3]["endedAt"], &told[3]["moves"]), (&Value::Null, &1.into()));
}

#[test]
fn a_file_without_recoveries_says_what_it_lacks() {
    let ran = zonespread(&["history", "-f", &fixture("petclinic.yaml")]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(0), "", "no recovery yet\n"));
    let ran = zonespread_with(&dump(), &["history", "web", "-n", "shop", "-f", "-"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.err, "error: no ZoneSpreadPolicy web in namespace shop\n");
    let nodes = r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a1"}}"#;
    let ran = zonespread_with(nodes, &["history", "-f", "-"]);
    assert!(ran.code == Some(1) && ran.err.contains("no zonespreadpolicies in stdin"), "{ran:?}");
}
