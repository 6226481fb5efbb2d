//! Which state of something this is.

use std::sync::atomic::{AtomicU64, Ordering};

/// A state of the nodes or pods of a cluster. Two of the same generation are the same,
/// also in different clusters, as in kube-scheduler (`framework.nextGeneration`); of two of
/// one cluster the greater is the newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

static LAST: AtomicU64 = AtomicU64::new(0);

impl Generation {
    /// One that was never there before. The default is that of an empty cluster.
    #[must_use]
    pub fn next() -> Self {
        // Only that it is unique matters: nothing is published by it.
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
