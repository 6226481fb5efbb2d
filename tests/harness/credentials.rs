//! Keys, tokens and kubeconfigs of one cluster.

use super::control_plane::Files;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use std::fmt::Write as _;
use std::path::Path;

/// Users with a static token. Each control plane process has a name of its own, so
/// that the audit log can leave out what they do.
pub const USERS: [&str; 5] =
    ["admin", "system:kube-controller-manager", "system:kube-scheduler", "kwok", "karpenter"];

/// The token file's lines: everyone above may do everything.
pub fn tokens() -> String {
    USERS.iter().fold(String::new(), |mut lines, user| {
        let _ = writeln!(lines, "{},{user},{user},system:masters", token(user));
        lines
    })
}

/// The token of one of [`USERS`]; the API server listens on loopback only.
pub fn token(user: &str) -> String {
    format!("token-of-{}", user.replace(':', "-"))
}

/// The key that signs service account tokens, made for this cluster, and its public half.
pub fn write_signing_key(files: &Files) {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let private = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a new key");
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref(), &random).expect("that key");
    // The header of a SubjectPublicKeyInfo for an uncompressed P-256 point (RFC 5480).
    let mut public = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
        \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"
        .to_vec();
    public.extend_from_slice(pair.public_key().as_ref());
    let pem = |tag, contents: &[u8]| pem::encode(&pem::Pem::new(tag, contents));
    write(&files.signing_key, &pem("PRIVATE KEY", private.as_ref()));
    write(&files.signing_public_key, &pem("PUBLIC KEY", &public));
}

/// A kubeconfig as kubectl and client libraries read it.
pub fn write_kubeconfig(path: &Path, server: &str, authority: &Path, user: &str, token: &str) {
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {
            "server": server, "certificate-authority": authority,
        }}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        "current-context": "test",
    });
    write(path, &config.to_string());
}

pub fn write(path: &Path, contents: &str) {
    std::fs::write(path, contents)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}
