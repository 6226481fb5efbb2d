//! The whole answer: every node, and what speaks for or against it.

use std::collections::BTreeSet;

use crate::observe::{Name, Zone};

use super::classes::node_classes::Candidates;
use super::plugins::{FilterFailure, Plugin, taint_toleration};
use super::sampling::bounds::Scored;
use super::simulation::{Assumption, Best, Simulation};
use super::{Landing, NodeScore, Prediction, Rejection, Unless};

/// What may be before 1.35, for a human, after "if".
const UNSEEN: &str =
    "kube-scheduler does not know of the eviction yet, which may be before Kubernetes 1.35";

/// What is so mostly.
const SEEN: &str = "kube-scheduler knows of the eviction by then, as it mostly does";

/// What keeps a pod Pending: of the nodes that come closest to taking it, which filter
/// rejects them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// The last filter that rejects any node.
    pub plugin: Plugin,
    /// What it says of the first of them, in the scheduler's words.
    pub message: String,
}

impl Simulation<'_> {
    /// What rejects the nodes outside of this zone, if they all are rejected.
    #[must_use]
    pub fn hindrance(&self, ignored: &Zone) -> Option<Hindrance> {
        let rows = self.cycle.scheduler.rows().iter().enumerate();
        let mut last: Option<(Plugin, usize)> = None;
        for (at, _) in rows.filter(|(_, row)| row.node.zone.as_ref() != Some(ignored)) {
            let plugin = self.rejects(at)?;
            if last.is_none_or(|(known, _)| known < plugin) {
                last = Some((plugin, at));
            }
            // No filter that comes later has anything to say.
            if plugin == self.state.last_filter() {
                break;
            }
        }
        let (plugin, at) = last?;
        let message = self.failure(at)?.message.into_owned();
        Some(Hindrance { plugin, message })
    }

    /// Every node that can take the pod.
    pub(super) fn feasible(&self) -> Candidates {
        Candidates::alone(self.cycle.rows().filter(|row| self.can_take(*row)))
    }

    /// The first of the nodes that tie for best; none when no node can take the pod.
    #[must_use]
    pub fn first_of_best(&self) -> Option<Name> {
        self.best_naming(1)?.nodes.into_iter().next()
    }

    /// The first filter that rejects the node.
    fn rejects(&self, row: usize) -> Option<Plugin> {
        let everywhere = self.state.unschedulable_everywhere.as_ref();
        everywhere.map(|failure| failure.plugin).or_else(|| {
            let mut plugins = Plugin::ALL.into_iter();
            plugins.find(|plugin| self.state.filter(&self.cycle, *plugin, row).is_some())
        })
    }

    /// Where the pod would land now, and why there; without [`Landing::zone_probability`],
    /// which take longer than all the rest.
    #[must_use]
    pub fn explain(&self) -> Prediction {
        let rejections = self.rejections();
        let Some(best) = self.best_in_full() else {
            return Prediction::Pending(rejections);
        };
        let mut landing = Landing {
            nodes: best.nodes,
            zones: best.zones,
            certain: best.certain,
            unless: None,
            preempts: best.preempts,
            zone_probability: Vec::new(),
            rejections,
            scores: self.node_scores(),
        };
        if let Some(unseen) = self.unseen().filter(|_| !landing.certain) {
            landing.unless = self.unless_seen(unseen);
        }
        for (assumption, variant) in &self.variants {
            landing.or_if(*assumption, variant.explain());
        }
        Prediction::Lands(landing)
    }

    /// What becomes of the pod if it is placed before its eviction is seen, if that is
    /// something else.
    fn unless_seen(&self, unseen: &Self) -> Option<Box<Unless>> {
        let zones = |best: &Option<Best>| best.clone().map(|best| (best.zones, best.unzoned));
        let (seen, other) = (self.best_alone(), unseen.best_alone());
        if zones(&seen) == zones(&other) {
            return None;
        }
        // It is the landing that is told, and it lands in one of the two only.
        let (what, prediction) = match seen {
            Some(_) => (UNSEEN, unseen.explain()),
            None => (SEEN, Prediction::Pending(self.rejections())),
        };
        Some(Box::new(Unless { what: what.to_owned(), prediction }))
    }

    fn rejections(&self) -> Vec<Rejection> {
        let rows = self.cycle.scheduler.rows().iter().enumerate();
        rows.filter_map(|(at, row)| {
            let failure = self.failure(at)?;
            let is_room = failure.plugin == Plugin::NodeResourcesFit;
            Some(Rejection {
                node: Name::clone(&row.node.name),
                zone: row.node.zone.clone(),
                plugin: failure.plugin,
                message: failure.message.into_owned(),
                held_by: self.held_by_lower(at).filter(|_| is_room),
            })
        })
        .collect()
    }

    /// Why the first filter that rejects the node does so.
    fn failure(&self, row: usize) -> Option<FilterFailure> {
        let everywhere = self.state.unschedulable_everywhere.clone();
        everywhere.or_else(|| self.state.failure(&self.cycle, self.rejects(row)?, row))
    }

    fn node_scores(&self) -> Vec<NodeScore> {
        let weights = &self.cycle.scheduler.config.weights;
        let feasible = self.feasible();
        let plugins = Plugin::ALL.into_iter().filter(|plugin| plugin.has_score());
        let scores: Vec<(Plugin, Vec<i64>)> = plugins
            .map(|plugin| {
                let scores = self.state.score(plugin, &feasible, Scored::All);
                let weight = weights.of(plugin);
                (plugin, scores.into_iter().map(|(score, _)| weight * score).collect())
            })
            .collect();
        let rows = feasible.rows().enumerate();
        rows.map(|(at, row)| {
            let node = &self.cycle.scheduler.rows()[row].node;
            let by_plugin: Vec<(Plugin, i64)> =
                scores.iter().map(|(plugin, scores)| (*plugin, scores[at])).collect();
            NodeScore {
                node: Name::clone(&node.name),
                zone: node.zone.clone(),
                total: by_plugin.iter().map(|(_, score)| score).sum(),
                by_plugin,
                note: taint_toleration::note(&self.cycle.pod.template, node),
            }
        })
        .collect()
    }
}

impl Landing {
    /// What becomes of the pod if this is so, which it may be.
    fn or_if(&mut self, assumption: Assumption, prediction: Prediction) {
        let is_same = match &prediction {
            Prediction::Lands(other) => other.zones == self.zones && other.certain,
            Prediction::Pending(_) | Prediction::Unpredictable(_) => false,
        };
        self.certain &= is_same;
        if let Prediction::Lands(other) = &prediction {
            let nodes: BTreeSet<&Name> = self.nodes.iter().chain(&other.nodes).collect();
            let zones: BTreeSet<&Zone> = self.zones.iter().chain(&other.zones).collect();
            let nodes = nodes.into_iter().cloned().collect();
            let zones = zones.into_iter().cloned().collect();
            (self.nodes, self.zones) = (nodes, zones);
        }
        if !is_same && self.unless.is_none() {
            let what = assumption.as_str().to_owned();
            self.unless = Some(Box::new(Unless { what, prediction }));
        }
    }
}
