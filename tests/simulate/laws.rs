//! The checker: it knows the laws, and what truly happened, and nothing of how the
//! operator works.

use crate::consent::Consents;
use crate::danger::{Danger, endangered};
use crate::eviction::Eviction;
use crate::holds::ZoneTruth;
use crate::minimum::fewest_moves;
use crate::objects::{Node, Pod, zone_number};
use crate::process::{Call, Reply};
use crate::script::{Kind, Millis, SECOND, Script};
use std::collections::{BTreeMap, BTreeSet};
use zonespread::act::{Answer, Request};
use zonespread::api::{ZoneSpreadPolicyStatus, ZoneStatus};
use zonespread::moves::{ActionError, ActionRequest};

/// A law that was broken.
#[derive(Clone, Debug)]
pub struct Broken {
    pub law: usize,
    pub at: Millis,
    pub how: String,
}

pub struct Laws {
    pub broken: Option<Broken>,
    pub danger: Danger,
    pub evictions: Vec<Eviction>,
    kind: Kind,
    pub zones: Vec<ZoneTruth>,
    pub tiers: Vec<TierTruth>,
    /// By operator and the pod that it looked for: it does so for several at once.
    sights: BTreeMap<(usize, String), Sight>,
    refused: BTreeMap<String, Millis>,
    dry_runs: BTreeSet<(usize, u32, String)>,
    hold_downs: Vec<Millis>,
    read_at: Millis,
    crashed_at: Millis,
    pub consents: Consents,
}

pub struct TierTruth {
    policy: usize,
    max_unavailable: Option<usize>,
    pub max_skew: i32,
    /// A zone into which the scheduler puts none of its pods.
    closed: Option<usize>,
    timeout: Millis,
    granted_in_vain: Option<Millis>,
    /// The fewest moves, when the first was made.
    pub fewest: Option<i32>,
}

impl TierTruth {
    fn fewest_moves(&self, spread: &[i32]) -> i32 {
        fewest_moves(spread, self.max_skew, self.closed)
    }
}

/// What an operator saw when it last looked.
#[derive(Default)]
struct Sight {
    available: usize,
    desired: (usize, usize),
    under_way: usize,
    marked: BTreeSet<String>,
    zones_out: Option<Vec<bool>>,
    nodes_bad: bool,
}

impl Laws {
    pub fn new(script: &Script) -> Self {
        let tier = |tier: &crate::script::TierScript| TierTruth {
            policy: tier.policy,
            max_unavailable: script.policies[tier.policy].max_unavailable,
            max_skew: script.policies[tier.policy].max_skew,
            closed: script.avoided.filter(|_| !tier.hard),
            timeout: script.policies[tier.policy].landing_timeout,
            granted_in_vain: None,
            fewest: None,
        };
        Self {
            broken: None,
            danger: Danger::default(),
            evictions: Vec::new(),
            kind: script.kind,
            zones: vec![ZoneTruth::default(); script.zones.len()],
            tiers: script.tiers.iter().map(tier).collect(),
            sights: BTreeMap::new(),
            refused: BTreeMap::new(),
            dry_runs: BTreeSet::new(),
            hold_downs: script.policies.iter().map(|policy| policy.hold_down).collect(),
            read_at: 0,
            crashed_at: 0,
            consents: Consents::new(script),
        }
    }

    pub fn is_calm(&self) -> bool {
        self.kind.is_calm()
    }

    pub fn breaks(&mut self, law: usize, at: Millis, how: String) {
        if self.broken.is_none() {
            self.broken = Some(Broken { law, at, how });
        }
    }

    // ── What truly happens ──────────────────────────────────────────────────

    pub fn zones_are(&mut self, nodes: &[Node], now: Millis) {
        for (number, zone) in self.zones.iter_mut().enumerate() {
            zone.is_out(is_out(nodes, number), now);
        }
    }

    pub fn down_since(&self, zone: usize) -> Option<Millis> {
        self.zones[zone].out_since()
    }

    /// The eviction that a new pod makes up for: a StatefulSet's pod is known by its
    /// name, others come in the order in which those before them left.
    pub fn replaced(&mut self, tier: usize, name: Option<&str>, now: Millis) -> Option<usize> {
        let find = |fits: &dyn Fn(&Eviction) -> bool| {
            self.evictions.iter().position(|eviction| {
                let is_of = name.is_none_or(|name| eviction.pod == name);
                eviction.tier == tier && is_of && fits(eviction)
            })
        };
        // Who wanted fewer pods and wants more again makes the one that is still awaited.
        let at = find(&|eviction| !eviction.replaced)
            .or_else(|| find(&|eviction| eviction.discarded && !eviction.is_late(now)))?;
        let eviction = &mut self.evictions[at];
        eviction.replaced = true;
        if std::mem::take(&mut eviction.discarded) {
            (eviction.placed, eviction.helps) = (None, None);
        }
        Some(at)
    }

