//! What the operator may do, what it does, and what it says when it may not.

use crate::harness::{
    Cluster, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Request, ScheduleAnyway, deployment, holds_for,
    install,
};
use crate::policy::{self, blocked, evictions_in, phase, policy, ready};
use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use std::collections::BTreeSet;
use std::time::Duration;
use zonespread::api::{Phase, Reason};

/// Requests that its account must be refused.
const REFUSED: [(&str, &str); 20] = [
    ("DELETE", "/api/v1/namespaces/market/pods/web"),
    ("DELETE", "/api/v1/namespaces/market/pods"),
    ("POST", "/api/v1/namespaces/market/pods"),
    ("PATCH", "/api/v1/namespaces/market/pods/web"),
    ("PUT", "/apis/apps/v1/namespaces/market/deployments/web"),
    ("PATCH", "/apis/apps/v1/namespaces/market/deployments/web"),
    ("PATCH", "/apis/apps/v1/namespaces/market/deployments/web/scale"),
    ("DELETE", "/apis/apps/v1/namespaces/market/replicasets/web"),
    ("PATCH", "/api/v1/namespaces/market"),
    ("PATCH", "/apis/policy/v1/namespaces/market/poddisruptionbudgets/web"),
    ("POST", "/api/v1/namespaces/market/serviceaccounts/default/token"),
    ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
    ("GET", "/apis/coordination.k8s.io/v1/namespaces/market/leases/zonespread"),
    ("GET", "/api/v1/secrets"),
    ("GET", "/api/v1/namespaces/market/secrets"),
    ("GET", "/api/v1/namespaces/zonespread-system/secrets/any"),
    ("DELETE", "/api/v1/nodes/c1"),
    ("PATCH", "/api/v1/nodes/c1"),
    ("PATCH", "/apis/zonespread.io/v1alpha1/namespaces/market/zonespreadpolicies/market"),
    ("PATCH", "/apis/zonespread.io/v1alpha1/zonedrills/friday"),
];

/// Everything it ever asks for, as verb, resource and subresource, besides list and watch.
const ASKED: [(&str, &str, &str); 12] = [
    // Whether it may replace pods before they stop.
    ("create", "selfsubjectaccessreviews", ""),
    ("get", "pods", ""),
    ("get", "nodes", ""),
    ("create", "pods", "eviction"),
    ("patch", "zonespreadpolicies", "status"),
    ("patch", "zones", "status"),
    ("patch", "zones", ""),
    ("create", "events", ""),
    ("patch", "events", ""),
    ("get", "leases", ""),
    ("create", "leases", ""),
    ("update", "leases", ""),
];

/// All that it may change: verb, group and resource.
const MAY_CHANGE: [(&str, &str, &str); 8] = [
    ("create", "", "pods/eviction"),
    ("create", "events.k8s.io", "events"),
    ("patch", "events.k8s.io", "events"),
    ("create", "zonespread.io", "zones"),
    ("patch", "zonespread.io", "zones"),
    ("patch", "zonespread.io", "zones/status"),
    ("patch", "zonespread.io", "zonespreadpolicies/status"),
    ("patch", "zonespread.io", "zonedrills/status"),
];
/// What it may change besides in its own namespace.
const MAY_CHANGE_AT_HOME: [(&str, &str, &str); 2] =
    [("create", "coordination.k8s.io", "leases"), ("update", "coordination.k8s.io", "leases")];
/// What it does rarely: single reads where tiers or clusters are large, an event that
/// occurs again. And what no audit log names: to apply a Zone that is not there yet is
/// logged as a patch, and takes the right to create it. Nobody drills here.
const RARE: [(&str, &str, &str); 5] = [
    ("get", "", "nodes"),
    ("get", "", "pods"),
    ("patch", "events.k8s.io", "events"),
    ("create", "zonespread.io", "zones"),
    ("patch", "zonespread.io", "zonedrills/status"),
];

