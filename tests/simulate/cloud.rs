//! What users and clouds do, and the kubelets that follow.

use crate::objects::{self, Node, Pod, Revision, zone_name};
use crate::resizes::SIZES;
use crate::script::{Millis, SECOND, TierScript, Trouble};
use crate::world::{Event, World};
use zonespread::observe::{Change, Kind, WatchedPod};

/// How many pods fit on a node.
const ROOM: usize = 110;
/// How long a terminating pod takes to go.
const GRACE: usize = 2_000;
/// How long pods stay on nodes that are down.
const TOLERATION: Millis = 20 * SECOND;

/// A workload as it is.
pub struct Tier {
    /// Pods wanted, by revision; of none if the workload is gone.
    pub wanted: Vec<(u32, usize)>,
    /// By number.
    pub revisions: Vec<Revision>,
    pub desired: usize,
    /// Since when as many as that were wanted.
    pub history: Vec<(Millis, usize)>,
    pub templates: Vec<[WatchedPod; SIZES.len()]>,
    pub budget: Option<usize>,
    pub allowed: Option<i32>,
    /// What its budget last showed: allowed, healthy, and how many must be.
    pub shown: (Option<i32>, usize, Option<usize>),
    pub rolling: bool,
    /// When the rollout went on last.
    pub rolled: Millis,
}

impl Tier {
    pub fn new(tier: usize, script: &TierScript) -> Self {
        Self {
            wanted: vec![(0, script.replicas)],
            revisions: vec![Revision { number: 0, hash: 0 }],
            desired: script.replicas,
            history: vec![(0, script.replicas)],
            templates: vec![objects::pod_templates(tier, script, Revision { number: 0, hash: 0 })],
            budget: script.budget,
            allowed: None,
            shown: (None, 0, None),
            rolling: false,
            rolled: 0,
        }
    }
}

impl World {
    pub fn trouble(&mut self, trouble: Trouble) {
        self.tell(|| format!("{trouble:?}"));
        self.laws.judge_made_before(self.now);
        match trouble {
            Trouble::Cordon(zone) => {
                self.change_nodes(zone, |node| node.cordoned = true);
                self.delete_pods(|world, pod| world.zone_of(pod) == Some(zone));
            }
            Trouble::Uncordon(zone) => self.change_nodes(zone, |node| node.cordoned = false),
            Trouble::Fail(zone) => {
                self.change_nodes(zone, |node| node.ready = false);
                for name in self.pods_in(zone) {
                    self.change_pod(&name, |pod| pod.ready_since = None);
                }
                self.at(self.now + TOLERATION, Event::Displace(zone, self.now));
            }
            Trouble::Heal(zone) => {
                self.change_nodes(zone, |node| node.ready = true);
                self.wake_kubelets(zone);
            }
            Trouble::DeleteNodes(zone) => self.delete_nodes(zone),
            Trouble::CreateNodes(zone) => self.create_nodes(zone),
            Trouble::Provision(zone, gives) => self.provision(zone, gives),
            Trouble::Break(zone) => drop(self.broken.insert(zone)),
            Trouble::Mend(zone) => {
                self.broken.remove(&zone);
                self.wake_kubelets(zone);
            }
            Trouble::CordonNode(zone, cordoned) => {
                let first = self.nodes.iter().find(|node| node.zone == zone && !node.pool);
                if let Some(name) = first.map(|node| node.name.clone()) {
                    self.change_nodes(zone, |node| {
                        if node.name == name {
                            node.cordoned = cordoned;
                        }
                    });
                }
            }
            Trouble::FailPool(zone, fails) => self.fail_pool(zone, fails),
            Trouble::Taint(zone, spared, tainted) => self.taint(zone, spared, tainted),
            Trouble::Crash(operator, down) => self.crash(operator, down),
            Trouble::Freeze(operator, lasts) => self.freeze(operator, lasts, false),
            Trouble::Suspend(operator, lasts) => self.freeze(operator, lasts, true),
            Trouble::Silent(operator, watch, lasts) => self.silence(operator, watch, lasts),
            Trouble::Fails(operator, watch, lasts) => self.cut(operator, watch, lasts),
            Trouble::Twice(operator, lasts) => self.double(operator, lasts),
            Trouble::Api(fault, lasts) => self.fault = Some((fault, self.now + lasts)),
            Trouble::Scale(tier, replicas) => self.scale(tier, replicas),
            Trouble::ScaleIn(tier, fewer) => self.scale_in(tier, fewer),
            Trouble::ScaleBy(tier, pods) => {
                let replicas = self.tiers[tier].desired.saturating_add_signed(pods).max(1);
                self.scale(tier, replicas);
            }
            Trouble::Rollout(tier) => self.begin_rollout(tier),
            Trouble::DeletePod(tier) => {
                let name = self.pods.values().find(|pod| pod.tier == tier && pod.is_counted());
                if let Some(name) = name.map(|pod| pod.name.clone()) {
                    self.delete_pods(|_, pod| pod.name == name);
                }
            }
            Trouble::Mark(tier, mark) => {
                let of_tier = self.pods.values().filter(|pod| pod.tier == tier);
                for name in of_tier.map(|pod| pod.name.clone()).collect::<Vec<_>>() {
                    self.change_pod(&name, |pod| pod.mark = mark);
                }
            }
            Trouble::EditPolicy(policy) => self.edit_policy(policy),
            Trouble::RecreatePolicy(policy) => {
                self.delete_policy(policy);
                self.create_policy(policy);
            }
            Trouble::DeletePolicy(policy) => self.delete_policy(policy),
            Trouble::CreatePolicy(policy) => self.create_policy(policy),
            Trouble::DeleteWorkload(tier) => self.delete_workload(tier),
            Trouble::CreateWorkload(tier) => self.create_workload(tier),
            Trouble::Right(right) => self.right = right,
            Trouble::Hold(zone, lasts) => self.hold(zone, lasts),
            Trouble::DeleteZone(zone) => self.delete_zone(zone),
            Trouble::Pause(what, paused) => self.pause(what, paused),
            Trouble::ReadPlan(policy) => self.read_plan(policy),
            Trouble::Budget(tier, most) => {
                self.tiers[tier].budget = most;
                if most.is_none() && self.tiers[tier].allowed.take().is_some() {
                    self.publish_gone(Kind::Budget, &objects::app(tier));
                }
                self.at(self.now, Event::Look(tier));
            }
            Trouble::Resize(tier, size, every) => self.resize(tier, size, every),
            Trouble::Steers(steers) => self.steers = steers,
            Trouble::Treachery(treacherous) => self.treachery = treacherous,
        }
    }

