//! An admission webhook that hangs, as webhooks do when their own pods were in the zone.

use super::{balanced, evicted, three_zones, web};
use crate::harness::{Cluster, holds_for};
use crate::mute_server::mute_server;
use crate::policy::{self, blocked, evictions_in, phase, policy, ready};
use serde_json::json;
use std::time::Duration;
use zonespread::api::{Phase, Reason};

/// A webhook for all evictions in a namespace.
fn webhook(namespace: &str, port: u16) -> serde_json::Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "hangs"},
        "webhooks": [{
            "name": "hangs.example.com",
            "clientConfig": {"url": format!("https://127.0.0.1:{port}/")},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["pods/eviction"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 30,
            "admissionReviewVersions": ["v1"],
        }],
    })
}

#[tokio::test]
async fn a_webhook_that_hangs_holds_up_its_own_namespace_and_no_other() {
    let cluster = Cluster::start().await;
    three_zones(&cluster).await;
    // The hooked one is asked for first.
    let namespaces = ["a-hooked", "shop"];
    for namespace in namespaces {
        cluster.namespace(namespace).await;
        cluster.apply(web(namespace, 3).to_string()).await;
        ready(&cluster, namespace, "app=web", 3).await;
    }
    let _operator = policy::operator(&cluster).await;
    for namespace in namespaces {
        cluster.apply(policy(namespace, "shop", "  rebalance: {holdDown: 2s}\n")).await;
        phase(&cluster, namespace, "shop", Phase::Balanced).await;
    }
    cluster.cordon_zone("c").await;
    cluster.evacuate_zone("c").await;
    for namespace in namespaces {
        ready(&cluster, namespace, "app=web", 3).await;
        blocked(&cluster, namespace, "shop", "web", Reason::ZoneImpaired).await;
    }
    cluster.apply(webhook("a-hooked", mute_server().await).to_string()).await;
    cluster.uncordon_zone("c").await;

    evicted(&cluster, "shop", 1).await;
    balanced(&cluster, "shop").await;
    let why = blocked(&cluster, "a-hooked", "shop", "web", Reason::ClusterUnstable).await;
    println!("{why}");
    let asked = || async { evictions_in(&cluster, "a-hooked").len() };
    holds_for(Duration::from_secs(5), "nothing is evicted past it", 0, asked).await;

    cluster.kubectl(&["delete", "validatingwebhookconfiguration", "hangs"]).await.unwrap();
    balanced(&cluster, "a-hooked").await;
    for namespace in namespaces {
        assert_eq!(evictions_in(&cluster, namespace).len(), 1, "{namespace}");
        let spread = cluster.spread(namespace, "app=web").await;
        assert_eq!(spread.into_values().collect::<Vec<_>>(), [1, 1, 1], "{namespace}");
    }
}
