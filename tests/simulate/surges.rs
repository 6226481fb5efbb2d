//! Pods that are replaced before they stop: which worlds have that, what happens in the middle
//! of it, and the API server's part.

use crate::consent::Pause;
use crate::dice::Dice;
use crate::objects::{self, HASH, Pod};
use crate::script::{Kind, Millis, Right, SECOND, Script, Trouble};
use crate::world::{Event, World};
use zonespread::api::{MOVE, OWN_DELETION_COST, Strategy};
use zonespread::moves::{ActionError, ActionRequest, PodPatch, Verb};
use zonespread::observe::{DELETION_COST, Kind as Watched, MoveMark};
use zonespread::plan::SurgeRight;

/// Something that happens when so many steps of surges have been made.
#[derive(Clone, Debug)]
pub struct Ambush {
    pub step: u32,
    pub delay: Millis,
    pub what: Surprise,
    pub lasts: Millis,
}

/// What happens to those who surge, or to what they surge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surprise {
    /// The operator that made the step is killed.
    Kill,
    /// All of them are, at once.
    KillAll,
    Right(Right),
    Policy,
    Workload,
    ScaleToZero,
    ScaleDown,
    Rollout,
    Budget,
    /// Pods do not start where the replacement is to go.
    Broken,
    /// The zone that the pod leaves, or the one it goes to, is out.
    Outage(bool),
    Mark,
    DeletePod,
    Pause,
    /// Somebody holds the zone that it goes to.
    Hold,
}

impl Surprise {
    fn draw(dice: &mut Dice) -> Self {
        match dice.below(18) {
            0..=2 => Self::Kill,
            3 => Self::KillAll,
            4 | 5 => Self::Right(dice.pick(&[Right::None, Right::WithoutFence])),
            6 => Self::Policy,
            7 => Self::Workload,
            8 => Self::ScaleToZero,
            9 => Self::ScaleDown,
            10 => Self::Rollout,
            11 => Self::Budget,
            12 => Self::Broken,
            13 => Self::Outage(dice.chance(50)),
            14 => Self::Mark,
            15 => Self::DeletePod,
            16 => Self::Pause,
            _ => Self::Hold,
        }
    }
}

impl Script {
    /// In half of the worlds pods may be released. Drawn apart, so that all else in a world is
    /// as it would be without.
    pub fn draw_surges(&mut self) {
        let dice = &mut Dice::new(self.seed ^ 0x0005_0e6e);
        if !dice.chance(50) {
            return;
        }
        let calm = self.kind.is_calm();
        self.surges = true;
        self.right = if calm || dice.chance(85) { Right::Fenced } else { Right::None };
        if self.right == Right::None && dice.chance(70) {
            // Somebody gives it later.
            let at = dice.below(usize::try_from(self.quiet_from()).unwrap()) as u64;
            self.troubles.push((at, Trouble::Right(Right::Fenced)));
            self.troubles.sort_by_key(|(at, _)| *at);
        }
        for number in 0..self.policies.len() {
            let own = || self.tiers.iter().filter(|tier| tier.policy == number);
            // Where all must come home, nothing is asked for that cannot be done.
            let may_insist = !calm || !own().any(|tier| tier.stateful);
            self.policies[number].strategy = match dice.below(6) {
                0 if may_insist => Strategy::Surge,
                1 => Strategy::Evict,
                _ => Strategy::Auto,
            };
        }
        for tier in &mut self.tiers {
            let surges = !tier.stateful && self.policies[tier.policy].strategy != Strategy::Evict;
            if surges && dice.chance(25) {
                tier.budget = Some(0);
            }
        }
        let most = match self.kind {
            Kind::Outage | Kind::Consent => 0,
            Kind::Crashes => 3,
            Kind::Treachery | Kind::Chaos => 5,
        };
        for _ in 0..dice.between(0, most) {
            let what = if calm { Surprise::Kill } else { Surprise::draw(dice) };
            let lasts = match what {
                Surprise::Kill if calm => dice.pick(&[100, 2_000, 20_000]),
                Surprise::KillAll => dice.pick(&[30, 100, 300]) * SECOND,
                _ => dice.pick(&[1, 5, 20, 60, 200]) * SECOND,
            };
            let delay = dice.pick(&[1, 20, 60, 200, 1_000, 5_000, 20_000]);
            let step = u32::try_from(dice.between(1, 8)).unwrap();
            self.ambushes.push(Ambush { step, delay, what, lasts });
        }
    }

    /// From then on nothing new happens.
    pub fn quiet_from(&self) -> Millis {
        self.end.saturating_sub(if self.kind.is_calm() { 200 } else { 90 } * SECOND)
    }
}

