//! What manifests say that the operator has no use for, and so does not watch: probes,
//! the fields of budgets, autoscalers' minimum, webhooks. Read from manifests, dumps and
//! the API alike.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{Selector, SelectorExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::observe::{Labels, Template, WatchedPodSpec};

use super::finding::Place;

/// Name, namespace, labels and so on of an object, and where it is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for an object of the cluster.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Where it is written.
    pub place: Option<Place>,
}

impl Object {
    /// `Deployment/web`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// A workload as it is declared.
#[derive(Clone, Debug)]
pub struct DeclaredWorkload {
    /// Which one.
    pub object: Object,
    /// How many pods it wants; 1 if it does not say.
    pub replicas: i32,
    /// How long a pod must be Ready to be Available, in seconds.
    pub min_ready_seconds: i64,
    /// Whether claims are made for each of its pods.
    pub has_claim_templates: bool,
    /// The labels of its pods.
    pub labels: Arc<Labels>,
    /// What is looked at in the spec of its pods, besides.
    pub spec: DeclaredPod,
    /// What of that the scheduler looks at.
    pub template: Arc<Template>,
    /// The spec as it is written.
    pub written: Value,
}

impl DeclaredWorkload {
    /// Whether it has one pod on each node.
    #[must_use]
    pub fn is_on_each_node(&self) -> bool {
        self.object.kind == "DaemonSet"
    }
}

/// What is looked at in the spec of a pod, besides what the scheduler looks at. Nothing else
/// is read: what others write in other fields cannot fail.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeclaredPod {
    /// Its containers.
    pub containers: Vec<DeclaredContainer>,
    /// Those that run before them.
    pub init_containers: Option<Vec<DeclaredContainer>>,
    /// What it asks for as a whole.
    pub resources: Option<ResourceRequirements>,
}

/// A container as it is declared.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeclaredContainer {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub resources: Option<ResourceRequirements>,
    /// What tells when it has started.
    pub startup_probe: Option<DeclaredProbe>,
    /// What tells when it is ready.
    pub readiness_probe: Option<DeclaredProbe>,
}

/// A probe as it is declared.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeclaredProbe {
    /// How long it waits before the first try, in seconds.
    pub initial_delay_seconds: Option<i64>,
    /// How long it waits between two tries, in seconds; 10 if it does not say.
    pub period_seconds: Option<i64>,
    /// How often it may fail; 3 times if it does not say.
    pub failure_threshold: Option<i64>,
}

/// A disruption budget as it is declared.
#[derive(Clone, Debug)]
pub struct DeclaredBudget {
    /// Which one.
    pub object: Object,
    /// Which pods it protects.
    pub selector: Option<Selector>,
    /// How many must stay.
    pub min_available: Option<IntOrString>,
    /// How many may be missing.
    pub max_unavailable: Option<IntOrString>,
    /// Whether pods that are not Ready may always be evicted.
    pub lets_unhealthy_go: bool,
    /// Why its controller cannot count its pods, if it said so.
    pub sync_failure: Option<String>,
}

/// An autoscaler as it is declared.
#[derive(Clone, Debug)]
pub struct DeclaredAutoscaler {
    /// Which one.
    pub object: Object,
    /// The kind and name of what it scales.
    pub target: (String, String),
    /// To how many pods it may scale in.
    pub min_replicas: i32,
    /// To how many pods it may scale out.
    pub max_replicas: i32,
}

/// A Service as it is declared.
#[derive(Clone, Debug)]
pub struct DeclaredService {
    /// Which one.
    pub object: Object,
    /// Labels of its pods; empty selects none.
    pub selector: Labels,
    /// Its ports.
    pub ports: Vec<i32>,
    /// What keeps its traffic in a zone: the field or annotation and its value.
    pub same_zone: Option<String>,
}

/// A webhook that must answer.
#[derive(Clone, Debug)]
pub struct DeclaredWebhook {
    /// Its configuration.
    pub object: Object,
    /// Its own name.
    pub name: String,
    /// Namespace and name of the Service that answers.
    pub service: (String, String),
}

/// All that is declared.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// Deployments, StatefulSets, DaemonSets and Argo Rollouts.
    pub workloads: Vec<DeclaredWorkload>,
    /// Disruption budgets.
    pub budgets: Vec<DeclaredBudget>,
    /// Horizontal pod autoscalers.
    pub autoscalers: Vec<DeclaredAutoscaler>,
    /// Services.
    pub services: Vec<DeclaredService>,
    /// Webhooks with `failurePolicy: Fail`.
    pub webhooks: Vec<DeclaredWebhook>,
}

