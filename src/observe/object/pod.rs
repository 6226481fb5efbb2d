//! Pods, as far as spreading and the scheduler care.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

use crate::api::{DO_NOT_EVICT, MOVE, OWN_DELETION_COST};

use super::interner::Interner;
use super::metadata::{
    Conditions, DELETION_COST, DO_NOT_DISRUPT, MIRROR, ResizePending, SAFE_TO_EVICT,
};
use super::move_mark::{MoveMark, hash_before};
use super::owner::Owner;
use super::pod_requests::{ContainerStatus, ResizeStatus};
use super::pod_spec::WatchedPodSpec;
use super::resources::ResourceList;
use super::template::Template;
use crate::observe::value::event_seq::EventSeq;
use crate::observe::value::name::{Labels, Name};
use crate::observe::value::uid::Uid;
use crate::observe::value::unix_seconds::UnixSeconds;

/// The watched part of a Pod.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::core::v1::Pod)]
pub struct WatchedPod {
    /// Name, labels, owner, annotations and deletion.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    /// What decides where it may run.
    #[serde(default)]
    pub spec: WatchedPodSpec,
    /// How far it is.
    #[serde(default)]
    pub status: WatchedPodStatus,
}

/// The watched part of a pod's status.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WatchedPodStatus {
    /// Pending, Running, Succeeded or Failed.
    pub phase: Option<String>,
    conditions: Conditions,
    container_statuses: Option<Vec<WatchedContainerStatus>>,
    init_container_statuses: Option<Vec<WatchedContainerStatus>>,
    allocated_resources: Option<ResourceList>,
    resources: Option<WatchedResources>,
    /// The node on which room is being made for it.
    pub nominated_node_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedContainerStatus {
    name: String,
    allocated_resources: Option<ResourceList>,
    resources: Option<WatchedResources>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedResources {
    requests: Option<ResourceList>,
}

impl WatchedPodStatus {
    /// The template of a pod with this spec and status.
    fn template(&mut self, spec: WatchedPodSpec) -> Template {
        let mut template = Template::new(spec);
        let statuses = self.container_statuses.take().into_iter();
        let containers: Vec<ContainerStatus> = statuses
            .chain(self.init_container_statuses.take())
            .flatten()
            .map(|status| ContainerStatus {
                name: status.name,
                allocated: status.allocated_resources,
                actual: status.resources.and_then(|resources| resources.requests),
            })
            .collect();
        let actual = self.resources.take().and_then(|resources| resources.requests);
        template.set_resize(&ResizeStatus {
            infeasible: self.conditions.resize_pending == Some(ResizePending::Infeasible),
            containers: &containers,
            allocated: self.allocated_resources.as_ref(),
            actual: actual.as_ref(),
        });
        template
    }
}

/// A pod.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of the pod by itself")]
pub struct Pod {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// Its uid.
    pub uid: Uid,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// What decides where it may run.
    pub template: Arc<Template>,
    /// The node it is assigned to.
    pub node: Option<Name>,
    /// The controller that would re-create it.
    pub owner: Option<Arc<Owner>>,
    /// Where it is in its life.
    pub phase: PodPhase,
    /// Since when it is Ready; none if it is not.
    pub ready_since: Option<UnixSeconds>,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// When it was first seen.
    pub seen: EventSeq,
    /// When it was first seen terminating, or released by its `ReplicaSet`.
    pub seen_leaving: Option<EventSeq>,
    /// When it was made.
    pub created: UnixSeconds,
    /// `controller.kubernetes.io/pod-deletion-cost`.
    pub deletion_cost: i32,
    /// Who wrote that.
    pub cost_writer: CostWriter,
    /// A mark that asks not to evict it.
    pub keep: Option<KeepMark>,
    /// The surge that it is part of.
    pub mark: Option<Box<MoveMark>>,
    /// Whether a kubelet runs it from a file (a mirror pod).
    pub mirror: bool,
    /// Whether its spec was changed after it was made: resized in place, say. API servers
    /// older than 1.33 do not tell.
    pub changed: bool,
    /// Whether it was made while a drill closed a zone, and must not run there.
    pub kept_out: bool,
}

/// Where a pod is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PodPhase {
    /// Not all containers have been started.
    Pending,
    /// On its node, started.
    Running,
    /// Succeeded or Failed: it holds no place.
    Finished,
}

/// Who wrote the deletion cost of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CostWriter {
    /// It has none.
    Nobody,
    /// The operator, to guide scale-downs: its mark names the same cost.
    Operator,
    /// Somebody else; or a surge that is undone. Also one that somebody took away.
    Other,
}

impl CostWriter {
    fn of(cost: Option<&String>, own: Option<&String>) -> Self {
        match (cost, own) {
            (None, None) => Self::Nobody,
            (cost, own) if cost == own => Self::Operator,
            _ => Self::Other,
        }
    }
}

/// A mark that asks not to evict a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeepMark {
    /// `zonespread.io/do-not-evict: "true"`
    DoNotEvict,
    /// `karpenter.sh/do-not-disrupt: "true"`
    DoNotDisrupt,
    /// `cluster-autoscaler.kubernetes.io/safe-to-evict: "false"`
    NotSafeToEvict,
}

