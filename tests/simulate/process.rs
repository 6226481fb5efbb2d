//! One operator: what `controller/` wires together, in the same order, without IO.

use crate::mutants::Mutant;
use crate::objects::time;
use crate::script::{Millis, SECOND};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use zonespread::act::{
    ACTS_FOR, Answer, Asking, Election, LeaseAnswer, LeaseRequest, Moment, Next, Performance,
    REQUEST_TIMEOUT, RETRY_PERIOD, Request, Turn,
};
use zonespread::api::ZoneSpreadPolicyStatus;
use zonespread::observe::{
    Change, Feed, Freshness, HealthRules, Kind, PolicyKey, WatchedNode, WatchedPod,
};
use zonespread::operator::{Effect, Operator, Outcome};

/// As in `controller/`: events that arrive together are answered together.
const DECIDE_EVERY: Millis = 100;
const LOOK_EVERY: Millis = 10 * SECOND;

/// What an operator asks its world for.
#[derive(Clone, Debug)]
pub enum Call {
    /// A request of the performance.
    Act(Box<Request>),
    Lease(LeaseRequest),
    ReadPolicies,
}

/// What came back.
#[derive(Clone, Debug)]
pub enum Reply {
    Act(Answer),
    /// None: no answer in time, or an error.
    Lease(Option<LeaseAnswer>),
    Policies(Option<Vec<(PolicyKey, ZoneSpreadPolicyStatus)>>),
}

/// A number for what is on its way, so that a late answer to a request that was given up
/// is not taken for that to another.
pub type Ticket = u64;

pub struct Process {
    /// Counts restarts: what was sent before one is not answered after it.
    pub incarnation: u32,
    pub frozen_until: Option<Millis>,
    speed: u64,
    pub operator: Operator,
    freshness: Freshness,
    election: Option<Election>,
    acts_until: Option<Instant>,
    /// What the election last told the main loop.
    told: bool,
    lead_changed: bool,
    /// Reading what the leader before us wrote.
    reading: Option<Ticket>,
    read_at: Millis,
    performance: Performance,
    effects: VecDeque<Effect>,
    asking: Option<(Ticket, Box<Asking>)>,
    round: Option<(Ticket, LeaseRequest, Instant)>,
    pub next_round: Millis,
    pub decide_at: Millis,
    tickets: Ticket,
    pub mutant: Option<Mutant>,
    /// What the watches showed, for a mutant that looks no further.
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    pods: BTreeMap<String, WatchedPod>,
    nodes: BTreeMap<String, WatchedNode>,
}

impl Seen {
    fn note(&mut self, feed: &Feed) {
        let Feed::Change(_, change) = feed else { return };
        match &**change {
            Change::Pod(pod) => drop(self.pods.insert(pod.name_any(), pod.clone())),
            Change::Node(node) => drop(self.nodes.insert(node.name_any(), node.clone())),
            Change::Gone(Kind::Pod, _, name) => drop(self.pods.remove(&**name)),
            Change::Gone(Kind::Node, _, name) => drop(self.nodes.remove(&**name)),
            _ => {}
        }
    }

    fn answer(&self, request: &Request) -> Option<Answer> {
        match request {
            Request::Pods { selector, .. } => {
                let of_tier = |pod: &&WatchedPod| {
                    let app = pod.labels().get("app");
                    app.is_some_and(|app| selector.ends_with(&format!("app={app}")))
                };
                Some(Answer::Pods(self.pods.values().filter(of_tier).cloned().collect()))
            }
            Request::Nodes => Some(Answer::Nodes(self.nodes.values().cloned().collect())),
            _ => None,
        }
    }
}

/// Calls to be sent, each with its ticket.
pub type Calls = Vec<(Ticket, Call)>;

