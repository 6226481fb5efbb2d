//! Carries effects out without IO: says what to ask of the API server, many things at
//! once, and what its answers amount to.
//!
//! Statuses and evictions have lanes of their own: neither waits for a place of the other.
//! What waits for a place is in [`Pending`].

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::moves::{ActionError, ActionRequest, Effect, Outcome, StatusWrite, Verb, WriteFailure};
use crate::observe::{Name, Pauses, PolicyKey};

use super::action::{Action, DECISION_HOLDS};
use super::pending::Pending;
use super::request::{Answer, Request};

/// How many requests may be under way at once.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    /// Statuses that are being written.
    pub writes: usize,
    /// Evictions under way, each with one request at a time.
    pub evictions: usize,
    /// Deletion costs that are being written.
    pub costs: usize,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { writes: 16, evictions: 64, costs: 4 }
    }
}

/// A number for a request that is under way.
pub type Ticket = u64;

/// A request to be sent; the answer goes to [`Executor::answered`].
#[derive(Clone, Debug)]
pub struct Asking {
    /// Its number.
    pub ticket: Ticket,
    /// The request.
    pub request: Request,
    /// The eviction that it is part of; none for a status.
    pub eviction: Option<Arc<ActionRequest>>,
}

/// What is to be done next, and what has been.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Requests to be sent, at once.
    pub asks: Vec<Asking>,
    /// What became of effects.
    pub outcomes: Vec<Outcome>,
}

/// Carries effects out.
#[derive(Clone, Debug)]
pub struct Executor {
    lanes: Lanes,
    pending: Pending,
    under_way: BTreeMap<Ticket, Task>,
    last_ticket: Ticket,
    /// When the API server last refused an eviction, by policy and tier: what
    /// was decided before that is not asked for.
    refused: BTreeMap<(PolicyKey, Name), Timestamp>,
    /// When the API server last asked for fewer requests, of whichever tier.
    throttled: Option<Timestamp>,
    /// A decision is older than a pause that came after it.
    pauses: Arc<Pauses>,
}

#[derive(Clone, Debug)]
enum Task {
    Writing(StatusWrite),
    Evicting(Box<Action>),
}

impl Executor {
    /// One that asks for as much at once.
    #[must_use]
    pub fn new(lanes: Lanes) -> Self {
        Self {
            lanes,
            pending: Pending::default(),
            under_way: BTreeMap::new(),
            last_ticket: 0,
            refused: BTreeMap::new(),
            throttled: None,
            pauses: Arc::default(),
        }
    }

    /// What is paused from now on, evictions under way included.
    pub fn heed(&mut self, pauses: &Arc<Pauses>) {
        self.pauses = Arc::clone(pauses);
    }

    /// Something more to do, in this order; [`Executor::begin`] begins with it.
    pub fn submit(&mut self, effects: impl IntoIterator<Item = Effect>) {
        effects.into_iter().for_each(|effect| self.pending.push(effect));
    }

    /// Forgets what is not begun: another leads, or has led meanwhile.
    pub fn clear(&mut self) {
        self.pending.clear();
    }

