//! Storage drivers, as far as the scheduler asks about them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

use super::interner::Interner;
use crate::observe::value::name::Name;

/// The watched part of a `CSINode`.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::storage::v1::CSINode)]
pub struct WatchedCsiNode {
    /// The name of the node.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedCsiNodeSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedCsiNodeSpec {
    drivers: Vec<WatchedNodeDriver>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedNodeDriver {
    name: String,
    allocatable: Option<WatchedAllocatable>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedAllocatable {
    count: Option<i32>,
}

/// The watched part of a `CSIDriver`.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::storage::v1::CSIDriver)]
pub struct WatchedCsiDriver {
    /// The driver's name.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedCsiDriverSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedCsiDriverSpec {
    storage_capacity: Option<bool>,
    prevent_pod_scheduling_if_missing: Option<bool>,
}

/// What the storage drivers of a node say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiNode {
    /// The node.
    pub name: Name,
    /// The drivers that run on it, and how many volumes of each can be attached, where that
    /// is limited.
    pub drivers: Vec<(Name, Option<i64>)>,
}

/// A storage driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiDriver {
    /// Its name; storage classes name it as their provisioner.
    pub name: Name,
    /// Whether the scheduler asks for free storage before it chooses a node.
    pub tracks_capacity: bool,
    /// Whether pods with its volumes are kept from nodes that it does not run on.
    pub must_run: bool,
}

impl CsiNode {
    /// What `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedCsiNode, interner: &mut Interner) -> Self {
        let drivers = watched.spec.drivers.into_iter();
        Self {
            name: interner.name(watched.metadata.name.as_deref().unwrap_or_default()),
            drivers: drivers
                .map(|driver| {
                    let count = driver.allocatable.and_then(|allocatable| allocatable.count);
                    (interner.name(&driver.name), count.map(i64::from))
                })
                .collect(),
        }
    }

    /// How many volumes of a driver the node can have; none is any number.
    #[must_use]
    pub fn limit(&self, driver: &str) -> Option<i64> {
        self.drivers.iter().find(|(known, _)| **known == *driver)?.1
    }

    /// Whether a driver runs on the node.
    #[must_use]
    pub fn runs(&self, driver: &str) -> bool {
        self.drivers.iter().any(|(known, _)| **known == *driver)
    }
}

impl CsiDriver {
    /// What `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedCsiDriver) -> Self {
        Self {
            name: Name::from(watched.metadata.name.unwrap_or_default()),
            tracks_capacity: watched.spec.storage_capacity == Some(true),
            must_run: watched.spec.prevent_pod_scheduling_if_missing == Some(true),
        }
    }
}
