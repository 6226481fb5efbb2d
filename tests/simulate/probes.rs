//! Worlds with deploy/opening: a zone comes back without nodes, and a node provisioner makes one
//! when a probe pod waits there.

use crate::dice::Dice;
use crate::objects::{self, time, zone_name, zone_number};
use crate::script::{Kind, Millis, SECOND, Script, Trouble, Watch};
use crate::world::{Event, World};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use zonespread::api::{PAUSED, PROBE};
use zonespread::moves::{ActionError, ProbePod};
use zonespread::observe::{Change, Kind as Watched, Name, WatchedPod};
use zonespread::operator::{ProbeAnswer, ProbeAsk, ProbeVerb};

/// The operators' own namespace.
pub const OPERATORS: &str = "zonespread-system";

/// How soon what nobody wants, or is too late, must be gone once somebody could know.
const GOES_WITHIN: Millis = 45 * SECOND;

/// How zones are opened in a world.
#[derive(Clone, Debug)]
pub struct OpeningScript {
    /// How long a probe may take to become Ready.
    pub timeout: Millis,
    /// How long the provisioner takes to make a node.
    node_takes: Millis,
    /// How long a probe takes to become Ready on it.
    starts_within: Millis,
    /// How many pods fit on it.
    room: usize,
    kills: Vec<Kill>,
}

/// Operators that are killed when so many steps of openings have been made.
#[derive(Clone, Debug)]
struct Kill {
    step: u32,
    delay: Millis,
    down: Millis,
    /// Which of them; none: all.
    operator: Option<usize>,
}

/// A probe pod of the world.
#[derive(Clone, Debug)]
pub struct Probe {
    name: String,
    uid: String,
    zone: usize,
    created: Millis,
    /// When the provisioner will have made a node for it.
    node_at: Option<Millis>,
    node: Option<String>,
    /// Since when it is on that node.
    bound: Millis,
    ready: bool,
    /// Since when it is Ready, or is not.
    since: Millis,
    /// Since when nobody wants it.
    unwanted: Option<Millis>,
}

impl Probe {
    fn watched(&self) -> WatchedPod {
        let second = |at: Millis| Time(time(at / SECOND * SECOND));
        let ready = if self.ready { "True" } else { "False" };
        let mut shown = json!({
            "metadata": {"name": self.name, "namespace": OPERATORS, "uid": self.uid,
                "labels": {PROBE: "true"}, "creationTimestamp": second(self.created)},
            "spec": {"nodeSelector": {"topology.kubernetes.io/zone": zone_name(self.zone)},
                "containers": [{"name": "probe", "resources": {"requests": {"cpu": "10m"}}}]},
            "status": {"phase": if self.node.is_some() { "Running" } else { "Pending" },
                "conditions": [
                    {"type": "Ready", "status": ready, "lastTransitionTime": second(self.since)}]},
        });
        if let Some(node) = &self.node {
            shown["spec"]["nodeName"] = json!(node);
        }
        serde_json::from_value(shown).expect("a pod")
    }
}

impl Script {
    /// In some worlds the first outage takes the nodes of its zone, and nobody makes new ones
    /// unless a pod waits. Drawn apart, so that the others are as they would be without.
    pub fn draw_openings(&mut self) {
        let dice = &mut Dice::new(self.seed ^ 0x00be_0b0e);
        // Where people have to agree they are asked at set times.
        if self.kind == Kind::Consent || !dice.chance(15) {
            return;
        }
        let outage =
            self.troubles.iter().enumerate().find_map(|(at, (_, trouble))| match trouble {
                Trouble::Cordon(zone) | Trouble::Fail(zone) | Trouble::DeleteNodes(zone) => {
                    Some((at, *zone))
                }
                _ => None,
            });
        let Some((out, zone)) = outage else { return };
        let ends_it = |trouble: &Trouble| match trouble {
            Trouble::Uncordon(of) | Trouble::Heal(of) | Trouble::CreateNodes(of) => *of == zone,
            _ => false,
        };
        let Some(back) = self.troubles.iter().position(|(_, trouble)| ends_it(trouble)) else {
            return;
        };
        let (begins, calm) = (self.troubles[out].0, self.kind.is_calm());
        let lasts = dice.between(5, 80) as u64 * SECOND;
        self.troubles[out].1 = Trouble::DeleteNodes(zone);
        self.troubles[back] = (begins + lasts, Trouble::Provision(zone, true));
        if !calm && dice.chance(50) {
            // For a while there is no capacity.
            let at = begins + lasts + dice.between(0, 200) as u64 * SECOND;
            let until = (at + dice.pick(&[20, 60, 200]) * SECOND).min(self.quiet_from());
            if at < until {
                self.troubles.push((at, Trouble::Provision(zone, false)));
                self.troubles.push((until, Trouble::Provision(zone, true)));
            }
        }
        let most = if self.kind == Kind::Outage { 0 } else { 3 };
        let kills: Vec<Kill> = (0..dice.between(0, most))
            .map(|_| Kill {
                step: u32::try_from(dice.between(1, 8)).unwrap(),
                delay: dice.pick(&[1, 20, 60, 200, 1_000, 5_000]),
                down: dice.pick(&[100, 2_000, 20_000]),
                operator: dice.chance(70).then(|| dice.below(self.operators.len())),
            })
            .collect();
        // Time for a second hold-down, and for what the killed held up.
        let longest = self.policies.iter().map(|policy| policy.hold_down).max().unwrap_or(0);
        self.end += 2 * longest + 60 * SECOND * (1 + kills.len() as u64);
        self.opening = Some(OpeningScript {
            timeout: if calm { 120 } else { dice.pick(&[20, 60, 120]) } * SECOND,
            node_takes: dice.pick(&[1, 5, 15]) * SECOND,
            starts_within: dice.pick(&[1, 5, 15]) * SECOND,
            room: if calm { 110 } else { dice.pick(&[1, 4, 110]) },
            kills,
        });
        self.troubles.sort_by_key(|(at, _)| *at);
    }
}

