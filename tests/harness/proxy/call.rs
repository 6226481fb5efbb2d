//! What a request asks for, read from its method and URI.

use http::{Method, Uri};
use std::time::Instant;

/// A request, as it came from the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub method: Method,
    /// The plural, `pods`; empty when the path is none of an object's.
    pub resource: String,
    /// `eviction`, `status`, …, or empty.
    pub subresource: String,
    pub namespace: String,
    /// Empty for lists and watches.
    pub name: String,
    pub is_watch: bool,
    pub dry_run: bool,
    pub at: Instant,
}

impl Call {
    /// Reads `/api/v1/…` and `/apis/<group>/<version>/…`.
    pub fn new(method: &Method, uri: &Uri) -> Self {
        let query = uri.query().unwrap_or("");
        let mut call = Self {
            method: method.clone(),
            resource: String::new(),
            subresource: String::new(),
            namespace: String::new(),
            name: String::new(),
            is_watch: query.contains("watch=true"),
            dry_run: query.contains("dryRun=All"),
            at: Instant::now(),
        };
        let mut steps = uri.path().split('/').skip(1);
        let prefix = match steps.next() {
            Some("api") => 1,
            Some("apis") => 2,
            _ => return call,
        };
        let mut steps: Vec<&str> = steps.skip(prefix).collect();
        if steps.len() > 2 && steps[0] == "namespaces" {
            steps[1].clone_into(&mut call.namespace);
            steps.drain(..2);
        }
        let mut steps = steps.into_iter().map(str::to_owned);
        call.resource = steps.next().unwrap_or_default();
        call.name = steps.next().unwrap_or_default();
        call.subresource = steps.next().unwrap_or_default();
        call
    }

    /// An eviction, dry runs included.
    pub fn is_eviction(&self) -> bool {
        self.method == Method::POST && self.subresource == "eviction"
    }

    /// An eviction that is meant.
    pub fn is_real_eviction(&self) -> bool {
        self.is_eviction() && !self.dry_run
    }

    /// A write of a policy's status.
    pub fn is_status_write(&self) -> bool {
        self.method == Method::PATCH && self.subresource == "status"
    }
}

#[test]
fn a_call_is_read_from_its_path_and_query() {
    let call = |method: Method, uri: &str| Call::new(&method, &uri.parse().unwrap());
    let evict = call(Method::POST, "/api/v1/namespaces/shop/pods/web-1/eviction?&dryRun=All");
    assert!(evict.is_eviction() && !evict.is_real_eviction());
    assert_eq!((&*evict.namespace, &*evict.resource, &*evict.name), ("shop", "pods", "web-1"));
    let status =
        "/apis/zonespread.io/v1alpha1/namespaces/shop/zonespreadpolicies/shop/status?force";
    assert!(call(Method::PATCH, status).is_status_write());
    let watch = call(Method::GET, "/api/v1/namespaces?&watch=true&timeoutSeconds=45");
    assert!(watch.is_watch && watch.resource == "namespaces" && watch.name.is_empty());
    let read = call(Method::GET, "/api/v1/nodes/c1");
    assert_eq!((&*read.resource, &*read.name, read.is_watch), ("nodes", "c1", false));
}
