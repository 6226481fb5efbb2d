//! Which pods are where: those of the cluster, less those that leave, and
//! those that are about to come.

use crate::observe::{Name, Pod, PodClass, PodId, Template};

use super::in_flight::{DeletionOrder, InFlightPods, PendingPod};
use super::plugins::inter_pod_affinity::{Reach, Tenants};
use super::plugins::node_ports;
use super::plugins::volume_limits::Holder;
use super::scheduler::Scheduler;
use super::simulation::Simulation;

impl Simulation<'_> {
    /// Counts every pod that matters to the one to be placed.
    pub(super) fn take_census(&mut self) {
        self.count_like_pods();
        self.meet_neighbours();
        self.find_claims_in_use();
        self.check_ports();
        let cluster = self.scheduler.cluster;
        let leaving: Vec<&Pod> =
            self.in_flight.evicted().filter_map(|id| cluster.pod(id)).collect();
        for pod in leaving.into_iter().filter(|pod| pod.holds_place()) {
            if let Some(row) = self.row_of(pod)
                && self.pod.outlives(pod, self.order)
            {
                self.vacate(row, &pod.template);
            }
        }
        let coming: Vec<(PendingPod, Name)> = self.in_flight.assumed().cloned().collect();
        for (pod, node) in &coming {
            self.seat(pod, node);
        }
        self.check_volume_limits();
    }

    /// The row of the node that a pod is on.
    pub(super) fn row_of(&self, pod: &Pod) -> Option<usize> {
        self.scheduler.row_of(pod.node.as_deref()?)
    }

    /// A pod is gone from a node.
    fn vacate(&mut self, row: usize, template: &Template) {
        let Self { scheduler, pod, fits, .. } = self;
        fits.change(scheduler, &pod.template, row, |usage| usage.subtract(template));
    }

    /// Counts pods for the spread constraints.
    fn count_like_pods(&mut self) {
        let Self { scheduler, pod, in_flight, spread, .. } = self;
        if !spread.counts_pods() {
            return;
        }
        for pod_class in scheduler.cluster.pod_classes_in(&pod.namespace) {
            let rows = || {
                rows(scheduler, pod_class, |id, pod| pod.is_counted() && !in_flight.is_evicted(id))
            };
            spread.count(&pod_class.labels, rows, 1);
        }
    }

    /// Counts what the pod asks of others, and they of it.
    fn meet_neighbours(&mut self) {
        let Self { scheduler, pod, order, in_flight, neighbours, .. } = self;
        let cluster = scheduler.cluster;
        let there = |id: PodId, other: &Pod| !is_gone(in_flight, pod, *order, id, other);
        let reach = neighbours.reach();
        let mut ask = |pod_class: &PodClass| {
            let rows = || rows(scheduler, pod_class, there);
            neighbours.ask(scheduler, Tenants::of(pod_class), rows, 1);
        };
        match reach {
            Reach::Nobody => {}
            Reach::OwnNamespace => cluster.pod_classes_in(&pod.namespace).for_each(&mut ask),
            Reach::AllNamespaces => cluster.pod_classes().for_each(&mut ask),
        }
        for pod_class in cluster.pod_classes_with_pod_affinity() {
            let rows = || rows(scheduler, pod_class, there);
            neighbours.answer(scheduler, pod, Tenants::of(pod_class), rows, 1);
        }
    }

    /// Counts the pods that use claims of which the pod must be the sole user.
    fn find_claims_in_use(&mut self) {
        let Self { scheduler, pod, order, in_flight, sole_use, .. } = self;
        let Some(namespace) = sole_use.namespace().cloned() else { return };
        for pod_class in scheduler.cluster.pod_classes_in(&namespace) {
            let users = pod_class.pods().iter().filter(|id| {
                let other = scheduler.cluster.pod(**id);
                other.is_some_and(|other| !is_gone(in_flight, pod, *order, **id, other))
            });
            let users = i64::try_from(users.count()).unwrap_or(i64::MAX);
            sole_use.count(&namespace, &pod_class.template, users);
        }
    }

    /// Finds the nodes that would have too many volumes.
    fn check_volume_limits(&mut self) {
        if self.volume_limits.matter() {
            self.overfull = (0..self.statics().len()).map(|row| self.is_overfull(row)).collect();
        }
    }

    /// The same for one node, after the moves in flight have changed.
    pub(super) fn recheck_volume_limits(&mut self, row: Option<usize>) {
        if let Some(row) = row.filter(|_| !self.overfull.is_empty()) {
            self.overfull[row] = self.is_overfull(row);
        }
    }

    fn is_overfull(&self, row: usize) -> bool {
        let Self { scheduler, pod, order, in_flight, .. } = self;
        let node = &scheduler.rows()[row].node.name;
        let there = scheduler.entry(row).pods.iter().filter_map(|id| {
            let other = scheduler.cluster.pod(*id)?;
            (!is_gone(in_flight, pod, *order, *id, other)).then_some(Holder {
                namespace: &other.namespace,
                name: Some(&other.name),
                template: &other.template,
            })
        });
        let coming =
            in_flight.assumed().filter(|(_, known)| known == node).map(|(other, _)| Holder {
                namespace: &other.namespace,
                name: other.name.as_ref(),
                template: &other.template,
            });
        self.volume_limits.exceeded(scheduler.cluster, node, there.chain(coming))
    }

    /// Finds the nodes where a port that the pod wants is taken.
    pub(super) fn check_ports(&mut self) {
        if !self.pod.template.host_ports.is_empty() {
            self.ports = (0..self.statics().len()).map(|row| self.has_port_conflict(row)).collect();
        }
    }

    fn has_port_conflict(&self, row: usize) -> bool {
        let Self { scheduler, pod, order, in_flight, .. } = self;
        let node = &scheduler.rows()[row].node.name;
        let there = scheduler.entry(row).pods.iter().filter_map(|id| {
            let other = scheduler.cluster.pod(*id)?;
            (!is_gone(in_flight, pod, *order, *id, other)).then_some(&other.template)
        });
        let coming = in_flight
            .assumed()
            .filter(|(_, known)| known == node)
            .map(|(coming, _)| &coming.template);
        let taken = there.chain(coming).flat_map(|template| &template.host_ports);
        node_ports::conflict(&pod.template.host_ports, taken)
    }

    /// A pod comes to a node.
    pub(super) fn seat(&mut self, newcomer: &PendingPod, node: &str) -> Option<usize> {
        let Self { scheduler, pod, spread, neighbours, fits, ports, sole_use, .. } = self;
        let row = scheduler.row_of(node)?;
        fits.change(scheduler, &pod.template, row, |usage| usage.add(&newcomer.template));
        sole_use.count(&newcomer.namespace, &newcomer.template, 1);
        if newcomer.namespace == pod.namespace {
            spread.count(&newcomer.labels, || vec![row], 1);
        }
        let tenants = Tenants::like(newcomer);
        neighbours.ask(scheduler, tenants, || vec![row], 1);
        neighbours.answer(scheduler, pod, tenants, || vec![row], 1);
        if let Some(conflict) = ports.get_mut(row) {
            *conflict |=
                node_ports::conflict(&pod.template.host_ports, &newcomer.template.host_ports);
        }
        Some(row)
    }

    /// So many pods like this one start to leave its node: one, or minus one
    /// when it does not after all. They stay where they are, unless the pod to
    /// be placed outlives them.
    pub(super) fn see_off(&mut self, leaving: &Pod, amount: i64) -> Option<usize> {
        let row = self.row_of(leaving)?;
        let Self { scheduler, pod, order, spread, neighbours, sole_use, .. } = self;
        if leaving.is_counted() && leaving.namespace == pod.namespace {
            spread.count(&leaving.labels, || vec![row], -amount);
        }
        if !leaving.holds_place() || !pod.outlives(leaving, *order) {
            return Some(row);
        }
        let tenants = Tenants {
            namespace: &leaving.namespace,
            labels: &leaving.labels,
            template: &leaving.template,
        };
        neighbours.ask(scheduler, tenants, || vec![row], -amount);
        neighbours.answer(scheduler, pod, tenants, || vec![row], -amount);
        sole_use.count(&leaving.namespace, &leaving.template, -amount);
        if amount > 0 {
            self.vacate(row, &leaving.template);
        } else {
            self.fits.change(scheduler, &self.pod.template, row, |usage| {
                usage.add(&leaving.template);
            });
        }
        if !self.ports.is_empty() {
            self.ports[row] = self.has_port_conflict(row);
        }
        self.recheck_volume_limits(Some(row));
        Some(row)
    }
}

/// Whether a pod is gone when the replacement is placed.
fn is_gone(
    in_flight: &InFlightPods,
    replacement: &PendingPod,
    order: DeletionOrder,
    id: PodId,
    pod: &Pod,
) -> bool {
    in_flight.is_evicted(id) && replacement.outlives(pod, order)
}

/// The nodes of the pods of a pod_class that `counts`, by row.
fn rows(
    scheduler: &Scheduler<'_>,
    pod_class: &PodClass,
    counts: impl Fn(PodId, &Pod) -> bool,
) -> Vec<usize> {
    pod_class
        .pods()
        .iter()
        .filter_map(|id| {
            scheduler.cluster.pod(*id).filter(|pod| counts(*id, pod))?;
            scheduler.row_of_seat(*id)
        })
        .collect()
}
