//! What the scheduler looks at in a pod's spec; shared by the pods of a workload.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, PodAffinityTerm as ApiPodAffinityTerm, ResourceRequirements,
    Toleration as ApiToleration, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use serde::Deserialize;

use super::intern::{Labels, Name};
use super::node::TaintEffect;
use super::quantity::QuantityError;
use super::resources::{ResourceList, Resources};

/// The watched part of a pod's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WatchedPodSpec {
    /// The node the pod is assigned to.
    pub node_name: Option<String>,
    node_selector: Option<Labels>,
    affinity: Option<Affinity>,
    tolerations: Option<Vec<ApiToleration>>,
    topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    containers: Vec<WatchedContainer>,
    init_containers: Option<Vec<WatchedContainer>>,
    overhead: Option<ResourceList>,
    resources: Option<ResourceRequirements>,
    volumes: Option<Vec<WatchedVolume>>,
    scheduler_name: Option<String>,
    priority: Option<i32>,
    scheduling_gates: Option<Vec<serde::de::IgnoredAny>>,
    resource_claims: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedContainer {
    image: Option<String>,
    resources: Option<ResourceRequirements>,
    ports: Option<Vec<WatchedPort>>,
    restart_policy: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedPort {
    host_port: Option<i32>,
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
    protocol: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedVolume {
    name: String,
    empty_dir: Option<serde::de::IgnoredAny>,
    host_path: Option<serde::de::IgnoredAny>,
    persistent_volume_claim: Option<WatchedClaimSource>,
    ephemeral: Option<serde::de::IgnoredAny>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedClaimSource {
    claim_name: String,
}

/// What decides where a pod may run, and how well it fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// What the pod asks for in all.
    pub requests: Resources,
    /// What it asks for in scores: containers without a request count as
    /// 100m and 200Mi (`pkg/scheduler/util/pod_resources.go`). Thousandths of
    /// a core, bytes.
    pub scored_cpu_milli: i64,
    /// See `scored_cpu_milli`.
    pub scored_memory: i64,
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
    /// Images of all its containers, normalised as nodes report them.
    pub images: Vec<Name>,
    /// How many containers it has, init containers included.
    pub containers: usize,
    /// Volumes that matter for where it can run.
    pub volumes: Vec<VolumeSource>,
    /// The scheduler that places it.
    pub scheduler: Name,
    /// Its priority.
    pub priority: i32,
    /// Whether something holds its scheduling back.
    pub gated: bool,
    /// Whether it claims devices (dynamic resource allocation).
    pub claims_devices: bool,
    /// The first field that could not be read; such a pod is not predictable.
    pub unreadable: Option<String>,
}

/// A taint that a pod bears.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// The taint's key; none is every key.
    pub key: Option<Name>,
    /// The taint's value; none is every value (operator Exists).
    pub value: Option<Name>,
    /// The effect; none is every effect.
    pub effect: Option<TaintEffect>,
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
    /// What of `spec` decides where the pod may run.
    #[must_use]
    pub fn new(spec: WatchedPodSpec) -> Self {
        let mut template = Self {
            best_effort: true,
            node_selector: spec.node_selector.unwrap_or_default(),
            tolerations: spec
                .tolerations
                .unwrap_or_default()
                .into_iter()
                .map(Toleration::from)
                .collect(),
            scheduler: Name::from(spec.scheduler_name.as_deref().unwrap_or("default-scheduler")),
            priority: spec.priority.unwrap_or_default(),
            gated: spec.scheduling_gates.is_some_and(|gates| !gates.is_empty()),
            claims_devices: spec.resource_claims.is_some_and(|claims| !claims.is_empty()),
            ..Self::default()
        };
        for volume in spec.volumes.unwrap_or_default() {
            template.volumes.extend(volume.source());
        }
        let init = spec.init_containers.unwrap_or_default();
        if let Err(error) = template.add_requests(
            &spec.containers,
            &init,
            spec.resources.as_ref(),
            spec.overhead.as_ref(),
        ) {
            template.unreadable = Some(error.to_string());
        }
        template.containers = spec.containers.len() + init.len();
        for container in spec.containers.into_iter().chain(init) {
            template.images.extend(container.image.as_deref().map(normalised_image));
            template.host_ports.extend(
                container.ports.unwrap_or_default().iter().filter_map(WatchedPort::host_port),
            );
        }
        for constraint in spec.topology_spread_constraints.unwrap_or_default() {
            match SpreadConstraint::try_from(constraint) {
                Ok(constraint) => template.spread.push(constraint),
                Err(error) => template.unreadable = Some(error),
            }
        }
        if let Some(affinity) = spec.affinity
            && let Err(error) = template.add_affinity(affinity)
        {
            template.unreadable = Some(error);
        }
        template
    }

    /// Follows `k8s.io/component-helpers/resource/helpers.go` (1.37): the larger of what
    /// runs together and what each init container needs beside the sidecars before it.
    fn add_requests(
        &mut self,
        containers: &[WatchedContainer],
        init: &[WatchedContainer],
        pod_level: Option<&ResourceRequirements>,
        overhead: Option<&ResourceList>,
    ) -> Result<(), QuantityError> {
        let mut total = Asked::default();
        for container in containers {
            self.best_effort &= container.is_best_effort();
            total.add(&container.asked()?);
        }
        let mut sidecars = Asked::default();
        let mut init_peak = Asked::default();
        for container in init {
            self.best_effort &= container.is_best_effort();
            let asked = container.asked()?;
            let mut beside = sidecars.clone();
            beside.add(&asked);
            init_peak.raise_to(&beside);
            if container.restart_policy.as_deref() == Some("Always") {
                sidecars.add(&asked);
            }
        }
        total.add(&sidecars);
        total.raise_to(&init_peak);
        if let Some(pod_level) = pod_level {
            self.best_effort = false;
            total.override_with(pod_level)?;
        }
        if let Some(overhead) = overhead {
            let overhead = Resources::parse(overhead)?;
            total.scored_cpu_milli += overhead.cpu_milli;
            total.scored_memory += overhead.memory;
            total.requests.add(&overhead);
        }
        self.requests = total.requests;
        self.scored_cpu_milli = total.scored_cpu_milli;
        self.scored_memory = total.scored_memory;
        Ok(())
    }

    fn add_affinity(&mut self, affinity: Affinity) -> Result<(), String> {
        self.node_affinity = affinity.node_affinity;
        if let Some(near) = affinity.pod_affinity {
            for term in near.required_during_scheduling_ignored_during_execution.unwrap_or_default()
            {
                self.required_affinity.push(term.try_into()?);
            }
            for term in
                near.preferred_during_scheduling_ignored_during_execution.unwrap_or_default()
            {
                let weight = term.weight;
                let term = term.pod_affinity_term.try_into()?;
                self.preferred_affinity.push(WeightedPodAffinityTerm { weight, term });
            }
        }
        if let Some(far) = affinity.pod_anti_affinity {
            for term in far.required_during_scheduling_ignored_during_execution.unwrap_or_default()
            {
                self.required_anti_affinity.push(term.try_into()?);
            }
            for term in far.preferred_during_scheduling_ignored_during_execution.unwrap_or_default()
            {
                let weight = term.weight;
                let term = term.pod_affinity_term.try_into()?;
                self.preferred_anti_affinity.push(WeightedPodAffinityTerm { weight, term });
            }
        }
        Ok(())
    }
}

/// Requests, and the same with the defaults that scores use.
#[derive(Clone, Debug, Default)]
struct Asked {
    requests: Resources,
    scored_cpu_milli: i64,
    scored_memory: i64,
}

impl Asked {
    fn add(&mut self, other: &Self) {
        self.requests.add(&other.requests);
        self.scored_cpu_milli += other.scored_cpu_milli;
        self.scored_memory += other.scored_memory;
    }

    fn raise_to(&mut self, other: &Self) {
        self.requests.raise_to(&other.requests);
        self.scored_cpu_milli = self.scored_cpu_milli.max(other.scored_cpu_milli);
        self.scored_memory = self.scored_memory.max(other.scored_memory);
    }

    /// Requests of the pod as a whole replace the sum of its containers'.
    fn override_with(&mut self, pod_level: &ResourceRequirements) -> Result<(), QuantityError> {
        let Some(list) = &pod_level.requests else {
            return Ok(());
        };
        let whole = Resources::parse(list)?;
        if list.contains_key("cpu") {
            self.requests.cpu_milli = whole.cpu_milli;
            self.scored_cpu_milli = whole.cpu_milli;
        }
        if list.contains_key("memory") {
            self.requests.memory = whole.memory;
            self.scored_memory = whole.memory;
        }
        for (name, amount) in whole.extended {
            self.requests.extended.retain(|(known, _)| *known != name);
            self.requests
                .add(&Resources { extended: vec![(name, amount)], ..Resources::default() });
        }
        Ok(())
    }
}

const DEFAULT_SCORED_CPU_MILLI: i64 = 100;
const DEFAULT_SCORED_MEMORY: i64 = 200 * 1024 * 1024;

impl WatchedContainer {
    fn asked(&self) -> Result<Asked, QuantityError> {
        let requests = self.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let mut asked = Asked {
            scored_cpu_milli: DEFAULT_SCORED_CPU_MILLI,
            scored_memory: DEFAULT_SCORED_MEMORY,
            ..Asked::default()
        };
        if let Some(list) = requests {
            asked.requests = Resources::parse(list)?;
            if list.contains_key("cpu") {
                asked.scored_cpu_milli = asked.requests.cpu_milli;
            }
            if list.contains_key("memory") {
                asked.scored_memory = asked.requests.memory;
            }
        }
        Ok(asked)
    }

    fn is_best_effort(&self) -> bool {
        self.resources.as_ref().is_none_or(|resources| {
            resources.requests.as_ref().is_none_or(ResourceList::is_empty)
                && resources.limits.as_ref().is_none_or(ResourceList::is_empty)
        })
    }
}

impl WatchedPort {
    fn host_port(&self) -> Option<HostPort> {
        let port = self.host_port.filter(|port| *port > 0)?;
        let ip = self.host_ip.as_deref().filter(|ip| !ip.is_empty()).unwrap_or("0.0.0.0");
        Some(HostPort {
            ip: Name::from(ip),
            protocol: Name::from(self.protocol.as_deref().unwrap_or("TCP")),
            port,
        })
    }
}

impl WatchedVolume {
    fn source(self) -> Option<VolumeSource> {
        if self.empty_dir.is_some() {
            Some(VolumeSource::EmptyDir)
        } else if self.host_path.is_some() {
            Some(VolumeSource::HostPath)
        } else if self.ephemeral.is_some() {
            Some(VolumeSource::Ephemeral(Name::from(self.name)))
        } else {
            self.persistent_volume_claim
                .map(|claim| VolumeSource::Claim(Name::from(claim.claim_name)))
        }
    }
}

impl From<ApiToleration> for Toleration {
    fn from(toleration: ApiToleration) -> Self {
        let exists = toleration.operator.as_deref() == Some("Exists");
        Self {
            key: toleration.key.filter(|key| !key.is_empty()).map(Name::from),
            value: (!exists).then(|| Name::from(toleration.value.unwrap_or_default())),
            effect: toleration.effect.as_deref().and_then(TaintEffect::parse),
        }
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

/// The image's name with a tag, as nodes report it
/// (`pkg/scheduler/framework/plugins/imagelocality`, `normalizedImageName`).
fn normalised_image(image: &str) -> Name {
    let last_colon = image.rfind(':');
    let last_slash = image.rfind('/');
    if last_colon <= last_slash { Name::from(format!("{image}:latest")) } else { Name::from(image) }
}
