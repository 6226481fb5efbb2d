//! Drills that run: what their nodes and tiers look like, and what follows from the status that
//! is stored. Nodes are closed once the deadline is stored (law 7), pods are evicted once all
//! nodes are closed, and what is closed without a drill is opened by whoever leads (law 11).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::{DrillZone, Mode, ZoneDrillStatus};
use crate::drill::{Pending, RunFacts, RunTier, evicted, step};
use crate::moves::{
    ActionError, ActionRequest, Effect, EvictionResult, Outcome, OwnerSnapshot, Signal, Verb,
};
use crate::observe::{DrillMark, Name, Node, Pod, PodId, PolicyEntry, PolicyKey, Zone};
use crate::plan::{EvictionBlocker, TierView, eviction_blocker};

use super::Operator;
use super::decision::{Decision, DrillWrite};
use super::drills::KnownDrill;
use super::policy_state::PolicyState;

/// A drill is looked at this often at least.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// How long to wait before what failed is tried again; twice as long each time.
const RETRY: SignedDuration = SignedDuration::from_secs(1);
/// Doublings after which it is tried as often as that: every 32 s.
const RETRY_DOUBLINGS: u32 = 5;
/// What was done shows in the watch within this time.
pub(super) const SHOWS_WITHIN: SignedDuration = SignedDuration::from_secs(5);

/// A drill that runs.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Its status as it should be.
    status: ZoneDrillStatus,
    /// The same as the API server has it.
    stored: ZoneDrillStatus,
    /// A write that is on its way.
    sent: Option<Arc<ZoneDrillStatus>>,
    failed: u32,
    retry_at: Option<Timestamp>,
    /// Pods whose eviction was asked for, by uid.
    asked: BTreeMap<Name, AskedPod>,
}

#[derive(Clone, Debug)]
struct AskedPod {
    policy: PolicyKey,
    tier: Name,
    /// Not asked again before.
    until: Timestamp,
}

/// A view of a tier, with its policy and what is remembered of that.
type Seen<'a> = (&'a PolicyEntry, TierView);

impl Run {
    fn of(drill: &KnownDrill) -> Self {
        Self {
            status: ZoneDrillStatus::clone(&drill.status),
            stored: ZoneDrillStatus::clone(&drill.status),
            sent: None,
            failed: 0,
            retry_at: None,
            asked: BTreeMap::new(),
        }
    }

    fn write(&mut self, drill: &KnownDrill, now: Timestamp) -> Option<DrillWrite> {
        let is_due = self.sent.is_none() && self.retry_at.is_none_or(|at| at <= now);
        if !is_due || self.status == self.stored {
            return None;
        }
        let status = Arc::new(self.status.clone());
        self.sent = Some(Arc::clone(&status));
        let (name, uid) = (Name::clone(&drill.name), Name::clone(&drill.uid));
        Some(DrillWrite { name, uid, status, decided: now })
    }

    /// What became of a write; false if it was not this one's.
    pub fn written(&mut self, write: &DrillWrite, is_written: bool, now: Timestamp) -> bool {
        if !self.sent.as_ref().is_some_and(|sent| Arc::ptr_eq(sent, &write.status)) {
            return false;
        }
        self.sent = None;
        if is_written {
            self.stored = ZoneDrillStatus::clone(&write.status);
            (self.failed, self.retry_at) = (0, None);
        } else {
            self.failed = self.failed.saturating_add(1);
            self.retry_at = Some(retry(self.failed, now));
        }
        true
    }

    /// Whether the zone is to be closed, and everybody can know until when.
    pub fn closes(&self) -> bool {
        let closes =
            |status: &ZoneDrillStatus| status.phase.is_some_and(crate::api::DrillPhase::closes);
        closes(&self.status) && closes(&self.stored)
    }
}

pub(super) fn retry(failed: u32, now: Timestamp) -> Timestamp {
    let wait = RETRY * (1 << failed.saturating_sub(1).min(RETRY_DOUBLINGS));
    now.checked_add(wait).unwrap_or(now)
}

