//! The controllers and the scheduler: pods are made, placed, rolled out and counted.

use crate::objects::{self, Pod, Revision};
use crate::script::SECOND;
use crate::world::{Event, World};
use zonespread::observe::{Change, Kind};
use zonespread::predict::{InFlightPods, PendingPod, Prediction, Scheduler};

impl World {
    /// The ReplicaSet or StatefulSet controller.
    pub fn reconcile(&mut self, tier: usize) {
        let stateful = self.script.tiers[tier].stateful;
        for (revision, wanted) in self.tiers[tier].wanted.clone() {
            if !stateful {
                self.adopt(tier, revision);
            }
            let is_own = |pod: &Pod| stateful || pod.owned && pod.revision == revision;
            let own = |pod: &&Pod| pod.tier == tier && is_own(pod);
            let live: Vec<Pod> = self
                .pods
                .values()
                .filter(own)
                .filter(|pod| stateful || !pod.terminating)
                .cloned()
                .collect();
            if stateful {
                for ordinal in 0..wanted {
                    let name = format!("{}-{ordinal}", objects::app(tier));
                    if !self.pods.contains_key(&name) {
                        self.create_pod(tier, revision, name);
                    }
                }
                let keep = |name: &str| {
                    let ordinal = name.rsplit_once('-').and_then(|(_, at)| at.parse().ok());
                    ordinal.is_some_and(|at: usize| at < wanted)
                };
                self.discard_pods(|pod| pod.tier == tier && !keep(&pod.name));
                self.laws.unwanted(tier, keep, self.now);
                continue;
            }
            let mut replaced = Vec::new();
            for _ in live.len()..wanted {
                self.made += 1;
                let name = format!("{}-{revision}-{}", objects::app(tier), self.made);
                replaced.extend(self.create_pod(tier, revision, name));
            }
            if live.len() + replaced.len() < wanted {
                self.laws.have_twins(&replaced);
            }
            let mut excess: Vec<&Pod> = live.iter().collect();
            excess.sort_by_key(|pod| {
                let cost = pod.cost.as_deref().map_or(0, |cost| cost.parse::<i32>().unwrap());
                (pod.node.is_some(), pod.ready_since.is_some(), cost, pod.created)
            });
            let names: Vec<String> = excess
                .into_iter()
                .take(live.len().saturating_sub(wanted))
                .map(|pod| pod.name.clone())
                .collect();
            if !names.is_empty() {
                self.discard_pods(|pod| names.contains(&pod.name));
            }
            self.laws.all_replaced((tier, revision), self.now);
        }
    }

    /// A ReplicaSet lets go what it selects no longer, and takes what it selects and nobody has.
    fn adopt(&mut self, tier: usize, number: u32) {
        let hash =
            |pod: &Pod, world: &Self| world.tiers[tier].revisions[pod.revision as usize].hash;
        let own = self.tiers[tier].revisions[number as usize].hash;
        let of_tier: Vec<Pod> =
            self.pods.values().filter(|pod| pod.tier == tier).cloned().collect();
        for pod in of_tier {
            if pod.owned && pod.released && pod.revision == number {
                self.change_pod(&pod.name, |pod| pod.owned = false);
            } else if !pod.owned && !pod.released && !pod.terminating && hash(&pod, self) == own {
                self.change_pod(&pod.name, |pod| (pod.owned, pod.revision) = (true, number));
            }
        }
    }

    /// Says which eviction it makes up for.
    fn create_pod(&mut self, tier: usize, revision: u32, name: String) -> Option<usize> {
        self.made += 1;
        let stateful = self.script.tiers[tier].stateful;
        let marked = self.script.tiers[tier].marked;
        let mark = self.dice.chance(marked).then(|| self.dice.below(objects::MARKS.len()));
        let replaces = self.laws.replaced((tier, revision), stateful.then_some(&*name), self.now);
        let pod = Pod {
            uid: format!("uid-{}", self.made),
            tier,
            revision,
            node: None,
            ready_since: None,
            terminating: false,
            created: self.now,
            mark,
            replaces,
            steered: self.steered(tier),
            name,
            released: false,
            owned: true,
            note: None,
            cost: None,
            own_cost: None,
            size: 0,
        };
        self.show_pod(&pod);
        self.soon(5, 300, Event::Place(pod.name.clone(), pod.uid.clone()));
        self.pods.insert(pod.name.clone(), pod);
        replaces
    }

