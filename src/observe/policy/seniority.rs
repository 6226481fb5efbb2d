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
pub(in crate::observe) type Rank = (Timestamp, Name);

/// Things by label and value.
type ByLabel<T> = FxHashMap<String, FxHashMap<String, T>>;

/// The policies of a namespace.
#[derive(Debug, Default)]
pub(in crate::observe) struct Seniority {
    by_label: ByLabel<BTreeSet<Rank>>,
    /// Those that do not ask for the value of a label.
    others: BTreeSet<Rank>,
    known: FxHashMap<Name, (Timestamp, Option<Hook>)>,
}

/// A label and the values of it that a selector asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::observe) struct Hook {
    /// The label.
    pub label: String,
    /// Any of these.
    pub values: Vec<String>,
}

/// What a selector asks for, requirement by requirement.
pub(in crate::observe) fn hooks(selector: &LabelSelector) -> impl Iterator<Item = Hook> {
    let equal = selector.match_labels.iter().flatten();
    let equal =
        equal.map(|(label, value)| Hook { label: label.clone(), values: vec![value.clone()] });
    let expressions = selector.match_expressions.iter().flatten();
    let any = expressions.filter(|ask| ask.operator == "In").map(|ask| {
        let mut values = ask.values.clone().unwrap_or_default();
        values.sort_unstable();
        values.dedup();
        Hook { label: ask.key.clone(), values }
    });
    equal.chain(any)
}

impl Seniority {
    /// Adds a policy, under what the fewest others ask for.
    pub(in crate::observe) fn add(
        &mut self,
        name: &Name,
        created: Timestamp,
        selector: &LabelSelector,
    ) {
        let rank = (created, Name::clone(name));
        let hook = hooks(selector).min_by_key(|hook| {
            hook.values.iter().map(|value| self.under(&hook.label, value)).sum::<usize>()
        });
        match &hook {
            None => {
                self.others.insert(rank);
            }
            Some(Hook { label, values }) => {
                let by_value = self.by_label.entry(label.clone()).or_default();
                for value in values {
                    by_value.entry(value.clone()).or_default().insert(rank.clone());
                }
            }
        }
        self.known.insert(Name::clone(name), (created, hook));
    }

    /// Removes a policy.
    pub(in crate::observe) fn remove(&mut self, name: &Name) {
        let Some((created, hook)) = self.known.remove(name) else { return };
        let rank = (created, Name::clone(name));
        let Some(Hook { label, values }) = hook else {
            self.others.remove(&rank);
            return;
        };
        let Some(by_value) = self.by_label.get_mut(&label) else { return };
        for value in values {
            if let Some(ranks) = by_value.get_mut(&value) {
                ranks.remove(&rank);
                if ranks.is_empty() {
                    by_value.remove(&value);
                }
            }
        }
        if by_value.is_empty() {
            self.by_label.remove(&label);
        }
    }

    fn under(&self, label: &str, value: &str) -> usize {
        let ranks = self.by_label.get(label).and_then(|by_value| by_value.get(value));
        ranks.map_or(0, BTreeSet::len)
    }

    /// What a policy is found by; none if it is asked of every pod.
    pub(in crate::observe) fn hook(&self, name: &Name) -> Option<&Hook> {
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
    pub(in crate::observe) fn candidates(&self, labels: &Labels) -> Vec<&Rank> {
        let mut found: Vec<&Rank> = self.others.iter().collect();
        for (label, value) in labels {
            let ranks = self.by_label.get(label).and_then(|by_value| by_value.get(value));
            found.extend(ranks.into_iter().flatten());
        }
        found.sort_unstable();
        found
    }
}