impl World {
    /// The provisioner may make nodes in the zone, or may not.
    pub fn provision(&mut self, zone: usize, gives: bool) {
        if gives {
            self.provisioned.insert(zone);
        } else {
            self.provisioned.remove(&zone);
        }
    }

    /// The probe pods, as a watch shows them.
    pub fn shown_probes(&self) -> impl Iterator<Item = Change> {
        self.probes.values().map(|probe| Change::Pod(probe.watched()))
    }

    /// Does what is asked for about a probe pod.
    pub fn keep_probe(
        &mut self,
        (operator, incarnation): (usize, u32),
        ask: &ProbeAsk,
    ) -> ProbeAnswer {
        let name = ask.name.to_string();
        match &ask.what {
            ProbeVerb::Explain { .. } => return ProbeAnswer::Explained(None),
            ProbeVerb::Start { .. } => {
                self.check_hand(operator, incarnation, "a probe pod");
                let zone = ask.zone.as_ref().map(|zone| zone_number(zone.as_str()));
                if let Some(zone) = zone.filter(|_| !self.probes.contains_key(&name)) {
                    self.start_probe(operator, name, zone);
                }
            }
            ProbeVerb::Remove { uid } => {
                self.check_hand(operator, incarnation, "a probe pod");
                if self.probes.get(&name).is_some_and(|probe| *uid == *probe.uid) {
                    self.tell(|| format!("operator {operator} removes {name}"));
                    self.end_probe(&name);
                }
            }
        }
        ProbeAnswer::Done
    }

    fn start_probe(&mut self, operator: usize, name: String, zone: usize) {
        self.tell(|| format!("operator {operator} starts {name}"));
        self.laws.danger[11] += 1;
        self.made += 1;
        let uid = format!("uid-probe-{}", self.made);
        self.at(self.now, Event::LookAtProbe(name.clone(), uid.clone()));
        let probe = Probe {
            name,
            uid,
            zone,
            created: self.now,
            node_at: None,
            node: None,
            bound: 0,
            ready: false,
            since: self.now,
            unwanted: None,
        };
        self.show_probe(probe);
        self.step_of_probe();
    }

    fn show_probe(&mut self, probe: Probe) {
        self.publish(Watched::Pod, &Change::Pod(probe.watched()));
        self.probes.insert(probe.name.clone(), probe);
    }

    fn end_probe(&mut self, name: &str) {
        if self.probes.remove(name).is_some() {
            let gone = Change::Gone(Watched::Pod, Name::from(OPERATORS), Name::from(name));
            self.publish(Watched::Pod, &gone);
            self.step_of_probe();
        }
    }

    /// A probe gives its room to a pod that is moved right after.
    pub fn give_room(
        &mut self,
        (operator, incarnation): (usize, u32),
        probe: &ProbePod,
    ) -> Result<(), ActionError> {
        self.check_hand(operator, incarnation, "a probe pod");
        let known = self.probes.get(&*probe.name).filter(|known| probe.uid == *known.uid);
        let Some(known) = known.cloned() else { return Err(ActionError::Gone) };
        self.tell(|| format!("operator {operator}: {} gives its room", known.name));
        self.judge_doubt(operator, known.zone);
        self.end_probe(&known.name);
        Ok(())
    }

    /// Law 2: no pod is moved to a zone while its probe shows, as far as the operator must
    /// have heard, that pods may not start there.
    pub fn judge_doubt(&mut self, operator: usize, zone: usize) {
        let heard = self.heard_of(operator, &[Watch::Pods], 16 * SECOND);
        let is_doubtful = |probe: &&Probe| {
            probe.zone == zone && !probe.ready && heard.is_some_and(|heard| probe.since < heard)
        };
        if let Some(probe) = self.probes.values().find(is_doubtful) {
            let how = format!("a pod goes to zone {zone}, where {} is not Ready", probe.name);
            self.laws.breaks(2, self.now, how);
        }
    }

