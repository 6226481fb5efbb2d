//! The policies of a namespace, the oldest first, found by what they select.
//!
//! With thousands of policies in a namespace each pod event would ask them
//! all. Nearly every selector asks for the value of a label: the others are
//! the only ones that are asked of pods without it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use rustc_hash::FxHashMap;

use crate::observe::value::name::{Labels, Name};

/// A policy's place: of two the one that was made first is the older, or the
/// one whose name comes first.
pub(in crate::observe) type PolicyOrder = (Timestamp, Name);

/// Things by label and value.
type ByLabel<T> = FxHashMap<String, FxHashMap<String, T>>;

/// The policies of a namespace.
#[derive(Debug, Default)]
pub(in crate::observe) struct SelectorIndex {
    by_label: ByLabel<BTreeSet<PolicyOrder>>,
    /// Those that do not ask for the value of a label.
    others: BTreeSet<PolicyOrder>,
    known: FxHashMap<Name, (Timestamp, Option<RequiredLabel>)>,
}

/// A label and the values of it that a selector asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::observe) struct RequiredLabel {
    /// The label.
    pub label: String,
    /// Any of these.
    pub values: Vec<String>,
}

/// What a selector asks for, requirement by requirement.
pub(in crate::observe) fn required_labels(
    selector: &LabelSelector,
) -> impl Iterator<Item = RequiredLabel> {
    let equal = selector.match_labels.iter().flatten();
    let equal = equal
        .map(|(label, value)| RequiredLabel { label: label.clone(), values: vec![value.clone()] });
    let expressions = selector.match_expressions.iter().flatten();
    let any = expressions.filter(|ask| ask.operator == "In").map(|ask| {
        let mut values = ask.values.clone().unwrap_or_default();
        values.sort_unstable();
        values.dedup();
        RequiredLabel { label: ask.key.clone(), values }
    });
    equal.chain(any)
}

impl SelectorIndex {
    /// Adds a policy, under what the fewest others ask for.
    pub(in crate::observe) fn add(
        &mut self,
        name: &Name,
        created: Timestamp,
        selector: &LabelSelector,
    ) {
        let order = (created, Name::clone(name));
        let required_label = required_labels(selector).min_by_key(|required_label| {
            required_label
                .values
                .iter()
                .map(|value| self.under(&required_label.label, value))
                .sum::<usize>()
        });
        match &required_label {
            None => {
                self.others.insert(order);
            }
            Some(RequiredLabel { label, values }) => {
                let by_value = self.by_label.entry(label.clone()).or_default();
                for value in values {
                    by_value.entry(value.clone()).or_default().insert(order.clone());
                }
            }
        }
        self.known.insert(Name::clone(name), (created, required_label));
    }

    /// Removes a policy.
    pub(in crate::observe) fn remove(&mut self, name: &Name) {
        let Some((created, required_label)) = self.known.remove(name) else { return };
        let order = (created, Name::clone(name));
        let Some(RequiredLabel { label, values }) = required_label else {
            self.others.remove(&order);
            return;
        };
        let Some(by_value) = self.by_label.get_mut(&label) else { return };
        for value in values {
            if let Some(orders) = by_value.get_mut(&value) {
                orders.remove(&order);
                if orders.is_empty() {
                    by_value.remove(&value);
                }
            }
        }
        if by_value.is_empty() {
            self.by_label.remove(&label);
        }
    }

    fn under(&self, label: &str, value: &str) -> usize {
        let orders = self.by_label.get(label).and_then(|by_value| by_value.get(value));
        orders.map_or(0, BTreeSet::len)
    }

    /// What a policy is found by; none if it is asked of every pod.
    pub(in crate::observe) fn required_label(&self, name: &Name) -> Option<&RequiredLabel> {
        self.known.get(name)?.1.as_ref()
    }

    /// Whether there are none.
    pub(in crate::observe) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Every policy.
    pub(in crate::observe) fn names(&self) -> impl Iterator<Item = &Name> {
        self.known.keys()
    }

    /// Policies that may select pods with these labels, the oldest first.
    pub(in crate::observe) fn candidates(&self, labels: &Labels) -> Vec<&PolicyOrder> {
        let mut found: Vec<&PolicyOrder> = self.others.iter().collect();
        for (label, value) in labels {
            let orders = self.by_label.get(label).and_then(|by_value| by_value.get(value));
            found.extend(orders.into_iter().flatten());
        }
        found.sort_unstable();
        found
    }
}
