//! A small world for stories about the operator: nodes, workloads whose pods
//! are re-created and placed, and an API server that says yes or no.
//!
//! The scheduler here follows the model of `predict/` unless told otherwise,
//! so stories are about what the operator does, not about the model.

mod drills;
mod probes;
mod steering;
mod workloads;
mod zones;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::api::{ZoneObject, ZoneSpreadPolicyStatus};
use crate::moves::{ActionError, ActionRequest, Effect, Outcome, StatusWrite, WriteFailure};
use crate::observe::fixtures::{node, pod};
use crate::observe::{Change, Kind, Name, PolicyKey};
use crate::predict::{InFlightPods, PendingPod, Prediction};

use super::Operator;

/// What a story may turn against the operator.
#[derive(Debug, Default)]
pub struct Trouble {
    /// Every replacement goes to this node, whatever the model says.
    pub scheduler_prefers: Option<&'static str>,
    /// Pods on these nodes never become Ready.
    pub broken_nodes: BTreeSet<&'static str>,
    /// What the API server answers to every eviction.
    pub refuses: Option<ActionError>,
    /// Whether status writes fail.
    pub writes_fail: bool,
    /// Whether writes of Zone objects fail.
    pub zone_writes_fail: bool,
    /// Whether statuses are written, and nobody hears of it.
    pub answers_are_lost: bool,
    /// The watch shows these evictions, by number, this many seconds late.
    pub late: BTreeMap<usize, i64>,
}

pub struct World {
    pub operator: Operator,
    pub now: Timestamp,
    pub trouble: Trouble,
    /// Pods that were evicted, in order.
    pub evicted: Vec<String>,
    /// Evictions that were asked for.
    pub asked: Vec<ActionRequest>,
    /// The statuses as the API server has them.
    pub statuses: BTreeMap<String, ZoneSpreadPolicyStatus>,
    /// The Zone objects as the API server has them.
    pub zones: BTreeMap<String, ZoneObject>,
    /// Writes of Zone objects.
    pub zone_writes: usize,
    /// Writes of policies' statuses.
    pub status_writes: usize,
    /// Status writes that failed.
    pub writes_failed: usize,
    /// Events: the policy, the reason and the text.
    told: Vec<(String, String, String)>,
    /// How long a pod takes to become Ready, in seconds.
    pub start_delay: i64,
    /// Whether deploy/steering is installed.
    pub steers: bool,
    /// Whether pods have no spread constraints of their own.
    pub spread_by_default: bool,
    starting: Vec<(Timestamp, String, String, String)>,
    unseen: Vec<(Timestamp, String)>,
    policies: Vec<Value>,
    nodes: BTreeMap<&'static str, &'static str>,
    made: u32,
    /// How many pods each app wants.
    wanted: BTreeMap<String, usize>,
    pub drills: Vec<super::KnownDrill>,
    /// An autoscaler, where there is one, and how many nodes it has made.
    cloud: Option<probes::Cloud>,
    cloud_nodes: usize,
}

