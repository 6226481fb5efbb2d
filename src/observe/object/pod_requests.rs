//! What a pod asks for in all, as the scheduler adds it up.
//!
//! Follows `k8s.io/component-helpers/resource/helpers.go` (1.33 to 1.37): of what runs together
//! and what each init container needs beside the sidecars before it, the larger. A pod
//! that is on a node counts there with what its status says too, see [`HeldRequests`].

use k8s_openapi::api::core::v1::ResourceRequirements;

use super::quantity::QuantityError;
use super::resources::{ResourceList, Resources};
use crate::observe::value::name::Name;

const DEFAULT_SCORED_CPU_MILLI: i64 = 100;
const DEFAULT_SCORED_MEMORY: i64 = 200 * 1024 * 1024;

/// Amounts that are asked for, and which of cores and memory are named at all: what
/// names neither weighs something in scores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// How much.
    pub amounts: Resources,
    /// Whether cores are named.
    pub names_cpu: bool,
    /// Whether memory is named.
    pub names_memory: bool,
}

impl Requests {
    /// Reads a list.
    ///
    /// # Errors
    /// When a quantity cannot be read.
    pub fn parse(list: &ResourceList) -> Result<Self, QuantityError> {
        Ok(Self {
            amounts: Resources::parse(list)?,
            names_cpu: list.contains_key("cpu"),
            names_memory: list.contains_key("memory"),
        })
    }

    /// What `resources` requests. The API server makes requests of limits; in templates it
    /// does so only when a pod is made from them (`SetDefaults_Pod`).
    fn of(resources: &ResourceRequirements) -> Result<Self, QuantityError> {
        let mut requests = match &resources.requests {
            Some(list) => Self::parse(list)?,
            None => Self::default(),
        };
        if let Some(limits) = &resources.limits {
            requests.complete(&Self::parse(limits)?);
        }
        Ok(requests)
    }

    /// Takes over what is not named here.
    pub fn complete(&mut self, other: &Self) {
        if !self.names_cpu && other.names_cpu {
            (self.names_cpu, self.amounts.cpu_milli) = (true, other.amounts.cpu_milli);
        }
        if !self.names_memory && other.names_memory {
            (self.names_memory, self.amounts.memory) = (true, other.amounts.memory);
        }
        if self.amounts.ephemeral_storage == 0 {
            self.amounts.ephemeral_storage = other.amounts.ephemeral_storage;
        }
        let missing = other.amounts.extended.iter();
        let missing: Vec<(Name, i64)> = missing
            .filter(|(name, _)| !self.amounts.extended.iter().any(|(known, _)| known == name))
            .cloned()
            .collect();
        self.amounts.add(&Resources { extended: missing, ..Resources::default() });
    }

    /// Whether all that is named here is named there, and alike.
    #[must_use]
    pub fn is_part_of(&self, other: &Self) -> bool {
        let mut completed = self.clone();
        completed.complete(other);
        completed == *other
    }

    /// Raises every amount to at least that of `other`.
    fn raise_to(&mut self, other: &Self) {
        self.amounts.raise_to(&other.amounts);
        self.names_cpu |= other.names_cpu;
        self.names_memory |= other.names_memory;
    }
}

/// Where a container stands among those of its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerRole {
    /// One that runs with the others.
    Main,
    /// One that ends before the others start.
    Init,
    /// An init container that goes on running.
    Sidecar,
}

/// A container, as far as the scheduler minds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: Name,
    /// Its image, normalised as nodes report it.
    pub image: Option<Name>,
    /// Where it stands.
    pub role: ContainerRole,
    /// What it asks for.
    pub requests: Requests,
}

/// What the containers of a pod ask for, one by one, and the pod beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodRequests {
    /// The containers: init containers in their order, after the others.
    pub containers: Vec<Container>,
    /// What the pod as a whole asks for, if it says so.
    pub whole: Option<Requests>,
    /// What its runtime needs besides.
    pub overhead: Resources,
}

/// What a pod asks for in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TotalRequests {
    /// What has to fit.
    pub requests: Resources,
    /// See [`super::template::Template::scored_cpu_milli`].
    pub scored_cpu_milli: i64,
    /// See [`super::template::Template::scored_memory`].
    pub scored_memory: i64,
}

