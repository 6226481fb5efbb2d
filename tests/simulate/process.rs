//! One operator: what `controller/` wires together, without IO.

use crate::mutants::Mutant;
use crate::objects::time;
use crate::probes::OPERATORS;
use crate::script::Millis;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use zonespread::act::{
    Answer, Election, Executor, Lanes, LeaseAnswer, LeaseRequest, Progress, REQUEST_TIMEOUT,
    RETRY_PERIOD, Request, Turn,
};
use zonespread::api::{ZoneSpreadPolicyStatus, ZoneStatus};
use zonespread::moves::ActionRequest;
use zonespread::observe::{
    Change, ClockReading, Kind, Name, PolicyKey, WatchEvent, WatchedNode, WatchedPod,
};
use zonespread::operator::{MainLoop, Operator, ProbeAnswer, ProbeAsk, ZoneWrite};
use zonespread::plan::{OpeningRight, ScaleInRight, SteeringRight, SurgeRight};

/// When the monotonic clocks began.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What an operator asks its world for.
#[derive(Clone, Debug)]
pub enum Call {
    /// A request of the executor, and the eviction that it is part of.
    Act(Box<Request>, Option<Arc<ActionRequest>>),
    Lease(LeaseRequest),
    ReadPolicies,
    WriteZone(Box<ZoneWrite>),
    Probe(Box<ProbeAsk>),
}

/// What came back.
#[derive(Clone, Debug)]
pub enum Reply {
    Act(Answer),
    /// None: no answer in time, or an error.
    Lease(Option<LeaseAnswer>),
    Policies(Option<Written>),
    /// Whether a Zone was written.
    Zone(bool),
    Probe(ProbeAnswer),
}

/// What the leader before wrote, into policies and Zones.
pub type Written = (Vec<(PolicyKey, ZoneSpreadPolicyStatus)>, Vec<(Name, Arc<ZoneStatus>)>);

/// A number for what is on its way, so that a late answer to a request that was given up
/// is not taken for that to another.
pub type Ticket = u64;

pub struct Process {
    /// Counts restarts: what was sent before one is not answered after it.
    pub incarnation: u32,
    pub frozen_until: Option<Millis>,
    speed: u64,
    /// How long the machine was suspended: its monotonic clock stood still.
    stood: Millis,
    main_loop: MainLoop,
    election: Option<Election>,
    /// What the election last told the main loop.
    told: bool,
    /// Reading what the leader before us wrote.
    reading: Option<Ticket>,
    executor: Executor,
    /// What the executor calls them, for its requests under way.
    acting: BTreeMap<Ticket, zonespread::act::Ticket>,
    zones: VecDeque<ZoneWrite>,
    writing_zone: Option<(Ticket, Box<ZoneWrite>)>,
    probes: VecDeque<ProbeAsk>,
    keeping_probe: Option<(Ticket, Box<ProbeAsk>)>,
    round: Option<(Ticket, LeaseRequest, Instant)>,
    next_round: Millis,
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
    fn note(&mut self, event: &WatchEvent) {
        let WatchEvent::Change(_, change) = event else { return };
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
            Request::Nodes => Some(Answer::nodes(self.nodes.values().cloned())),
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
        (elects, steers, opens): (bool, bool, Option<Millis>),
        lanes: Lanes,
        mutant: Option<Mutant>,
        now: Millis,
    ) -> Self {
        let identity = format!("operator{number}-{incarnation}");
        let leads = !elects || mutant == Some(Mutant::IgnoresTheLease);
        let mut operator = Operator::default().with_namespace(OPERATORS);
        if mutant == Some(Mutant::TurnsLandings) {
            operator = operator.turning_landings();
        }
        if mutant == Some(Mutant::RushesSteering) {
            operator = operator.rushing_steering();
        }
        if mutant == Some(Mutant::InvertsCosts) {
            operator = operator.inverting_costs();
        }
        if steers {
            operator.set_steering_right(SteeringRight::Proven);
        }
        if let Some(timeout) = opens {
            operator = operator.with_probe_timeout(Duration::from_millis(timeout));
        }
        let mut main_loop = MainLoop::new(operator, leads, monotonic(now, speed));
        if opens.is_some() {
            main_loop.opening_right(OpeningRight::Proven, monotonic(now, speed));
        }
        Self {
            incarnation,
            frozen_until: None,
            speed,
            stood: 0,
            main_loop,
            election: elects.then(|| Election::new(identity)),
            told: leads,
            reading: None,
            executor: Executor::new(lanes),
            acting: BTreeMap::new(),
            zones: VecDeque::new(),
            writing_zone: None,
            probes: VecDeque::new(),
            keeping_probe: None,
            round: None,
            next_round: if elects { now } else { Millis::MAX },
            tickets: 0,
            mutant,
            seen: Seen::default(),
        }
    }

