//! Replacements that do not come up where they should (laws 5 and 9).

use super::{LONG, three_zones, web};
use crate::harness::{Cluster, eventually, evictions, holds_for};
use crate::policy::{self, SOON, evictions_in, phase, policy, ready, tier, until, zone};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use std::time::Duration;
use zonespread::api::{MoveState, Phase, Reason, ZoneState};

/// Both policies' zone c is Suspect after this many outages.
async fn suspect(cluster: &Cluster, outages: i32) {
    for namespace in ["first", "second"] {
        let what = format!("zone c to be Suspect in {namespace}, outage {outages}");
        let status = until(cluster, namespace, "shop", &what, |status| {
            zone(status, "c").state == ZoneState::Suspect
        })
        .await;
        let what = format!("the Zone to tell of outage {outages}");
        policy::zone_until(cluster, "c", &what, |zone| zone.outages == outages).await;
        let blocked = tier(&status, "web").blocked.as_ref().unwrap();
        assert_eq!(blocked.reason, Reason::ZoneSuspect, "{}", blocked.message);
    }
}

#[tokio::test]
async fn a_zone_in_which_nothing_starts_costs_one_eviction_over_two_policies() {
    let cluster = Cluster::start().await;
    three_zones(&cluster).await;
    for namespace in ["first", "second"] {
        cluster.namespace(namespace).await;
        cluster.apply(web(namespace, 6).to_string()).await;
        ready(&cluster, namespace, "app=web", 6).await;
    }
    let _operator = policy::operator(&cluster).await;
    for namespace in ["first", "second"] {
        let short = "  rebalance: {holdDown: 4s, landingTimeout: 4s}\n";
        cluster.apply(policy(namespace, "shop", short)).await;
        phase(&cluster, namespace, "shop", Phase::Balanced).await;
    }
    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    for namespace in ["first", "second"] {
        ready(&cluster, namespace, "app=web", 6).await;
        phase(&cluster, namespace, "shop", Phase::Frozen).await;
    }
    cluster.break_zone("c").await;
    cluster.uncordon_zone("c").await;

    // The canary does not come up: the zone is held again, twice as long.
    suspect(&cluster, 2).await;
    assert_eq!(evictions(&cluster), 1, "one canary over both policies");
    let first = evictions_in(&cluster, "first").len();
    let (stuck, waiting) = if first == 1 { ("first", "second") } else { ("second", "first") };
    let status = policy::status(&cluster, stuck, "shop").await;
    assert_eq!(status.moves[0].state, MoveState::Stuck, "{:?}", status.moves);
    let held = zone(&status, "c");
    let again = held.hold_until.as_ref().unwrap().0;
    assert_eq!(
        again
            .duration_since(policy::zone_object(&cluster, "c").await.recovered_at.unwrap().0)
            .as_secs(),
        8
    );
    let five = Duration::from_secs(5);
    holds_for(five, "held", 1, async || evictions(&cluster)).await;

    // Then the zone is Ready again, and still nobody else tries: the pod that waits there
    // will show whether pods can start.
    let replacement = status.moves[0].replacement.clone().unwrap();
    eventually(SOON, "the hold to be over", async || (Timestamp::now() >= again).then_some(()))
        .await;
    for namespace in ["first", "second"] {
        let what = format!("{namespace} to wait for {replacement}");
        policy::until(&cluster, namespace, "shop", &what, |status| {
            let blocked = tier(status, "web").blocked.as_ref();
            blocked.is_some_and(|blocked| {
                blocked.reason == Reason::ZoneSuspect && blocked.message.contains(&replacement)
            })
        })
        .await;
    }
    holds_for(2 * five, "one pod in all", 1, async || evictions(&cluster)).await;
    assert_eq!(evictions_in(&cluster, waiting).len(), 0);

    // Once it is mended the pod that waits there starts, and the others come back.
    cluster.mend_zone("c").await;
    for namespace in ["first", "second"] {
        super::balanced(&cluster, namespace).await;
        let counts: Vec<usize> = cluster.spread(namespace, "app=web").await.into_values().collect();
        assert_eq!(counts, [2, 2, 2]);
        assert_eq!(evictions_in(&cluster, namespace).len(), 2, "the fewest, after all");
    }
}

