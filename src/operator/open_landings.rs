//! Replacements that are still to be scheduled: what is known of them, and what must wait
//! for them.

use crate::api::{Blocked, Reason};
use crate::moves::{ExpectedLanding, Move};
use crate::observe::{Name, Pod, PolicyKey, Uid};
use crate::plan::{OpenLanding, OpenLandings, PlannedMove, TierView};

use super::in_flight::in_flight_pods;
use super::policy_state::PolicyState;
use super::{Fault, Operator};

impl Operator {
    /// Why a move waits though nothing else is in the way: it, or one that is under way, might
    /// land elsewhere than predicted (law 2).
    pub(super) fn would_turn(
        &self,
        key: &PolicyKey,
        view: &TierView,
        next: &PlannedMove,
        memory: &PolicyState,
    ) -> Option<Blocked> {
        let cluster = self.index.cluster();
        let pod = cluster.pod(next.pod).filter(|_| self.fault != Some(Fault::TurnsLandings))?;
        let unknown = self.all_under_way(key, memory).find(|(policy, moved)| {
            policy.namespace == key.namespace && moved.expected.is_none() && !moved.is_placed()
        });
        if let Some((_, moved)) = unknown {
            return blocked(format!(
                "where the replacement of {} lands is not known since the restart: the next move waits until it has a node",
                moved.pod
            ));
        }
        let scheduler = self.scheduler();
        let replacement = scheduler.replacing(pod).steered(next.steered.as_ref());
        let landing = OpenLanding {
            leaves: &pod.name,
            victim: Some(next.pod),
            from: &next.from,
            pod: &replacement,
            to: next.to.iter().collect(),
            nodes: &next.nodes,
            margin: next.margin,
            spare: next.spare,
        };
        let mut open = self.open_landings(key, memory);
        open.gone = self.probes_for(view);
        let turned = open.turned_by(cluster, &scheduler, &landing)?;
        let zone = turned.to.first()?;
        blocked(if turned.victim == Some(next.pod) {
            format!(
                "the replacement of {} may not land in zone {zone} before the moves under way are further: it waits for them",
                pod.name
            )
        } else {
            format!(
                "the replacement of {} is to land in zone {zone}, which another move might change: the next waits until it has a node",
                turned.leaves
            )
        })
    }

    /// The replacements that are still to be scheduled, and the pods that are about to go.
    fn open_landings<'a>(
        &'a self,
        key: &'a PolicyKey,
        memory: &'a PolicyState,
    ) -> OpenLandings<'a> {
        let mut open = OpenLandings::default();
        for (policy, memory) in self.moving_policies(key, memory) {
            for moved in &memory.moves {
                if let Some(landing) = moved.open_landing(&self.index, &policy.namespace) {
                    open.landings.push(landing);
                } else if let Some((id, pod)) = moved.pod(&self.index, &policy.namespace)
                    && (moved.is_under_way() || pod.terminating)
                {
                    open.leaving.push(id);
                }
            }
        }
        open
    }

    /// After a restart, what is expected of the moves under way is predicted again: a status
    /// names the zone only.
    pub(super) fn predict_again(&mut self) {
        if !self.leading {
            return;
        }
        let is_unknown = |moved: &&Move| moved.expected.is_none() && !moved.is_placed();
        let unknown = self.moving.iter().flat_map(|key| {
            let moves = self.policies.get(key).into_iter().flat_map(PolicyState::under_way);
            moves.filter(is_unknown).map(move |moved| (key, moved))
        });
        let known: Vec<(PolicyKey, Uid, ExpectedLanding)> = unknown
            .filter_map(|(key, moved)| {
                Some((key.clone(), moved.uid.clone(), self.expected_of(key, moved)?))
            })
            .collect();
        for (key, uid, expected) in known {
            let moves = self.policies.get_mut(&key).map(|memory| &mut memory.moves);
            if let Some(moved) = moves.into_iter().flatten().find(|moved| moved.uid == uid) {
                moved.expected = Some(expected);
            }
        }
    }

    /// What is expected of a move, going by a pod of the same owner.
    fn expected_of(&self, key: &PolicyKey, moved: &Move) -> Option<ExpectedLanding> {
        let (cluster, scheduler) = (self.index.cluster(), self.scheduler());
        let owner = moved.owner.as_ref()?;
        let is_own = |pod: &&Pod| pod.owner.as_ref().is_some_and(|known| owner.is(known));
        let like = moved
            .pod(&self.index, &key.namespace)
            .map(|(_, pod)| pod)
            .filter(|pod| !pod.is_released())
            .or_else(|| cluster.pods_in(&key.namespace).map(|(_, pod)| pod).find(is_own))?;
        let steering = self.policies.get(key).map(|memory| &memory.steering);
        let steered = steering.and_then(|steering| steering.zone_of(&moved.tier));
        let mut pod = scheduler.replacing(like).steered(steered);
        if pod.name.is_some() {
            pod.name = Some(Name::clone(&moved.pod));
        }
        let in_flight = in_flight_pods(&self.index, self.all_moves_under_way());
        let best = scheduler.simulate(&in_flight, &pod).ok().and_then(|known| known.best());
        let is_in = |node: &&Name| cluster.zone_of_node(node) == Some(&moved.to);
        let node = best.as_ref().and_then(|best| best.nodes.iter().find(is_in)).or_else(|| {
            let mut names = cluster.nodes().map(|(node, _)| &node.name);
            names.find(is_in)
        })?;
        // How close it was when the move was decided is not known.
        Some(ExpectedLanding { nodes: vec![Name::clone(node)], pod, margin: 0, spare: 0 })
    }
}

#[allow(clippy::unnecessary_wraps, reason = "every caller returns an Option")]
fn blocked(message: String) -> Option<Blocked> {
    Some(Blocked { reason: Reason::MovesUnderWay, message })
}