    /// Whether something waits to be begun.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.pending.waiting() > 0
    }

    /// Begins what there are places for; `may_act` says whether this process leads.
    /// While it does not, all waits.
    pub fn begin(&mut self, may_act: bool, now: Timestamp) -> Progress {
        let mut progress = Progress::default();
        self.go_on(may_act, now, &mut progress);
        progress
    }

    /// Goes on with the answer to a request, and with what found no place before.
    pub fn answered(
        &mut self,
        ticket: Ticket,
        answer: Answer,
        may_act: bool,
        now: Timestamp,
    ) -> Progress {
        let mut progress = Progress::default();
        match self.under_way.remove(&ticket) {
            Some(Task::Writing(write)) => self.wrote(write, &answer, &mut progress),
            Some(Task::Evicting(action)) => {
                self.went_on(*action, answer, may_act, now, &mut progress);
            }
            None => {}
        }
        self.go_on(may_act, now, &mut progress);
        progress
    }

    fn go_on(&mut self, may_act: bool, now: Timestamp, progress: &mut Progress) {
        // Requests that waited too long are given back, so that they can be decided again.
        for (request, refusal) in
            self.pending.give_up(|request| Action::decision_holds(request, now))
        {
            progress.outcomes.push(refused(&request, refusal));
        }
        if !may_act {
            return;
        }
        while self.pending.writing() < self.lanes.writes
            && let Some(write) = self.pending.next_write()
        {
            let request = Request::WriteStatus(write.clone());
            self.ask(request, None, Task::Writing(write), progress);
        }
        while let Some(request) = self.pending.next_eviction(self.lanes.evictions) {
            match self.action(&request, now) {
                Ok(action) => self.ask_for(action, progress),
                Err(refusal) => self.end(&request, refusal, progress),
            }
        }
        while let Some(request) = self.pending.next_cost(self.lanes.costs) {
            match self.action(&request, now) {
                Ok(action) => self.ask_for(action, progress),
                Err(refusal) => self.end(&request, refusal, progress),
            }
        }
    }

    fn action(&self, request: &ActionRequest, now: Timestamp) -> Result<Action, ActionError> {
        self.still_wanted(request, now)?;
        Action::begin(request.clone(), now)
    }

    /// Whether nothing came in between since it was decided.
    fn still_wanted(&self, request: &ActionRequest, now: Timestamp) -> Result<(), ActionError> {
        // Whatever the wall clock does, an answer is news no longer than a decision holds.
        let since = |at: &Timestamp| {
            let later = at.duration_since(request.decided);
            !later.is_negative() && later <= DECISION_HOLDS
        };
        if self.throttled.as_ref().is_some_and(since) {
            return Err(outdated("the API server has asked for fewer requests since"));
        }
        // A pod is given back whatever is held: nothing leaves by that.
        let leaves = request.verb.begins() || request.verb.evicts();
        let held = || self.pauses.held(&request.preconditions.zones, now);
        if let Some(zone) = leaves.then(held).flatten() {
            return Err(outdated(&format!("zone {zone} has been held by hand since")));
        }
        // What was begun is followed to its end; a drill is not, and a deletion cost begins nothing.
        let may_wait = matches!(request.verb, Verb::Vacate | Verb::SetCost);
        if may_wait && self.pauses.of(&request.policy).is_some() {
            return Err(outdated("it has been paused since"));
        }
        if !request.verb.begins() {
            return Ok(());
        }
        let tier = (request.policy.clone(), Name::clone(&request.tier));
        if self.refused.get(&tier).is_some_and(since) {
            return Err(outdated("decided before the API server refused another"));
        }
        if self.pauses.of(&request.policy).is_some() {
            return Err(outdated("it has been paused since"));
        }
        Ok(())
    }

    fn wrote(&mut self, write: StatusWrite, answer: &Answer, progress: &mut Progress) {
        let StatusWrite { policy, uid, status, .. } = write.clone();
        let failure = match answer {
            Answer::Written => None,
            Answer::NotWritten(failure) => Some(failure.clone()),
            Answer::Failed(why) => Some(WriteFailure::Refused(why.clone())),
            other => Some(WriteFailure::Refused(format!("an answer out of turn: {other:?}"))),
        };
        let (outcome, given_back) = match failure {
            None => (Outcome::Written { policy, uid, status }, self.pending.stored(&write)),
            Some(failure) => (
                Outcome::NotWritten { policy, uid, status, failure },
                self.pending.not_stored(write),
            ),
        };
        progress.outcomes.push(outcome);
        let why = || outdated("the status could not be written before it");
        progress.outcomes.extend(given_back.iter().map(|request| refused(request, why())));
    }

    fn went_on(
        &mut self,
        mut action: Action,
        answer: Answer,
        may_act: bool,
        now: Timestamp,
        progress: &mut Progress,
    ) {
        let refusal = match action.answered(answer, now) {
            Ok(true) => {
                let request = action.request();
                self.pending.ended(request);
                let (policy, uid) = (request.policy.clone(), Name::clone(&request.uid));
                progress.outcomes.push(Outcome::Acted { verb: request.verb, policy, uid });
                return;
            }
            Ok(false) if !may_act => outdated("this replica no longer leads"),
            Ok(false) => match self.still_wanted(action.request(), now) {
                Ok(()) => return self.ask_for(action, progress),
                Err(refusal) => refusal,
            },
            Err(refusal) => {
                self.note(action.request(), &refusal, now);
                refusal
            }
        };
        self.end(action.request(), refusal, progress);
    }

    fn end(&mut self, request: &ActionRequest, refusal: ActionError, progress: &mut Progress) {
        self.pending.ended(request);
        progress.outcomes.push(refused(request, refusal));
    }

    fn note(&mut self, request: &ActionRequest, refusal: &ActionError, now: Timestamp) {
        // An answer is news for a minute; what was decided is carried out within seconds.
        let old = now - SignedDuration::from_mins(1);
        self.refused.retain(|_, at| *at > old);
        if let ActionError::Throttled { .. } = refusal {
            self.throttled = Some(now);
        }
        let is_news = !matches!(refusal, ActionError::Outdated(_) | ActionError::Gone);
        if is_news && request.verb.begins() {
            let tier = (request.policy.clone(), Name::clone(&request.tier));
            self.refused.insert(tier, now);
        }
    }

    fn ask_for(&mut self, action: Action, progress: &mut Progress) {
        let eviction = Some(Arc::clone(action.request()));
        self.ask(action.asks(), eviction, Task::Evicting(Box::new(action)), progress);
    }

    fn ask(
        &mut self,
        request: Request,
        eviction: Option<Arc<ActionRequest>>,
        task: Task,
        progress: &mut Progress,
    ) {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.under_way.insert(ticket, task);
        progress.asks.push(Asking { ticket, request, eviction });
    }
}

fn outdated(why: &str) -> ActionError {
    ActionError::Outdated(why.to_owned())
}

fn refused(request: &ActionRequest, refusal: ActionError) -> Outcome {
    let (policy, uid) = (request.policy.clone(), Name::clone(&request.uid));
    Outcome::Refused { verb: request.verb, policy, uid, refusal }
}
