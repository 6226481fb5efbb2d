//! Workloads as users write them, built in a line and applied as JSON.

use super::nodes::ZONE;
use serde_json::{Value, json};
use std::fmt;

/// What the scheduler does when a spread constraint cannot be kept.
#[derive(Debug, Clone, Copy)]
pub enum Constraint {
    ScheduleAnyway,
    DoNotSchedule,
}
pub use Constraint::{DoNotSchedule, ScheduleAnyway};

/// A workload to be applied: `cluster.apply(deployment("shop", "web", 6).to_string())`.
/// Its pods have the label `app: <name>` and ask for 100m and 64Mi.
#[derive(Debug, Clone)]
#[must_use]
pub struct Workload {
    object: Value,
    /// Where the pod template is in the object, as a JSON pointer.
    template: &'static str,
    labels: Vec<(String, String)>,
    spread: Option<(Constraint, i32)>,
}

/// A Deployment.
pub fn deployment(namespace: &str, name: &str, replicas: u32) -> Workload {
    Workload::new("apps/v1", "Deployment", namespace, name).set("/spec/replicas", replicas.into())
}

/// A `StatefulSet`.
pub fn stateful_set(namespace: &str, name: &str, replicas: u32) -> Workload {
    Workload::new("apps/v1", "StatefulSet", namespace, name)
        .set("/spec/replicas", replicas.into())
        .set("/spec/serviceName", name.into())
}

/// A `DaemonSet`.
pub fn daemon_set(namespace: &str, name: &str) -> Workload {
    Workload::new("apps/v1", "DaemonSet", namespace, name)
}

/// A pod that nobody owns and nobody replaces.
pub fn pod(namespace: &str, name: &str) -> Workload {
    let mut pod = Workload::new("v1", "Pod", namespace, name);
    let template = pod.object["spec"]["template"].take();
    pod.object["spec"] = template["spec"].clone();
    pod.template = "";
    pod.label("app", name)
}

/// A `PodDisruptionBudget` over the pods with the label `app: <app>`; `rule` is
/// `minAvailable` or `maxUnavailable`.
pub fn disruption_budget(
    namespace: &str,
    app: &str,
    rule: &str,
    value: impl Into<Value>,
) -> String {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"namespace": namespace, "name": app},
        "spec": {"selector": {"matchLabels": {"app": app}}, rule: value.into()},
    })
    .to_string()
}

impl Workload {
    pub(super) fn new(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        let object = json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"namespace": namespace, "name": name},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {}, "spec": {"containers": [{
                    "name": "main",
                    "image": "registry.invalid/app:1",
                    "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
                }]}},
            },
        });
        let workload =
            Self { object, template: "/spec/template", labels: Vec::new(), spread: None };
        if kind == "Pod" { workload } else { workload.label("app", name) }
    }

    /// Pods carry this label, and a spread constraint selects on all labels so given.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self.set_in_template("/metadata/labels", key, value.into())
    }

    /// Pods carry this annotation.
    pub fn annotation(self, key: &str, value: &str) -> Self {
        self.set_in_template("/metadata/annotations", key, value.into())
    }

    /// Spread over zones, with a skew of at most one.
    pub fn spread(self, constraint: Constraint) -> Self {
        self.spread_with_max_skew(constraint, 1)
    }

    /// Spread over zones, with a skew of at most `max_skew`.
    pub fn spread_with_max_skew(mut self, constraint: Constraint, max_skew: i32) -> Self {
        self.spread = Some((constraint, max_skew));
        self
    }

    /// Pods become Ready so long after they were bound, `5s`; at once without it.
    pub fn start_delay(self, delay: &str) -> Self {
        self.annotation("zonespread.test/start-delay", delay)
    }

    /// Pods are gone so long after they were deleted, `5s`; at once without it.
    pub fn stop_delay(self, delay: &str) -> Self {
        self.annotation("zonespread.test/stop-delay", delay)
    }

    /// Pods run and never become Ready.
    pub fn never_ready(self) -> Self {
        self.annotation("zonespread.test/never-ready", "true")
    }

    /// Pods ask for this much of a resource.
    pub fn request(mut self, resource: &str, quantity: &str) -> Self {
        let pointer = format!("{}/spec/containers/0/resources/requests", self.template);
        insert(&mut self.object, &pointer, resource, quantity.into());
        self
    }

    /// Pods leave a node this many seconds after it became unreachable, instead of 300.
    pub fn leave_failed_nodes_after(self, seconds: i64) -> Self {
        let toleration = |key| {
            json!({"key": key, "operator": "Exists", "effect": "NoExecute",
                   "tolerationSeconds": seconds})
        };
        let tolerations = json!([
            toleration("node.kubernetes.io/not-ready"),
            toleration("node.kubernetes.io/unreachable"),
        ]);
        self.pod_spec("tolerations", tolerations)
    }

    /// Any field of the pods' spec.
    pub fn pod_spec(self, field: &str, value: Value) -> Self {
        self.set_in_template("/spec", field, value)
    }

    /// Any field of the object, by JSON pointer; its parent exists.
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, field) = pointer.rsplit_once('/').expect("a JSON pointer");
        insert(&mut self.object, parent, field, value);
        self
    }

    fn set_in_template(mut self, below: &str, field: &str, value: Value) -> Self {
        let parent = format!("{}{below}", self.template);
        insert(&mut self.object, &parent, field, value);
        self
    }
}

fn insert(object: &mut Value, parent: &str, field: &str, value: Value) {
    let mut place = object;
    for step in parent.split('/').skip(1) {
        place = match place {
            Value::Array(list) => &mut list[step.parse::<usize>().expect("an index")],
            place => &mut place[step],
        };
    }
    place[field] = value;
}

impl fmt::Display for Workload {
    /// The object in JSON, which is YAML too.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut whole = self.clone();
        if let Some((constraint, max_skew)) = self.spread {
            let labels: serde_json::Map<String, Value> = self
                .labels
                .iter()
                .map(|(key, value)| (key.clone(), value.as_str().into()))
                .collect();
            whole = whole.pod_spec(
                "topologySpreadConstraints",
                json!([{
                    "maxSkew": max_skew,
                    "topologyKey": ZONE,
                    "whenUnsatisfiable": format!("{constraint:?}"),
                    "labelSelector": {"matchLabels": labels},
                }]),
            );
        }
        write!(out, "{:#}", whole.object)
    }
}
