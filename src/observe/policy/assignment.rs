//! Which pods and workloads belong to which policy, kept up to date by what
//! changes: a pod asks the policies that may select it, a policy the labels
//! that it may select.

use std::sync::Arc;

use kube::core::SelectorExt;

use crate::api::ZoneSpreadPolicy;

use super::entry::{PolicyEntry, PolicyKey};
use super::pause::is_paused;
use super::selector_index::SelectorIndex;
use crate::observe::index::Index;
use crate::observe::object::budget::Budget;
use crate::observe::object::workload::Workload;
use crate::observe::store::cluster::PodId;
use crate::observe::value::name::{Labels, Name};

impl Index {
    /// The policies that select pods with these labels, the oldest first.
    fn selecting(&self, namespace: &Name, labels: &Labels) -> Vec<PolicyKey> {
        let Some(selector_index) = self.selector_indexes.get(namespace) else { return Vec::new() };
        let candidates = selector_index.candidates(labels).into_iter();
        let keys = candidates.map(|(_, name)| PolicyKey {
            namespace: Name::clone(namespace),
            name: Name::clone(name),
        });
        keys.filter(|key| self.policies.get(key).is_some_and(|policy| policy.selects(labels)))
            .collect()
    }

    /// A pod is there.
    pub(in crate::observe) fn add_pod(
        &mut self,
        id: PodId,
        namespace: &Name,
        labels: &Arc<Labels>,
    ) {
        let label_index = self.label_indexes.entry(Name::clone(namespace)).or_default();
        label_index.of(labels).pods.insert(id);
        self.assign(id, namespace, labels);
    }

    /// A pod is gone, or has other labels.
    pub(in crate::observe) fn drop_pod(
        &mut self,
        id: PodId,
        namespace: &Name,
        labels: &Arc<Labels>,
    ) {
        self.unassign(id, namespace, labels);
        if let Some(label_index) = self.label_indexes.get_mut(namespace) {
            label_index.of(labels).pods.remove(&id);
        }
        self.tidy(namespace, labels);
    }

    fn tidy(&mut self, namespace: &Name, labels: &Arc<Labels>) {
        if let Some(label_index) = self.label_indexes.get_mut(namespace) {
            label_index.drop_if_unused(labels);
            if label_index.is_empty() {
                self.label_indexes.remove(namespace);
            }
        }
    }

    /// Adds a pod to the tier it belongs to.
    fn assign(&mut self, id: PodId, namespace: &Name, labels: &Labels) {
        let mut owner: Option<PolicyKey> = None;
        for key in self.selecting(namespace, labels) {
            let Some(policy) = self.policies.get_mut(&key) else { continue };
            if let Some(owner) = &owner {
                policy.contested.add(id, owner);
            } else {
                match policy.tier_of(labels, &mut self.interner) {
                    Some(tier) => {
                        policy.tiers.entry(tier).or_default().insert(id);
                    }
                    None => {
                        policy.untiered.insert(id);
                    }
                }
                owner = Some(key.clone());
            }
            self.changed.policies.insert(key);
        }
    }

    /// Removes a pod from the tiers it was in.
    fn unassign(&mut self, id: PodId, namespace: &Name, labels: &Labels) {
        for (place, key) in self.selecting(namespace, labels).into_iter().enumerate() {
            let Some(policy) = self.policies.get_mut(&key) else { continue };
            if place > 0 {
                policy.contested.remove(id);
            } else if let Some(tier) = policy.tier_of(labels, &mut self.interner) {
                if let Some(pods) = policy.tiers.get_mut(&tier) {
                    pods.remove(&id);
                    if pods.is_empty() {
                        policy.tiers.remove(&tier);
                    }
                }
            } else {
                policy.untiered.remove(&id);
            }
            self.changed.policies.insert(key);
        }
    }

    /// Adds a workload to the policies that select its pods, or removes it.
    pub(in crate::observe) fn assign_workload(&mut self, workload: &Workload, is_there: bool) {
        let key = &workload.key;
        let label_index = self.label_indexes.entry(Name::clone(&key.namespace)).or_default();
        let workloads = &mut label_index.of(&workload.pod_labels).workloads;
        if is_there {
            workloads.insert(key.clone());
        } else {
            workloads.remove(key);
        }
        for policy in self.selecting(&key.namespace, &workload.pod_labels) {
            if let Some(entry) = self.policies.get_mut(&policy) {
                if is_there {
                    entry.workloads.insert(key.clone());
                } else {
                    entry.workloads.remove(key);
                }
            }
            self.changed.policies.insert(policy);
        }
        self.mark_owned(workload);
        self.tidy(&key.namespace, &workload.pod_labels);
    }

    /// Marks the policies of the pods that a workload owns: these may carry labels that its
    /// template lacks.
    fn mark_owned(&mut self, workload: &Workload) {
        let Some(selector) = &workload.selector else { return };
        let namespace = &workload.key.namespace;
        let Some(label_index) = self.label_indexes.get(namespace) else { return };
        let sets = label_index.carrying(workload.required_label.as_ref()).into_iter();
        let owned: Vec<Arc<Labels>> = sets
            .filter(|set| !set.pods.is_empty() && set.labels != workload.pod_labels)
            .filter(|set| selector.matches(&set.labels))
            .map(|set| Arc::clone(&set.labels))
            .collect();
        for labels in owned {
            self.mark_selecting(namespace, &labels);
        }
    }