/// What a pod that is on a node counts for there: while it is resized in place, the larger
/// of what it asks for, what was allocated and what it has (`UseStatusResources`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRequests {
    /// In all: the larger of the three sums (1.37).
    pub total: TotalRequests,
    /// What is to be added where it is the sum of what is larger by container (1.33 to 1.36).
    pub by_container: Option<MoreByContainer>,
}

/// By how much more a pod counts while it is resized in place if the larger of its sizes is
/// taken container by container. Nothing else can be resized in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MoreByContainer {
    /// Thousandths of a core.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory: i64,
    /// In scores: thousandths of a core.
    pub scored_cpu_milli: i64,
    /// In scores: bytes.
    pub scored_memory: i64,
}

impl MoreByContainer {
    fn between(total: &TotalRequests, by_container: &TotalRequests) -> Self {
        Self {
            cpu_milli: by_container.requests.cpu_milli - total.requests.cpu_milli,
            memory: by_container.requests.memory - total.requests.memory,
            scored_cpu_milli: by_container.scored_cpu_milli - total.scored_cpu_milli,
            scored_memory: by_container.scored_memory - total.scored_memory,
        }
    }

    /// Adds `other`, so many times.
    pub const fn add(&mut self, other: &Self, times: i64) {
        self.cpu_milli += other.cpu_milli * times;
        self.memory += other.memory * times;
        self.scored_cpu_milli += other.scored_cpu_milli * times;
        self.scored_memory += other.scored_memory * times;
    }
}

impl PodRequests {
    /// What `resources` of the pod as a whole ask for; none if they name nothing that a
    /// pod may ask for as a whole. The API server makes a request of a limit where no
    /// container requests the resource (`defaultPodRequests`).
    ///
    /// # Errors
    /// When a quantity cannot be read.
    pub fn whole(
        resources: &ResourceRequirements,
        containers: &[Container],
    ) -> Result<Option<Requests>, QuantityError> {
        let read = |list: &Option<ResourceList>| -> Result<Requests, QuantityError> {
            let mut read =
                list.as_ref().map_or_else(|| Ok(Requests::default()), Requests::parse)?;
            read.amounts.ephemeral_storage = 0;
            read.amounts.extended.retain(|(name, _)| name.starts_with("hugepages-"));
            Ok(read)
        };
        let mut whole = read(&resources.requests)?;
        let mut limits = read(&resources.limits)?;
        let names_any = |requests: &Requests| {
            requests.names_cpu || requests.names_memory || !requests.amounts.extended.is_empty()
        };
        let is_whole = names_any(&whole) || names_any(&limits);
        let requests = || containers.iter().map(|container| &container.requests);
        limits.names_cpu &= !requests().any(|requests| requests.names_cpu);
        limits.names_memory &= !requests().any(|requests| requests.names_memory);
        limits
            .amounts
            .extended
            .retain(|(name, _)| !requests().any(|requests| requests.amounts.extended(name) > 0));
        whole.complete(&limits);
        Ok(is_whole.then_some(whole))
    }

    /// What a container with these resources asks for.
    ///
    /// # Errors
    /// When a quantity cannot be read.
    pub fn of_container(
        resources: Option<&ResourceRequirements>,
    ) -> Result<Requests, QuantityError> {
        resources.map_or_else(|| Ok(Requests::default()), Requests::of)
    }

    /// What the pod asks for in all.
    #[must_use]
    pub fn total(&self) -> TotalRequests {
        let requests = self.containers.iter().map(|container| &container.requests);
        self.with_overhead(self.sum(requests, self.default_scores()))
    }

    /// The same without what the pod asks for as a whole, in scores.
    #[must_use]
    pub fn own_scored(&self) -> TotalRequests {
        let alone = Self { whole: None, ..self.clone() };
        alone.total()
    }