const HOLD: &str = "  rebalance: {holdDown: 2s}\n";

fn requests(cluster: &Cluster) -> Vec<Request> {
    let mut requests = cluster.requests_by_service_account(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT);
    // It is this test that asks in its name what it may.
    requests.retain(|request| request.resource != "selfsubjectrulesreviews");
    requests
}

fn refused_evictions(cluster: &Cluster) -> usize {
    let refused = |request: &Request| request.subresource == "eviction" && request.code == 403;
    requests(cluster).iter().filter(|request| refused(request)).count()
}

#[tokio::test]
async fn it_asks_for_little_and_says_what_it_may_not() {
    let cluster = Cluster::start().await;
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    for namespace in ["shop", "market"] {
        cluster.namespace(namespace).await;
        let web = deployment(namespace, "web", 6).label("part-of", namespace);
        cluster.apply(web.spread(ScheduleAnyway).start_delay("1s").to_string()).await;
        ready(&cluster, namespace, "app=web", 6).await;
    }
    let _operator = policy::operator(&cluster).await;
    // As deploy/observe leaves it.
    let right = ["clusterrole/zonespread-evict", "clusterrolebinding/zonespread-evict"];
    cluster.kubectl(&[&["delete"], &right[..]].concat()).await.unwrap();
    cluster.apply(policy("shop", "shop", HOLD)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    for namespace in ["shop", "market"] {
        ready(&cluster, namespace, "app=web", 6).await;
    }
    phase(&cluster, "shop", "shop", Phase::Frozen).await;
    cluster.uncordon_zone("c").await;

    let message = blocked(&cluster, "shop", "shop", "web", Reason::Forbidden).await;
    assert!(message.contains("cannot create resource \"pods/eviction\""), "{message}");
    holds_for(Duration::from_secs(10), "one refused eviction", 1, async || {
        refused_evictions(&cluster)
    })
    .await;
    assert!(evictions_in(&cluster, "shop").is_empty());
    let without_evictions = changes(&rights(&cluster, "shop").await);
    assert_eq!(without_evictions, owned(&MAY_CHANGE[1..]));

    install(&cluster).await;
    let began = Timestamp::now();
    cluster.apply(policy("market", "market", HOLD)).await;
    phase(&cluster, "market", "market", Phase::Balanced).await;
    let made = evictions_in(&cluster, "market");
    assert_eq!(made.len(), 2, "{made:?}");
    each_move_takes_four_requests(&cluster, began, &made);
    nothing_else_was_asked(&cluster);
    no_right_is_too_many(&cluster).await;
    what_it_must_not_do_is_refused(&cluster).await;
}

/// The tier, the nodes, a dry run, the eviction: in this order, and nothing more.
fn each_move_takes_four_requests(cluster: &Cluster, began: Timestamp, made: &[Request]) {
    let seen: Vec<(String, String, bool)> = requests(cluster)
        .into_iter()
        .filter(|request| request.time >= began)
        .filter(|request| match request.verb.as_str() {
            "get" | "list" => request.resource == "pods" || request.resource == "nodes",
            _ => request.subresource == "eviction",
        })
        .map(|request| {
            let Request { verb, resource, name, dry_run, .. } = request;
            let what = if name.is_empty() { resource } else { name };
            (verb, what, dry_run)
        })
        .collect();
    let asked = |verb: &str, name: &str, dry_run| (verb.to_owned(), name.to_owned(), dry_run);
    let expected: Vec<_> = made
        .iter()
        .flat_map(|moved| {
            let pod = moved.name.as_str();
            [
                asked("list", "pods", false),
                asked("list", "nodes", false),
                asked("create", pod, true),
                asked("create", pod, false),
            ]
        })
        .collect();
    assert_eq!(seen, expected);
}

fn nothing_else_was_asked(cluster: &Cluster) {
    let requests = requests(cluster);
    for request in &requests {
        let Request { verb, resource, subresource, .. } = request;
        let reads = verb == "list" || verb == "watch";
        let asked = (verb.as_str(), resource.as_str(), subresource.as_str());
        assert!(reads || ASKED.contains(&asked), "{request:?}");
        let expected = resource == "pods" && subresource == "eviction" && request.code == 403;
        // The API server is still setting up the storage of a CRD that is new.
        let early = reads && request.group == "zonespread.io" && request.code == 429;
        // A Zone object is made when its first status finds none.
        let first = asked == ("patch", "zones", "status") && request.code == 404;
        let fine = request.code < 400 || request.resource == "leases" || expected || early || first;
        assert!(fine, "{request:?}");
    }
}

/// A right: verb, group, and resource with its subresource.
type Right = (String, String, String);

fn owned(rights: &[(&str, &str, &str)]) -> BTreeSet<Right> {
    let owned = |(verb, group, resource): &(&str, &str, &str)| {
        ((*verb).to_owned(), (*group).to_owned(), (*resource).to_owned())
    };
    rights.iter().map(owned).collect()
}

fn changes(rights: &BTreeSet<Right>) -> BTreeSet<Right> {
    let reads = |(verb, ..): &&Right| !matches!(verb.as_str(), "get" | "list" | "watch");
    rights.iter().filter(reads).cloned().collect()
}

/// What its account may do in a namespace, as the API server itself says, besides what
/// every account may.
async fn rights(cluster: &Cluster, namespace: &str) -> BTreeSet<Right> {
    let own = rights_of(cluster, OPERATOR_NAMESPACE, OPERATOR_ACCOUNT, namespace).await;
    let everybodys = rights_of(cluster, "market", "default", namespace).await;
    own.difference(&everybodys).cloned().collect()
}

async fn rights_of(cluster: &Cluster, home: &str, account: &str, at: &str) -> BTreeSet<Right> {
    let client = cluster.client_for(home, account).await;
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec { namespace: Some(at.to_owned()) },
        ..SelfSubjectRulesReview::default()
    };
    let api: Api<SelfSubjectRulesReview> = Api::all(client);
    let review = api.create(&PostParams::default(), &review).await.unwrap();
    let status = review.status.unwrap();
    assert!(!status.incomplete, "{status:?}");
    let mut rights = BTreeSet::new();
    for rule in status.resource_rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let all = |verb: &String| (verb.clone(), group.clone(), resource.clone());
                rights.extend(rule.verbs.iter().map(all));
            }
        }
    }
    rights
}