impl World {
    /// Two nodes in each of the zones a, b and c.
    pub fn new() -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut world = Self {
            operator: Operator::default(),
            now,
            trouble: Trouble::default(),
            evicted: Vec::new(),
            asked: Vec::new(),
            statuses: BTreeMap::new(),
            writes_failed: 0,
            zones: BTreeMap::new(),
            zone_writes: 0,
            status_writes: 0,
            told: Vec::new(),
            start_delay: 5,
            steers: false,
            spread_by_default: false,
            starting: Vec::new(),
            unseen: Vec::new(),
            policies: Vec::new(),
            nodes: BTreeMap::from([
                ("a1", "a"),
                ("a2", "a"),
                ("b1", "b"),
                ("b2", "b"),
                ("c1", "c"),
                ("c2", "c"),
            ]),
            made: 0,
            wanted: BTreeMap::new(),
            drills: Vec::new(),
            cloud: None,
            cloud_nodes: 0,
        };
        for zone in ["a", "b", "c"] {
            world.open(zone);
        }
        world.operator.lead([], [], now);
        world
    }

    fn nodes_in(&self, zone: &str) -> Vec<&'static str> {
        self.nodes.iter().filter(|(_, known)| **known == zone).map(|(name, _)| *name).collect()
    }

    /// The zone's nodes take pods.
    pub fn open(&mut self, zone: &str) {
        for name in self.nodes_in(zone) {
            self.operator.apply(Change::Node(node(name).zone(zone).watched()));
        }
    }

    /// The zone's nodes are cordoned.
    pub fn cordon(&mut self, zone: &str) {
        for name in self.nodes_in(zone) {
            self.operator.apply(Change::Node(node(name).zone(zone).cordoned().watched()));
        }
    }

    /// A node is given to another zone.
    pub fn relabel(&mut self, name: &'static str, zone: &'static str) {
        self.nodes.insert(name, zone);
        self.operator.apply(Change::Node(node(name).zone(zone).watched()));
    }

    /// Another node.
    pub fn add_node(&mut self, name: &'static str, zone: &'static str) {
        self.nodes.insert(name, zone);
        self.operator.apply(Change::Node(node(name).zone(zone).watched()));
    }

    /// The zone's nodes are gone.
    pub fn remove_nodes(&mut self, zone: &str) {
        for name in self.nodes_in(zone) {
            self.gone(Kind::Node, "", name);
        }
    }

    fn gone(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.operator.apply(Change::Gone(kind, Name::from(namespace), Name::from(name)));
    }

    /// A policy for the pods of an app, held 60 s; `spec` adds to it.
    pub fn policy(&mut self, app: &str, spec: Value) {
        let mut full = json!({
            "selector": {"matchLabels": {"app": app}},
            "rebalance": {"holdDown": "60s", "landingTimeout": "60s"},
        });
        full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let generation =
            self.policies.iter().filter(|known| known["metadata"]["name"] == app).count() + 1;
        let policy = json!({
            "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
            "metadata": {
                "name": app, "namespace": "default", "uid": format!("uid-policy-{app}"),
                "generation": generation, "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": full,
        });
        self.policies.push(policy.clone());
        self.apply_policy(policy);
    }

    /// Writes an annotation of a policy, as `kubectl annotate` does; null removes it.
    pub fn annotate(&mut self, policy: &str, key: &str, value: Value) {
        let known = self.policies.iter_mut().rfind(|known| known["metadata"]["name"] == policy);
        let known = known.expect("a policy of this name");
        known["metadata"]["annotations"] = json!({});
        if !value.is_null() {
            known["metadata"]["annotations"][key] = value;
        }
        let policy = known.clone();
        self.apply_policy(policy);
    }

    /// Writes an annotation of the namespace of all policies.
    pub fn annotate_namespace(&mut self, key: &str, value: &str) {
        let namespace = json!({"metadata": {"name": "default", "annotations": {key: value}}});
        self.operator.apply(Change::Namespace(serde_json::from_value(namespace).unwrap()));
    }

    /// The policy is deleted and made again, so quickly that one event covers both.
    pub fn remake_policy(&mut self, app: &str) {
        let known = self.policies.iter().rfind(|known| known["metadata"]["name"] == app);
        let mut policy = known.expect("a policy to be made again").clone();
        let uid = policy["metadata"]["uid"].as_str().unwrap().to_owned();
        policy["metadata"]["uid"] = format!("{uid}-again").into();
        self.statuses.remove(app);
        self.policies.push(policy.clone());
        self.apply_policy(policy);
    }

    /// The policy is deleted.
    pub fn delete_policy(&mut self, app: &str) {
        self.statuses.remove(app);
        self.gone(Kind::Policy, "default", app);
    }

    fn apply_policy(&mut self, policy: Value) {
        self.operator.apply(Change::Policy(serde_json::from_value(policy).unwrap()));
    }

    /// A `ReplicaSet` with running pods on these nodes, spread over zones if it can.
    pub fn replica_set(&mut self, app: &str, on: &[&str]) {
        self.replica_set_of(app, on.len());
        for node in on {
            let name = self.new_name(app);
            self.show_pod(app, &name, Some(node), true);
        }
    }

    fn new_name(&mut self, app: &str) -> String {
        self.made += 1;
        format!("{app}-{}", self.made)
    }

    fn show_pod(&mut self, app: &str, name: &str, on: Option<&str>, ready: bool) {
        let mut shown =
            pod(name).label("app", app).owner("ReplicaSet", &format!("{app}-rs")).created(self.now);
        if !self.spread_by_default {
            shown = shown.spread_soft("topology.kubernetes.io/zone", 1);
        }
        if let Some(node) = on {
            shown = shown.on(node);
        }
        if !ready {
            shown = shown.not_ready();
        }
        self.operator.apply(Change::Pod(shown.watched()));
    }

    /// Deletes the pods in a zone; they are re-created elsewhere, ready at once.
    pub fn evacuate(&mut self, zone: &str) {
        let nodes = self.nodes_in(zone);
        let cluster = self.operator.index().cluster();
        let gone: Vec<(String, String)> = cluster
            .pods()
            .filter(|(_, pod)| pod.node.as_ref().is_some_and(|node| nodes.contains(&&**node)))
            .map(|(_, pod)| (pod.labels["app"].clone(), pod.name.to_string()))
            .collect();
        for (app, name) in gone {
            let node = self.place_like(&name);
            self.gone(Kind::Pod, "default", &name);
            let fresh = self.new_name(&app);
            self.show_pod(&app, &fresh, node.as_deref(), true);
        }
    }

    /// Where the scheduler puts a replacement of this pod.
    fn place_like(&self, name: &str) -> Option<String> {
        if let Some(node) = self.trouble.scheduler_prefers {
            return Some(node.to_owned());
        }
        let cluster = self.operator.index().cluster();
        let id = cluster.pod_id("default", name)?;
        let mut in_flight = InFlightPods::default();
        in_flight.evict(id);
        let mut pending = PendingPod::like(cluster.pod(id)?);
        pending.name = None;
        let pending = pending.steered(self.steered(name).as_ref());
        match self.operator.scheduler().predict(&in_flight, &pending) {
            Prediction::Lands(landing) => landing.nodes.first().map(ToString::to_string),
            _ => None,
        }
    }

    /// Lets time pass, a second at a time.
    pub fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += SignedDuration::from_secs(1);
            self.show_what_was_unseen();
            self.start_pods();
            self.run_cloud();
            self.decide();
        }
    }

    fn show_what_was_unseen(&mut self) {
        let (due, later) =
            std::mem::take(&mut self.unseen).into_iter().partition(|(at, _)| *at <= self.now);
        self.unseen = later;
        for (_, name) in Vec::<(Timestamp, String)>::from_iter(due) {
            self.replace(&name);
        }
    }

    fn start_pods(&mut self) {
        let (due, later) =
            std::mem::take(&mut self.starting).into_iter().partition(|(at, ..)| *at <= self.now);
        self.starting = later;
        for (_, app, name, node) in Vec::<(Timestamp, String, String, String)>::from_iter(due) {
            self.show_pod(&app, &name, Some(&node), true);
        }
    }

    /// One decision, carried out; again while it has effects.
    pub fn decide(&mut self) {
        for _ in 0..20 {
            let decision = self.operator.decide(self.now, None);
            let at_rest = decision.next.is_none_or(|next| next > self.now);
            let has_effects = self.keeps_drills(&decision)
                || !decision.effects.is_empty()
                || !decision.zones.is_empty()
                || !decision.probes.is_empty();
            if !has_effects && at_rest {
                return;
            }
            for write in decision.zones {
                self.write_zone(write);
            }
            for ask in &decision.probes {
                self.keep_probe(ask);
            }
            for effect in decision.effects {
                self.carry_out(effect);
            }
        }
        panic!("the operator never comes to rest: {:#?}", self.statuses);
    }

    fn carry_out(&mut self, effect: Effect) {
        let outcome = match effect {
            Effect::WriteStatus(write) => self.write(write),
            Effect::Act(request) if self.trouble.writes_fail || self.trouble.answers_are_lost => {
                let why = "the status could not be written before it".to_owned();
                Outcome::Refused {
                    verb: request.verb,
                    policy: request.policy,
                    uid: request.uid,
                    refusal: ActionError::Outdated(why),
                }
            }
            Effect::Act(request) => {
                self.asked.push(request.clone());
                if let Some(refusal) = self.trouble.refuses.clone() {
                    let ActionRequest { verb, policy, uid, .. } = request;
                    Outcome::Refused { verb, policy, uid, refusal }
                } else {
                    if let Some(probe) = &request.probe {
                        self.give_room(&probe.name);
                    }
                    self.evict(&request.pod);
                    Outcome::Acted { verb: request.verb, policy: request.policy, uid: request.uid }
                }
            }
        };
        self.operator.outcome(outcome, self.now);
    }

    fn write(&mut self, write: StatusWrite) -> Outcome {
        let StatusWrite { policy, uid, status, events } = write;
        let failure = WriteFailure::TimedOut;
        if self.trouble.writes_fail {
            self.writes_failed += 1;
            return Outcome::NotWritten { policy, uid, status, failure };
        }
        self.status_writes += 1;
        let name = || policy.name.to_string();
        self.told.extend(events.into_iter().map(|event| (name(), event.reason.into(), event.text)));
        self.statuses.insert(policy.name.to_string(), ZoneSpreadPolicyStatus::clone(&status));
        if self.trouble.answers_are_lost {
            return Outcome::NotWritten { policy, uid, status, failure };
        }
        Outcome::Written { policy, uid, status }
    }

    fn evict(&mut self, name: &str) {
        self.evicted.push(name.to_owned());
        if let Some(seconds) = self.trouble.late.get(&self.evicted.len()) {
            self.unseen.push((self.now + SignedDuration::from_secs(*seconds), name.to_owned()));
        } else {
            self.replace(name);
        }
    }

    /// The pod is gone, and its owner makes another.
    pub fn replace(&mut self, name: &str) {
        let cluster = self.operator.index().cluster();
        let id = cluster.pod_id("default", name).expect("the evicted pod is there");
        let app = cluster.pod(id).unwrap().labels["app"].clone();
        let node = self.place_like(name).expect("a node for the replacement");
        self.gone(Kind::Pod, "default", name);
        let fresh = self.new_name(&app);
        self.show_pod(&app, &fresh, Some(&node), false);
        if !self.trouble.broken_nodes.contains(node.as_str()) {
            let at = self.now + SignedDuration::from_secs(self.start_delay);
            self.starting.push((at, app, fresh, node));
        }
    }

    /// Somebody deletes a pod, and its replacement starts on the same node at once.
    pub fn replace_in_place(&mut self, name: &str) {
        let cluster = self.operator.index().cluster();
        let pod = cluster.pod(cluster.pod_id("default", name).unwrap()).unwrap();
        let (app, node) = (pod.labels["app"].clone(), pod.node.clone().unwrap());
        self.gone(Kind::Pod, "default", name);
        let fresh = self.new_name(&app);
        self.show_pod(&app, &fresh, Some(&node), true);
    }

    /// The operator is killed, and another takes over from what was written.
    pub fn restart(&mut self) {
        let mut fresh = self.equip(Operator::default());
        fresh.set_steering_right(self.steering_right());
        let cluster = self.operator.index().cluster();
        let pods: Vec<(String, String, Option<String>, bool, Timestamp)> = cluster
            .pods_in("default")
            .map(|(_, pod)| {
                let node = pod.node.as_ref().map(ToString::to_string);
                (
                    pod.labels["app"].clone(),
                    pod.name.to_string(),
                    node,
                    pod.ready_since.is_some(),
                    pod.created.time(),
                )
            })
            .collect();
        for shown in self.nodes.iter().filter_map(|(name, zone)| self.shown_node(name, zone)) {
            fresh.apply(Change::Node(shown.watched()));
        }
        std::mem::swap(&mut self.operator, &mut fresh);
        for (app, replicas) in self.wanted.clone() {
            self.replica_set_of(&app, replicas);
        }
        let now = self.now;
        for (app, name, node, ready, created) in pods {
            self.now = created;
            self.show_pod(&app, &name, node.as_deref(), ready);
        }
        self.now = now;
        self.show_probes();
        for policy in self.policies.clone() {
            self.apply_policy(policy);
        }
        let key = |name: &String| PolicyKey {
            namespace: Name::from("default"),
            name: Name::from(name.as_str()),
        };
        for object in self.zones.values().cloned() {
            self.operator.apply(Change::Zone(object));
        }
        let zones = self.zones.iter().filter_map(|(name, object)| {
            Some((Name::from(name.as_str()), Arc::new(object.status.clone()?)))
        });
        let statuses = self.statuses.iter().map(|(name, status)| (key(name), status));
        self.operator.lead(statuses, zones.collect::<Vec<_>>(), now);
        self.show_drills();
    }

    /// The status of a policy.
    pub fn status(&self, policy: &str) -> &ZoneSpreadPolicyStatus {
        &self.statuses[policy]
    }

    /// The events about a policy: reason and text.
    pub fn told(&self, policy: &str) -> Vec<(String, String)> {
        let own = self.told.iter().filter(|(name, ..)| name == policy);
        own.map(|(_, reason, text)| (reason.clone(), text.clone())).collect()
    }

    /// Pods per zone of an app: `3/3/0`.
    pub fn spread(&self, app: &str) -> String {
        let cluster = self.operator.index().cluster();
        let count = |zone: &str| {
            cluster
                .pods()
                .filter(|(_, pod)| pod.labels["app"] == app && pod.is_counted())
                .filter(|(_, pod)| cluster.zone_of(pod).is_some_and(|known| known.as_str() == zone))
                .count()
        };
        format!("{}/{}/{}", count("a"), count("b"), count("c"))
    }
}
