//! What the operator remembers of a policy, and how it is restored from its status.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::text::bounded;
use crate::api::{
    ApprovedPlan, Blocked, Mode, PastRecovery, Phase, PlannedMove, Reason, Recovery, TierStatus,
    ZoneSpreadPolicyStatus, limit, seconds,
};
use crate::moves::{
    ActionError, Ending, ErrorCategory, EvictionResult, Move, Outcome, OwnerName, Refusal, Signal,
    Transition, Verb,
};
use crate::observe::{Index, Name, PolicyEntry, PolicyKey, Zone, ZoneMemory};
use crate::plan::{Approval, KnownZones, MissHistory, TierSettings, TierView, Wish};

use super::scale_in::CostRequests;
use super::steadiness::Steadiness;
use super::steering::Steerings;

/// How long a refusal blocks a tier before the API server is asked again.
pub const REFUSAL_HEEDED: SignedDuration = SignedDuration::from_mins(1);
/// How long to wait before what failed is tried again; twice as long each time.
const RETRY: SignedDuration = SignedDuration::from_secs(2);
/// Doublings after which it is tried as often as that: every 32 s.
const RETRY_DOUBLINGS: u32 = 4;
/// What was done shows in the watch within this time.
const SHOWS_WITHIN: SignedDuration = SignedDuration::from_secs(5);
/// How long to let the watch catch up with what a fresh read showed.
const STALE_HEEDED: SignedDuration = SignedDuration::from_secs(10);

/// What is remembered of a policy.
#[derive(Clone, Debug, Default)]
pub struct PolicyState {
    /// The uid of the policy; none before it was first looked at.
    pub uid: Option<Name>,
    /// The generation of the spec that misses were counted under.
    pub generation: Option<i64>,
    /// Its last moves, oldest first.
    pub moves: Vec<Move>,
    /// Misses and refusals, by tier.
    pub miss_histories: BTreeMap<Name, MissHistory>,
    /// A zone that was out for its tiers since misses were last counted from zero.
    pub(super) zone_out: Option<Zone>,
    /// Whether its tiers are steady, by tier.
    pub(super) steadiness: BTreeMap<Name, Steadiness>,
    /// The plan that was approved last, and its moves that are left.
    pub approved: Option<ApprovedPlan>,
    /// The recovery under way, or the last.
    pub recovery: Option<Recovery>,
    /// Recoveries that are over, oldest first.
    pub history: Vec<PastRecovery>,
    /// The status as the API server has it, or is about to have it.
    pub written: Option<Arc<ZoneSpreadPolicyStatus>>,
    /// The status as the API server is known to have it.
    stored: Option<Arc<ZoneSpreadPolicyStatus>>,
    /// Whether the outcome of the last write is still to come.
    pub is_writing: bool,
    /// Whether a write failed and must be made again.
    pub rewrite: bool,
    /// How many writes in a row failed.
    failed_writes: u32,
    /// What its tiers remember of their zones.
    pub tier_zones: BTreeMap<Name, KnownZones>,
    /// How new pods of its tiers are steered.
    pub(super) steering: Steerings,
    /// Deletion costs that were asked for.
    pub(super) costs: CostRequests,
    /// Whether a tier was unbalanced when it was last asked: it may wait for others.
    pub is_unbalanced: bool,
    /// The zones that its tiers want to have opened, or kept open.
    pub wishes: Vec<Wish>,
    /// When to ask again.
    pub next: Option<Timestamp>,
}

