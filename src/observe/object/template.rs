//! What the scheduler looks at in a pod's spec; shared by the pods of a workload.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    NodeAffinity, PodAffinityTerm as ApiPodAffinityTerm, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;

use super::pod_requests::{HeldRequests, MoreByContainer, PodRequests};
use super::resources::Resources;
use super::taint::Toleration;
use crate::api::ZONE_LABEL;
use crate::observe::value::name::{Labels, Name};

/// What decides where a pod may run, and how well it fits.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of the spec by itself")]
pub struct Template {
    /// What the pod asks for in all.
    pub requests: Resources,
    /// What it asks for in scores: containers without a request count as
    /// 100m and 200Mi (`pkg/scheduler/util/pod_resources.go`). Thousandths of
    /// a core, bytes.
    pub scored_cpu_milli: i64,
    /// See `scored_cpu_milli`.
    pub scored_memory: i64,
    /// What it asks for when it is the one to be placed and `NodeResourcesFit`
    /// scores nodes for it: requests of the pod as a whole do not count (the
    /// scorer of `fit.go`, 1.37, leaves `enablePodLevelResources` unset).
    pub own_scored_cpu_milli: i64,
    /// See `own_scored_cpu_milli`.
    pub own_scored_memory: i64,
    /// The same by container.
    pub asked: PodRequests,
    /// What it counts for on its node instead, while it is resized in place.
    pub held: Option<Box<HeldRequests>>,
    /// Whether no container asks for or limits anything.
    pub best_effort: bool,
    /// Labels that the node must carry.
    pub node_selector: Labels,
    /// Required and preferred node affinity.
    pub node_affinity: Option<NodeAffinity>,
    /// Pods it must be near.
    pub required_affinity: Vec<PodAffinityTerm>,
    /// Pods it wants to be near.
    pub preferred_affinity: Vec<WeightedPodAffinityTerm>,
    /// Pods it must not be near.
    pub required_anti_affinity: Vec<PodAffinityTerm>,
    /// Pods it wants to be far from.
    pub preferred_anti_affinity: Vec<WeightedPodAffinityTerm>,
    /// Taints it bears.
    pub tolerations: Vec<Toleration>,
    /// How it wants to be spread.
    pub spread: Vec<SpreadConstraint>,
    /// Ports of the node that it takes.
    pub host_ports: Vec<HostPort>,
    /// Images of all its containers and image volumes, normalised as nodes report them.
    pub images: Vec<Name>,
    /// How many containers it has, init containers included.
    pub containers: usize,
    /// Volumes that matter for where it can run.
    pub volumes: Vec<VolumeSource>,
    /// The storage class of each claim that is made for this pod
    /// ([`VolumeSource::Ephemeral`]); none is the cluster's default class.
    pub ephemeral_classes: Vec<Option<Name>>,
    /// The scheduler that places it.
    pub scheduler: Name,
    /// Its priority.
    pub priority: i32,
    /// Whether it never pushes other pods out (`preemptionPolicy: Never`).
    pub never_preempts: bool,
    /// Whether something holds its scheduling back.
    pub gated: bool,
    /// Whether it is gone as soon as it is evicted: its grace period is 0.
    pub vanishes: bool,
    /// Whether it claims devices (dynamic resource allocation).
    pub claims_devices: bool,
    /// A field of newer versions that decides where or when it is placed, and how.
    pub special: Option<SpecialField>,
    /// The first field that could not be read; such a pod is not predictable.
    pub unreadable: Option<String>,
}

/// Fields of pods that few have and that are known by name only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialField {
    /// `schedulingGroup` (1.36), `workloadRef` (1.35): pods are placed together or not at all.
    SchedulingGroup,
    /// `evictionResponders` (1.37): others are asked before the pod is evicted.
    EvictionResponders,
    /// `hostNetwork` with `hostUsers: false`: only nodes that declare
    /// `UserNamespacesHostNetworkSupport` (the plugin `NodeDeclaredFeatures`, 1.36).
    HostNetworkInUserNamespace,
    /// A rule of `restartPolicyRules` with `RestartAllContainers`: only nodes that declare it.
    RestartAllContainers,
    /// `bindMountOptions` of a volume mount: only nodes that declare it.
    BindMountOptions,
}

