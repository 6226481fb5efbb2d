//! A cluster in which time is a number: events are taken from an agenda, in order.
//!
//! The API server, the controllers and the kubelets are below; the operators are real.

use crate::cloud::Tier;
use crate::dice::Dice;
use crate::hearing::kinds;
use crate::laws::Laws;
use crate::mutants::Mutant;
use crate::objects::{self, NAMESPACE, Node, Pod};
use crate::probes::Probe;
use crate::process::{Call, Calls, Process, Reply, Ticket};
use crate::script::{Fault, Millis, Right, SECOND, Script, Trouble, Watch};
use crate::steering::Steering;
use k8s_openapi::api::coordination::v1::Lease;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use zonespread::act::Lanes;
use zonespread::api::{Plan, ZoneObject, ZoneSpreadPolicy, ZoneSpreadPolicyStatus};
use zonespread::observe::{Change, Index, Kind, Name, WatchEvent};
use zonespread::plan::SurgeRight;
use zonespread::predict::SchedulerCache;

pub struct World {
    pub script: Script,
    pub now: Millis,
    pub dice: Dice,
    agenda: BinaryHeap<Entry>,
    entries: u64,
    pub events: u64,
    pub nodes: Vec<Node>,
    pub pods: BTreeMap<String, Pod>,
    pub tiers: Vec<Tier>,
    pub broken: BTreeSet<usize>,
    pub treachery: bool,
    pub policies: Vec<Policy>,
    /// Zone objects, by their names.
    pub zones: BTreeMap<String, ZoneObject>,
    pub namespace_paused: bool,
    pub right: Right,
    /// How many steps of surges and of openings were made, and what that brought about.
    pub surge_steps: u32,
    pub probe_steps: u32,
    pub sprung: Vec<(Millis, Trouble)>,
    pub lease: Option<Lease>,
    pub versions: u64,
    pub fault: Option<(Fault, Millis)>,
    pub made: u32,
    pub processes: Vec<Option<Process>>,
    incarnations: Vec<u32>,
    pub streams: Vec<Streams>,
    pub mutant: Option<Mutant>,
    /// The cluster as it is, for the scheduler.
    pub truth: Index,
    pub scheduler_cache: SchedulerCache,
    /// Whether deploy/steering is there, and what it goes by, by policy.
    pub steers: bool,
    pub steering: BTreeMap<usize, Steering>,
    /// Probe pods, by name, and zones in which nodes are made for them.
    pub probes: BTreeMap<String, Probe>,
    pub provisioned: BTreeSet<usize>,
    pub laws: Laws,
    /// What happened, if somebody wants to know.
    pub story: Option<Vec<String>>,
}

/// A policy, or the place of one that was deleted.
#[derive(Clone, Debug)]
pub struct Policy {
    pub object: Option<ZoneSpreadPolicy>,
    pub made: u32,
    pub generation: i64,
    /// When the one before it was deleted, and its last status.
    pub before: Option<(Millis, ZoneSpreadPolicyStatus)>,
}

impl Policy {
    /// Law 7: whether the stored status tells of a move of this pod that is under way. Whoever
    /// evicts it may not know yet that the policy was made anew after `heard`.
    pub fn holds_move(&self, uid: &str, heard: Option<Millis>) -> bool {
        let holds = |status: &ZoneSpreadPolicyStatus| {
            status.moves.iter().any(|moved| moved.uid == uid && moved.state.is_under_way())
        };
        let stored = self.object.as_ref().and_then(|object| object.status.as_ref());
        let is_news = |at: Millis| heard.is_none_or(|heard| at >= heard);
        stored.is_some_and(holds)
            || self.before.as_ref().is_some_and(|(at, status)| is_news(*at) && holds(status))
    }
}

/// The watches of one operator.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    last: BTreeMap<Kind, Millis>,
    pub silent: BTreeMap<Kind, Millis>,
    pub failing: BTreeMap<Kind, Millis>,
    twice: Millis,
    tick: Millis,
}