    /// The scheduler: the model of `predict/`, or one that does as it likes.
    pub fn place(&mut self, name: &str, uid: &str) {
        let Some(pod) = self.pods.get(name) else { return };
        if pod.uid != uid || pod.node.is_some() || pod.terminating {
            return;
        }
        let (tier, replaces) = (pod.tier, pod.replaces);
        let Some(node) = self.choose_node(name) else {
            self.at(self.now + SECOND, Event::Place(name.to_owned(), uid.to_owned()));
            return;
        };
        let zone = self.node(&node).map(|node| node.zone);
        self.change_pod(name, |pod| pod.node = Some(node));
        if let (Some(eviction), Some(zone)) = (replaces, zone) {
            let spread = self.spread_after(tier);
            if self.laws.helps(eviction, zone, &spread) || !self.pass_on(eviction, name, &spread) {
                self.laws.placed(eviction, zone, &spread, self.now);
            }
        }
        let start = usize::try_from(self.script.tiers[tier].start).unwrap();
        self.soon(start, start + 100, Event::Start(name.to_owned(), uid.to_owned()));
    }

    /// An eviction is made up for by that of the twins which helps, if there is one.
    fn pass_on(&mut self, eviction: usize, from: &str, spread: &[i32]) -> bool {
        let Some(before) = self.pods.get(from) else { return false };
        let twin = self.pods.values().find(|pod| {
            let is_free = pod.is_twin_of(before) && pod.replaces.is_none() && pod.is_coming();
            let may_help = |zone| self.laws.helps(eviction, zone, spread);
            is_free && (pod.node.is_none() || self.zone_of(pod).is_some_and(may_help))
        });
        let Some(twin) = twin else { return false };
        let (name, zone) = (twin.name.clone(), self.zone_of(twin));
        for (name, replaces) in [(from, None), (name.as_str(), Some(eviction))] {
            self.pods.get_mut(name).expect("just seen").replaces = replaces;
        }
        if let Some(zone) = zone {
            self.laws.placed(eviction, zone, spread, self.now);
        }
        true
    }

    fn choose_node(&mut self, name: &str) -> Option<String> {
        if self.treachery {
            let usable: Vec<String> = self
                .nodes
                .iter()
                .filter(|node| node.is_usable() && !node.pool)
                .map(|node| node.name.clone())
                .collect();
            return (!usable.is_empty()).then(|| usable[self.dice.below(usable.len()) / 2].clone());
        }
        let cluster = self.truth.cluster();
        let pod = cluster.pod(cluster.pod_id(objects::NAMESPACE, name)?)?;
        let mut pending = PendingPod::like(pod);
        if pending.owner.as_ref().is_none_or(|owner| &*owner.kind != "StatefulSet") {
            pending.name = None;
        }
        let steered = self.pods.get(name).and_then(|pod| pod.steered.as_ref());
        let pending = pending.steered(steered);
        let scheduler = Scheduler::new(cluster, &self.scheduler_cache);
        match scheduler.predict(&InFlightPods::default(), &pending) {
            Prediction::Lands(landing) => {
                let at = self.dice.below(landing.nodes.len());
                Some(landing.nodes[at].to_string())
            }
            _ => None,
        }
    }

    // ── Workloads ───────────────────────────────────────────────────────────

    pub fn show_workload(&mut self, tier: usize) {
        let script = self.script.tiers[tier].clone();
        let wanted = self.tiers[tier].wanted.clone();
        if script.stateful {
            let set = objects::stateful_set(tier, &script, wanted[0].1);
            self.publish(Kind::StatefulSet, &Change::StatefulSet(set));
            return;
        }
        for (revision, replicas) in &wanted {
            let revision = self.tiers[tier].revisions[*revision as usize];
            let set = objects::replica_set(tier, &script, revision, *replicas);
            self.publish(Kind::ReplicaSet, &Change::ReplicaSet(set));
        }
        let deployment = self.deployment(tier);
        self.publish(Kind::Deployment, &deployment);
    }

    fn deployment(&self, tier: usize) -> Change {
        let all: usize = self.tiers[tier].wanted.iter().map(|(_, replicas)| replicas).sum();
        let updated = self.tiers[tier].wanted.last().map_or(0, |(_, replicas)| *replicas);
        Change::Deployment(objects::deployment(tier, self.tiers[tier].desired, all, updated))
    }

    pub fn scale(&mut self, tier: usize, replicas: usize) {
        if self.tiers[tier].rolling || self.tiers[tier].wanted.is_empty() {
            return;
        }
        self.tiers[tier].desired = replicas;
        self.tiers[tier].history.push((self.now, replicas));
        if let Some(last) = self.tiers[tier].wanted.last_mut() {
            last.1 = replicas;
        }
        self.show_workload(tier);
        self.at(self.now, Event::Reconcile(tier));
    }

    pub fn begin_rollout(&mut self, tier: usize) {
        let known = &self.tiers[tier];
        if self.script.tiers[tier].stateful || known.rolling || known.desired == 0 {
            return;
        }
        let hash = known.revisions.iter().map(|known| known.hash).max().unwrap_or(0) + 1;
        let revision = self.add_revision(tier, hash);
        self.tiers[tier].wanted.push((revision, 0));
        self.tiers[tier].rolling = true;
        self.at(self.now, Event::Roll(tier));
    }

