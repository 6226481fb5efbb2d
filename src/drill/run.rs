//! A drill that has begun, as a state machine: the status that is stored and what is known now
//! go in, the next status comes out. Whatever is done to the cluster follows from the status
//! that is stored, so that whoever leads goes on from there.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::text::{bounded, counted, cut};
use crate::api::{
    DrillAdmission, DrillEvent, DrillForecast, DrillPhase, DrillReason, DrillResult, DrillTier,
    DrillZone, DrilledTier, ZoneDrillSpec, ZoneDrillStatus, limit, seconds,
};
use crate::observe::{Name, PolicyKey};

use super::facts::DrillFacts;

/// How long a zone is closed at most.
const LONGEST: Duration = Duration::from_mins(30);
/// How long a pod may wait for a node.
const PENDING_FOR: Duration = Duration::from_mins(2);
/// How long the zone stays closed once everything is up elsewhere.
const OBSERVE_FOR: Duration = Duration::from_mins(1);
/// After its hold-down a tier has so long to be balanced again.
const BALANCED_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// As many bytes of an event are kept.
const EVENT: usize = 500;

/// What is known while a drill runs.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    /// Whether somebody has paused the drill.
    pub is_paused: bool,
    /// Nodes of the zone.
    pub nodes: usize,
    /// Those of them that are not closed.
    pub open_nodes: usize,
    /// Nodes, wherever they are, that bear a mark of the drill.
    pub marked: usize,
    /// Another zone that is out.
    pub other_out: Option<String>,
    /// Why the cluster as a whole is in no state for a drill.
    pub unstable: Option<String>,
    /// Whether what is known may be out of date.
    pub is_stale: bool,
    /// The longest hold-down of the drilled tiers.
    pub hold_down: Duration,
    /// The tiers of the drilled policies that may use the zone.
    pub tiers: Vec<RunTier>,
}

/// What is known of a tier.
#[derive(Clone, Debug)]
pub struct RunTier {
    /// Its policy.
    pub policy: PolicyKey,
    /// Its name.
    pub name: Name,
    /// How many pods it wants.
    pub desired: i32,
    /// How many are Available.
    pub available: i32,
    /// How many may be missing.
    pub budget: i32,
    /// Its pods by zone.
    pub zones: Vec<DrillZone>,
    /// Its pods in the zone.
    pub in_zone: i32,
    /// Those of them that are still to be evicted.
    pub to_evict: i32,
    /// Its pods that wait for a node.
    pub pending: i32,
    /// The one of them that waits longest.
    pub waits_longest: Option<Pending>,
    /// Whether it is balanced, and none of its pods is being moved.
    pub is_at_rest: bool,
    /// What is paused of it.
    pub paused: Option<String>,
}

/// A pod that waits for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The pod.
    pub pod: Name,
    /// Since when.
    pub since: Timestamp,
}

impl RunTier {
    fn full_name(&self) -> String {
        format!("{}/{} {}", self.policy.namespace, self.policy.name, self.name)
    }

    fn missing(&self) -> i32 {
        (self.desired - self.available).max(0)
    }
}

/// The status with which it begins to close the zone. The deadline is in it: it is stored
/// before the first taint.
pub(super) fn begin(
    spec: &ZoneDrillSpec,
    mut status: ZoneDrillStatus,
    facts: &DrillFacts,
    now: Timestamp,
) -> ZoneDrillStatus {
    let deadline = after(now, spec.max_duration.unwrap_or(LONGEST));
    status.phase = Some(DrillPhase::Closing);
    status.started_at = Some(seconds(now));
    status.deadline = Some(seconds(deadline));
    status.admission = Some(DrillAdmission {
        until: seconds(deadline),
        policies: facts.policies.iter().take(limit::DRILL_POLICIES).cloned().collect(),
    });
    let tiers = facts.tiers.iter().filter(|tier| tier.in_zone > 0).take(limit::DRILL_TIERS);
    let tiers = tiers.map(|tier| DrilledTier {
        namespace: tier.policy.namespace.to_string(),
        policy: tier.policy.name.to_string(),
        tier: tier.name.to_string(),
        replicas: tier.desired,
        before: tier.zones.clone(),
        lowest_available: (tier.desired - tier.missing).max(0),
        ..DrilledTier::default()
    });
    status.result = Some(DrillResult { tiers: tiers.collect(), ..DrillResult::default() });
    let zone = &spec.zone;
    note(&mut status, &format!("zone {zone} is being closed, until {deadline:.0} at most"), now);
    status.message =
        format!("zone {zone} is being closed: its nodes are tainted, then pods are evicted");
    status
}

