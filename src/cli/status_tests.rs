use serde_json::json;

use super::*;

/// A policy in the middle of a recovery, as the API has it.
fn petclinic() -> Known {
    let policy = json!({
        "apiVersion": "zonespread.io/v1alpha1",
        "kind": "ZoneSpreadPolicy",
        "metadata": {
            "name": "petclinic", "namespace": "petclinic", "generation": 2,
            "creationTimestamp": "2026-05-01T09:00:00Z",
        },
        "spec": {"selector": {"matchLabels": {"app": "petclinic"}}, "tierLabel": "tier"},
        "status": {
            "observedGeneration": 2,
            "phase": "Rebalancing",
            "message": "1 of 3 moves done",
            "summary": {
                "tiers": 2, "zones": "2a:5 2b:5 2c:1", "skew": 2, "moves": "1/3",
                "survives": "was: 40%",
            },
            "zones": [
                {"name": "2a", "state": "Ready", "since": "2026-05-01T09:00:00Z", "usableNodes": 2, "nodes": 2},
                {
                    "name": "2c", "state": "Recovering", "reason": "Cordoned", "usableNodes": 1, "nodes": 2,
                    "since": "2026-05-13T08:50:00Z", "holdUntil": "2026-05-13T09:10:00Z", "outages": 2,
                },
            ],
            "tiers": [
                {
                    "name": "was", "pods": 5, "skew": 3, "maxSkew": 1, "reachableSkew": 1,
                    "zones": [{"name": "2a", "pods": 4, "available": 4}, {"name": "2c", "pods": 1, "available": 0}],
                    "zoneLoss": [{"zone": "2a", "surviving": 1, "percent": 20}, {"zone": "2c", "surviving": 4, "percent": 80}],
                    "blocked": {"reason": "MovesUnderWay", "message": "1 move is under way"},
                },
                {
                    "name": "web\u{1b}[2J", "pods": 1, "skew": 1, "maxSkew": 1, "reachableSkew": 1,
                    "zones": [{"name": "2a", "pods": 1, "available": 1}],
                },
            ],
            "plan": {"id": "0123456789", "total": 52, "moves": [{"tier": "was", "pod": "was-3", "from": "2a", "to": "2c", "alternatives": ["2d"]}]},
            "approved": {"id": "1123456789", "moves": [{"tier": "was", "pod": "was-3", "uid": "u3", "from": "2a", "to": "2c"}]},
            "moves": [
                {
                    "tier": "was", "pod": "was-1", "uid": "u1", "owner": "ReplicaSet/was", "from": "2a", "to": "2c",
                    "node": "c1", "state": "Landed", "startedAt": "2026-05-13T09:11:00Z", "finishedAt": "2026-05-13T09:11:09Z",
                },
                {
                    "tier": "was", "pod": "was-2", "uid": "u2", "owner": "ReplicaSet/was", "from": "2a", "to": "2c",
                    "state": "Evicted", "startedAt": "2026-05-13T09:12:00Z",
                },
            ],
        },
    });
    Known::from(serde_json::from_value::<ZoneSpreadPolicy>(policy).unwrap())
}

fn now() -> Timestamp {
    "2026-05-13T09:12:30Z".parse().unwrap()
}

#[test]
fn policies_are_listed_as_kubectl_lists_them() {
    let mut fresh = petclinic();
    fresh.name = "shop".to_owned();
    fresh.status = None;
    insta::assert_snapshot!(list(&[petclinic(), fresh], false, now()));
}

#[test]
fn all_namespaces_begin_with_theirs() {
    let text = list(&[petclinic()], true, now());
    assert!(text.starts_with("NAMESPACE   NAME        TIERS"), "{text}");
    assert!(text.contains("\npetclinic   petclinic   2"), "{text}");
}

#[test]
fn one_policy_is_told_in_full() {
    insta::assert_snapshot!(policy_table(&petclinic(), now()));
}

#[test]
fn a_status_that_is_behind_the_spec_says_so() {
    let mut policy = petclinic();
    policy.outdated = true;
    let text = policy_table(&policy, now());
    assert!(text.contains("The spec has changed since"), "{text}");
    policy.status = None;
    assert_eq!(
        policy_table(&policy, now()),
        "petclinic/petclinic: no status yet: does the operator run?\n"
    );
}