    // ── Nodes ───────────────────────────────────────────────────────────────

    pub fn create_nodes(&mut self, zone: usize) {
        if self.nodes.iter().any(|node| node.zone == zone) {
            return;
        }
        let own = self.script.zones.get(zone).copied().unwrap_or(0);
        let others = self.script.pool.get(zone).copied().unwrap_or(0);
        for at in 0..own + others {
            self.make_node(zone, at >= own, ROOM);
        }
        self.laws.zones_are(&self.nodes, self.now);
    }

    /// A node of the tiers or of the other pool, with room for so many pods.
    pub fn make_node(&mut self, zone: usize, pool: bool, room: usize) {
        self.made += 1;
        let node = Node {
            name: format!("{}{}", zone_name(zone), self.made),
            zone,
            ready: true,
            cordoned: false,
            avoided: self.script.avoided_for(zone),
            pool,
            tainted: false,
            starting: self.now > 0 && self.script.starts_slowly,
            created: self.made_at(),
            room,
        };
        self.starts(&node.name);
        self.publish(Kind::Node, &Change::Node(node.watched()));
        self.nodes.push(node);
    }

    fn delete_nodes(&mut self, zone: usize) {
        let pods = self.pods_in(zone);
        for node in self.nodes.extract_if(.., |node| node.zone == zone).collect::<Vec<_>>() {
            self.publish_gone(Kind::Node, &node.name);
        }
        for name in pods {
            self.remove_pod(&name);
        }
        self.laws.zones_are(&self.nodes, self.now);
    }

