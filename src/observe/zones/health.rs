//! The health of zones over time: outages, holds, suspicion, and what of it
//! must survive a restart.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::{ZoneHealth, ZoneState};

use super::condition::ZoneCondition;
use super::observed_outages::ObservedOutages;
use crate::observe::value::zone::Zone;

/// At most this share of a zone's nodes is usable when it is Impaired, in percent.
const IMPAIRED_PERCENT: usize = 45;
/// Outages this close together double the hold-down each time.
pub const OUTAGE_MEMORY: SignedDuration = SignedDuration::from_hours(6);
/// The longest hold-down, however often a zone flaps.
pub const MAX_HOLD: Duration = Duration::from_hours(6);
/// The clocks of two processes differ by at most this.
pub(super) const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(3);
/// A zone without nodes is an outage for this long; then it is Empty.
const EMPTY_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// A zone without nodes is forgotten after this long.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is remembered of a zone. Restored from its Zone object on start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneMemory {
    /// Usable, Impaired or Empty; Recovering and Suspect follow from the rest.
    pub health: ZoneHealth,
    /// Since when `health` is what it is.
    pub since: Timestamp,
    /// What its nodes looked like last.
    pub condition: ZoneCondition,
    /// Since when it has no nodes, or none that has taken pods since.
    pub nodes_gone: Option<Timestamp>,
    /// Outages, each within 6 hours of the one before.
    pub outages: u32,
    /// When the last outage began.
    pub last_outage: Option<Timestamp>,
    /// When it came back from the last outage; none if there was none.
    pub recovered_at: Option<Timestamp>,
    /// What of it this process saw itself.
    pub observed: ObservedOutages,
    /// Whether a moved pod has become Available there since it came back.
    pub proven: bool,
    /// Whether the first pod moved there did not come up.
    pub suspect: bool,
    /// How people hold it, if they do.
    pub hold: Option<Hold>,
    /// Since when that hold lasts.
    pub held_since: Option<Timestamp>,
    /// Since when a drill closes it. As with a hold, that is no outage.
    pub drilled_since: Option<Timestamp>,
}

/// A hold by hand: `spec.hold` of a Zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// When it ends by itself.
    pub until: Timestamp,
    /// Why, as people wrote it.
    pub reason: Arc<str>,
}