/// Each right is used, and there are no others.
async fn no_right_is_too_many(cluster: &Cluster) {
    assert_eq!(changes(&rights(cluster, "market").await), owned(&MAY_CHANGE));
    let at_home = rights(cluster, OPERATOR_NAMESPACE).await;
    let expected = owned(&[&MAY_CHANGE[..], &MAY_CHANGE_AT_HOME].concat());
    assert_eq!(changes(&at_home), expected);
    let used: BTreeSet<Right> = requests(cluster)
        .into_iter()
        .map(|Request { verb, group, resource, subresource, .. }| {
            let slash = if subresource.is_empty() { "" } else { "/" };
            (verb, group, format!("{resource}{slash}{subresource}"))
        })
        .chain(owned(&RARE))
        .collect();
    let unused: Vec<&Right> = at_home.difference(&used).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

async fn what_it_must_not_do_is_refused(cluster: &Cluster) {
    let client = cluster.client_for(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT).await;
    let allowed = http::Request::get("/api/v1/namespaces/market/pods").body(Vec::new()).unwrap();
    client.request_text(allowed).await.unwrap();
    for (method, path) in REFUSED {
        let content = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header("Content-Type", content).body(b"{}".to_vec()).unwrap();
        match client.request_text(request).await {
            Err(kube::Error::Api(status)) => {
                assert_eq!(status.code, 403, "{method} {path}: {}", status.message);
            }
            other => panic!("{method} {path}: {other:?}"),
        }
    }
}
