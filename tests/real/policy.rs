//! The operator and its policies, as the stories use them.

use crate::harness::{
    Cluster, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Operator, Request, eventually, install,
};
use kube::api::Api;
use std::path::Path;
use std::time::Duration;
use zonespread::api::{
    Phase, PolicyZone, Reason, TierStatus, ZoneObject, ZoneSpreadPolicy, ZoneSpreadPolicyStatus,
    ZoneStatus,
};

/// Long enough for a decision, its write and a landing on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// Installs the operator as a user would, and runs it under its service account.
pub async fn operator(cluster: &Cluster) -> Operator {
    let kubeconfig = install(cluster).await;
    replica(cluster, &kubeconfig, &[]).await
}

/// A second replica of an operator that is installed, as its Deployment would start it.
pub async fn another(cluster: &Cluster) -> Operator {
    let kubeconfig = cluster.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT).await;
    replica(cluster, &kubeconfig, &[]).await
}

/// A replica with this access and more arguments; ready.
pub async fn replica(cluster: &Cluster, kubeconfig: &Path, arguments: &[&str]) -> Operator {
    let arguments = [&["--namespace", OPERATOR_NAMESPACE], arguments].concat();
    let binary = env!("CARGO_BIN_EXE_zonespread");
    let mut operator = Operator::start(cluster, binary, kubeconfig, &arguments);
    operator.ready().await;
    operator
}

/// Whether this replica may act.
pub async fn leads(operator: &Operator) -> bool {
    operator.metric("zonespread_leader", &[]).await == Some(1.0)
}

/// Waits until this replica may act.
pub async fn becomes_leader(operator: &Operator, what: &str) {
    eventually(SOON, what, async || leads(operator).await.then_some(())).await;
}

/// A policy for the pods with the label `part-of: <name>`; each workload, by
/// its label `app`, is a tier.
pub fn policy(namespace: &str, name: &str, rest: &str) -> String {
    let tiers = format!("  tierLabel: app\n{rest}");
    policy_without_tier_label(namespace, name, &tiers)
}

/// A policy for the pods with the label `part-of: <name>`, which are one tier.
pub fn policy_without_tier_label(namespace: &str, name: &str, rest: &str) -> String {
    format!(
        "apiVersion: zonespread.io/v1alpha1\nkind: ZoneSpreadPolicy\n\
         metadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  selector: {{matchLabels: {{part-of: {name}}}}}\n{rest}"
    )
}

/// The policy as the API server has it.
pub async fn read(cluster: &Cluster, namespace: &str, name: &str) -> ZoneSpreadPolicy {
    let api: Api<ZoneSpreadPolicy> = Api::namespaced(cluster.client(), namespace);
    api.get(name).await.unwrap()
}

/// Its status; empty before the first write.
pub async fn status(cluster: &Cluster, namespace: &str, name: &str) -> ZoneSpreadPolicyStatus {
    read(cluster, namespace, name).await.status.unwrap_or_default()
}

/// Waits until the policy is in this phase, and gives its status.
pub async fn phase(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    expected: Phase,
) -> ZoneSpreadPolicyStatus {
    until(cluster, namespace, name, &format!("{name} to be {expected:?}"), |status| {
        status.phase == Some(expected)
    })
    .await
}

/// Waits until the status is as wanted, and gives it.
pub async fn until(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    what: &str,
    wanted: impl Fn(&ZoneSpreadPolicyStatus) -> bool,
) -> ZoneSpreadPolicyStatus {
    eventually(SOON, what, async || {
        let status = status(cluster, namespace, name).await;
        if wanted(&status) { Ok(status) } else { Err(format!("{status:#?}")) }
    })
    .await
}

/// One tier of a status.
pub fn tier<'a>(status: &'a ZoneSpreadPolicyStatus, name: &str) -> &'a TierStatus {
    status.tiers.iter().find(|tier| tier.name == name).unwrap_or_else(|| panic!("no tier {name}"))
}

/// One zone of a status.
pub fn zone<'a>(status: &'a ZoneSpreadPolicyStatus, name: &str) -> &'a PolicyZone {
    status.zones.iter().find(|zone| zone.name == name).unwrap_or_else(|| panic!("no zone {name}"))
}

/// What the Zone object of this name says; nothing before it is written.
pub async fn zone_object(cluster: &Cluster, name: &str) -> ZoneStatus {
    let api: Api<ZoneObject> = Api::all(cluster.client());
    let object = api.get_opt(name).await.unwrap();
    object.and_then(|object| object.status).unwrap_or_default()
}

/// Waits until the Zone object is as wanted, and gives its status.
pub async fn zone_until(
    cluster: &Cluster,
    name: &str,
    what: &str,
    wanted: impl Fn(&ZoneStatus) -> bool,
) -> ZoneStatus {
    eventually(SOON, what, async || {
        let status = zone_object(cluster, name).await;
        if wanted(&status) { Ok(status) } else { Err(format!("{status:#?}")) }
    })
    .await
}

/// Waits until the tier is blocked for this reason, and gives the message.
pub async fn blocked(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    tier_name: &str,
    reason: Reason,
) -> String {
    let what = format!("{namespace}/{name}: {tier_name} to be blocked: {reason}");
    let status = until(cluster, namespace, name, &what, |status| {
        let mut tiers = status.tiers.iter().filter(|tier| tier.name == tier_name);
        tiers.any(|tier| tier.blocked.as_ref().is_some_and(|blocked| blocked.reason == reason))
    })
    .await;
    tier(&status, tier_name).blocked.as_ref().unwrap().message.clone()
}

/// Waits until so many pods that match the label selector are Ready.
pub async fn ready(cluster: &Cluster, namespace: &str, selector: &str, expected: usize) {
    eventually(SOON, &format!("{expected} ready pods of {namespace} {selector}"), async || {
        let seen = cluster.ready_pods(namespace, selector).await;
        if seen == expected { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
}

/// The evictions that the operator made in a namespace, oldest first.
pub fn evictions_in(cluster: &Cluster, namespace: &str) -> Vec<Request> {
    let requests = cluster.requests_by_service_account(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT);
    requests
        .into_iter()
        .filter(|request| request.is_eviction() && request.namespace == namespace)
        .collect()
}
