//! A policy, and the pods that are its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use kube::core::{Selector, SelectorExt};

use crate::api::text::{bounded, cut};
use crate::api::{APPROVE, ZoneSpreadPolicy, ZoneSpreadPolicySpec, ZoneSpreadPolicyStatus};

use super::windows::Calendar;
use crate::observe::object::interner::Interner;
use crate::observe::object::workload::WorkloadKey;
use crate::observe::store::cluster::PodId;
use crate::observe::value::name::{Labels, Name};

/// Which policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyKey {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
}

/// The pods of a tier.
pub type Tier = BTreeSet<PodId>;

/// A policy and its pods.
#[derive(Clone, Debug)]
pub struct PolicyEntry {
    /// Which one.
    pub key: PolicyKey,
    /// Its uid.
    pub uid: Name,
    /// When it was made; the older of two policies owns a pod.
    pub created: Timestamp,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// Its own labels, by which drills select policies.
    pub labels: Labels,
    /// What the user wrote.
    pub spec: Arc<ZoneSpreadPolicySpec>,
    /// The id of the plan that its annotation approves.
    pub approve: Option<String>,
    /// The status as last seen; read on start only.
    pub status: Option<Arc<ZoneSpreadPolicyStatus>>,
    /// The compiled selector, or why there is none.
    pub selector: Result<Selector, String>,
    /// When evictions may start, or why that cannot be known.
    pub calendar: Result<Calendar, String>,
    /// Its tiers.
    pub tiers: BTreeMap<Name, Tier>,
    /// Selected pods without the tier label.
    pub untiered: BTreeSet<PodId>,
    /// Selected pods that an older policy owns.
    pub contested: Contested,
    /// Workloads whose pods it selects.
    pub workloads: BTreeSet<WorkloadKey>,
}

/// Pods that a policy selects and an older one owns: how many, and some of
/// them, so that thousands of policies for the same pods cost little.
#[derive(Clone, Debug, Default)]
pub struct Contested {
    pods: usize,
    some: BTreeMap<PodId, PolicyKey>,
}

impl Contested {
    /// How many pods are known by name.
    const NAMED: usize = 8;

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.pods
    }

    /// One of them, and the policy that owns it. None if all that were known
    /// by name are gone.
    #[must_use]
    pub fn example(&self) -> Option<(PodId, &PolicyKey)> {
        self.some.first_key_value().map(|(pod, owner)| (*pod, owner))
    }

    #[cfg(test)]
    pub(in crate::observe) fn named(&self) -> usize {
        self.some.len()
    }

    pub(in crate::observe) fn add(&mut self, pod: PodId, owner: &PolicyKey) {
        self.pods += 1;
        if self.some.len() < Self::NAMED {
            self.some.insert(pod, owner.clone());
        }
    }

    pub(in crate::observe) fn remove(&mut self, pod: PodId) {
        self.pods = self.pods.saturating_sub(1);
        self.some.remove(&pod);
    }
}

impl PolicyEntry {
    /// The policy as the API server has it; what was read from the spec of the one that
    /// was `known` is not read again if it is the same.
    pub(in crate::observe) fn new(
        policy: ZoneSpreadPolicy,
        known: &BTreeMap<PolicyKey, Self>,
        interner: &mut Interner,
    ) -> Self {
        let metadata = policy.metadata;
        let key = PolicyKey {
            namespace: interner.name(metadata.namespace.as_deref().unwrap_or_default()),
            name: interner.name(metadata.name.as_deref().unwrap_or_default()),
        };
        let known = known.get(&key).filter(|known| *known.spec == policy.spec);
        let (selector, calendar) = if let Some(known) = known {
            (known.selector.clone(), known.calendar.clone())
        } else {
            let selector = Selector::try_from(policy.spec.selector.clone());
            let selector = selector.map_err(|error| format!("spec.selector: {error}"));
            (selector, Calendar::of(&policy.spec))
        };
        Self {
            key,
            uid: interner.name(metadata.uid.as_deref().unwrap_or_default()),
            created: metadata.creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            generation: metadata.generation,
            labels: metadata.labels.unwrap_or_default(),
            selector,
            calendar,
            approve: metadata
                .annotations
                .and_then(|mut all| all.remove(APPROVE))
                // No id is as long, and an annotation may hold 256 kB.
                .map(|id| bounded(cut(&id, 32))),
            spec: Arc::new(policy.spec),
            status: policy.status.map(Arc::new),
            tiers: BTreeMap::new(),
            untiered: BTreeSet::new(),
            contested: Contested::default(),
            workloads: BTreeSet::new(),
        }
    }

    /// Whether it selects pods with these labels. A policy whose selector
    /// cannot be read, or selects everything, selects nothing.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        self.selector
            .as_ref()
            .is_ok_and(|selector| !selector.selects_all() && selector.matches(labels))
    }

    /// The tier that pods with these labels are in; none without the tier label.
    #[must_use]
    pub fn tier_name<'a>(&'a self, labels: &'a Labels) -> Option<&'a str> {
        match &self.spec.tier_label {
            None => Some(&self.key.name),
            Some(label) => labels.get(label).map(String::as_str).filter(|tier| !tier.is_empty()),
        }
    }

    /// What selects the pods of a tier, as in a URL; none if the selector cannot be read.
    #[must_use]
    pub fn tier_selector(&self, tier: &str) -> Option<String> {
        let own = self.selector.as_ref().ok()?.to_string();
        Some(match &self.spec.tier_label {
            Some(label) => format!("{own},{label}={tier}"),
            None => own,
        })
    }

    /// See [`PolicyEntry::tier_name`].
    pub(in crate::observe) fn tier_of(
        &self,
        labels: &Labels,
        interner: &mut Interner,
    ) -> Option<Name> {
        self.tier_name(labels).map(|tier| interner.name(tier))
    }
}
