//! The whole answer: every node, and what speaks for or against it.

use crate::observe::{Name, TaintEffect};

use super::plugins::{taints, volume_limits};
use super::simulation::{FilterFailure, Simulation};
use super::{Landing, NodeScore, Prediction, Rejection};

impl Simulation<'_> {
    /// Where the pod would land now, and why there; without [`Landing::zone_probability`],
    /// which take longer than all the rest.
    #[must_use]
    pub fn explain(&self) -> Prediction {
        let rejections = self.rejections();
        let Some(best) = self.best_in_full() else {
            return Prediction::Pending(rejections);
        };
        Prediction::Lands(Landing {
            nodes: best.nodes,
            zones: best.zones,
            certain: best.certain,
            zone_probability: Vec::new(),
            rejections,
            scores: self.node_scores(),
        })
    }

    fn rejections(&self) -> Vec<Rejection> {
        let floors = self.spread.floors();
        let rows = self.scheduler.rows().iter().enumerate();
        rows.filter_map(|(at, row)| {
            let failure = self.failure(&floors, at)?;
            Some(Rejection {
                node: Name::clone(&row.node.name),
                zone: row.node.zone.clone(),
                plugin: failure.plugin,
                message: failure.message.into_owned(),
            })
        })
        .collect()
    }

    fn node_scores(&self) -> Vec<NodeScore> {
        let scores = self.scores(self.feasible());
        let rows = scores.feasible.rows().enumerate();
        rows.map(|(at, row)| {
            let node = &self.scheduler.rows()[row].node;
            NodeScore {
                node: Name::clone(&node.name),
                zone: node.zone.clone(),
                total: scores.totals[at],
                by_plugin: scores
                    .by_plugin
                    .iter()
                    .map(|(plugin, scores)| (*plugin, scores[at]))
                    .collect(),
                note: self.note(row),
            }
        })
        .collect()
    }

    /// The first filter that rejects the node, in the scheduler's order.
    fn failure(&self, floors: &[i64], at: usize) -> Option<FilterFailure> {
        let statics = self.statics()[at];
        if let Some(unschedulable_everywhere) =
            self.unschedulable_everywhere.clone().or_else(|| self.sole_use.failure())
        {
            return Some(unschedulable_everywhere);
        }
        if statics.cordoned {
            return Some(FilterFailure::new("NodeUnschedulable", "node(s) were unschedulable"));
        }
        if !statics.tolerated {
            return Some(FilterFailure::new("TaintToleration", self.untolerated(at)));
        }
        if !statics.matched {
            return Some(FilterFailure::new(
                "NodeAffinity",
                "node(s) didn't match Pod's node affinity/selector",
            ));
        }
        if self.ports.get(at).copied().unwrap_or(false) {
            return Some(FilterFailure::new(
                "NodePorts",
                "node(s) didn't have free ports for the requested pod ports",
            ));
        }
        let node = &self.scheduler.rows()[at].node;
        let shortages: Vec<String> = self
            .fits
            .usage(self.scheduler, at)
            .shortages(&self.pod.template, node, self.scheduler.entry(at))
            .map(|shortage| shortage.to_string())
            .collect();
        if !shortages.is_empty() {
            return Some(FilterFailure::new("NodeResourcesFit", shortages.join(", ")));
        }
        if self.overfull.get(at).copied().unwrap_or(false) {
            return Some(FilterFailure::new("NodeVolumeLimits", volume_limits::EXCEEDED));
        }
        if let Some(failure) = self.volumes.get(at).and_then(Option::as_ref) {
            return Some(failure.clone());
        }
        let spread = self.spread.failure(floors, at);
        if let Some(message) = spread {
            return Some(FilterFailure::new("PodTopologySpread", message));
        }
        let neighbours = self.neighbours.failure(self.scheduler, at);
        neighbours.map(|message| FilterFailure::new("InterPodAffinity", message))
    }

    /// The scheduler's words, and the taint.
    fn untolerated(&self, row: usize) -> String {
        let node = &self.scheduler.rows()[row].node;
        match taints::first_untolerated(&self.pod.template, node) {
            Some(taint) => {
                format!("node(s) had untolerated taint(s) {{{}: {}}}", taint.key, taint.value)
            }
            None => "node(s) had untolerated taint(s)".to_owned(),
        }
    }

    /// What took points from the node.
    fn note(&self, row: usize) -> Option<String> {
        let node = &self.scheduler.rows()[row].node;
        let taint = taints::avoided(&self.pod.template, node).next()?;
        let effect = TaintEffect::PreferNoSchedule.as_str();
        Some(if taint.value.is_empty() {
            format!("untolerated taint {}:{effect}", taint.key)
        } else {
            format!("untolerated taint {}={}:{effect}", taint.key, taint.value)
        })
    }
}
