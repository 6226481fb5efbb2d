//! A small world for stories about surges: a Deployment's `ReplicaSet` that lets pods go,
//! takes them back and removes what is too much, a budget, and an API server.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::api::ZoneSpreadPolicyStatus;
use crate::moves::{ActionError, ActionRequest, Effect, Outcome, PodPatch, Verb};
use crate::observe::fixtures::node;
use crate::observe::{Change, Kind, Name, PolicyKey};
use crate::plan::SurgeRight;

use super::Operator;

const HASH: &str = "pod-template-hash";
const SET: &str = "web-5d9c";

/// Two pods of a Deployment, both in zone a; zones b and c are free.
pub struct World {
    pub operator: Operator,
    pub now: Timestamp,
    pods: BTreeMap<String, Value>,
    /// How many pods the `ReplicaSet` wants; none: it is gone.
    pub wanted: Option<usize>,
    /// How many pods must stay Ready.
    pub min_available: usize,
    /// Where replacements go.
    pub lands_on: &'static str,
    /// How long a pod takes to become Ready, in seconds.
    pub ready_after: i64,
    /// Whether changes of pods are refused.
    pub patches_forbidden: bool,
    /// What was done to which pod.
    pub done: Vec<(Verb, String)>,
    /// How many requests were refused.
    pub refused: usize,
    /// The fewest Ready pods at any time.
    pub fewest_ready: usize,
    policy: Option<Value>,
    pub status: Option<ZoneSpreadPolicyStatus>,
    made: usize,
}

