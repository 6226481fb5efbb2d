//! One eviction, step by step and without IO: a fresh look at the tier and at
//! the nodes, a dry run with the uid, then the eviction with the uid (law 6).
//!
//! A watch may be behind without knowing it. So what the decision stands on is
//! read again before anybody's pod is touched: the tier is whole enough (law 3),
//! its zones are not out (law 1), and the target still takes pods (law 2).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::api::text::counted;
use crate::moves::{ActionError, ActionRequest, Check, PodPatch, Verb};
use crate::observe::{
    ConditionCount, CostWriter, DELETION_COST, Interner, Node, NodeFault, Pod, WatchedPod, Zone,
    ZoneCondition, is_impaired, unstable_nodes,
};

use super::request::{Answer, Request};

/// A decision older than this is not carried out.
pub(super) const DECISION_HOLDS: SignedDuration = SignedDuration::from_secs(15);

/// An action on its way: its checks, and then what it is about.
#[derive(Clone, Debug)]
pub struct Action {
    request: Arc<ActionRequest>,
    /// Checks that are left to be made.
    checks: &'static [Check],
}

impl Action {
    /// Begins with the first check.
    ///
    /// # Errors
    /// When the decision is too old.
    pub fn begin(request: ActionRequest, now: Timestamp) -> Result<Self, ActionError> {
        Self::decision_holds(&request, now)?;
        Ok(Self { checks: checks_of(&request), request: Arc::new(request) })
    }

    /// Whether it may still be carried out. After a suspension in between it starts over.
    ///
    /// # Errors
    /// When the decision is too old, or its window has closed.
    pub fn decision_holds(request: &ActionRequest, now: Timestamp) -> Result<(), ActionError> {
        if now.duration_since(request.decided).abs() > DECISION_HOLDS {
            return Err(ActionError::Outdated("the decision is too old".to_owned()));
        }
        if request.closes.is_some_and(|closes| closes <= now) {
            return Err(ActionError::Outdated("the window has closed".to_owned()));
        }
        Ok(())
    }

    /// What it is about.
    #[must_use]
    pub const fn request(&self) -> &Arc<ActionRequest> {
        &self.request
    }

    /// What to ask now.
    #[must_use]
    pub fn asks(&self) -> Request {
        let ActionRequest { policy, pod, target, preconditions, steering, .. } = &*self.request;
        let namespace = policy.namespace.clone();
        match (self.checks.first(), &preconditions.tier_selector) {
            (Some(Check::Pods), Some(selector)) => {
                Request::Pods { namespace, selector: selector.to_string() }
            }
            (Some(Check::Pods), None) | (Some(Check::Cost), _) => {
                Request::Pod { namespace, name: pod.clone() }
            }
            (Some(Check::Nodes), _) if preconditions.all_nodes => Request::Nodes,
            (Some(Check::Nodes), _) => Request::Node { name: target.clone() },
            (Some(Check::Fence), _) => Request::Fence { request: Arc::clone(&self.request) },
            (Some(Check::Probe), _) => Request::RemoveProbe { request: Arc::clone(&self.request) },
            (Some(Check::Steering), _) => match steering {
                Some(pod) => Request::Steering { policy: policy.clone(), pod: Arc::clone(pod) },
                None => Request::Act { request: Arc::clone(&self.request), dry_run: true },
            },
            (Some(Check::DryRun), _) => {
                Request::Act { request: Arc::clone(&self.request), dry_run: true }
            }
            (None, _) => Request::Act { request: Arc::clone(&self.request), dry_run: false },
        }
    }

