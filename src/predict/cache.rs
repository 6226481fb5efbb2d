//! What the scheduler keeps between one pod and the next.
//!
//! kube-scheduler takes a snapshot of its cache for each pod and copies only the nodes
//! whose generation is newer (`pkg/scheduler/backend/cache`, `UpdateSnapshot`). Here the
//! cluster counts generations too. When nodes have changed, all is made anew; when pods have,
//! only what is known of the nodes that they were on.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::observe::{Cluster, Generation, PodId};

use super::classes::node_classes::{Common, NodeClasses};
use super::config::SchedulerConfig;
use super::plugins::resource_fits::{FitKey, ResourceFit};
use super::snapshot::{Snapshot, held, keep};
use super::version::SchedulerVersion;

/// How the cluster's scheduler is configured, and what simulations share. May be used
/// from several threads, and with any cluster: it is emptied by what has changed.
#[derive(Debug, Default)]
pub struct SchedulerCache {
    config: SchedulerConfig,
    current: Mutex<Arc<Shared>>,
}

impl SchedulerCache {
    /// An empty one for a scheduler that is configured like this.
    #[must_use]
    pub fn new(config: SchedulerConfig) -> Self {
        Self { config, current: Mutex::default() }
    }

    /// How the scheduler is configured.
    #[must_use]
    pub const fn config(&self) -> &SchedulerConfig {
        &self.config
    }

    /// The scheduler is of this version from now on.
    pub fn set_version(&mut self, version: SchedulerVersion) {
        if self.config.version != version {
            self.config.version = version;
            self.current = Mutex::default();
        }
    }

    /// What is known of the cluster as it is now.
    pub(super) fn current(&self, cluster: &Cluster) -> Arc<Shared> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (nodes, pods) = (cluster.nodes_generation(), cluster.pods_generation());
        if current.nodes != nodes || current.pods != pods {
            *current = Arc::new(if current.nodes == nodes {
                current.renewed(pods)
            } else {
                Shared { nodes, pods, ..Shared::default() }
            });
        }
        Arc::clone(&current)
    }
}

/// What simulations for one cluster share; each part is made when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Shared {
    nodes: Generation,
    pods: Generation,
    snapshot: OnceLock<Arc<Snapshot>>,
    expendable: OnceLock<Vec<(PodId, usize)>>,
    fits: Mutex<Vec<(FitKey, KnownFits)>>,
    node_classes: Mutex<Vec<(Common, KnownClasses)>>,
}

/// The nodes' room, as far as it was known when the pods were of this generation.
pub(super) type KnownFits = (Generation, Arc<[ResourceFit]>);

/// The nodes by kind, and the room from which that was made.
pub(super) type KnownClasses = (Arc<[ResourceFit]>, Arc<NodeClasses>);

impl Shared {
    /// What is known of these nodes, while the pods are of this generation: nothing else yet.
    pub(super) fn of(snapshot: &Arc<Snapshot>, pods: Generation) -> Self {
        Self { pods, snapshot: OnceLock::from(Arc::clone(snapshot)), ..Self::default() }
    }

    /// The pods are of this generation from now on.
    pub(super) const fn renew(&mut self, pods: Generation) {
        self.pods = pods;
    }

    /// The same when the pods are of this generation.
    pub(super) fn renewed(&self, pods: Generation) -> Self {
        Self {
            nodes: self.nodes,
            pods,
            snapshot: self.snapshot.clone(),
            fits: Mutex::new(held(&self.fits).clone()),
            node_classes: Mutex::new(held(&self.node_classes).clone()),
            expendable: OnceLock::new(),
        }
    }

    pub(super) fn snapshot(&self, cluster: &Cluster) -> &Arc<Snapshot> {
        self.snapshot.get_or_init(|| Arc::new(Snapshot::new(cluster)))
    }

