//! Which spread constraints hold for a pod, and which pods they count.
//!
//! Follows `pkg/scheduler/framework/plugins/podtopologyspread/common.go`,
//! `plugin.go` and `.../plugins/helper/spread.go` (1.33 to 1.37).

use std::collections::BTreeSet;

use kube::core::{Expression, Selector, SelectorExt};

use crate::api::ZONE_LABEL;
use crate::observe::{Name, SpreadConstraint, WorkloadKey, WorkloadKind};

use crate::predict::config::DefaultConstraints;
use crate::predict::in_flight::PendingPod;
use crate::predict::scheduler::Scheduler;

pub const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";

/// The constraints of a pod.
pub struct Constraints {
    /// In the pod's order; `match_label_keys` are merged into the selectors.
    pub constraints: Vec<SpreadConstraint>,
    /// Whether they are the system's own: then nodes without a zone take part.
    pub system_default: bool,
}

impl Constraints {
    /// The constraints of `pod`, or the scheduler's defaults.
    ///
    /// # Errors
    /// When the defaults select by something that is not known, and what.
    pub fn of(scheduler: &Scheduler<'_>, pod: &PendingPod) -> Result<Self, String> {
        let own = &pod.template.spread;
        if !own.is_empty() {
            let constraints = own.iter().map(|constraint| merged(constraint, pod)).collect();
            return Ok(Self { constraints, system_default: false });
        }
        let defaults = &scheduler.config.default_constraints;
        let system_default = *defaults == DefaultConstraints::System;
        let constraints = match defaults {
            DefaultConstraints::System => system_defaults(),
            DefaultConstraints::List(listed) => listed.clone(),
        };
        if constraints.is_empty() {
            return Ok(Self { constraints, system_default });
        }
        let Some(selector) = default_selector(scheduler, pod)? else {
            return Ok(Self { constraints: Vec::new(), system_default });
        };
        let selecting =
            |constraint| SpreadConstraint { selector: Some(selector.clone()), ..constraint };
        Ok(Self { constraints: constraints.into_iter().map(selecting).collect(), system_default })
    }
}

/// The constraint with what it takes from the pod's own labels.
fn merged(constraint: &SpreadConstraint, pod: &PendingPod) -> SpreadConstraint {
    let mut constraint = constraint.clone();
    if let Some(selector) = &mut constraint.selector {
        let keys = constraint.match_label_keys.iter();
        selector.extend(keys.filter_map(|key| {
            let value = pod.labels.get(key)?;
            Some(Expression::In(key.clone(), BTreeSet::from([value.clone()])))
        }));
    }
    constraint
}

/// `systemDefaultConstraints` in `plugin.go`.
fn system_defaults() -> Vec<SpreadConstraint> {
    [(HOSTNAME_LABEL, 3), (ZONE_LABEL, 5)]
        .into_iter()
        .map(|(key, max_skew)| SpreadConstraint::soft(key, max_skew))
        .collect()
}

/// What selects the pod's like: its Services, and its owner. None when nothing does.
fn default_selector(
    scheduler: &Scheduler<'_>,
    pod: &PendingPod,
) -> Result<Option<Selector>, String> {
    let mut labels = std::collections::BTreeMap::new();
    for service in scheduler.cluster.services_in(&pod.namespace) {
        if service.selects(&pod.labels) {
            labels.extend(service.selector.clone());
        }
    }
    let mut selector: Selector = labels.into_iter().collect();
    if let Some(owner) = &pod.owner {
        if &*owner.kind == "ReplicationController" {
            return Err(format!(
                "ReplicationController {}: the default spread constraints select by it, and it is \
                 not watched",
                owner.name
            ));
        }
        let kind =
            WorkloadKind::parse(&owner.kind).filter(|kind| *kind != WorkloadKind::Deployment);
        if let Some(kind) = kind {
            selector.extend(owner_selector(scheduler, pod, kind, &owner.name)?);
        }
    }
    Ok((!selector.selects_all()).then_some(selector))
}

fn owner_selector(
    scheduler: &Scheduler<'_>,
    pod: &PendingPod,
    kind: WorkloadKind,
    name: &Name,
) -> Result<Selector, String> {
    const HASH: &str = "pod-template-hash";
    let namespace = Name::clone(&pod.namespace);
    let key = WorkloadKey { namespace, kind, name: Name::clone(name) };
    match scheduler.cluster.workload(&key) {
        Some(workload) => Ok(workload.selector.clone().unwrap_or_default()),
        // The hash alone tells the pods of a Deployment's ReplicaSet from all others.
        None => match pod.labels.get(HASH).filter(|_| kind == WorkloadKind::ReplicaSet) {
            Some(hash) => Ok(Expression::Equal(HASH.to_owned(), hash.clone()).into()),
            None => Err(format!(
                "{} {name}: the default spread constraints select by it, and it is not known",
                kind.as_str()
            )),
        },
    }
}

/// Whether a constraint counts pods with these labels. One that selects
/// everything counts none: `countPodsMatchSelector` in `common.go`.
pub fn counts(constraint: Option<&Selector>, labels: &crate::observe::Labels) -> bool {
    constraint.is_some_and(|selector| !selector.selects_all() && selector.matches(labels))
}
