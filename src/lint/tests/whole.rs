//! What the whole cluster needs, and what is accepted.

use rstest::rstest;

use super::*;

fn labelled(replicas: i32, label: &str) -> String {
    deployment("web", replicas, "").replace("part-of: shop", label)
}

fn dns(replicas: i32) -> Vec<String> {
    let service = service("").replace("port: 443", "port: 53");
    [deployment("web", replicas, ""), service]
        .map(|known| known.replace("shop", "kube-system"))
        .to_vec()
}

fn webhook(replicas: i32, policy: &str) -> Vec<String> {
    let webhook = format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {{name: guard}}\n\
         webhooks: [{{name: guard.example.com, failurePolicy: {policy}, clientConfig: {{service: {{namespace: shop, name: web}}}}}}]\n"
    );
    vec![deployment("web", replicas, ""), service(""), webhook]
}

#[rstest]
#[case::dns(Check::DnsInOneZone, dns(1), dns(2))]
#[case::ingress(Check::IngressInOneZone, vec![labelled(1, "app.kubernetes.io/name: ingress-nginx")], vec![labelled(2, "app.kubernetes.io/name: ingress-nginx")])]
#[case::only_what_carries_traffic(Check::IngressInOneZone, vec![labelled(1, "app.kubernetes.io/name: traefik")], vec![labelled(1, "app.kubernetes.io/name: ingress-nginx, app.kubernetes.io/component: default-backend")])]
#[case::webhook(Check::WebhookInOneZone, webhook(1, "Fail"), webhook(2, "Fail"))]
#[case::webhook_that_may_be_silent(
    Check::WebhookInOneZone,
    webhook(1, "Fail"),
    webhook(1, "Ignore")
)]
#[case::webhook_on_every_node(Check::WebhookInOneZone, webhook(1, "Fail"), webhook(1, "Fail").into_iter().map(|known| known.replace("kind: Deployment", "kind: DaemonSet")).collect())]
#[case::operator(Check::OperatorInOneZone, vec![labelled(1, "app.kubernetes.io/name: zonespread")], vec![labelled(2, "app.kubernetes.io/name: zonespread")])]
fn what_the_cluster_needs_must_not_be_in_one_zone(
    #[case] check: Check,
    #[case] fires: Vec<String>,
    #[case] silent: Vec<String>,
) {
    let found = messages(check, &fires, None);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(messages(Check::SingleReplica, &fires, None), Vec::<String>::new(), "said once");
    assert_eq!(messages(check, &silent, None), Vec::<String>::new());
}

#[test]
fn two_pods_of_a_webhook_in_one_zone_are_one_too_few() {
    let mut documents = nodes("a1 b1");
    documents.extend(running("Deployment", "a1 a1", ""));
    documents.extend(webhook(2, "Fail").into_iter().skip(1));
    let found = messages(Check::WebhookInOneZone, &documents, None);
    assert_eq!(
        found,
        [
            "Deployment/web, which answers ValidatingWebhookConfiguration/guard (guard.example.com, failurePolicy Fail): all 2 pods are in zone a"
        ]
    );
}

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: zonespread.io/v1alpha1\nkind: ZoneSpreadPolicy\nmetadata: {{name: shop, namespace: shop, uid: uid-shop, creationTimestamp: '2026-01-01T00:00:00Z'}}\n\
         spec: {{selector: {{matchLabels: {{part-of: shop}}}}, tierLabel: app, {spec}}}\n"
    )
}

/// Accepted, and not hidden.
#[rstest]
#[case::by_check("accept: [{check: SingleReplica, reason: a cache}]", Some("a cache"))]
#[case::by_tier("tiers: [{name: web, singleZone: {accepted: true, reason: known}}]", Some("known"))]
#[case::another_check("accept: [{check: NoBudget, reason: a cache}]", None)]
#[case::another_tier("tiers: [{name: was, singleZone: {accepted: true, reason: known}}]", None)]
fn a_finding_may_be_accepted_with_a_reason(#[case] spec: &str, #[case] reason: Option<&str>) {
    let documents = [deployment("web", 1, ""), policy(spec)].join("---\n");
    let report = report(&documents, None);
    let found = report.findings.iter().find(|known| known.check == Check::SingleReplica).unwrap();
    let accepted = found.accepted.as_ref();
    assert_eq!(accepted.map(|known| known.reason.as_str()), reason);
    assert!(accepted.is_none_or(|known| known.policy == "shop/shop"));
    let others = report.findings.iter().filter(|known| known.accepted.is_none()).count();
    assert_eq!(report.fails_on(crate::lint::Severity::Warning), others > 0);
}
