//! Which nodes have lately got or lost pods, so that what was known of all nodes is brought
//! up to date by a look at those.

use std::collections::VecDeque;

use super::cluster::NodeSlot;
use crate::observe::value::generation::Generation;

/// So many changes are kept: with more it is as quick to look at all nodes.
const KEPT: usize = 1_000;

/// The nodes whose pods changed last.
#[derive(Clone, Debug, Default)]
pub(super) struct ChangedSlots {
    /// Oldest first.
    changes: VecDeque<(Generation, NodeSlot)>,
    /// The newest that is no longer kept.
    forgotten: Generation,
}

impl ChangedSlots {
    /// The pods on a node are other ones from this generation on.
    pub fn note(&mut self, generation: Generation, slot: NodeSlot) {
        if self.changes.len() >= KEPT
            && let Some((forgotten, _)) = self.changes.pop_front()
        {
            self.forgotten = forgotten;
        }
        self.changes.push_back((generation, slot));
    }

    /// The nodes that changed after that generation, some of them more than once; none if
    /// that is too long ago, or one of another cluster that was once the same.
    pub fn since(&self, generation: Generation) -> Option<impl Iterator<Item = NodeSlot>> {
        let first = if generation == self.forgotten {
            0
        } else {
            self.changes.binary_search_by_key(&generation, |(changed, _)| *changed).ok()? + 1
        };
        Some(self.changes.range(first..).map(|(_, slot)| *slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Cluster;
    use crate::observe::fixtures::{cluster, node, pod};

    fn changed(cluster: &Cluster, since: Generation) -> Option<usize> {
        Some(cluster.slots_changed_since(since)?.count())
    }

    #[test]
    fn changes_are_told_as_long_as_they_are_kept() {
        let mut cluster = cluster([node("a1")], []);
        let begun = cluster.pods_generation();
        assert_eq!(changed(&cluster, begun), Some(0));
        for _ in 0..KEPT / 2 {
            cluster.put_pod(pod("web").on("a1").build());
        }
        let later = cluster.pods_generation();
        // But for the first time the pod leaves its place before it takes it again.
        assert_eq!((changed(&cluster, begun), changed(&cluster, later)), (Some(KEPT - 1), Some(0)));
        cluster.put_pod(pod("web").on("a1").build());
        assert_eq!((changed(&cluster, begun), changed(&cluster, later)), (None, Some(2)));
    }

    #[test]
    fn what_became_of_a_copy_says_nothing_about_the_other() {
        let mut one = cluster([node("a1")], [pod("web").on("a1")]);
        let mut other = one.clone();
        let common = one.pods_generation();
        one.remove_pod("default", "web");
        other.put_pod(pod("was").on("a1").build());
        assert_eq!((changed(&one, common), changed(&other, common)), (Some(1), Some(1)));
        assert_eq!(changed(&other, one.pods_generation()), None);
        assert_eq!(changed(&one, other.pods_generation()), None);
    }
}
