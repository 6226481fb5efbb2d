//! Which requests reached the API server, from its audit log.

use super::cluster::Cluster;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// One request, as the API server saw and answered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The API group, empty for the core group.
    pub group: String,
    /// The plural, `pods`.
    pub resource: String,
    /// `eviction`, `status`, …, or empty.
    pub subresource: String,
    /// Empty for cluster-scoped resources and for requests over all namespaces.
    pub namespace: String,
    /// Empty for list and watch; the pod for an eviction.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Whether the server was asked to change nothing.
    pub dry_run: bool,
    /// When the server received it.
    pub time: Timestamp,
}

impl Request {
    /// Whether it changes something, dry runs included.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// Whether it is an eviction that was carried out.
    pub fn is_eviction(&self) -> bool {
        self.subresource == "eviction" && !self.dry_run && self.code == 201
    }

    fn parse(event: &Value) -> Option<Self> {
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let code = event.pointer("/responseStatus/code").and_then(Value::as_u64);
        Some(Self {
            verb: text("/verb").to_owned(),
            group: text("/objectRef/apiGroup").to_owned(),
            resource: text("/objectRef/resource").to_owned(),
            subresource: text("/objectRef/subresource").to_owned(),
            namespace: text("/objectRef/namespace").to_owned(),
            name: text("/objectRef/name").to_owned(),
            code: u16::try_from(code?).ok()?,
            dry_run: text("/requestURI").contains("dryRun=All"),
            time: text("/requestReceivedTimestamp").parse().ok()?,
        })
    }
}

impl Cluster {
    /// The requests of one user, oldest first; `system:serviceaccount:<namespace>:<name>`
    /// for a service account. A watch is here from its start, other requests from
    /// their answer on.
    pub fn requests_by(&self, user: &str) -> Vec<Request> {
        let log = std::fs::read(self.audit_log()).unwrap_or_default();
        let mut seen: Vec<(String, Request)> = Vec::new();
        // The last line may be half written.
        let events = log.split(|byte| *byte == b'\n');
        for event in events.filter_map(|line| serde_json::from_slice::<Value>(line).ok()) {
            if event.pointer("/user/username").and_then(Value::as_str) != Some(user) {
                continue;
            }
            let id = event["auditID"].as_str().unwrap_or("").to_owned();
            let Some(request) = Request::parse(&event) else {
                continue;
            };
            // A watch is logged when it starts and when it ends.
            match seen.iter_mut().find(|(other, _)| *other == id) {
                Some((_, earlier)) => *earlier = request,
                None => seen.push((id, request)),
            }
        }
        let mut requests: Vec<Request> = seen.into_iter().map(|(_, request)| request).collect();
        requests.sort_by_key(|request| request.time);
        requests
    }

    /// The requests of a service account.
    pub fn requests_by_service_account(&self, namespace: &str, name: &str) -> Vec<Request> {
        self.requests_by(&format!("system:serviceaccount:{namespace}:{name}"))
    }
}