    /// A ReplicaSet has as many pods as it wants: who has not been replaced by now was one too
    /// many, and no later pod makes up for it.
    pub fn all_replaced(&mut self, tier: usize) {
        let of_tier = self.evictions.iter_mut().filter(|eviction| eviction.tier == tier);
        for eviction in of_tier.filter(|eviction| !eviction.replaced) {
            (eviction.replaced, eviction.discarded) = (true, true);
        }
    }

    /// Their replacements were made with other pods.
    pub fn have_twins(&mut self, evictions: &[usize]) {
        for eviction in evictions {
            self.evictions[*eviction].has_twins = true;
        }
    }

    /// A replacement is gone before it came up: the next pod makes up for the eviction.
    pub fn lost(&mut self, eviction: usize) {
        self.evictions[eviction].replaced &= self.evictions[eviction].up.is_some();
    }

    /// A replacement is gone before it came up, and nobody makes up for it.
    pub fn discarded(&mut self, eviction: usize) {
        self.evictions[eviction].discarded = self.evictions[eviction].up.is_none();
    }

    /// Worth it if the zone that got the pod has now no more than the one that gave it.
    pub fn helps(&self, eviction: usize, zone: usize, spread: &[i32]) -> bool {
        let from = self.evictions[eviction].from;
        from != Some(zone) && spread[zone] <= from.map_or(0, |from| spread[from]) + 1
    }

    /// A replacement was placed; `spread` counts it already.
    pub fn placed(&mut self, eviction: usize, zone: usize, spread: &[i32], now: Millis) {
        let helps = self.helps(eviction, zone, spread);
        let eviction = &mut self.evictions[eviction];
        if eviction.helps.is_none() {
            eviction.helps = Some(helps);
            eviction.placed = Some(zone);
        }
        let tier = eviction.tier;
        // Where nothing else happens, every replacement goes where it was predicted to.
        if self.is_calm() && !helps {
            let how = format!("tier {tier} gets a pod in zone {zone}, where it does not help");
            self.breaks(2, now, how);
        }
        self.count_futile(tier, now);
    }

    pub fn came_up(&mut self, eviction: usize, zone: usize, now: Millis) {
        self.evictions[eviction].up = Some((zone, now));
        self.zones[zone].is_proven(now);
    }

    /// An eviction was granted of a pod that somebody had deleted already: to whoever
    /// asked for it, that pod's replacement is the move's.
    pub fn granted_in_vain(&mut self, tier: usize, now: Millis) {
        self.tiers[tier].granted_in_vain = Some(now);
    }

    /// A pod came up that makes up for none. A StatefulSet's may have the name of one that
    /// was moved, and be taken for the replacement, if that was lost before it was seen.
    pub fn came_up_besides(&mut self, tier: usize, name: &str, zone: usize, now: Millis) {
        let TierTruth { granted_in_vain, timeout, .. } = &self.tiers[tier];
        if granted_in_vain.is_some_and(|at| now < at + timeout) {
            self.zones[zone].is_proven(now);
        }
        let is_awaited = |eviction: &&Eviction| eviction.pod == name && !eviction.is_over(now);
        if let Some(at) = self.evictions.iter().rposition(|eviction| is_awaited(&eviction)) {
            self.came_up(at, zone, now);
        }
    }

    /// Law 5.
    pub fn count_futile(&mut self, tier: usize, now: Millis) {
        let futile = self
            .evictions
            .iter()
            .filter(|eviction| eviction.tier == tier && eviction.counts && eviction.is_futile(now))
            .count();
        if futile > 3 {
            self.breaks(
                5,
                now,
                format!("{futile} futile evictions of tier {tier} in one recovery"),
            );
        }
    }

    fn new_chance(&mut self, tier: usize) {
        for eviction in self.evictions.iter_mut().filter(|eviction| eviction.tier == tier) {
            eviction.counts = false;
        }
    }

    pub fn policy_changed(&mut self, policy: usize, script: &Script) {
        for (tier, _) in script.tiers.iter().enumerate().filter(|(_, tier)| tier.policy == policy) {
            self.new_chance(tier);
            self.refused.remove(&format!("app{tier}"));
        }
    }

    pub fn policy_gone(&mut self, policy: usize) {
        for eviction in &mut self.evictions {
            eviction.unwritten |= self.tiers[eviction.tier].policy == policy;
        }
    }