impl World {
    /// When the last trouble that kept operators from seeing what is was over.
    pub fn clear_since(&self) -> Millis {
        let blinds = |(at, trouble): &(Millis, Trouble)| Some(at + trouble.blinds()?);
        let sprung = self.sprung.iter().filter(|(at, _)| *at <= self.now);
        let sprung = sprung.filter_map(blinds).max().unwrap_or(0);
        self.script.clear_since(self.now).max(sprung)
    }

    /// A step of a surge was made: whatever waited for it happens.
    pub fn step_made(&mut self, operator: usize, pod: &Pod, request: &ActionRequest) {
        self.surge_steps += 1;
        let quiet = self.script.quiet_from();
        let due = |ambush: &&Ambush| ambush.step == self.surge_steps;
        for Ambush { delay, what, lasts, .. } in
            self.script.ambushes.iter().filter(due).cloned().collect::<Vec<_>>()
        {
            let begins = self.now + delay;
            if begins >= quiet {
                continue;
            }
            let ends = (begins + lasts).min(quiet).max(begins + 1);
            for (at, trouble) in self.troubles_of(what, operator, pod, request, ends - begins) {
                let at = if at { begins } else { ends };
                self.sprung.push((at, trouble.clone()));
                self.at(at, Event::Trouble(trouble));
            }
        }
    }

    /// What happens at the beginning (true), and at the end.
    fn troubles_of(
        &self,
        what: Surprise,
        operator: usize,
        pod: &Pod,
        request: &ActionRequest,
        lasts: Millis,
    ) -> Vec<(bool, Trouble)> {
        let (tier, policy) = (pod.tier, self.script.tiers[pod.tier].policy);
        let desired = self.tiers[tier].desired.max(1);
        let to = objects::zone_number(&request.zone);
        let both = |first, then| vec![(true, first), (false, then)];
        match what {
            Surprise::Kill => vec![(true, Trouble::Crash(operator, lasts))],
            Surprise::KillAll => (0..self.processes.len())
                .map(|operator| (true, Trouble::Crash(operator, lasts)))
                .collect(),
            Surprise::Right(right) => both(Trouble::Right(right), Trouble::Right(Right::Fenced)),
            Surprise::Policy => both(Trouble::DeletePolicy(policy), Trouble::CreatePolicy(policy)),
            Surprise::Workload => {
                both(Trouble::DeleteWorkload(tier), Trouble::CreateWorkload(tier))
            }
            Surprise::ScaleToZero => both(Trouble::Scale(tier, 0), Trouble::Scale(tier, desired)),
            Surprise::ScaleDown => vec![(true, Trouble::ScaleBy(tier, -1))],
            Surprise::Rollout => vec![(true, Trouble::Rollout(tier))],
            Surprise::Budget => {
                let before = self.tiers[tier].budget;
                both(Trouble::Budget(tier, Some(0)), Trouble::Budget(tier, before))
            }
            Surprise::Broken => both(Trouble::Break(to), Trouble::Mend(to)),
            Surprise::Outage(at_target) => {
                let zone = if at_target { Some(to) } else { self.zone_of(pod) };
                let zone = zone.unwrap_or(to);
                both(Trouble::Cordon(zone), Trouble::Uncordon(zone))
            }
            Surprise::Mark => both(Trouble::Mark(tier, Some(0)), Trouble::Mark(tier, None)),
            Surprise::DeletePod => vec![(true, Trouble::DeletePod(tier))],
            Surprise::Pause => {
                let policy = Pause::Policy(policy);
                both(Trouble::Pause(policy, true), Trouble::Pause(policy, false))
            }
            Surprise::Hold => both(Trouble::Hold(to, Some(lasts)), Trouble::Hold(to, None)),
        }
    }

    /// The cluster's owner of rights looks again, as each operator does now and then.
    pub fn tell_right(&mut self, operator: usize, incarnation: u32) {
        if !self.script.surges {
            return;
        }
        let right = match self.right {
            Right::Fenced => SurgeRight::Proven,
            Right::WithoutFence => SurgeRight::Missing("there is no fence".to_owned()),
            Right::None => SurgeRight::default(),
        };
        if self.lives(operator, incarnation) {
            self.reach(operator, incarnation, Event::Told(operator, incarnation, right));
            self.soon(1_000, 20_000, Event::Prove(operator, incarnation));
        }
    }

