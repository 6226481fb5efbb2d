//! What strangers write, and what nobody must read: hostile texts and secrets.

use crate::harness::{
    Cluster, OPERATOR_NAMESPACE, Operator, ScheduleAnyway, deployment, eventually, install,
};
use crate::policy::{self, SOON, blocked, evictions_in, policy, ready};
use kube::ResourceExt;
use kube::api::{Api, EvictParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use zonespread::api::{APPROVE, Reason, ZoneSpreadPolicy};

const HOSTILE: &str = "denied \u{1b}[2J\u{202e}\u{9b}31m\u{7}";

/// Refuses every eviction, and says something hostile. A message has no line breaks.
fn admission() -> String {
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "hostile"},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["pods/eviction"],
            }]},
            "validations": [{"expression": "false", "message": format!("{HOSTILE}{}", "x".repeat(2000))}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "hostile"},
        "spec": {"policyName": "hostile", "validationActions": ["Deny"]},
    });
    format!("{policy}\n---\n{binding}")
}

#[tokio::test]
async fn no_text_breaks_a_line_and_no_secret_is_logged() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("shop").await;
    cluster.cordon_zone("c").await;
    let web = deployment("shop", "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.apply(web.to_string()).await;
    ready(&cluster, "shop", "app=web", 6).await;
    cluster.uncordon_zone("c").await;
    cluster.apply(admission()).await;
    every_eviction_is_refused(&cluster).await;
    let kubeconfig = install(&cluster).await;
    let arguments =
        ["--namespace", OPERATOR_NAMESPACE, "--log-format", "json", "--log-level", "trace"];
    let binary = env!("CARGO_BIN_EXE_zonespread");
    let mut operator = Operator::start(&cluster, binary, &kubeconfig, &arguments);
    operator.ready().await;

    cluster.apply(policy("shop", "shop", "  rebalance: {holdDown: 1s, settle: 0s}\n")).await;
    let long = format!("\n{HOSTILE}{}", "y".repeat(200_000));
    let annotations = json!({"metadata": {"annotations": {APPROVE: long}}});
    let api: Api<ZoneSpreadPolicy> = Api::namespaced(cluster.client(), "shop");
    api.patch("shop", &PatchParams::default(), &Patch::Merge(&annotations)).await.unwrap();
    let message = blocked(&cluster, "shop", "shop", "web", Reason::Forbidden).await;
    assert!(message.contains(r"denied \u001b[2J\u202e\u009b31m\u0007xxx"), "{message}");
    let status = policy::status(&cluster, "shop", "shop").await;
    assert!(!status.moves.is_empty() && status.approved.is_none(), "{status:?}");
    let events = eventually(SOON, "an event that tells of it", async || {
        let events = cluster.kubectl(&["get", "events", "-n", "shop", "-o", "json"]).await.unwrap();
        if events.contains("denied ") { Ok(events) } else { Err(events) }
    })
    .await;
    let events: Value = serde_json::from_str(&events).unwrap();
    for event in events["items"].as_array().unwrap() {
        let text = event["message"].as_str().unwrap_or_default();
        assert!(!text.contains(char::is_control) && !text.contains('\u{202e}'), "{text:?}");
    }
    assert!(evictions_in(&cluster, "shop").is_empty());
    // Reads every line, and panics at one that is none.
    operator.metrics().await;

    operator.terminate().await;
    let log = operator.log();
    assert!(log.contains("denied "), "the refusal is logged");
    for line in log.lines() {
        let read: Result<Value, _> = serde_json::from_str(line);
        assert!(read.is_ok_and(|line| line.is_object()), "{line}");
        assert!(!line.contains(char::is_control) && !line.contains('\u{202e}'), "{line:?}");
    }
    let credentials = std::fs::read_to_string(&kubeconfig).unwrap();
    let credentials: Value = serde_json::from_str(&credentials).unwrap();
    let token = credentials["users"][0]["user"]["token"].as_str().unwrap();
    let signature = token.rsplit('.').next().unwrap();
    assert!(log.len() > 10_000 && !log.contains(signature), "a token is in the log");
}

async fn every_eviction_is_refused(cluster: &Cluster) {
    let pods = cluster.pods("shop", "app=web").await;
    let api: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(cluster.client(), "shop");
    let dry_run = EvictParams {
        post_options: PostParams { dry_run: true, ..PostParams::default() },
        ..EvictParams::default()
    };
    eventually(SOON, "the admission policy to be in force", async || {
        api.evict(&pods[0].name_any(), &dry_run).await.is_err().then_some(())
    })
    .await;
}