    /// What follows from the answer: true when it is done, false when
    /// there is more to ask.
    ///
    /// # Errors
    /// Why it is not done.
    pub fn answered(&mut self, answer: Answer, now: Timestamp) -> Result<bool, ActionError> {
        match (self.checks.first(), answer) {
            (Some(Check::Pods), Answer::Pods(pods)) => self.tier_holds(pods, now)?,
            (Some(Check::Nodes), Answer::Nodes(nodes)) => self.zones_hold(&nodes)?,
            (Some(Check::Cost), Answer::Pods(pods)) => {
                if self.cost_stands(pods)? {
                    return Ok(true);
                }
            }
            (Some(Check::Fence | Check::Steering | Check::DryRun), Answer::Acted(answer)) => {
                answer.map_err(|refusal| match refusal {
                    // Nothing was done, whatever became of it.
                    ActionError::Unknown(why) => ActionError::Failed(why),
                    other => other,
                })?;
            }
            (Some(Check::Probe), Answer::Acted(answer)) => {
                answer.map_err(|refusal| match refusal {
                    // The node that it kept may be going.
                    ActionError::Gone => ActionError::Outdated("the probe was gone".to_owned()),
                    ActionError::Unknown(why) => ActionError::Failed(why),
                    other => other,
                })?;
            }
            (None, Answer::Acted(answer)) => {
                return answer.map(|()| true).map_err(|refusal| match refusal {
                    // It was there a moment ago: a proxy may have asked twice.
                    ActionError::Gone if self.request.verb.evicts() => {
                        ActionError::Unknown("the pod was gone after the dry run".to_owned())
                    }
                    other => other,
                });
            }
            (Some(Check::Pods | Check::Nodes | Check::Cost), Answer::Failed(why)) => {
                return Err(ActionError::Failed(format!("a fresh read failed: {why}")));
            }
            (_, answer) => {
                return Err(ActionError::Outdated(format!("an answer out of turn: {answer:?}")));
            }
        }
        Self::decision_holds(&self.request, now)?;
        self.checks = self.checks.get(1..).unwrap_or_default();
        // Most replacements are steered nowhere, and are made where nothing steers.
        let request = &self.request;
        let is_needless = match self.checks.first() {
            Some(Check::Steering) => request.steering.is_none(),
            Some(Check::Probe) => request.probe.is_none(),
            _ => false,
        };
        if is_needless {
            self.checks = self.checks.get(1..).unwrap_or_default();
        }
        Ok(false)
    }

    /// Law 3, as the API server sees the tier now.
    fn tier_holds(&self, pods: Vec<WatchedPod>, now: Timestamp) -> Result<(), ActionError> {
        let request = &self.request;
        let mut interner = Interner::default();
        let pods: Vec<Pod> = pods.into_iter().map(|pod| Pod::new(pod, &mut interner)).collect();
        let stale = |why: String| Err(ActionError::Stale(format!("a fresh read of pods: {why}")));
        let own = |pod: &&Pod| pod.name == request.pod && pod.uid == *request.uid;
        let Some(pod) = pods.iter().find(own) else {
            return stale(format!("{} is gone", request.pod));
        };
        let is_retired = request.verb == Verb::Retire;
        if is_retired && (pod.terminating || !pod.is_released()) {
            return stale(format!("{} is no longer released", pod.name));
        }
        if request.verb == Verb::Remake {
            // Once it has a node it needs nothing more.
            let waits = pod.node.is_none() && !pod.terminating;
            return if waits { Ok(()) } else { stale(format!("{} waits no more", pod.name)) };
        }
        let stands = !pod.terminating && pod.ready_since.is_some();
        if !is_retired && (!stands || pod.node.as_ref() != Some(&request.node)) {
            return stale(format!("{} is no longer Ready on {}", pod.name, request.node));
        }
        if let Some(mark) = pod.keep {
            return stale(format!("{} is marked {}", pod.name, mark.annotation()));
        }
        if request.preconditions.tier_selector.is_some() {
            let of_owner = |other: &&Pod| other.owner.is_some() && other.owner == pod.owner;
            let is_new = |other: &&Pod| !request.preconditions.snapshot.has(&other.uid);
            let mut new = pods.iter().filter(of_owner).filter(is_new);
            if !is_retired
                && request.verb != Verb::Vacate
                && let Some(new) =
                    new.nth(usize::try_from(request.preconditions.awaited).unwrap_or(usize::MAX))
            {
                return stale(format!("{} is new", new.name));
            }
            let min_ready = request.preconditions.min_ready_seconds;
            // A surge never ends below what was there: its own pod does not count any more.
            let counts = |pod: &&Pod| {
                let leaves = is_retired && pod.uid == *request.uid;
                !leaves && !request.preconditions.moving.contains(&pod.uid)
            };
            let others = pods.iter().filter(counts);
            let available = others.filter(|pod| pod.is_available(min_ready, now)).count();
            if available < request.preconditions.available {
                return stale(format!(
                    "tier {} has {} Available and needs {} to evict one",
                    request.tier,
                    counted(available, "pod"),
                    request.preconditions.available
                ));
            }
        }
        Ok(())
    }

