//! What moves ask for after they have begun, and moves of which only a mark is left.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::ZoneState;
use crate::moves::{
    ActionRequest, Effect, Move, OtherMoves, OwnerSnapshot, Preconditions, Transition, Verb, View,
};
use crate::observe::{MoveMark, Name, Pod, PolicyKey, Uid, hash_before};
use crate::plan::{ClusterFacts, SurgeRight, TierView, zone_gate};

use super::Operator;
use super::policy_state::PolicyState;

impl Operator {
    /// Takes up surges that nobody follows: their policy is gone, its status was lost, or the
    /// request was carried out after it had been given up (law 11).
    pub(super) fn take_up_marks(&mut self, now: Timestamp) {
        if !self.leading {
            return;
        }
        let followed: BTreeSet<&Uid> = self
            .moving
            .iter()
            .filter_map(|key| self.policies.get(key))
            .flat_map(|memory| memory.under_way().map(|moved| &moved.uid))
            .collect();
        // Of a pod that its owner has, only the mark is left: that goes with the right to.
        let is_refused = self.unpatchable_until.is_some_and(|until| now < until);
        let can_patch = self.surge == SurgeRight::Proven && !is_refused;
        let mut found: Vec<(PolicyKey, Move)> = Vec::new();
        for (_, pod) in self.index.cluster().surging_pods() {
            if pod.terminating || !(can_patch || pod.is_released()) {
                continue;
            }
            let mark = mark_of(pod, now);
            let is_known = |moved: &Move| moved.uid == *mark.uid;
            if followed.iter().any(|uid| **uid == *mark.uid)
                || found.iter().any(|(_, moved)| is_known(moved))
            {
                continue;
            }
            let namespace = Name::clone(&pod.namespace);
            let key = PolicyKey { namespace, name: Name::from(mark.policy.as_str()) };
            found.push((key, Move::from_mark(&mark, pod)));
        }
        for (key, moved) in found {
            let mut memory = self.take(&key).unwrap_or_default();
            memory.moves.push(moved);
            memory.next = Some(now);
            self.remember(key, memory);
        }
    }

    /// What moves ask for after they have begun, by the uid of their pods.
    pub(super) fn follow_ups(
        &self,
        key: &PolicyKey,
        memory: &mut PolicyState,
        asked: &[(Verb, Uid)],
        now: Timestamp,
    ) -> Vec<Effect> {
        let requests =
            asked.iter().filter_map(|(verb, uid)| self.follow_up(key, memory, *verb, uid, now));
        requests.map(Effect::Act).collect()
    }

    fn follow_up(
        &self,
        key: &PolicyKey,
        memory: &mut PolicyState,
        verb: Verb,
        uid: &Uid,
        now: Timestamp,
    ) -> Option<ActionRequest> {
        let at = memory.moves.iter().rposition(|moved| moved.uid == *uid)?;
        let moved = &memory.moves[at];
        let no_others = OtherMoves::default();
        let view = View::of_one(&self.index, &key.namespace, &no_others);
        let patch = moved.patch(verb, key, &view);
        if patch.is_none() && !verb.evicts() {
            return None;
        }
        let node = |name: Option<&Name>| name.cloned().unwrap_or_else(|| Name::from(""));
        let (_, pod) = moved.pod(&self.index, &key.namespace).unzip();
        let replacement = moved.replacement.as_ref();
        let request = ActionRequest {
            verb,
            policy: key.clone(),
            tier: Name::clone(&moved.tier),
            pod: Name::clone(&moved.pod),
            uid: Name::from(moved.uid.to_string()),
            node: node(pod.and_then(|pod| pod.node.as_ref())),
            target: node(replacement.and_then(|known| known.node.as_ref())),
            zone: Name::from(moved.to.as_str()),
            preconditions: Box::new(self.preconditions_of_end(key, memory, moved, now)),
            patch: patch.map(Arc::new),
            steering: None,
            decided: now,
            closes: None,
            probe: None,
        };
        memory.moves[at].apply(Transition::FollowUpAsked, now);
        Some(request)
    }

    /// What the end of a surge stands on: with its pod gone, the tier is as it was before.
    fn preconditions_of_end(
        &self,
        key: &PolicyKey,
        memory: &PolicyState,
        moved: &Move,
        now: Timestamp,
    ) -> Preconditions {
        // Where nobody wants pods any more, none is missed.
        let tier = self.tier_of(key, memory, moved, now).filter(|tier| tier.desired > 0);
        let Some((policy, tier)) = self.index.policy(key).zip(tier) else {
            return Preconditions::default();
        };
        let target = Name::from("");
        let own = Arc::<OwnerSnapshot>::default();
        let mut preconditions = self.preconditions_of(policy, &tier, memory, &own, &target);
        // Its own pod does not count any more, and its replacement does.
        let is_own = |uid: &Uid| *uid == moved.uid || Some(uid) == moved.replacement_uid();
        preconditions.available += 1;
        preconditions.moving =
            preconditions.moving.iter().filter(|uid| !is_own(uid)).cloned().collect();
        preconditions
    }

    /// Whether the pod of a surge may be evicted at its end: not in an outage (law 1).
    pub(super) fn may_retire(
        &self,
        key: &PolicyKey,
        memory: &PolicyState,
        moved: &Move,
        now: Timestamp,
    ) -> bool {
        if moved.is_unconfirmed() || !moved.is_surge() {
            return true;
        }
        let facts = ClusterFacts {
            now,
            unstable: self.cluster_state.unstable.clone(),
            stale: self.cluster_state.stale.clone(),
            throttled_until: None,
            openings: Arc::clone(&self.openings_told),
        };
        // Of a tier of which nobody wants a pod any more, nobody knows which nodes it may use.
        let tier = self.tier_of(key, memory, moved, now).filter(|tier| tier.desired > 0);
        let zones_rest = || {
            tier.map_or_else(
                || self.zones_of_move_rest(moved, now),
                |tier| zone_gate(&tier, &facts).is_none(),
            )
        };
        facts.unstable.is_none() && facts.stale.is_none() && zones_rest()
    }

    /// Whether none of the move's zones is out, or held by hand, as the cluster's record says.
    fn zones_of_move_rest(&self, moved: &Move, now: Timestamp) -> bool {
        let mut zones = [&moved.from, &moved.to].into_iter().chain(&moved.alternatives);
        zones.all(|zone| {
            let state = self.zones.get(zone).map(|memory| memory.state(Duration::ZERO, now));
            matches!(
                state,
                None | Some(ZoneState::Ready | ZoneState::Recovering | ZoneState::Empty)
            )
        })
    }

    /// The tier of a move; none where the policy is gone, or has no such tier any more.
    fn tier_of(
        &self,
        key: &PolicyKey,
        memory: &PolicyState,
        moved: &Move,
        now: Timestamp,
    ) -> Option<TierView> {
        let policy = self.index.policy(key)?;
        self.views(policy, memory, now).into_iter().find(|tier| tier.name == moved.tier)
    }
}

/// The mark on a pod. Where somebody has removed it or written something else, what is needed
/// to give the pod back at once.
fn mark_of(pod: &Pod, now: Timestamp) -> MoveMark {
    pod.mark.as_deref().cloned().unwrap_or_else(|| MoveMark {
        policy: String::new(),
        tier: String::new(),
        pod: pod.name.to_string(),
        uid: pod.uid.to_string(),
        owner: String::new(),
        from: String::new(),
        to: Vec::new(),
        hash: hash_before(&pod.labels).map_or_else(String::new, |(_, hash)| hash.to_owned()),
        started_at: now,
        deadline: now,
        cost: 0,
    })
}