impl World {
    pub fn new() -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let policy = json!({
            "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "web"}},
                     "rebalance": {"landingTimeout": "60s", "holdDown": "0s", "settle": "0s"}},
        });
        let mut world = Self {
            operator: Operator::default(),
            now,
            pods: BTreeMap::new(),
            wanted: Some(2),
            min_available: 2,
            lands_on: "c1",
            ready_after: 5,
            patches_forbidden: false,
            done: Vec::new(),
            refused: 0,
            fewest_ready: 2,
            policy: Some(policy),
            status: None,
            made: 0,
        };
        for _ in 0..2 {
            world.make("a1", -100);
        }
        world.restart();
        world
    }

    fn make(&mut self, on: &str, second: i64) {
        self.made += 1;
        let name = format!("web-{}", self.made);
        let created = self.now + SignedDuration::from_secs(second);
        let spread = json!([{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "web"}}}]);
        let pod = json!({
            "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}"),
                "labels": {"app": "web", HASH: "5d9c"}, "creationTimestamp": created.to_string(),
                "ownerReferences": [owner()]},
            "spec": {"nodeName": on, "topologySpreadConstraints": spread,
                "containers": [{"name": "main", "image": "registry.example/app:1"}]},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]},
        });
        self.pods.insert(name, pod);
    }

    /// The operator is killed, and another takes over from what was written, and the pods.
    pub fn restart(&mut self) {
        self.operator = Operator::default();
        for zone in ["a", "b", "c"] {
            let shown = node(&format!("{zone}1")).zone(zone);
            self.operator.apply(Change::Node(shown.watched()));
        }
        self.operator.set_surge_right(SurgeRight::Proven);
        let key = PolicyKey { namespace: Name::from("default"), name: Name::from("web") };
        let known = self.status.as_ref().filter(|_| self.policy.is_some());
        self.operator.lead(known.map(|status| (key, status)), [], self.now);
        self.controllers();
        self.show();
        if let Some(policy) = self.policy.clone() {
            self.operator.apply(Change::Policy(serde_json::from_value(policy).unwrap()));
        }
    }

    pub fn delete_policy(&mut self) {
        self.policy = None;
        self.gone(Kind::Policy, "web");
    }

    /// Changes the policy's spec.
    pub fn rebalance(&mut self, key: &str, value: Value) {
        let policy = self.policy.as_mut().unwrap();
        policy["spec"]["rebalance"][key] = value;
        let policy = policy.clone();
        self.operator.apply(Change::Policy(serde_json::from_value(policy).unwrap()));
    }

    fn gone(&mut self, kind: Kind, name: &str) {
        self.operator.apply(Change::Gone(kind, Name::from("default"), Name::from(name)));
    }

    pub fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += SignedDuration::from_secs(1);
            self.step();
        }
    }

    /// Time passes without an operator.
    pub fn pass_alone(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now += SignedDuration::from_secs(1);
            self.controllers();
        }
    }

    fn step(&mut self) {
        self.controllers();
        self.show();
        for _ in 0..10 {
            let decision = self.operator.decide(self.now, None);
            for write in decision.zones {
                self.operator.zone_written(&write, true, self.now);
            }
            for effect in decision.effects {
                self.carry_out(effect);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let outcome = match effect {
            Effect::WriteStatus(write) => {
                let (policy, uid, status) = (write.policy, write.uid, write.status);
                self.status = Some(ZoneSpreadPolicyStatus::clone(&status));
                Outcome::Written { policy, uid, status }
            }
            Effect::Act(request) => match self.act(&request) {
                Ok(()) => {
                    let ActionRequest { verb, policy, uid, pod, .. } = request;
                    self.done.push((verb, pod.to_string()));
                    Outcome::Acted { verb, policy, uid }
                }
                Err(refusal) => {
                    self.refused += 1;
                    let ActionRequest { verb, policy, uid, .. } = request;
                    Outcome::Refused { verb, policy, uid, refusal }
                }
            },
        };
        self.operator.outcome(outcome, self.now);
    }

    fn act(&mut self, request: &ActionRequest) -> Result<(), ActionError> {
        if let Some(patch) = request.patch.as_deref().filter(|_| !request.verb.evicts()) {
            return self.patch(patch);
        }
        if !self.pods.contains_key(&*request.pod) {
            return Err(ActionError::Gone);
        }
        if self.ready() <= self.min_available {
            return Err(ActionError::Budget("no".to_owned()));
        }
        self.remove(&request.pod);
        Ok(())
    }

    fn patch(&mut self, patch: &PodPatch) -> Result<(), ActionError> {
        if self.patches_forbidden {
            return Err(ActionError::Forbidden("no right".to_owned()));
        }
        let pod = self.pods.get_mut(&*patch.pod).ok_or(ActionError::Gone)?;
        for (key, value) in &patch.labels {
            pod["metadata"]["labels"][*key] = json!(value);
        }
        for (key, value) in &patch.annotations {
            match value {
                Some(value) => pod["metadata"]["annotations"][*key] = json!(value),
                None => drop(pod["metadata"]["annotations"].as_object_mut().unwrap().remove(*key)),
            }
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) {
        self.pods.remove(name);
        self.gone(Kind::Pod, name);
    }

    /// Pods become Ready, and the `ReplicaSet` brings its own to the number it wants.
    fn controllers(&mut self) {
        let (now, ready_after) = (self.now, self.ready_after);
        for pod in self.pods.values_mut() {
            let created: Timestamp =
                pod["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
            if now >= created + SignedDuration::from_secs(ready_after) {
                pod["status"]["conditions"][0]["status"] = json!("True");
            }
        }
        self.fewest_ready = self.fewest_ready.min(self.ready());
        let Some(wanted) = self.wanted else {
            let orphaned = |pod: &Value| pod["metadata"]["ownerReferences"].is_null();
            let own: Vec<String> = self.names(|pod| !orphaned(pod));
            for name in &own {
                self.remove(name);
            }
            return;
        };
        for pod in self.pods.values_mut() {
            let is_own = pod["metadata"]["labels"][HASH] == "5d9c";
            pod["metadata"]["ownerReferences"] =
                if is_own { json!([owner()]) } else { json!(null) };
        }
        let mut own = self.names(|pod| !pod["metadata"]["ownerReferences"].is_null());
        own.sort_by_key(|name| {
            let pod = &self.pods[name];
            let cost =
                &pod["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"];
            let cost: i64 = cost.as_str().map_or(0, |cost| cost.parse().unwrap());
            (is_ready(pod), cost, std::cmp::Reverse(name.clone()))
        });
        for name in own.iter().take(own.len().saturating_sub(wanted)) {
            self.remove(name);
        }
        for _ in own.len()..wanted {
            self.make(self.lands_on, 0);
        }
    }

    fn names(&self, of: impl Fn(&Value) -> bool) -> Vec<String> {
        self.pods.iter().filter(|(_, pod)| of(pod)).map(|(name, _)| name.clone()).collect()
    }

    fn show(&mut self) {
        self.operator.advance();
        match self.wanted {
            Some(wanted) => {
                let spec = json!({"replicas": wanted,
                    "selector": {"matchLabels": {"app": "web", HASH: "5d9c"}},
                    "template": {"metadata": {"labels": {"app": "web", HASH: "5d9c"}},
                                 "spec": {"containers": []}}});
                let set = json!({"spec": spec,
                    "metadata": {"name": SET, "namespace": "default", "uid": "uid-set"}});
                self.operator.apply(Change::ReplicaSet(serde_json::from_value(set).unwrap()));
            }
            None => self.gone(Kind::ReplicaSet, SET),
        }
        let healthy = self.ready();
        let budget = json!({
            "metadata": {"name": "web", "namespace": "default", "generation": 1},
            "spec": {"selector": {"matchLabels": {"app": "web"}}},
            "status": {"observedGeneration": 1, "currentHealthy": healthy,
                "desiredHealthy": self.min_available,
                "disruptionsAllowed": healthy.saturating_sub(self.min_available)},
        });
        self.operator.apply(Change::Budget(serde_json::from_value(budget).unwrap()));
        for pod in self.pods.values() {
            let pod = serde_json::from_value(pod.clone()).unwrap();
            self.operator.apply(Change::Pod(pod));
        }
    }

    pub fn add(&mut self, change: Change) {
        self.operator.apply(change);
    }

    pub fn ready(&self) -> usize {
        self.pods.values().filter(|pod| is_ready(pod)).count()
    }

    /// The nodes of the pods, in order.
    pub fn nodes(&self) -> Vec<&str> {
        let node = |pod: &'_ Value| pod["spec"]["nodeName"].as_str().map(str::to_owned);
        let mut nodes: Vec<&str> = Vec::new();
        for pod in self.pods.values() {
            nodes.extend(
                ["a1", "b1", "c1"].iter().filter(|known| node(pod).as_deref() == Some(known)),
            );
        }
        nodes.sort_unstable();
        nodes
    }

    /// Pods that carry anything of a surge.
    pub fn left_behind(&self) -> Vec<String> {
        self.names(|pod| {
            let hash = pod["metadata"]["labels"][HASH].as_str().unwrap();
            let annotations = &pod["metadata"]["annotations"];
            let none = annotations.as_object().is_none_or(serde_json::Map::is_empty);
            hash != "5d9c" || !none
        })
    }

    pub fn verbs(&self) -> Vec<Verb> {
        self.done.iter().map(|(verb, _)| *verb).collect()
    }
}

fn owner() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": SET, "uid": "uid-set",
           "controller": true})
}

fn is_ready(pod: &Value) -> bool {
    pod["status"]["conditions"][0]["status"] == "True"
}
