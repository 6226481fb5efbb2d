//! Reads a pod's spec into a [`Template`].

use k8s_openapi::api::core::v1::{
    Affinity, ResourceRequirements, Toleration as ApiToleration, TopologySpreadConstraint,
};
use serde::Deserialize;

use super::image::normalised_image;
use super::quantity::QuantityError;
use super::resources::{ResourceList, Resources};
use super::taint::Toleration;
use super::template::{
    HostPort, SpreadConstraint, Template, VolumeSource, WeightedPodAffinityTerm,
};
use crate::observe::value::name::{Labels, Name};

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
    termination_grace_period_seconds: Option<i64>,
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
    ephemeral: Option<WatchedEphemeralSource>,
    image: Option<WatchedImageSource>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedEphemeralSource {
    volume_claim_template: WatchedClaimTemplate,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedClaimTemplate {
    spec: WatchedClaimTemplateSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedClaimTemplateSpec {
    storage_class_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedImageSource {
    reference: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedClaimSource {
    claim_name: String,
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
                .filter_map(Toleration::of)
                .collect(),
            scheduler: Name::from(spec.scheduler_name.as_deref().unwrap_or("default-scheduler")),
            priority: spec.priority.unwrap_or_default(),
            gated: spec.scheduling_gates.is_some_and(|gates| !gates.is_empty()),
            vanishes: spec.termination_grace_period_seconds == Some(0),
            claims_devices: spec.resource_claims.is_some_and(|claims| !claims.is_empty()),
            ..Self::default()
        };
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
        for container in spec.containers.iter().chain(&init) {
            template.images.extend(container.image.as_deref().map(normalised_image));
        }
        // An init container that ends gives its ports back before the others
        // start (`pkg/scheduler/util/utils.go`, `GetHostPorts`).
        for container in
            spec.containers.iter().chain(init.iter().filter(|container| container.is_sidecar()))
        {
            let ports = container.ports.as_deref().unwrap_or_default();
            template.host_ports.extend(ports.iter().filter_map(WatchedPort::host_port));
        }
        for volume in spec.volumes.unwrap_or_default() {
            template.add_volume(volume);
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
            if container.is_sidecar() {
                sidecars.add(&asked);
            }
        }
        total.add(&sidecars);
        total.raise_to(&init_peak);
        self.own_scored_cpu_milli = total.scored_cpu_milli;
        self.own_scored_memory = total.scored_memory;
        if let Some(pod_level) = pod_level {
            self.best_effort = false;
            total.override_with(pod_level)?;
        }
        if let Some(overhead) = overhead {
            let overhead = Resources::parse(overhead)?;
            total.scored_cpu_milli += overhead.cpu_milli;
            total.scored_memory += overhead.memory;
            total.requests.add(&overhead);
            self.own_scored_cpu_milli += overhead.cpu_milli;
            self.own_scored_memory += overhead.memory;
        }
        self.requests = total.requests;
        self.scored_cpu_milli = total.scored_cpu_milli;
        self.scored_memory = total.scored_memory;
        Ok(())
    }

    fn add_volume(&mut self, volume: WatchedVolume) {
        if let Some(image) = &volume.image {
            self.images.push(normalised_image(&image.reference));
        }
        if let Some(ephemeral) = &volume.ephemeral {
            let class = ephemeral.volume_claim_template.spec.storage_class_name.as_deref();
            self.ephemeral_classes.push(class.filter(|class| !class.is_empty()).map(Name::from));
        }
        self.volumes.extend(volume.source());
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

    fn is_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
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