/// Sends every new pod of the namespaces that are labelled so to zone a.
fn elsewhere() -> String {
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": "elsewhere"},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"elsewhere": "true"}},
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
                                   "operations": ["CREATE"], "resources": ["pods"]}],
            },
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression":
                r#"[JSONPatch{op: "add", path: "/spec/nodeSelector",
                              value: {"topology.kubernetes.io/zone": "a"}}]"#}}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": "elsewhere"}, "spec": {"policyName": "elsewhere"},
    });
    format!("{policy}\n---\n{binding}")
}

/// Waits until pods that are created in the namespace are sent elsewhere.
async fn sent_elsewhere(cluster: &Cluster, namespace: &str) {
    eventually(SOON, "the admission policy to work", async || {
        let run = ["run", "probe", "-n", namespace, "--image=registry.invalid/app:1"];
        let dry = ["--dry-run=server", "-o", "jsonpath={.spec.nodeSelector}"];
        let seen = cluster.kubectl(&[&run[..], &dry].concat()).await?;
        if seen.contains("zone") { Ok(()) } else { Err(seen) }
    })
    .await;
}

#[tokio::test]
async fn replacements_that_are_all_sent_elsewhere_cost_three_evictions_however_big_the_tier() {
    let cluster = Cluster::start().await;
    three_zones(&cluster).await;
    // The one that proves the zone, a small tier, and one whose budget is six at once.
    let shops = [("calm", 3, 1), ("small", 12, 3), ("big", 60, 3)];
    for (namespace, replicas, _) in shops {
        cluster.namespace(namespace).await;
        let web = web(namespace, replicas).request("cpu", "10m").request("memory", "8Mi");
        cluster.apply(web.to_string()).await;
        ready(&cluster, namespace, "app=web", replicas as usize).await;
    }
    let operator = policy::operator(&cluster).await;
    for (namespace, ..) in shops {
        let short = "  rebalance: {holdDown: 2s, landingTimeout: 3s}\n";
        cluster.apply(policy(namespace, "shop", short)).await;
        phase(&cluster, namespace, "shop", Phase::Balanced).await;
    }
    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    for (namespace, replicas, _) in shops {
        ready(&cluster, namespace, "app=web", replicas as usize).await;
        phase(&cluster, namespace, "shop", Phase::Frozen).await;
    }
    for namespace in ["small", "big"] {
        cluster.kubectl(&["label", "namespace", namespace, "elsewhere=true"]).await.unwrap();
    }
    cluster.apply(elsewhere()).await;
    for namespace in ["small", "big"] {
        sent_elsewhere(&cluster, namespace).await;
    }
    cluster.uncordon_zone("c").await;

    super::balanced(&cluster, "calm").await;
    for namespace in ["small", "big"] {
        let status = eventually(LONG, &format!("{namespace} to be given up"), async || {
            let status = policy::status(&cluster, namespace, "shop").await;
            let blocked = tier(&status, "web").blocked.clone();
            match blocked {
                Some(why) if why.reason == Reason::MissedTooOften => Ok(status),
                other => Err(format!("{other:?} {:?}", status.moves)),
            }
        })
        .await;
        assert_eq!(tier(&status, "web").misses, 3);
        let missed = |state: MoveState| state == MoveState::Missed;
        assert!(status.moves.iter().all(|moved| missed(moved.state)), "{:?}", status.moves);
    }
    let five = Duration::from_secs(5);
    let expected = shops.map(|(_, _, made)| made);
    let made = || shops.map(|(namespace, ..)| evictions_in(&cluster, namespace).len());
    holds_for(five, "three evictions each", expected, async || made()).await;
    let misses = operator.metric("zonespread_predictions_total", &[("outcome", "miss")]).await;
    assert_eq!(misses, Some(6.0));
}