    pub fn add_revision(&mut self, tier: usize, hash: u32) -> u32 {
        let number = u32::try_from(self.tiers[tier].templates.len()).unwrap();
        let revision = Revision { number, hash };
        let template = objects::pod_templates(tier, &self.script.tiers[tier], revision);
        self.tiers[tier].templates.push(template);
        self.tiers[tier].revisions.push(revision);
        number
    }

    /// One more pod of the new revision, one less of the old for each that is up.
    pub fn roll(&mut self, tier: usize) {
        if !self.tiers[tier].rolling {
            return;
        }
        let desired = self.tiers[tier].desired;
        self.tiers[tier].rolled = self.now;
        let newest = self.tiers[tier].wanted.len() - 1;
        let revision = self.tiers[tier].wanted[newest].0;
        let up = self
            .pods
            .values()
            .filter(|pod| pod.tier == tier && pod.revision == revision && pod.owned)
            .filter(|pod| pod.is_available())
            .count();
        let made = (up + 1).min(desired);
        self.tiers[tier].wanted[newest].1 = made;
        let mut left = desired.saturating_sub(up);
        for (_, replicas) in self.tiers[tier].wanted.iter_mut().rev().skip(1) {
            *replicas = left.min(*replicas);
            left = left.saturating_sub(*replicas);
        }
        self.show_workload(tier);
        self.at(self.now, Event::Reconcile(tier));
        if up >= desired {
            self.tiers[tier].rolling = false;
        } else {
            self.at(self.now + SECOND, Event::Roll(tier));
        }
    }

    /// The controller of disruption budgets.
    pub fn look_at_budget(&mut self, tier: usize) {
        let allowed = self.budget_allows(tier);
        let shown = (allowed, self.available(tier), self.healthy_pods(tier));
        if allowed.is_some() && shown != self.tiers[tier].shown {
            self.tiers[tier].shown = shown;
            self.tiers[tier].allowed = allowed;
            self.publish(Kind::Budget, &self.budget(tier, allowed.unwrap_or(0)));
        }
    }

    /// A released pod is healthy, and not expected.
    pub fn budget_allows(&self, tier: usize) -> Option<i32> {
        let least = self.healthy_pods(tier)?;
        Some(i32::try_from(self.available(tier).saturating_sub(least)).unwrap())
    }

    fn healthy_pods(&self, tier: usize) -> Option<usize> {
        Some(self.tiers[tier].desired.saturating_sub(self.tiers[tier].budget?))
    }

    fn budget(&self, tier: usize, allowed: i32) -> Change {
        let least = self.healthy_pods(tier).unwrap_or(0);
        Change::Budget(objects::budget(tier, allowed, self.available(tier), least))
    }

    /// All objects of a kind.
    pub fn objects(&self, kind: Kind) -> Vec<Change> {
        match kind {
            Kind::Node => self.nodes.iter().map(|node| Change::Node(node.watched())).collect(),
            Kind::Pod => {
                let pods = self.pods.values().map(|pod| Change::Pod(self.watched(pod)));
                pods.chain(self.shown_probes()).collect()
            }
            Kind::ReplicaSet | Kind::StatefulSet | Kind::Deployment => (0..self.tiers.len())
                .filter(|tier| self.script.tiers[*tier].stateful == (kind == Kind::StatefulSet))
                .filter(|tier| !self.tiers[*tier].wanted.is_empty())
                .flat_map(|tier| self.workload_objects(kind, tier))
                .collect(),
            Kind::Budget => (0..self.tiers.len())
                .filter_map(|tier| Some((tier, self.tiers[tier].allowed?)))
                .map(|(tier, allowed)| self.budget(tier, allowed))
                .collect(),
            Kind::Namespace => {
                vec![Change::Namespace(objects::namespace(self.namespace_paused))]
            }
            Kind::Policy => self
                .policies
                .iter()
                .filter_map(|policy| policy.object.clone())
                .map(Change::Policy)
                .collect(),
            Kind::Zone => self.zones.values().cloned().map(Change::Zone).collect(),
            _ => Vec::new(),
        }
    }

    fn workload_objects(&self, kind: Kind, tier: usize) -> Vec<Change> {
        let (script, wanted) = (&self.script.tiers[tier], &self.tiers[tier].wanted);
        match kind {
            Kind::StatefulSet => {
                vec![Change::StatefulSet(objects::stateful_set(tier, script, wanted[0].1))]
            }
            Kind::Deployment => vec![self.deployment(tier)],
            _ => wanted
                .iter()
                .map(|(revision, replicas)| {
                    let revision = self.tiers[tier].revisions[*revision as usize];
                    Change::ReplicaSet(objects::replica_set(tier, script, revision, *replicas))
                })
                .collect(),
        }
    }
}
