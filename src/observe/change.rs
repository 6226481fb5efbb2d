//! What comes in: watch events, by kind. The table at the end of this file lists the
//! watched kinds, and nothing else does: a kind more is a line there, its type, what
//! [`super::Index`] does when one is applied or gone, and the right to watch it
//! (`deploy/base/rbac.yaml`).

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;

use crate::api::{ZoneObject, ZoneSpreadPolicy};

use super::value::name::Name;
use super::{
    WatchedAutoscaler, WatchedBudget, WatchedClaim, WatchedCsiDriver, WatchedCsiNode,
    WatchedDeployment, WatchedNamespace, WatchedNode, WatchedPersistentVolume, WatchedPod,
    WatchedReplicaSet, WatchedService, WatchedStatefulSet, WatchedStorageClass,
};

/// The type of a watched kind: the part of the objects that is looked at.
pub trait Watched:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static
{
    /// Its kind.
    const KIND: Kind;

    /// The object was applied.
    fn applied(self) -> Change;
}

/// Something that is done with the type of a kind, see [`Kind::visit`].
pub trait KindVisitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<K: Watched>(self) -> Self::Output;
}

macro_rules! watched_kinds {
    ($($(#[$doc:meta])* $kind:ident: $group:literal, $name:literal, $resource:literal, $short:literal, namespaced: $namespaced:literal, $watched:ty;)+) => {
        /// Something that is watched, applied or gone.
        #[derive(Clone, Debug)]
        #[allow(
            clippy::large_enum_variant,
            reason = "short-lived, one at a time, on its way into the index"
        )]
        pub enum Change {
            $($(#[$doc])* $kind($watched),)+
            /// An object that is gone: its kind, namespace (empty for none) and name.
            Gone(Kind, Name, Name),
        }

        /// The kinds that are watched.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)+
        }

        $(impl Watched for $watched {
            const KIND: Kind = Kind::$kind;

            fn applied(self) -> Change {
                Change::$kind(self)
            }
        })+

        impl Change {
            /// What was applied or is gone.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)+
                    Self::Gone(kind, ..) => *kind,
                }
            }

            /// Name, namespace and the rest of what every object has; none if it is gone.
            #[must_use]
            pub const fn metadata(&self) -> Option<&ObjectMeta> {
                match self {
                    $(Self::$kind(object) => Some(&object.metadata),)+
                    Self::Gone(..) => None,
                }
            }

            /// The same, to be changed.
            pub const fn metadata_mut(&mut self) -> Option<&mut ObjectMeta> {
                match self {
                    $(Self::$kind(object) => Some(&mut object.metadata),)+
                    Self::Gone(..) => None,
                }
            }
        }

        impl Kind {
            /// Every kind.
            pub const ALL: [Self; [$($resource),+].len()] = [$(Self::$kind),+];

            /// The kind's API group, empty for the core one.
            #[must_use]
            pub const fn group(self) -> &'static str {
                match self { $(Self::$kind => $group,)+ }
            }

            /// The kind's name in manifests.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// The resource's plural name, as in a URL; a metric label too.
            #[must_use]
            pub const fn resource(self) -> &'static str {
                match self { $(Self::$kind => $resource,)+ }
            }

            /// What people write after `kubectl get`.
            #[must_use]
            pub const fn short_name(self) -> &'static str {
                match self { $(Self::$kind => $short,)+ }
            }

            /// Whether the objects are in namespaces.
            #[must_use]
            pub const fn is_namespaced(self) -> bool {
                match self { $(Self::$kind => $namespaced,)+ }
            }

            /// Does something with the type of this kind.
            pub fn visit<V: KindVisitor>(self, visitor: V) -> V::Output {
                match self { $(Self::$kind => visitor.visit::<$watched>(),)+ }
            }
        }
    };
}

// Kind: group, name, resource, for kubectl, whether in namespaces, type.
watched_kinds! {
    /// A node.
    Node: "", "Node", "nodes", "nodes", namespaced: false, WatchedNode;
    /// A pod.
    Pod: "", "Pod", "pods", "pods", namespaced: true, WatchedPod;
    /// A Deployment.
    Deployment: "apps", "Deployment", "deployments", "deployments", namespaced: true, WatchedDeployment;
    /// A `ReplicaSet`.
    ReplicaSet: "apps", "ReplicaSet", "replicasets", "replicasets", namespaced: true, WatchedReplicaSet;
    /// A `StatefulSet`.
    StatefulSet: "apps", "StatefulSet", "statefulsets", "statefulsets", namespaced: true, WatchedStatefulSet;
    /// A `PodDisruptionBudget`.
    Budget: "policy", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", namespaced: true, WatchedBudget;
    /// A `HorizontalPodAutoscaler`.
    Autoscaler: "autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", namespaced: true, WatchedAutoscaler;
    /// A Service.
    Service: "", "Service", "services", "services", namespaced: true, WatchedService;
    /// A claim.
    Claim: "", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", namespaced: true, WatchedClaim;
    /// A volume.
    Volume: "", "PersistentVolume", "persistentvolumes", "pv", namespaced: false, WatchedPersistentVolume;
    /// A storage class.
    StorageClass: "storage.k8s.io", "StorageClass", "storageclasses", "sc", namespaced: false, WatchedStorageClass;
    /// What the storage drivers of a node say about it.
    CsiNode: "storage.k8s.io", "CSINode", "csinodes", "csinodes", namespaced: false, WatchedCsiNode;
    /// A storage driver.
    CsiDriver: "storage.k8s.io", "CSIDriver", "csidrivers", "csidrivers", namespaced: false, WatchedCsiDriver;
    /// A namespace.
    Namespace: "", "Namespace", "namespaces", "namespaces", namespaced: false, WatchedNamespace;
    /// A policy.
    Policy: "zonespread.io", "ZoneSpreadPolicy", "zonespreadpolicies", "zsp", namespaced: true, ZoneSpreadPolicy;
    /// What is known of a zone, and whether people hold it.
    Zone: "zonespread.io", "Zone", "zones", "zsz", namespaced: false, ZoneObject;
}

impl Kind {
    /// Whether it is watched only where somebody gave the right to surge: without it nothing
    /// that is done depends on it.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::Autoscaler)
    }

    /// The kind of objects with this group and name, whatever their version.
    #[must_use]
    pub fn of(api_version: &str, name: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Self::ALL.into_iter().find(|kind| kind.name() == name && kind.group() == group)
    }

    /// The command that prints all of a cluster that is looked at.
    #[must_use]
    pub fn dump_command() -> String {
        format!("kubectl get {} -A -o json", Self::ALL.map(Self::short_name).join(","))
    }
}

impl Change {
    /// Namespace (empty for none) and name of the object.
    #[must_use]
    pub fn key(&self) -> (Name, Name) {
        let text = |part: &Option<String>| Name::from(part.as_deref().unwrap_or_default());
        match self {
            Self::Gone(_, namespace, name) => (Name::clone(namespace), Name::clone(name)),
            other => other.metadata().map_or_else(
                || (Name::from(""), Name::from("")),
                |metadata| (text(&metadata.namespace), text(&metadata.name)),
            ),
        }
    }
}