    /// Whether the pod has the cost already. If not, and nobody else has given it one, only
    /// the pod as it was just read is changed.
    fn cost_stands(&mut self, pods: Vec<WatchedPod>) -> Result<bool, ActionError> {
        let stale = |why: &str| Err(ActionError::Stale(format!("a fresh read of the pod: {why}")));
        let Some(patch) = &self.request.patch else { return stale("nothing is to be changed") };
        let read = pods.into_iter().find(|pod| pod.metadata.name.as_deref() == Some(&*patch.pod));
        let Some(read) = read else { return Err(ActionError::Gone) };
        let resource_version = read.metadata.resource_version.clone();
        let pod = Pod::new(read, &mut Interner::default());
        if pod.uid != patch.uid || pod.terminating {
            return Err(ActionError::Gone);
        }
        if pod.cost_writer == CostWriter::Other || pod.is_in_a_surge() {
            return stale("its deletion cost is somebody else's");
        }
        let is_cost = |(key, _): &&(&str, _)| *key == DELETION_COST;
        let wanted = patch.annotations.iter().find(is_cost).and_then(|(_, cost)| cost.clone());
        let has = (pod.cost_writer == CostWriter::Operator).then(|| pod.deletion_cost.to_string());
        if has == wanted {
            return Ok(true);
        }
        let patch = PodPatch { resource_version, ..PodPatch::clone(patch) };
        Arc::make_mut(&mut self.request).patch = Some(Arc::new(patch));
        Ok(false)
    }

    /// Laws 1 and 2, as the API server sees the nodes now.
    fn zones_hold(&self, nodes: &[Node]) -> Result<(), ActionError> {
        let request = &self.request;
        let stale = |why: String| Err(ActionError::Stale(format!("a fresh read of nodes: {why}")));
        let eligible = &request.preconditions.eligible;
        // Where the replacement is already, no room is needed any more.
        if request.verb == Verb::Vacate {
            let own = nodes.iter().find(|node| node.name == request.node);
            if !own.is_some_and(Node::has_drill_taint) {
                return stale(format!("{} is not closed by a drill", request.node));
            }
        } else if request.verb != Verb::Retire {
            let Some(target) = nodes.iter().find(|node| node.name == request.target) else {
                return stale(format!("{} is gone", request.target));
            };
            if let Some(fault) = eligible.fault(target) {
                return stale(format!("{} is not usable ({fault})", target.name));
            }
            if target.zone.as_ref().is_none_or(|zone| zone.as_str() != &*request.zone) {
                return stale(format!("{} is no longer in zone {}", target.name, request.zone));
            }
        }
        if !request.preconditions.all_nodes {
            return Ok(());
        }
        let mut counts: BTreeMap<&Zone, ConditionCount> = BTreeMap::new();
        for node in nodes.iter().filter(|node| eligible.has(&node.name)) {
            let Some(zone) = &node.zone else { continue };
            let fault = eligible.fault(node);
            // Its own zone is closed on purpose; its other faults still count.
            let is_own = request.verb == Verb::Vacate && node.has_drill_taint();
            let fault = if is_own { NodeFault::of(node) } else { fault };
            counts.entry(zone).or_default().add(1, fault.as_ref());
        }
        let conditions: BTreeMap<&Zone, ZoneCondition> =
            counts.into_iter().map(|(zone, count)| (zone, count.condition())).collect();
        for zone in &request.preconditions.zones {
            let condition = conditions.get(zone).cloned().unwrap_or_default();
            if is_impaired(&condition) {
                let (usable, nodes) = (condition.usable, condition.nodes);
                return stale(format!("zone {zone} has {usable} of {nodes} nodes usable"));
            }
        }
        let seen = conditions.values().map(|condition| (condition.nodes, condition.usable));
        if let Some(unstable) = unstable_nodes(seen) {
            return stale(unstable);
        }
        Ok(())
    }
}

/// What is checked before it. Where not all nodes are read, and the replacement is there
/// already or will never be, there is no node to be looked at.
const fn checks_of(request: &ActionRequest) -> &'static [Check] {
    match request.verb {
        Verb::Retire if !request.preconditions.all_nodes => &[Check::Pods, Check::DryRun],
        verb => verb.checks(),
    }
}

#[cfg(test)]
#[path = "action_tests.rs"]
mod tests;
