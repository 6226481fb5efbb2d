//! One policy: follow its moves, ask the planner, decide, report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::api::text::counted;
use crate::api::{APPROVE, Blocked, MoveKind, Reason, ZoneSpreadPolicyStatus, limit};
use crate::moves::{
    ActionRequest, Effect, Ending, Move, MoveOutcome, OtherMoves, OwnerSnapshot, ProbeEnd, Signal,
    StatusWrite, SteeredPod, Step, Transition, View,
};
use crate::observe::{Index, Name, Opening, PolicyEntry, PolicyKey, Zone, ZoneEvent};
use crate::plan::{
    ClusterFacts, GateInput, Imbalance, MissHistory, PlanInput, PlannedMove, SurgeRight, TierPlan,
    TierSettings, TierView, ZoneLanding, cause_of, gate, zone_gate,
};
use crate::predict::PendingPod;
use crate::report::{
    StatusInput, TierReport, events_between, hold_down_of, invalid_status, plan_of, policy_zones,
    status_of, wrong_approval,
};

use super::Operator;
use super::decision::Decision;
use super::dry_run::Evaluation;
use super::invalidity::invalidity;
use super::parallel::Planned;
use super::policy_state::PolicyState;
use super::wake::wake;

/// A move that has just ended.
struct EndedMove {
    ending: Ending,
    tier: String,
    kind: MoveKind,
    zone: Zone,
    /// Where its replacement is, if that is known.
    node: Option<Name>,
    began: Timestamp,
    took: Option<Duration>,
}

impl EndedMove {
    fn of(moved: &Move, ending: Ending, now: Timestamp) -> Self {
        Self {
            ending,
            tier: moved.tier.to_string(),
            kind: moved.kind,
            zone: moved.to.clone(),
            node: moved.replacement.as_ref().and_then(|known| known.node.clone()),
            began: moved.decided,
            took: Duration::try_from(now.duration_since(moved.started)).ok(),
        }
    }
}