impl SpecialField {
    /// Why it cannot be known where the pod lands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SchedulingGroup => "schedulingGroup: pods of a group are placed together",
            Self::EvictionResponders => {
                "evictionResponders: others have a say when the pod is evicted"
            }
            Self::HostNetworkInUserNamespace => {
                "hostNetwork with hostUsers false: only nodes that declare the feature take it (NodeDeclaredFeatures)"
            }
            Self::RestartAllContainers => {
                "restartPolicyRules with RestartAllContainers: only nodes that declare the feature take it (NodeDeclaredFeatures)"
            }
            Self::BindMountOptions => {
                "bindMountOptions: only nodes that declare the feature take it (NodeDeclaredFeatures)"
            }
        }
    }
}

/// What a pod counts for on its node.
#[derive(Clone, Copy, Debug)]
pub struct CountedRequests<'t> {
    /// What takes room.
    pub requests: &'t Resources,
    /// See [`Template::scored_cpu_milli`].
    pub scored_cpu_milli: i64,
    /// See [`Template::scored_memory`].
    pub scored_memory: i64,
}

/// A topology spread constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadConstraint {
    /// The node label whose values are the domains.
    pub topology_key: Name,
    /// How far the domains may differ.
    pub max_skew: i32,
    /// Whether the scheduler refuses (`DoNotSchedule`) or only prefers.
    pub hard: bool,
    /// Which pods count; none is no pod.
    pub selector: Option<Selector>,
    /// Fewer domains than this count as an empty one.
    pub min_domains: Option<i32>,
    /// Whether only nodes count that the pod's affinity allows. Default true.
    pub honor_affinity: bool,
    /// Whether only nodes count whose taints the pod bears. Default false.
    pub honor_taints: bool,
    /// Labels of the pod itself that narrow the selector.
    pub match_label_keys: Vec<String>,
}

impl SpreadConstraint {
    /// Whether its domains are the zones.
    #[must_use]
    pub fn is_of_zones(&self) -> bool {
        &*self.topology_key == ZONE_LABEL
    }

    /// One that the scheduler only prefers to keep (`ScheduleAnyway`), for no pods yet.
    #[must_use]
    pub fn soft(topology_key: &str, max_skew: i32) -> Self {
        Self {
            topology_key: Name::from(topology_key),
            max_skew,
            hard: false,
            selector: None,
            min_domains: None,
            honor_affinity: true,
            honor_taints: false,
            match_label_keys: Vec::new(),
        }
    }
}

/// A term of pod affinity or anti-affinity.
#[derive(Clone, Debug, PartialEq)]
pub struct PodAffinityTerm {
    /// The node label whose values are the places.
    pub topology_key: Name,
    /// Which pods; none is no pod.
    pub selector: Option<Selector>,
    /// In which namespaces, besides those of the selector. Both empty: the pod's own.
    pub namespaces: BTreeSet<String>,
    /// In namespaces with these labels. An empty selector is every namespace.
    pub namespace_selector: Option<Selector>,
    /// Labels of the pod itself that narrow the selector.
    pub match_label_keys: Vec<String>,
    /// Labels of the pod itself that narrow the selector, negated.
    pub mismatch_label_keys: Vec<String>,
}

impl PodAffinityTerm {
    /// Whether its places are the zones.
    #[must_use]
    pub fn is_of_zones(&self) -> bool {
        &*self.topology_key == ZONE_LABEL
    }
}

/// A preferred term and its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedPodAffinityTerm {
    /// 1 to 100.
    pub weight: i32,
    /// The term.
    pub term: PodAffinityTerm,
}

/// A port of the node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The address; `0.0.0.0` is all.
    pub ip: Name,
    /// TCP, UDP or SCTP.
    pub protocol: Name,
    /// The number.
    pub port: i32,
}

