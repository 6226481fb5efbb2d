//! Nodes, as far as zones and the scheduler care.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerImage, Taint as ApiTaint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

use crate::api::{DRILL, ZONE_LABEL};

use super::drill_mark::DrillMark;
use super::image::HeldImage;
use super::interner::Interner;
use super::metadata::Conditions;
use super::quantity::QuantityError;
use super::resources::{ResourceList, Resources, pods_of};
use super::taint::{DISRUPTED, Taint, TaintEffect, is_removal};
use crate::observe::value::name::{Labels, Name};
use crate::observe::value::zone::Zone;

/// The watched part of a Node.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Node)]
pub struct WatchedNode {
    /// Name, labels and deletion.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedNodeSpec,
    #[serde(default)]
    status: WatchedNodeStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedNodeSpec {
    unschedulable: Option<bool>,
    taints: Option<Vec<ApiTaint>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedNodeStatus {
    conditions: Conditions,
    allocatable: Option<ResourceList>,
    node_info: Option<WatchedNodeInfo>,
    images: Option<Vec<ContainerImage>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedNodeInfo {
    kubelet_version: String,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: Name,
    /// Its zone; an empty label is none.
    pub zone: Option<Zone>,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// Whether its kubelet says Ready.
    pub ready: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// When each of them was added, where that is said: the node controller says it, and
    /// `kubectl taint` does not.
    pub tainted_at: Box<[Option<Timestamp>]>,
    /// What pods may use of it.
    pub allocatable: Resources,
    /// How many pods it may run.
    pub allocatable_pods: i64,
    /// Images it holds.
    pub images: Box<[Arc<HeldImage>]>,
    /// The version of its kubelet: `v1.37.1`.
    pub kubelet: Option<Name>,
    /// When it was made.
    pub created: Timestamp,
    /// The drill that closes it, by its mark.
    pub drill: Option<Box<DrillMark>>,
    /// The first field that could not be read.
    pub unreadable: Option<String>,
}

impl Node {
    /// The node that `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedNode, interner: &mut Interner) -> Self {
        let WatchedNode { metadata, spec, status } = watched;
        let labels = metadata.labels.unwrap_or_default();
        let mark = metadata.annotations.as_ref().and_then(|annotations| annotations.get(DRILL));
        let list = status.allocatable.unwrap_or_default();
        let mut unreadable = None;
        let mut keep_error = |error: QuantityError| {
            unreadable = Some(format!("status.allocatable: {error}"));
        };
        let allocatable = Resources::parse(&list).unwrap_or_else(|error| {
            keep_error(error);
            Resources::default()
        });
        let allocatable_pods = pods_of(&list).unwrap_or_else(|error| {
            keep_error(error);
            0
        });
        let (taints, tainted_at): (Vec<_>, Vec<_>) = spec
            .taints
            .unwrap_or_default()
            .into_iter()
            .filter_map(|taint| {
                let known = Taint {
                    key: interner.name(&taint.key),
                    value: interner.name(taint.value.as_deref().unwrap_or_default()),
                    effect: TaintEffect::parse(&taint.effect)?,
                };
                Some((known, taint.time_added.map(|time| time.0)))
            })
            .unzip();
        Self {
            name: interner.name(metadata.name.as_deref().unwrap_or_default()),
            zone: labels
                .get(ZONE_LABEL)
                .filter(|zone| !zone.is_empty())
                .map(|zone| Zone::from_name(interner.name(zone))),
            labels: interner.labels(labels),
            unschedulable: spec.unschedulable.unwrap_or_default(),
            ready: status.conditions.ready_since.is_some(),
            deleting: metadata.deletion_timestamp.is_some(),
            taints,
            tainted_at: tainted_at.into(),
            allocatable,
            allocatable_pods,
            images: images(status.images.unwrap_or_default(), interner),
            kubelet: status
                .node_info
                .filter(|info| !info.kubelet_version.is_empty())
                .map(|info| interner.name(&info.kubelet_version)),
            drill: mark.map(|mark| Box::new(DrillMark::parse(mark))),
            created: metadata.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            unreadable,
        }
    }
}

/// Virtual nodes: a pod of a cloud's container service each, or a cluster behind one.
const VIRTUAL: [(&str, &str); 3] = [
    ("type", "virtual-kubelet"),
    ("eks.amazonaws.com/compute-type", "fargate"),
    ("liqo.io/type", "virtual-node"),
];
/// On each node of Karpenter: the name of its NodePool.
pub(in crate::observe) const KARPENTER_POOL: &str = "karpenter.sh/nodepool";
const VIRTUAL_TAINT: &str = "virtual-kubelet.io/provider";
/// Nodes with these taints run the control plane.
const CONTROL_PLANE_TAINTS: [&str; 2] =
    ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

impl Node {
    /// Whether no machine is behind it: such nodes come and go with their pods, and say
    /// nothing of the health of a zone.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        VIRTUAL.iter().any(|(key, value)| self.labels.get(*key).is_some_and(|own| own == value))
            || self.taints.iter().any(|taint| &*taint.key == VIRTUAL_TAINT)
    }

    /// The taint by which an autoscaler says that it removes this node, while the node works:
    /// its pods are drained, and none is lost. Where somebody deletes a node of Karpenter or
    /// its claim, or the claim expires, the node is being deleted for a moment before Karpenter
    /// adds the taint; its finalizer keeps the node until it is drained.
    #[must_use]
    pub fn removal(&self) -> Option<Name> {
        if !self.ready {
            return None;
        }
        let said = self.taints.iter().find(|taint| taint.keeps_away() && is_removal(&taint.key));
        let is_drained_next = || self.deleting && self.labels.contains_key(KARPENTER_POOL);
        said.map(|taint| Name::clone(&taint.key))
            .or_else(|| is_drained_next().then(|| Name::from(DISRUPTED)))
    }

    /// Whether a drill has left its taint or its mark here.
    #[must_use]
    pub fn is_drilled(&self) -> bool {
        self.drill.is_some() || self.has_drill_taint()
    }

    /// Whether a drill's taint keeps new pods away.
    #[must_use]
    pub fn has_drill_taint(&self) -> bool {
        self.taints.iter().any(Taint::is_drill)
    }

    /// Whether it runs the control plane and keeps other pods away.
    #[must_use]
    pub fn runs_control_plane(&self) -> bool {
        self.taints.iter().any(|taint| CONTROL_PLANE_TAINTS.contains(&&*taint.key))
    }
}

fn images(listed: Vec<ContainerImage>, interner: &mut Interner) -> Box<[Arc<HeldImage>]> {
    let held = listed.into_iter().map(|image| {
        let names = image.names.unwrap_or_default();
        let names = names.iter().map(|name| interner.name(name)).collect();
        let size = image.size_bytes.unwrap_or_default();
        interner.image(HeldImage { names, size })
    });
    held.collect()
}
