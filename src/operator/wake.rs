//! When a policy is asked again by time alone.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::api::{Reason, ZoneSpreadPolicySpec};
use crate::plan::TierSettings;
use crate::report::TierReport;

use super::policy_state::PolicyState;

/// How soon a tier that waits for other moves is asked again, at the latest.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(2);

/// How soon a tier that the rest of the cluster is in the way of is asked again.
const LOOK_FOR_ROOM: SignedDuration = SignedDuration::from_secs(30);

/// When the answer may change by time alone.
pub(super) fn wake(
    memory: &mut PolicyState,
    reports: &[TierReport],
    spec: &ZoneSpreadPolicySpec,
    throttled_until: Option<Timestamp>,
    now: Timestamp,
) {
    let mut times: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let mut at = |what: &'static str, time: Option<Timestamp>| {
        if let Some(time) = time.filter(|time| *time > now) {
            times.entry(what).and_modify(|known| *known = time.min(*known)).or_insert(time);
        }
    };
    for report in reports {
        // Whatever becomes of the move that is waited for, it is noticed.
        if report.blocked.as_ref().is_some_and(|why| why.reason == Reason::MovesUnderWay) {
            at("others", now.checked_add(LOOK_AGAIN).ok());
        }
        // Room comes and goes with pods that are none of ours.
        if report.plan.obstacle.is_some() {
            at("room", now.checked_add(LOOK_FOR_ROOM).ok());
        }
        if !report.view.is_balanced() {
            at("window", report.view.windows.at(now).changes());
            let hold_down = report.view.settings.hold_down;
            let zones = report.view.zones.values().filter_map(|zone| zone.health.as_ref());
            for zone in zones {
                at("opening", zone.opens_at(hold_down, now));
            }
        }
        at("retry", report.history.retry_at);
        at("refusal", report.history.refused.as_ref().map(|(_, until)| *until));
        at("available", report.view.available_later);
        at("zones", report.view.known_zones.next_change(report.view.settings.hold_down, now));
        let settle = report.view.settings.settle;
        at("settled", report.imbalance.as_ref().map(|known| known.settled_at(settle)));
    }
    at("throttled", throttled_until);
    memory.steering.changes_at().for_each(|change| at("steering", Some(change)));
    for moved in memory.under_way() {
        let timeout = TierSettings::of(spec, &moved.tier).landing_timeout;
        at("moves", moved.wakes_at(timeout, now));
    }
    memory.next = memory.next.into_iter().chain(times.into_values()).min();
}
