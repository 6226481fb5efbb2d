//! What is: a synchronous index of the cluster, fed by events, without IO.
//!
//! Nothing here reads a clock, sleeps or imports a client; time comes in as a value.

mod assignment;
mod budget;
mod change;
mod cluster;
mod cohort;
mod csi;
#[cfg(test)]
pub(crate) mod fixtures;
mod freshness;
mod generation;
mod health;
mod index;
mod intern;
mod kinship;
mod metadata;
mod moment;
mod namespace;
mod node;
mod pause;
mod pod;
mod pod_spec;
mod policy;
mod quantity;
mod references;
mod resources;
mod roll;
mod second;
mod seniority;
mod service;
mod sighting;
mod template;
mod uid;
mod volume;
mod windows;
mod workload;
mod zone;

pub use budget::{Budget, WatchedBudget};
pub use change::{Change, Kind, KindVisitor, Watched};
pub use cluster::{Cluster, NodeEntry, NodeSlot, PodId, PodKey};
pub use cohort::Cohort;
pub use csi::{CsiDriver, CsiNode, WatchedCsiDriver, WatchedCsiNode};
pub use freshness::{Feed, Freshness, SILENT_AFTER, WATCH_LASTS};
pub use generation::Generation;
pub use health::{
    HealthRules, Seen, ZoneHealth, ZoneMemory, ZoneTracker, hold_down_of, is_impaired,
};
pub use index::{Changed, Index};
pub use intern::{Interner, Labels, Name};
pub use moment::Moment;
pub use namespace::WatchedNamespace;
pub use node::{HeldImage, Node, Taint, TaintEffect, WatchedNode};
pub use pause::{Pause, Pauses};
pub use pod::{KeepMark, Owner, Pod, PodPhase, WatchedPod, WatchedPodStatus};
pub use pod_spec::WatchedPodSpec;
pub use policy::{PolicyEntry, PolicyKey, Tier};
pub use quantity::{QuantityError, parse_milli, parse_whole};
pub use resources::{ResourceList, Resources};
pub use second::Second;
pub use service::{Service, WatchedService};
pub use sighting::Sighting;
pub use template::{
    HostPort, PodAffinityTerm, SpreadConstraint, Template, Toleration, VolumeSource,
    WeightedPodAffinityTerm,
};
pub use uid::Uid;
pub use volume::{
    Claim, PersistentVolume, StorageClass, WatchedClaim, WatchedPersistentVolume,
    WatchedStorageClass,
};
pub use windows::{Calendar, Opening, Windows};
pub use workload::{
    Revisions, WatchedDeployment, WatchedReplicaSet, WatchedStatefulSet, Workload, WorkloadKey,
    WorkloadKind,
};
pub use zone::{
    DEFAULT_ALLOWED_TAINTS, Zone, ZoneCondition, ZoneReason, unstable_nodes, unusable,
    zone_conditions,
};