/// What becomes of a drill that runs.
#[must_use]
pub fn step(
    spec: &ZoneDrillSpec,
    known: &ZoneDrillStatus,
    facts: &RunFacts,
    now: Timestamp,
) -> ZoneDrillStatus {
    let mut status = known.clone();
    let Some(phase) = status.phase.filter(|phase| phase.runs()) else { return status };
    measure(&mut status, facts);
    if phase.closes()
        && let Some((reason, why)) = abort_reason(spec, &status, facts, now)
    {
        status.reason = Some(reason);
        open(spec, &mut status, facts, &format!("aborted, {reason}: {why}"), now);
        return status;
    }
    match phase {
        // What is not known for sure is waited for: the deadline does not wait.
        _ if facts.is_stale => {}
        DrillPhase::Closing => close(spec, &mut status, facts, now),
        DrillPhase::Closed => observe(spec, &mut status, facts, now),
        DrillPhase::Opening if facts.marked == 0 => {
            status.phase = Some(DrillPhase::Recovering);
            note(&mut status, &format!("zone {} is open", spec.zone), now);
            say(&mut status, "the zone is open again, and the tiers are brought into balance");
        }
        DrillPhase::Recovering => recover(&mut status, facts, now),
        _ => {}
    }
    status
}

/// A pod of the tier was evicted.
pub fn evicted(status: &mut ZoneDrillStatus, policy: &PolicyKey, tier: &str) {
    let Some(result) = &mut status.result else { return };
    result.evictions += 1;
    if let Some(known) = result.tiers.iter_mut().find(|known| is_of(known, policy, tier)) {
        known.evictions += 1;
    }
}

fn is_of(known: &DrilledTier, policy: &PolicyKey, tier: &str) -> bool {
    known.tier == tier && known.policy == *policy.name && known.namespace == *policy.namespace
}

/// The worst moments so far, and where the pods are.
fn measure(status: &mut ZoneDrillStatus, facts: &RunFacts) {
    let phase = status.phase;
    let Some(result) = status.result.as_mut().filter(|_| !facts.is_stale) else { return };
    for tier in &facts.tiers {
        let known = result.tiers.iter_mut().find(|known| is_of(known, &tier.policy, &tier.name));
        let Some(known) = known else { continue };
        known.lowest_available = known.lowest_available.min(tier.available);
        known.most_pending = known.most_pending.max(tier.pending);
        if phase.is_some_and(DrillPhase::closes) {
            known.during.clone_from(&tier.zones);
        } else {
            known.after.clone_from(&tier.zones);
        }
    }
}

/// Why the zone is to be opened at once.
fn abort_reason(
    spec: &ZoneDrillSpec,
    status: &ZoneDrillStatus,
    facts: &RunFacts,
    now: Timestamp,
) -> Option<(DrillReason, String)> {
    if facts.is_paused {
        let why = "the drill was paused (zonespread.io/paused)";
        return Some((DrillReason::Stopped, why.to_owned()));
    }
    if status.deadline.as_ref().is_none_or(|deadline| deadline.0 <= now) {
        let why = "spec.maxDuration is over, and not everything was up elsewhere";
        return Some((DrillReason::DeadlinePassed, why.to_owned()));
    }
    if let Some(other) = &facts.other_out {
        return Some((DrillReason::ZoneNotReady, format!("zone {other} is out as well")));
    }
    if let Some(why) = &facts.unstable {
        return Some((DrillReason::ClusterUnstable, why.clone()));
    }
    let abort = spec.abort_on.clone().unwrap_or_default();
    let patience = abort.pending_for.unwrap_or(PENDING_FOR);
    facts.tiers.iter().find_map(|tier| {
        let name = tier.full_name();
        if let Some(paused) = &tier.paused {
            return Some((DrillReason::Paused, format!("tier {name}: {paused}")));
        }
        let (available, desired) = (tier.available, tier.desired);
        let is_below = abort.below_percent.is_some_and(|percent| {
            i64::from(available) * 100 < i64::from(desired) * i64::from(percent)
        });
        if tier.missing() > tier.budget || is_below {
            let why = format!("tier {name} has {available} of {desired} pods Available");
            return Some((DrillReason::TierBelowFloor, why));
        }
        let waits = tier.waits_longest.as_ref()?;
        (after(waits.since, patience) <= now).then(|| {
            let why =
                format!("tier {name}: pod {} waits for a node since {:.0}", waits.pod, waits.since);
            (DrillReason::PodsPending, why)
        })
    })
}

fn close(spec: &ZoneDrillSpec, status: &mut ZoneDrillStatus, facts: &RunFacts, now: Timestamp) {
    let left: i32 = facts.tiers.iter().map(|tier| tier.to_evict).sum();
    if facts.open_nodes > 0 || left > 0 {
        return;
    }
    status.phase = Some(DrillPhase::Closed);
    let nodes = counted(facts.nodes, "node");
    note(
        status,
        &format!("zone {} is closed ({nodes}), and empty of drilled pods", spec.zone),
        now,
    );
    say(status, "the zone is closed: its pods come up elsewhere");
    observe(spec, status, facts, now);
}

