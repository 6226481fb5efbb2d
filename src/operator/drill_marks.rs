//! What drills leave on nodes and on pods, and that nothing of it outlives them (law 11): nodes
//! that no drill closes are opened, and pods that wait though nothing keeps them out any more are
//! made anew, by whoever leads.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::moves::{ActionRequest, Effect, OwnerSnapshot, Preconditions, Verb};
use crate::observe::{DrillMark, Name, Pod, PolicyKey, Zone};

use super::Operator;
use super::decision::{Decision, NodeAsk, NodeVerb};
use super::drill_run::{Run, SHOWS_WITHIN, is_closable, retry, waits};
use super::drills::KnownDrill;

/// What was asked of nodes and of pods that wait, and when it may be asked again.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    nodes: BTreeMap<Name, (u32, Timestamp)>,
    pods: BTreeMap<Name, Timestamp>,
}

impl Operator {
    /// Closes the nodes that are to be closed, and opens all others (law 11); whether there are
    /// any.
    pub(super) fn keep_marks(
        &mut self,
        running: &[KnownDrill],
        now: Timestamp,
        decision: &mut Decision,
    ) -> bool {
        let closing = running
            .iter()
            .filter(|drill| self.drills.runs.get(&drill.uid).is_some_and(Run::closes));
        let closing: BTreeMap<Zone, DrillMark> = closing
            .filter_map(|drill| Some((drill.zone(), drill.mark().filter(|mark| now < mark.until)?)))
            .collect();
        let is_known = self.drills.is_known();
        let mut wanted: BTreeMap<Name, NodeVerb> = BTreeMap::new();
        for (node, _) in self.index.cluster().nodes() {
            let drill = node.zone.as_ref().and_then(|zone| closing.get(zone));
            match drill.filter(|_| is_closable(node)) {
                Some(mark) => {
                    let is_closed = node.has_drill_taint() && node.drill.as_deref() == Some(mark);
                    if !is_closed {
                        wanted.insert(Name::clone(&node.name), NodeVerb::Close(mark.clone()));
                    }
                }
                // While nobody knows which drills there are, the mark itself tells.
                None if node.is_drilled() => {
                    let until = node.drill.as_ref().map(|mark| mark.until);
                    if is_known || until.is_none_or(|until| until <= now) {
                        wanted.insert(Name::clone(&node.name), NodeVerb::Open);
                    }
                }
                None => {}
            }
        }
        let has_marks = !wanted.is_empty();
        let asked = &mut self.drills.asked.nodes;
        asked.retain(|node, _| wanted.contains_key(node));
        for (node, verb) in wanted {
            let known = asked.entry(Name::clone(&node)).or_insert((0, now));
            if known.1 > now {
                continue;
            }
            known.1 = now.checked_add(SHOWS_WITHIN * 2).unwrap_or(now);
            decision.nodes.push(NodeAsk { node, verb, decided: now });
        }
        has_marks
    }

    /// What became of a [`NodeAsk`].
    pub fn node_answered(&mut self, ask: &NodeAsk, is_done: bool, now: Timestamp) {
        let Some((failed, until)) = self.drills.asked.nodes.get_mut(&ask.node) else { return };
        if is_done {
            *failed = 0;
            *until = now.checked_add(SHOWS_WITHIN).unwrap_or(now);
        } else {
            *failed = failed.saturating_add(1);
            *until = retry(*failed, now);
        }
    }

    /// Has pods made anew that wait because a drill kept them out of a zone when they were
    /// made, and no drill does any more; whether there are any.
    pub(super) fn remake(
        &mut self,
        running: &[KnownDrill],
        now: Timestamp,
        decision: &mut Decision,
    ) -> bool {
        let is_closed = running.iter().any(KnownDrill::closes);
        if is_closed || !self.drills.is_known() || self.cluster_state.stale.is_some() {
            return false;
        }
        let waiting = self.index.cluster().kept_out_pods().map(|(_, pod)| pod);
        let waiting: Vec<ActionRequest> = waiting
            .filter(|pod| pod.owner.is_some() && waits(pod))
            .map(|pod| self.remakes(pod, now))
            .collect();
        let has_waiting = !waiting.is_empty();
        let asked = &mut self.drills.asked.pods;
        asked.retain(|_, until| *until > now);
        for request in waiting {
            if !asked.contains_key(&request.uid) {
                let until = now.checked_add(SHOWS_WITHIN).unwrap_or(now);
                asked.insert(Name::clone(&request.uid), until);
                decision.effects.push(Effect::Act(request));
            }
        }
        has_waiting
    }

    fn remakes(&self, pod: &Pod, now: Timestamp) -> ActionRequest {
        let snapshot = Arc::new(OwnerSnapshot::of(&self.index, pod));
        let policy = PolicyKey { namespace: Name::clone(&pod.namespace), name: Name::from("") };
        ActionRequest {
            preconditions: Box::new(Preconditions { snapshot, ..Preconditions::default() }),
            ..ActionRequest::of_pod(Verb::Remake, policy, &Name::from(""), pod, now)
        }
    }
}
