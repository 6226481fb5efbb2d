//! Deletion costs, tier by tier: what [`cost_changes`] wants is asked for, a few at a time, and
//! only while nothing else is to be done for the tier. They evict nothing, so neither an approval
//! nor a window is waited for.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::OWN_DELETION_COST;
use crate::moves::{ActionError, ActionRequest, Effect, Outcome, PodPatch, Verb};
use crate::observe::{DELETION_COST, Name, Pod, PolicyKey, Zone};
use crate::plan::{CostChange, ScaleInRight, cost_changes};
use crate::report::TierReport;

use super::policy_state::PolicyState;
use super::{Fault, Operator};

/// So many of a policy are asked for at once, ...
const AT_ONCE: usize = 5;
/// ... and so many of all policies in one decision: after an installation every pod is to have
/// one, and nobody waits for it.
const IN_A_DECISION: usize = 10;
/// The index shows within this time what was written.
const SHOWS_WITHIN: SignedDuration = SignedDuration::from_secs(5);
/// How soon it is looked again for a place.
const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(1);
/// How soon it is tried again to write what was not written.
const TRY_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// How soon after something refused it: a webhook, say.
const FORBIDDEN_FOR: SignedDuration = SignedDuration::from_mins(5);

/// What all policies share.
#[derive(Debug, Default)]
pub(super) struct ScaleIn {
    right: ScaleInRight,
    /// The same when the policies were last asked.
    right_asked: ScaleInRight,
    /// How many more may be asked for in this decision.
    left: usize,
}

/// The deletion costs of a policy that were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct CostRequests {
    /// By the uid of the pod: until when it is left alone; none until there is an answer.
    asked: BTreeMap<Name, Option<Timestamp>>,
    /// Nothing is asked for before.
    paused_until: Option<Timestamp>,
}

impl CostRequests {
    fn under_way(&self) -> usize {
        self.asked.values().filter(|until| until.is_none()).count()
    }

    fn forget_old(&mut self, now: Timestamp) {
        self.asked.retain(|_, until| until.is_none_or(|until| until > now));
        self.paused_until = self.paused_until.filter(|until| *until > now);
    }

    /// There is an answer.
    fn answered(&mut self, uid: &Name, refusal: Option<&ActionError>, now: Timestamp) {
        let after = |pause: SignedDuration| now.checked_add(pause).ok();
        let pod_rests = if refusal.is_none() { SHOWS_WITHIN } else { TRY_AGAIN_AFTER };
        if let Some(until) = self.asked.get_mut(uid) {
            *until = after(pod_rests);
        }
        let all_rest = match refusal {
            Some(ActionError::Forbidden(_)) => Some(FORBIDDEN_FOR),
            Some(ActionError::Throttled { retry_after }) => Some(*retry_after),
            Some(ActionError::Failed(_) | ActionError::Unknown(_)) => Some(TRY_AGAIN_AFTER),
            _ => None,
        };
        self.paused_until = all_rest.and_then(after).or(self.paused_until);
    }
}

impl Operator {
    /// Whether deletion costs may be written, from now on.
    pub fn set_scale_in_right(&mut self, right: ScaleInRight) {
        self.scale_in.right = right;
    }

    /// Whether that is news since the policies were last asked, which they are now.
    pub(super) fn begin_scale_in(&mut self) -> bool {
        let ScaleIn { right, right_asked, left } = &mut self.scale_in;
        *left = IN_A_DECISION;
        let is_news = right != right_asked;
        right_asked.clone_from(right);
        is_news
    }

    /// Asks for deletion costs of the policy's tiers.
    pub(super) fn guide_scale_in(
        &mut self,
        key: &PolicyKey,
        tiers: &[TierReport],
        memory: &mut PolicyState,
        now: Timestamp,
    ) -> Vec<Effect> {
        memory.costs.forget_old(now);
        let is_calm = self.cluster_state.unstable.is_none() && self.cluster_state.stale.is_none();
        let may_ask = memory.is_written() && is_calm;
        let throttled = self.throttled_until.is_some_and(|until| now < until);
        if self.scale_in.right != ScaleInRight::Proven || !may_ask || throttled {
            return Vec::new();
        }
        if let Some(until) = memory.costs.paused_until {
            memory.wake_at(until);
            return Vec::new();
        }
        let mut effects = Vec::new();
        let just_moved = memory.just_moved();
        for report in tiers {
            let moves = memory.open().any(|moved| moved.tier == report.view.name);
            if moves || report.zone_gate.is_some() {
                continue;
            }
            for change in cost_changes(&self.index, &report.view, &just_moved, now) {
                let Some((pod, zone)) = self.pod_in_zone(change) else { continue };
                let uid = Name::from(pod.uid.to_string());
                if let Some(until) = memory.costs.asked.get(&uid).copied() {
                    if let Some(until) = until {
                        memory.wake_at(until);
                    }
                    continue;
                }
                if memory.costs.under_way() >= AT_ONCE || self.scale_in.left == 0 {
                    // An answer makes place, of this policy or of another.
                    memory.wake_at(now.saturating_add(LOOK_AGAIN_AFTER).unwrap_or(now));
                    return effects;
                }
                let cost = self.cost_to_write(change);
                effects.push(Effect::Act(request(key, report, pod, zone, cost, now)));
                memory.costs.asked.insert(uid, None);
                self.scale_in.left -= 1;
            }
        }
        effects
    }

    fn pod_in_zone(&self, change: CostChange) -> Option<(&Pod, Option<&Zone>)> {
        let pod = self.index.cluster().pod(change.pod)?;
        Some((pod, self.index.cluster().zone_of_slot(change.pod)))
    }

    fn cost_to_write(&self, change: CostChange) -> Option<i32> {
        let inverts = self.fault == Some(Fault::InvertsCosts);
        if inverts { change.cost.map(i32::saturating_neg) } else { change.cost }
    }

    /// What became of a deletion cost; whether it is about one.
    pub(super) fn cost_answered(&mut self, outcome: &Outcome, now: Timestamp) -> bool {
        let (uid, refusal) = match outcome {
            Outcome::Acted { verb: Verb::SetCost, uid, .. } => (uid, None),
            Outcome::Refused { verb: Verb::SetCost, uid, refusal, .. } => (uid, Some(refusal)),
            _ => return false,
        };
        if let Some(mut memory) = self.take(outcome.policy()) {
            memory.costs.answered(uid, refusal, now);
            memory.wake_at(now);
            self.remember(outcome.policy().clone(), memory);
        }
        true
    }
}

impl PolicyState {
    fn wake_at(&mut self, at: Timestamp) {
        self.next = self.next.into_iter().chain([at]).min();
    }
}

fn request(
    key: &PolicyKey,
    report: &TierReport,
    pod: &Pod,
    zone: Option<&Zone>,
    cost: Option<i32>,
    now: Timestamp,
) -> ActionRequest {
    let cost = cost.map(|cost| cost.to_string());
    let patch = PodPatch {
        pod: Name::clone(&pod.name),
        uid: pod.uid.clone(),
        labels: Vec::new(),
        annotations: vec![(DELETION_COST, cost.clone()), (OWN_DELETION_COST, cost)],
        resource_version: None,
    };
    let tier = &report.view.name;
    ActionRequest {
        zone: Name::from(zone.map_or("", Zone::as_str)),
        patch: Some(Arc::new(patch)),
        ..ActionRequest::of_pod(Verb::SetCost, key.clone(), tier, pod, now)
    }
}