    // ── What operators see and say ──────────────────────────────────────────

    /// A new leader knows what these policies know.
    pub fn policies_read(&mut self, now: Millis) {
        self.read_at = now;
        for zone in &mut self.zones {
            zone.read();
        }
        for eviction in &mut self.evictions {
            eviction.forgotten |= eviction.unwritten;
        }
        // What the API server refused is not written down: it may be asked once more.
        self.refused.clear();
    }

    /// Whether somebody has read all policies since the last crash.
    pub const fn is_succeeded(&self) -> bool {
        self.read_at > self.crashed_at
    }

    pub fn crashed(&mut self, now: Millis) {
        self.crashed_at = now;
        let moving = self.evictions.iter().any(|eviction| eviction.is_under_way(now));
        let held = self.zones.iter().any(|zone| zone.needs_canary().is_some());
        self.danger[7] += u64::from(moving || held);
    }

    /// What a Zone object says now.
    pub fn zone_written(&mut self, zone: usize, shown: &ZoneStatus, now: Millis) {
        if self.zones[zone].written(shown, now) {
            for tier in 0..self.tiers.len() {
                self.new_chance(tier);
            }
        }
    }

    pub fn zone_gone(&mut self, zone: usize) {
        self.zones[zone].object_gone();
    }

    /// People hold a zone until then, or release it.
    pub fn held(&mut self, zone: usize, until: Option<Millis>, now: Millis) {
        self.zones[zone].hold_by_hand(until, now);
    }

    pub fn written(&mut self, status: &ZoneSpreadPolicyStatus) {
        for tier in &status.tiers {
            let number: usize = tier.name.strip_prefix("app").unwrap().parse().unwrap();
            if tier.skew <= tier.max_skew {
                self.new_chance(number);
            }
            let Some(blocked) = &tier.blocked else { continue };
            for law in endangered(blocked.reason, &blocked.message) {
                self.danger[*law] += 1;
            }
        }
    }

    pub fn pods_read(
        &mut self,
        seen_for: (usize, String),
        tier: usize,
        available: usize,
        desired: (usize, usize),
        marked: BTreeSet<String>,
    ) {
        let under_way =
            self.evictions.iter().filter(|eviction| eviction.tier == tier && eviction.up.is_none());
        let under_way = under_way.count();
        let sight = Sight { available, desired, under_way, marked, ..Sight::default() };
        self.sights.insert(seen_for, sight);
    }

    pub fn nodes_read(&mut self, seen_for: &(usize, String), nodes: &[Node]) {
        // Of a zone without nodes that nobody has written of, nobody can know.
        let is_known =
            |zone: usize| !self.zones[zone].forgotten || nodes.iter().any(|node| node.zone == zone);
        let zones = (0..self.zones.len()).map(|zone| is_known(zone) && is_out(nodes, zone));
        let zones = zones.collect();
        let bad = nodes.iter().filter(|node| !node.is_usable()).count();
        if let Some(sight) = self.sights.get_mut(seen_for) {
            sight.zones_out = Some(zones);
            sight.nodes_bad = bad > 0 && bad * 100 >= nodes.len() * 20;
        }
    }

    /// Law 8.
    pub fn hand(&mut self, who: &str, holder: Option<&str>, what: &str, now: Millis) {
        if let Some(holder) = holder.filter(|holder| !holder.is_empty() && *holder != who) {
            // A process and its successor are not two: the one is dead.
            let other = holder.split('-').next() != who.split('-').next();
            if other {
                self.breaks(8, now, format!("{who} writes {what} while {holder} holds the lease"));
            }
        }
    }

    /// Law 6: refused requests are not repeated within a minute.
    pub fn answered(
        &mut self,
        operator: usize,
        incarnation: u32,
        call: &Call,
        reply: &Reply,
        now: Millis,
    ) {
        let Call::Act(request, _) = call else { return };
        let Request::Act { request, dry_run } = &**request else { return };
        let uid = (operator, incarnation, request.uid.to_string());
        let Reply::Act(Answer::Acted(answer)) = reply else { return };
        match answer {
            Ok(()) if *dry_run => drop(self.dry_runs.insert(uid)),
            Err(
                ActionError::Budget(_) | ActionError::Forbidden(_) | ActionError::Throttled { .. },
            ) => {
                let last = self.refused.insert(request.tier.to_string(), now);
                if let Some(last) = last.filter(|last| now < last + 55 * SECOND) {
                    let how = format!(
                        "{} was refused {} ms ago, and is asked again",
                        request.tier,
                        now - last
                    );
                    self.breaks(6, now, how);
                }
            }
            _ => {}
        }
    }