/// A kind that is declared: group, version, name and resource.
pub const DECLARED_KINDS: [(&str, &str, &str, &str); 10] = [
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("apps", "v1", "DaemonSet", "daemonsets"),
    ("apps", "v1", "ReplicaSet", "replicasets"),
    ("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("", "v1", "Service", "services"),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
    ),
];

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    namespace: Option<String>,
    labels: Option<Labels>,
    annotations: Option<Labels>,
    owner_references: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Manifest<S> {
    metadata: Metadata,
    spec: S,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkloadSpec {
    replicas: Option<i32>,
    min_ready_seconds: Option<i64>,
    template: Option<PodTemplate>,
    volume_claim_templates: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct PodTemplate {
    metadata: Option<Metadata>,
    spec: Value,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct BudgetSpec {
    selector: Option<LabelSelector>,
    min_available: Option<IntOrString>,
    max_unavailable: Option<IntOrString>,
    unhealthy_pod_eviction_policy: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BudgetStatus {
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AutoscalerSpec {
    scale_target_ref: Target,
    min_replicas: Option<i32>,
    max_replicas: Option<i32>,
}

#[derive(Deserialize)]
struct Target {
    kind: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ServiceSpec {
    selector: Option<Labels>,
    ports: Option<Vec<Port>>,
    traffic_distribution: Option<String>,
}

#[derive(Deserialize)]
struct Port {
    port: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    name: String,
    failure_policy: Option<String>,
    client_config: ClientConfig,
}

#[derive(Deserialize)]
struct ClientConfig {
    service: Option<ServiceName>,
}

#[derive(Deserialize)]
struct ServiceName {
    namespace: String,
    name: String,
}

/// What keeps traffic in its zone, as an annotation of older versions.
const TOPOLOGY_MODE: [&str; 2] =
    ["service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"];

impl Declared {
    /// Whether objects of this kind say something.
    #[must_use]
    pub fn wants(api_version: &str, kind: &str) -> bool {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        DECLARED_KINDS.iter().any(|known| known.0 == group && known.2 == kind)
    }

    /// Whether nothing is declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workloads.is_empty()
            && self.budgets.is_empty()
            && self.autoscalers.is_empty()
            && self.services.is_empty()
            && self.webhooks.is_empty()
    }

    /// Takes in an object of such a kind.
    ///
    /// # Errors
    /// When it is not what the API server would take.
    pub fn add(
        &mut self,
        kind: &str,
        object: &Value,
        place: Option<Place>,
    ) -> Result<(), serde_json::Error> {
        match kind {
            "PodDisruptionBudget" => self.add_budget(kind, object, place),
            "HorizontalPodAutoscaler" => self.add_autoscaler(kind, object, place),
            "Service" => self.add_service(kind, object, place),
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
                self.add_webhooks(kind, object, place)
            }
            _ => self.add_workload(kind, object, place),
        }
    }

    fn add_workload(
        &mut self,
        kind: &str,
        object: &Value,
        place: Option<Place>,
    ) -> Result<(), serde_json::Error> {
        let Manifest::<WorkloadSpec> { metadata, spec } = read(object)?;
        // What another one owns is part of that: the ReplicaSet of a Deployment, and what an
        // operator makes of its own kinds only where pods say so.
        let is_owned = metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty());
        // A Rollout may refer to the template of a Deployment that wants no pods.
        let Some(template) = spec.template else { return Ok(()) };
        if is_owned && kind == "ReplicaSet" {
            return Ok(());
        }
        let pod: DeclaredPod = read(&template.spec)?;
        let watched: WatchedPodSpec = read(&template.spec)?;
        let labels = template.metadata.and_then(|metadata| metadata.labels).unwrap_or_default();
        self.workloads.push(DeclaredWorkload {
            object: self::object(kind, metadata, place),
            replicas: spec.replicas.unwrap_or(1),
            min_ready_seconds: spec.min_ready_seconds.unwrap_or_default(),
            has_claim_templates: spec.volume_claim_templates.is_some_and(|all| !all.is_empty()),
            labels: Arc::new(labels),
            spec: pod,
            template: Arc::new(Template::new(watched)),
            written: template.spec,
        });
        Ok(())
    }

    fn add_budget(
        &mut self,
        kind: &str,
        object: &Value,
        place: Option<Place>,
    ) -> Result<(), serde_json::Error> {
        let Manifest::<BudgetSpec> { metadata, spec } = read(object)?;
        let status: BudgetStatus = match object.get("status") {
            Some(status) if !status.is_null() => read(status)?,
            _ => BudgetStatus::default(),
        };
        let failed = status.conditions.into_iter().find(|condition| {
            condition.type_ == "DisruptionAllowed" && condition.reason == "SyncFailed"
        });
        self.budgets.push(DeclaredBudget {
            object: self::object(kind, metadata, place),
            selector: spec.selector.and_then(|selector| Selector::try_from(selector).ok()),
            min_available: spec.min_available,
            max_unavailable: spec.max_unavailable,
            lets_unhealthy_go: spec.unhealthy_pod_eviction_policy.as_deref() == Some("AlwaysAllow"),
            sync_failure: failed.map(|condition| condition.message),
        });
        Ok(())
    }

    fn add_autoscaler(
        &mut self,
        kind: &str,
        object: &Value,
        place: Option<Place>,
    ) -> Result<(), serde_json::Error> {
        let Manifest::<AutoscalerSpec> { metadata, spec } = read(object)?;
        self.autoscalers.push(DeclaredAutoscaler {
            object: self::object(kind, metadata, place),
            target: (spec.scale_target_ref.kind, spec.scale_target_ref.name),
            min_replicas: spec.min_replicas.unwrap_or(1),
            max_replicas: spec.max_replicas.unwrap_or(1),
        });
        Ok(())
    }

    fn add_service(
        &mut self,
        kind: &str,
        object: &Value,
        place: Option<Place>,
    ) -> Result<(), serde_json::Error> {
        let Manifest::<ServiceSpec> { metadata, spec } = read(object)?;
        let object = self::object(kind, metadata, place);
        let annotated = TOPOLOGY_MODE.iter().find_map(|key| {
            let value = object.annotations.get(*key)?;
            let is_on = value.eq_ignore_ascii_case("auto");
            is_on.then(|| format!("annotation {key}: {value}"))
        });
        let field = spec.traffic_distribution.map(|value| format!("trafficDistribution: {value}"));
        self.services.push(DeclaredService {
            selector: spec.selector.unwrap_or_default(),
            ports: spec.ports.unwrap_or_default().iter().map(|port| port.port).collect(),
            // PreferSameNode prefers the node, and then the zone.
            same_zone: field.or(annotated),
            object,
        });
        Ok(())
    }

    fn add_webhooks(
        &mut self,
        kind: &str,
        object: &Value,
        place: Option<Place>,
    ) -> Result<(), serde_json::Error> {
        let metadata: Metadata = read(object.get("metadata").unwrap_or(&Value::Null))?;
        let webhooks: Option<Vec<Webhook>> = read(object.get("webhooks").unwrap_or(&Value::Null))?;
        let owner = Object { namespace: String::new(), ..self::object(kind, metadata, place) };
        for webhook in webhooks.into_iter().flatten() {
            let must_answer = webhook.failure_policy.as_deref().unwrap_or("Fail") == "Fail";
            let Some(service) = webhook.client_config.service.filter(|_| must_answer) else {
                continue;
            };
            self.webhooks.push(DeclaredWebhook {
                object: owner.clone(),
                name: webhook.name,
                service: (service.namespace, service.name),
            });
        }
        Ok(())
    }
}

impl DeclaredBudget {
    /// Whether it protects pods with these labels.
    #[must_use]
    pub fn protects(&self, labels: &Labels) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}

impl DeclaredService {
    /// Whether it selects pods with these labels.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        let has = |(key, value): (&String, &String)| labels.get(key) == Some(value);
        !self.selector.is_empty() && self.selector.iter().all(has)
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(value)
}

fn object(kind: &str, metadata: Metadata, place: Option<Place>) -> Object {
    Object {
        kind: kind.to_owned(),
        namespace: metadata.namespace.unwrap_or_else(|| "default".to_owned()),
        name: metadata.name,
        labels: metadata.labels.unwrap_or_default(),
        annotations: metadata.annotations.unwrap_or_default(),
        place,
    }
}
