//! Where a pod can land when the scheduler scores only a sample of the nodes.

use crate::predict::classes::node_classes::{Candidates, ScoringSet};
use crate::predict::plugins::node_affinity;
use crate::predict::sampling::bounds::{Lead, Range, Sample, Scored};
use crate::predict::sampling::proof::{ZoneNodes, fewest_found, nodes_to_find};
use crate::predict::scheduler::Scheduler;
use crate::predict::simulation::Simulation;

impl Scheduler<'_> {
    /// Whether only a sample of the nodes is scored, where all of them can take the pod.
    #[must_use]
    pub fn may_sample(&self) -> bool {
        let nodes = self.rows().len();
        nodes > nodes_to_find(self.config, nodes)
    }
}

impl Simulation<'_> {
    /// What is certain of the sample that the scheduler takes of these; none
    /// when it takes all.
    pub fn sample(&self, feasible: &Candidates) -> Option<Sample> {
        let named = node_affinity::named_nodes(&self.cycle.pod.template);
        let nodes = named
            .as_ref()
            .map_or(self.cycle.scheduler.rows().len(), std::collections::BTreeSet::len);
        let wanted = nodes_to_find(self.cycle.scheduler.config, nodes);
        if feasible.nodes() <= wanted {
            return None;
        }
        let node_tree = self.cycle.scheduler.snapshot.node_tree();
        let mut zone_nodes: Vec<ZoneNodes> =
            node_tree.nodes.iter().map(|nodes| ZoneNodes { nodes: *nodes, fit: 0 }).collect();
        let candidates: Vec<(usize, usize)> =
            feasible.iter().map(|(row, nodes)| (node_tree.zone_of[row], nodes)).collect();
        for (zone, nodes) in &candidates {
            zone_nodes[*zone].fit += nodes;
        }
        // Nodes that the pod names are looked at in no order.
        let in_rounds = node_tree.known && named.is_none();
        let workers = in_rounds.then_some(self.cycle.scheduler.config.parallelism);
        let found = fewest_found(&zone_nodes, wanted, workers);
        Some(Sample::new(wanted, candidates, zone_nodes, found))
    }

    /// The numbers of the zones in which the best of a sample can be, and how far it is ahead
    /// of those of all others at least.
    pub fn winners(&self, set: &ScoringSet, sample: &Sample) -> (Vec<usize>, Lead) {
        let open = (0..sample.zone_nodes.len()).filter(|zone| sample.zone_nodes[*zone].fit > 0);
        let open: Vec<usize> = open.collect();
        if open.len() == 1 {
            return (open, Lead { margin: i64::MAX, spare: sample.wanted });
        }
        let of_class = self.class_scores(&set.classes, Scored::Sample(sample));
        let totals = || {
            let scored = set.scored().map(|(class, base)| (of_class[class], base));
            scored.map(|((low, high), base)| (low + base, high + base))
        };
        let zone_of = &self.cycle.scheduler.snapshot.node_tree().zone_of;
        // Most of the time the worst node of one zone beats the best of all others.
        let mut spans = vec![None; sample.zone_nodes.len()];
        for (row, (low, high)) in set.candidates.rows().zip(totals()) {
            let span: &mut Option<Range> = &mut spans[zone_of[row]];
            *span = Some(span.map_or((low, high), |known| (known.0.min(low), known.1.max(high))));
        }
        let beats_all = |zone: usize| {
            let (lowest, _) = spans[zone]?;
            let others = (0..spans.len()).filter(|other| *other != zone);
            let highest = others.filter_map(|other| spans[other]).map(|(_, high)| high).max();
            let margin = highest.map_or(i64::MAX, |highest| lowest - highest);
            let lead = Lead { margin, spare: sample.found[zone] };
            (sample.found[zone] > 0 && margin > 0).then_some((vec![zone], lead))
        };
        if let Some(winner) = open.into_iter().find_map(beats_all) {
            return winner;
        }
        let totals: Vec<Range> = totals().collect();
        let candidates = set.candidates.iter().map(|(row, nodes)| (zone_of[row], nodes));
        sample.of(candidates.collect()).winners(&totals)
    }
}
