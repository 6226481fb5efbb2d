//! Windows, pauses and approvals as people gave them; and whether they were heeded.

use crate::laws::Laws;
use crate::script::{Millis, SECOND, Script, Window};
use zonespread::api::{MoveKind, Plan};
use zonespread::moves::{ActionRequest, Verb};

/// What is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    Policy(usize),
    Namespace,
}

/// What was agreed to, by policy.
pub struct Consents {
    policies: Vec<Consent>,
    namespace_paused: Option<Millis>,
}

#[derive(Default)]
struct Consent {
    window: Option<Window>,
    approves: bool,
    paused: Option<Millis>,
    approvals: Vec<Approval>,
}

struct Approval {
    /// The pods' uids, how each may be moved, and the zones that it may go to.
    moves: Vec<(String, MoveKind, Vec<String>)>,
    ended: Option<Millis>,
}

impl Consents {
    pub fn new(script: &Script) -> Self {
        let consent = |policy: &crate::script::PolicyScript| Consent {
            window: policy.window,
            approves: policy.approve,
            ..Consent::default()
        };
        Self { policies: script.policies.iter().map(consent).collect(), namespace_paused: None }
    }

    pub fn paused(&mut self, pause: Pause, since: Option<Millis>) {
        match pause {
            Pause::Policy(number) => self.policies[number].paused = since,
            Pause::Namespace => self.namespace_paused = since,
        }
    }

    pub fn approved(&mut self, policy: usize, plan: &Plan, now: Millis) {
        self.end_approvals(policy, now);
        let zones = |to: &String, others: &[String]| {
            std::iter::once(to).chain(others).cloned().collect::<Vec<_>>()
        };
        let moves = plan.moves.iter();
        let moves = moves.map(|planned| {
            (planned.uid.clone(), planned.kind, zones(&planned.to, &planned.alternatives))
        });
        let approval = Approval { moves: moves.collect(), ended: None };
        self.policies[policy].approvals.push(approval);
    }

    fn end_approvals(&mut self, policy: usize, now: Millis) {
        for approval in &mut self.policies[policy].approvals {
            approval.ended.get_or_insert(now);
        }
    }

    /// The policy is made anew, without annotations.
    pub fn forget(&mut self, policy: usize, now: Millis) {
        self.end_approvals(policy, now);
        self.policies[policy].paused = None;
    }

    /// What an eviction goes against, if so. News older than `heard` are known to whoever
    /// made it, who looked at the clock after `looked`.
    fn offence(
        &self,
        policy: usize,
        request: &ActionRequest,
        heard: Option<Millis>,
        looked: Millis,
        now: Millis,
    ) -> Option<&'static str> {
        let known = |at: Millis| heard.is_some_and(|heard| at < heard);
        let consent = &self.policies[policy];
        if consent.paused.is_some_and(known) {
            return Some("its policy is paused");
        }
        if self.namespace_paused.is_some_and(known) {
            return Some("its namespace is paused");
        }
        // Clocks are up to 1.2 s fast.
        if consent.window.is_some_and(|window| !window.opens_between(looked, now + 1_300)) {
            return Some("no window is open");
        }
        let allows = |approval: &Approval| {
            !approval.ended.is_some_and(known)
                && approval.moves.iter().any(|(uid, kind, zones)| {
                    let is_it = **uid == *request.uid && first_verb(*kind) == request.verb;
                    is_it && zones.iter().any(|zone| **zone == *request.zone)
                })
        };
        let is_approved = !consent.approves || consent.approvals.iter().any(allows);
        (!is_approved).then_some("it is in no approved plan")
    }
}

/// With what a move of this kind begins.
const fn first_verb(kind: MoveKind) -> Verb {
    match kind {
        MoveKind::Evict => Verb::Evict,
        MoveKind::Surge => Verb::Release,
    }
}

impl Laws {
    /// Law 6: pods move only when people want that.
    pub fn judge_consent(
        &mut self,
        request: &ActionRequest,
        policy: usize,
        (heard, looked): (Option<Millis>, Millis),
        now: Millis,
    ) {
        if let Some(offence) = self.consents.offence(policy, request, heard, looked, now) {
            self.breaks(6, now, format!("{} is evicted, but {offence}", request.pod));
        }
    }
}

impl Window {
    /// Whether it is open at some time between these.
    fn opens_between(self, from: Millis, to: Millis) -> bool {
        let minute = 60 * SECOND;
        let every = self.every * minute;
        let since_opened = to % every;
        since_opened < self.lasts * minute
            || since_opened.saturating_sub(self.lasts * minute) < to - from
    }
}
