//! Horizontal pod autoscalers: a released pod counts for them, and they may take the
//! replacement for a reason to scale in.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

use super::interner::Interner;
use crate::observe::value::name::Name;

/// The watched part of a `HorizontalPodAutoscaler`.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler)]
pub struct WatchedAutoscaler {
    /// Name and namespace.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedAutoscalerSpec,
    #[serde(default)]
    status: WatchedAutoscalerStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedAutoscalerSpec {
    scale_target_ref: WatchedScaleTarget,
    max_replicas: i32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedScaleTarget {
    kind: String,
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedAutoscalerStatus {
    current_replicas: i32,
    desired_replicas: i32,
}

/// A horizontal pod autoscaler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autoscaler {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// The kind of what it scales.
    pub target_kind: Name,
    /// The name of what it scales.
    pub target_name: Name,
    /// How many pods it allows.
    pub max: i32,
    /// How many there were when it last looked; 0 before it ever did.
    pub current: i32,
    /// How many it wants.
    pub desired: i32,
}

impl Autoscaler {
    /// The autoscaler that `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedAutoscaler, interner: &mut Interner) -> Self {
        let WatchedAutoscaler { metadata, spec, status } = watched;
        Self {
            namespace: interner.name(metadata.namespace.as_deref().unwrap_or_default()),
            name: interner.name(metadata.name.as_deref().unwrap_or_default()),
            target_kind: interner.name(&spec.scale_target_ref.kind),
            target_name: interner.name(&spec.scale_target_ref.name),
            max: spec.max_replicas,
            current: status.current_replicas,
            desired: status.desired_replicas,
        }
    }
}