impl Process {
    pub fn new(
        number: usize,
        incarnation: u32,
        speed: u64,
        elects: bool,
        mutant: Option<Mutant>,
        now: Millis,
    ) -> Self {
        let identity = format!("operator{number}-{incarnation}");
        Self {
            incarnation,
            frozen_until: None,
            speed,
            operator: Operator::new(HealthRules::default()),
            freshness: Freshness::default(),
            election: elects.then(|| Election::new(identity)),
            acts_until: None,
            told: !elects,
            lead_changed: true,
            reading: None,
            read_at: Millis::MAX,
            performance: Performance::new(HealthRules::default()),
            effects: VecDeque::new(),
            asking: None,
            round: None,
            next_round: if elects { now } else { Millis::MAX },
            decide_at: now,
            tickets: 0,
            mutant,
            seen: Seen::default(),
        }
    }

    /// Our wall clock, which is kept near the true time, and is up to 0.6 s off.
    fn wall(&self, now: Millis) -> Timestamp {
        time(now + self.speed * 20 - 19_400)
    }

    /// Our monotonic clock, which goes its own pace.
    fn moment(&self, now: Millis) -> Moment {
        static BASE: OnceLock<Instant> = OnceLock::new();
        let base = *BASE.get_or_init(Instant::now);
        let monotonic = base + Duration::from_millis(now * self.speed / 1_000);
        Moment { monotonic, wall: self.wall(now) }
    }

    /// When our clock will have gone this far.
    fn after(&self, now: Millis, local: Millis) -> Millis {
        now + (local * 1_000).div_ceil(self.speed)
    }

