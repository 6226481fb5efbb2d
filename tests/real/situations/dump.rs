//! A dump of `tests/fixtures`, made true on a control plane: its nodes, its workloads, and
//! their pods on the nodes where the dump has them, as large as they are there.
//!
//! The pods come first, with their nodes, and belong to nobody; then come their owners, which
//! adopt what their selectors match, whatever their templates say.

use crate::harness::{Cluster, ZONE, eventually};
use crate::landings::Requests;
use crate::policy::SOON;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The objects of a dump.
pub struct Dump {
    items: Vec<Value>,
    /// The namespace of its only policy.
    pub namespace: String,
}

fn text<'v>(object: &'v Value, field: &str) -> &'v str {
    object["metadata"][field].as_str().unwrap_or_default()
}

impl Dump {
    /// Reads `tests/fixtures/<file>.json`.
    pub fn read(file: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join("tests/fixtures").join(file).with_extension("json");
        let list: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let mut dump =
            Self { items: list["items"].as_array().unwrap().clone(), namespace: String::new() };
        dump.namespace = text(dump.all("ZoneSpreadPolicy")[0], "namespace").to_owned();
        dump
    }

    fn all(&self, kind: &str) -> Vec<&Value> {
        self.items.iter().filter(|item| item["kind"] == kind).collect()
    }

    /// Its policy, that waits for nothing: here zones have never been out, and pods are new.
    pub fn policy(&self) -> String {
        let policy = self.all("ZoneSpreadPolicy")[0];
        let mut spec = policy["spec"].clone();
        spec["rebalance"] = json!({"holdDown": "1s", "settle": "0s"});
        json!({
            "apiVersion": policy["apiVersion"], "kind": policy["kind"],
            "metadata": {"name": text(policy, "name"), "namespace": self.namespace},
            "spec": spec,
        })
        .to_string()
    }

    /// The name of its policy.
    pub fn policy_name(&self) -> &str {
        text(self.all("ZoneSpreadPolicy")[0], "name")
    }

    /// All namespaces that its objects are in.
    fn namespaces(&self) -> BTreeSet<&str> {
        let named = self.items.iter().map(|item| text(item, "namespace"));
        named.filter(|name| !name.is_empty()).collect()
    }

    /// The pods' nodes, by namespace and name.
    fn places(&self) -> BTreeMap<(String, String), String> {
        self.all("Pod").into_iter().filter_map(place).collect()
    }

    /// Makes all of it but the policy. The namespaces are new, and there are no nodes yet.
    pub async fn load(&self, cluster: &Cluster) {
        let requests = Requests(cluster.client());
        self.make_nodes(cluster).await;
        for namespace in self.namespaces() {
            if cluster.kubectl(&["get", "namespace", namespace]).await.is_err() {
                cluster.namespace(namespace).await;
            }
        }
        self.make_priorities(cluster).await;
        let pods = self.all("Pod");
        for pod in &pods {
            let path = format!("/api/v1/namespaces/{}/pods", text(pod, "namespace"));
            let body = json!({
                "apiVersion": "v1", "kind": "Pod", "spec": pod["spec"],
                "metadata": {"name": text(pod, "name"), "labels": pod["metadata"]["labels"]},
            });
            requests.post(&path, &body).await;
        }
        for namespace in self.namespaces() {
            self.controllers_have_heard(cluster, &requests, namespace).await;
        }
        for kind in ["StatefulSet", "ReplicaSet", "Deployment"] {
            self.make_owners(cluster, kind).await;
        }
        self.resize(&requests).await;
        assert_eq!(Self::seen(&requests).await, self.places(), "the pods of the dump");
    }

    async fn make_nodes(&self, cluster: &Cluster) {
        for node in self.all("Node") {
            let mut made = cluster.node(text(node, "name"));
            for (key, value) in node["metadata"]["labels"].as_object().unwrap() {
                made = made.label(key, value.as_str().unwrap());
            }
            for (name, quantity) in node["status"]["allocatable"].as_object().unwrap() {
                made = made.resource(name, quantity.as_str().unwrap());
            }
            for taint in node["spec"]["taints"].as_array().into_iter().flatten() {
                let field = |name: &str| taint[name].as_str().unwrap_or_default();
                made = made.taint(field("key"), field("value"), field("effect"));
            }
            made.create().await;
        }
        cluster.wait_for_nodes().await;
    }