    /// Our wall clock, which is kept near the true time.
    fn wall(&self, now: Millis) -> Timestamp {
        time(now + fast_by(self.speed))
    }

    fn moment(&self, now: Millis) -> ClockReading {
        let ran = now.saturating_sub(self.stood);
        ClockReading { monotonic: monotonic(ran, self.speed), wall: self.wall(now) }
    }

    /// When our monotonic clock will have gone this far.
    fn when(&self, instant: Instant) -> Millis {
        let local = instant.duration_since(*BEGAN).as_micros().div_ceil(1_000);
        u64::try_from(local * 1_000).unwrap().div_ceil(self.speed) + self.stood
    }

    pub fn may_act(&self, now: Millis) -> bool {
        let Some(election) = &self.election else { return true };
        let mut moment = self.moment(now);
        match self.mutant {
            Some(Mutant::IgnoresTheLease) => return true,
            Some(Mutant::MissesSuspensions) => moment.wall = Timestamp::MIN,
            _ => {}
        }
        election.granted().is_some_and(|granted| granted.holds(moment))
    }

    /// It does nothing for a while; if its machine is suspended, its clock stands still.
    pub fn freeze(&mut self, now: Millis, lasts: Millis, suspended: bool) {
        self.frozen_until = Some(now + lasts);
        if suspended {
            self.stood += lasts;
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    /// A watch says something.
    pub fn event(&mut self, event: WatchEvent, now: Millis) {
        let event = match self.mutant {
            Some(mutant) => mutant.event(event),
            None => event,
        };
        if self.mutant == Some(Mutant::TrustsStaleViews) {
            self.seen.note(&event);
        }
        self.main_loop.watch_event(event, self.moment(now));
    }

    /// It has looked whether it may change pods.
    pub fn right(&mut self, right: SurgeRight, now: Millis) {
        self.main_loop.surge_right(right, self.moment(now).monotonic);
    }

    pub fn scale_in_right(&mut self, right: &SurgeRight, now: Millis) {
        let right = match right {
            SurgeRight::Proven => ScaleInRight::Proven,
            SurgeRight::Missing(why) => ScaleInRight::Missing(why.clone()),
        };
        self.main_loop.scale_in_right(right, self.moment(now).monotonic);
    }

    /// When something is to be done by time alone.
    pub fn next(&self) -> Millis {
        self.when(self.main_loop.next()).min(self.next_round)
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Millis, calls: &mut Calls) {
        if self.next_round <= now {
            self.begin_round(now, calls);
        }
        if self.mutant == Some(Mutant::TrustsStaleViews) {
            for kind in Kind::ALL {
                self.main_loop.watch_event(WatchEvent::Alive(kind), self.moment(now));
            }
        }
        let look = self.main_loop.tick(self.moment(now));
        if look.leads.is_some() {
            self.reading = None;
            self.executor.clear();
        }
        if look.read_policies {
            let ticket = self.ticket();
            self.reading = Some(ticket);
            calls.push((ticket, Call::ReadPolicies));
        }
        if let Some(decision) = look.decision {
            self.zones.extend(decision.zones);
            self.write_zones(now, calls);
            self.probes.extend(decision.probes);
            self.keep_probes(now, calls);
            self.executor.submit(decision.effects);
        }
        self.executor.heed(self.main_loop.operator().index().pauses());
        let progress = self.executor.begin(self.may_act(now), self.wall(now));
        self.go_on(progress, now, calls);
    }

    /// Zones are written beside everything else, one after the other.
    fn write_zones(&mut self, now: Millis, calls: &mut Calls) {
        while self.writing_zone.is_none()
            && let Some(write) = self.zones.pop_front()
        {
            if self.may_act(now) && write.is_of_late(self.wall(now)) {
                let ticket = self.ticket();
                let write = Box::new(write);
                calls.push((ticket, Call::WriteZone(write.clone())));
                self.writing_zone = Some((ticket, write));
            } else {
                self.main_loop.zone_written(&write, false, self.moment(now));
            }
        }
    }

    /// Probes are looked after beside everything else, one request at a time.
    fn keep_probes(&mut self, now: Millis, calls: &mut Calls) {
        while self.keeping_probe.is_none()
            && let Some(ask) = self.probes.pop_front()
        {
            let may_ask = self.may_act(now) && ask.is_of_late(self.wall(now));
            let made_up = self.mutant.and_then(|mutant| mutant.keeps(&ask));
            let refused = || ProbeAnswer::Failed("no longer".to_owned());
            if let Some(answer) = made_up.or_else(|| (!may_ask).then(refused)) {
                self.main_loop.probe_answered(&ask, &answer, self.moment(now));
                continue;
            }
            let ticket = self.ticket();
            let ask = Box::new(ask);
            calls.push((ticket, Call::Probe(ask.clone())));
            self.keeping_probe = Some((ticket, ask));
        }
    }

    /// Sends what the executor asks for, and tells the main loop what became of effects.
    fn go_on(&mut self, progress: Progress, now: Millis, calls: &mut Calls) {
        for outcome in progress.outcomes {
            self.main_loop.outcome(outcome, self.moment(now));
        }
        for asking in progress.asks {
            let mut request = asking.request;
            if let Some(answer) = self.made_up(&mut request) {
                self.acted(asking.ticket, answer, now, calls);
                continue;
            }
            let ticket = self.ticket();
            self.acting.insert(ticket, asking.ticket);
            calls.push((ticket, Call::Act(Box::new(request), asking.eviction)));
        }
    }

    fn acted(
        &mut self,
        ticket: zonespread::act::Ticket,
        answer: Answer,
        now: Millis,
        calls: &mut Calls,
    ) {
        self.executor.heed(self.main_loop.operator().index().pauses());
        let (may_act, wall) = (self.may_act(now), self.wall(now));
        let progress = self.executor.answered(ticket, answer, may_act, wall);
        self.go_on(progress, now, calls);
    }

    /// What a mutant believes without asking; it may ask for something else, too.
    fn made_up(&self, request: &mut Request) -> Option<Answer> {
        let mutant = self.mutant?;
        let seen = (mutant == Mutant::TrustsStaleViews).then(|| self.seen.answer(request));
        seen.flatten().or_else(|| mutant.asks(request))
    }

    /// An answer, or that there will be none.
    pub fn answered(&mut self, ticket: Ticket, reply: Reply, now: Millis, calls: &mut Calls) {
        match reply {
            Reply::Act(mut answer) => {
                if let Some(mutant) = self.mutant {
                    mutant.hears(&mut answer);
                }
                if let Some(ticket) = self.acting.remove(&ticket) {
                    self.acted(ticket, answer, now, calls);
                }
            }
            Reply::Lease(answer) => self.lease_answered(ticket, answer, now, calls),
            Reply::Policies(_) if self.reading != Some(ticket) => {}
            Reply::Zone(is_written) => {
                let taken = self.writing_zone.take_if(|(known, _)| *known == ticket);
                if let Some((_, write)) = taken {
                    self.main_loop.zone_written(&write, is_written, self.moment(now));
                }
                self.write_zones(now, calls);
            }
            Reply::Probe(answer) => {
                let taken = self.keeping_probe.take_if(|(known, _)| *known == ticket);
                if let Some((_, ask)) = taken {
                    self.main_loop.probe_answered(&ask, &answer, self.moment(now));
                }
                self.keep_probes(now, calls);
            }
            Reply::Policies(mut written) => {
                self.reading = None;
                if let (Some(mutant), Some((statuses, zones))) = (self.mutant, &mut written) {
                    for (_, status) in statuses.iter_mut() {
                        mutant.restored(status);
                    }
                    for (_, zone) in zones.iter_mut() {
                        mutant.restored_zone(Arc::make_mut(zone));
                    }
                }
                let (statuses, zones) = written.unzip();
                let statuses = statuses
                    .as_ref()
                    .map(|statuses| statuses.iter().map(|(key, status)| (key.clone(), status)));
                let now = self.moment(now);
                self.main_loop.policies_read(statuses, zones.unwrap_or_default(), now);
            }
        }
    }

    fn begin_round(&mut self, now: Millis, calls: &mut Calls) {
        self.next_round = Millis::MAX;
        let moment = self.moment(now);
        let Some(election) = &mut self.election else { return };
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
            Some(Turn::Over) | None => {}
        }
        let leads = self.may_act(now);
        if leads != self.told {
            self.told = leads;
            self.main_loop.elected(leads, moment.monotonic);
        }
        self.next_round = self.when(moment.monotonic + RETRY_PERIOD);
    }
}

/// How far the wall clock of an operator is ahead of the true time: up to 1.2 s.
pub const fn fast_by(speed: u64) -> Millis {
    speed * 20 - 19_400
}

/// A monotonic clock, which goes its own pace.
fn monotonic(now: Millis, speed: u64) -> Instant {
    *BEGAN + Duration::from_millis(now * speed / 1_000)
}
