//! What a landing says about the schedulers that a cluster may have instead of the assumed
//! one.

use crate::observe::{Index, Zone};
use crate::predict::Rival;

use super::follow::Ending;
use super::tracked_move::Move;

impl Move {
    /// What would explain a landing in `zone`, which was not expected.
    #[must_use]
    pub fn explanation(&self, zone: &Zone) -> Option<Rival> {
        let explains = |(_, zones): &&(Rival, Vec<Zone>)| zones.contains(zone);
        self.rivals.iter().find(explains).map(|(rival, _)| *rival)
    }

    /// Whether rivals of the assumed scheduler that chose otherwise would have been right,
    /// now that it has landed like this.
    #[must_use]
    pub fn verdicts(&self, index: &Index, ending: Ending) -> Vec<(Rival, bool)> {
        let zone = match ending {
            Ending::Landed => Some(&self.to),
            Ending::Missed => {
                let node = self.replacement.as_ref().and_then(|known| known.node.as_deref());
                node.and_then(|node| index.cluster().zone_of_node(node))
            }
            _ => None,
        };
        let Some(zone) = zone else { return Vec::new() };
        self.rivals.iter().map(|(rival, zones)| (*rival, zones.contains(zone))).collect()
    }
}