/// Whether a drill closes nodes like this one.
pub(super) fn is_closable(node: &Node) -> bool {
    !node.is_virtual() && !node.runs_control_plane()
}

impl KnownDrill {
    pub(super) fn zone(&self) -> Zone {
        Zone::new(&self.spec.zone)
    }

    /// The mark of its nodes.
    pub(super) fn mark(&self) -> Option<DrillMark> {
        let deadline = self.status.deadline.as_ref()?.0;
        let (drill, uid) = (self.name.to_string(), self.uid.to_string());
        Some(DrillMark { drill, uid, until: deadline })
    }
}

impl Operator {
    /// The zones that a drill closes: its nodes are marked, or are about to be.
    pub(super) fn drilled_zones(&self) -> BTreeSet<Zone> {
        let nodes = self.index.cluster().nodes().map(|(node, _)| node);
        let marked = nodes.filter(|node| node.is_drilled()).filter_map(|node| node.zone.clone());
        let closing = self.drills.known().iter().filter(|drill| {
            let run = self.drills.runs.get(&drill.uid);
            drill.closes() && run.is_none_or(Run::closes)
        });
        closing.map(KnownDrill::zone).chain(marked).collect()
    }

    /// Goes on with the drills that run; when to look again.
    pub(super) fn run_drills(
        &mut self,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Option<Timestamp> {
        let running: Vec<KnownDrill> =
            self.drills.known().iter().filter(|drill| drill.runs()).cloned().collect();
        let mut runs = std::mem::take(&mut self.drills.runs);
        runs.retain(|uid, _| running.iter().any(|drill| drill.uid == *uid));
        for drill in &running {
            let run = runs.entry(Name::clone(&drill.uid)).or_insert_with(|| Run::of(drill));
            let tiers = self.drilled_tiers(drill, now);
            let facts = self.run_facts(drill, &tiers, now);
            run.status = step(&drill.spec, &run.status, &facts, now);
            decision.drills.extend(run.write(drill, now));
            if run.closes() && facts.open_nodes == 0 && !facts.is_stale {
                let requests = self.vacate(drill, run, &tiers, now);
                decision.effects.extend(requests.into_iter().map(Effect::Act));
            }
        }
        self.drills.runs = runs;
        let has_marks = self.keep_marks(&running, now, decision);
        let has_waiting = self.remake(&running, now, decision);
        let looks = has_marks || has_waiting || !running.is_empty();
        looks.then(|| now.checked_add(LOOK_EVERY).unwrap_or(now))
    }

    /// The tiers of the drilled policies that use the zone, or did when it began.
    fn drilled_tiers(&self, drill: &KnownDrill, now: Timestamp) -> Vec<Seen<'_>> {
        let zone = drill.zone();
        let unknown = PolicyState::default();
        let mut tiers = Vec::new();
        for policy in self.policies_of_drill(&drill.spec) {
            let memory = self.policies.get(&policy.key).unwrap_or(&unknown);
            let views = self.views(policy, memory, now);
            let uses = |view: &TierView| {
                let result = drill.status.result.as_ref();
                let began = result.is_some_and(|result| {
                    result.tiers.iter().any(|known| {
                        known.tier == *view.name
                            && known.policy == *view.policy.name
                            && known.namespace == *view.policy.namespace
                    })
                });
                began || view.zones.get(&zone).is_some_and(|count| !count.pods.is_empty())
            };
            tiers.extend(views.into_iter().filter(uses).map(|view| (policy, view)));
        }
        tiers
    }

