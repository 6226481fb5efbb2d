//! Installs what a user would, from the repository's own files, except the Deployment:
//! the operator runs here as a process under the same service account.

use super::cluster::Cluster;
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// Where the operator and its lease live.
pub const OPERATOR_NAMESPACE: &str = "zonespread-system";
/// The service account it runs under.
pub const OPERATOR_ACCOUNT: &str = "zonespread";
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Kinds that say who the operator is and what it may do.
const ACCESS: [&str; 6] =
    ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

/// Applies CRDs and access rules; the service account's kubeconfig.
pub async fn install(cluster: &Cluster) -> PathBuf {
    let crds = Path::new(ROOT).join("crds");
    kubectl(cluster, &["apply", "-f", &crds.display().to_string()]).await;
    cluster.crds_are_established().await;

    let base = Path::new(ROOT).join("deploy/base");
    let documents = kubectl(cluster, &["kustomize", &base.display().to_string()]).await;
    let access: Vec<&str> =
        documents.split("\n---\n").filter(|document| ACCESS.contains(&kind(document))).collect();
    if !access.iter().any(|document| kind(document) == "Namespace") {
        cluster.namespace(OPERATOR_NAMESPACE).await;
    }
    cluster.apply(access.join("\n---\n")).await;
    cluster.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT).await
}

/// Applies the CRDs that this build prints, and a service account that may do everything:
/// builds differ in what they need, and here they are compared. Its kubeconfig.
pub async fn install_build(cluster: &Cluster, binary: &str) -> PathBuf {
    let printed = Command::new(binary).arg("crd").output().await.expect("the build starts");
    assert!(printed.status.success(), "{binary} crd failed");
    cluster.apply(String::from_utf8(printed.stdout).expect("YAML")).await;
    cluster.crds_are_established().await;
    let access = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OPERATOR_NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount",
         "metadata": {"name": OPERATOR_ACCOUNT, "namespace": OPERATOR_NAMESPACE}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
         "metadata": {"name": "zonespread-may-everything"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                     "name": "cluster-admin"},
         "subjects": [{"kind": "ServiceAccount", "name": OPERATOR_ACCOUNT,
                       "namespace": OPERATOR_NAMESPACE}]},
    ]});
    cluster.apply(access.to_string()).await;
    cluster.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT).await
}

/// Takes away what [`install_build`] applied, and with it all that the build remembers.
pub async fn uninstall_build(cluster: &Cluster) {
    kubectl(cluster, &["delete", "crd", "--all"]).await;
    kubectl(cluster, &["delete", "lease", "--all", "-n", OPERATOR_NAMESPACE]).await;
}

/// How many evictions the operator made, by the API server's audit log.
pub fn evictions(cluster: &Cluster) -> usize {
    let requests = cluster.requests_by_service_account(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT);
    requests.iter().filter(|request| request.is_eviction()).count()
}

fn kind(document: &str) -> &str {
    let mut lines = document.lines();
    lines.find_map(|line| line.strip_prefix("kind: ")).unwrap_or("").trim()
}

async fn kubectl(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = cluster.kubectl(arguments).await;
    output.unwrap_or_else(|error| panic!("{error}"))
}
