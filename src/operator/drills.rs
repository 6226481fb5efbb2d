//! Drills: whose turn it is, the forecast that is made for it beside all other work, and what
//! is written. A drill that has no answer yet is all that must be known of it, and the object
//! says so: whoever leads makes the forecast anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::core::{Selector, SelectorExt};

use crate::api::{
    DrillPhase, DrillReason, DrillRefusal, DrilledPolicy, Mode, PAUSED, ZoneDrillSpec,
    ZoneDrillStatus, ZoneState,
};
use crate::drill::{DrillFacts, DrillRight, TierFacts, answer};
use crate::observe::{Index, Name, Pause, PodId, PolicyEntry, Zone, ZoneHealth, ZoneMemory};
use crate::outlook::{Outlook, Survey, ZoneOutlook};
use crate::plan::{DEFAULT_HOLD_DOWN, EvictionBlocker, TierView, eviction_blocker};

use super::Operator;
use super::decision::{Decision, DrillWrite};
use super::drill_marks::Asked;
use super::drill_run::{Run, zones_of};
use super::invalidity::invalidity;
use super::policy_state::PolicyState;

/// How long to wait before a write that failed is made again; twice as long each time.
const RETRY: SignedDuration = SignedDuration::from_secs(2);
/// Doublings after which it is made as often as that: every 32 s.
const RETRY_DOUBLINGS: u32 = 4;

/// A `ZoneDrill`, as far as it matters.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownDrill {
    /// Its name.
    pub name: Name,
    /// Its uid.
    pub uid: Name,
    /// When it was made: the oldest comes first.
    pub created: Timestamp,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// What was asked for.
    pub spec: Arc<ZoneDrillSpec>,
    /// Its status.
    pub status: Arc<ZoneDrillStatus>,
    /// Whether somebody has paused it.
    pub is_paused: bool,
}

impl KnownDrill {
    /// Whether it waits for an answer that depends on what the operator may do.
    #[must_use]
    pub fn needs_right(&self) -> bool {
        !self.spec.dry_run && !self.is_over() && !self.runs()
    }

    /// Whether nothing more becomes of it.
    fn is_over(&self) -> bool {
        self.status.phase.is_some_and(DrillPhase::is_over)
    }

    /// Whether it has begun, and is not over.
    pub(super) fn runs(&self) -> bool {
        self.status.phase.is_some_and(DrillPhase::runs)
    }

    /// Whether its zone is closed, or is being closed.
    pub(super) fn closes(&self) -> bool {
        self.status.phase.is_some_and(DrillPhase::closes)
    }
}

/// What is remembered of drills.
#[derive(Debug, Default)]
pub(super) struct Drills {
    known: Vec<KnownDrill>,
    /// Whether it is known which drills there are.
    is_known: bool,
    /// Whether the zone may be closed, by the uid of the drill.
    rights: BTreeMap<Name, DrillRight>,
    /// Those that run, by uid.
    pub(super) runs: BTreeMap<Name, Run>,
    /// What was asked for them.
    pub(super) asked: Asked,
    /// The forecast that is being made, by the uid of its drill.
    making: Option<(Name, Survey)>,
    /// The one that is made; without an outlook no node is in the zone.
    made: Option<(Name, Option<ZoneOutlook>)>,
    /// What was written, by uid; it may not show yet.
    written: BTreeMap<Name, Written>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Sent { failed: u32 },
    Done,
    Failed { failed: u32, retry_at: Timestamp },
}

impl Drills {
    /// The drill whose turn it is.
    fn next(&self, now: Timestamp) -> Option<&KnownDrill> {
        let open = self.known.iter().filter(|drill| !drill.is_over() && !drill.runs());
        // Whether its zone may be closed is being found out.
        let open =
            open.filter(|drill| !drill.needs_right() || self.rights.contains_key(&drill.uid));
        let waits = open.filter(|drill| match self.written.get(&drill.uid) {
            None => true,
            Some(Written::Failed { retry_at, .. }) => *retry_at <= now,
            Some(Written::Sent { .. } | Written::Done) => false,
        });
        waits.min_by_key(|drill| (drill.created, &drill.name))
    }

