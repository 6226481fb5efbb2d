//! Who has been told to wait: `zonespread.io/paused: "true"` on a policy or a namespace.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::PAUSED;

use super::entry::PolicyKey;
use crate::observe::value::name::Name;

/// What carries the mark that stops a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The policy.
    Policy,
    /// Its namespace.
    Namespace,
}

/// The policies and namespaces that are paused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    policies: BTreeSet<PolicyKey>,
    namespaces: BTreeSet<Name>,
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
