//! A pod for which room was made, and that kube-scheduler leaves alone with it.
//!
//! While the scheduler pushes others out for a pod, it keeps that pod out of its queue
//! (`SchedulerAsyncPreemption`). The end of the last of them brings the pod back, unless
//! that comes while the requests are still under way: then the end of another pod does, or the
//! flush of pods that have waited for 5 minutes (docs/facts.md; 1.35.4 and 1.37.1).

use crate::harness::{self, Cluster, eventually, holds_for, pod};
use crate::landings::Requests;
use crate::mute_server::mute_server;
use crate::policy::{SOON, ready};
use serde_json::{Value, json};
use std::time::Duration;

/// How long the API server waits for the webhook, before it goes on without.
const HANGS: Duration = Duration::from_secs(5);

/// A webhook that hangs, for the statuses of pods that hold room for others.
async fn statuses_hang(cluster: &Cluster, requests: &Requests) {
    let port = mute_server().await;
    let hook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "hangs"},
        "webhooks": [{
            "name": "hangs.example.com",
            "clientConfig": {"url": format!("https://127.0.0.1:{port}/")},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"],
                "resources": ["pods/status"]}],
            "objectSelector": {"matchLabels": {"app": "pause"}},
            "failurePolicy": "Ignore", "sideEffects": "None", "timeoutSeconds": HANGS.as_secs(),
            "admissionReviewVersions": ["v1"],
        }],
    });
    cluster.apply(hook.to_string()).await;
    eventually(SOON, "the webhook to be asked", async || {
        let path = "/api/v1/namespaces/shop/pods/pause-1/status?dryRun=All";
        let change = json!({"status": {"message": "tried"}});
        let asked = requests.patch(path, &change);
        tokio::time::timeout(Duration::from_secs(1), asked).await.is_err().then_some(())
    })
    .await;
}

/// Node c1 is full of two pods that hold room for others; a bystander is elsewhere.
async fn a_full_zone(cluster: &Cluster, requests: &Requests) {
    cluster.namespace("shop").await;
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": "headroom"}, "value": -10});
    cluster.apply(class.to_string()).await;
    for (zone, cpu) in [("a", "4"), ("c", "4")] {
        cluster.node(&format!("{zone}1")).zone(zone).cpu(cpu).create().await;
    }
    cluster.wait_for_nodes().await;
    for name in ["pause-1", "pause-2"] {
        let pause = pod("shop", name).request("cpu", "2").label("app", "pause");
        let pause = pause.pod_spec("priorityClassName", "headroom".into());
        let pause = pause.pod_spec("terminationGracePeriodSeconds", 0.into());
        cluster.apply(pause.pod_spec("nodeName", "c1".into()).to_string()).await;
    }
    let bystander = pod("shop", "bystander").pod_spec("nodeName", "a1".into());
    cluster.apply(bystander.to_string()).await;
    ready(cluster, "shop", "app=pause", 2).await;
    ready(cluster, "shop", "app=bystander", 1).await;
    statuses_hang(cluster, requests).await;
}

async fn waiting(requests: &Requests) -> Value {
    let pods = requests.list("/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb").await;
    pods.into_iter().find(|pod| pod["spec"]["nodeName"].is_null()).unwrap_or_default()
}

/// Room is being made on c1; then those that held it go by themselves, and nothing wakes the
/// scheduler.
async fn the_room_is_there_before_the_scheduler_has_made_it(requests: &Requests) {
    eventually(SOON, "room to be made on c1", async || {
        let status = waiting(requests).await["status"].clone();
        if status["nominatedNodeName"] == "c1" { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    for name in ["pause-1", "pause-2"] {
        requests.delete(&format!("/api/v1/namespaces/shop/pods/{name}")).await;
    }
}

#[tokio::test]
async fn a_pod_may_be_left_alone_with_the_room_that_was_made_for_it() {
    if harness::kubernetes().is_some_and(|version| version == "1.33") {
        return println!("1.33 takes the pod up at once");
    }
    let cluster = Cluster::start().await;
    let requests = Requests(cluster.client());
    a_full_zone(&cluster, &requests).await;
    let web = pod("shop", "web").request("cpu", "4");
    cluster.apply(web.to_string()).await;
    the_room_is_there_before_the_scheduler_has_made_it(&requests).await;
    let alone = HANGS + Duration::from_secs(15);
    holds_for(alone, "web waits beside an empty node", "c1".to_owned(), async || {
        let status = waiting(&requests).await["status"].clone();
        status["nominatedNodeName"].as_str().unwrap_or_default().to_owned()
    })
    .await;
    // The end of any pod that has a node wakes it.
    requests.delete("/api/v1/namespaces/shop/pods/bystander").await;
    ready(&cluster, "shop", "app=web", 1).await;
}