/// The zone stays closed for a while once all is as it stays.
fn observe(spec: &ZoneDrillSpec, status: &mut ZoneDrillStatus, facts: &RunFacts, now: Timestamp) {
    let forecast = status.forecast.clone().unwrap_or_default();
    let is_settled = |tier: &RunTier| {
        let told = told_of(&forecast, tier).map_or(0, |told| told.pending);
        tier.to_evict == 0 && tier.available + told >= tier.desired
    };
    if facts.open_nodes > 0 || !facts.tiers.iter().all(is_settled) {
        status.settled_at = None;
        return;
    }
    let Some(settled) = status.settled_at.as_ref().map(|at| at.0) else {
        status.settled_at = Some(seconds(now));
        note(status, "all is as the forecast said, or better", now);
        let started = status.started_at.as_ref().map_or(now, |at| at.0);
        if let Some(result) = &mut status.result {
            let took = now.duration_since(started).as_secs();
            result.seconds_to_ready = Some(result.seconds_to_ready.unwrap_or(took));
        }
        say(status, "the zone is closed, and all is up elsewhere that was to come up");
        return;
    };
    if after(settled, spec.observe_for.unwrap_or(OBSERVE_FOR)) <= now {
        let pending: i32 = facts.tiers.iter().map(|tier| tier.pending).sum();
        let stay: i32 = facts.tiers.iter().map(|tier| tier.in_zone).sum();
        let is_met = pending == forecast.pending && stay == forecast.stays;
        if let Some(result) = &mut status.result {
            result.forecast_met = Some(is_met && result.evictions == forecast.evictions);
        }
        open(spec, status, facts, "everything has been seen", now);
    }
}

fn told_of<'f>(forecast: &'f DrillForecast, tier: &RunTier) -> Option<&'f DrillTier> {
    forecast.tiers.iter().find(|told| {
        told.tier == *tier.name
            && told.policy == *tier.policy.name
            && told.namespace == *tier.policy.namespace
    })
}

fn open(
    spec: &ZoneDrillSpec,
    status: &mut ZoneDrillStatus,
    facts: &RunFacts,
    why: &str,
    now: Timestamp,
) {
    status.phase = Some(DrillPhase::Opening);
    status.opened_at = Some(seconds(now));
    status.admission = None;
    let evictions = status.result.as_ref().map_or(0, |result| result.evictions);
    let evictions = counted(evictions, "eviction");
    let nodes = counted(facts.marked, "node");
    note(status, &format!("zone {} is opened after {evictions}: {why}", spec.zone), now);
    say(status, &format!("{nodes} of zone {} are opened: {why}", spec.zone));
}

/// The main job brings the pods home; the drill waits for it.
fn recover(status: &mut ZoneDrillStatus, facts: &RunFacts, now: Timestamp) {
    let opened = status.opened_at.as_ref().map_or(now, |at| at.0);
    let waits = facts.tiers.iter().find(|tier| !tier.is_at_rest || tier.missing() > 0);
    let latest = after(opened, facts.hold_down).checked_add(BALANCED_WITHIN);
    let is_late = latest.is_ok_and(|latest| latest <= now);
    let end = match waits {
        None => {
            if let Some(result) = &mut status.result {
                result.seconds_to_balanced = Some(now.duration_since(opened).as_secs());
            }
            if status.reason.is_some() { DrillPhase::Aborted } else { DrillPhase::Succeeded }
        }
        Some(tier) if is_late => {
            let message = format!("tier {} was not balanced in time", tier.full_name());
            note(status, &message, now);
            if status.reason.is_none() {
                status.reason = Some(DrillReason::NotBalanced);
                say(status, &message);
                DrillPhase::Failed
            } else {
                DrillPhase::Aborted
            }
        }
        Some(_) => return,
    };
    status.phase = Some(end);
    status.ended_at = Some(seconds(now));
    let result = status.result.clone().unwrap_or_default();
    match (end, status.reason) {
        (DrillPhase::Succeeded, _) => {
            let met =
                if result.forecast_met == Some(true) { "as forecast" } else { "not as forecast" };
            let after = result.seconds_to_balanced.unwrap_or(0);
            let evictions = counted(result.evictions, "eviction");
            say(
                status,
                &format!(
                    "the zone was closed with {evictions}, {met}, and all tiers were balanced {after} s after it was opened"
                ),
            );
        }
        (DrillPhase::Aborted, Some(reason)) => {
            let why = status.timeline.iter().rev().find(|event| event.what.contains("aborted, "));
            let why = why.map_or_else(|| reason.to_string(), |event| event.what.clone());
            say(status, &why);
        }
        _ => {}
    }
    note(status, &format!("the drill is over: {}", end.as_str()), now);
}

fn after(at: Timestamp, length: Duration) -> Timestamp {
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}

fn say(status: &mut ZoneDrillStatus, message: &str) {
    status.message = bounded(message);
}

fn note(status: &mut ZoneDrillStatus, what: &str, now: Timestamp) {
    let what = cut(&bounded(what), EVENT).to_owned();
    status.timeline.push(DrillEvent { at: seconds(now), what });
    let many = status.timeline.len().saturating_sub(limit::DRILL_EVENTS);
    status.timeline.drain(..many);
}
