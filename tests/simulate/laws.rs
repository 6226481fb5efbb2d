//! The checker: it knows the laws, and what truly happened, and nothing of how the
//! operator works.

use crate::consent::Consents;
use crate::danger::{Danger, endangered};
use crate::eviction::Eviction;
use crate::holds::ZoneTruth;
use crate::minimum::fewest_moves;
use crate::objects::{Node, Pod, millis, zone_number};
use crate::process::{Call, Reply};
use crate::releases::Releases;
use crate::script::{Kind, Millis, SECOND, Script};
use std::collections::{BTreeMap, BTreeSet};
use zonespread::act::{Answer, Request};
use zonespread::api::{ZoneSpreadPolicyStatus, ZoneState, ZoneStatus};
use zonespread::moves::{ActionError, ActionRequest, Verb};

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
    pub releases: Releases,
    /// Scale-downs of tiers whose pods had deletion costs.
    pub guided_scale_ins: u64,
    hold_downs: Vec<Millis>,
    /// When a zone came back, or was released, as far as operators have said or been told.
    pub last_return: Millis,
    read_at: Millis,
    crashed_at: Millis,
    pub consents: Consents,
    /// Zones that policies said were out, by their first tiers.
    told_out: BTreeSet<(String, usize)>,
}

pub struct TierTruth {
    policy: usize,
    max_unavailable: Option<usize>,
    pub max_skew: i32,
    /// A zone into which the scheduler puts none of its pods.
    closed: Option<usize>,
    pub timeout: Millis,
    pub granted_in_vain: Option<Millis>,
    /// How long an imbalance that no outage explains has to wait.
    pub settle: Millis,
    /// Whether only recoveries are moved.
    pub recovery_only: bool,
    /// When a status last said that it is balanced and at rest.
    pub balanced_at: Option<Millis>,
    /// The fewest moves, when the first was made since something last happened to a zone.
    pub fewest: Option<i32>,
    /// How many were made before that.
    pub made_before: i32,
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
    /// Zones with a node that takes pods.
    open_zones: BTreeSet<usize>,
    nodes_bad: bool,
}

impl Laws {
    pub fn new(script: &Script) -> Self {
        let tier = |tier: &crate::script::TierScript| TierTruth {
            policy: tier.policy,
            max_unavailable: script.policies[tier.policy].max_unavailable,
            max_skew: script.policies[tier.policy].max_skew,
            // Where its pods like the zone that is avoided, they go there up to a point. Those
            // that are steered bear the taint of empty nodes, and respect any other.
            closed: script.avoided.filter(|zone| {
                let steered_past = script.steers && script.avoided_as_empty;
                !tier.hard && tier.likes != Some(*zone) && !steered_past
            }),
            timeout: script.policies[tier.policy].landing_timeout,
            settle: script.policies[tier.policy].settle,
            recovery_only: script.policies[tier.policy].recovery_only,
            balanced_at: None,
            granted_in_vain: None,
            fewest: None,
            made_before: 0,
        };
        Self {
            broken: None,
            danger: Danger::default(),
            evictions: Vec::new(),
            kind: script.kind,
            zones: vec![ZoneTruth::default(); script.zones.len() + 1],
            tiers: script.tiers.iter().map(tier).collect(),
            sights: BTreeMap::new(),
            refused: BTreeMap::new(),
            dry_runs: BTreeSet::new(),
            releases: Releases::default(),
            guided_scale_ins: 0,
            hold_downs: script.policies.iter().map(|policy| policy.hold_down).collect(),
            last_return: 0,
            read_at: 0,
            crashed_at: 0,
            consents: Consents::new(script),
            told_out: BTreeSet::new(),
        }
    }

    pub fn hold_down_of(&self, tier: usize) -> Millis {
        self.hold_downs[self.tiers[tier].policy]
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
        // The last is of another pool alone.
        let tiers_zones = self.zones.len() - 1;
        for (number, zone) in self.zones.iter_mut().enumerate().take(tiers_zones) {
            zone.is_out(is_out(nodes, number, |_| true), now);
            zone.may_be_out(may_be_out(nodes, number), now);
        }
    }

