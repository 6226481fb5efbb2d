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
}

/// What the storage drivers of a node say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiNode {
    /// The node.
    pub name: Name,
    /// How many volumes of a driver can be attached to it, where that is limited.
    pub limits: Vec<(Name, i64)>,
}

/// A storage driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiDriver {
    /// Its name; storage classes name it as their provisioner.
    pub name: Name,
    /// Whether the scheduler asks for free storage before it chooses a node.
    pub tracks_capacity: bool,
}

impl CsiNode {
    /// What `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedCsiNode, interner: &mut Interner) -> Self {
        let drivers = watched.spec.drivers.into_iter();
        Self {
            name: interner.name(watched.metadata.name.as_deref().unwrap_or_default()),
            limits: drivers
                .filter_map(|driver| {
                    let count = driver.allocatable?.count?;
                    Some((interner.name(&driver.name), i64::from(count)))
                })
                .collect(),
        }
    }

    /// How many volumes of a driver the node can have; none is any number.
    #[must_use]
    pub fn limit(&self, driver: &str) -> Option<i64> {
        self.limits.iter().find(|(known, _)| **known == *driver).map(|(_, count)| *count)
    }
}

impl CsiDriver {
    /// What `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedCsiDriver) -> Self {
        Self {
            name: Name::from(watched.metadata.name.unwrap_or_default()),
            tracks_capacity: watched.spec.storage_capacity == Some(true),
        }
    }
}