    /// A change that must be refused is asked for.
    pub fn try_fence(
        &mut self,
        operator: usize,
        request: &ActionRequest,
    ) -> Result<(), ActionError> {
        match self.right {
            Right::Fenced => {
                self.laws.fence_stands(operator, &request.uid);
                Ok(())
            }
            Right::WithoutFence => Err(ActionError::Forbidden("there is no fence".to_owned())),
            Right::None => Err(ActionError::Forbidden("cannot patch resource pods".to_owned())),
        }
    }

    /// Labels and annotations of a pod are changed.
    pub fn patch(
        &mut self,
        operator: usize,
        incarnation: u32,
        request: &ActionRequest,
        patch: &PodPatch,
        dry_run: bool,
    ) -> Result<(), ActionError> {
        if self.right == Right::None {
            return Err(ActionError::Forbidden("cannot patch resource pods".to_owned()));
        }
        let Some(pod) = self.pods.get(&*patch.pod).cloned() else {
            return Err(ActionError::Gone);
        };
        if patch.uid != *pod.uid {
            return Err(ActionError::Gone);
        }
        let policy = self.script.tiers[pod.tier].policy;
        let is_release = request.verb == Verb::Release;
        if is_release && self.right == Right::Fenced && self.policies[policy].object.is_none() {
            return Err(ActionError::Forbidden("there is no ZoneSpreadPolicy".to_owned()));
        }
        let sets_cost = request.verb == Verb::SetCost;
        if sets_cost && self.right == Right::Fenced && !pod.has_own_cost() {
            return Err(ActionError::Forbidden("the cost is somebody else's".to_owned()));
        }
        let changed = self.changed(&pod, patch);
        if dry_run {
            return Ok(());
        }
        self.tell(|| format!("operator {operator}: {} {}", request.verb.what(false), pod.name));
        if is_release && !pod.released {
            self.judge_beginning(operator, incarnation, request, &pod);
            self.laws.released(&pod, self.deadline(&changed), self.now);
            self.at(self.now + SECOND, Event::Overdue(pod.name.clone(), pod.uid.clone()));
        }
        if pod.released && !changed.released {
            let unwanted = self.is_changed(&pod);
            self.laws.restored(&pod.uid, unwanted, self.now);
        }
        self.change_pod(&pod.name, |pod| *pod = changed);
        if !sets_cost {
            self.soon(10, 200, Event::Reconcile(pod.tier));
            self.step_made(operator, &pod, request);
        }
        Ok(())
    }

    /// The pod as the patch makes it; what the fence forbids is a broken law.
    fn changed(&mut self, pod: &Pod, patch: &PodPatch) -> Pod {
        let mut changed = pod.clone();
        let revision = self.tiers[pod.tier].revisions[pod.revision as usize];
        let hash = objects::hash(revision);
        for (key, value) in &patch.labels {
            if *key != HASH || (*value != hash && *value != objects::released(&hash)) {
                let how = format!("label {key} of {} would become {value}", pod.name);
                self.laws.breaks(6, self.now, how);
            }
            changed.released = *value != hash;
        }
        for (key, value) in &patch.annotations {
            match *key {
                MOVE => changed.note.clone_from(value),
                DELETION_COST => changed.cost.clone_from(value),
                OWN_DELETION_COST => changed.own_cost.clone_from(value),
                _ => {
                    let how = format!("annotation {key} of {} would become {value:?}", pod.name);
                    self.laws.breaks(6, self.now, how);
                }
            }
        }
        let is_own = pod.has_own_cost() && changed.has_own_cost();
        let is_marked = changed.note.is_some() || pod.note.is_some() || is_own;
        if changed.released && changed.note.is_none() || changed.cost != pod.cost && !is_marked {
            self.laws.breaks(6, self.now, format!("{} would be left without a mark", pod.name));
        }
        changed
    }

    fn deadline(&self, pod: &Pod) -> Millis {
        let mark = pod.note.as_deref().and_then(MoveMark::parse);
        mark.map_or(self.now, |mark| objects::millis(mark.deadline))
    }

    /// Whether nobody wants the pod replaced any more, since it was released.
    fn is_changed(&self, pod: &Pod) -> bool {
        let tier = &self.tiers[pod.tier];
        let since = self.laws.released_at(&pod.uid).unwrap_or(0);
        let policy = self.script.tiers[pod.tier].policy;
        let made = self.policies[policy].before.as_ref().is_some_and(|(at, _)| *at >= since);
        tier.history.iter().any(|(at, _)| *at >= since) || tier.rolled >= since || made
    }