impl KeepMark {
    /// The annotation as a user would write it.
    #[must_use]
    pub fn annotation(self) -> String {
        match self {
            Self::DoNotEvict => format!("{DO_NOT_EVICT}: \"true\""),
            Self::DoNotDisrupt => format!("{DO_NOT_DISRUPT}: \"true\""),
            Self::NotSafeToEvict => format!("{SAFE_TO_EVICT}: \"false\""),
        }
    }

    fn of(metadata: &ObjectMeta) -> Option<Self> {
        let annotations = metadata.annotations.as_ref()?;
        let is = |key: &str, value: &str| annotations.get(key).is_some_and(|known| known == value);
        if is(DO_NOT_EVICT, "true") {
            Some(Self::DoNotEvict)
        } else if is(DO_NOT_DISRUPT, "true") {
            Some(Self::DoNotDisrupt)
        } else if is(SAFE_TO_EVICT, "false") {
            Some(Self::NotSafeToEvict)
        } else {
            None
        }
    }
}

impl Pod {
    /// The pod that `watched` shows.
    #[must_use]
    pub fn new(watched: WatchedPod, interner: &mut Interner) -> Self {
        let WatchedPod { metadata, mut spec, mut status } = watched;
        let keep = KeepMark::of(&metadata);
        let annotation =
            |key: &str| metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
        let mark = annotation(MOVE).and_then(|text| MoveMark::parse(text)).map(Box::new);
        let mirror = annotation(MIRROR).is_some();
        let cost_writer = CostWriter::of(annotation(DELETION_COST), annotation(OWN_DELETION_COST));
        let deletion_cost =
            annotation(DELETION_COST).and_then(|cost| cost.parse().ok()).unwrap_or_default();
        let kept_out = spec.is_kept_out();
        let node = spec.node_name.take().filter(|node| !node.is_empty());
        Self {
            namespace: interner.name(metadata.namespace.as_deref().unwrap_or_default()),
            name: Name::from(metadata.name.unwrap_or_default()),
            uid: Uid::new(metadata.uid.as_deref().unwrap_or_default()),
            labels: interner.labels(metadata.labels.unwrap_or_default()),
            template: interner.template(status.template(spec)),
            node: node.map(|node| interner.name(&node)),
            owner: Owner::among(metadata.owner_references.as_deref(), |name| interner.name(name))
                .map(|owner| interner.owner(owner)),
            phase: match status.phase.as_deref() {
                Some("Running") => PodPhase::Running,
                Some("Succeeded" | "Failed") => PodPhase::Finished,
                _ => PodPhase::Pending,
            },
            ready_since: status.conditions.ready_since.map(UnixSeconds::of),
            terminating: metadata.deletion_timestamp.is_some(),
            seen: EventSeq::default(),
            seen_leaving: None,
            created: UnixSeconds::of(
                metadata.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            ),
            deletion_cost,
            cost_writer,
            keep,
            mark,
            mirror,
            kept_out,
            changed: metadata.generation.is_some_and(|generation| generation > 1),
        }
    }

    /// Whether the scheduler counts it for spreading: assigned, not
    /// terminating, not finished.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.node.is_some() && !self.terminating && self.phase != PodPhase::Finished
    }

    /// Whether its `ReplicaSet` was made to let it go: it runs and serves, counts for the
    /// scheduler, and another one is made in its place.
    #[must_use]
    pub fn is_released(&self) -> bool {
        hash_before(&self.labels).is_some()
    }

    /// Whether it is part of a surge: released, or marked.
    #[must_use]
    pub fn is_in_a_surge(&self) -> bool {
        self.mark.is_some() || self.is_released()
    }

    /// Whether it holds its place on its node: terminating pods do.
    #[must_use]
    pub fn holds_place(&self) -> bool {
        self.node.is_some() && self.phase != PodPhase::Finished
    }

    /// Whether it will never run again.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase == PodPhase::Finished
    }

    /// Whether it waits for a node.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.node.is_none() && !self.terminating && self.phase == PodPhase::Pending
    }

    /// The node on which it holds a place.
    #[must_use]
    pub fn place(&self) -> Option<&Name> {
        self.node.as_ref().filter(|_| self.holds_place())
    }

    /// Since when it has been Ready for `min_ready_seconds`, if it has been by `now`.
    #[must_use]
    pub fn is_available(&self, min_ready_seconds: i64, now: Timestamp) -> bool {
        !self.terminating && self.was_available(min_ready_seconds, now)
    }

    /// Whether it has been Ready for `min_ready_seconds`, also if it is being deleted since.
    #[must_use]
    pub fn was_available(&self, min_ready_seconds: i64, now: Timestamp) -> bool {
        self.phase == PodPhase::Running
            && self.ready_since.is_some_and(|since| {
                min_ready_seconds == 0
                    || now.duration_since(since.time()).as_secs() >= min_ready_seconds
            })
    }
}