    #[allow(clippy::too_many_arguments, reason = "all that is known of an eviction")]
    pub fn evicted(
        &mut self,
        operator: usize,
        incarnation: u32,
        request: &ActionRequest,
        pod: &Pod,
        from: Option<usize>,
        spread: &[i32],
        (available, desired): (usize, (usize, usize)),
        now: Millis,
    ) {
        let tier = pod.tier;
        let to = zone_number(&request.zone);
        self.judge_sight(operator, pod, now);
        self.judge_holds(tier, now);
        if !self.dry_runs.contains(&(operator, incarnation, pod.uid.clone())) {
            self.breaks(6, now, format!("{} is evicted without a dry run", pod.name));
        }
        if from == Some(to) {
            self.breaks(2, now, format!("{} is evicted for its own zone", pod.name));
        }
        if desired.1 <= 1 {
            self.breaks(3, now, format!("{} is a single replica", pod.name));
        }
        let own = self.tiers[tier].max_unavailable;
        let most = own.unwrap_or(match desired.1 {
            0..=3 => 1,
            many => (many / 10).max(2),
        });
        // What fails between the look and the eviction nobody could know.
        let seen_for = (operator, pod.uid.clone());
        let seen = self.sights.remove(&seen_for).map_or(0, |sight| sight.available);
        let missing = desired.0.saturating_sub(available.max(seen));
        if missing + 1 > most {
            let how = format!("{} pods of tier {tier} are away, {most} may", missing + 1);
            self.breaks(3, now, how);
        }
        self.judge_canary(to, now);
        if self.tiers[tier].fewest.is_none() {
            self.tiers[tier].fewest = Some(self.tiers[tier].fewest_moves(spread));
        }
        let timeout = self.tiers[tier].timeout;
        self.evictions.push(Eviction {
            at: now,
            tier,
            pod: pod.name.clone(),
            from,
            to,
            replaced: false,
            placed: None,
            helps: None,
            up: None,
            counts: true,
            timeout,
            discarded: false,
            unwritten: false,
            forgotten: false,
            has_twins: false,
        });
    }

    /// Laws 1, 3 and 6, as the operator could see them when it looked.
    fn judge_sight(&mut self, operator: usize, pod: &Pod, now: Millis) {
        let Some(sight) = self.sights.get(&(operator, pod.uid.clone())) else {
            return self.breaks(3, now, format!("{} is evicted without a look", pod.name));
        };
        let missing = sight.desired.0.saturating_sub(sight.available);
        let whole = missing <= sight.under_way;
        let marked = sight.marked.contains(&pod.uid);
        let Some(zones_out) = sight.zones_out.clone() else {
            return self.breaks(1, now, format!("{} is evicted without a look at nodes", pod.name));
        };
        let (nodes_bad, under_way) = (sight.nodes_bad, sight.under_way);
        if !whole {
            let how =
                format!("tier {} misses {missing} pods, {under_way} of them moving", pod.tier);
            self.breaks(3, now, how);
        }
        if marked {
            self.breaks(6, now, format!("{} is marked", pod.name));
        }
        if nodes_bad || zones_out.iter().filter(|out| **out).count() >= 2 {
            self.breaks(1, now, format!("{} is evicted from an unstable cluster", pod.name));
        }
        if let Some(zone) = zones_out.iter().position(|out| *out) {
            self.breaks(1, now, format!("{} is evicted while zone {zone} is out", pod.name));
        }
    }

    fn judge_holds(&mut self, tier: usize, now: Millis) {
        let hold_down = self.hold_downs[self.tiers[tier].policy];
        for number in 0..self.zones.len() {
            if let Some(how) = self.zones[number].is_held(hold_down, now) {
                self.breaks(1, now, format!("zone {number} {how}"));
            }
        }
    }

    /// Law 9.
    fn judge_canary(&mut self, to: usize, now: Millis) {
        let Some(from) = self.zones[to].needs_canary() else { return };
        let first = self.evictions.iter().find(|eviction| {
            eviction.to == to
                && !eviction.forgotten
                && !eviction.has_twins
                && eviction.at >= from
                && eviction.placed.is_none_or(|zone| zone == to)
                && eviction.is_under_way(now)
        });
        if let Some(first) = first {
            let how = format!("a second pod goes to zone {to}, the first left at {}", first.at);
            self.breaks(9, now, how);
        }
    }
}

fn is_out(nodes: &[Node], zone: usize) -> bool {
    let all = nodes.iter().filter(|node| node.zone == zone).count();
    let usable = nodes.iter().filter(|node| node.zone == zone && node.is_usable()).count();
    usable * 100 <= all * 45
}