impl Operator {
    /// Follows a policy's moves, asks the planner about its tiers, and starts
    /// as many moves as each may make at once.
    pub(super) fn evaluate(
        &mut self,
        key: &PolicyKey,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Option<Evaluation> {
        // What is left of a policy that is gone stays where it is.
        let invalid = invalidity(&self.index, self.index.policy(key)?);
        self.follow_moves(key, now, decision);
        let mut memory = self.take(key).unwrap_or_default();
        // Measured only: nothing is decided by this clock.
        let began = Instant::now();
        let (planned, ahead_took) = if invalid.is_none() {
            self.planned(key, &memory, now)
        } else {
            (Vec::new(), Duration::ZERO)
        };
        let policy = self.index.policy(key)?;
        memory.sync_uid(&policy.uid);
        memory.sync_generation(policy.generation);
        memory.sync_approval(&self.index, policy);
        memory.next = None;
        let conditions =
            memory.written.as_ref().map_or_else(Vec::new, |written| written.conditions.clone());
        let mut requests = Vec::new();
        let mut reports = Vec::new();
        if invalid.is_none() {
            for planned in planned {
                reports.push(self.ask(policy, planned, &mut memory, now, &mut requests));
            }
            tell_how_to_approve(&self.index, policy, &memory, &mut reports);
            decision.plans_took.push(ahead_took + began.elapsed());
        }
        memory.tier_zones = reports
            .iter()
            .map(|report| (Name::clone(&report.view.name), report.view.known_zones.clone()))
            .collect();
        memory.forget_tiers(&reports, invalid.is_some());
        let tiers: Vec<&Name> = reports.iter().map(|report| &report.view.name).collect();
        memory.steering.end_others(&tiers, now);
        memory.is_unbalanced = reports.iter().any(|report| !report.view.is_balanced());
        memory.wishes = self.wishes_of(&reports);
        let input = |memory: &PolicyState| StatusInput {
            index: &self.index,
            policy,
            can_surge: self.surge_proven == SurgeRight::Proven,
            scheduler: self.scheduler_status(),
            zones: &self.zones,
            tiers: &reports,
            moves: memory.moves.iter().map(Move::to_status).collect(),
            approved: memory.approved.clone(),
            losses: self.losses.of(key),
            recovery: memory.recovery.clone(),
            history: memory.history.clone(),
            steering: self.steering_status(memory),
            conditions: &conditions,
            now,
        };
        let status = if let Some(message) = invalid {
            invalid_status(input(&memory), memory.misses(), message)
        } else {
            // The recovery is counted from the status, and shown in it.
            let draft = status_of(input(&memory));
            let hold_down = hold_down_of(policy, &reports);
            let seen = policy_zones(&reports, &self.zones, hold_down, now);
            memory.update_recovery(&draft, &reports, &seen, now);
            let is_counted = draft.recovery == memory.recovery;
            if is_counted { draft } else { status_of(input(&memory)) }
        };
        wake(&mut memory, &reports, &policy.spec, self.throttled_until, now);
        if self.leading && memory.approved.is_none() && is_named(policy, &status) {
            // Approved before it was published; now it is.
            memory.next = Some(now);
        }
        Some(Evaluation { uid: Name::clone(&policy.uid), status, tiers: reports, requests, memory })
    }

    /// Looks at a policy and reports.
    pub(super) fn reconcile(&mut self, key: &PolicyKey, now: Timestamp, decision: &mut Decision) {
        let Some(Evaluation { uid, status, tiers, requests, mut memory }) =
            self.evaluate(key, now, decision)
        else {
            return;
        };
        let known = memory.written.as_ref().filter(|written| ***written == status);
        let is_news = known.is_none();
        let status = known.map_or_else(|| Arc::new(status), Arc::clone);
        if self.leading {
            // An eviction waits for a status that holds its move: there is always one.
            if memory.rewrite || is_news || !requests.is_empty() {
                (memory.rewrite, memory.is_writing) = (false, true);
                let before = memory.written.replace(Arc::clone(&status)).unwrap_or_default();
                decision.effects.push(Effect::WriteStatus(StatusWrite {
                    policy: key.clone(),
                    uid,
                    events: events_between(&before, &status),
                    status: Arc::clone(&status),
                }));
            }
            for probe in requests.iter().filter_map(|request| request.probe.as_ref()) {
                self.probe_used(probe, now);
            }
            decision.effects.extend(requests.into_iter().map(Effect::Act));
            decision.effects.extend(self.guide_scale_in(key, &tiers, &mut memory, now));
        }
        decision.statuses.push((key.clone(), status));
        self.remember(key.clone(), memory);
    }

    /// Brings the policy's moves up to what the index shows.
    pub(super) fn follow_moves(
        &mut self,
        key: &PolicyKey,
        now: Timestamp,
        decision: &mut Decision,
    ) {
        // None: the policy is gone, and its last moves end under the defaults.
        let spec = self.index.policy(key).map(|policy| Arc::clone(&policy.spec));
        let Some(memory) = self.policies.get_mut(key) else { return };
        let mut memory = std::mem::take(memory);
        // A pod replaces one other pod: what a finished move has made is taken too.
        let moves = memory.moves.iter();
        let mut others = OtherMoves {
            claimed: moves.filter_map(|moved| moved.claims(&self.index, &key.namespace)).collect(),
            evicted: memory.moves.iter().map(|moved| moved.uid.clone()).collect(),
        };
        let (mut endings, mut asked, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
        let may_evict: Vec<bool> =
            memory.under_way().map(|moved| self.may_retire(key, &memory, moved, now)).collect();
        let under_way = memory.moves.iter_mut().filter(|moved| moved.is_under_way());
        for (moved, may_evict) in under_way.zip(may_evict) {
            let landing_timeout = TierSettings::landing_timeout_of(spec.as_deref(), &moved.tier);
            if let Some(own) = moved.claims(&self.index, &key.namespace) {
                others.claimed.remove(&own);
            }
            let view = View {
                index: &self.index,
                namespace: &key.namespace,
                others: &others,
                landing_timeout,
                may_evict,
                is_wanted: spec.is_some(),
            };
            let step = moved.step(&view, now);
            if let Step::Ask(verb) = step
                && self.leading
            {
                asked.push((verb, moved.uid.clone()));
            }
            others.claimed.extend(moved.replacement_uid().cloned());
            if let Step::Ended(ending) = step {
                verdicts.extend(moved.verdicts(&self.index, ending));
                endings.push((EndedMove::of(moved, ending, now), landing_timeout));
            }
        }
        let mut landings = Vec::new();
        let probes = memory.moves.iter_mut().filter(|moved| moved.is_probe);
        let ends = probes.filter_map(|moved| {
            let end = moved.follow_probe(&self.index, &key.namespace, now)?;
            Some((end, moved.replacement.as_ref().and_then(|known| known.node.clone())))
        });
        for (end, node) in ends {
            if let ProbeEnd::Up(zone) = end {
                self.zones.on(ZoneEvent::Proven(&zone), now);
                landings.push(ZoneLanding { zone, node, began: now, at: now, came_up: true });
            }
            self.move_ended = true;
        }
        for (rival, was_right) in verdicts {
            self.suspicion.note(rival, was_right);
        }
        self.move_ended |= !endings.is_empty();
        for (ended, timeout) in endings {
            let backoff = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
            memory.record_ending(&ended.tier, ended.ending, backoff, now);
            let (landing, signal) = self.note_end(ended, key, now);
            landings.extend(landing);
            decision.signals.extend(signal);
        }
        memory.trim_moves();
        decision.effects.extend(self.follow_ups(key, &mut memory, &asked, now));
        if let Some(known) = self.policies.get_mut(key) {
            *known = memory;
        }
        for landing in landings {
            self.note_landing(landing);
        }
    }

    /// What the end of a move says of its zone, and to metrics.
    fn note_end(
        &mut self,
        ended: EndedMove,
        policy: &PolicyKey,
        now: Timestamp,
    ) -> (Option<ZoneLanding>, Option<Signal>) {
        let EndedMove { ending, tier, kind, zone, node, began, took } = ended;
        let (outcome, predicted) = match ending {
            Ending::Landed => {
                self.zones.on(ZoneEvent::Proven(&zone), now);
                (MoveOutcome::Landed, Some(true))
            }
            Ending::Missed => (MoveOutcome::Missed, Some(false)),
            Ending::Stuck { in_target_zone } => {
                let known = self.zones.get(&zone);
                if in_target_zone && known.is_some_and(|zone| zone.is_doubted_by(began)) {
                    self.zones.on(ZoneEvent::Suspected(&zone), now);
                }
                (MoveOutcome::Stuck, None)
            }
            Ending::Discarded => (MoveOutcome::Discarded, None),
            Ending::Refused => return (None, None),
        };
        let came_up = ending == Ending::Landed;
        let tells = came_up || ending == (Ending::Stuck { in_target_zone: true });
        let landing = tells.then_some(ZoneLanding { zone, node, began, at: now, came_up });
        let took = took.filter(|_| came_up);
        let policy = policy.clone();
        let signal = Signal::MoveEnded { policy, tier, kind, outcome, took, predicted };
        (landing, Some(signal))
    }

    /// Asks the planner about one tier, and starts a move if nothing speaks against it.
    fn ask(
        &self,
        policy: &PolicyEntry,
        planned: Planned,
        memory: &mut PolicyState,
        now: Timestamp,
        requests: &mut Vec<ActionRequest>,
    ) -> TierReport {
        let Planned { view, ahead } = planned;
        let facts = ClusterFacts {
            now,
            unstable: self.cluster_state.unstable.clone(),
            stale: self.cluster_state.stale.clone(),
            throttled_until: self.throttled_until,
            openings: Arc::clone(&self.openings_told),
        };
        let mut history = memory.miss_histories.get(&view.name).cloned().unwrap_or_default();
        memory.steering.settle(now);
        let mut plan = self.plan(policy, &view, memory, ahead);
        let imbalance = self.sync_imbalance(policy, &view, memory, now);
        let judged = (&history, imbalance.as_ref());
        let mut blocked = self.why_not(policy, &view, &plan, &facts, judged, memory);
        let awaits = |why: &Blocked| why.reason == Reason::AwaitingApproval;
        let is_at_rest = memory.under_way_of(&view.name).next().is_none();
        if blocked.as_ref().is_some_and(awaits) && is_at_rest {
            memory.end_approval(&view.name);
        }
        if view.is_balanced() && is_at_rest {
            // Balanced: what went wrong on the way is over.
            if let Some(known) = memory.miss_histories.get_mut(&view.name) {
                known.reset();
            }
            history.reset();
        }
        // A tier that looks balanced passes no gate: what is under way may unbalance it
        // for a moment, and that is waited for.
        let wants = !view.is_balanced() && !plan.moves.is_empty();
        let may_move = self.leading && wants && self.zones_of_tier_are_written(&view);
        // As many at once as the tier may afford: each is judged by those before it.
        while may_move
            && blocked.is_none()
            && let Some(next) = plan.moves.first()
            && let Some(request) = self.start(policy, &view, next, memory, now)
        {
            requests.push(request);
            plan = self.plan(policy, &view, memory, None);
            let judged = (&history, imbalance.as_ref());
            blocked = self.why_not(policy, &view, &plan, &facts, judged, memory);
        }
        self.steer(&view, &plan, blocked.as_ref(), memory, now);
        let zone_gate = zone_gate(&view, &facts);
        let zones = self.zones.iter().filter(|(_, zone)| zone.condition.nodes > 0).count();
        let cause = cause_of(&self.index, &view, &plan, imbalance.as_ref(), zones);
        TierReport { view, plan, blocked, zone_gate, history, imbalance, cause }
    }

    /// The tier's plan, given all moves under way; the one made ahead if that still holds.
    fn plan(
        &self,
        policy: &PolicyEntry,
        view: &TierView,
        memory: &PolicyState,
        ahead: Option<(PlanInput, TierPlan)>,
    ) -> TierPlan {
        let input = self.plan_input(policy, view, memory);
        match ahead {
            Some((known, plan)) if known == input => plan,
            _ => self.plan_from(view, &input),
        }
    }

    fn why_not(
        &self,
        policy: &PolicyEntry,
        view: &TierView,
        plan: &TierPlan,
        facts: &ClusterFacts,
        (history, imbalance): (&MissHistory, Option<&Imbalance>),
        memory: &PolicyState,
    ) -> Option<Blocked> {
        if view.is_balanced() {
            return None;
        }
        let input = GateInput {
            facts,
            approval: &memory.approval_of(view),
            history,
            in_flight: &self.in_flight(policy, view, plan, memory, facts.now),
            imbalance,
        };
        gate(&self.index, view, plan, &input)
            .or_else(|| memory.unwritten())
            .or_else(|| self.unwritten_zone(view))
            .or_else(|| self.not_steered(view, plan.moves.first()?, memory, facts.now))
            .or_else(|| self.would_turn(&policy.key, view, plan.moves.first()?, memory))
    }

    /// Records a move and says what to ask for.
    fn start(
        &self,
        policy: &PolicyEntry,
        view: &TierView,
        planned: &PlannedMove,
        memory: &mut PolicyState,
        now: Timestamp,
    ) -> Option<ActionRequest> {
        let pod = self.index.cluster().pod(planned.pod)?;
        let snapshot = Arc::new(OwnerSnapshot::of(&self.index, pod));
        let replacement = PendingPod::replacing(self.index.cluster(), pod);
        let replacement = replacement.steered(planned.steered.as_ref());
        let labels = &replacement.labels;
        let steering = planned.steered.clone();
        let steering =
            steering.map(|zone| SteeredPod { labels: Arc::clone(labels), zone: Some(zone) });
        let begun = Move::begin(&view.name, pod, planned, replacement, Arc::clone(&snapshot), now);
        let mut moved = begun?;
        moved.must_land_within(view.settings.landing_timeout);
        moved.rivals = self.dissent(&policy.key, memory, planned, &moved);
        let no_others = OtherMoves::default();
        let seen = View::of_one(&self.index, &policy.key.namespace, &no_others);
        let Step::Ask(verb) = moved.step(&seen, now) else { return None };
        let request = ActionRequest {
            verb,
            policy: policy.key.clone(),
            tier: Name::clone(&view.name),
            pod: Name::clone(&pod.name),
            uid: Name::from(pod.uid.to_string()),
            node: pod.node.clone()?,
            target: planned.nodes.first()?.clone(),
            zone: Name::from(moved.to.as_str()),
            preconditions: Box::new(self.preconditions_of(
                policy,
                view,
                memory,
                &snapshot,
                planned.nodes.first()?,
            )),
            patch: moved.patch(verb, &policy.key, &seen).map(Arc::new),
            steering: steering.map(Arc::new),
            decided: now,
            closes: match view.windows.at(now) {
                Opening::Open { until } => Some(until),
                Opening::Always | Opening::Closed { .. } => None,
            },
            probe: self.probe_in(view, &planned.nodes),
        };
        moved.apply(Transition::Asked, now);
        memory.moves.push(moved);
        memory.trim_moves();
        Some(request)
    }
}

/// Whether the annotation `approve` names the plan of this status.
fn is_named(policy: &PolicyEntry, status: &ZoneSpreadPolicyStatus) -> bool {
    let id = status.plan.as_ref().map(|plan| &plan.id);
    id.is_some() && id == policy.approve.as_ref()
}

/// Names the plan and the command to those tiers that wait for an approval.
fn tell_how_to_approve(
    index: &Index,
    policy: &PolicyEntry,
    memory: &PolicyState,
    reports: &mut [TierReport],
) {
    let Some(plan) = plan_of(index, reports) else { return };
    let (key, approved) = (&policy.key, memory.approved.as_ref());
    let wrong = wrong_approval(policy, reports, approved, Some(&plan.id))
        .map_or_else(String::new, |wrong| format!("{wrong}; "));
    let moves = reports.iter().filter(|report| report.needs_approval());
    let moves: usize = moves.map(|report| report.plan.moves.len()).sum();
    let covered = moves.min(limit::PLANNED_MOVES);
    let count = counted(covered, "move");
    for blocked in reports.iter_mut().filter_map(|report| report.blocked.as_mut()) {
        if blocked.reason == Reason::AwaitingApproval {
            blocked.message = format!(
                "{wrong}plan {id} ({count}) waits for approval: kubectl annotate zsp {} -n {} {APPROVE}={id} --overwrite",
                key.name,
                key.namespace,
                id = plan.id,
            );
        }
    }
}