    fn of(&self, uid: &Name) -> Option<&KnownDrill> {
        self.known.iter().find(|drill| drill.uid == *uid)
    }

    fn retry_at(&self) -> Option<Timestamp> {
        let retries = self.written.values().filter_map(|written| match written {
            Written::Failed { retry_at, .. } => Some(*retry_at),
            Written::Sent { .. } | Written::Done => None,
        });
        retries.min()
    }

    /// Forgets what another leader may have changed; the objects are still there.
    pub fn clear(&mut self) {
        let known = std::mem::take(&mut self.known);
        let rights = std::mem::take(&mut self.rights);
        *self = Self { known, is_known: self.is_known, rights, ..Self::default() };
    }

    /// The drills that there are, as far as is known.
    pub fn known(&self) -> &[KnownDrill] {
        &self.known
    }

    /// Whether it is known which drills there are.
    pub const fn is_known(&self) -> bool {
        self.is_known
    }
}

impl Operator {
    /// The drills that there are now.
    pub fn set_drills(&mut self, drills: Vec<KnownDrill>) {
        let uids: BTreeSet<&Name> = drills.iter().map(|drill| &drill.uid).collect();
        self.drills.written.retain(|uid, _| uids.contains(uid));
        if self.drills.making.as_ref().is_some_and(|(uid, _)| !uids.contains(uid)) {
            self.drills.making = None;
        }
        if self.drills.made.as_ref().is_some_and(|(uid, _)| !uids.contains(uid)) {
            self.drills.made = None;
        }
        self.drills.known = drills;
        self.drills.is_known = true;
    }

    /// Which drills there are is not known, or not any more.
    pub fn drills_unknown(&mut self) {
        self.set_drills(Vec::new());
        self.drills.is_known = false;
    }

    /// What is known of the right to close the zone, by the uid of the drill.
    pub fn set_drill_rights(&mut self, rights: BTreeMap<Name, DrillRight>) {
        self.drills.rights = rights;
    }

    /// Whether the forecast of a drill is to be made, or gone on with.
    #[must_use]
    pub fn forecast_is_due(&self) -> bool {
        self.leading
            && self.drills.made.is_none()
            && (self.drills.making.is_some() || self.drills.next(self.decided).is_some())
    }

    /// Goes on to make the forecast for as long as it may; whether it is made.
    pub fn make_forecast(&mut self, mut may_go_on: impl FnMut() -> bool) -> bool {
        if self.drills.making.is_none() {
            let Some(drill) = self.drills.next(self.decided) else { return false };
            let zone = Zone::new(&drill.spec.zone);
            let survey = Survey::begin(&self.index, Some(&zone));
            self.drills.making = Some((Name::clone(&drill.uid), survey));
        }
        while may_go_on() {
            let Some((uid, survey)) = &mut self.drills.making else { return false };
            let outlook = survey.step(&self.index, self.cache.config());
            if outlook.is_some() || survey.is_over() {
                self.drills.made = Some((Name::clone(uid), outlook));
                self.drills.making = None;
                return true;
            }
        }
        false
    }

