//! Probe pods in the small world, and a cloud that makes nodes for them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::World;
use crate::observe::fixtures::node;
use crate::observe::{Change, Kind};
use crate::operator::{Operator, ProbeAnswer, ProbeAsk, ProbeVerb};
use crate::plan::OpeningRight;

const NAMESPACE: &str = "zonespread-system";
/// Names for nodes that the cloud makes.
const NODES: [&str; 9] = ["k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9"];

/// An autoscaler, and the probe pods that there are.
#[derive(Debug)]
pub struct Cloud {
    /// Whether it makes nodes.
    pub gives: bool,
    /// Whether pods reach nothing from the nodes that it makes.
    pub is_broken: bool,
    /// How many pods fit on such a node.
    pub room: u32,
    /// What it says of a pod that waits.
    pub says: Option<&'static str>,
    /// What was done to probes, and when, in seconds from the first.
    pub log: Vec<(i64, String)>,
    probes: BTreeMap<String, Probe>,
    made: usize,
    began: Timestamp,
}

#[derive(Debug)]
struct Probe {
    zone: String,
    uid: String,
    created: Timestamp,
    node: Option<&'static str>,
    is_bound: bool,
    ready: Option<Timestamp>,
}

impl World {
    /// From now on probe pods may be made, and a cloud makes nodes for them.
    pub fn with_cloud(mut self) -> Self {
        self.cloud = Some(Cloud {
            gives: true,
            is_broken: false,
            room: 110,
            says: None,
            log: Vec::new(),
            probes: BTreeMap::new(),
            made: 0,
            began: self.now,
        });
        let operator = std::mem::take(&mut self.operator);
        self.operator = operator.with_namespace(NAMESPACE);
        self.operator.set_opening_right(OpeningRight::Proven);
        self
    }

    pub fn cloud(&mut self) -> &mut Cloud {
        self.cloud.as_mut().expect("a cloud")
    }

    /// What was done to probes: `start c`, `remove c`, `give room c`.
    pub fn probe_log(&self) -> Vec<&str> {
        let log = self.cloud.iter().flat_map(|cloud| &cloud.log);
        log.map(|(_, what)| what.as_str()).collect()
    }

    /// How many probe pods there are.
    pub fn probes(&self) -> usize {
        self.cloud.as_ref().map_or(0, |cloud| cloud.probes.len())
    }

    /// The same for an operator that has just begun.
    pub(super) fn equip(&self, operator: Operator) -> Operator {
        if self.cloud.is_none() {
            return operator;
        }
        let mut operator = operator.with_namespace(NAMESPACE);
        operator.set_opening_right(OpeningRight::Proven);
        operator
    }

    pub(super) fn keep_probe(&mut self, ask: &ProbeAsk) {
        let (now, name) = (self.now, ask.name.to_string());
        let zone = ask.zone.as_ref().map(ToString::to_string).unwrap_or_default();
        let cloud = self.cloud.as_mut().expect("no probe without the right");
        let second = now.duration_since(cloud.began).as_secs();
        let answer = match &ask.what {
            ProbeVerb::Start { .. } => {
                cloud.made += 1;
                cloud.log.push((second, format!("start {zone}")));
                let uid = format!("uid-probe-{}", cloud.made);
                let probe =
                    Probe { zone, uid, created: now, node: None, is_bound: false, ready: None };
                assert!(cloud.probes.insert(name.clone(), probe).is_none(), "one for each zone");
                self.show_probe(&name);
                ProbeAnswer::Done
            }
            ProbeVerb::Remove { uid } => {
                cloud.log.push((second, format!("remove {zone}")));
                if cloud.probes.get(&name).is_some_and(|probe| *uid == *probe.uid) {
                    self.end_probe(&name);
                }
                ProbeAnswer::Done
            }
            ProbeVerb::Explain { .. } => {
                ProbeAnswer::Explained(cloud.says.map(|says| format!("karpenter: {says}")))
            }
        };
        self.operator.probe_answered(ask, &answer, now);
    }

    /// The probe gives its room to a move.
    pub(super) fn give_room(&mut self, name: &str) {
        let now = self.now;
        let cloud = self.cloud();
        let second = now.duration_since(cloud.began).as_secs();
        let zone = cloud.probes[name].zone.clone();
        cloud.log.push((second, format!("give room {zone}")));
        self.end_probe(name);
    }

    fn end_probe(&mut self, name: &str) {
        self.cloud().probes.remove(name);
        self.gone(Kind::Pod, NAMESPACE, name);
    }

    /// A second of the cloud: a node that takes pods two seconds later, and a probe that is
    /// Ready two seconds after that.
    pub(super) fn run_cloud(&mut self) {
        let now = self.now;
        let Some(cloud) = &mut self.cloud else { return };
        let mut shown = Vec::new();
        let mut nodes = Vec::new();
        for (name, probe) in &mut cloud.probes {
            let age = now.duration_since(probe.created);
            if probe.node.is_none() && cloud.gives && age >= SignedDuration::from_secs(2) {
                let fresh = NODES[self.cloud_nodes];
                self.cloud_nodes += 1;
                nodes.push((fresh, probe.zone.clone(), cloud.room, false));
                probe.node = Some(fresh);
            } else if let Some(known) = probe.node.filter(|_| !probe.is_bound)
                && age >= SignedDuration::from_secs(4)
            {
                nodes.push((known, probe.zone.clone(), cloud.room, true));
                probe.is_bound = true;
                shown.push(name.clone());
            } else if probe.is_bound
                && probe.ready.is_none()
                && !cloud.is_broken
                && age >= SignedDuration::from_secs(6)
            {
                probe.ready = Some(now);
                shown.push(name.clone());
            }
        }
        for (name, zone, room, is_registered) in nodes {
            self.nodes.insert(name, Box::leak(zone.clone().into_boxed_str()));
            let mut made = node(name).zone(&zone).room_for_pods(room);
            if !is_registered {
                made = made.taint("karpenter.sh/unregistered", "NoExecute");
            }
            self.operator.apply(Change::Node(made.watched()));
        }
        for name in shown {
            self.show_probe(&name);
        }
    }

    pub(super) fn show_probes(&mut self) {
        let names: Vec<String> =
            self.cloud.iter().flat_map(|cloud| cloud.probes.keys().cloned()).collect();
        for name in names {
            self.show_probe(&name);
        }
    }

    fn show_probe(&mut self, name: &str) {
        let Some(probe) = self.cloud.as_ref().and_then(|cloud| cloud.probes.get(name)) else {
            return;
        };
        let ready = if probe.ready.is_some() { "True" } else { "False" };
        let since = probe.ready.unwrap_or(probe.created).to_string();
        let mut pod: Value = json!({
            "metadata": {"name": name, "namespace": NAMESPACE, "uid": probe.uid,
                "labels": {"zonespread.io/probe": "true", "app": "probe"},
                "creationTimestamp": probe.created.to_string()},
            "spec": {"nodeSelector": {"topology.kubernetes.io/zone": probe.zone},
                "containers": [{"name": "probe", "image": "zonespread:1"}]},
            "status": {"phase": if probe.is_bound { "Running" } else { "Pending" },
                "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}]},
        });
        if let Some(node) = probe.node.filter(|_| probe.is_bound) {
            pod["spec"]["nodeName"] = node.into();
        }
        self.operator.apply(Change::Pod(serde_json::from_value(pod).unwrap()));
    }
}
