//! Which pods the API server would let go now.

use std::sync::Arc;

use crate::observe::{Index, Labels, Name, PodId};

/// The disruption budgets of pods, asked once for all that carry the same labels.
#[derive(Debug)]
pub struct BudgetsOf<'i> {
    index: &'i Index,
    known: Vec<(Name, Arc<Labels>, bool)>,
}

impl<'i> BudgetsOf<'i> {
    pub fn new(index: &'i Index) -> Self {
        Self { index, known: Vec::new() }
    }

    /// Whether an eviction of the pod would be refused: its budget allows none
    /// now, or it has two, which the API never accepts.
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