    fn run_facts(&self, drill: &KnownDrill, tiers: &[Seen<'_>], now: Timestamp) -> RunFacts {
        let zone = drill.zone();
        let is_own = |node: &Node| {
            let by_taint =
                node.taints.iter().any(|taint| taint.is_drill() && taint.value == drill.name);
            by_taint || node.drill.as_ref().is_some_and(|mark| *mark.uid == *drill.uid)
        };
        let mut facts = RunFacts {
            is_paused: drill.is_paused,
            unstable: self.cluster_state.unstable.clone(),
            is_stale: self.cluster_state.stale.is_some(),
            ..RunFacts::default()
        };
        for (node, _) in self.index.cluster().nodes() {
            facts.marked += usize::from(is_own(node));
            if node.zone.as_ref() == Some(&zone) && is_closable(node) {
                facts.nodes += 1;
                facts.open_nodes += usize::from(!(node.has_drill_taint() && is_own(node)));
            }
        }
        let mut others = self.zones.iter().filter(|(other, _)| **other != zone);
        facts.other_out =
            others.find(|(_, memory)| memory.is_out(now)).map(|(other, _)| other.to_string());
        for (policy, view) in tiers {
            facts.hold_down = facts.hold_down.max(view.settings.hold_down);
            facts.tiers.push(self.run_tier(policy, view, &zone));
        }
        // Outages before it double the hold-down.
        if let Some(memory) = self.zones.get(&zone) {
            let held = crate::observe::hold_down_of(facts.hold_down, memory.outages);
            facts.hold_down = facts.hold_down.max(held);
        }
        facts
    }

    fn run_tier(&self, policy: &PolicyEntry, view: &TierView, zone: &Zone) -> RunTier {
        let in_zone = view.zones.get(zone).map_or(&[][..], |count| &count.pods);
        let to_evict = in_zone.iter().filter(|id| self.is_to_leave(**id, view)).count();
        let pods = policy.tiers.get(&view.name).into_iter().flatten();
        let pods = pods.filter_map(|id| self.index.cluster().pod(*id));
        let waiting: Vec<&Pod> = pods.filter(|pod| waits(pod)).collect();
        let longest = waiting.iter().min_by_key(|pod| pod.created.time());
        let moves = self.policies.get(&policy.key);
        let moves = moves.map_or(0, |memory| memory.under_way_of(&view.name).count());
        RunTier {
            policy: policy.key.clone(),
            name: Name::clone(&view.name),
            desired: view.desired,
            available: view.available,
            budget: view.settings.budget(view.desired),
            zones: zones_of(view),
            in_zone: count(in_zone.len()),
            to_evict: count(to_evict),
            pending: count(waiting.len()),
            waits_longest: longest
                .map(|pod| Pending { pod: Name::clone(&pod.name), since: pod.created.time() }),
            is_at_rest: moves == 0 && (view.is_balanced() || is_never_moved(view)),
            paused: view.paused.map(|_| "it is paused".to_owned()),
        }
    }

    /// Whether a pod in the zone is to be evicted. A single replica is: whoever drills has
    /// accepted that.
    fn is_to_leave(&self, id: PodId, view: &TierView) -> bool {
        let cluster = self.index.cluster();
        let Some(pod) = cluster.pod(id) else { return false };
        let node = pod.node.as_ref().and_then(|node| cluster.node(node));
        let blocker = eviction_blocker(&self.index, pod, &view.settings);
        !pod.terminating
            && node.is_some_and(|(node, _)| is_closable(node))
            && matches!(blocker, None | Some(EvictionBlocker::SingleReplica(_)))
    }

    /// Asks for as many evictions as the tiers' budgets allow.
    fn vacate(
        &self,
        drill: &KnownDrill,
        run: &mut Run,
        tiers: &[Seen<'_>],
        now: Timestamp,
    ) -> Vec<ActionRequest> {
        let zone = drill.zone();
        let unknown = PolicyState::default();
        let mut requests = Vec::new();
        let cluster = self.index.cluster();
        run.asked.retain(|_, asked| asked.until > now);
        for (policy, view) in tiers {
            let own = |asked: &&AskedPod| asked.policy == policy.key && asked.tier == view.name;
            let asked = count(run.asked.values().filter(own).count());
            let budget = view.settings.budget(view.desired);
            let free = usize::try_from(budget - view.missing() - asked).unwrap_or(0);
            let pods = view.zones.get(&zone).map_or(&[][..], |count| &count.pods);
            let pods = pods.iter().filter(|id| self.is_to_leave(**id, view));
            let pods = pods.filter_map(|id| cluster.pod(*id));
            let fresh = pods.filter(|pod| !run.asked.contains_key(&*pod.uid.to_string()));
            let fresh: Vec<&Pod> =
                fresh.filter(|pod| pod.ready_since.is_some()).take(free).collect();
            let memory = self.policies.get(&policy.key).unwrap_or(&unknown);
            for pod in fresh {
                let Some(request) = self.vacates(policy, view, memory, pod, &zone, now) else {
                    continue;
                };
                run.asked.insert(
                    Name::clone(&request.uid),
                    AskedPod {
                        policy: policy.key.clone(),
                        tier: Name::clone(&view.name),
                        until: now.checked_add(SHOWS_WITHIN * 4).unwrap_or(now),
                    },
                );
                requests.push(request);
            }
        }
        requests
    }

    fn vacates(
        &self,
        policy: &PolicyEntry,
        view: &TierView,
        memory: &PolicyState,
        pod: &Pod,
        zone: &Zone,
        now: Timestamp,
    ) -> Option<ActionRequest> {
        let node = pod.node.clone()?;
        let snapshot = Arc::new(OwnerSnapshot::of(&self.index, pod));
        let mut preconditions = self.preconditions_of(policy, view, memory, &snapshot, &node);
        let others = preconditions.zones.iter().filter(|other| *other != zone).cloned();
        preconditions.zones = others.collect();
        let floor = view.desired - view.settings.budget(view.desired);
        preconditions.available = usize::try_from(floor).unwrap_or(0);
        preconditions.moving = Box::from([pod.uid.clone()]);
        Some(ActionRequest {
            zone: Name::from(zone.as_str()),
            preconditions: Box::new(preconditions),
            ..ActionRequest::of_pod(Verb::Vacate, policy.key.clone(), &view.name, pod, now)
        })
    }

    /// What became of an eviction for a drill.
    pub(super) fn drill_acted(&mut self, outcome: &Outcome, now: Timestamp) -> Vec<Signal> {
        let (uid, refusal) = match outcome {
            Outcome::Acted { uid, .. } => (uid, None),
            Outcome::Refused { uid, refusal, .. } => (uid, Some(refusal)),
            Outcome::Written { .. } | Outcome::NotWritten { .. } => return Vec::new(),
        };
        let runs = self.drills.runs.values_mut();
        let Some((run, asked)) = runs.into_iter().find_map(|run| {
            let asked = run.asked.get(uid)?.clone();
            Some((run, asked))
        }) else {
            return Vec::new();
        };
        // One whose answer was lost is made or not: the pod shows it.
        let wait = match refusal {
            None | Some(ActionError::Unknown(_)) => SHOWS_WITHIN,
            Some(ActionError::Forbidden(_)) => RETRY * 10,
            Some(_) => RETRY * 2,
        };
        if refusal.is_none() {
            evicted(&mut run.status, &asked.policy, &asked.tier);
        }
        if let Some(known) = run.asked.get_mut(uid) {
            known.until = now.checked_add(wait).unwrap_or(now);
        }
        let result = match refusal {
            None => Some(EvictionResult::Evicted),
            Some(refusal) => refusal.result(),
        };
        let (policy, tier) = (asked.policy, asked.tier.to_string());
        let signal = result.map(|result| Signal::EvictionAnswered { policy, tier, result });
        signal.into_iter().collect()
    }
}

/// Whether nobody brings the tier into balance: then nobody waits for it.
fn is_never_moved(view: &TierView) -> bool {
    view.settings.single_zone.is_some() || view.settings.mode == Mode::Observe
}

pub(super) fn waits(pod: &Pod) -> bool {
    pod.node.is_none() && !pod.terminating && !pod.is_finished()
}

/// Where a tier's pods are.
pub(super) fn zones_of(view: &TierView) -> Vec<DrillZone> {
    let zones = view.zones.iter().take(crate::api::limit::ZONES);
    let zone = |(zone, known): (&Zone, &crate::plan::TierZoneCount)| DrillZone {
        name: zone.to_string(),
        pods: count(known.pods.len()),
    };
    zones.map(zone).collect()
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
#[path = "drill_run_tests.rs"]
mod tests;
