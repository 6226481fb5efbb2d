//! An eviction, or a surge, and what truly became of it.

use crate::script::{Millis, SECOND};

/// An eviction that was carried out.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Eviction {
    pub at: Millis,
    pub tier: usize,
    pub pod: String,
    pub uid: String,
    /// Of its workload's template.
    pub revision: u32,
    pub from: Option<usize>,
    /// Where its replacement was expected.
    pub to: usize,
    pub replaced: bool,
    /// Where its replacement was placed.
    pub placed: Option<usize>,
    /// When that was.
    pub placed_at: Millis,
    /// Whether the replacement went where it lowers the skew.
    pub helps: Option<bool>,
    pub up: Option<(usize, Millis)>,
    /// Whether it counts against law 5 of the recovery under way.
    pub counts: bool,
    pub timeout: Millis,
    /// Since when nobody needs its replacement: users wanted fewer pods, or rolled out.
    pub discarded: Option<Millis>,
    /// A replacement of it was lost before it came up.
    pub was_lost: bool,
    /// Its policy is gone, and with it what was written of it.
    pub unwritten: bool,
    /// Nobody knows of it any more.
    pub forgotten: bool,
    /// Its replacement was made with others, and nobody can tell which it is.
    pub has_twins: bool,
    /// It is a surge: the pod stays until its replacement is up.
    pub released: bool,
    /// The pod of a surge has left.
    pub left: bool,
    /// When the pod of a surge was given back.
    pub undone: Option<Millis>,
    /// When a status first told that the surge is to be undone.
    pub given_up: Option<Millis>,
}

impl Eviction {
    /// Whoever made it counts from when it was decided: up to some seconds earlier.
    pub fn is_under_way(&self, now: Millis) -> bool {
        let is_wanted = self.discarded.is_none() && self.undone.is_none();
        let awaited = self.up.is_none() && self.helps != Some(false) && is_wanted;
        awaited && now + 6 * SECOND < self.at + self.timeout
    }

    /// It went where it does not help, or never came up. A slow starter that came up
    /// too late for its policy is no loop.
    pub fn is_futile(&self, now: Millis) -> bool {
        self.helps == Some(false)
            || self.is_late(now) && self.discarded.is_none() && self.undone.is_none()
            || self.undone.is_some_and(|at| self.is_late(at))
    }

    /// Its replacement is where it was expected, and has not come up in time.
    pub fn is_stuck(&self, now: Millis) -> bool {
        let waits = self.replaced && !self.was_lost && self.discarded.is_none();
        waits && self.placed == Some(self.to) && self.is_late(now)
    }

    /// Whether a pod that is missing is missed because of it.
    pub fn is_missed(&self) -> bool {
        self.up.is_none() && self.undone.is_none() && (!self.released || self.left)
    }

    /// Whoever made it awaits nothing any more.
    pub fn is_over(&self, now: Millis) -> bool {
        now >= self.at + self.timeout
    }

    pub fn is_late(&self, now: Millis) -> bool {
        self.up.is_none() && self.is_over(now)
    }
}