    /// Pods of negative priority, and the rows of their nodes.
    pub(super) fn expendable(&self, cluster: &Cluster) -> &[(PodId, usize)] {
        self.expendable.get_or_init(|| {
            let negative = cluster.pod_classes().filter(|pods| pods.template.priority < 0);
            let snapshot = self.snapshot(cluster);
            let pods = negative.flat_map(|pods| pods.pods().iter().copied());
            pods.filter_map(|id| Some((id, snapshot.row_of_slot(cluster.slot_of(id)?)?))).collect()
        })
    }

    /// Which nodes have room for pods that ask for this; `renew` makes it, from what was
    /// known before if that is of other pods.
    pub(super) fn fits(
        &self,
        key: FitKey,
        renew: impl FnOnce(Option<KnownFits>) -> Arc<[ResourceFit]>,
    ) -> Arc<[ResourceFit]> {
        let is_current = |(pods, _): &KnownFits| *pods == self.pods;
        let (_, fits) = renewed(&self.fits, key, is_current, |known| (self.pods, renew(known)));
        fits
    }

    /// The nodes by kind for pods that see them like this and have this room; `renew` makes
    /// them, from those for other room if there are any.
    pub(super) fn node_classes(
        &self,
        common: Common,
        fits: &Arc<[ResourceFit]>,
        renew: impl FnOnce(Option<KnownClasses>) -> Arc<NodeClasses>,
    ) -> Arc<NodeClasses> {
        let is_current = |(known, _): &KnownClasses| Arc::ptr_eq(known, fits);
        let renew = |known| (Arc::clone(fits), renew(known));
        let (_, node_classes) = renewed(&self.node_classes, common, is_current, renew);
        node_classes
    }
}

/// What is kept for a key if that is current, or what `renew` makes of it or of nothing,
/// kept from now on.
fn renewed<K: PartialEq, V: Clone>(
    kept: &Mutex<Vec<(K, V)>>,
    key: K,
    is_current: impl FnOnce(&V) -> bool,
    renew: impl FnOnce(Option<V>) -> V,
) -> V {
    let known = held(kept).iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone());
    if let Some(current) = known.as_ref().filter(|known| is_current(known)) {
        return current.clone();
    }
    let value = renew(known);
    // The newest is the last, and the oldest goes when there are too many.
    held(kept).retain(|(known, _)| *known != key);
    keep(kept, (key, value.clone()));
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixtures::{node, pod};

    fn made(cluster: &mut Cluster, cache: &SchedulerCache) -> Arc<Shared> {
        let current = cache.current(cluster);
        current.snapshot(cluster);
        current
    }

    #[test]
    fn only_what_changed_is_made_again() {
        let cache = SchedulerCache::default();
        let mut cluster = Cluster::default();
        cluster.put_node(node("a1").zone("a").build());
        let first = made(&mut cluster, &cache);
        assert!(Arc::ptr_eq(&first, &made(&mut cluster, &cache)), "nothing changed");

        cluster.put_pod(pod("web").on("a1").build());
        let after_pod = made(&mut cluster, &cache);
        assert!(!Arc::ptr_eq(&first, &after_pod), "pods changed");
        assert!(Arc::ptr_eq(first.snapshot(&cluster), after_pod.snapshot(&cluster)));

        cluster.put_node(node("b1").zone("b").build());
        let after_node = made(&mut cluster, &cache);
        assert!(!Arc::ptr_eq(first.snapshot(&cluster), after_node.snapshot(&cluster)));
        assert_eq!(after_node.snapshot(&cluster).rows().len(), 2);
    }

    #[test]
    fn one_cache_tells_clusters_apart() {
        let cache = SchedulerCache::default();
        let mut clusters = ["a1", "b1"].map(|name| {
            let mut cluster = Cluster::default();
            cluster.put_node(node(name).build());
            cluster
        });
        for name in ["a1", "b1", "a1"] {
            let cluster = clusters.iter_mut().find(|cluster| cluster.node(name).is_some()).unwrap();
            assert_eq!(made(cluster, &cache).snapshot(cluster).row_of(name), Some(0));
        }
    }
}
