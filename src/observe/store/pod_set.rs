//! Some of the pods, a bit for each.

use super::cluster::PodId;

/// Some of the pods of an index; for 150,000 of them it takes 19 kB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSet(Vec<u64>);

impl PodSet {
    /// Adds a pod.
    pub fn insert(&mut self, id: PodId) {
        let (word, bit) = place(id);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(word) {
            *bits |= bit;
        }
    }

    /// Whether a pod is one of them.
    #[must_use]
    pub fn contains(&self, id: PodId) -> bool {
        let (word, bit) = place(id);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const fn place(id: PodId) -> (usize, u64) {
    (id.index() / 64, 1 << (id.index() % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let mut set = PodSet::default();
        assert!(set.is_empty() && !set.contains(PodId::at(0)));
        for index in [0, 63, 64, 1_000] {
            set.insert(PodId::at(index));
        }
        let held: Vec<usize> = (0..2_000).filter(|at| set.contains(PodId::at(*at))).collect();
        assert_eq!(held, [0, 63, 64, 1_000]);
        assert!(!set.is_empty());
    }
}
