//! The recovery of a policy: from a zone's return, or the first imbalance, to balance.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::api::{Phase, Recovery, ZoneSpreadPolicyStatus, ZoneState, seconds};

use crate::moves::Move;
use crate::observe::{Zone, ZoneMemory};

use super::policy_state::PolicyState;

/// A zone that is out for the policy's tiers.
pub(super) fn zone_out(status: &ZoneSpreadPolicyStatus) -> Option<Zone> {
    let out = status.zones.iter().find(|zone| zone.state == ZoneState::Impaired);
    out.map(|zone| Zone::new(&zone.name))
}

impl PolicyState {
    /// Opens a recovery when a zone has come back or moves are planned, and
    /// brings the one that is open up to date with `status`.
    pub fn update_recovery(
        &mut self,
        status: &ZoneSpreadPolicyStatus,
        zones: &BTreeMap<Zone, ZoneMemory>,
        now: Timestamp,
    ) {
        self.zone_out = zone_out(status).or_else(|| self.zone_out.take());
        let returned = status
            .zones
            .iter()
            .filter(|zone| match zone.state {
                ZoneState::Recovering => true,
                // Without a hold-down there is nothing between outage and moves.
                ZoneState::Ready => status.phase == Some(Phase::Rebalancing),
                _ => false,
            })
            .filter_map(|zone| {
                let memory = zones.get(&Zone::new(&zone.name))?;
                Some((seconds(memory.recovered_at?).0, &zone.name, memory.last_outage))
            })
            .max_by_key(|(at, ..)| *at);
        // Another outage, another recovery. That it is another does not show in
        // when it ended: two replicas may have seen that at different times, and
        // a zone in doubt is held again.
        let is_another = |known: &Recovery, last_outage: Option<Timestamp>| {
            known.zone.is_none()
                || last_outage.is_some_and(|began| known.started_at.0 < seconds(began).0)
        };
        if let Some((at, zone, last_outage)) = returned
            && self.recovery.as_ref().is_none_or(|known| is_another(known, last_outage))
        {
            self.recovery = Some(begin(Some(zone.clone()), at));
            // Law 5 counts futile evictions per recovery. An outage that only the Zone object
            // tells of, after a restart, may have been that of another pool's nodes.
            if self.zone_out.take().is_some() {
                self.reset_misses();
            }
        }
        let planned = status.plan.as_ref().map_or(0, |plan| plan.total);
        let under_way = i32::try_from(self.under_way().count()).unwrap_or(i32::MAX);
        let is_open = self.recovery.as_ref().is_some_and(|known| known.balanced_at.is_none());
        if !is_open && status.phase == Some(Phase::Rebalancing) && planned + under_way > 0 {
            self.recovery = Some(begin(None, now));
        }
        let mean = self.mean_duration();
        let Some(recovery) = self.recovery.as_mut().filter(|known| known.balanced_at.is_none())
        else {
            return;
        };
        recovery.moves_total = recovery.moves_done + under_way + planned;
        if status.phase == Some(Phase::Balanced) {
            recovery.balanced_at = Some(seconds(now));
            recovery.estimated_end = None;
            return;
        }
        let held =
            status.zones.iter().filter_map(|zone| zone.hold_until.as_ref()).map(|at| at.0).max();
        let begun = self.moves.iter().map(|moved| moved.finished.unwrap_or(moved.decided));
        let from = begun.chain(held).chain([recovery.started_at.0]).max();
        recovery.estimated_end = from.zip(mean).and_then(|(from, mean)| {
            let left = mean.checked_mul(under_way + planned)?;
            Some(seconds(from.checked_add(left).ok()?))
        });
    }

    /// How long a landing took on average, over the moves that are remembered.
    fn mean_duration(&self) -> Option<SignedDuration> {
        let landed: Vec<SignedDuration> =
            self.moves.iter().filter_map(Move::landed_after).collect();
        let total: SignedDuration = landed.iter().sum();
        (!landed.is_empty()).then(|| total / i32::try_from(landed.len()).unwrap_or(1))
    }
}

fn begin(zone: Option<String>, at: Timestamp) -> Recovery {
    Recovery {
        zone,
        started_at: seconds(at),
        moves_done: 0,
        moves_total: 0,
        estimated_end: None,
        balanced_at: None,
    }
}
