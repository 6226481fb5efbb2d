//! Claims, volumes and storage classes: what ties a pod to a zone.

use k8s_openapi::api::core::v1::{NodeSelector, TopologySelectorTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

use super::interner::Interner;
use super::metadata::DEFAULT_CLASS;
use crate::observe::value::name::{Labels, Name};

/// The watched part of a `PersistentVolumeClaim`.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::PersistentVolumeClaim)]
pub struct WatchedClaim {
    /// Name and namespace.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedClaimSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedClaimSpec {
    volume_name: Option<String>,
    storage_class_name: Option<String>,
    access_modes: Option<Vec<String>>,
}

/// The watched part of a `PersistentVolume`.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::PersistentVolume)]
pub struct WatchedPersistentVolume {
    /// Name and labels.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedVolumeSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedVolumeSpec {
    node_affinity: Option<WatchedVolumeAffinity>,
    local: Option<serde::de::IgnoredAny>,
    host_path: Option<serde::de::IgnoredAny>,
    csi: Option<WatchedCsiSource>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedCsiSource {
    driver: String,
    volume_handle: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedVolumeAffinity {
    required: Option<NodeSelector>,
}

/// The watched part of a `StorageClass`.
#[derive(Resource, Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[resource(inherit = k8s_openapi::api::storage::v1::StorageClass)]
pub struct WatchedStorageClass {
    /// Its name.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    provisioner: String,
    #[serde(default)]
    volume_binding_mode: Option<String>,
    #[serde(default)]
    allowed_topologies: Option<Vec<TopologySelectorTerm>>,
}

/// A claim for a volume.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// The volume it is bound to.
    pub volume: Option<Name>,
    /// Its storage class.
    pub class: Option<Name>,
    /// Whether one pod only may use it (`ReadWriteOncePod`).
    pub sole_use: bool,
    /// Whether pods on several nodes may use it (`ReadWriteMany`, `ReadOnlyMany`).
    pub shared: bool,
}

/// A volume.
#[derive(Clone, Debug, PartialEq)]
pub struct PersistentVolume {
    /// Its name.
    pub name: Name,
    /// Its labels; zone labels tie it to zones.
    pub labels: Labels,
    /// The nodes from which it can be reached.
    pub node_affinity: Option<NodeSelector>,
    /// Whether it is a disk or directory of one node.
    pub local: bool,
    /// Its storage driver, and the driver's name for it.
    pub csi: Option<(Name, Name)>,
}

/// How volumes of a class come about.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageClass {
    /// Its name.
    pub name: Name,
    /// Whether a claim is bound only once a pod wants it.
    pub waits_for_consumer: bool,
    /// Where its volumes may be; empty is anywhere.
    pub allowed_topologies: Vec<TopologySelectorTerm>,
    /// The driver that makes its volumes on demand; none: somebody made them before.
    pub provisioner: Option<Name>,
    /// Whether claims that name no class get this one.
    pub is_default: bool,
}

const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

impl Claim {
    /// The claim that `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedClaim, interner: &mut Interner) -> Self {
        let set = |name: Option<String>| name.filter(|name| !name.is_empty()).map(Name::from);
        Self {
            namespace: interner.name(watched.metadata.namespace.as_deref().unwrap_or_default()),
            name: Name::from(watched.metadata.name.unwrap_or_default()),
            volume: set(watched.spec.volume_name),
            class: set(watched.spec.storage_class_name),
            shared: watched.spec.access_modes.as_ref().is_some_and(|modes| {
                modes.iter().any(|mode| mode == "ReadWriteMany" || mode == "ReadOnlyMany")
            }),
            sole_use: watched
                .spec
                .access_modes
                .is_some_and(|modes| modes.iter().any(|mode| mode == "ReadWriteOncePod")),
        }
    }
}

impl PersistentVolume {
    /// The volume that `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedPersistentVolume) -> Self {
        let csi = watched.spec.csi;
        Self {
            csi: csi.map(|csi| (Name::from(csi.driver), Name::from(csi.volume_handle))),
            name: Name::from(watched.metadata.name.unwrap_or_default()),
            labels: watched.metadata.labels.unwrap_or_default(),
            node_affinity: watched.spec.node_affinity.and_then(|affinity| affinity.required),
            local: watched.spec.local.is_some() || watched.spec.host_path.is_some(),
        }
    }
}

impl StorageClass {
    /// The class that `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedStorageClass) -> Self {
        Self {
            name: Name::from(watched.metadata.name.as_deref().unwrap_or_default()),
            waits_for_consumer: watched.volume_binding_mode.as_deref()
                == Some("WaitForFirstConsumer"),
            allowed_topologies: watched.allowed_topologies.unwrap_or_default(),
            provisioner: Some(watched.provisioner)
                .filter(|name| !["", NO_PROVISIONER].contains(&name.as_str()))
                .map(Name::from),
            is_default: watched.metadata.annotations.is_some_and(|annotations| {
                annotations.get(DEFAULT_CLASS).is_some_and(|value| value == "true")
            }),
        }
    }
}
