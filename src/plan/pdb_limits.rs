//! Which pods their disruption budgets allow to evict now.

use std::sync::Arc;

use crate::observe::{Index, Labels, Name, PodId};

/// What the budgets of a pod are in the way of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// An eviction: they allow none now, or there are two, which the API server always refuses.
    pub evict: bool,
    /// An eviction with one more pod Ready, as at the end of a surge.
    pub surge: bool,
}

/// The disruption budgets of pods, looked up once for all pods with the same labels.
#[derive(Debug)]
pub struct PdbLimits<'i> {
    index: &'i Index,
    known: Vec<(Name, Arc<Labels>, Refused)>,
}

impl<'i> PdbLimits<'i> {
    pub fn new(index: &'i Index) -> Self {
        Self { index, known: Vec::new() }
    }

    /// What would be refused.
    pub fn refuse(&mut self, id: PodId) -> Refused {
        let Some(pod) = self.index.cluster().pod(id) else { return Refused::default() };
        let known = self.known.iter().find(|(namespace, labels, _)| {
            *namespace == pod.namespace && Arc::ptr_eq(labels, &pod.labels)
        });
        if let Some((.., refuse)) = known {
            return *refuse;
        }
        let mut budgets = self.index.budgets_of(pod);
        let first = budgets.next();
        let are_two = budgets.next().is_some();
        let refuse = Refused {
            evict: are_two || first.is_some_and(|budget| budget.allowed < 1),
            surge: are_two || first.is_some_and(|budget| budget.lacking > 0),
        };
        self.known.push((Name::clone(&pod.namespace), Arc::clone(&pod.labels), refuse));
        refuse
    }
}
