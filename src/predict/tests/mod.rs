mod affinity;
mod influence;
mod node_classes;
mod preemption;
mod reach;
mod replacements;
mod reserved;
mod resizes;
mod resources;
mod revisions;
mod sampled;
mod spreading;
mod storage;
mod stories;
mod supposition;
mod versions;
mod volumes;

use crate::observe::Cluster;
use crate::predict::{InFlightPods, PendingPod, Prediction, Scheduler, SchedulerCache};

/// Where a pod goes if the scheduler has its default configuration.
fn predict(cluster: &Cluster, in_flight: &InFlightPods, pod: &PendingPod) -> Prediction {
    Scheduler::new(cluster, &SchedulerCache::default()).predict(in_flight, pod)
}
