//! What is: a synchronous index of the cluster, fed by events, without IO.
//!
//! Nothing here reads a clock, sleeps or imports a client; time comes in as a value.

mod change;
#[cfg(test)]
pub(crate) mod fixtures;
mod freshness;
mod index;
mod object;
mod policy;
mod store;
mod value;
mod zones;

pub use crate::api::ZoneHealth;
pub use change::{Change, Kind, KindVisitor, Watched};
pub use freshness::{Freshness, SILENT_AFTER, WATCH_LASTS, WatchEvent};
pub use index::{Changed, Index};
pub use object::autoscaler::{Autoscaler, WatchedAutoscaler};
pub use object::budget::{Budget, WatchedBudget};
pub use object::csi::{CsiDriver, CsiNode, WatchedCsiDriver, WatchedCsiNode};
pub use object::drill_mark::DrillMark;
pub use object::image::HeldImage;
pub use object::interner::Interner;
pub use object::metadata::DELETION_COST;
pub use object::move_mark::{
    HASH_LABELS, MoveMark, hash_before, hash_label, released_hash, released_labels,
};
pub use object::namespace::WatchedNamespace;
pub use object::node::{Node, WatchedNode};
pub use object::owner::Owner;
pub use object::pod::{CostWriter, KeepMark, Pod, PodPhase, WatchedPod, WatchedPodStatus};
pub use object::pod_requests::{
    Container, ContainerRole, HeldRequests, MoreByContainer, PodRequests, Requests, TotalRequests,
};
pub use object::pod_spec::WatchedPodSpec;
pub use object::quantity::{QuantityError, parse_milli, parse_whole};
pub use object::resources::{ResourceList, Resources};
pub use object::service::{Service, WatchedService};
pub use object::steering::EMPTY_NODE;
pub use object::taint::{Taint, TaintEffect, Toleration};
pub use object::template::{
    CountedRequests, HostPort, PodAffinityTerm, SpecialField, SpreadConstraint, Template,
    VolumeSource, WeightedPodAffinityTerm,
};
pub use object::volume::{
    Claim, PersistentVolume, StorageClass, WatchedClaim, WatchedPersistentVolume,
    WatchedStorageClass,
};
pub use object::workload::{
    Revisions, WatchedDeployment, WatchedReplicaSet, WatchedStatefulSet, Workload, WorkloadKey,
    WorkloadKind,
};
pub use policy::entry::{PolicyEntry, PolicyKey, Tier};
pub use policy::pause::{Pause, Pauses};
pub use policy::windows::{Calendar, Opening, Windows};
pub use store::cluster::{Cluster, NodeEntry, NodeSlot, PodId, PodKey};
pub use store::pod_class::PodClass;
pub use store::pod_set::PodSet;
pub use value::clock::ClockReading;
pub use value::event_seq::EventSeq;
pub use value::generation::Generation;
pub use value::name::{Labels, Name};
pub use value::uid::Uid;
pub use value::unix_seconds::UnixSeconds;
pub use value::zone::Zone;
pub use zones::condition::{
    ConditionCount, NodeFault, ZoneCondition, ZoneReason, unstable_nodes, zone_conditions,
};
pub use zones::health::{
    Hold, MAX_HOLD, OUTAGE_MEMORY, ZoneEvent, ZoneMemory, ZoneTracker, hold_down_of, is_impaired,
    several_zones_out,
};
pub use zones::object::ZoneEntry;
pub use zones::observed_outages::ObservedOutages;
pub use zones::record::unknown_zone_status;
pub use zones::taints::{RecentTaints, TaintHistory};
