//! What reads the words of strangers, by one door each. The fuzz targets and
//! `tests/untrusted` go through the same doors: nothing may panic, and nothing
//! may take memory or time out of proportion to what came in.

use serde_json::json;
use zonespread::api::ZoneSpreadPolicy;
use zonespread::cli::offline::{Contents, read};
use zonespread::observe::{Change, Index, Name, PolicyKey, parse_milli, parse_whole};
use zonespread::operator::Operator;

/// A file for `plan -f` and `predict -f`, and the plan for what is in it.
pub fn offline(bytes: &[u8]) {
    let mut operator = Operator::default();
    let mut contents = Contents::default();
    let mut sink = |change: Change| operator.apply(change);
    // What is wrong in it is told; what is right in it is planned with all the same.
    let outcome = read("fuzz", bytes, &mut contents, &mut sink);
    if let Err(error) = outcome {
        assert!(error.to_string().len() < 100_000 + 10 * bytes.len());
    }
    let now = jiff::Timestamp::UNIX_EPOCH;
    operator.recall(now);
    operator.dry_run(|_| true, now);
}

/// Quantities, as nodes and pods carry them.
pub fn quantity(text: &str) {
    let _ = (parse_milli(text), parse_whole(text));
}

/// A policy whose windows, durations and selector are these words, one a line.
pub fn policy(text: &str) {
    let mut words = text.lines();
    let mut word = || words.next().unwrap_or_default();
    let window = json!({"schedule": word(), "timeZone": word(), "duration": word()});
    let policy = json!({
        "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
        "metadata": {"name": "p", "namespace": "n", "annotations": {
            "zonespread.io/approve": word(), "zonespread.io/paused": word(),
        }},
        "spec": {
            "rebalance": {
                "windows": [window], "holdDown": word(), "landingTimeout": word(),
                "maxUnavailable": word(),
            },
            "tierLabel": word(),
            "selector": {
                "matchLabels": {word(): word()},
                "matchExpressions": [{"key": word(), "operator": word(), "values": [word(), word()]}],
            },
        },
    });
    // One of the durations may be none; the schedule is read without it too.
    let Ok(policy) = serde_json::from_value::<ZoneSpreadPolicy>(policy) else {
        return schedule(text);
    };
    look_at(policy);
}

fn schedule(text: &str) {
    let mut words = text.lines();
    let mut word = || words.next().unwrap_or_default();
    let windows = json!([{"schedule": word(), "timeZone": word(), "duration": "1h"}]);
    let policy = json!({
        "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"rebalance": {"windows": windows}, "selector": {"matchLabels": {"a": "b"}}},
    });
    if let Ok(policy) = serde_json::from_value(policy) {
        look_at(policy);
    }
}

fn look_at(policy: ZoneSpreadPolicy) {
    let mut index = Index::default();
    index.apply(Change::Policy(policy));
    let key = PolicyKey { namespace: Name::from("n"), name: Name::from("p") };
    let entry = index.policy(&key).expect("the policy that was applied");
    if let Ok(calendar) = &entry.calendar {
        for second in [0, 1_774_746_000, 1_792_890_000, 1_800_000_000] {
            let now = jiff::Timestamp::from_second(second).expect("a second of this age");
            let _ = calendar.of_tier("t").at(now);
        }
    }
}
