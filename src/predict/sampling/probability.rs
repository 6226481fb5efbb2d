//! How probable each zone is.

use std::collections::BTreeMap;

use crate::observe::Zone;

use crate::predict::classes::node_classes::Candidates;
use crate::predict::in_flight::DeletionOrder;
use crate::predict::plugins::score::float;
use crate::predict::simulation::Simulation;

/// How many places of the node list a search is begun at, to see where the pod lands.
const STARTS: usize = 200;

impl DeletionOrder {
    /// How often it is so, compared with others.
    const fn weight(self) -> f64 {
        match self {
            Self::GoneFirst | Self::PlacedFirst => 1.0,
            // Measured: in one of some hundred landings on a busy machine.
            Self::Unseen => 0.01,
        }
    }
}

impl Simulation<'_> {
    /// How probable each zone is, by name. The scheduler picks one of the nodes
    /// that tie at random. Where it scores a sample, it begins to look where it
    /// stopped before: anywhere. The order of the nodes within a zone is taken
    /// to be that of their names, so this is an estimate.
    pub fn zone_probability(&self) -> Vec<(Zone, f64)> {
        let mut probabilities: BTreeMap<Zone, f64> = BTreeMap::new();
        let orders = self.all();
        let all: f64 = orders.iter().map(|order| order.cycle.order.weight()).sum();
        for order in &orders {
            let searches = order.searches();
            let share = order.cycle.order.weight() / all / float(count(searches.len()));
            for found in searches {
                order.add_probabilities(found, share, &mut probabilities);
            }
        }
        probabilities.into_iter().collect()
    }

    /// The nodes that are scored, for each place at which the search may begin.
    fn searches(&self) -> Vec<Candidates> {
        let feasible = self.feasible();
        let Some(sample) = self.sample(&feasible) else { return vec![feasible] };
        let mut fits = vec![false; self.cycle.scheduler.rows().len()];
        for row in feasible.rows() {
            fits[row] = true;
        }
        let list = self.cycle.scheduler.snapshot.node_tree().list();
        let step = list.len().div_ceil(STARTS);
        (0..list.len())
            .step_by(step)
            .map(|start| {
                let looked_at = list[start..].iter().chain(&list[..start]).copied();
                Candidates::alone(looked_at.filter(|row| fits[*row]).take(sample.wanted))
            })
            .collect()
    }

    /// Divides a share among the zones of the nodes that tie.
    fn add_probabilities(
        &self,
        found: Candidates,
        share: f64,
        probabilities: &mut BTreeMap<Zone, f64>,
    ) {
        let tied = self.tied(found);
        if tied.is_empty() {
            // No node has room: somebody is pushed out, of one of these zones.
            let zones = self.best_by_preemption(usize::MAX).map(|best| best.zones);
            let zones = zones.unwrap_or_default();
            let each = share / float(count(zones.len()));
            for zone in zones {
                *probabilities.entry(zone).or_default() += each;
            }
            return;
        }
        let each = share / float(count(tied.len()));
        for zone in
            tied.iter().filter_map(|row| self.cycle.scheduler.rows()[*row].node.zone.as_ref())
        {
            *probabilities.entry(zone.clone()).or_default() += each;
        }
    }

    /// The rows of the nodes that tie for best, if these are scored.
    pub fn tied(&self, found: Candidates) -> Vec<usize> {
        let set = self.scoring_set_of(found);
        let totals = self.totals(&set);
        let highest = totals.iter().max();
        let rows = set.candidates.rows().zip(&totals);
        rows.filter(|(_, total)| Some(*total) == highest).map(|(row, _)| row).collect()
    }
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