#[derive(Clone, Debug)]
pub enum Event {
    Trouble(Trouble),
    Reconcile(usize),
    Place(String, String),
    Start(String, String),
    Gone(String, String),
    StartedUp(String),
    /// Pods of a zone that has been down since then are replaced.
    Displace(usize, Millis),
    Look(usize),
    Roll(usize),
    /// A plan that was read is approved.
    Approve(usize, u32, Plan),
    Revive(usize),
    /// An operator looks whether it may change pods, and is told.
    Prove(usize, u32),
    Told(usize, u32, SurgeRight),
    /// A released pod is looked at, or a probe pod.
    Overdue(String, String),
    LookAtProbe(String, String),
    Relist(usize, u32, Kind),
    Deliver(usize, u32, WatchEvent),
    Tick(usize, u32),
    Arrive(usize, u32, Ticket, Call),
    Reply(usize, u32, Ticket, Reply),
}

struct Entry {
    at: Millis,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first.
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl World {
    pub fn new(script: Script, mutant: Option<Mutant>, told: bool) -> Self {
        let laws = Laws::new(&script);
        let mut world = Self {
            now: 0,
            dice: Dice::new(script.seed ^ 0x5eed),
            agenda: BinaryHeap::new(),
            entries: 0,
            events: 0,
            nodes: Vec::new(),
            pods: BTreeMap::new(),
            tiers: script.tiers.iter().enumerate().map(|(at, tier)| Tier::new(at, tier)).collect(),
            broken: BTreeSet::new(),
            treachery: false,
            policies: Vec::new(),
            zones: BTreeMap::new(),
            namespace_paused: false,
            right: script.right,
            surge_steps: 0,
            probe_steps: 0,
            sprung: Vec::new(),
            lease: None,
            versions: 0,
            fault: None,
            made: 0,
            processes: script.operators.iter().map(|_| None).collect(),
            incarnations: vec![0; script.operators.len()],
            streams: vec![Streams::default(); script.operators.len()],
            mutant,
            truth: Index::default(),
            scheduler_cache: SchedulerCache::default(),
            laws,
            steers: script.steers,
            steering: BTreeMap::new(),
            probes: BTreeMap::new(),
            provisioned: BTreeSet::new(),
            story: told.then(Vec::new),
            script,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for zone in 0..=self.script.zones.len() {
            self.create_nodes(zone);
        }
        for number in 0..self.script.policies.len() {
            let object = objects::policy(number, &self.script.policies[number], 0, 1);
            self.policies.push(Policy {
                object: Some(object),
                made: 0,
                generation: 1,
                before: None,
            });
        }
        for tier in 0..self.tiers.len() {
            self.show_workload(tier);
            self.at(0, Event::Reconcile(tier));
        }
        for (at, trouble) in self.script.troubles.clone() {
            self.at(at, Event::Trouble(trouble));
        }
        for operator in 0..self.processes.len() {
            // After the first pods: an operator is not installed into an empty cluster.
            self.at(10 * SECOND + 500 * operator as u64, Event::Revive(operator));
        }
    }

    /// Runs to the end of the script, or to the first broken law.
    pub fn run(&mut self) {
        while let Some(entry) = self.agenda.pop() {
            if entry.at > self.script.end {
                break;
            }
            self.now = entry.at;
            self.events += 1;
            self.happen(entry.event);
            if self.laws.broken.is_some() {
                return;
            }
        }
        self.now = self.script.end;
        self.judge_end();
    }

    pub fn at(&mut self, at: Millis, event: Event) {
        self.entries += 1;
        self.agenda.push(Entry { at, number: self.entries, event });
    }

    /// After a delay between these, in milliseconds.
    pub fn soon(&mut self, least: usize, most: usize, event: Event) {
        let delay = self.dice.between(least, most) as u64;
        self.at(self.now + delay, event);
    }

    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>9.3}s {}", seconds(self.now), what()));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Trouble(trouble) => self.trouble(trouble),
            Event::Reconcile(tier) => self.reconcile(tier),
            Event::Place(name, uid) => self.place(&name, &uid),
            Event::Start(name, uid) => self.start(&name, &uid),
            Event::Gone(name, uid) => self.gone(&name, &uid),
            Event::StartedUp(name) => self.started_up(&name),
            Event::Displace(zone, since) => self.displace(zone, since),
            Event::Look(tier) => self.look_at_budget(tier),
            Event::Roll(tier) => self.roll(tier),
            Event::Approve(policy, made, plan) => self.approve(policy, made, &plan),
            Event::Revive(operator) => self.revive(operator),
            Event::Prove(operator, incarnation) => self.tell_right(operator, incarnation),
            Event::Overdue(name, uid) => self.overdue(&name, &uid),
            Event::LookAtProbe(name, uid) => self.look_at_probe(&name, &uid),
            Event::Relist(operator, incarnation, kind) => {
                if self.lives(operator, incarnation) {
                    self.streams[operator].failing.remove(&kind);
                    self.relist(operator, kind);
                }
            }
            Event::Arrive(operator, incarnation, ticket, call) => {
                let reply = self.serve(operator, incarnation, call);
                self.soon(1, 30, Event::Reply(operator, incarnation, ticket, reply));
            }
            Event::Deliver(operator, incarnation, _)
            | Event::Tick(operator, incarnation)
            | Event::Told(operator, incarnation, _)
            | Event::Reply(operator, incarnation, ..) => self.reach(operator, incarnation, event),
        }
    }

    pub fn lives(&self, operator: usize, incarnation: u32) -> bool {
        self.processes[operator].as_ref().is_some_and(|process| process.incarnation == incarnation)
    }

    /// Lets an operator do something, now or, if it is frozen, when it goes on.
    pub fn reach(&mut self, operator: usize, incarnation: u32, event: Event) {
        if !self.lives(operator, incarnation) {
            return;
        }
        let (now, is_tick) = (self.now, matches!(event, Event::Tick(..)));
        if is_tick && self.streams[operator].tick != now {
            // Of several that were asked for, the last counts.
            return;
        }
        let Some(process) = &mut self.processes[operator] else { return };
        if let Some(until) = process.frozen_until.filter(|until| *until > now) {
            if is_tick {
                self.streams[operator].tick = until;
            }
            self.at(until, event);
            return;
        }
        let mut calls = Calls::new();
        match event {
            Event::Deliver(_, _, event) => process.event(event, now),
            Event::Told(_, _, right) => {
                if self.script.guides {
                    process.scale_in_right(&right, now);
                }
                process.right(right, now);
            }
            Event::Reply(_, _, ticket, reply) => process.answered(ticket, reply, now, &mut calls),
            _ => {
                self.streams[operator].tick = Millis::MAX;
                process.tick(now, &mut calls);
            }
        }
        let next = process.next();
        for (ticket, call) in calls {
            self.send(operator, incarnation, ticket, call);
        }
        let next = next.max(now);
        if next < self.streams[operator].tick {
            self.streams[operator].tick = next;
            self.at(next, Event::Tick(operator, incarnation));
        }
    }

    /// A request goes out; what becomes of it depends on the troubles of the moment.
    fn send(&mut self, operator: usize, incarnation: u32, ticket: Ticket, call: Call) {
        let fault = self.fault.filter(|(_, until)| *until > self.now).map(|(fault, _)| fault);
        let fault = fault.filter(|_| self.dice.chance(70));
        let arrives = |call| Event::Arrive(operator, incarnation, ticket, call);
        let replies = |reply| Event::Reply(operator, incarnation, ticket, reply);
        match fault {
            None => self.soon(1, 30, arrives(call)),
            Some(Fault::Slow) => self.soon(1_000, 4_500, arrives(call)),
            Some(Fault::TimeOut) => {
                if self.dice.chance(50) {
                    // Carried out; the answer comes too late for whoever asked.
                    self.soon(1, 4_900, Event::Arrive(operator, incarnation, 0, call.clone()));
                }
                self.at(self.now + 5 * SECOND, replies(call.no_answer()));
            }
            Some(fault) => {
                let reply = call.refused(fault);
                self.laws.answered(operator, incarnation, &call, &reply, self.now);
                self.soon(1, 30, replies(reply));
            }
        }
    }

    // ── Operators ───────────────────────────────────────────────────────────

    fn revive(&mut self, operator: usize) {
        if self.processes[operator].is_some() {
            return;
        }
        self.incarnations[operator] += 1;
        let incarnation = self.incarnations[operator];
        let opens = self.script.opening.as_ref().map(|opening| opening.timeout);
        let with = (self.processes.len() > 1, self.steers, opens);
        let speed = self.script.operators[operator];
        let (writes, evictions) = self.script.lanes;
        let lanes = Lanes { writes, evictions, costs: 1 };
        let process =
            Process::new(operator, incarnation, speed, with, lanes, self.mutant, self.now);
        self.tell(|| format!("operator {operator} starts"));
        self.processes[operator] = Some(process);
        let twice = self.streams[operator].twice;
        self.streams[operator] = Streams { twice, tick: Millis::MAX, ..Streams::default() };
        for kind in Kind::ALL {
            let delay = self.dice.between(10, 300) as u64;
            self.streams[operator].last.insert(kind, self.now + delay);
            self.relist(operator, kind);
        }
        self.at(self.now, Event::Tick(operator, incarnation));
        self.soon(50, 2_000, Event::Prove(operator, incarnation));
    }

    pub fn crash(&mut self, operator: usize, down: Millis) {
        if self.processes[operator].take().is_some() {
            self.tell(|| format!("operator {operator} is killed"));
            self.laws.crashed(self.now);
            self.at(self.now + down.max(1), Event::Revive(operator));
        }
    }

    pub fn freeze(&mut self, operator: usize, lasts: Millis, suspended: bool) {
        let (now, two) = (self.now, self.processes.len() > 1);
        let thawed = |process: &&mut Process| process.frozen_until.is_none_or(|until| until <= now);
        // Of one that is frozen already, what waits for the end keeps its order.
        if let Some(process) = self.processes[operator].as_mut().filter(thawed) {
            // It will find its lease with another, and may have something left to do.
            let replaced = two && process.may_act(now) && lasts > 20 * SECOND;
            self.laws.danger[8] += u64::from(replaced);
            process.freeze(now, lasts, suspended);
            let how = if suspended { "suspended" } else { "frozen" };
            self.tell(|| format!("operator {operator} is {how} for {}s", seconds(lasts)));
        }
    }

    pub fn silence(&mut self, operator: usize, watch: Watch, lasts: Millis) {
        for kind in kinds(watch) {
            self.streams[operator].silent.insert(*kind, self.now + lasts);
        }
    }

    pub fn cut(&mut self, operator: usize, watch: Watch, lasts: Millis) {
        let Some(incarnation) =
            self.processes[operator].as_ref().map(|process| process.incarnation)
        else {
            return;
        };
        for kind in kinds(watch) {
            if self.streams[operator].failing.contains_key(kind) {
                continue;
            }
            self.deliver(operator, *kind, WatchEvent::Failed(*kind));
            self.streams[operator].failing.insert(*kind, self.now + lasts);
            self.at(self.now + lasts, Event::Relist(operator, incarnation, *kind));
        }
    }

    pub fn double(&mut self, operator: usize, lasts: Millis) {
        self.streams[operator].twice = self.now + lasts;
    }

    /// All objects of a kind, as a new list.
    fn relist(&mut self, operator: usize, kind: Kind) {
        self.deliver(operator, kind, WatchEvent::ListBegins(kind));
        for change in self.objects(kind) {
            self.deliver(operator, kind, WatchEvent::Change(kind, Box::new(change)));
        }
        self.deliver(operator, kind, WatchEvent::ListEnds(kind));
    }

    fn deliver(&mut self, operator: usize, kind: Kind, event: WatchEvent) {
        let Some(incarnation) =
            self.processes[operator].as_ref().map(|process| process.incarnation)
        else {
            return;
        };
        let most = usize::try_from(self.script.watch_delay).unwrap();
        let arrives = self.now + self.dice.between(1, most) as u64;
        let streams = &mut self.streams[operator];
        let silent = streams.silent.get(&kind).copied().unwrap_or(0);
        let last = streams.last.entry(kind).or_default();
        *last = (*last).max(arrives).max(silent);
        let at = *last;
        if self.streams[operator].twice > self.now && matches!(event, WatchEvent::Change(..)) {
            self.at(at, Event::Deliver(operator, incarnation, event.clone()));
        }
        self.at(at, Event::Deliver(operator, incarnation, event));
    }

    /// Something changed: every watch will show it.
    pub fn publish(&mut self, kind: Kind, change: &Change) {
        if kind != Kind::Policy {
            // Policies are nothing to the scheduler.
            self.truth.apply(change.clone());
        }
        for operator in 0..self.processes.len() {
            if !self.streams[operator].failing.contains_key(&kind) {
                self.deliver(operator, kind, WatchEvent::Change(kind, Box::new(change.clone())));
            }
        }
    }

    pub fn publish_gone(&mut self, kind: Kind, name: &str) {
        let namespace = if matches!(kind, Kind::Node | Kind::Zone) { "" } else { NAMESPACE };
        self.publish(kind, &Change::Gone(kind, Name::from(namespace), Name::from(name)));
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people to read")]
pub fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1_000.0
}