    pub fn change_nodes(&mut self, zone: usize, change: impl Fn(&mut Node)) {
        for at in 0..self.nodes.len() {
            if self.nodes[at].zone == zone {
                change(&mut self.nodes[at]);
                let shown = self.nodes[at].watched();
                self.publish(Kind::Node, &Change::Node(shown));
            }
        }
        self.laws.zones_are(&self.nodes, self.now);
    }

    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }

    pub fn zone_of(&self, pod: &Pod) -> Option<usize> {
        self.node(pod.node.as_deref()?).map(|node| node.zone)
    }

    fn pods_in(&self, zone: usize) -> Vec<String> {
        let there = self.pods.values().filter(|pod| self.zone_of(pod) == Some(zone));
        there.map(|pod| pod.name.clone()).collect()
    }

    /// Pods counted per zone.
    pub fn spread(&self, tier: usize) -> Vec<i32> {
        let mut counts = vec![0; self.script.zones.len()];
        for pod in self.pods.values().filter(|pod| pod.tier == tier && pod.is_counted()) {
            if let Some(zone) = self.zone_of(pod) {
                counts[zone] += 1;
            }
        }
        counts
    }

    pub fn available(&self, tier: usize) -> usize {
        self.pods.values().filter(|pod| pod.tier == tier && pod.is_available()).count()
    }

    // ── Pods ────────────────────────────────────────────────────────────────

    pub fn change_pod(&mut self, name: &str, change: impl FnOnce(&mut Pod)) {
        let Some(pod) = self.pods.get_mut(name) else { return };
        change(pod);
        let pod = pod.clone();
        self.show_pod(&pod);
    }

    pub fn show_pod(&mut self, pod: &Pod) {
        let change = Change::Pod(self.watched(pod));
        self.publish(Kind::Pod, &change);
        self.soon(1, 100, Event::Look(pod.tier));
    }

    /// A pod as a watch shows it.
    pub fn watched(&self, pod: &Pod) -> WatchedPod {
        pod.watched(&self.tiers[pod.tier].templates[pod.revision as usize][pod.size])
    }

    /// With a grace period, as eviction and drain do.
    pub fn delete_pods(&mut self, which: impl Fn(&Self, &Pod) -> bool) {
        for eviction in self.terminate(which).into_iter().filter_map(|pod| pod.replaces) {
            self.laws.lost(eviction);
        }
    }

    /// The same; nobody makes up for these, or for what they made up for.
    pub fn discard_pods(&mut self, which: impl Fn(&Pod) -> bool) {
        for eviction in
            self.terminate(|_, pod| which(pod)).into_iter().filter_map(|pod| pod.replaces)
        {
            self.laws.discarded(eviction, self.now);
        }
    }

    fn terminate(&mut self, which: impl Fn(&Self, &Pod) -> bool) -> Vec<Pod> {
        let chosen: Vec<Pod> = self
            .pods
            .values()
            .filter(|pod| !pod.terminating && which(self, pod))
            .cloned()
            .collect();
        for pod in &chosen {
            self.laws.left(&pod.uid);
            self.change_pod(&pod.name, |pod| pod.terminating = true);
            let down = pod.node.as_deref().and_then(|node| self.node(node));
            if down.is_none_or(|node| node.ready) {
                self.soon(100, GRACE, Event::Gone(pod.name.clone(), pod.uid.clone()));
            }
            self.soon(10, 200, Event::Reconcile(pod.tier));
        }
        chosen
    }

    pub fn gone(&mut self, name: &str, uid: &str) {
        let Some(pod) = self.pods.get(name).filter(|pod| pod.uid == uid) else { return };
        let down = pod.node.as_deref().and_then(|node| self.node(node));
        if down.is_none_or(|node| node.ready) {
            self.remove_pod(name);
        }
    }

    fn remove_pod(&mut self, name: &str) {
        if let Some(pod) = self.pods.remove(name) {
            self.laws.left(&pod.uid);
            // One that was terminating was lost before.
            if let Some(eviction) = pod.replaces.filter(|_| !pod.terminating) {
                self.laws.lost(eviction);
            }
            self.publish_gone(Kind::Pod, name);
            self.soon(1, 100, Event::Look(pod.tier));
            self.soon(10, 200, Event::Reconcile(pod.tier));
        }
    }

    pub fn displace(&mut self, zone: usize, since: Millis) {
        let down = self.nodes.iter().any(|node| node.zone == zone && !node.ready);
        if down && self.laws.down_since(zone).is_some_and(|at| at <= since) {
            self.delete_pods(|world, pod| world.zone_of(pod) == Some(zone));
        }
    }

    fn wake_kubelets(&mut self, zone: usize) {
        for name in self.pods_in(zone) {
            let Some(pod) = self.pods.get(&name).cloned() else { continue };
            if pod.terminating {
                self.soon(500, 1_500, Event::Gone(pod.name, pod.uid));
            } else if pod.ready_since.is_none() {
                let start = usize::try_from(self.script.tiers[pod.tier].start).unwrap();
                self.soon(start, start + 100, Event::Start(pod.name, pod.uid));
            }
        }
    }

    /// The kubelet starts a pod.
    pub fn start(&mut self, name: &str, uid: &str) {
        let Some(pod) = self.pods.get(name).filter(|pod| pod.uid == uid && !pod.terminating) else {
            return;
        };
        let Some(node) = pod.node.as_deref().and_then(|node| self.node(node)) else { return };
        if !node.ready || self.broken.contains(&node.zone) || pod.ready_since.is_some() {
            return;
        }
        let (zone, now, tier, replaces) = (node.zone, self.now, pod.tier, pod.replaces);
        self.change_pod(name, |pod| pod.ready_since = Some(now));
        match replaces {
            Some(eviction) => self.laws.came_up(eviction, zone, now),
            None => self.laws.came_up_besides(tier, name, zone, now),
        }
    }
}
