//! The zones as they truly are, and what of them somebody wrote down.

use crate::script::{Millis, SECOND};
use zonespread::api::{ZoneHealth, ZoneState, ZoneStatus};

#[derive(Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct ZoneTruth {
    out: bool,
    since: Millis,
    /// When it was last out, if all nodes are the tiers' that may be.
    perhaps_out: Option<Millis>,
    perhaps_out_now: bool,
    /// When the last outage began.
    began: Millis,
    /// Counts outages.
    outage: u32,
    /// The last outage that a status told of.
    told: Option<u32>,
    /// The last outage whose end a status told of.
    ended: u32,
    outages: u32,
    hold_from: Option<Millis>,
    /// Whether there is a Zone object that tells of it.
    known: bool,
    /// Since when and until when people hold it.
    by_hand: Option<(Millis, Millis)>,
    suspect: bool,
    proven: bool,
    /// When a moved pod came up there last.
    came_up: Millis,
    /// Nobody had written of it when somebody began to lead.
    pub forgotten: bool,
}

impl ZoneTruth {
    pub fn is_out(&mut self, out: bool, now: Millis) {
        if out != self.out {
            self.out = out;
            self.since = now;
            self.outage += u32::from(out);
            self.began = if out { now } else { self.began };
        }
    }

    pub fn may_be_out(&mut self, out: bool, now: Millis) {
        if out || self.perhaps_out_now {
            self.perhaps_out = Some(now);
        }
        self.perhaps_out_now = out;
    }

    /// Whether it is out, or was a moment ago, as far as anybody can know.
    pub fn may_have_been_out(&self, now: Millis) -> bool {
        let of_late = self.perhaps_out.is_some_and(|at| now < at + 10 * SECOND);
        self.was_out(now) || self.perhaps_out_now || of_late
    }

    /// Whether somebody ever told of an outage.
    pub const fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// Since when it is out, or is not.
    pub const fn since(&self) -> Millis {
        self.since
    }

    /// Whether it is out, or was a moment ago.
    pub const fn was_out(&self, now: Millis) -> bool {
        self.out || now < self.since + 10 * SECOND
    }

    pub fn out_since(&self) -> Option<Millis> {
        self.out.then_some(self.since)
    }

    /// A moved pod that comes up there shows that pods can, whenever it left.
    pub fn is_proven(&mut self, now: Millis) {
        self.came_up = now;
        self.proven |= self.hold_from.is_some_and(|from| now >= from);
    }

    pub fn object_gone(&mut self) {
        self.known = false;
    }

    pub fn hold_by_hand(&mut self, until: Option<Millis>, now: Millis) {
        self.by_hand = until.map(|until| (now, until));
    }

    /// How people hold it, if operators know the zone.
    pub fn held_by_hand(&self) -> Option<(Millis, Millis)> {
        self.by_hand.filter(|_| self.known)
    }

    /// A new leader knows what the Zone object tells.
    pub fn read(&mut self) {
        if !self.known {
            let Self { out, since, began, outage, by_hand, perhaps_out, perhaps_out_now, .. } =
                *self;
            let nothing = Self::default();
            let ended = outage;
            *self = Self {
                out,
                since,
                began,
                outage,
                by_hand,
                ended,
                forgotten: true,
                perhaps_out,
                perhaps_out_now,
                ..nothing
            };
        }
    }

    /// What the Zone object tells; true if that ends an outage.
    pub fn written(&mut self, shown: &ZoneStatus, now: Millis) -> bool {
        self.known = true;
        let is_out = shown.health != Some(ZoneHealth::Usable);
        // An outage may be told of for the first time when it is over, and even its hold:
        // no status could be written meanwhile.
        let back = shown.recovered_at.as_ref().map(|at| crate::objects::millis(at.0));
        let began = shown.last_outage.as_ref().map(|at| crate::objects::millis(at.0));
        let is_of_late =
            |told: Option<Millis>, is: Millis| told.is_some_and(|at| at + 2 * SECOND >= is);
        let is_told = match shown.state {
            Some(ZoneState::Recovering) => is_of_late(back, self.since),
            // Its return may be that from a doubt.
            Some(ZoneState::Ready | ZoneState::Held) => is_of_late(began, self.began),
            _ => false,
        };
        if is_out || is_told && !self.out {
            self.told = Some(self.outage);
        }
        if is_out {
            return false;
        }
        let ended = self.told.filter(|told| *told > self.ended);
        if let Some(told) = ended {
            self.ended = told;
            self.outages += 1;
            let from = if self.out { now } else { self.since };
            self.hold_from = Some(from);
            // The watch may show what came up just before after the return.
            self.proven = self.came_up + 2_500 >= from;
            self.suspect = false;
        }
        if shown.suspect && !self.suspect {
            self.suspect = true;
            self.outages += 1;
            let of_late = now.saturating_sub(20 * SECOND);
            // Whoever led before may lead again, and remember an older doubt.
            let told = back.filter(|_| self.forgotten).unwrap_or(of_late);
            self.hold_from = Some(told.min(of_late));
        }
        ended.is_some()
    }

    /// Why nothing may be evicted yet.
    pub fn is_held(&self, hold_down: Millis, now: Millis) -> Option<String> {
        let from = self.hold_from?;
        let until = from + (hold_down << self.outages.saturating_sub(1).min(10));
        // Clocks are up to 1.2 s apart, and a status has whole seconds.
        let held = now + 2_500 < until;
        held.then(|| format!("is held until {until}, since {from}, after {} outages", self.outages))
    }

    /// Since when a pod is needed that proves it.
    pub fn needs_canary(&self) -> Option<Millis> {
        self.hold_from.filter(|_| !self.proven)
    }
}