    pub(in crate::observe) fn put_policy(&mut self, policy: ZoneSpreadPolicy) {
        let paused = is_paused(&policy.metadata);
        let entry = PolicyEntry::new(policy, &self.policies, &mut self.interner);
        self.pause_policy(&entry.key, paused);
        let known = self.policies.get_mut(&entry.key);
        if let Some(known) = known
            && known.uid == entry.uid
            && known.spec == entry.spec
            && known.generation == entry.generation
        {
            // Our own status writes come back here; they change no answer.
            known.status = entry.status;
            known.labels = entry.labels;
            // An annotation does not change the generation.
            if known.approve != entry.approve {
                known.approve = entry.approve;
                self.changed.policies.insert(entry.key);
            }
            return;
        }
        self.changes += 1;
        self.remove_policy(&entry.key);
        let (key, selects) = (entry.key.clone(), entry.spec.selector.clone());
        let selector_index = self.selector_indexes.entry(Name::clone(&key.namespace)).or_default();
        selector_index.add(&key.name, entry.created, &selects);
        let selected = self.selected_by(&entry);
        self.reassign(&key, selected, |index| {
            index.policies.insert(entry.key.clone(), entry);
        });
    }

    pub(in crate::observe) fn remove_policy(&mut self, key: &PolicyKey) {
        self.changed.specs = true;
        self.changed.policies.insert(key.clone());
        let Some(entry) = self.policies.get(key) else { return };
        let selected = self.selected_by(entry);
        self.reassign(key, selected, |index| {
            index.policies.remove(key);
        });
        if let Some(selector_index) = self.selector_indexes.get_mut(&key.namespace) {
            selector_index.remove(&key.name);
            if selector_index.is_empty() {
                self.selector_indexes.remove(&key.namespace);
            }
        }
    }

    /// The labels that a policy selects. Its selector_index must be known.
    fn selected_by(&self, policy: &PolicyEntry) -> Vec<Arc<Labels>> {
        let namespace = &policy.key.namespace;
        let Some(label_index) = self.label_indexes.get(namespace) else { return Vec::new() };
        let required_label = self
            .selector_indexes
            .get(namespace)
            .and_then(|all| all.required_label(&policy.key.name));
        let sets = label_index.carrying(required_label).into_iter();
        sets.filter(|set| policy.selects(&set.labels)).map(|set| Arc::clone(&set.labels)).collect()
    }

    /// Takes everything with these labels out of its policies and puts it back
    /// after the change.
    fn reassign(
        &mut self,
        policy: &PolicyKey,
        selected: Vec<Arc<Labels>>,
        change: impl FnOnce(&mut Self),
    ) {
        let namespace = &policy.namespace;
        let mut pods: Vec<(PodId, Arc<Labels>)> = Vec::new();
        let mut workloads = Vec::new();
        if let Some(label_index) = self.label_indexes.get_mut(namespace) {
            for labels in &selected {
                let set = label_index.of(labels);
                pods.extend(set.pods.iter().map(|id| (*id, Arc::clone(labels))));
                workloads.extend(set.workloads.iter().cloned());
            }
        }
        for (id, labels) in &pods {
            self.unassign(*id, namespace, labels);
        }
        change(self);
        for (id, labels) in &pods {
            self.assign(*id, namespace, labels);
        }
        if let Some(entry) = self.policies.get_mut(policy) {
            entry.workloads = workloads.into_iter().collect();
        }
    }

    /// Marks the policies of the pods that a budget protects.
    pub(in crate::observe) fn mark_protected(&mut self, budget: &Budget) {
        let Some(label_index) = self.label_indexes.get(&budget.namespace) else { return };
        let sets = label_index.carrying(budget.required_label.as_ref()).into_iter();
        let protected: Vec<Arc<Labels>> = sets
            .filter(|set| budget.protects(&set.labels))
            .map(|set| Arc::clone(&set.labels))
            .collect();
        for labels in protected {
            self.mark_selecting(&budget.namespace, &labels);
        }
    }

    /// Marks all policies of a namespace.
    pub(in crate::observe) fn mark_namespace(&mut self, namespace: &Name) {
        let names = self.selector_indexes.get(namespace).into_iter().flat_map(SelectorIndex::names);
        let keys = names
            .map(|name| PolicyKey { namespace: Name::clone(namespace), name: Name::clone(name) });
        self.changed.policies.extend(keys);
    }

    /// Marks the policies that select pods with these labels.
    pub(in crate::observe) fn mark_selecting(&mut self, namespace: &Name, labels: &Labels) {
        let keys = self.selecting(namespace, labels);
        self.changed.policies.extend(keys);
    }
}

#[cfg(test)]
#[path = "assignment_tests.rs"]
mod tests;