    async fn make_priorities(&self, cluster: &Cluster) {
        for pod in self.all("Pod") {
            if let Some(name) = pod["spec"]["priorityClassName"].as_str() {
                let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                    "metadata": {"name": name}, "value": pod["spec"]["priority"]});
                cluster.apply(class.to_string()).await;
            }
        }
    }

    /// Waits until the controllers know the pods of a namespace: whoever made an owner before
    /// would see it make others. They all look into one cache, as the one of budgets does.
    async fn controllers_have_heard(
        &self,
        cluster: &Cluster,
        requests: &Requests,
        namespace: &str,
    ) {
        let there = self.all("Pod").into_iter().filter(|pod| text(pod, "namespace") == namespace);
        let there = there.count();
        if there == 0 {
            return;
        }
        let path = format!("/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets");
        let all = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": "all", "namespace": namespace},
            "spec": {"minAvailable": 0, "selector": {}}});
        cluster.apply(all.to_string()).await;
        let what = format!("the controllers to hear of {there} pods in {namespace}");
        eventually(SOON, &what, async || {
            let status = requests.list(&path).await[0]["status"].clone();
            if status["currentHealthy"] == there { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
        requests.delete(&format!("{path}/all")).await;
    }

    /// Makes the owners of one kind, and waits until they have what they want.
    async fn make_owners(&self, cluster: &Cluster, kind: &str) {
        for owner in self.all(kind) {
            let mut spec = owner["spec"].clone();
            if kind == "StatefulSet" {
                // Its pod is of no revision that this set knows, and stays as it is.
                spec["updateStrategy"] = json!({"type": "OnDelete"});
            }
            let (namespace, name) = (text(owner, "namespace"), text(owner, "name"));
            let made = json!({
                "apiVersion": "apps/v1", "kind": kind, "spec": spec,
                "metadata": {"name": name, "namespace": namespace,
                    "labels": owner["metadata"]["labels"]},
            });
            cluster.apply(made.to_string()).await;
            let wanted = owner["spec"]["replicas"].to_string();
            let what = format!("{kind} {name} to have its {wanted} pods");
            let path = ["-o", "jsonpath={.status.readyReplicas}"];
            eventually(SOON, &what, async || {
                let asked = [&["get", kind, name, "-n", namespace][..], &path].concat();
                let ready = cluster.kubectl(&asked).await?;
                if ready == wanted { Ok(()) } else { Err(format!("{ready} of {wanted}")) }
            })
            .await;
        }
    }

    /// What kubelets would say of the pods that are resized in place.
    async fn resize(&self, requests: &Requests) {
        for pod in self.all("Pod") {
            let statuses = &pod["status"]["containerStatuses"];
            if !statuses[0]["resources"].is_object() {
                continue;
            }
            let (namespace, name) = (text(pod, "namespace"), text(pod, "name"));
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/status");
            let status = json!({"containerStatuses": statuses,
                "conditions": pod["status"]["conditions"]});
            requests.patch(&path, &json!({"status": status})).await;
        }
    }

    async fn seen(requests: &Requests) -> BTreeMap<(String, String), String> {
        requests.list("/api/v1/pods").await.iter().filter_map(place).collect()
    }

    /// Takes all of it away.
    pub async fn clear(&self, cluster: &Cluster) {
        let workloads = "deployments,replicasets,statefulsets";
        for namespace in self.namespaces() {
            let all = ["--all", "-n", namespace];
            let owned = [&["delete", workloads, "--cascade=foreground"][..], &all].concat();
            cluster.kubectl(&owned).await.unwrap();
            cluster.kubectl(&[&["delete", "zsp,pods"][..], &all].concat()).await.unwrap();
        }
        cluster.kubectl(&["delete", "zones.zonespread.io,nodes", "--all"]).await.unwrap();
    }

    /// The zone of a node.
    pub fn zone_of(&self, node: &str) -> &str {
        let known = self.all("Node").into_iter().find(|known| text(known, "name") == node);
        known.unwrap()["metadata"]["labels"][ZONE].as_str().unwrap()
    }
}

/// Namespace and name of a pod, and its node.
fn place(pod: &Value) -> Option<((String, String), String)> {
    let node = pod["spec"]["nodeName"].as_str()?.to_owned();
    Some(((text(pod, "namespace").to_owned(), text(pod, "name").to_owned()), node))
}
