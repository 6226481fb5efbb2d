//! The recovery of a policy: from a zone's return, or the first imbalance, to balance.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::api::{
    LowestReady, PastRecovery, Phase, PolicyZone, Recovery, RecoveryOutcome,
    ZoneSpreadPolicyStatus, ZoneState, limit, seconds,
};

use crate::moves::Move;
use crate::observe::{Zone, ZoneMemory};
use crate::report::TierReport;

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
        tiers: &[TierReport],
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
            if let Some(open) = self.recovery.take().filter(|known| known.balanced_at.is_none()) {
                let began = last_outage.filter(|began| *began > open.started_at.0);
                let ended = began.unwrap_or(now);
                self.keep_in_history(&open, ended, RecoveryOutcome::Interrupted);
            }
            let lost_at = last_outage.map(seconds);
            self.recovery = Some(Recovery { lost_at, ..begin(Some(zone.clone()), at) });
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
        note_hold(recovery, &status.zones, now);
        note_lowest(recovery, tiers);
        recovery.moves_total = recovery.moves_done + under_way + planned;
        if status.phase == Some(Phase::Balanced) {
            recovery.balanced_at = Some(seconds(now));
            recovery.estimated_end = None;
            let balanced = recovery.clone();
            self.keep_in_history(&balanced, now, RecoveryOutcome::Balanced);
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

    /// A move of the recovery under way did not help.
    pub(super) fn count_miss(&mut self) {
        if let Some(open) = self.recovery.as_mut().filter(|known| known.balanced_at.is_none()) {
            open.misses += 1;
        }
    }

    /// Keeps a recovery that is over, and the last ones before it. Those after outages are
    /// kept longer: in a busy cluster others come every day.
    fn keep_in_history(&mut self, over: &Recovery, ended: Timestamp, outcome: RecoveryOutcome) {
        if over.zone.is_none() && over.moves_done + over.misses == 0 {
            return;
        }
        let ended = ended.max(over.started_at.0);
        self.history.push(PastRecovery {
            zone: over.zone.clone(),
            lost_at: over.lost_at.clone(),
            started_at: over.started_at.clone(),
            held_until: over.held_until.as_ref().map(|until| seconds(until.0.min(ended))),
            ended_at: seconds(ended),
            outcome,
            moves: over.moves_done,
            misses: over.misses,
            lowest: over.lowest.clone(),
        });
        while self.history.len() > limit::PAST_RECOVERIES {
            let without = self.history.iter().filter(|past| past.zone.is_none()).count();
            let may_go = |past: &PastRecovery| {
                without <= limit::RECOVERIES_WITHOUT_ZONE || past.zone.is_none()
            };
            let oldest = self.history.iter().position(may_go).unwrap_or(0);
            self.history.remove(oldest);
        }
    }

    /// How long a landing took on average, over the moves that are remembered.
    fn mean_duration(&self) -> Option<SignedDuration> {
        let landed: Vec<SignedDuration> =
            self.moves.iter().filter_map(Move::landed_after).collect();
        let total: SignedDuration = landed.iter().sum();
        (!landed.is_empty()).then(|| total / i32::try_from(landed.len()).unwrap_or(1))
    }
}

/// Until when the zone is held; until now, if the hold has been ended earlier than it said.
fn note_hold(recovery: &mut Recovery, zones: &[PolicyZone], now: Timestamp) {
    let own = zones.iter().find(|zone| Some(&zone.name) == recovery.zone.as_ref());
    let Some(own) = own else { return };
    let known = recovery.held_until.take();
    recovery.held_until = match &own.hold_until {
        Some(until) => Some(until.clone()),
        None => known.map(|until| if until.0 > now { seconds(now) } else { until }),
    };
}

/// The worst moment so far, of the tier that had it.
fn note_lowest(recovery: &mut Recovery, tiers: &[TierReport]) {
    for view in tiers.iter().map(|tier| &tier.view).filter(|view| view.desired > 0) {
        let (available, replicas) = (view.available.min(view.desired), view.desired);
        if recovery.lowest.as_ref().is_none_or(|known| known.is_above(available, replicas)) {
            let tier = view.name.to_string();
            recovery.lowest = Some(LowestReady { tier, available, replicas });
        }
    }
}

fn begin(zone: Option<String>, at: Timestamp) -> Recovery {
    Recovery {
        zone,
        lost_at: None,
        started_at: seconds(at),
        held_until: None,
        moves_done: 0,
        moves_total: 0,
        misses: 0,
        lowest: None,
        estimated_end: None,
        balanced_at: None,
    }
}
