//! Which policies and namespaces are paused: `zonespread.io/paused: "true"` on a policy or a namespace,
//! `spec.hold` of a Zone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::PAUSED;

use super::entry::PolicyKey;
use crate::observe::value::name::Name;
use crate::observe::value::zone::Zone;
use crate::observe::zones::health::Hold;

/// What carries the mark that stops a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The policy.
    Policy,
    /// Its namespace.
    Namespace,
}

/// The policies and namespaces that are paused, and the zones that people hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    policies: BTreeSet<PolicyKey>,
    namespaces: BTreeSet<Name>,
    zones: BTreeMap<Zone, Hold>,
}

impl Pauses {
    /// What stops this policy, if anything does.
    #[must_use]
    pub fn of(&self, policy: &PolicyKey) -> Option<Pause> {
        if self.policies.contains(policy) {
            return Some(Pause::Policy);
        }
        self.namespaces.contains(&policy.namespace).then_some(Pause::Namespace)
    }

    /// The holds of zones, those included that have ended.
    #[must_use]
    pub const fn holds(&self) -> &BTreeMap<Zone, Hold> {
        &self.zones
    }

    /// Which of these zones is held now, if one is.
    pub fn held<'a>(
        &self,
        zones: impl IntoIterator<Item = &'a Zone>,
        now: Timestamp,
    ) -> Option<&'a Zone> {
        zones.into_iter().find(|zone| self.zones.get(zone).is_some_and(|hold| hold.lasts(now)))
    }

    pub(in crate::observe) fn set_holds(&mut self, holds: BTreeMap<Zone, Hold>) {
        self.zones = holds;
    }

    /// Whether this policy carries the mark.
    pub(in crate::observe) fn is_marked(&self, policy: &PolicyKey) -> bool {
        self.policies.contains(policy)
    }

    /// Whether this namespace carries the mark.
    pub(in crate::observe) fn is_namespace_marked(&self, namespace: &Name) -> bool {
        self.namespaces.contains(namespace)
    }

    pub(in crate::observe) fn mark(&mut self, policy: &PolicyKey, paused: bool) {
        if paused {
            self.policies.insert(policy.clone());
        } else {
            self.policies.remove(policy);
        }
    }

    pub(in crate::observe) fn mark_namespace(&mut self, namespace: &Name, paused: bool) {
        if paused {
            self.namespaces.insert(Name::clone(namespace));
        } else {
            self.namespaces.remove(namespace);
        }
    }
}

/// Whether an object carries the mark.
pub(in crate::observe) fn is_paused(metadata: &ObjectMeta) -> bool {
    let annotations = metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(PAUSED)).is_some_and(|value| value == "true")
}
