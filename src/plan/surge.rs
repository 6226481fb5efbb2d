//! Which pods can be replaced before they stop, and why not.
//!
//! A surge changes the label by which a `ReplicaSet` knows its pod. Whoever else selects pods
//! by that label would lose the pod as well, and whoever selects them without it and looks for
//! pods without an owner would take it.

use std::sync::Arc;

use kube::core::SelectorExt;

use crate::api::Strategy;
use crate::observe::{
    HASH_LABELS, Index, Labels, Name, Owner, Pod, VolumeSource, Workload, WorkloadKind,
    released_labels,
};

use super::pdb_limits::Refused;

/// Whether the operator may surge: the right to change the label, and the fence that lets it
/// change nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SurgeRight {
    /// Both were proven.
    Proven,
    /// What is missing, and what would help.
    Missing(String),
}

impl Default for SurgeRight {
    fn default() -> Self {
        let missing = "the operator has no right to change labels of pods: deploy/surge gives it";
        Self::Missing(missing.to_owned())
    }
}

/// How the pods of a tier may be moved, looked up once for all pods that are alike.
#[derive(Debug)]
pub struct Ways<'i> {
    index: &'i Index,
    right: &'i SurgeRight,
    strategy: Strategy,
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    labels: Arc<Labels>,
    owner: Option<Arc<Owner>>,
    claims: Vec<Name>,
    surge: Result<Arc<Labels>, String>,
}

/// How a pod may be moved.
#[derive(Clone, Debug)]
pub struct PodWays {
    /// The labels with which it may be released.
    pub surge: Option<Arc<Labels>>,
    /// Whether it may be evicted.
    pub evict: bool,
}

/// How a pod leaves.
#[derive(Clone, Debug)]
pub enum Departure {
    /// It is released, with these labels from then on.
    Released(Arc<Labels>),
    /// It is evicted.
    Evicted,
}

impl PodWays {
    const EVICT: Self = Self { surge: None, evict: true };

    /// What the budgets leave of them; none if they refuse them all.
    #[must_use]
    pub fn allowed(&self, refused: Refused) -> Option<Self> {
        let surge = self.surge.clone().filter(|_| !refused.surge);
        let evict = self.evict && !refused.evict;
        (evict || surge.is_some()).then_some(Self { surge, evict })
    }

    /// The better one first.
    pub fn departures(&self) -> impl Iterator<Item = Departure> {
        let surge = self.surge.iter().map(|labels| Departure::Released(Arc::clone(labels)));
        surge.chain(self.evict.then_some(Departure::Evicted))
    }
}

impl<'i> Ways<'i> {
    pub const fn new(index: &'i Index, right: &'i SurgeRight, strategy: Strategy) -> Self {
        Self { index, right, strategy, known: Vec::new() }
    }

    /// The ways in which a pod may be moved.
    ///
    /// # Errors
    /// Why there is none.
    pub fn of(&mut self, pod: &Pod) -> Result<PodWays, String> {
        match (self.strategy, self.right) {
            (Strategy::Evict, _) | (Strategy::Auto, SurgeRight::Missing(_)) => Ok(PodWays::EVICT),
            (Strategy::Surge, SurgeRight::Missing(why)) => Err(why.clone()),
            (Strategy::Surge, SurgeRight::Proven) => {
                self.surge(pod).map(|labels| PodWays { surge: Some(labels), evict: false })
            }
            (Strategy::Auto, SurgeRight::Proven) => {
                Ok(PodWays { surge: self.surge(pod).ok(), evict: true })
            }
        }
    }

    fn surge(&mut self, pod: &Pod) -> Result<Arc<Labels>, String> {
        let claims = claims(pod);
        let is_known = |known: &&Known| {
            Arc::ptr_eq(&known.labels, &pod.labels)
                && known.owner == pod.owner
                && known.claims == claims
        };
        if let Some(known) = self.known.iter().find(is_known) {
            return known.surge.clone();
        }
        let surge = released(self.index, pod).map(Arc::new);
        self.known.push(Known {
            labels: Arc::clone(&pod.labels),
            owner: pod.owner.clone(),
            claims,
            surge: surge.clone(),
        });
        surge
    }
}

