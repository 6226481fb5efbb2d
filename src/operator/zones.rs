//! The Zone objects: what was written of each zone, and what is to be written.
//!
//! Law 7: an outage, a hold-down, a doubt and a zone that is still to be proven are
//! written, and the write is answered, before a pod is evicted from a tier that uses the
//! zone. That a zone is proven may be forgotten: it is proven once more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::{Blocked, Reason, ZoneStatus, zone_object_name};
use crate::observe::{Name, Zone, ZoneEvent, ZoneMemory, unknown_zone_status};
use crate::plan::{DEFAULT_HOLD_DOWN, TierSettings, TierView};

use super::Operator;
use super::decision::{Decision, ZoneWrite};

/// Counts of nodes are written this often at most.
const COUNTS_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// How long to wait before a write that failed is made again; twice as long each time.
const RETRY: SignedDuration = SignedDuration::from_secs(2);
/// Doublings after which it is made as often as that: every 32 s.
const RETRY_DOUBLINGS: u32 = 4;

/// The Zone objects, by their names.
#[derive(Debug, Default)]
pub(super) struct ZoneRecords(BTreeMap<Name, Record>);

/// What was written of one zone.
#[derive(Debug, Default)]
struct Record {
    /// The status as the API server has it; none if it has none.
    stored: Option<Arc<ZoneStatus>>,
    /// A write that is on its way. There is one at a time, so that its answer is known to
    /// be the answer to it.
    sent: Option<Arc<ZoneStatus>>,
    /// Whether the object was deleted since that was sent.
    is_gone: bool,
    /// When the last write began.
    sent_at: Option<Timestamp>,
    /// Writes in a row that failed.
    failed: u32,
    /// When the next may be made after that.
    retry_at: Option<Timestamp>,
}

impl Record {
    /// When this status may be written; none if there is no need to.
    fn due(&self, status: &ZoneStatus, now: Timestamp) -> Option<Timestamp> {
        if self.sent.is_some() {
            return None;
        }
        let at = match &self.stored {
            Some(stored) if **stored == *status => return None,
            Some(stored) if is_but_counted(stored, status) => {
                self.sent_at.and_then(|sent| sent.checked_add(COUNTS_EVERY).ok()).unwrap_or(now)
            }
            _ => now,
        };
        Some(at.max(self.retry_at.unwrap_or(now)))
    }
}

/// Whether two statuses differ only in the counts of nodes, and in what the loss of the zone
/// would do.
fn is_but_counted(one: &ZoneStatus, other: &ZoneStatus) -> bool {
    let same_counts = ZoneStatus {
        usable: one.usable.clone(),
        usable_nodes: one.usable_nodes,
        nodes: one.nodes,
        safe_to_lose: one.safe_to_lose,
        ..other.clone()
    };
    *one == same_counts
}

/// Whether a reader of this status is at least as careful as needed.
fn covers(stored: &ZoneStatus, needed: &ZoneStatus) -> bool {
    stored.health == needed.health
        && stored.outages >= needed.outages
        && stored.last_outage == needed.last_outage
        && stored.recovered_at == needed.recovered_at
        && (stored.suspect || !needed.suspect)
        && (!stored.proven || needed.proven)
        && covers_taints(stored, needed)
        && covers_opening(stored, needed)
}

/// A taint that appeared is a fault for an hour: the next process must know it as new.
fn covers_taints(stored: &ZoneStatus, needed: &ZoneStatus) -> bool {
    let stored = stored.taints.as_deref().unwrap_or_default();
    let needed = needed.taints.as_deref().unwrap_or_default();
    needed.iter().filter(|taint| taint.since.is_some()).all(|taint| stored.contains(taint))
}

/// A zone in which a probe failed gets no pod before one is Ready: the next process must
/// know it, too.
fn covers_opening(stored: &ZoneStatus, needed: &ZoneStatus) -> bool {
    let failures = |status: &ZoneStatus| status.opening.as_ref().map_or(0, |told| told.failures);
    failures(stored) >= failures(needed)
}

impl ZoneRecords {
    /// The statuses that the API server has.
    pub fn of(stored: impl IntoIterator<Item = (Name, Arc<ZoneStatus>)>) -> Self {
        let record = |status| Record { stored: Some(status), ..Record::default() };
        Self(stored.into_iter().map(|(name, status)| (name, record(status))).collect())
    }

    /// An object is gone: whatever of it is known is to be written again.
    fn gone(&mut self, name: &Name) {
        if let Some(record) = self.0.get_mut(name) {
            record.stored = None;
            record.is_gone = record.sent.is_some();
        }
    }

    /// What became of a write; true if it stored what others may wait for.
    fn answered(&mut self, write: &ZoneWrite, is_written: bool, now: Timestamp) -> bool {
        let Some(record) = self.0.get_mut(&write.name) else { return false };
        // What was sent before this process lost the lead is answered late.
        let is_awaited = |sent: &mut Arc<ZoneStatus>| Arc::ptr_eq(sent, &write.status);
        let Some(sent) = record.sent.take_if(is_awaited) else { return false };
        if is_written {
            let is_news = record.failed > 0
                || record.stored.as_ref().is_none_or(|stored| !covers(stored, &sent));
            (record.failed, record.retry_at) = (0, None);
            record.stored = Some(sent).filter(|_| !std::mem::take(&mut record.is_gone));
            return is_news;
        }
        let wait = RETRY * (1 << record.failed.min(RETRY_DOUBLINGS));
        record.failed = record.failed.saturating_add(1);
        record.retry_at = now.checked_add(wait).ok();
        // It may have been made all the same: what is stored is not known.
        record.stored = None;
        false
    }
}

