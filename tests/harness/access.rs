//! Access as a service account has it, through the `TokenRequest` API.

use super::control_plane::Files;
use super::credentials::write_kubeconfig;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Client;
use kube::api::{Api, PostParams};
use std::path::PathBuf;

pub async fn service_account_kubeconfig(
    client: Client,
    files: &Files,
    server: &str,
    namespace: &str,
    name: &str,
) -> PathBuf {
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            expiration_seconds: Some(86_400),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let accounts = Api::<ServiceAccount>::namespaced(client, namespace);
    let answer: TokenRequest = accounts
        .create_subresource("token", name, &PostParams::default(), &request)
        .await
        .unwrap_or_else(|error| panic!("no token for service account {namespace}/{name}: {error}"));
    let token = answer.status.and_then(|status| status.token);
    let token = token.expect("a token in the answer");
    let path = files.directory.join(format!("{namespace}-{name}.kubeconfig"));
    write_kubeconfig(&path, server, &files.authority, name, &token);
    path
}
