//! Reads a pod's spec into a [`Template`].

use k8s_openapi::api::core::v1::{
    Affinity, ResourceRequirements, Toleration as ApiToleration, TopologySpreadConstraint,
};
use serde::Deserialize;

use super::image::normalised_image;
use super::kept_out::is_kept_out;
use super::pod_requests::{Container, ContainerRole, PodRequests, ResizeStatus, TotalRequests};
use super::quantity::QuantityError;
use super::resources::{ResourceList, Resources};
use super::taint::Toleration;
use super::template::{
    HostPort, SpecialField, SpreadConstraint, Template, VolumeSource, WeightedPodAffinityTerm,
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
    preemption_policy: Option<String>,
    scheduling_gates: Option<Vec<serde::de::IgnoredAny>>,
    resource_claims: Option<Vec<serde::de::IgnoredAny>>,
    scheduling_group: Option<serde::de::IgnoredAny>,
    workload_ref: Option<serde::de::IgnoredAny>,
    eviction_responders: Option<Vec<serde::de::IgnoredAny>>,
    host_network: Option<bool>,
    host_users: Option<bool>,
    termination_grace_period_seconds: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedContainer {
    name: String,
    image: Option<String>,
    resources: Option<ResourceRequirements>,
    ports: Option<Vec<WatchedPort>>,
    restart_policy: Option<String>,
    restart_policy_rules: Option<Vec<WatchedRestartRule>>,
    volume_mounts: Option<Vec<WatchedMount>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct WatchedRestartRule {
    action: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WatchedMount {
    bind_mount_options: Option<Vec<serde::de::IgnoredAny>>,
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

impl WatchedPodSpec {
    /// The first field that is known by name only. What needs a feature of the node follows
    /// `k8s.io/component-helpers/nodedeclaredfeatures/features` (1.37, `InferForScheduling`).
    /// Whether a drill kept it out of a zone when it was made.
    pub fn is_kept_out(&self) -> bool {
        let affinity = self.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        affinity.is_some_and(is_kept_out)
    }

    fn special(&self, init: &[WatchedContainer]) -> Option<SpecialField> {
        let containers = || self.containers.iter().chain(init);
        let restarts_all = |container: &WatchedContainer| {
            let rules = container.restart_policy_rules.iter().flatten();
            rules.into_iter().any(|rule| rule.action == "RestartAllContainers")
        };
        let has_options = |container: &WatchedContainer| {
            let mut mounts = container.volume_mounts.iter().flatten();
            mounts.any(|mount| mount.bind_mount_options.as_ref().is_some_and(|all| !all.is_empty()))
        };
        if self.scheduling_group.is_some() || self.workload_ref.is_some() {
            Some(SpecialField::SchedulingGroup)
        } else if self.eviction_responders.as_ref().is_some_and(|all| !all.is_empty()) {
            Some(SpecialField::EvictionResponders)
        } else if self.host_network == Some(true) && self.host_users == Some(false) {
            Some(SpecialField::HostNetworkInUserNamespace)
        } else if containers().any(restarts_all) {
            Some(SpecialField::RestartAllContainers)
        } else if containers().any(has_options) {
            Some(SpecialField::BindMountOptions)
        } else {
            None
        }
    }
}

impl Template {
    /// What of `spec` decides where the pod may run.
    #[must_use]
    pub fn new(mut spec: WatchedPodSpec) -> Self {
        let mut template = Self {
            node_selector: spec.node_selector.take().unwrap_or_default(),
            tolerations: spec
                .tolerations
                .take()
                .unwrap_or_default()
                .into_iter()
                .filter_map(Toleration::of)
                .collect(),
            scheduler: Name::from(spec.scheduler_name.as_deref().unwrap_or("default-scheduler")),
            priority: spec.priority.unwrap_or_default(),
            never_preempts: spec.preemption_policy.as_deref() == Some("Never"),
            gated: spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()),
            vanishes: spec.termination_grace_period_seconds == Some(0),
            claims_devices: spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()),
            ..Self::default()
        };
        let init = spec.init_containers.take().unwrap_or_default();
        template.best_effort = spec.resources.is_none()
            && spec.containers.iter().chain(&init).all(WatchedContainer::is_best_effort);
        template.special = spec.special(&init);
        if let Err(error) = template.add_requests(&init, &spec) {
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
        template.take_off_steering();
        template.take_off_drill();
        template
    }

    fn add_requests(
        &mut self,
        init: &[WatchedContainer],
        spec: &WatchedPodSpec,
    ) -> Result<(), QuantityError> {
        let main = spec.containers.iter().map(|container| container.container(false));
        let init = init.iter().map(|container| container.container(true));
        let containers: Vec<Container> = main.chain(init).collect::<Result<_, _>>()?;
        let whole = match &spec.resources {
            Some(resources) => PodRequests::whole(resources, &containers)?,
            None => None,
        };
        let overhead = spec.overhead.as_ref().map(Resources::parse).transpose()?;
        let overhead = overhead.unwrap_or_default();
        self.set_requests(PodRequests { containers, whole, overhead });
        Ok(())
    }

    /// Sets what the containers ask for, and what follows from it.
    pub fn set_requests(&mut self, asked: PodRequests) {
        let TotalRequests { requests, scored_cpu_milli, scored_memory } = asked.total();
        self.requests = requests;
        self.scored_cpu_milli = scored_cpu_milli;
        self.scored_memory = scored_memory;
        // The scorer of fit.go (1.37) leaves `enablePodLevelResources` unset.
        let own = asked.own_scored();
        self.own_scored_cpu_milli = own.scored_cpu_milli;
        self.own_scored_memory = own.scored_memory;
        self.asked = asked;
        self.held = None;
    }

    /// Takes in what the pod's status says of its size.
    pub fn set_resize(&mut self, status: &ResizeStatus<'_>) {
        match self.asked.held(status) {
            Ok(held) => self.held = held.map(Box::new),
            Err(error) => self.unreadable = Some(format!("status: {error}")),
        }
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

impl WatchedContainer {
    fn container(&self, is_init: bool) -> Result<Container, QuantityError> {
        Ok(Container {
            name: Name::from(self.name.as_str()),
            image: self.image.as_deref().map(normalised_image),
            role: match (is_init, self.is_sidecar()) {
                (false, _) => ContainerRole::Main,
                (true, false) => ContainerRole::Init,
                (true, true) => ContainerRole::Sidecar,
            },
            requests: PodRequests::of_container(self.resources.as_ref())?,
        })
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
