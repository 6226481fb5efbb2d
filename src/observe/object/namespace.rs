//! Namespaces, as far as affinities and pauses care.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

/// The watched part of a Namespace.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Namespace)]
pub struct WatchedNamespace {
    /// Name, labels and annotations.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
}
