mod affinity;
mod resources;
mod revisions;
mod sampled;
mod spreading;
mod standings;
mod storage;
mod stories;
mod volumes;

use crate::observe::Cluster;
use crate::predict::{Ledger, Placement, Prediction, Scheduler, SchedulerCache};

/// Where a pod goes if the scheduler has its default configuration.
fn predict(cluster: &Cluster, ledger: &Ledger, pod: &Placement) -> Prediction {
    Scheduler::new(cluster, &SchedulerCache::default()).predict(ledger, pod)
}
