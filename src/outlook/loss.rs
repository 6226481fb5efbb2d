//! The cluster once a zone is lost: which pods go, and which of them somebody re-creates.

use std::cmp::Reverse;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::observe::{
    Cluster, Name, Node, Pod, PodId, PodPhase, PodSet, Taint, TaintEffect, WorkloadKind, Zone,
};
use crate::predict::{PlacedPods, Supposition};

use super::Phase;
use super::workloads::{Workloads, is_bound_to_its_node};

/// What the node lifecycle controller writes on a node whose kubelet is silent.
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// A pod that the scheduler has to place.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToPlace {
    priority: i32,
    /// Those that ask for as much as each other have one number: see [`Lost::of`].
    size: u32,
    /// The number of its workload.
    pub workload: u32,
    pub pod: PodId,
}

/// A cluster that has lost a zone.
#[derive(Debug)]
pub(super) struct Lost {
    /// What the scheduler sees of the cluster then, before anything is placed.
    pub supposition: Supposition,
    /// The zone.
    pub zone: Zone,
    /// Pods that the scheduler has to place: the first is placed first. Those that waited
    /// before are among them.
    pub to_place: Vec<ToPlace>,
    /// Pods that nobody re-creates in this phase, by workload.
    pub absent: FxHashMap<usize, usize>,
    /// Whether lost nodes are still there.
    pub phase: Phase,
    /// What evicts the pods of a silent node.
    no_execute: Taint,
}

/// What becomes of a pod on a lost node.
enum Fate {
    /// It stays on its node, as far as the API server knows.
    Stays,
    /// It terminates or is deleted, and its controller makes another.
    IsReplaced,
    /// It terminates or is deleted, and that is all.
    IsMissing,
}

impl Lost {
    pub(super) fn of(cluster: &Cluster, workloads: &Workloads, zone: &Zone, phase: Phase) -> Self {
        let mut lost = Self {
            supposition: Supposition::new(cluster, |node| seen(node, zone, phase)),
            zone: zone.clone(),
            to_place: Vec::new(),
            absent: FxHashMap::default(),
            phase,
            no_execute: unreachable(TaintEffect::NoExecute),
        };
        let mut sizes = FxHashMap::default();
        for (at, workload) in workloads.iter() {
            if workload.waiting > 0 || workload.in_zone(zone) > 0 {
                lost.lose_pods(cluster, at, &workload.pods, &mut sizes);
            }
        }
        // As the scheduler's queue sorts them. Of one priority they come in the order of
        // their creation, which is a matter of chance: by workload, and those of one size
        // together, since what is known of the room for one holds for the next.
        lost.to_place.sort_by_key(|known| (Reverse(known.priority), known.size));
        lost
    }

    /// The pods of all other workloads are where they were placed before.
    pub(super) fn keep(&mut self, cluster: &Cluster, workloads: &Workloads, kept: Vec<PlacedPods>) {
        for placed in kept {
            self.supposition.place(placed);
        }
        if self.phase == Phase::Gone {
            return;
        }
        let mut own = PodSet::default();
        for (_, workload) in workloads.iter() {
            workload.pods.iter().for_each(|id| own.insert(*id));
        }
        for (node, entry) in cluster.nodes() {
            if node.zone.as_ref() != Some(&self.zone) {
                continue;
            }
            for id in entry.pods.iter().filter(|id| !own.contains(**id)) {
                let pod = cluster.pod(*id);
                if pod.is_some_and(|pod| !matches!(self.fate(pod), Fate::Stays)) {
                    self.supposition.terminate(*id);
                }
            }
        }
    }

    /// Those of a workload's pods that are in the zone are lost; those that wait are to be
    /// placed as well.
    fn lose_pods(
        &mut self,
        cluster: &Cluster,
        at: usize,
        pods: &[PodId],
        sizes: &mut FxHashMap<(i64, i64), u32>,
    ) {
        let mut own: Vec<(PodId, &Pod)> = Vec::new();
        for id in pods {
            let Some(pod) = cluster.pod(*id) else { continue };
            if cluster.slot_of(*id).is_none() {
                if pod.node.is_none() && pod.phase == PodPhase::Pending {
                    own.push((*id, pod));
                }
                continue;
            }
            if cluster.zone_of_slot(*id) != Some(&self.zone) {
                continue;
            }
            match self.fate(pod) {
                // In the first phase it goes when its node's turn comes: see `Placements`.
                Fate::IsReplaced => own.push((*id, pod)),
                Fate::IsMissing => {
                    self.supposition.terminate(*id);
                    *self.absent.entry(at).or_default() += 1;
                }
                Fate::Stays => *self.absent.entry(at).or_default() += 1,
            }
        }
        own.sort_by(|(_, a), (_, b)| self.place_in_line(a).cmp(&self.place_in_line(b)));
        let workload = u32::try_from(at).unwrap_or(u32::MAX);
        self.to_place.extend(own.into_iter().map(|(id, pod)| {
            let asked = &pod.template.requests;
            let next = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
            let size = *sizes.entry((asked.cpu_milli, asked.memory)).or_insert(next);
            ToPlace { priority: pod.template.priority, size, workload, pod: id }
        }));
    }

    /// What sorts the pods of a workload: those of one owner and node follow each other.
    fn place_in_line<'p>(&self, pod: &'p Pod) -> impl Ord + use<'p> {
        let owner = pod.owner.as_ref().map(|owner| &owner.uid);
        let node = pod.node.as_ref().filter(|_| self.phase == Phase::Unreachable);
        (Reverse(pod.template.priority), owner, node, pod.name.len(), &pod.name)
    }

    fn fate(&self, pod: &Pod) -> Fate {
        let Some(owner) = &pod.owner else {
            return if self.phase == Phase::Gone {
                Fate::IsMissing
            } else {
                self.stays_or(pod, Fate::IsMissing)
            };
        };
        if is_bound_to_its_node(pod) {
            return if self.phase == Phase::Gone { Fate::IsMissing } else { Fate::Stays };
        }
        if self.phase == Phase::Gone {
            return Fate::IsReplaced;
        }
        // Its name is taken until it is gone, and nobody on the silent node lets it go.
        let keeps_name = &*owner.kind == WorkloadKind::StatefulSet.as_str();
        self.stays_or(pod, if keeps_name { Fate::IsMissing } else { Fate::IsReplaced })
    }

    /// A pod that bears the taint for ever is never deleted from its silent node.
    fn stays_or(&self, pod: &Pod, fate: Fate) -> Fate {
        let mut tolerations = pod.template.tolerations.iter();
        let stays = tolerations.any(|own| own.bears(&self.no_execute) && own.seconds.is_none());
        if stays { Fate::Stays } else { fate }
    }
}

/// What is left of a node; none if it is gone.
fn seen(node: &Arc<Node>, lost: &Zone, phase: Phase) -> Option<Arc<Node>> {
    if node.zone.as_ref() != Some(lost) {
        return Some(Arc::clone(node));
    }
    if phase == Phase::Gone {
        return None;
    }
    let mut silent = Node { ready: false, ..Node::clone(node) };
    for effect in [TaintEffect::NoSchedule, TaintEffect::NoExecute] {
        let taint = unreachable(effect);
        if !silent.taints.contains(&taint) {
            silent.taints.push(taint);
        }
    }
    Some(Arc::new(silent))
}

fn unreachable(effect: TaintEffect) -> Taint {
    Taint { key: Name::from(UNREACHABLE), value: Name::from(""), effect }
}
