//! The cluster once a zone is lost: which pods go, and which of them somebody re-creates.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::observe::{
    Cluster, Name, Node, Pod, PodId, PodPhase, Taint, TaintEffect, WorkloadKind, Zone,
};

use super::Phase;
use super::workloads::{Workloads, is_bound_to_its_node};

/// What the node lifecycle controller writes on a node whose kubelet is silent.
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// A cluster that has lost a zone.
#[derive(Debug)]
pub(super) struct Lost {
    /// The cluster then, before anything is placed.
    pub cluster: Cluster,
    /// The zone.
    pub zone: Zone,
    /// Pods that the scheduler has to place, and the workloads that they are of: the first
    /// is placed first. Those that waited before are among them.
    pub to_place: Vec<(usize, Pod)>,
    /// Pods that nobody re-creates in this phase, by workload.
    pub absent: FxHashMap<usize, usize>,
    /// Whether lost nodes are still there.
    pub phase: Phase,
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
            cluster: cluster.clone(),
            zone: zone.clone(),
            to_place: Vec::new(),
            absent: FxHashMap::default(),
            phase,
        };
        for (node, entry) in cluster.nodes() {
            if node.zone.as_ref() != Some(zone) {
                continue;
            }
            for id in &entry.pods {
                lost.lose_pod(cluster, workloads, *id);
            }
            lost.lose_node(node);
        }
        let waits =
            |pod: &Pod| pod.node.is_none() && !pod.terminating && pod.phase == PodPhase::Pending;
        for (id, pod) in cluster.pods().filter(|(_, pod)| waits(pod)) {
            if let Some(at) = workloads.of_pod(id) {
                lost.to_place.push((at, pod.clone()));
            }
        }
        // As the scheduler's queue sorts them; those of one workload stay together, by node.
        lost.to_place.sort_by(|(one, a), (other, b)| {
            let owner = |pod: &Pod| pod.owner.as_ref().map(|owner| Name::clone(&owner.uid));
            let key = |at: &usize, pod: &Pod| {
                let node = pod.node.clone().filter(|_| phase == Phase::Unreachable);
                (Reverse(pod.template.priority), *at, owner(pod), node, pod.name.len())
            };
            key(one, a).cmp(&key(other, b)).then_with(|| a.name.cmp(&b.name))
        });
        lost
    }

    fn lose_pod(&mut self, before: &Cluster, workloads: &Workloads, id: PodId) {
        let Some(pod) = before.pod(id) else { return };
        let fate = self.fate(pod);
        if !matches!(fate, Fate::Stays) {
            match (self.phase, &fate) {
                (Phase::Gone, _) => drop(self.cluster.remove_pod(&pod.namespace, &pod.name)),
                // It goes when its node's turn comes: see `Placements`.
                (Phase::Unreachable, Fate::IsReplaced) => {}
                (Phase::Unreachable, _) => self.terminate(pod),
            }
        }
        // A pod that terminates already is replaced already.
        let Some(at) = workloads.of_pod(id) else { return };
        match fate {
            Fate::IsReplaced => self.to_place.push((at, pod.clone())),
            Fate::Stays | Fate::IsMissing => *self.absent.entry(at).or_default() += 1,
        }
    }

    /// The pod terminates, and nobody on its node lets it go.
    pub(super) fn terminate(&mut self, pod: &Pod) {
        self.cluster.put_pod(Pod { terminating: true, ..pod.clone() });
    }

    fn fate(&self, pod: &Pod) -> Fate {
        let Some(owner) = &pod.owner else {
            return if self.phase == Phase::Gone {
                Fate::IsMissing
            } else {
                stays_or(pod, Fate::IsMissing)
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
        stays_or(pod, if keeps_name { Fate::IsMissing } else { Fate::IsReplaced })
    }

    fn lose_node(&mut self, node: &Node) {
        if self.phase == Phase::Gone {
            self.cluster.remove_node(&node.name);
            return;
        }
        let mut silent = Node { ready: false, ..node.clone() };
        for effect in [TaintEffect::NoSchedule, TaintEffect::NoExecute] {
            let taint = unreachable(effect);
            if !silent.taints.contains(&taint) {
                silent.taints.push(taint);
            }
        }
        self.cluster.put_node(silent);
    }
}

fn unreachable(effect: TaintEffect) -> Taint {
    Taint { key: Name::from(UNREACHABLE), value: Name::from(""), effect }
}

/// A pod that bears the taint for ever is never deleted from its silent node.
fn stays_or(pod: &Pod, fate: Fate) -> Fate {
    let taint = unreachable(TaintEffect::NoExecute);
    let mut tolerations = pod.template.tolerations.iter();
    let stays = tolerations.any(|own| own.bears(&taint) && own.seconds.is_none());
    if stays { Fate::Stays } else { fate }
}
