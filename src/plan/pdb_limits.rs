//! Which pods their disruption budgets allow to evict now.

use std::sync::Arc;

use crate::observe::{Index, Labels, Name, PodId};

/// The disruption budgets of pods, looked up once for all pods with the same labels.
#[derive(Debug)]
pub struct PdbLimits<'i> {
    index: &'i Index,
    known: Vec<(Name, Arc<Labels>, bool)>,
}

impl<'i> PdbLimits<'i> {
    pub fn new(index: &'i Index) -> Self {
        Self { index, known: Vec::new() }
    }

    /// Whether an eviction of the pod would be refused: its budget allows none
    /// now, or it has two, which the API server always refuses.
    pub fn refuse(&mut self, id: PodId) -> bool {
        let Some(pod) = self.index.cluster().pod(id) else { return false };
        let known = self.known.iter().find(|(namespace, labels, _)| {
            *namespace == pod.namespace && Arc::ptr_eq(labels, &pod.labels)
        });
        if let Some((.., refuse)) = known {
            return *refuse;
        }
        let mut budgets = self.index.budgets_of(pod);
        let first = budgets.next();
        let refuse = first.is_some_and(|budget| budget.allowed < 1) || budgets.next().is_some();
        self.known.push((Name::clone(&pod.namespace), Arc::clone(&pod.labels), refuse));
        refuse
    }
}