    /// Which defaults weigh in scores: those of cores and memory, unless the pod asks for
    /// something as a whole and the resource is named somewhere
    /// (`getNonMissingContainerRequests`).
    fn default_scores(&self) -> (i64, i64) {
        let all = || self.containers.iter().map(|container| &container.requests).chain(&self.whole);
        let is_whole = self.whole.is_some();
        let names_cpu = is_whole && all().any(|requests| requests.names_cpu);
        let names_memory = is_whole && all().any(|requests| requests.names_memory);
        (
            if names_cpu { 0 } else { DEFAULT_SCORED_CPU_MILLI },
            if names_memory { 0 } else { DEFAULT_SCORED_MEMORY },
        )
    }

    /// What containers that ask for this ask for in all, in their order.
    fn sum<'r>(
        &'r self,
        requests: impl Iterator<Item = &'r Requests>,
        defaults: (i64, i64),
    ) -> TotalRequests {
        let mut total = TotalRequests::default();
        let mut sidecars = TotalRequests::default();
        let mut init_peak = TotalRequests::default();
        for (container, requests) in self.containers.iter().zip(requests) {
            let asked = TotalRequests {
                requests: requests.amounts.clone(),
                scored_cpu_milli: if requests.names_cpu {
                    requests.amounts.cpu_milli
                } else {
                    defaults.0
                },
                scored_memory: if requests.names_memory {
                    requests.amounts.memory
                } else {
                    defaults.1
                },
            };
            if container.role == ContainerRole::Main {
                total.add(&asked);
                continue;
            }
            let mut beside = sidecars.clone();
            beside.add(&asked);
            init_peak.raise_to(&beside);
            if container.role == ContainerRole::Sidecar {
                sidecars.add(&asked);
            }
        }
        total.add(&sidecars);
        total.raise_to(&init_peak);
        if let Some(whole) = &self.whole {
            total.override_with(whole);
        }
        total
    }

    fn with_overhead(&self, mut total: TotalRequests) -> TotalRequests {
        total.add(&TotalRequests::exactly(self.overhead.clone()));
        total
    }

    /// What the pod counts for on its node, if that is something else than what it asks for.
    ///
    /// # Errors
    /// When a quantity of the status cannot be read.
    pub fn held(&self, status: &ResizeStatus<'_>) -> Result<Option<HeldRequests>, QuantityError> {
        if status.is_as_asked(self) {
            return Ok(None);
        }
        let asked = self.total();
        let defaults = self.default_scores();
        let without_whole = Self { whole: None, ..self.clone() };
        let spec = || self.containers.iter().map(|container| &container.requests);
        let mut total = TotalRequests::default();
        if !status.infeasible {
            total = without_whole.sum(spec(), defaults);
        }
        let (allocated, actual) = if let Some((allocated, actual)) = status.whole()? {
            (TotalRequests::exactly(allocated.amounts), TotalRequests::exactly(actual.amounts))
        } else {
            let (allocated, actual) = status.of_containers(self)?;
            (
                without_whole.sum(allocated.iter(), defaults),
                without_whole.sum(actual.iter(), defaults),
            )
        };
        total.raise_to(&allocated);
        total.raise_to(&actual);
        let by_container = status.by_container(self)?;
        let mut by_container = without_whole.sum(by_container.iter(), defaults);
        if let Some(whole) = &self.whole {
            let whole = status.effective_whole(whole)?;
            total.override_with(&whole);
            by_container.override_with(&whole);
        }
        let more = MoreByContainer::between(&total, &by_container);
        let total = self.with_overhead(total);
        let by_container = (more != MoreByContainer::default()).then_some(more);
        let is_other = total != asked || by_container.is_some();
        Ok(is_other.then_some(HeldRequests { total, by_container }))
    }
}

impl TotalRequests {
    fn exactly(requests: Resources) -> Self {
        let (scored_cpu_milli, scored_memory) = (requests.cpu_milli, requests.memory);
        Self { requests, scored_cpu_milli, scored_memory }
    }

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
    fn override_with(&mut self, whole: &Requests) {
        if whole.names_cpu {
            self.requests.cpu_milli = whole.amounts.cpu_milli;
            self.scored_cpu_milli = whole.amounts.cpu_milli;
        }
        if whole.names_memory {
            self.requests.memory = whole.amounts.memory;
            self.scored_memory = whole.amounts.memory;
        }
        for (name, amount) in &whole.amounts.extended {
            self.requests.extended.retain(|(known, _)| known != name);
            let extended = vec![(Name::clone(name), *amount)];
            self.requests.add(&Resources { extended, ..Resources::default() });
        }
    }
}