    pub fn down_since(&self, zone: usize) -> Option<Millis> {
        self.zones[zone].out_since()
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
        // What was known of its tiers may be forgotten, too.
        for tier in self.tiers.iter_mut().filter(|tier| tier.policy == policy) {
            tier.balanced_at = None;
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
        if let Some(at) = &shown.recovered_at {
            self.last_return = self.last_return.max(millis(at.0));
        }
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
        self.last_return = self.last_return.max(until.unwrap_or(now));
        self.zones[zone].hold_by_hand(until, now);
    }

    /// A status is stored; nothing kept whoever wrote it from seeing what happened `clear_since`.
    pub fn written(&mut self, status: &ZoneSpreadPolicyStatus, clear_since: Millis, now: Millis) {
        self.judge_discarded(status, clear_since, now);
        self.note_balance(status, now);
        let is_over = self.tell_of_zones(status, now);
        for tier in &status.tiers {
            let number: usize = tier.name.strip_prefix("app").unwrap().parse().unwrap();
            if tier.skew <= tier.max_skew || is_over {
                self.new_chance(number);
            }
            let Some(blocked) = &tier.blocked else { continue };
            for law in endangered(blocked.reason, &blocked.message) {
                self.danger[*law] += 1;
            }
        }
    }

    /// What only the tiers of a policy see of a zone is not in the Zone object; whether an
    /// outage is over.
    fn tell_of_zones(&mut self, status: &ZoneSpreadPolicyStatus, now: Millis) -> bool {
        let Some(policy) = status.tiers.first().map(|tier| tier.name.clone()) else {
            return false;
        };
        let mut is_over = false;
        for told in &status.zones {
            let zone = zone_number(&told.name);
            let known = (policy.clone(), zone);
            if told.state != ZoneState::Impaired {
                is_over |= self.told_out.remove(&known);
            } else if self.zones[zone].may_have_been_out(now) {
                self.told_out.insert(known);
            }
        }
        is_over
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
            self.evictions.iter().filter(|eviction| eviction.tier == tier && eviction.is_missed());
        let under_way = under_way.count();
        let sight = Sight { available, desired, under_way, marked, ..Sight::default() };
        self.sights.insert(seen_for, sight);
    }

    pub fn nodes_read(&mut self, seen_for: &(usize, String), nodes: &[Node]) {
        // Of a zone without nodes that nobody has written of, nobody can know.
        let is_known =
            |zone: usize| !self.zones[zone].forgotten || nodes.iter().any(|node| node.zone == zone);
        // Nor since when a taint is there that nobody has written of.
        let counts = |node: &Node| !node.tainted || !self.zones[node.zone].forgotten;
        let zones = 0..self.zones.len() - 1;
        let zones = zones.map(|zone| is_known(zone) && is_out(nodes, zone, counts));
        let zones = zones.collect();
        let own = || nodes.iter().filter(|node| node.is_counted() && counts(node));
        let (bad, all) = (own().filter(|node| !node.is_usable()).count(), own().count());
        if let Some(sight) = self.sights.get_mut(seen_for) {
            sight.zones_out = Some(zones);
            sight.open_zones =
                nodes.iter().filter(|node| node.is_usable()).map(|node| node.zone).collect();
            sight.nodes_bad = bad > 0 && bad * 100 >= all * 20;
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
        // Part of no move.
        if request.verb == Verb::SetCost {
            return;
        }
        let uid = (operator, incarnation, format!("{:?} {}", request.verb, request.uid));
        let Reply::Act(Answer::Acted(answer)) = reply else { return };
        match answer {
            Ok(()) if *dry_run => drop(self.dry_runs.insert(uid)),
            Err(ActionError::Unknown(_)) => {}
            Err(_) if !request.verb.begins() => {
                self.follow_up_refused(request.verb, &request.uid, now);
            }
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
        self.judge_sight(operator, pod, 0, now);
        self.judge_holds(tier, now);
        self.judge_dry_run((operator, incarnation), request, now);
        if self
            .sights
            .get(&(operator, pod.uid.clone()))
            .is_some_and(|sight| !sight.open_zones.contains(&to))
        {
            self.breaks(
                2,
                now,
                format!("{} is evicted for zone {to}, which has no node", pod.name),
            );
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
        let missing = desired.0.saturating_sub(available.max(seen)) + self.surging(tier);
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
            uid: pod.uid.clone(),
            revision: pod.revision,
            from,
            to,
            replaced: false,
            placed: None,
            placed_at: now,
            helps: None,
            up: None,
            counts: true,
            timeout,
            discarded: None,
            was_lost: false,
            unwritten: false,
            forgotten: false,
            has_twins: false,
            released: request.verb == Verb::Release,
            left: false,
            undone: None,
            given_up: None,
        });
    }

    /// Law 6: what changes something was asked for as a dry run before.
    pub fn judge_dry_run(
        &mut self,
        (operator, incarnation): (usize, u32),
        request: &ActionRequest,
        now: Millis,
    ) {
        let dry_run = (operator, incarnation, format!("{:?} {}", request.verb, request.uid));
        if !self.dry_runs.contains(&dry_run) {
            self.breaks(6, now, format!("{} is evicted without a dry run", request.pod));
        }
    }

    /// Laws 1, 3 and 6, as the operator could see them when it looked. So many pods leave that
    /// were Available besides those wanted.
    pub fn judge_sight(&mut self, operator: usize, pod: &Pod, leaving: usize, now: Millis) {
        let Some(sight) = self.sights.get(&(operator, pod.uid.clone())) else {
            return self.breaks(3, now, format!("{} is evicted without a look", pod.name));
        };
        let missing = sight.desired.0.saturating_sub(sight.available.saturating_sub(leaving));
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

    pub fn judge_holds(&mut self, tier: usize, now: Millis) {
        let hold_down = self.hold_downs[self.tiers[tier].policy];
        for number in 0..self.zones.len() {
            if let Some(how) = self.zones[number].is_held(hold_down, now) {
                self.breaks(1, now, format!("zone {number} {how}"));
            }
        }
    }
}

/// Whether the tiers' zone is out, by the nodes that they may use.
fn is_out(nodes: &[Node], zone: usize, counts: impl Fn(&Node) -> bool) -> bool {
    let own = || nodes.iter().filter(|node| node.zone == zone && node.is_counted() && counts(node));
    let (all, usable) = (own().count(), own().filter(|node| node.is_usable()).count());
    // Whether nodes of which nobody can know whose they are make a zone of the tiers, neither.
    let is_doubtful = all == 0 && nodes.iter().any(|node| node.zone == zone && !node.pool);
    !is_doubtful && usable * 100 <= all * 45
}

/// Whether it is, if all nodes are theirs that may be.
fn may_be_out(nodes: &[Node], zone: usize) -> bool {
    let own = || nodes.iter().filter(|node| node.zone == zone && !node.pool);
    own().filter(|node| node.is_usable()).count() * 100 <= own().count() * 45
}