impl PolicyState {
    /// What an earlier process wrote.
    pub fn restore(status: &ZoneSpreadPolicyStatus, now: Timestamp) -> Self {
        let written = Some(Arc::new(status.clone()));
        Self {
            uid: None,
            generation: status.observed_generation,
            moves: status.moves.iter().map(|known| Move::from_status(known, now)).collect(),
            miss_histories: status
                .tiers
                .iter()
                .filter(|tier| tier.misses > 0)
                .map(|tier| {
                    let history = MissHistory {
                        misses: tier.misses,
                        retry_at: tier.retry_at.as_ref().map(|at| at.0),
                        refused: None,
                    };
                    (Name::from(tier.name.as_str()), history)
                })
                .collect(),
            steadiness: status
                .tiers
                .iter()
                .filter(|_| status.phase != Some(Phase::Invalid))
                .map(|tier| (Name::from(tier.name.as_str()), Steadiness::restore(tier)))
                .collect(),
            zone_out: super::recovery::zone_out(status),
            approved: status.approved.clone(),
            recovery: status.recovery.clone(),
            history: status.history.clone(),
            stored: written.clone(),
            written,
            steering: Steerings::restore(status, now),
            next: Some(now),
            ..Self::default()
        }
    }

    /// What the status tells of the tiers' zones, and the Zone objects do not.
    pub fn restore_zones(
        &mut self,
        status: &ZoneSpreadPolicyStatus,
        record: &BTreeMap<Zone, ZoneMemory>,
        hold_down: Duration,
    ) {
        let known = |tier: &TierStatus| {
            let zones = KnownZones::restore(status, tier, record, hold_down);
            (Name::from(tier.name.as_str()), zones)
        };
        // A policy that cannot be followed tells nothing of zones.
        let tiers = status.tiers.iter().filter(|tier| !tier.zones.is_empty());
        self.tier_zones = tiers.map(known).collect();
    }

    /// Whether its status could be written when that was last tried (law 7).
    pub const fn is_written(&self) -> bool {
        self.failed_writes == 0
    }

    /// Why nothing is begun until then, though nothing else is in the way.
    pub fn unwritten(&self) -> Option<Blocked> {
        let message = "requests to the API server are failing: the status could not be \
                       written, and nothing is evicted before it is; the operator's log says why";
        (!self.is_written())
            .then(|| Blocked { reason: Reason::ClusterUnstable, message: message.to_owned() })
    }

    /// Moves under way.
    pub fn under_way(&self) -> impl Iterator<Item = &Move> {
        self.moves.iter().filter(|moved| moved.is_under_way())
    }

    /// Those, and moves whose stuck replacement still waits.
    pub fn open(&self) -> impl Iterator<Item = &Move> {
        self.moves.iter().filter(|moved| moved.is_open())
    }

    /// Those of a tier.
    pub fn under_way_of(&self, tier: &str) -> impl Iterator<Item = &Move> {
        self.under_way().filter(move |moved| *moved.tier == *tier)
    }

    /// Keeps all moves that are open, the last of the others, and those whose replacement
    /// could be taken for that of a move that was under way beside them.
    pub fn trim_moves(&mut self) {
        let finished = self.moves.iter().filter(|moved| !moved.is_open()).count();
        let mut old = finished.saturating_sub(limit::FINISHED_MOVES);
        if old == 0 {
            return;
        }
        let mut awaited: BTreeMap<Option<OwnerName>, Timestamp> = BTreeMap::new();
        for moved in self.under_way() {
            let first = awaited.entry(moved.owner.clone()).or_insert(moved.decided);
            *first = moved.decided.min(*first);
        }
        let is_needed = |moved: &Move| {
            let began = awaited.get(&moved.owner);
            began.zip(moved.finished).is_some_and(|(began, finished)| finished >= *began)
        };
        let mut too_many = self.moves.len().saturating_sub(limit::MOVES);
        self.moves.retain(|moved| {
            if moved.is_open() || old == 0 {
                return true;
            }
            old -= 1;
            let stays = too_many == 0 && is_needed(moved);
            too_many = too_many.saturating_sub(usize::from(!stays));
            stays
        });
    }

    /// A policy that was deleted and made again has no status and no past. Pods that
    /// are on their way stay known: they are a canary, or missing from a tier.
    pub fn sync_uid(&mut self, uid: &Name) {
        if self.uid.as_ref().is_some_and(|known| known != uid) {
            let moves = std::mem::take(&mut self.moves);
            let moves = moves.into_iter().filter(Move::is_open).collect();
            let steadiness = std::mem::take(&mut self.steadiness);
            *self = Self { moves, steadiness, ..Self::default() };
        }
        self.uid = Some(Name::clone(uid));
    }