/// The labels of the pod once it is released.
///
/// # Errors
/// Why it must not be: the object, the fact, the remedy where there is one.
pub fn released(index: &Index, pod: &Pod) -> Result<Labels, String> {
    let Some(owner) = &pod.owner else {
        return Err(format!("pod {} has no controller", pod.name));
    };
    if &*owner.kind != "ReplicaSet" {
        return Err(format!(
            "{} {} makes a pod again only once the one before is gone",
            owner.kind, owner.name
        ));
    }
    let Some(workload) = index.workload_of(pod) else {
        return Err(format!("{} {} does not exist any more", owner.kind, owner.name));
    };
    let released = released_labels(&pod.labels)
        .filter(|released| !selects(workload, released))
        .ok_or_else(|| {
            format!(
                "{} {} does not select its pods by {}: a Deployment's does",
                owner.kind, owner.name, HASH_LABELS[0]
            )
        })?;
    let loses = loses(index, pod, &released)
        .or_else(|| taken_over(index, pod, &released))
        .or_else(|| scaling(index, pod, workload))
        .or_else(|| shared_volume(index, pod));
    loses.map_or(Ok(released), Err)
}

fn selects(workload: &Workload, labels: &Labels) -> bool {
    workload.selector.as_ref().is_some_and(|selector| selector.matches(labels))
}

/// Who selects the pod by the label, and would lose it.
fn loses(index: &Index, pod: &Pod, released: &Labels) -> Option<String> {
    let by_hash = "selects pods by their template hash";
    let mut services = index.cluster().services_in(&pod.namespace);
    if let Some(service) =
        services.find(|service| service.selects(&pod.labels) && !service.selects(released))
    {
        let name = &service.name;
        return Some(format!("Service {name} {by_hash}, and would drop a released pod at once"));
    }
    let mut budgets = index.budgets_in(&pod.namespace);
    let changes = budgets.find(|budget| budget.protects(&pod.labels) != budget.protects(released));
    if let Some(budget) = changes {
        let name = &budget.name;
        return Some(format!("PodDisruptionBudget {name} {by_hash}, and would not count it"));
    }
    let mut policies = index.policies_in(&pod.namespace);
    let changed = policies.find(|policy| {
        let (before, after) = (policy.selects(&pod.labels), policy.selects(released));
        before != after || (before && policy.tier_name(&pod.labels) != policy.tier_name(released))
    })?;
    Some(format!("ZoneSpreadPolicy {} {by_hash}, and would not count it", changed.key.name))
}

/// Who else would take a pod without an owner for its own.
fn taken_over(index: &Index, pod: &Pod, released: &Labels) -> Option<String> {
    let mut keys = index.cluster().workload_keys();
    let taker = keys.find(|key| {
        let workload = index.cluster().workload(key);
        // A Deployment adopts ReplicaSets, not pods.
        let takes_pods = key.kind != WorkloadKind::Deployment;
        takes_pods
            && key.namespace == pod.namespace
            && workload.is_some_and(|known| selects(known, released))
    })?;
    let (kind, name) = (taker.kind.as_str(), &taker.name);
    Some(format!("{kind} {name} would adopt a released pod, since its selector matches it too"))
}

/// An autoscaler that counts the released pod, and may take the replacement away.
fn scaling(index: &Index, pod: &Pod, workload: &Workload) -> Option<String> {
    let own = (workload.key.kind.as_str(), &workload.key.name);
    let owner = workload.owner.as_ref().map(|owner| (&*owner.kind, &owner.name));
    let mut autoscalers = index.autoscalers_in(&pod.namespace);
    let autoscaler = autoscalers.find(|autoscaler| {
        let target = (&*autoscaler.target_kind, &autoscaler.target_name);
        target == own || Some(target) == owner
    })?;
    let (name, max) = (&autoscaler.name, autoscaler.max);
    let (current, desired) = (autoscaler.current, autoscaler.desired);
    // Its status comes some seconds after it.
    if current.max(workload.replicas) >= max {
        return Some(format!(
            "HorizontalPodAutoscaler {name} is at its maximum of {max} pods: raise maxReplicas"
        ));
    }
    // Without metrics it never says what it desires, and scales nothing.
    (desired != 0 && current != desired)
        .then(|| format!("HorizontalPodAutoscaler {name} is scaling from {current} to {desired}"))
}

fn claims(pod: &Pod) -> Vec<Name> {
    let claims = pod.template.volumes.iter().filter_map(|volume| match volume {
        VolumeSource::Claim(claim) => Some(Name::from(&**claim)),
        VolumeSource::Ephemeral(_) | VolumeSource::EmptyDir | VolumeSource::HostPath => None,
    });
    claims.collect()
}

/// A claim that the replacement cannot have while the pod runs.
fn shared_volume(index: &Index, pod: &Pod) -> Option<String> {
    let mut claims = claims(pod).into_iter();
    let alone = claims.find(|name| {
        let claim = index.cluster().claim(&pod.namespace, name);
        claim.is_none_or(|claim| !claim.shared)
    })?;
    Some(format!("claim {alone} cannot be used on two nodes at once (ReadWriteMany can)"))
}