    /// A pod that was released is looked at once a second, until it is gone or back.
    pub fn overdue(&mut self, name: &str, uid: &str) {
        let Some(pod) = self.pods.get(name).filter(|pod| pod.uid == uid && pod.released) else {
            return self.laws.release_over(uid);
        };
        if !pod.terminating {
            let pod = pod.clone();
            let hindered = self.hindrance(&pod);
            self.laws.judge_overdue(&pod, hindered, self.now);
        }
        self.at(self.now + SECOND, Event::Overdue(name.to_owned(), uid.to_owned()));
    }

    /// What keeps everybody from ending the surge of a pod, if something does.
    fn hindrance(&self, pod: &Pod) -> Option<&'static str> {
        if self.clear_since() > self.now {
            return Some("nobody can see or act");
        }
        let fault = self.fault.is_some_and(|(_, until)| until > self.now);
        if fault {
            return Some("the API server fails");
        }
        let tier = &self.tiers[pod.tier];
        let hash = |number: u32| tier.revisions[number as usize].hash;
        let has_owner = tier.wanted.iter().any(|(known, _)| hash(*known) == hash(pod.revision));
        if has_owner && self.right == Right::Fenced {
            return None;
        }
        // It cannot be given back: it can only be evicted.
        if pod.mark.is_some() {
            return Some("it is marked");
        }
        if self.budget_allows(pod.tier).is_some_and(|left| left < 1) {
            return Some("its budget allows no eviction");
        }
        if self.available(pod.tier) < tier.desired + usize::from(pod.is_available()) {
            return Some("its tier would lack a pod");
        }
        let nodes_bad = self.nodes.iter().any(|node| !node.is_usable());
        if nodes_bad || !self.laws.zones_rest(pod.tier, self.now) {
            return Some("a zone is out");
        }
        None
    }

    /// Nothing of a surge is left when all has come to rest.
    pub fn judge_left_behind(&mut self) {
        let lasting = |pod: &&Pod| {
            !pod.terminating && (pod.released || pod.note.is_some() || !pod.has_own_cost())
        };
        let left: Vec<Pod> = self.pods.values().filter(lasting).cloned().collect();
        for pod in left {
            let policy = &self.policies[self.script.tiers[pod.tier].policy];
            let status = policy.object.as_ref().and_then(|object| object.status.as_ref());
            let mark = pod.note.as_deref().and_then(MoveMark::parse);
            let moved = mark.map_or_else(|| pod.uid.clone(), |mark| mark.uid);
            let is_told = status.is_some_and(|status| {
                status.moves.iter().any(|known| *known.uid == *moved && known.state.is_under_way())
            });
            // A move that happens to be under way is not at rest.
            if !is_told && self.right == Right::Fenced {
                let how = format!("{} is left behind: {:?}", pod.name, pod.note);
                self.laws.breaks(11, self.now, how);
            }
        }
    }

    // ── Workloads ───────────────────────────────────────────────────────────

    /// A Deployment is deleted, and its pods with it; one that was released is none of them.
    pub fn delete_workload(&mut self, tier: usize) {
        if self.script.tiers[tier].stateful || self.tiers[tier].wanted.is_empty() {
            return;
        }
        self.publish_gone(Watched::Deployment, &objects::app(tier));
        for (number, _) in std::mem::take(&mut self.tiers[tier].wanted) {
            let revision = self.tiers[tier].revisions[number as usize];
            let name = objects::replica_set_name(tier, revision);
            self.publish_gone(Watched::ReplicaSet, &name);
            self.laws.all_replaced((tier, number), self.now);
        }
        let known = &mut self.tiers[tier];
        (known.desired, known.rolling) = (0, false);
        known.history.push((self.now, 0));
        self.discard_pods(|pod| pod.tier == tier && pod.owned);
    }

    /// It is made again from the same template.
    pub fn create_workload(&mut self, tier: usize) {
        if !self.tiers[tier].wanted.is_empty() {
            return;
        }
        let hash = self.tiers[tier].revisions.last().map_or(0, |known| known.hash);
        let number = self.add_revision(tier, hash);
        let replicas = self.script.tiers[tier].replicas;
        let known = &mut self.tiers[tier];
        (known.wanted, known.desired) = (vec![(number, replicas)], replicas);
        known.history.push((self.now, replicas));
        self.laws.made_again(tier, self.now);
        self.show_workload(tier);
        self.at(self.now, Event::Reconcile(tier));
    }

    /// Pods per zone, without those that are about to leave.
    pub fn spread_after(&self, tier: usize) -> Vec<i32> {
        let mut counts = self.spread(tier);
        let leaving = |pod: &&Pod| pod.tier == tier && pod.released && pod.is_counted();
        for pod in self.pods.values().filter(leaving) {
            if let Some(zone) = self.zone_of(pod) {
                counts[zone] -= 1;
            }
        }
        counts
    }
}