    /// What becomes of a probe: again and again while it is there.
    pub fn look_at_probe(&mut self, name: &str, uid: &str) {
        let Some(probe) = self.probes.get(name).filter(|probe| probe.uid == uid).cloned() else {
            return;
        };
        let probe = self.judged(probe);
        let node = probe.node.as_deref().map(|name| self.node(name));
        let every = match node {
            // Its node was removed.
            Some(None) => return self.end_probe(name),
            None => {
                self.find_node_for(probe);
                SECOND
            }
            Some(Some(node)) => {
                let (up, zone) = (node.ready, node.zone);
                let takes = self.script.opening.as_ref().map_or(0, |opening| opening.starts_within);
                let starts = !self.broken.contains(&zone) && self.now >= probe.bound + takes;
                // One that runs does not mind that others do not start.
                let ready = up && (probe.ready || starts);
                if ready != probe.ready {
                    self.show_probe(Probe { ready, since: self.now, ..probe });
                    self.step_of_probe();
                }
                if ready { 5 * SECOND } else { SECOND }
            }
        };
        self.at(self.now + every, Event::LookAtProbe(name.to_owned(), uid.to_owned()));
    }

    /// The scheduler, and the provisioner where no node has room for the probe.
    fn find_node_for(&mut self, probe: Probe) {
        let own = || self.nodes.iter().filter(|node| node.zone == probe.zone && !node.pool);
        let on = |name: &str| {
            let pods = self.pods.values().filter(|pod| pod.node.as_deref() == Some(name));
            pods.count()
                + self.probes.values().filter(|other| other.node.as_deref() == Some(name)).count()
        };
        let free = own().find(|node| node.is_usable() && on(&node.name) < node.room);
        if let Some(node) = free.map(|node| node.name.clone()) {
            self.tell(|| format!("{} is on {node}", probe.name));
            self.show_probe(Probe { node: Some(node), bound: self.now, ..probe });
            self.step_of_probe();
            return;
        }
        // What is cordoned, down or about to start is not made again.
        let may_make =
            self.provisioned.contains(&probe.zone) && own().all(objects::Node::is_usable);
        let opening = self.script.opening.as_ref().filter(|_| may_make);
        let Some((takes, room)) = opening.map(|opening| (opening.node_takes, opening.room)) else {
            return;
        };
        match probe.node_at {
            None => {
                let node_at = Some(self.now + takes);
                self.probes.insert(probe.name.clone(), Probe { node_at, ..probe });
            }
            Some(at) if at <= self.now => {
                self.make_node(probe.zone, false, room);
                self.laws.zones_are(&self.nodes, self.now);
                self.probes.insert(probe.name.clone(), Probe { node_at: None, ..probe });
                self.step_of_probe();
            }
            Some(_) => {}
        }
    }

    /// Something of an opening has happened: those who are to be killed then are.
    fn step_of_probe(&mut self) {
        self.probe_steps += 1;
        let kills = self.script.opening.iter().flat_map(|opening| &opening.kills);
        let due: Vec<Kill> = kills.filter(|kill| kill.step == self.probe_steps).cloned().collect();
        for Kill { delay, down, operator, .. } in due {
            let at = self.now + delay;
            if at + down >= self.script.quiet_from() {
                continue;
            }
            let all = 0..self.processes.len();
            for killed in all.filter(|killed| operator.is_none_or(|only| only == *killed)) {
                let kill = Trouble::Crash(killed, down);
                self.sprung.push((at, kill.clone()));
                self.at(at, Event::Trouble(kill));
            }
        }
    }

    /// Law 11: a probe is Ready by its deadline or goes, and goes when nobody wants it.
    fn judged(&mut self, mut probe: Probe) -> Probe {
        let is_wanted = (0..self.tiers.len()).any(|tier| self.wants_pods_moved(tier));
        probe.unwanted = if is_wanted { None } else { probe.unwanted.or(Some(self.now)) };
        self.probes.insert(probe.name.clone(), probe.clone());
        let timeout = self.script.opening.as_ref().map_or(0, |opening| opening.timeout);
        let overdue = (!probe.ready).then_some(probe.created.max(probe.since) + timeout);
        let clear = self.clear_since();
        let is_late = |since: Option<Millis>| {
            since.is_some_and(|since| since.max(clear) + GOES_WITHIN < self.now)
        };
        if is_late(probe.unwanted) {
            let how =
                format!("{} is left, and nobody wants it since {:?}", probe.name, probe.unwanted);
            self.laws.breaks(11, self.now, how);
        } else if is_late(overdue) {
            let how = format!("{} is left, and is not Ready since {}", probe.name, probe.since);
            self.laws.breaks(11, self.now, how);
        }
        probe
    }

    /// Whether there is a policy that is not paused, for which the tier is uneven.
    fn wants_pods_moved(&self, tier: usize) -> bool {
        let policy = &self.policies[self.script.tiers[tier].policy];
        let Some(object) = policy.object.as_ref().filter(|_| !self.namespace_paused) else {
            return false;
        };
        let annotations = object.metadata.annotations.as_ref();
        let is_paused = annotations.is_some_and(|known| known.contains_key(PAUSED));
        let spread = self.spread(tier);
        let skew = spread.iter().max().unwrap() - spread.iter().min().unwrap();
        !is_paused && skew > self.laws.tiers[tier].max_skew
    }
}