/// A volume that matters for where a pod can run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VolumeSource {
    /// A scratch directory that is lost with the pod.
    EmptyDir,
    /// A directory of the node.
    HostPath,
    /// A claim, by name.
    Claim(Name),
    /// A claim made for this pod, named `<pod>-<volume>`.
    Ephemeral(Name),
}

impl Template {
    /// Its terms of anti-affinity, the required ones first.
    pub fn anti_affinity(&self) -> impl Iterator<Item = &PodAffinityTerm> {
        let preferred = self.preferred_anti_affinity.iter().map(|weighted| &weighted.term);
        self.required_anti_affinity.iter().chain(preferred)
    }

    /// What a pod with this template counts for on the node that it is on.
    #[must_use]
    pub fn counted(&self) -> CountedRequests<'_> {
        match self.held.as_deref() {
            Some(HeldRequests { total, .. }) => CountedRequests {
                requests: &total.requests,
                scored_cpu_milli: total.scored_cpu_milli,
                scored_memory: total.scored_memory,
            },
            None => CountedRequests {
                requests: &self.requests,
                scored_cpu_milli: self.scored_cpu_milli,
                scored_memory: self.scored_memory,
            },
        }
    }

    /// What it counts for besides where sizes are compared container by container.
    #[must_use]
    pub fn more_by_container(&self) -> Option<&MoreByContainer> {
        self.held.as_deref()?.by_container.as_ref()
    }

    /// The only node that its node affinity allows, by name: so the `DaemonSet` controller
    /// writes the node of a pod.
    #[must_use]
    pub fn only_node(&self) -> Option<&str> {
        let required = self.node_affinity.as_ref()?;
        let required = required.required_during_scheduling_ignored_during_execution.as_ref()?;
        let mut only = None;
        for term in &required.node_selector_terms {
            let fields = term.match_fields.as_deref().unwrap_or_default();
            let node = fields.iter().find_map(|field| {
                let values = field.values.as_deref().unwrap_or_default();
                let is_name = field.key == "metadata.name" && field.operator == "In";
                values.first().filter(|_| is_name && values.len() == 1)
            })?;
            if only.is_some_and(|known| known != node) {
                return None;
            }
            only = Some(node);
        }
        only.map(String::as_str)
    }

    /// Whether pods made from it care which pods are near them.
    #[must_use]
    pub fn has_pod_terms(&self) -> bool {
        !(self.required_affinity.is_empty()
            && self.preferred_affinity.is_empty()
            && self.required_anti_affinity.is_empty()
            && self.preferred_anti_affinity.is_empty())
    }
}

fn compiled(selector: Option<LabelSelector>) -> Result<Option<Selector>, String> {
    selector
        .map(|selector| {
            Selector::try_from(selector).map_err(|error| format!("labelSelector: {error}"))
        })
        .transpose()
}

impl TryFrom<TopologySpreadConstraint> for SpreadConstraint {
    type Error = String;

    fn try_from(constraint: TopologySpreadConstraint) -> Result<Self, String> {
        Ok(Self {
            topology_key: Name::from(constraint.topology_key),
            max_skew: constraint.max_skew,
            hard: constraint.when_unsatisfiable == "DoNotSchedule",
            selector: compiled(constraint.label_selector)?,
            min_domains: constraint.min_domains,
            honor_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
            honor_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
            match_label_keys: constraint.match_label_keys.unwrap_or_default(),
        })
    }
}

impl TryFrom<ApiPodAffinityTerm> for PodAffinityTerm {
    type Error = String;

    fn try_from(term: ApiPodAffinityTerm) -> Result<Self, String> {
        Ok(Self {
            topology_key: Name::from(term.topology_key),
            selector: compiled(term.label_selector)?,
            namespaces: term.namespaces.unwrap_or_default().into_iter().collect(),
            namespace_selector: compiled(term.namespace_selector)?,
            match_label_keys: term.match_label_keys.unwrap_or_default(),
            mismatch_label_keys: term.mismatch_label_keys.unwrap_or_default(),
        })
    }
}