    /// Answers the drill whose forecast is made; when one is to be answered again.
    pub(super) fn answer_drills(
        &mut self,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Option<Timestamp> {
        if let Some((uid, outlook)) = self.drills.made.take()
            && let Some(drill) = self.drills.of(&uid).cloned()
        {
            let mut facts = self.drill_facts(&drill.spec, now);
            self.add_drills(&drill, &mut facts);
            let status = answer(&drill.spec, drill.generation, &facts, outlook.as_ref(), now);
            decision.drills.push(DrillWrite {
                name: Name::clone(&drill.name),
                uid: Name::clone(&uid),
                status: Arc::new(status),
                decided: now,
            });
            let failed = match self.drills.written.get(&uid) {
                Some(Written::Failed { failed, .. }) => *failed,
                _ => 0,
            };
            self.drills.written.insert(uid, Written::Sent { failed });
        }
        self.drills.retry_at().filter(|at| *at > now)
    }

    /// Answers drills, and goes on with those that run; when to look again.
    pub(super) fn keep_drills(
        &mut self,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Option<Timestamp> {
        if !self.leading {
            return None;
        }
        let answered = self.answer_drills(now, decision);
        self.run_drills(now, decision).into_iter().chain(answered).min()
    }

    /// What became of a [`DrillWrite`].
    pub fn drill_written(&mut self, write: &DrillWrite, is_written: bool, now: Timestamp) {
        if let Some(run) = self.drills.runs.get_mut(&write.uid)
            && run.written(write, is_written, now)
        {
            return;
        }
        let Some(written) = self.drills.written.get_mut(&write.uid) else { return };
        // What was sent before this process lost the lead is answered late.
        let Written::Sent { failed } = *written else { return };
        *written = if is_written {
            Written::Done
        } else {
            let wait = RETRY * (1 << failed.min(RETRY_DOUBLINGS));
            let retry_at = now.checked_add(wait).unwrap_or(now);
            Written::Failed { failed: failed.saturating_add(1), retry_at }
        };
    }

    /// What would become of a drill like this now.
    #[must_use]
    pub fn forecast_drill(&self, spec: &ZoneDrillSpec, now: Timestamp) -> ZoneDrillStatus {
        let zone = Zone::new(&spec.zone);
        let outlook = Outlook::of(&self.index, self.cache.config(), Some(&zone));
        let facts = self.drill_facts(spec, now);
        answer(spec, None, &facts, outlook.zones.first(), now)
    }

    fn drill_facts(&self, spec: &ZoneDrillSpec, now: Timestamp) -> DrillFacts {
        let zone = Zone::new(&spec.zone);
        let longest = self.hold_downs_in_use().into_iter().max().unwrap_or(DEFAULT_HOLD_DOWN);
        let can_take = |memory: &ZoneMemory| {
            memory.health == ZoneHealth::Usable
                && memory.condition.usable > 0
                && !memory.is_drilled()
        };
        let mut facts = DrillFacts {
            others_are_usable: self
                .zones
                .iter()
                .any(|(other, memory)| *other != zone && can_take(memory)),
            unstable: self.cluster_state.unstable.clone(),
            stale: self.cluster_state.stale.clone(),
            ..DrillFacts::default()
        };
        for (zone, memory) in self.zones.iter() {
            note_state(&mut facts, zone, memory, longest, now);
        }
        for policy in self.policies_of_drill(spec) {
            facts.policies.push(DrilledPolicy {
                namespace: policy.key.namespace.to_string(),
                name: policy.key.name.to_string(),
                selector: policy.spec.selector.clone(),
            });
            self.add_policy(policy, &zone, now, &mut facts);
        }
        facts
    }

    /// The policies that a drill is about.
    pub(super) fn policies_of_drill<'o>(
        &'o self,
        spec: &ZoneDrillSpec,
    ) -> impl Iterator<Item = &'o PolicyEntry> + use<'o> {
        let selector = spec.policies.clone().map(Selector::try_from);
        self.index.policies().filter(move |policy| match &selector {
            None => true,
            Some(selector) => {
                selector.as_ref().is_ok_and(|selector| selector.matches(&policy.labels))
            }
        })
    }

    /// What of other drills, and of rights, speaks against this one.
    fn add_drills(&self, drill: &KnownDrill, facts: &mut DrillFacts) {
        facts.cannot_close = match self.drills.rights.get(&drill.uid) {
            _ if drill.is_paused => Some("the drill is paused (zonespread.io/paused)".to_owned()),
            Some(DrillRight::Missing(why)) => Some(why.clone()),
            Some(DrillRight::Proven) | None => None,
        };
        let mut others = self.drills.known.iter().filter(|other| other.uid != drill.uid);
        facts.other_drill = others.find(|other| other.runs()).map(|other| other.name.to_string());
    }

    fn add_policy(
        &self,
        policy: &PolicyEntry,
        zone: &Zone,
        now: Timestamp,
        facts: &mut DrillFacts,
    ) {
        if let Some(why) = invalidity(&self.index, policy) {
            facts.invalid.push((policy.key.clone(), why));
            return;
        }
        let unknown = PolicyState::default();
        let memory = self.policies.get(&policy.key).unwrap_or(&unknown);
        for view in self.views(policy, memory, now) {
            if !view.zones.contains_key(zone) {
                facts.elsewhere.push((policy.key.clone(), Name::clone(&view.name)));
                continue;
            }
            for (zone, counted) in &view.zones {
                if let Some(memory) = &counted.health {
                    note_state(facts, zone, memory, view.settings.hold_down, now);
                }
            }
            facts.tiers.push(tier_facts(&self.index, &view, memory, zone));
        }
    }
}

fn note_state(
    facts: &mut DrillFacts,
    zone: &Zone,
    memory: &ZoneMemory,
    hold_down: Duration,
    now: Timestamp,
) {
    let state = memory.state(hold_down, now);
    if !matches!(state, ZoneState::Ready | ZoneState::Empty) {
        facts.not_ready.entry(zone.clone()).or_insert(state);
    }
}

fn tier_facts(index: &Index, view: &TierView, memory: &PolicyState, zone: &Zone) -> TierFacts {
    let pods = view.zones.get(zone).map_or(&[][..], |counted| &counted.pods);
    let (stays, why_it_stays) = staying(index, view, pods);
    TierFacts {
        policy: view.policy.clone(),
        name: Name::clone(&view.name),
        zones: zones_of(view),
        in_zone: i32::try_from(pods.len()).unwrap_or(i32::MAX),
        skew: view.skew(),
        max_skew: view.settings.max_skew,
        is_single_zone: view.settings.single_zone.is_some(),
        paused: view.paused.map(|pause| match pause {
            Pause::Policy => format!(
                "policy {0} is paused: `zonespread resume {0} -n {1}`",
                view.policy.name, view.policy.namespace
            ),
            Pause::Namespace => format!(
                "namespace {0} is paused: `kubectl annotate namespace {0} {1}-`",
                view.policy.namespace, PAUSED
            ),
        }),
        observed: view.settings.mode == Mode::Observe,
        moves: memory.under_way_of(&view.name).count(),
        rolling_out: view.rolling_out.clone(),
        unstable: view.unstable.clone(),
        desired: view.desired,
        missing: view.missing(),
        budget: budget(index, pods),
        stays,
        why_it_stays,
    }
}

/// What disruption budgets say against an eviction of one of these pods.
fn budget(index: &Index, pods: &[PodId]) -> Option<DrillRefusal> {
    pods.iter().find_map(|id| {
        let pod = index.cluster().pod(*id)?;
        let mut budgets = index.budgets_of(pod);
        let first = budgets.next()?;
        if let Some(second) = budgets.next() {
            let message = format!(
                "PodDisruptionBudgets {} and {} both select pod {}, so the API refuses every eviction: keep one",
                first.name, second.name, pod.name
            );
            return Some(DrillRefusal { reason: DrillReason::MultipleBudgets, message });
        }
        (first.allowed < 1).then(|| DrillRefusal {
            reason: DrillReason::BudgetExhausted,
            message: format!(
                "PodDisruptionBudget {} allows no eviction of pod {}: {}",
                first.name, pod.name, first.why
            ),
        })
    })
}

/// How many of these pods would not be evicted, and why the first of them is not. A single
/// replica would be: whoever drills has accepted that.
fn staying(index: &Index, view: &TierView, pods: &[PodId]) -> (i32, Option<String>) {
    let stays = pods.iter().filter_map(|id| {
        let pod = index.cluster().pod(*id)?;
        match eviction_blocker(index, pod, &view.settings)? {
            EvictionBlocker::SingleReplica(_) => None,
            blocker => Some(blocker.message(pod)),
        }
    });
    let stays: Vec<String> = stays.collect();
    (i32::try_from(stays.len()).unwrap_or(i32::MAX), stays.into_iter().next())
}
