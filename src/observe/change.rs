//! What comes in: watch events, by kind.

use crate::api::ZoneSpreadPolicy;

use super::intern::Name;
use super::{
    WatchedBudget, WatchedClaim, WatchedCsiDriver, WatchedCsiNode, WatchedDeployment,
    WatchedNamespace, WatchedNode, WatchedPersistentVolume, WatchedPod, WatchedReplicaSet,
    WatchedService, WatchedStatefulSet, WatchedStorageClass,
};

/// Something that is watched, applied or gone.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "short-lived, one at a time, on its way into the index"
)]
pub enum Change {
    /// A node.
    Node(WatchedNode),
    /// A pod.
    Pod(WatchedPod),
    /// A Deployment.
    Deployment(WatchedDeployment),
    /// A `ReplicaSet`.
    ReplicaSet(WatchedReplicaSet),
    /// A `StatefulSet`.
    StatefulSet(WatchedStatefulSet),
    /// A `PodDisruptionBudget`.
    Budget(WatchedBudget),
    /// A Service.
    Service(WatchedService),
    /// A claim.
    Claim(WatchedClaim),
    /// A volume.
    Volume(WatchedPersistentVolume),
    /// A storage class.
    StorageClass(WatchedStorageClass),
    /// What the storage drivers of a node say of it.
    CsiNode(WatchedCsiNode),
    /// A storage driver.
    CsiDriver(WatchedCsiDriver),
    /// A namespace.
    Namespace(WatchedNamespace),
    /// A policy.
    Policy(Box<ZoneSpreadPolicy>),
    /// An object that is gone: its kind, namespace (empty for none) and name.
    Gone(Kind, Name, Name),
}

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// v1 Node
    Node,
    /// v1 Pod
    Pod,
    /// apps/v1 Deployment
    Deployment,
    /// apps/v1 `ReplicaSet`
    ReplicaSet,
    /// apps/v1 `StatefulSet`
    StatefulSet,
    /// policy/v1 `PodDisruptionBudget`
    Budget,
    /// v1 Service
    Service,
    /// v1 `PersistentVolumeClaim`
    Claim,
    /// v1 `PersistentVolume`
    Volume,
    /// storage.k8s.io/v1 `StorageClass`
    StorageClass,
    /// storage.k8s.io/v1 `CSINode`
    CsiNode,
    /// storage.k8s.io/v1 `CSIDriver`
    CsiDriver,
    /// v1 Namespace
    Namespace,
    /// zonespread.io/v1alpha1 `ZoneSpreadPolicy`
    Policy,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Node,
        Self::Pod,
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::Budget,
        Self::Service,
        Self::Claim,
        Self::Volume,
        Self::StorageClass,
        Self::CsiNode,
        Self::CsiDriver,
        Self::Namespace,
        Self::Policy,
    ];

    /// The resource's plural name, as in a URL; a metric label too.
    #[must_use]
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Node => "nodes",
            Self::Pod => "pods",
            Self::Deployment => "deployments",
            Self::ReplicaSet => "replicasets",
            Self::StatefulSet => "statefulsets",
            Self::Budget => "poddisruptionbudgets",
            Self::Service => "services",
            Self::Claim => "persistentvolumeclaims",
            Self::Volume => "persistentvolumes",
            Self::StorageClass => "storageclasses",
            Self::CsiNode => "csinodes",
            Self::CsiDriver => "csidrivers",
            Self::Namespace => "namespaces",
            Self::Policy => "zonespreadpolicies",
        }
    }
}
