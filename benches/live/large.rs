//! A large cluster in the API server, without the hour that it takes to create its pods.
//!
//! Objects are put into etcd in JSON, which the API server reads as well as its own format,
//! complete with status and with the `managedFields` that clients leave behind: the operator
//! has to read those, too.

use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::ByteString;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::cluster::{Size, node, policy};
use crate::dump::in_full;
use crate::harness::Cluster;

/// etcd takes up to 128 operations in one transaction.
const AT_ONCE: usize = 100;

/// Writes nodes, replica sets and pods of a cluster of this size; policies come later, with
/// the CRD of the build that reads them.
pub async fn fill(cluster: &Cluster, size: Size) {
    let namespaces: Vec<String> = (0..namespaces(size)).map(namespace).collect();
    let items: Vec<Value> = namespaces
        .iter()
        .flat_map(|name| {
            [
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
                json!({"apiVersion": "v1", "kind": "ServiceAccount",
                       "metadata": {"name": "default", "namespace": name}}),
            ]
        })
        .collect();
    cluster.apply(list(&items)).await;

    let replicas = size.pods / size.tiers;
    let first_pod = in_full(size.pod(0, 0, true));
    let node_fields = managed_fields(cluster, "", "Node", &node_in_full(0)).await;
    let pod_fields = managed_fields(cluster, "", "Pod", &first_pod).await;
    let set_fields = managed_fields(cluster, "apps", "ReplicaSet", &set_in_full(size, 0)).await;

    let nodes = (0..size.nodes).map(|at| stored("v1", "Node", node_in_full(at), &node_fields));
    let sets = (0..size.tiers)
        .map(|tier| stored("apps/v1", "ReplicaSet", set_in_full(size, tier), &set_fields));
    let pods = (0..size.tiers).flat_map(|tier| (0..replicas).map(move |at| (tier, at)));
    let pods =
        pods.map(|(tier, at)| stored("v1", "Pod", in_full(size.pod(tier, at, true)), &pod_fields));
    put(cluster, nodes.chain(sets).chain(pods)).await;
}

/// Applies the policies.
pub async fn apply_policies(cluster: &Cluster, size: Size) {
    let mut policies: Vec<Value> = (0..namespaces(size)).map(policy).collect();
    for policy in &mut policies {
        let name = policy["metadata"]["name"].clone();
        let namespace = policy["metadata"]["namespace"].clone();
        policy["metadata"] = json!({"name": name, "namespace": namespace});
    }
    cluster.apply(list(&policies)).await;
}

const fn namespaces(size: Size) -> usize {
    size.tiers.div_ceil(size.tiers_per_policy)
}

fn namespace(at: usize) -> String {
    format!("namespace-{at}")
}

fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// The replica set with what the API server wants of one, and its status.
fn set_in_full(size: Size, tier: usize) -> Value {
    let replicas = size.pods / size.tiers;
    let mut set = size.workload(tier, replicas);
    let labels = set["spec"]["template"]["metadata"]["labels"].clone();
    set["spec"]["selector"] = json!({"matchLabels": labels});
    set["status"] = json!({
        "replicas": replicas, "fullyLabeledReplicas": replicas, "readyReplicas": replicas,
        "availableReplicas": replicas, "observedGeneration": 1,
    });
    set
}

/// The node with what else a kubelet says of one.
fn node_in_full(at: usize) -> Value {
    let mut node = node(at, true);
    node["metadata"]["annotations"] = json!({
        "node.alpha.kubernetes.io/ttl": "300",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    });
    node["spec"] = json!({"podCIDR": "10.1.2.0/24", "podCIDRs": ["10.1.2.0/24"],
                          "providerID": format!("aws:///eu-west-2a/i-{at:017x}")});
    let status = &mut node["status"];
    status["capacity"] = status["allocatable"].clone();
    let conditions = [
        ("MemoryPressure", "False"),
        ("DiskPressure", "False"),
        ("PIDPressure", "False"),
        ("Ready", "True"),
    ];
    status["conditions"] = conditions
        .iter()
        .map(|(kind, holds)| {
            json!({
                "type": kind, "status": holds, "reason": format!("Kubelet{kind}"),
                "message": format!("kubelet says that {kind} is {holds}"),
                "lastHeartbeatTime": "2026-05-04T09:00:00Z",
                "lastTransitionTime": "2026-05-04T08:00:30Z",
            })
        })
        .collect();
    status["addresses"] = json!([
        {"type": "InternalIP", "address": "10.0.1.17"},
        {"type": "Hostname", "address": format!("node-{at}")},
    ]);
    status["daemonEndpoints"] = json!({"kubeletEndpoint": {"Port": 10250}});
    status["nodeInfo"] = json!({
        "architecture": "amd64", "bootID": "0f6b1a3e-5d1c-4f6e-9a51-0c2f1d9b7a11",
        "containerRuntimeVersion": "containerd://2.1.4", "kernelVersion": "6.12.40",
        "kubeProxyVersion": "", "kubeletVersion": "v1.37.1",
        "machineID": format!("{at:032x}"), "operatingSystem": "linux",
        "osImage": "Bottlerocket OS", "systemUUID": format!("ec2{at:029x}"),
    });
    node
}

