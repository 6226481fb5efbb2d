//! The controllers that re-create pods: how many they want, and whether they are rolling out.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::Resource;
use kube::core::Selector;
use serde::Deserialize;

use super::interner::Interner;
use super::owner::Owner;
use super::pod_spec::WatchedPodSpec;
use super::template::Template;
use crate::observe::policy::selector_index::{RequiredLabel, required_labels};
use crate::observe::value::name::{Labels, Name};

/// The watched part of a `ReplicaSet`.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::apps::v1::ReplicaSet)]
pub struct WatchedReplicaSet {
    /// Name, owner and generation.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedSpec,
}

/// The watched part of a `StatefulSet`.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::apps::v1::StatefulSet)]
pub struct WatchedStatefulSet {
    /// Name, owner and generation.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedSpec,
    #[serde(default)]
    status: WatchedStatus,
}

/// The watched part of a Deployment.
#[derive(Resource, Clone, Debug, Deserialize)]
#[resource(inherit = k8s_openapi::api::apps::v1::Deployment)]
pub struct WatchedDeployment {
    /// Name, owner and generation.
    #[serde(deserialize_with = "super::metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: WatchedSpec,
    #[serde(default)]
    status: WatchedStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedSpec {
    replicas: Option<i32>,
    min_ready_seconds: Option<i32>,
    selector: Option<LabelSelector>,
    template: WatchedTemplate,
    update_strategy: Option<WatchedUpdateStrategy>,
    ordinals: Option<WatchedOrdinals>,
    pod_management_policy: Option<String>,
}

impl WatchedSpec {
    fn first_ordinal(&self) -> i32 {
        self.ordinals.as_ref().map_or(0, |ordinals| ordinals.start)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedOrdinals {
    start: i32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedTemplate {
    metadata: Option<ObjectMeta>,
    spec: Option<WatchedPodSpec>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedUpdateStrategy {
    r#type: Option<String>,
    rolling_update: Option<WatchedPartition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedPartition {
    partition: Option<i32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedStatus {
    observed_generation: Option<i64>,
    replicas: Option<i32>,
    current_replicas: Option<i32>,
    updated_replicas: Option<i32>,
    current_revision: Option<String>,
    update_revision: Option<String>,
}

/// The kinds of workloads that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// apps/v1 Deployment: owns `ReplicaSets`, not pods.
    Deployment,
    /// apps/v1 `ReplicaSet`
    ReplicaSet,
    /// apps/v1 `StatefulSet`
    StatefulSet,
}

impl WorkloadKind {
    /// The kind's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Deployment, Self::ReplicaSet, Self::StatefulSet]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// Which workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadKey {
    /// Its namespace.
    pub namespace: Name,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: Name,
}

/// The revisions of a `StatefulSet`'s template, and which of them its next pods get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revisions {
    /// The one that it is coming from.
    pub current: Name,
    /// The one of its spec as it is now.
    pub update: Name,
    /// Pods with an ordinal below this get the current one.
    pub current_below: i32,
}

impl Revisions {
    /// The revision that the pod with this name is made from, if it is of the set.
    #[must_use]
    pub fn of(&self, pod: &str) -> Option<&Name> {
        let ordinal = ordinal_of(pod)?;
        Some(if ordinal < self.current_below { &self.current } else { &self.update })
    }

    /// Follows `newVersionedStatefulSetPod` in
    /// `pkg/controller/statefulset/stateful_set_utils.go` (1.37).
    fn new(spec: &WatchedSpec, status: &WatchedStatus) -> Option<Self> {
        let strategy = spec.update_strategy.as_ref();
        let on_delete =
            strategy.is_some_and(|strategy| strategy.r#type.as_deref() == Some("OnDelete"));
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let current = match rolling {
            Some(rolling) => rolling.partition.unwrap_or_default(),
            None if on_delete => 0,
            None => status.current_replicas.unwrap_or_default(),
        };
        Some(Self {
            current: Name::from(status.current_revision.as_deref()?),
            update: Name::from(status.update_revision.as_deref()?),
            current_below: spec.first_ordinal().saturating_add(current),
        })
    }
}

/// The ordinal in the name of a `StatefulSet`'s pod.
fn ordinal_of(pod: &str) -> Option<i32> {
    pod.rsplit_once('-')?.1.parse().ok()
}

/// A workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Which one.
    pub key: WorkloadKey,
    /// Its uid.
    pub uid: Name,
    /// Its own controller: a `ReplicaSet`'s Deployment or Rollout.
    pub owner: Option<Owner>,
    /// How many pods it wants.
    pub replicas: i32,
    /// How long a pod must be Ready to be Available, in seconds.
    pub min_ready_seconds: i64,
    /// Whether pods of two revisions exist or are about to.
    pub rolling_out: bool,
    /// The pods it takes for its own; none when it cannot be read.
    pub selector: Option<Selector>,
    /// What these are found by.
    pub(in crate::observe) required_label: Option<RequiredLabel>,
    /// The labels of the pods it makes.
    pub pod_labels: Arc<Labels>,
    /// The spec of the pods it makes.
    pub template: Arc<Template>,
    /// Of a `StatefulSet`: the ordinal of its first pod.
    pub first_ordinal: i32,
    /// Of a `StatefulSet`: which revision its pods get.
    pub revisions: Option<Revisions>,
    /// Whether it makes a pod only once those before it are Ready: a `StatefulSet` whose
    /// `podManagementPolicy` is not Parallel.
    pub one_after_the_other: bool,
}

impl Workload {
    /// Of a `StatefulSet`: whether it wants a pod of this name.
    #[must_use]
    pub fn wants_ordinal_of(&self, pod: &str) -> bool {
        let ordinal = ordinal_of(pod).and_then(|ordinal| ordinal.checked_sub(self.first_ordinal));
        ordinal.is_some_and(|place| (0..self.replicas).contains(&place))
    }

    /// The `ReplicaSet` that `watched` shows.
    #[must_use]
    pub fn replica_set(watched: WatchedReplicaSet, interner: &mut Interner) -> Self {
        let kind = WorkloadKind::ReplicaSet;
        // A ReplicaSet has one revision; two of one owner are told apart by the index.
        Self::new(kind, watched.metadata, watched.spec, |_| false, interner)
    }

    /// The `StatefulSet` that `watched` shows.
    #[must_use]
    pub fn stateful_set(watched: WatchedStatefulSet, interner: &mut Interner) -> Self {
        let status = watched.status;
        let generation = watched.metadata.generation;
        let rolling = |spec: &WatchedSpec| {
            let strategy = spec.update_strategy.as_ref();
            let partition = strategy
                .and_then(|strategy| strategy.rolling_update.as_ref())
                .and_then(|rolling| rolling.partition)
                .unwrap_or_default();
            let on_delete =
                strategy.is_some_and(|strategy| strategy.r#type.as_deref() == Some("OnDelete"));
            let wanted = if on_delete { 0 } else { partition };
            let to_update = (spec.replicas.unwrap_or(1) - wanted).max(0);
            status.observed_generation < generation
                || (status.current_revision != status.update_revision
                    && status.updated_replicas.unwrap_or_default() < to_update)
        };
        let kind = WorkloadKind::StatefulSet;
        let revisions = Revisions::new(&watched.spec, &status);
        let one_after_the_other = watched.spec.pod_management_policy.as_deref() != Some("Parallel");
        let set = Self::new(kind, watched.metadata, watched.spec, rolling, interner);
        Self { revisions, one_after_the_other, ..set }
    }

    /// The Deployment that `watched` shows.
    #[must_use]
    pub fn deployment(watched: WatchedDeployment, interner: &mut Interner) -> Self {
        let status = watched.status;
        let generation = watched.metadata.generation;
        // Pods of an older revision are there; pods that are merely missing are
        // not a rollout.
        let rolling = |_: &WatchedSpec| {
            let updated = status.updated_replicas.unwrap_or_default();
            status.observed_generation < generation || status.replicas.unwrap_or_default() > updated
        };
        let kind = WorkloadKind::Deployment;
        Self::new(kind, watched.metadata, watched.spec, rolling, interner)
    }

    fn new(
        kind: WorkloadKind,
        metadata: ObjectMeta,
        spec: WatchedSpec,
        rolling: impl Fn(&WatchedSpec) -> bool,
        interner: &mut Interner,
    ) -> Self {
        let (rolling_out, first_ordinal) = (rolling(&spec), spec.first_ordinal());
        let labels =
            spec.template.metadata.and_then(|metadata| metadata.labels).unwrap_or_default();
        Self {
            key: WorkloadKey {
                namespace: interner.name(metadata.namespace.as_deref().unwrap_or_default()),
                kind,
                name: interner.name(metadata.name.as_deref().unwrap_or_default()),
            },
            uid: interner.name(metadata.uid.as_deref().unwrap_or_default()),
            owner: Owner::among(metadata.owner_references.as_deref(), |name| interner.name(name)),
            replicas: spec.replicas.unwrap_or(1),
            min_ready_seconds: i64::from(spec.min_ready_seconds.unwrap_or_default()),
            rolling_out,
            required_label: spec
                .selector
                .as_ref()
                .and_then(|selector| required_labels(selector).next()),
            selector: spec.selector.and_then(|selector| Selector::try_from(selector).ok()),
            pod_labels: interner.labels(labels),
            template: interner.template(Template::new(spec.template.spec.unwrap_or_default())),
            first_ordinal,
            revisions: None,
            one_after_the_other: false,
        }
    }
}
