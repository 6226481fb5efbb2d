//! Services, as far as the scheduler cares.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

use crate::observe::value::name::{Labels, Name};

/// The watched part of a Service.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Service)]
pub struct WatchedService {
    /// Name and namespace.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedServiceSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WatchedServiceSpec {
    selector: Option<Labels>,
    traffic_distribution: Option<String>,
}

/// A Service: the default spread constraints select by it.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// Labels of its pods; empty selects none.
    pub selector: Labels,
    /// Where traffic goes first, if not anywhere: `PreferSameZone`.
    pub traffic_distribution: Option<Name>,
}

impl Service {
    /// The service that `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedService) -> Self {
        Self {
            namespace: Name::from(watched.metadata.namespace.unwrap_or_default()),
            name: Name::from(watched.metadata.name.unwrap_or_default()),
            selector: watched.spec.selector.unwrap_or_default(),
            traffic_distribution: watched.spec.traffic_distribution.map(Name::from),
        }
    }

    /// Whether pods with these labels are its.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        !self.selector.is_empty()
            && self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}
