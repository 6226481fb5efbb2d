//! Imbalances: since when there is one, since when the tier is steady, and whether an
//! outage explains it. One that no outage explains waits until the tier has settled.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::{Blocked, Cause, Reason, Trigger, written_duration};
use crate::observe::{ZoneHealth, ZoneMemory};

use super::gates::{blocked, long, short};
use super::tier::TierView;

/// What begins or changes so shortly before an outage is seen, or after a zone is seen to be
/// back, is the outage's doing: watches come in no common order, and `PodGC` takes a minute to
/// delete the pods of nodes that are gone.
const OUTAGE_REACHES: SignedDuration = SignedDuration::from_mins(2);

/// How a tier got out of balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// Since when it is.
    pub since: Timestamp,
    /// Since when it is steady: neither its replicas nor its pods have changed, but for our own
    /// moves, and no rollout has gone on.
    pub steady_since: Timestamp,
    /// Whether an outage explains it; so it stays until the tier is balanced again.
    pub outage: bool,
    /// What happened when it began, if that was seen: a scale-in, a rollout or a drain.
    pub origin: Option<Cause>,
}

impl Imbalance {
    /// Looks whether it began, or the tier changed last, in an outage of one of its zones.
    pub fn note_outages(&mut self, tier: &TierView, now: Timestamp) {
        let zones = tier.zones.values().filter_map(|counted| counted.health.as_ref());
        let mut outages = zones.filter_map(|zone| outage_of(zone, now));
        let times = [self.since, self.steady_since];
        self.outage |= outages.any(|(began, ended)| {
            times.into_iter().any(|at| {
                let early = at.checked_add(OUTAGE_REACHES).unwrap_or(at);
                let late = at.checked_sub(OUTAGE_REACHES).unwrap_or(at);
                began <= early && ended.is_none_or(|ended| late <= ended)
            })
        });
    }

    /// When it has been steady for so long.
    #[must_use]
    pub fn settled_at(&self, settle: Duration) -> Timestamp {
        self.steady_since.checked_add(settle).unwrap_or(Timestamp::MAX)
    }
}

/// When the zone's last outage began, and when it ended if it is over. A zone that people
/// hold is as good as out; one whose nodes are gone for good has no outage any more.
fn outage_of(zone: &ZoneMemory, now: Timestamp) -> Option<(Timestamp, Option<Timestamp>)> {
    if zone.held(now).is_some() {
        return Some((zone.held_since.unwrap_or(now), None));
    }
    if zone.is_drilled() {
        return Some((zone.drilled_since.unwrap_or(now), None));
    }
    let began = || zone.last_outage.unwrap_or(zone.since);
    match zone.health {
        ZoneHealth::Impaired => Some((began(), None)),
        ZoneHealth::Empty if !zone.was_drained() => Some((began(), Some(zone.since))),
        ZoneHealth::Usable | ZoneHealth::Empty => {
            let ended = zone.recovered_at?;
            Some((zone.last_outage.unwrap_or(ended), Some(ended)))
        }
    }
}

/// The policy wants recoveries only.
pub(super) fn not_a_recovery(tier: &TierView, imbalance: Option<&Imbalance>) -> Option<Blocked> {
    let unexplained = imbalance.filter(|known| !known.outage)?;
    if tier.settings.trigger != Trigger::Recovery {
        return None;
    }
    blocked(
        Reason::NotARecovery,
        format!(
            "the tier is unbalanced since {}, and not because of an outage: rebalance.trigger is Recovery, so it is only shown; Always lets it be moved",
            long(unexplained.since)
        ),
    )
}

/// Whoever scales or rolls out may do so again: the tier is left alone until it is steady.
pub(super) fn settling(
    tier: &TierView,
    imbalance: Option<&Imbalance>,
    now: Timestamp,
) -> Option<Blocked> {
    let unexplained = imbalance.filter(|known| !known.outage)?;
    let settle = tier.settings.settle;
    let until = unexplained.settled_at(settle);
    if settle.is_zero() || until <= now {
        return None;
    }
    blocked(
        Reason::Settling,
        format!(
            "no outage explains the imbalance, and the tier last changed at {} (scaled, rolled out, or a pod made): it settles until {} (rebalance.settle {}); wait, or set a shorter one",
            short(unexplained.steady_since),
            short(until),
            written_duration(settle),
        ),
    )
}
