//! The pods and workloads of a namespace, by their labels: what a policy
//! selects is asked once for all that carry the same ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::selector_index::RequiredLabel;
use crate::observe::object::workload::WorkloadKey;
use crate::observe::store::cluster::PodId;
use crate::observe::value::name::Labels;

/// What carries the same labels.
#[derive(Debug)]
pub(in crate::observe) struct LabelSet {
    pub labels: Arc<Labels>,
    pub pods: FxHashSet<PodId>,
    /// Workloads whose pods carry them.
    pub workloads: BTreeSet<WorkloadKey>,
}

/// The address of shared labels, which their set keeps alive.
type Key = usize;

/// Everything in a namespace that carries labels.
#[derive(Debug, Default)]
pub(in crate::observe) struct LabelIndex {
    sets: FxHashMap<Key, LabelSet>,
    by_label: FxHashMap<String, FxHashMap<String, FxHashSet<Key>>>,
}

fn key(labels: &Arc<Labels>) -> Key {
    Arc::as_ptr(labels).addr()
}

impl LabelIndex {
    /// Those with these labels; `labels` must be interned.
    pub(in crate::observe) fn of(&mut self, labels: &Arc<Labels>) -> &mut LabelSet {
        let key = key(labels);
        let Self { sets, by_label } = self;
        sets.entry(key).or_insert_with(|| {
            for (label, value) in &**labels {
                // Once there, names of labels are not copied again.
                if !by_label.contains_key(label) {
                    by_label.insert(label.clone(), FxHashMap::default());
                }
                let by_value = by_label.entry(label.clone()).or_default();
                by_value.entry(value.clone()).or_default().insert(key);
            }
            LabelSet {
                labels: Arc::clone(labels),
                pods: FxHashSet::default(),
                workloads: BTreeSet::new(),
            }
        })
    }

    /// Forgets these labels if nothing carries them any more.
    pub(in crate::observe) fn drop_if_unused(&mut self, labels: &Arc<Labels>) {
        let key = key(labels);
        let is_idle = |set: &LabelSet| set.pods.is_empty() && set.workloads.is_empty();
        if !self.sets.get(&key).is_some_and(is_idle) {
            return;
        }
        self.sets.remove(&key);
        for (label, value) in &**labels {
            let Some(by_value) = self.by_label.get_mut(label) else { continue };
            if let Some(keys) = by_value.get_mut(value) {
                keys.remove(&key);
                if keys.is_empty() {
                    by_value.remove(value);
                }
            }
            if by_value.is_empty() {
                self.by_label.remove(label);
            }
        }
    }

    /// Those that carry one of the values; all of them without a required_label.
    pub(in crate::observe) fn carrying<'k>(
        &'k self,
        required_label: Option<&'k RequiredLabel>,
    ) -> Vec<&'k LabelSet> {
        let Some(RequiredLabel { label, values }) = required_label else {
            return self.sets.values().collect();
        };
        let Some(by_value) = self.by_label.get(label) else { return Vec::new() };
        let keys = values.iter().filter_map(|value| by_value.get(value)).flatten();
        keys.filter_map(|key| self.sets.get(key)).collect()
    }

    /// Whether there is nothing.
    pub(in crate::observe) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}