    /// Another recovery begins: misses are counted from zero again.
    pub fn reset_misses(&mut self) {
        self.miss_histories.values_mut().for_each(MissHistory::reset);
    }

    /// Misses are forgotten when the user changes the policy.
    pub fn sync_generation(&mut self, generation: Option<i64>) {
        if self.generation != generation {
            self.miss_histories.clear();
            self.generation = generation;
        }
    }

    /// What is left to know of a policy that is gone: its moves that are open.
    pub fn orphaned(mut self) -> Self {
        self.moves.retain(Move::is_open);
        Self { uid: self.uid, moves: self.moves, ..Self::default() }
    }

    /// What must survive of the tiers while the policy cannot be followed.
    pub fn misses(&self) -> Vec<TierStatus> {
        let missed = self.miss_histories.iter().filter(|(_, history)| history.misses > 0);
        missed
            .take(limit::TIERS)
            .map(|(tier, history)| TierStatus {
                name: tier.to_string(),
                misses: history.misses,
                retry_at: history.retry_at.map(seconds),
                ..TierStatus::default()
            })
            .collect()
    }

    /// Takes over what the annotation `approve` says: the published plan, if
    /// it is that one. What was approved before and is no longer named, is no
    /// longer approved.
    pub fn sync_approval(&mut self, index: &Index, policy: &PolicyEntry) {
        let named = policy.approve.as_deref();
        self.approved = self.approved.take().filter(|known| Some(known.id.as_str()) == named);
        // An id is never that of a plan of which a move was made: it is made
        // of the pods' uids. So this is the plan as it was approved.
        if self.approved.as_ref().is_none_or(|known| known.moves.is_empty())
            && let Some(plan) = self.written.as_ref().and_then(|status| status.plan.as_ref())
            && Some(plan.id.as_str()) == named
        {
            let needs_approval = |planned: &&PlannedMove| {
                TierSettings::of(&policy.spec, &planned.tier).mode == Mode::Approve
            };
            let moves = plan.moves.iter().filter(needs_approval).cloned().collect();
            self.approved = Some(ApprovedPlan { id: plan.id.clone(), moves });
        }
        // Whatever became of a pod that is gone, its move is over.
        if let Some(approved) = &mut self.approved {
            let cluster = index.cluster();
            approved.moves.retain(|planned| {
                let id = cluster.pod_id(&policy.key.namespace, &planned.pod);
                let pod = id.and_then(|id| cluster.pod(id));
                pod.is_some_and(|pod| pod.uid == *planned.uid && !pod.terminating)
            });
        }
    }

    /// What people agreed to for a tier.
    pub fn approval_of(&self, tier: &TierView) -> Approval {
        if tier.settings.mode != Mode::Approve {
            return Approval::default();
        }
        let shown = self.written.as_ref().and_then(|status| status.plan.as_ref());
        let approved = self.approved.as_ref();
        Approval::of(
            &tier.name,
            shown.map_or(&[], |plan| &plan.moves),
            approved.map_or(&[], |plan| &plan.moves),
        )
    }

    /// The tier has left the approved plan: what is left of it is not approved any more.
    pub fn end_approval(&mut self, tier: &str) {
        if let Some(approved) = &mut self.approved {
            approved.moves.retain(|planned| planned.tier != tier);
        }
    }

