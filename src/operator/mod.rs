//! The operator without its IO: events go in, effects come out.
//!
//! [`Operator::apply`] folds a watch event into the index, [`Operator::outcome`]
//! what became of an effect, and [`Operator::decide`] asks the planner about
//! every policy whose answer may have changed. [`MainLoop`] says when. The
//! controller carries the effects out; `tests/simulate` does so as well.

mod cluster_state;
mod concurrent_moves;
mod decision;
mod drill_marks;
mod drill_run;
mod drills;
mod dry_run;
mod fault;
mod follow_up;
mod in_flight;
mod invalidity;
mod main_loop;
mod open_landings;
mod opening;
mod parallel;
mod policy_state;
mod probe_pods;
mod reconcile;
mod recovery;
mod rights;
mod scale_in;
mod scheduler_version;
mod steadiness;
mod steering;
mod suspicion;
mod tier_zones;
mod wake;
mod zone_losses;
mod zones;

pub use concurrent_moves::MAX_CONCURRENT_MOVES;
pub use decision::{
    Decision, DrillWrite, NodeAsk, NodeVerb, ProbeAnswer, ProbeAsk, ProbeVerb, ZoneWrite,
};
pub use drills::KnownDrill;
pub use dry_run::DryRun;
pub use main_loop::{Look, MainLoop};
pub use zone_losses::OutlookProgress;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{SchedulerStatus, ZoneSpreadPolicyStatus, ZoneState, ZoneStatus};
use crate::moves::{ActionError, Outcome, Signal};
use crate::observe::{
    Change, Changed, Index, Name, PolicyKey, TaintHistory, Zone, ZoneCondition, ZoneEvent,
    ZoneMemory, ZoneTracker,
};
use crate::plan::{Openings, SteeringRight, SurgeRight, ZoneLanding};
use crate::predict::{
    KnownVersion, NodeGroups, Rivals, Scheduler, SchedulerCache, SchedulerConfig,
};

use cluster_state::{ApiFailures, ClusterState};
use concurrent_moves::ConcurrentMoves;
use drills::Drills;
use fault::Fault;
use parallel::ParallelPlans;
use policy_state::PolicyState;
use probe_pods::ZoneOpenings;
use scale_in::ScaleIn;
use suspicion::Suspicion;
use zone_losses::ZoneLosses;
use zones::ZoneRecords;

/// The operator without its IO.
#[derive(Debug, Default)]
pub struct Operator {
    index: Index,
    cache: SchedulerCache,
    scheduler_version: KnownVersion,
    /// Schedulers that the cluster may have instead, and what landings say about them.
    rivals: Rivals,
    suspicion: Suspicion,
    /// What was said of the scheduler when the policies were last asked.
    scheduler_asked: Option<SchedulerStatus>,
    zones: ZoneTracker,
    /// What was written of them.
    zone_records: ZoneRecords,
    /// Since when nodes carry their taints, and when that next matters.
    taints: TaintHistory,
    taints_due: Option<Timestamp>,
    /// The nodes as tiers see them.
    groups: NodeGroups,
    /// Zones that nodes were taken from or given to since the policies were last asked.
    regrouped: BTreeSet<Zone>,
    /// Zones whose nodes that have left since then were all removed in order.
    drained: BTreeSet<Zone>,
    /// What became of moves of late, by zone.
    landings: Vec<ZoneLanding>,
    policies: BTreeMap<PolicyKey, PolicyState>,
    /// Policies with moves that are open.
    moving: BTreeSet<PolicyKey>,
    /// Policies with an unbalanced tier.
    unbalanced: BTreeSet<PolicyKey>,
    /// When to ask a policy again by time alone.
    due: BTreeSet<(Timestamp, PolicyKey)>,
    /// Every hold-down in use.
    hold_downs: Vec<Duration>,
    /// The nodes of every zone, counted.
    conditions: BTreeMap<Zone, ZoneCondition>,
    throttled_until: Option<Timestamp>,
    concurrent_moves: ConcurrentMoves,
    /// Requests that failed of late.
    failures: ApiFailures,
    leading: bool,
    /// A fault, for tests of the tests.
    fault: Option<Fault>,
    /// When the policies were last asked.
    decided: Timestamp,
    /// The zones as they were then.
    zones_asked: ZoneTracker,
    /// Whether a move ended since then, or a zone was written: others may wait for it.
    move_ended: bool,
    /// What held for the whole cluster when the policies were last asked.
    cluster_state: ClusterState,
    /// Whether pods may be replaced before they stop.
    surge: SurgeRight,
    /// What was proven, whatever is in the way for a moment: for the status.
    surge_proven: SurgeRight,
    /// Until when a refusal to change a pod is heeded: the right may be gone.
    unpatchable_until: Option<Timestamp>,
    /// The same when the policies were last asked.
    surge_asked: SurgeRight,
    /// What the loss of each zone would do.
    losses: ZoneLosses,
    /// Zones that are opened, and were lately.
    openings: ZoneOpenings,
    /// What gates and statuses say of them.
    openings_told: Arc<Openings>,
    /// The same when the policies were last asked.
    openings_asked: Arc<Openings>,
    /// Whether new pods can be steered.
    steering: SteeringRight,
    /// The same when the policies were last asked.
    steering_asked: SteeringRight,
    /// Deletion costs that guide scale-downs.
    scale_in: ScaleIn,
    /// Zones that are to be lost on purpose.
    drills: Drills,
    /// Plans of the policies that are being asked.
    parallel: ParallelPlans,
}

