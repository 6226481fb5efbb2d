//! Whether a pod that prefers a zone lands there however full the zones are.
//!
//! What spreading gives a zone depends on how many pods the others have at the moment: a zone
//! that gets the first pod of a tier that way need not get the next one. What lasts for all
//! moves of a plan is what the zone is worth when spreading makes the smallest difference: the
//! zones are alike, but for this one, which is a little emptier.

use crate::observe::Zone;

use super::classes::node_classes::Candidates;
use super::plugins::Plugin;
use super::sampling::bounds::{Range, Scored};
use super::simulation::Simulation;

/// That all zones are as full as each other of the pods that matter to a pod, but for one,
/// which is a little emptier.
#[derive(Clone, Debug)]
pub(super) struct AlikeZones {
    emptier: Zone,
    /// Whether affinity between pods counts as it is now, or gives no zone anything: it is
    /// drawn to pods of others, which stay, or kept away by its own, which are moved.
    with_affinity: bool,
}

impl Simulation<'_> {
    /// Whether the pod lands in the zone however full the others are, as long as they are
    /// fuller.
    pub fn reaches(&mut self, zone: &Zone) -> bool {
        [true, false].into_iter().all(|with_affinity| {
            let alike = AlikeZones { emptier: zone.clone(), with_affinity };
            self.suppose_alike(Some(&alike));
            let best = self.best();
            self.suppose_alike(None);
            best.is_some_and(|best| best.zones == [zone.clone()] && !best.unzoned && !best.may_wait)
        })
    }

    fn suppose_alike(&mut self, alike: Option<&AlikeZones>) {
        self.alike = alike.cloned();
        self.others().for_each(|(_, other)| other.suppose_alike(alike));
    }

    /// What the plugin gives the candidates, as far as zones are supposed to be alike.
    pub(super) fn score(
        &self,
        plugin: Plugin,
        candidates: &Candidates,
        scored: Scored<'_>,
    ) -> Vec<Range> {
        let Some(alike) = &self.alike else { return self.state.score(plugin, candidates, scored) };
        match plugin {
            Plugin::PodTopologySpread => {
                let zone = |row: usize| self.cycle.scheduler.rows()[row].node.zone.as_ref();
                let point = |row| i64::from(zone(row) == Some(&alike.emptier));
                candidates.rows().map(|row| (point(row), point(row))).collect()
            }
            Plugin::InterPodAffinity if !alike.with_affinity => vec![(0, 0); candidates.len()],
            _ => self.state.score(plugin, candidates, scored),
        }
    }
}