    /// Books the end of a move.
    pub fn record_ending(
        &mut self,
        tier: &str,
        ending: Ending,
        backoff: SignedDuration,
        now: Timestamp,
    ) {
        match ending {
            Ending::Landed => {
                if let Some(recovery) = &mut self.recovery {
                    recovery.moves_done += 1;
                }
            }
            Ending::Missed | Ending::Stuck { .. } => {
                self.count_miss();
                let history = self.miss_histories.entry(Name::from(tier)).or_default();
                let doublings = u32::try_from(history.misses).unwrap_or(0).min(16);
                history.misses += 1;
                let wait = backoff.checked_mul(1 << doublings).unwrap_or(SignedDuration::MAX);
                history.retry_at = now.checked_add(wait).ok().map(|at| seconds(at).0);
            }
            Ending::Discarded | Ending::Refused => {}
        }
    }

    /// What became of an effect.
    pub fn outcome(
        &mut self,
        policy: &PolicyKey,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Vec<Signal> {
        let (verb, uid, refusal) = match outcome {
            Outcome::Written { uid, status, .. } => {
                self.wrote(uid, status, now);
                return Vec::new();
            }
            Outcome::NotWritten { uid, status, failure, .. } => {
                self.not_written(uid, status, now);
                let category = ErrorCategory::from(failure);
                return vec![Signal::WriteFailed { policy: policy.clone(), category }];
            }
            Outcome::Acted { verb, uid, .. } => (*verb, uid, None),
            Outcome::Refused { verb, uid, refusal, .. } => (*verb, uid, Some(refusal)),
        };
        if !verb.begins() {
            return self.followed_up(policy, verb, uid, refusal, now);
        }
        // Nothing was asked for: at once, it would go round in circles.
        self.next = match refusal {
            Some(ActionError::Outdated(_)) if self.is_written() => now.checked_add(RETRY).ok(),
            // The next try to write is what counts.
            Some(ActionError::Outdated(_)) => self.next,
            _ => Some(now),
        };
        let is_asked = |moved: &&mut Move| moved.uid == **uid && moved.is_unconfirmed();
        let Some(moved) = self.moves.iter_mut().rev().find(is_asked) else {
            return Vec::new();
        };
        let tier = moved.tier.to_string();
        let Some(refusal) = refusal else {
            moved.apply(Transition::Granted, now);
            if !verb.evicts() {
                return Vec::new();
            }
            return vec![Signal::EvictionAnswered {
                policy: policy.clone(),
                tier,
                result: EvictionResult::Evicted,
            }];
        };
        if let ActionError::Unknown(_) = refusal {
            // It may have been made: whether it was shows in the cluster.
            moved.apply(Transition::Unanswered, now);
            self.heed(&tier, refusal, now);
        } else {
            self.refused(uid, &tier, refusal, now);
        }
        let result = refusal.result().filter(|_| verb.evicts());
        result
            .map(|result| Signal::EvictionAnswered { policy: policy.clone(), tier, result })
            .into_iter()
            .collect()
    }

    /// A request of a move after its first was answered.
    fn followed_up(
        &mut self,
        policy: &PolicyKey,
        verb: Verb,
        uid: &Name,
        refusal: Option<&ActionError>,
        now: Timestamp,
    ) -> Vec<Signal> {
        self.next = Some(now);
        let is_it = |moved: &&mut Move| moved.uid == **uid && moved.is_under_way();
        let Some(moved) = self.moves.iter_mut().rev().find(is_it) else { return Vec::new() };
        // Asked again only if the cluster does not show it by then.
        let pause = match refusal {
            None | Some(ActionError::Unknown(_) | ActionError::Failed(_)) => SHOWS_WITHIN,
            Some(ActionError::Throttled { retry_after }) => (*retry_after).min(REFUSAL_HEEDED),
            // A budget shows a moment later that one more pod is Ready; or not for hours.
            Some(_) => RETRY * (1 << moved.refusals().min(RETRY_DOUBLINGS)),
        };
        let again = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        let answer = match refusal {
            None => Refusal::None,
            Some(ActionError::Forbidden(_)) => Refusal::Forbidden,
            Some(_) => Refusal::Other,
        };
        moved.apply(Transition::FollowUpAnswered { verb, refusal: answer, again }, now);
        let result = refusal.map_or(Some(EvictionResult::Evicted), ActionError::result);
        let tier = moved.tier.to_string();
        result
            .filter(|_| verb.evicts())
            .map(|result| Signal::EvictionAnswered { policy: policy.clone(), tier, result })
            .into_iter()
            .collect()
    }

    fn is_about(&self, uid: &Name) -> bool {
        self.uid.as_ref().is_none_or(|known| known == uid)
    }

    fn is_newest(&self, status: &Arc<ZoneSpreadPolicyStatus>) -> bool {
        self.written.as_ref().is_some_and(|newest| Arc::ptr_eq(newest, status))
    }

    fn wrote(&mut self, uid: &Name, status: &Arc<ZoneSpreadPolicyStatus>, now: Timestamp) {
        if !self.is_about(uid) {
            return;
        }
        self.stored = Some(Arc::clone(status));
        if self.is_newest(status) {
            self.is_writing = false;
            self.steering.stored(status, now);
        } else if !self.is_writing {
            // Sent when this process led before: it came after what was read since.
            self.rewrite = true;
            self.next = Some(now);
        }
        if std::mem::take(&mut self.failed_writes) > 0 {
            // What waited for it may begin.
            self.next = Some(now);
        }
    }

    fn not_written(&mut self, uid: &Name, status: &Arc<ZoneSpreadPolicyStatus>, now: Timestamp) {
        if !self.is_about(uid) {
            return;
        }
        let wait = RETRY * (1 << self.failed_writes.min(RETRY_DOUBLINGS));
        self.failed_writes = self.failed_writes.saturating_add(1);
        // A newer one that is on its way holds all that this one does.
        if self.is_newest(status) {
            self.is_writing = false;
            self.written.clone_from(&self.stored);
            self.rewrite = true;
            self.next = now.checked_add(wait).ok();
        }
    }

    /// Keeps in mind what the API server said; gives it as a message.
    fn heed(&mut self, tier: &str, refusal: &ActionError, now: Timestamp) -> String {
        let heeded = match refusal {
            ActionError::Stale(_) => STALE_HEEDED,
            _ => REFUSAL_HEEDED,
        };
        let (reason, message) = match refusal {
            ActionError::Budget(message) => (Some(Reason::BudgetExhausted), message.clone()),
            ActionError::MultipleBudgets(message) => {
                (Some(Reason::MultipleBudgets), message.clone())
            }
            ActionError::Forbidden(message) => (Some(Reason::Forbidden), message.clone()),
            ActionError::Throttled { .. } => {
                (None, "the API server asks for fewer requests".to_owned())
            }
            ActionError::Gone => (Some(Reason::StaleView), "the pod was gone already".to_owned()),
            ActionError::Stale(message) => (Some(Reason::StaleView), message.clone()),
            ActionError::Failed(message) | ActionError::Unknown(message) => (
                Some(Reason::ClusterUnstable),
                format!("requests to the API server are failing: {message}"),
            ),
            ActionError::Outdated(message) => (None, message.clone()),
        };
        // Whatever a webhook says, the status can hold it, and a terminal show it.
        let message = bounded(&message);
        if let (Some(reason), Ok(until)) = (reason, now.checked_add(heeded)) {
            let blocked = Blocked { reason, message: message.clone() };
            self.miss_histories.entry(Name::from(tier)).or_default().refused =
                Some((blocked, until));
        }
        message
    }

    /// A move that was surely not made.
    fn refused(&mut self, uid: &Name, tier: &str, refusal: &ActionError, now: Timestamp) {
        let message = self.heed(tier, refusal, now);
        // Nothing happened to the cluster: a move that was not even asked for
        // leaves no trace, so that retries do not push real moves off the list.
        let asked = refusal.result().is_some();
        self.moves.retain_mut(|moved| {
            if moved.uid != **uid || !moved.is_unconfirmed() {
                return true;
            }
            moved.apply(Transition::Ended(Ending::Refused, message.clone()), now);
            asked
        });
    }
}