impl Operator {
    /// An operator for a cluster whose scheduler is configured like this.
    #[must_use]
    pub fn with_scheduler(mut self, config: SchedulerConfig) -> Self {
        self.cache = SchedulerCache::new(config);
        self.cache.set_version(self.scheduler_version.modelled());
        self.rivals = Rivals::of(self.cache.config());
        self
    }

    /// An operator with at most this many moves under way in the cluster, so that a mass
    /// recovery does not drown registries and the zone that recovers.
    #[must_use]
    pub const fn with_concurrent_moves(mut self, most: usize) -> Self {
        self.concurrent_moves = ConcurrentMoves(most);
        self
    }

    /// The index.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// The cluster's scheduler, as far as its configuration is known.
    #[must_use]
    pub fn scheduler(&self) -> Scheduler<'_> {
        Scheduler::new(self.index.cluster(), &self.cache)
    }

    /// How the cluster's scheduler is configured, as far as that is known.
    #[must_use]
    pub const fn scheduler_config(&self) -> &SchedulerConfig {
        self.cache.config()
    }

    /// The zones' health.
    #[must_use]
    pub const fn zones(&self) -> &ZoneTracker {
        &self.zones
    }

    /// Every zone, its state under the longest hold-down in use, and until when it is held.
    pub fn zone_states(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (&str, ZoneState, Option<Timestamp>)> {
        let longest = self.longest_hold_down();
        self.zones.iter().map(move |(zone, memory)| {
            let by_hand = memory.held(now).map(|hold| hold.until);
            let until = memory.hold_until(longest).max(by_hand);
            (zone.as_str(), memory.state(longest, now), until)
        })
    }

    /// What comes now is seen later than all before.
    pub fn advance(&mut self) {
        self.index.advance();
    }

    /// Folds one watch event into the index.
    pub fn apply(&mut self, change: Change) {
        self.index.apply(change);
    }

    /// This process leads from now on: takes over what the one before wrote, into the
    /// policies and into the Zone objects, by their names.
    pub fn lead<'a>(
        &mut self,
        statuses: impl IntoIterator<Item = (PolicyKey, &'a ZoneSpreadPolicyStatus)>,
        zones: impl IntoIterator<Item = (Name, Arc<ZoneStatus>)>,
        now: Timestamp,
    ) {
        self.leading = true;
        self.clear();
        let zones: Vec<_> = zones.into_iter().collect();
        let known: BTreeMap<Zone, ZoneMemory> =
            zones.iter().filter_map(|(_, status)| ZoneMemory::from_status(status)).collect();
        self.restore_taints(&zones, now);
        self.restore_openings(&zones);
        self.zone_records = ZoneRecords::of(zones);
        // Where somebody deleted the Zone object, the policies tell what they wait for.
        let mut told = Vec::new();
        for (key, status) in statuses {
            let hold_down = self.hold_down_of(&key);
            let zones = status.zones.iter();
            let zones = zones.filter_map(|zone| ZoneMemory::from_policy(zone, hold_down));
            told.extend(zones.filter(|(zone, _)| !known.contains_key(zone)));
            self.losses.restore(&key, status);
            let mut memory = PolicyState::restore(status, now);
            memory.restore_zones(status, &known, hold_down);
            self.remember(key, memory);
        }
        self.zones.restore(known.into_iter().chain(told));
    }

    /// This process no longer leads.
    pub fn follow(&mut self) {
        self.leading = false;
        self.clear();
    }

    fn clear(&mut self) {
        self.policies.clear();
        self.moving.clear();
        self.unbalanced.clear();
        self.due.clear();
        self.zone_records = ZoneRecords::default();
        self.losses = ZoneLosses::default();
        self.drills.clear();
        let patience = self.openings.patience;
        self.openings = ZoneOpenings { patience, ..ZoneOpenings::default() };
        // All policies are evaluated again.
        self.cluster_state = ClusterState { unstable: None, stale: Some(String::new()) };
    }

    /// What became of an effect.
    pub fn outcome(&mut self, outcome: Outcome, now: Timestamp) -> Vec<Signal> {
        if self.cost_answered(&outcome, now) {
            return Vec::new();
        }
        match &outcome {
            Outcome::Refused { refusal: ActionError::Throttled { retry_after }, .. } => {
                let pause = (*retry_after).max(policy_state::REFUSAL_HEEDED);
                self.throttled_until = now.checked_add(pause).ok();
            }
            Outcome::NotWritten { .. }
            | Outcome::Refused {
                refusal: ActionError::Failed(_) | ActionError::Unknown(_), ..
            } => {
                self.failures.note(outcome.policy(), now);
            }
            _ => {}
        }
        if let Outcome::Refused { verb, refusal: ActionError::Forbidden(_), .. } = &outcome
            && !verb.evicts()
        {
            self.unpatchable_until = now.checked_add(policy_state::REFUSAL_HEEDED).ok();
        }
        if outcome.is_of_drill() {
            return self.drill_acted(&outcome, now);
        }
        let policy = outcome.policy();
        let Some(mut memory) = self.take(policy) else {
            return Vec::new();
        };
        let signals = memory.outcome(policy, &outcome, now);
        let asked = |refusal: &ActionError| refusal.result().is_some();
        self.move_ended |= matches!(&outcome, Outcome::Refused { refusal, .. } if asked(refusal));
        self.remember(policy.clone(), memory);
        signals
    }

    /// What became of a [`ZoneWrite`].
    pub fn zone_written(&mut self, write: &ZoneWrite, is_written: bool, now: Timestamp) {
        self.move_ended |= self.zone_answered(write, is_written, now);
    }

    /// What became of a [`ProbeAsk`].
    pub fn probe_answered(&mut self, ask: &ProbeAsk, answer: &ProbeAnswer, now: Timestamp) {
        self.probe_answer(ask, answer, now);
    }

    /// What to do now, and when to ask again at the latest.
    pub fn decide(&mut self, now: Timestamp, stale: Option<String>) -> Decision {
        let Changed { policies: changed, nodes, regrouped, left, specs, zones_gone } =
            self.index.take_changed();
        if nodes {
            self.look_at_kubelets();
            self.taints.observe(self.index.cluster(), now);
        }
        let taints_changed = self.note_recent_taints(nodes, now);
        if specs {
            self.hold_downs = self.hold_downs_in_use();
        }
        self.note_drained(left, now);
        self.zones.on(ZoneEvent::Nodes(&self.conditions), now);
        for zone in &regrouped {
            self.zones.on(ZoneEvent::Regrouped(zone), now);
        }
        self.regrouped = regrouped;
        self.note_zone_objects(&zones_gone, now);
        self.zones.on(ZoneEvent::Drills(&self.drilled_zones()), now);
        let cluster_state = ClusterState { unstable: self.unstable(now), stale };
        let hold_ended = self.zones.has_change(&self.hold_downs, self.decided, now);
        let zones_changed = self.zones != self.zones_asked;
        let scheduler = Some(self.scheduler_status());
        let version_changed = scheduler != self.scheduler_asked;
        self.scheduler_asked = scheduler;
        let rights_changed = self.rights_changed();
        let everything = nodes
            || taints_changed
            || hold_ended
            || cluster_state != self.cluster_state
            || zones_changed
            || version_changed
            || rights_changed;
        self.look_at_probes(now);
        let move_ended = std::mem::take(&mut self.move_ended) || self.has_opening_news();
        self.openings_asked = Arc::clone(&self.openings_told);
        self.cluster_state = cluster_state;
        self.decided = now;
        self.zones_asked = self.zones.clone();

        let mut decision = Decision::default();
        let is_gone = |key: &&PolicyKey| self.index.policy(key).is_none();
        decision.gone.extend(changed.iter().filter(is_gone).cloned());
        self.gc(&decision.gone);
        self.take_up_marks(now);
        self.follow_orphans(now, &mut decision);
        self.losses.touch(&changed);
        let mut asked: BTreeSet<PolicyKey> = changed.into_iter().collect();
        if everything {
            asked.extend(self.index.policies().map(|policy| policy.key.clone()));
        } else if move_ended {
            // Where all is balanced, nothing waits for a move of others.
            asked.extend(self.unbalanced.iter().cloned());
        }
        asked.extend(self.losses.take_changed());
        asked.extend(self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key.clone()));
        self.predict_again();
        self.parallel = self.plan_in_parallel(&asked, now);
        for key in &asked {
            self.reconcile(key, now, &mut decision);
        }
        self.parallel = ParallelPlans::default();
        self.regrouped.clear();
        self.drained.clear();
        let probes_due = if self.leading { self.keep_probes(now, &mut decision) } else { None };
        let drills_due = self.keep_drills(now, &mut decision);
        let first_due = self.due.first().map(|(at, _)| *at);
        let zone_change = self.zones.next_change(&self.hold_downs, now);
        let at_once = self.is_news_for_others().then_some(now);
        let calm_again = self.failures.recovers_at(now);
        let zone_write = if self.leading { self.write_zones(now, &mut decision) } else { None };
        let others = [zone_change, at_once, calm_again, self.taints_due, zone_write];
        let due = others.into_iter().chain([first_due, probes_due, drills_due]);
        decision.next = due.flatten().min();
        decision
    }

    /// Forgets policies that are gone, but for pods that are still on their way:
    /// they may be a canary, and the policy may be created again.
    fn gc(&mut self, gone: &[PolicyKey]) {
        for key in gone {
            let Some(memory) = self.take(key) else { continue };
            if memory.open().next().is_some() {
                self.remember(key.clone(), memory.orphaned());
            }
        }
    }

    /// Follows the moves of policies that are gone to their end.
    fn follow_orphans(&mut self, now: Timestamp, decision: &mut Decision) {
        let is_orphan = |key: &&PolicyKey| self.index.policy(key).is_none();
        let orphans: Vec<PolicyKey> = self.moving.iter().filter(is_orphan).cloned().collect();
        for key in orphans {
            self.follow_moves(&key, now, decision);
            let Some(memory) = self.take(&key) else { continue };
            if memory.open().next().is_some() {
                self.remember(key, memory);
            }
        }
    }

    /// Whether something happened that other policies may wait for: a zone was
    /// proven or came into doubt, or a move ended.
    fn is_news_for_others(&self) -> bool {
        self.move_ended || self.has_opening_news() || self.zones != self.zones_asked
    }

    /// Keeps a policy's memory, and notes when it is due and whether it moves.
    fn remember(&mut self, key: PolicyKey, memory: PolicyState) {
        if let Some(next) = memory.next {
            self.due.insert((next, key.clone()));
        }
        if memory.open().next().is_some() {
            self.moving.insert(key.clone());
        }
        if memory.is_unbalanced {
            self.unbalanced.insert(key.clone());
        }
        self.policies.insert(key, memory);
    }

    /// Takes a policy's memory out, to be changed and kept again.
    fn take(&mut self, key: &PolicyKey) -> Option<PolicyState> {
        let memory = self.policies.remove(key)?;
        self.moving.remove(key);
        self.unbalanced.remove(key);
        if let Some(next) = memory.next {
            self.due.remove(&(next, key.clone()));
        }
        Some(memory)
    }
}

#[cfg(test)]
mod approval_tests;
#[cfg(test)]
mod cause_tests;
#[cfg(test)]
mod drain_tests;
#[cfg(test)]
mod drill_tests;
#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod landing_tests;
#[cfg(test)]
mod opening_tests;
#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod pool_tests;
#[cfg(test)]
mod probe_tests;
#[cfg(test)]
mod scale_in_tests;
#[cfg(test)]
mod scale_tests;
#[cfg(test)]
mod settle_tests;
#[cfg(test)]
mod steering_tests;
#[cfg(test)]
mod surge_tests;
#[cfg(test)]
mod surge_world;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod words_tests;
#[cfg(test)]
mod world;
#[cfg(test)]
mod zone_loss_tests;
#[cfg(test)]
mod zone_tests;