    pub fn may_act(&self, now: Millis) -> bool {
        self.election.is_none()
            || self.mutant == Some(Mutant::IgnoresTheLease)
            || self.acts_until.is_some_and(|until| self.moment(now).monotonic < until)
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    /// A watch says something.
    pub fn feed(&mut self, feed: Feed, now: Millis) {
        let feed = match self.mutant {
            Some(mutant) => mutant.feed(feed),
            None => feed,
        };
        if self.mutant == Some(Mutant::TrustsStaleViews) {
            self.seen.note(&feed);
        }
        let wall = self.wall(now);
        for change in self.freshness.note(feed, self.operator.index(), wall) {
            self.operator.apply(change);
        }
        self.decide_at = self.decide_at.min(now + DECIDE_EVERY);
    }

    /// When something is to be done by time alone.
    pub fn next(&self) -> Millis {
        self.decide_at.min(self.read_at).min(self.next_round)
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Millis, calls: &mut Calls) {
        if self.next_round <= now {
            self.begin_round(now, calls);
        }
        if self.decide_at <= now {
            self.look(now, calls);
        }
        if self.read_at <= now {
            self.read_at = Millis::MAX;
            let ticket = self.ticket();
            self.reading = Some(ticket);
            calls.push((ticket, Call::ReadPolicies));
        }
    }

    fn look(&mut self, now: Millis, calls: &mut Calls) {
        self.decide_at = now + LOOK_EVERY;
        if !self.freshness.is_synced() {
            return;
        }
        if std::mem::take(&mut self.lead_changed) {
            self.operator.follow();
            self.reading = None;
            self.read_at = if self.leads() { now } else { Millis::MAX };
        }
        self.decide(now, calls);
    }

    fn leads(&self) -> bool {
        self.told || self.mutant == Some(Mutant::IgnoresTheLease)
    }

    fn decide(&mut self, now: Millis, calls: &mut Calls) {
        let wall = self.wall(now);
        let stale = self.freshness.stale(wall);
        let stale = stale.filter(|_| self.mutant != Some(Mutant::TrustsStaleViews));
        let decision = self.operator.decide(wall, stale);
        self.effects.extend(decision.effects);
        let next = decision.next.into_iter().chain(self.freshness.next_change(wall)).min();
        if let Some(next) = next {
            let wait = u64::try_from(next.duration_since(wall).as_millis()).unwrap_or(0);
            let wait = wait.max(DECIDE_EVERY);
            self.decide_at = self.decide_at.min(self.after(now, wait));
        }
        if self.asking.is_none() {
            self.perform(now, calls);
        }
    }

    /// Begins with the next effect that needs a request.
    fn perform(&mut self, now: Millis, calls: &mut Calls) {
        while let Some(effect) = self.effects.pop_front() {
            self.performance.heed(self.operator.index().pauses());
            let next = self.performance.begin(effect, self.may_act(now), self.wall(now));
            if self.follow(next, now, calls) {
                return;
            }
        }
    }

    /// True if it goes on with a request.
    fn follow(&mut self, next: Next, now: Millis, calls: &mut Calls) -> bool {
        match next {
            Next::Ask(asking)
                if self.mutant == Some(Mutant::TrustsStaleViews)
                    && self.seen.answer(&asking.request).is_some() =>
            {
                let answer = self.seen.answer(&asking.request).expect("just seen");
                let (may_act, wall) = (self.may_act(now), self.wall(now));
                let next = self.performance.answered(*asking, answer, may_act, wall);
                self.follow(next, now, calls)
            }
            Next::Ask(asking) => {
                let ticket = self.ticket();
                calls.push((ticket, Call::Act(Box::new(asking.request.clone()))));
                self.asking = Some((ticket, asking));
                true
            }
            Next::Done(outcome) => {
                self.outcome(outcome, now);
                false
            }
        }
    }

    fn outcome(&mut self, outcome: Outcome, now: Millis) {
        self.operator.outcome(outcome, self.wall(now));
        self.decide_at = self.decide_at.min(now);
    }

    /// An answer, or that there will be none.
    pub fn answered(&mut self, ticket: Ticket, reply: Reply, now: Millis, calls: &mut Calls) {
        match reply {
            Reply::Act(answer) => {
                let Some((_, asking)) = self.asking.take_if(|(known, _)| *known == ticket) else {
                    return;
                };
                self.performance.heed(self.operator.index().pauses());
                let (may_act, wall) = (self.may_act(now), self.wall(now));
                let next = self.performance.answered(*asking, answer, may_act, wall);
                if !self.follow(next, now, calls) {
                    self.perform(now, calls);
                }
            }
            Reply::Lease(answer) => self.lease_answered(ticket, answer, now, calls),
            Reply::Policies(_) if self.reading != Some(ticket) => {}
            Reply::Policies(None) => {
                self.reading = None;
                self.read_at = now + SECOND;
            }
            Reply::Policies(Some(mut statuses)) => {
                self.reading = None;
                if let Some(mutant) = self.mutant {
                    for (_, status) in &mut statuses {
                        mutant.restored(status);
                    }
                }
                let statuses = statuses.iter().map(|(key, status)| (key.clone(), status));
                self.operator.lead(statuses, self.wall(now));
                self.decide(now, calls);
            }
        }
    }

    fn begin_round(&mut self, now: Millis, calls: &mut Calls) {
        self.next_round = Millis::MAX;
        let moment = self.moment(now);
        let Some(election) = &self.election else { return };
        let request = election.begin(moment);
        let ticket = self.ticket();
        calls.push((ticket, Call::Lease(request.clone())));
        self.round = Some((ticket, request, moment.monotonic));
    }

    fn lease_answered(
        &mut self,
        ticket: Ticket,
        answer: Option<LeaseAnswer>,
        now: Millis,
        calls: &mut Calls,
    ) {
        let moment = self.moment(now);
        let Some((_, asked, began)) = self.round.take_if(|(known, ..)| *known == ticket) else {
            return;
        };
        let Some(election) = &mut self.election else { return };
        // The whole round has one time limit.
        let in_time = moment.monotonic.duration_since(began) < REQUEST_TIMEOUT;
        match answer.filter(|_| in_time).map(|answer| election.answered(&asked, answer, moment)) {
            Some(Turn::Ask(request)) => {
                let ticket = self.ticket();
                calls.push((ticket, Call::Lease(request.clone())));
                self.round = Some((ticket, request, began));
                return;
            }
            Some(Turn::Over(true)) => self.acts_until = Some(began + ACTS_FOR),
            Some(Turn::Over(false)) => self.acts_until = None,
            None => {}
        }
        let leads = self.acts_until.is_some_and(|until| moment.monotonic < until);
        if leads != self.told {
            self.told = leads;
            self.lead_changed = true;
            self.decide_at = self.decide_at.min(now);
        }
        let period = u64::try_from(RETRY_PERIOD.as_millis()).unwrap();
        self.next_round = self.after(now, period);
    }
}
