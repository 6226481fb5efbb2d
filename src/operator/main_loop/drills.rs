//! What comes in about drills.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::drill::DrillRight;
use crate::observe::{ClockReading, Name};
use crate::operator::{DrillWrite, KnownDrill, NodeAsk};

use super::{DECIDE_EVERY, MainLoop};

impl MainLoop {
    /// The drills that there are now; none if that is not known.
    pub fn drills(&mut self, drills: Option<Vec<KnownDrill>>, now: Instant) {
        match drills {
            Some(drills) => self.operator.set_drills(drills),
            None => self.operator.drills_unknown(),
        }
        self.decide_at = self.decide_at.min(now + DECIDE_EVERY);
    }

    /// What became of a write of a drill's status.
    pub fn drill_written(&mut self, write: &DrillWrite, is_written: bool, now: ClockReading) {
        self.operator.drill_written(write, is_written, now.wall);
        self.decide_at = self.decide_at.min(now.monotonic + DECIDE_EVERY);
    }

    /// What became of something that was asked of a node.
    pub fn node_answered(&mut self, ask: &NodeAsk, is_done: bool, now: ClockReading) {
        self.operator.node_answered(ask, is_done, now.wall);
        self.decide_at = self.decide_at.min(now.monotonic + DECIDE_EVERY);
    }

    /// What is known of the right to close zones, by the uids of drills.
    pub fn drill_rights(&mut self, rights: BTreeMap<Name, DrillRight>, now: Instant) {
        self.operator.set_drill_rights(rights);
        self.decide_at = now;
    }
}