impl Hold {
    /// Whether it has not ended.
    #[must_use]
    pub fn lasts(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// Something that changes what is remembered of zones.
#[derive(Clone, Copy, Debug)]
pub enum ZoneEvent<'a> {
    /// What the nodes of all zones look like.
    Nodes(&'a BTreeMap<Zone, ZoneCondition>),
    /// Nodes joined or left a zone by another label.
    Regrouped(&'a Zone),
    /// Its last nodes were removed in order, and no pod was lost: no outage.
    Drained(&'a Zone),
    /// A pod moved there became Available.
    Proven(&'a Zone),
    /// The first pod moved there did not become Available.
    Suspected(&'a Zone),
    /// All holds by hand.
    Holds(&'a BTreeMap<Zone, Hold>),
    /// All zones that a drill closes.
    Drills(&'a BTreeSet<Zone>),
}

/// How long a zone is held after `outages` outages.
#[must_use]
pub fn hold_down_of(base: Duration, outages: u32) -> Duration {
    let doublings = outages.saturating_sub(1).min(31);
    base.saturating_mul(1 << doublings).min(MAX_HOLD.max(base))
}

impl ZoneMemory {
    /// A zone that looks like this and was never seen before.
    #[must_use]
    pub fn first_seen(condition: ZoneCondition, now: Timestamp) -> Self {
        let impaired = is_impaired(&condition);
        Self {
            health: if impaired { ZoneHealth::Impaired } else { ZoneHealth::Usable },
            since: now,
            condition,
            nodes_gone: None,
            outages: u32::from(impaired),
            last_outage: impaired.then_some(now),
            recovered_at: None,
            observed: ObservedOutages {
                from: now,
                began_out: impaired,
                outages: if impaired { vec![now] } else { Vec::new() },
            },
            proven: false,
            suspect: false,
            hold: None,
            held_since: None,
            drilled_since: None,
        }
    }

    /// How people hold it now, if they do.
    #[must_use]
    pub fn held(&self, now: Timestamp) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| hold.lasts(now))
    }

    /// Whether it is out, or held or closed as if it were.
    #[must_use]
    pub fn is_out(&self, now: Timestamp) -> bool {
        self.health == ZoneHealth::Impaired || self.is_drilled() || self.held(now).is_some()
    }

    /// Whether a drill closes it.
    #[must_use]
    pub const fn is_drilled(&self) -> bool {
        self.drilled_since.is_some()
    }

    /// A drill closes it, or none does any more: then it is held as after a return, and its
    /// first pod is a canary. That is no outage.
    pub fn drill(&mut self, is_closed: bool, now: Timestamp) {
        match (self.drilled_since, is_closed) {
            (None, true) => self.drilled_since = Some(now),
            (Some(_), false) => {
                self.drilled_since = None;
                self.regroup(now);
            }
            _ => {}
        }
    }

    /// Until when nothing moves there, with this base hold-down. None if the
    /// zone has not been out, or is out now.
    #[must_use]
    pub fn hold_until(&self, hold_down: Duration) -> Option<Timestamp> {
        if self.health != ZoneHealth::Usable {
            return None;
        }
        let hold = SignedDuration::try_from(hold_down_of(hold_down, self.outages)).ok()?;
        self.recovered_at?.checked_add(hold).ok()
    }

    /// The state that users see, with this base hold-down.
    #[must_use]
    pub fn state(&self, hold_down: Duration, now: Timestamp) -> ZoneState {
        match self.health {
            ZoneHealth::Impaired => ZoneState::Impaired,
            _ if self.is_drilled() => ZoneState::Impaired,
            _ if self.held(now).is_some() => ZoneState::Held,
            ZoneHealth::Empty => ZoneState::Empty,
            ZoneHealth::Usable => match self.hold_until(hold_down) {
                Some(until) if now < until && self.suspect => ZoneState::Suspect,
                Some(until) if now < until => ZoneState::Recovering,
                _ => ZoneState::Ready,
            },
        }
    }

    /// Whether the next move there is the canary: the first since it came back.
    #[must_use]
    pub fn needs_canary(&self) -> bool {
        self.recovered_at.is_some() && !self.proven
    }

    /// Whether a move there that began then, and whose pod did not become Available, says that
    /// the zone may not be well: the zone is back, nothing has come up there since, and was back
    /// already when the move began. A pod that an outage caught says nothing.
    #[must_use]
    pub fn is_doubted_by(&self, began: Timestamp) -> bool {
        let since = began.checked_add(CLOCKS_APART).unwrap_or(began);
        self.health == ZoneHealth::Usable
            && !self.proven
            && self.recovered_at.is_some_and(|back| back <= since)
    }

    /// Outages that still count at `now`.
    #[must_use]
    pub fn outages_at(&self, now: Timestamp) -> u32 {
        match self.last_outage {
            Some(last)
                if now.duration_since(last) <= OUTAGE_MEMORY
                    || self.health == ZoneHealth::Impaired =>
            {
                self.outages
            }
            _ => 0,
        }
    }

    /// Of two memories of a zone the later return wins; outages are never forgotten.
    fn merge(&mut self, other: Self) {
        let outages = self.outages.max(other.outages);
        let held_since = self.held_since.into_iter().chain(other.held_since).min();
        let last_outage = self.last_outage.max(other.last_outage);
        if other.recovered_at > self.recovered_at {
            *self = Self {
                condition: self.condition.clone(),
                nodes_gone: self.nodes_gone,
                observed: self.observed.clone(),
                hold: self.hold.take(),
                held_since: self.held_since,
                drilled_since: self.drilled_since,
                ..other
            };
        } else if other.recovered_at == self.recovered_at {
            self.proven |= other.proven;
            self.suspect |= other.suspect;
            if other.health == ZoneHealth::Impaired && self.health == ZoneHealth::Usable {
                self.health = ZoneHealth::Impaired;
                self.since = other.since;
            }
        }
        self.outages = outages;
        self.last_outage = last_outage;
        self.held_since = held_since;
    }

    /// Takes over what was written of the zone, and counts what nobody wrote down.
    fn restore(&mut self, written: Self) {
        let unknown = self.observed.unknown_to(&written);
        let before = unknown.first().map_or(written.outages, |began| written.outages_at(*began));
        let outages = before + u32::try_from(unknown.len()).unwrap_or(u32::MAX);
        self.merge(written);
        self.outages = self.outages.max(outages);
    }

    fn count_outage(&mut self, now: Timestamp) {
        self.outages = self.outages_at(now) + 1;
        self.last_outage = Some(now);
        self.observed.outage(now);
        self.proven = false;
    }

    /// Compares what its nodes look like with what is remembered; none without nodes. False
    /// once it has been without for so long that it is forgotten.
    pub fn observe(&mut self, condition: Option<&ZoneCondition>, now: Timestamp) -> bool {
        let Some(condition) = condition.filter(|condition| condition.nodes > 0) else {
            self.condition = ZoneCondition::without_nodes();
            let gone = *self.nodes_gone.get_or_insert(now);
            let gone_for = now.duration_since(gone);
            let health =
                if gone_for >= EMPTY_AFTER { ZoneHealth::Empty } else { ZoneHealth::Impaired };
            if !(self.health == ZoneHealth::Empty && health == ZoneHealth::Impaired) {
                self.enter(health, now);
            }
            return gone_for < FORGOTTEN_AFTER;
        };
        self.condition = condition.clone();
        let impaired = is_impaired(condition);
        // Nodes that are all being removed in order say neither that it is out nor that it is
        // back; nor do new ones that have not taken a pod yet.
        if condition.leaving == condition.nodes || (impaired && self.health == ZoneHealth::Empty) {
            return true;
        }
        if condition.usable > 0 {
            self.nodes_gone = None;
        }
        self.enter(if impaired { ZoneHealth::Impaired } else { ZoneHealth::Usable }, now);
        true
    }

    /// The first pod moved there did not come up: it is held again, longer. That counts like
    /// an outage, but is none: `last_outage` stays, which tells one recovery from the next.
    pub fn doubt(&mut self, now: Timestamp) {
        self.outages = self.outages_at(now) + 1;
        self.proven = false;
        self.recovered_at = Some(now);
        self.since = now;
        self.suspect = true;
    }

    /// Other nodes make it up now: it is held as after a return, and its first pod is a
    /// canary. That is no outage.
    pub fn regroup(&mut self, now: Timestamp) {
        if self.health == ZoneHealth::Usable {
            self.recovered_at = Some(now);
            self.since = now;
            self.proven = false;
        }
    }

    /// A pod moved there became Available.
    pub const fn prove(&mut self) {
        self.proven = true;
        self.suspect = false;
    }

    /// When something changes by time alone, with these hold-downs.
    pub fn changes<'a>(
        &'a self,
        hold_downs: &'a [Duration],
    ) -> impl Iterator<Item = Timestamp> + 'a {
        let holds = hold_downs.iter().filter_map(|hold_down| self.hold_until(*hold_down));
        let gone = self.nodes_gone.into_iter().flat_map(|gone| {
            [EMPTY_AFTER, FORGOTTEN_AFTER].map(|after| gone.checked_add(after).unwrap_or(gone))
        });
        holds.chain(gone).chain(self.hold.as_ref().map(|hold| hold.until))
    }

    pub(super) fn enter(&mut self, health: ZoneHealth, now: Timestamp) {
        if self.health == health {
            return;
        }
        match health {
            ZoneHealth::Impaired => {
                self.count_outage(now);
                self.suspect = false;
            }
            ZoneHealth::Usable => {
                self.recovered_at = Some(now);
                self.proven = false;
            }
            ZoneHealth::Empty => {}
        }
        self.health = health;
        self.since = now;
    }
}

/// With this many zones out nothing is evicted that they matter to.
const SEVERAL: usize = 2;

/// Which of these zones are out, if at least two are.
#[must_use]
pub fn several_zones_out<'a>(
    zones: impl Iterator<Item = (&'a Zone, &'a ZoneMemory)>,
    now: Timestamp,
) -> Option<String> {
    let out: Vec<&str> =
        zones.filter(|(_, zone)| zone.is_out(now)).map(|(name, _)| name.as_str()).collect();
    (out.len() >= SEVERAL).then(|| format!("zones {} are out or held by hand", out.join(", ")))
}

/// Whether a zone that looks like this is out. Nodes that an autoscaler removes in order do
/// not count; of a zone without any others they say nothing.
#[must_use]
pub const fn is_impaired(condition: &ZoneCondition) -> bool {
    let staying = condition.nodes - condition.leaving;
    let is_told = staying > 0 || condition.nodes == 0;
    is_told && condition.usable * 100 <= staying * IMPAIRED_PERCENT
}

/// All zones ever seen, and their health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneTracker {
    zones: BTreeMap<Zone, ZoneMemory>,
}

impl ZoneTracker {
    /// Something happened to zones.
    pub fn on(&mut self, event: ZoneEvent<'_>, now: Timestamp) {
        match event {
            ZoneEvent::Nodes(conditions) => self.observe(conditions, now),
            ZoneEvent::Regrouped(zone) => self.change(zone, |memory| memory.regroup(now)),
            ZoneEvent::Drained(zone) => self.change(zone, |memory| memory.drain(now)),
            ZoneEvent::Proven(zone) => self.change(zone, ZoneMemory::prove),
            ZoneEvent::Suspected(zone) => self.change(zone, |memory| memory.doubt(now)),
            ZoneEvent::Holds(holds) => self.hold(holds, now),
            ZoneEvent::Drills(closed) => {
                for (zone, memory) in &mut self.zones {
                    memory.drill(closed.contains(zone), now);
                }
            }
        }
    }

    /// Takes over what was written before a restart. Where two tell of a zone, the more
    /// cautious counts.
    pub fn restore(&mut self, written: impl IntoIterator<Item = (Zone, ZoneMemory)>) {
        let mut merged = BTreeMap::<Zone, ZoneMemory>::new();
        for (zone, memory) in written {
            match merged.entry(zone) {
                Entry::Vacant(entry) => drop(entry.insert(memory)),
                Entry::Occupied(mut entry) => entry.get_mut().merge(memory),
            }
        }
        for (zone, memory) in merged {
            match self.zones.entry(zone) {
                Entry::Vacant(entry) => drop(entry.insert(memory)),
                Entry::Occupied(mut entry) => entry.get_mut().restore(memory),
            }
        }
    }

    /// Compares what the nodes look like with what is remembered.
    fn observe(&mut self, conditions: &BTreeMap<Zone, ZoneCondition>, now: Timestamp) {
        for (zone, condition) in conditions {
            if !self.zones.contains_key(zone) {
                let memory = ZoneMemory::first_seen(condition.clone(), now);
                self.zones.insert(zone.clone(), memory);
            }
        }
        self.zones.retain(|zone, memory| memory.observe(conditions.get(zone), now));
    }

    /// A hold by hand is no outage, however it ends.
    fn hold(&mut self, holds: &BTreeMap<Zone, Hold>, now: Timestamp) {
        for (zone, memory) in &mut self.zones {
            let hold = holds.get(zone).filter(|hold| hold.lasts(now)).cloned();
            memory.held_since = hold.as_ref().map(|_| memory.held_since.unwrap_or(now));
            memory.hold = hold;
        }
    }

    fn change(&mut self, zone: &Zone, change: impl FnOnce(&mut ZoneMemory)) {
        if let Some(memory) = self.zones.get_mut(zone) {
            change(memory);
        }
    }

    /// What is remembered of a zone.
    #[must_use]
    pub fn get(&self, zone: &Zone) -> Option<&ZoneMemory> {
        self.zones.get(zone)
    }

    /// All zones, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Zone, &ZoneMemory)> {
        self.zones.iter()
    }

    /// Whether a hold ended between two times, with these hold-downs.
    #[must_use]
    pub fn has_change(&self, hold_downs: &[Duration], from: Timestamp, to: Timestamp) -> bool {
        self.next_change(hold_downs, from).is_some_and(|at| at <= to)
    }

    /// When something changes by time alone, after `now`, with these hold-downs.
    #[must_use]
    pub fn next_change(&self, hold_downs: &[Duration], now: Timestamp) -> Option<Timestamp> {
        let changes = self.zones.values().flat_map(|memory| memory.changes(hold_downs));
        changes.filter(|at| *at > now).min()
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
