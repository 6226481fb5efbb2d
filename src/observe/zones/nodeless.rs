//! Zones without nodes: removed in order, or lost, and when they may be opened.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::ZoneHealth;

use super::condition::ZoneCondition;
use super::health::{ZoneMemory, hold_down_of};

impl ZoneMemory {
    /// Its last nodes were removed in order, and no pod was lost with them: it is without
    /// nodes, and no outage. One that was out stays out: who knows why they were removed.
    pub fn drain(&mut self, now: Timestamp) {
        if self.health == ZoneHealth::Usable && self.nodes_gone.is_none() {
            self.condition = ZoneCondition::without_nodes();
            self.nodes_gone = Some(now);
            self.enter(ZoneHealth::Empty, now);
        }
    }

    /// Since when a probe may open it, with this base hold-down: once it has been without
    /// nodes for as long as it would be held. None while it has nodes, or people hold it.
    #[must_use]
    pub fn opens_at(&self, hold_down: Duration, now: Timestamp) -> Option<Timestamp> {
        let gone = self.nodes_gone.filter(|_| self.held(now).is_none() && !self.is_drilled())?;
        let wait = SignedDuration::try_from(hold_down_of(hold_down, self.outages)).ok()?;
        gone.checked_add(wait).ok()
    }

    /// Whether it is without nodes because they were removed in order.
    #[must_use]
    pub fn was_drained(&self) -> bool {
        self.health == ZoneHealth::Empty && self.nodes_gone == Some(self.since)
    }

    /// Whether it has no nodes, or only new ones that have not taken a pod yet.
    #[must_use]
    pub fn lacks_nodes(&self) -> bool {
        self.condition.nodes == 0 || (self.condition.usable == 0 && self.nodes_gone.is_some())
    }
}