/// What a pod's status says of the sizes of its containers.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResizeStatus<'s> {
    /// Whether the kubelet says that the node can never have the size that is asked for.
    pub infeasible: bool,
    /// By container, in no order.
    pub containers: &'s [ContainerStatus],
    /// What was allocated to the pod as a whole.
    pub allocated: Option<&'s ResourceList>,
    /// What it has as a whole.
    pub actual: Option<&'s ResourceList>,
}

/// What a pod's status says of the size of a container.
#[derive(Clone, Debug, Default)]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// What was allocated to it.
    pub allocated: Option<ResourceList>,
    /// What it has.
    pub actual: Option<ResourceList>,
}

impl ResizeStatus<'_> {
    /// Whether nothing is said, or only what is asked for: so it is with most pods.
    fn is_as_asked(&self, asked: &PodRequests) -> bool {
        let same = |list: Option<&ResourceList>, requests: &Requests| {
            list.is_none_or(|list| Requests::parse(list).is_ok_and(|said| said == *requests))
        };
        !self.infeasible
            && self.allocated.is_none()
            && self.actual.is_none()
            && self.containers.iter().all(|status| {
                let asked = asked.containers.iter().find(|known| *known.name == *status.name);
                asked.is_none_or(|known| {
                    same(status.allocated.as_ref(), &known.requests)
                        && same(status.actual.as_ref(), &known.requests)
                })
            })
    }

    /// What was allocated to the pod as a whole and what it has, where both are said.
    fn whole(&self) -> Result<Option<(Requests, Requests)>, QuantityError> {
        let (Some(allocated), Some(actual)) = (self.allocated, self.actual) else {
            return Ok(None);
        };
        Ok(Some((Requests::parse(allocated)?, Requests::parse(actual)?)))
    }

    /// What was allocated to each container, and what it has
    /// (`containerAllocatedRequests`, `containerActuatedRequests`).
    fn of_containers(
        &self,
        asked: &PodRequests,
    ) -> Result<(Vec<Requests>, Vec<Requests>), QuantityError> {
        let mut all = (Vec::new(), Vec::new());
        for container in &asked.containers {
            let status = self.containers.iter().find(|status| *status.name == *container.name);
            let allocated = status.and_then(|status| status.allocated.as_ref());
            let actual = status.and_then(|status| status.actual.as_ref()).or(allocated);
            let otherwise = || {
                Ok(if self.infeasible { Requests::default() } else { container.requests.clone() })
            };
            all.0.push(allocated.map_or_else(otherwise, Requests::parse)?);
            all.1.push(actual.map_or_else(otherwise, Requests::parse)?);
        }
        Ok(all)
    }

    /// The larger of its sizes, container by container, as it counts until 1.36: those that end
    /// before others start are not looked at (`determineEffectiveRequests`).
    fn by_container(&self, asked: &PodRequests) -> Result<Vec<Requests>, QuantityError> {
        let effective = |container: &Container| {
            let own = || self.containers.iter().find(|status| *status.name == *container.name);
            let status = own().filter(|_| container.role != ContainerRole::Init);
            let Some((status, actual)) = status.and_then(|own| Some((own, own.actual.as_ref()?)))
            else {
                return Ok(container.requests.clone());
            };
            let mut most = Requests::parse(actual)?;
            if let Some(allocated) = &status.allocated {
                most.raise_to(&Requests::parse(allocated)?);
            }
            if !self.infeasible {
                most.raise_to(&container.requests);
            }
            Ok(most)
        };
        asked.containers.iter().map(effective).collect()
    }

    /// What counts of what the pod asks for as a whole (`effectivePodLevelResources`).
    fn effective_whole(&self, asked: &Requests) -> Result<Requests, QuantityError> {
        let Some(actual) = self.actual else { return Ok(asked.clone()) };
        let mut effective = if self.infeasible { Requests::default() } else { asked.clone() };
        for list in [Some(actual), self.allocated].into_iter().flatten() {
            effective.raise_to(&Requests::parse(list)?);
        }
        Ok(effective)
    }
}
