//! What is remembered of each tier to know whether it is steady: an imbalance that no outage
//! explains waits for that.
//!
//! Law 7: pods' creation is read from the cluster; how many replicas were wanted, and how an
//! imbalance began, are in the status. What cannot be known after a restart makes it wait
//! longer, never shorter.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::api::{Cause, TierStatus, seconds};
use crate::observe::{Name, Pod, PolicyEntry};
use crate::plan::{Imbalance, TierView, is_drained};
use crate::report::TierReport;

use super::Operator;
use super::policy_state::PolicyState;

/// By the API server's clock a replacement may be this much older than its move.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// An imbalance that begins so long after a tier was scaled in, rolled out or drained is still
/// put down to that: pods take their time to end.
const EVENT_REACHES: SignedDuration = SignedDuration::from_mins(10);

/// What is remembered of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Steadiness {
    /// How many pods its workloads wanted.
    replicas: i32,
    /// Its skew.
    skew: i32,
    /// Whether a workload of it was rolling out.
    is_rolling: bool,
    /// When it changed last, as far as that was seen.
    changed: Option<Timestamp>,
    /// What happened to it last that may unbalance it, and when.
    event: Option<(Cause, Timestamp)>,
    /// Its imbalance, if there is one.
    imbalance: Option<Imbalance>,
    /// Pods that our moves made since it is unbalanced.
    own: BTreeSet<Name>,
}

impl Steadiness {
    /// What an earlier process wrote.
    pub fn restore(status: &TierStatus) -> Self {
        let imbalance = status.imbalance.as_ref().map(|known| Imbalance {
            since: known.since.0,
            steady_since: known.steady_since.0,
            outage: known.outage,
            origin: known.origin,
        });
        Self {
            replicas: status.replicas,
            skew: status.skew,
            is_rolling: false,
            changed: None,
            event: None,
            imbalance,
            own: BTreeSet::new(),
        }
    }

    fn of(view: &TierView) -> Self {
        Self {
            replicas: view.desired,
            skew: view.skew(),
            is_rolling: view.rolling_out.is_some(),
            changed: None,
            event: None,
            imbalance: None,
            own: BTreeSet::new(),
        }
    }

    /// What happens to the tier that may unbalance it, given what it was before.
    fn event_since(&self, before: &Self, view: &TierView) -> Option<Cause> {
        if self.replicas < before.replicas {
            Some(Cause::ScaleIn)
        } else if self.is_rolling || before.is_rolling {
            Some(Cause::Rollout)
        } else if is_drained(view) {
            Some(Cause::Drain)
        } else {
            None
        }
    }

    /// What happened to it last, if that was lately.
    fn recent_event(&self, now: Timestamp) -> Option<Cause> {
        let (event, at) = self.event?;
        (now.duration_since(at) <= EVENT_REACHES).then_some(event)
    }
}

impl PolicyState {
    /// Forgets tiers that are gone; of an invalid policy none is known to be.
    pub(super) fn forget_tiers(&mut self, reports: &[TierReport], is_invalid: bool) {
        if !is_invalid && self.steadiness.len() > reports.len() {
            let is_there = |tier: &Name| reports.iter().any(|report| report.view.name == *tier);
            self.steadiness.retain(|tier, _| is_there(tier));
        }
    }
}

impl Operator {
    /// Brings what is remembered of a tier's steadiness up to what it shows; its imbalance.
    pub(super) fn sync_imbalance(
        &self,
        policy: &PolicyEntry,
        view: &TierView,
        memory: &mut PolicyState,
        now: Timestamp,
    ) -> Option<Imbalance> {
        let known = memory.steadiness.remove(&view.name);
        let is_first_look = known.is_none();
        let mut before = known.unwrap_or_else(|| Steadiness::of(view));
        let own = std::mem::take(&mut before.own);
        let mut steady = Steadiness { own, ..Steadiness::of(view) };
        let has_changed =
            steady.replicas != before.replicas || (before.is_rolling && !steady.is_rolling);
        steady.changed = if has_changed { Some(seconds(now).0) } else { before.changed };
        let at_rest = memory.under_way_of(&view.name).next().is_none();
        let event = steady.event_since(&before, view);
        steady.event = event.map(|event| (event, seconds(now).0)).or(before.event);
        let recent = steady.recent_event(now);
        // Pods that are missing are made again: then it shows whether it is balanced.
        let is_over = view.is_balanced() && at_rest && view.pods() >= view.desired;
        let begins = !view.is_balanced() && before.imbalance.is_none();
        if !is_over && (begins || before.imbalance.is_some()) {
            steady.own.extend(own_pods(view, memory));
            let youngest = self.youngest_pod(policy, view, memory, &steady.own);
            let last_change = steady.changed.max(youngest);
            let mut imbalance = before.imbalance.unwrap_or_else(|| {
                // On the first look it is as old as the pods; it may be allowed less skew now.
                let is_seen = !is_first_look && before.skew != steady.skew;
                let told = last_change.map_or(seconds(now).0, |at| at.min(seconds(now).0));
                let since = if is_first_look { told } else { seconds(now).0 };
                let steady_since = if is_seen { since } else { told };
                Imbalance { since, steady_since, outage: false, origin: recent }
            });
            imbalance.steady_since = imbalance.steady_since.max(last_change.unwrap_or_default());
            if steady.skew > before.skew {
                imbalance.origin = imbalance.origin.or(recent);
            }
            imbalance.note_outages(view, now);
            steady.imbalance = Some(imbalance);
        } else {
            steady.own.clear();
        }
        let imbalance = steady.imbalance.clone();
        memory.steadiness.insert(Name::clone(&view.name), steady);
        imbalance
    }

    /// When the youngest pod of a tier was made that none of our moves made. While it is not
    /// known which pod replaces the one that a move evicted, any of the newest may.
    fn youngest_pod(
        &self,
        policy: &PolicyEntry,
        view: &TierView,
        memory: &PolicyState,
        own: &BTreeSet<Name>,
    ) -> Option<Timestamp> {
        let unreplaced =
            memory.under_way_of(&view.name).filter(|moved| moved.replacement.is_none());
        let ambiguous = unreplaced.map(|moved| moved.decided - CLOCK_TOLERANCE).min();
        let pods = policy.tiers.get(&view.name)?.iter();
        let pods = pods.filter_map(|id| self.index.cluster().pod(*id));
        let foreign = pods.filter(|pod: &&Pod| !own.contains(&pod.name));
        let created = foreign.map(|pod| pod.created.time());
        created.filter(|at| ambiguous.is_none_or(|ambiguous| *at < ambiguous)).max()
    }
}

/// Pods that moves of a tier made, as far as that is remembered.
fn own_pods<'m>(view: &'m TierView, memory: &'m PolicyState) -> impl Iterator<Item = Name> + 'm {
    let moves = memory.moves.iter().filter(|moved| *moved.tier == *view.name);
    moves.filter_map(|moved| Some(Name::clone(&moved.replacement.as_ref()?.name)))
}