impl Operator {
    /// Every hold-down in use; a policy is asked again when one of them ends.
    pub(super) fn hold_downs_in_use(&self) -> Vec<Duration> {
        let downs: BTreeSet<Duration> = self
            .index
            .policies()
            .flat_map(|policy| {
                let tiers = policy.spec.tiers.iter().map(|tier| tier.name.as_str());
                tiers.chain([""]).map(|tier| TierSettings::of(&policy.spec, tier).hold_down)
            })
            .collect();
        downs.into_iter().collect()
    }

    /// Takes in the holds by hand, and which Zone objects are gone.
    pub(super) fn note_zone_objects(&mut self, gone: &BTreeSet<Name>, now: Timestamp) {
        self.zones.on(ZoneEvent::Holds(self.index.pauses().holds()), now);
        for name in gone {
            self.zone_records.gone(name);
        }
    }

    /// The longest hold-down in use.
    pub(super) fn longest_hold_down(&self) -> Duration {
        self.hold_downs.iter().max().copied().unwrap_or(DEFAULT_HOLD_DOWN)
    }

    /// Decides which Zone objects are to be written now; when the next will be.
    pub(super) fn write_zones(
        &mut self,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Option<Timestamp> {
        let mut wanted: BTreeMap<Name, ZoneStatus> = self
            .zones
            .iter()
            .map(|(zone, memory)| {
                let name = Name::from(zone_object_name(zone.as_str()));
                let status = self.zone_status(&name, zone, memory, now);
                (name, status)
            })
            .collect();
        for (name, entry) in self.index.zone_objects() {
            wanted.entry(Name::clone(name)).or_insert_with(|| {
                let before = entry.status.as_ref().map_or(&[][..], |status| &status.conditions);
                unknown_zone_status(name, entry.zone.as_ref(), before, entry.generation, now)
            });
        }
        self.zone_records
            .0
            .retain(|name, record| wanted.contains_key(name) || record.sent.is_some());
        let mut next = None::<Timestamp>;
        for (name, status) in wanted {
            let record = self.zone_records.0.entry(Name::clone(&name)).or_default();
            match record.due(&status, now) {
                Some(at) if at <= now => {
                    let status = Arc::new(status);
                    record.sent = Some(Arc::clone(&status));
                    record.sent_at = Some(now);
                    decision.zones.push(ZoneWrite { name, status, decided: now });
                }
                Some(at) => next = Some(next.map_or(at, |known| known.min(at))),
                None => {}
            }
        }
        next
    }

    fn zone_status(
        &self,
        name: &Name,
        zone: &Zone,
        memory: &ZoneMemory,
        now: Timestamp,
    ) -> ZoneStatus {
        let stored = self.zone_records.0.get(name).and_then(|record| record.stored.as_ref());
        let before = stored.map_or(&[][..], |status| &status.conditions);
        let generation = self.index.zone_object(name).and_then(|entry| entry.generation);
        let status = memory.to_status(zone, self.longest_hold_down(), before, generation, now);
        let opening = self.opening_status(zone);
        let taints = Some(self.taints.record(zone).to_vec());
        let known = stored.and_then(|status| status.safe_to_lose);
        let safe_to_lose = self.losses.is_safe(zone).or(known);
        ZoneStatus { safe_to_lose, taints, opening, ..status }
    }

    /// What became of a write of a Zone object; true if others may have waited for it.
    pub(super) fn zone_answered(
        &mut self,
        write: &ZoneWrite,
        is_written: bool,
        now: Timestamp,
    ) -> bool {
        self.zone_records.answered(write, is_written, now)
    }

    /// Whether what matters of a zone is stored.
    fn zone_is_written(&self, zone: &Zone) -> bool {
        let Some(memory) = self.zones.get(zone) else { return true };
        let name = Name::from(zone_object_name(zone.as_str()));
        let needed = self.zone_status(&name, zone, memory, self.decided);
        let record = self.zone_records.0.get(&name);
        record
            .and_then(|record| record.stored.as_ref())
            .is_some_and(|stored| covers(stored, &needed))
    }

    /// Law 7: what matters of a tier's zones is stored before a pod of it is evicted.
    pub(super) fn zones_of_tier_are_written(&self, tier: &TierView) -> bool {
        tier.zones.keys().all(|zone| self.zone_is_written(zone))
    }

    /// Why nothing of this tier is begun, if a zone of it could not be written.
    pub(super) fn unwritten_zone(&self, tier: &TierView) -> Option<Blocked> {
        let failed = tier.zones.keys().find(|zone| {
            let name = zone_object_name(zone.as_str());
            let record = self.zone_records.0.get(&*name);
            record.is_some_and(|record| record.failed > 0) && !self.zone_is_written(zone)
        })?;
        Some(Blocked {
            reason: Reason::ClusterUnstable,
            message: format!(
                "Zone {} could not be written, and nothing is evicted before it is: the operator's log says why",
                zone_object_name(failed.as_str())
            ),
        })
    }
}