/// What the API server notes about who set which field, when an object like this is created
/// by one client and gets its status from another. The object stays.
async fn managed_fields(cluster: &Cluster, group: &str, kind: &str, object: &Value) -> Value {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    let mut new: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    new.types = None;
    new.metadata.uid = None;
    new.metadata.resource_version = None;
    let api: Api<DynamicObject> = match &new.metadata.namespace {
        Some(namespace) => Api::namespaced_with(cluster.client(), namespace, &resource),
        None => Api::all_with(cluster.client(), &resource),
    };
    let name = new.metadata.name.clone().unwrap();
    let parameters = PostParams { field_manager: Some("creator".into()), ..PostParams::default() };
    api.create(&parameters, &new).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    let status = json!({"status": object["status"]});
    if !status["status"].is_null() {
        let parameters =
            PatchParams { field_manager: Some("kubelet".into()), ..PatchParams::default() };
        api.patch_status(&name, &parameters, &Patch::Merge(&status)).await.unwrap();
    }
    let created = api.get(&name).await.unwrap();
    serde_json::to_value(created.metadata.managed_fields).unwrap()
}

/// The key in etcd, and what is stored there.
fn stored(
    version: &str,
    kind: &str,
    mut object: Value,
    managed_fields: &Value,
) -> (String, String) {
    object["apiVersion"] = json!(version);
    object["kind"] = json!(kind);
    let metadata = &mut object["metadata"];
    metadata["managedFields"] = managed_fields.clone();
    metadata.as_object_mut().unwrap().remove("resourceVersion");
    if metadata["uid"].is_null() {
        metadata["uid"] = json!(format!("uid-of-{}", metadata["name"].as_str().unwrap()));
    }
    metadata["creationTimestamp"] = json!("2026-05-04T08:30:00Z");
    let name = metadata["name"].as_str().unwrap();
    let key = match (kind, metadata["namespace"].as_str()) {
        ("Node", _) => format!("/registry/minions/{name}"),
        (_, Some(namespace)) => format!("/registry/{}s/{namespace}/{name}", kind.to_lowercase()),
        (_, None) => panic!("{kind} {name} is in no namespace"),
    };
    (key, object.to_string())
}

/// Puts them through etcd's JSON gateway.
async fn put(cluster: &Cluster, objects: impl Iterator<Item = (String, String)>) {
    let etcd = Client::try_from(Config::new(cluster.etcd().parse().unwrap())).unwrap();
    let mut batches = Vec::new();
    let mut objects = objects.peekable();
    // Made on the way: all of them at once are half a gigabyte.
    let batches =
        std::iter::from_fn(move || {
            batches.clear();
            objects.peek()?;
            batches.extend(objects.by_ref().take(AT_ONCE).map(
                |(key, value)| json!({"requestPut": {"key": bytes(key), "value": bytes(value)}}),
            ));
            Some(json!({"success": batches}).to_string())
        });
    let put = stream::iter(batches).map(|batch| {
        let request = http::Request::post("/v3/kv/txn").body(batch.into_bytes()).unwrap();
        etcd.request_text(request)
    });
    put.buffer_unordered(4).try_for_each(async |_| Ok(())).await.expect("etcd takes objects");
}

fn bytes(text: String) -> ByteString {
    ByteString(text.into_bytes())
}
