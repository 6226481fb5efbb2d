//! The zones of a tier, and how they are as it sees them: only nodes count that its pods may
//! use, or that run some of them.
//!
//! Where that makes no difference, a zone is what the cluster's record says. Where it does,
//! such as beside the nodes of another pool, the tier remembers the zone's story itself; the
//! policy's status holds what must survive of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{TierStatus, ZoneHealth, ZoneSpreadPolicyStatus};
use crate::observe::{
    Name, Template, Zone, ZoneMemory, ZoneTracker, several_zones_out, unstable_nodes,
};
use crate::predict::{Eligible, NodeGroups, Scheduler, SeenZone};

use super::tier::{TierView, TierZoneCount};

/// What is known of zones when tiers are looked at.
#[derive(Clone, Copy, Debug)]
pub struct ZoneInput<'a> {
    /// The cluster's record.
    pub tracker: &'a ZoneTracker,
    /// The nodes, in groups.
    pub groups: &'a NodeGroups,
    /// Zones that nodes were taken from or given to, by another label, just now.
    pub regrouped: &'a BTreeSet<Zone>,
    /// Zones whose nodes that have just left were all removed in order.
    pub drained: &'a BTreeSet<Zone>,
    /// What became of moves into zones of late, the oldest first.
    pub landings: &'a [ZoneLanding],
}

/// How a move into a zone ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneLanding {
    /// The zone.
    pub zone: Zone,
    /// The node that the pod is on; none if that is not known.
    pub node: Option<Name>,
    /// When its move began.
    pub began: Timestamp,
    /// When.
    pub at: Timestamp,
    /// Whether the pod became Available.
    pub came_up: bool,
}

/// The zones that are, or were of late, a tier's, and what it remembers of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KnownZones {
    /// None where the cluster's record is right for the tier.
    zones: BTreeMap<Zone, Option<ZoneMemory>>,
    /// What its pods asked of nodes; unknown after a restart.
    templates: Option<Vec<Arc<Template>>>,
}

impl KnownZones {
    /// What a status tells of a tier's zones. `record` is what the Zone objects say.
    #[must_use]
    pub fn restore(
        status: &ZoneSpreadPolicyStatus,
        tier: &TierStatus,
        record: &BTreeMap<Zone, ZoneMemory>,
        hold_down: Duration,
    ) -> Self {
        let zones = tier.zones.iter().map(|known| {
            let zone = Zone::new(&known.name);
            let told = status.zones.iter().find(|told| told.name == known.name);
            let own = told.and_then(|told| ZoneMemory::from_policy(told, hold_down));
            let own = own
                .map(|(_, own)| own)
                .filter(|own| record.get(&zone).is_some_and(|record| tells_more(own, record)));
            (zone, own)
        });
        Self { zones: zones.collect(), templates: None }
    }

    /// When a zone changes by time alone that the tier remembers by itself.
    #[must_use]
    pub fn next_change(&self, hold_down: Duration, now: Timestamp) -> Option<Timestamp> {
        let own = self.zones.values().flatten();
        let changes = own.flat_map(|memory| memory.changes(&[hold_down]).collect::<Vec<_>>());
        changes.filter(|at| *at > now).min()
    }

    /// Whether its pods ask something else of nodes than before: that they may use no node
    /// of a zone is no outage then.
    fn asks_anew(&self, templates: &[Arc<Template>]) -> bool {
        let is_in = |template: &Arc<Template>, all: &[Arc<Template>]| {
            all.iter().any(|known| asks_the_same(known, template))
        };
        self.templates.as_ref().is_some_and(|known| {
            !(known.iter().all(|template| is_in(template, templates))
                && templates.iter().all(|template| is_in(template, known)))
        })
    }
}

fn asks_the_same(one: &Arc<Template>, other: &Arc<Template>) -> bool {
    Arc::ptr_eq(one, other)
        || (one.node_selector == other.node_selector
            && one.tolerations == other.tolerations
            && one.node_affinity == other.node_affinity)
}

/// Whether a status of a policy tells of an outage or return that a zone's record lacks.
/// Both are in whole seconds.
fn tells_more(own: &ZoneMemory, record: &ZoneMemory) -> bool {
    match own.health {
        ZoneHealth::Impaired => {
            record.health == ZoneHealth::Usable
                && record.recovered_at.is_none_or(|at| at < own.since)
        }
        ZoneHealth::Usable => own.recovered_at > record.recovered_at,
        ZoneHealth::Empty => record.health == ZoneHealth::Usable,
    }
}

/// Finds the zones of a tier whose pods are counted, and how each of them is.
pub(super) fn see_zones(
    view: &mut TierView,
    templates: Vec<Arc<Template>>,
    scheduler: &Scheduler<'_>,
    input: ZoneInput<'_>,
    known: Option<&KnownZones>,
    now: Timestamp,
) {
    let mut eligible = input.groups.eligible(scheduler, &templates);
    for pod in view.zones.values().flat_map(|zone| &zone.pods) {
        eligible.add_node_of(scheduler, *pod);
    }
    let seen = eligible.zones();
    let look = Look { scheduler, input, eligible: &eligible, templates: &templates, known, now };
    let mut zones = BTreeMap::new();
    for (zone, record) in input.tracker.iter() {
        let has_pods = view.zones.contains_key(zone);
        let shown = seen.get(zone);
        if !(has_pods || look.is_of_tier(zone, shown)) {
            continue;
        }
        // Its pods there are on virtual nodes, which say nothing of a zone.
        let nodes = shown.map_or(0, |shown| shown.condition.nodes);
        if has_pods && nodes == 0 {
            zones.insert(zone.clone(), None);
            continue;
        }
        let Some((memory, is_own)) = look.memory(zone, record, shown) else { continue };
        let count = view.zones.entry(zone.clone()).or_default();
        zones.insert(zone.clone(), is_own.then(|| memory.clone()));
        count.held = memory.held(now).is_some();
        count.health = Some(memory);
    }
    view.unstable = unstable(&view.zones, &seen, now);
    view.known_zones = KnownZones { zones, templates: Some(templates) };
    view.eligible = Some(Arc::new(eligible));
}

/// A look at the zones of one tier.
struct Look<'a> {
    scheduler: &'a Scheduler<'a>,
    input: ZoneInput<'a>,
    eligible: &'a Eligible,
    templates: &'a [Arc<Template>],
    known: Option<&'a KnownZones>,
    now: Timestamp,
}

impl Look<'_> {
    /// Whether a zone without pods of the tier is one of its zones: there is a node that it
    /// may use, or was of late.
    fn is_of_tier(&self, zone: &Zone, shown: Option<&SeenZone>) -> bool {
        if shown.is_some_and(|shown| shown.condition.nodes > 0) {
            return true;
        }
        // Nobody knows what the nodes were like that are gone.
        let may_use = || {
            let mut templates = self.templates.iter();
            shown.is_none() && templates.any(|template| self.scheduler.may_use_zone(template, zone))
        };
        match self.known {
            None => may_use(),
            Some(known) if known.asks_anew(self.templates) => {
                known.zones.contains_key(zone) && may_use()
            }
            Some(known) => known.zones.contains_key(zone),
        }
    }

    /// How the zone is, and whether only the tier sees it like that; none once it has been
    /// without a node for the tier for so long that it is forgotten.
    fn memory(
        &self,
        zone: &Zone,
        record: &ZoneMemory,
        shown: Option<&SeenZone>,
    ) -> Option<(ZoneMemory, bool)> {
        let own = self.known.and_then(|known| known.zones.get(zone)).cloned().flatten();
        let is_whole = shown.is_none_or(|shown| shown.is_whole);
        if own.is_none() && is_whole {
            return Some((record.clone(), false));
        }
        let mut own = own.unwrap_or_else(|| record.clone());
        own.hold.clone_from(&record.hold);
        own.held_since = record.held_since;
        own.drill(record.is_drilled(), self.now);
        let has_nodes = shown.is_some_and(|shown| shown.condition.nodes > 0);
        if !has_nodes && self.input.drained.contains(zone) {
            own.drain(self.now);
        }
        let is_remembered = own.observe(shown.map(|shown| &shown.condition), self.now);
        if !is_remembered {
            return None;
        }
        if self.input.regrouped.contains(zone) {
            own.regroup(self.now);
        }
        self.learn(zone, &mut own);
        if is_whole && !adds(&own, record, self.now) {
            return Some((record.clone(), false));
        }
        Some((own, true))
    }

    /// What became of pods on the tier's nodes in a zone says how the zone is for it.
    fn learn(&self, zone: &Zone, own: &mut ZoneMemory) {
        for landing in self.input.landings.iter().filter(|landing| landing.zone == *zone) {
            let Some(back) = own.recovered_at else { continue };
            let is_of_tier = |node: &Name| self.eligible.has(self.scheduler, node);
            if landing.at < back || !landing.node.as_ref().is_none_or(is_of_tier) {
                continue;
            }
            if landing.came_up {
                own.prove();
            } else if own.is_doubted_by(landing.began) && landing.at > back {
                own.doubt(landing.at);
            }
        }
    }
}

/// Whether a tier's own memory of a zone is of anything that the record does not tell.
fn adds(own: &ZoneMemory, record: &ZoneMemory, now: Timestamp) -> bool {
    own.health != record.health
        || own.recovered_at > record.recovered_at
        || own.outages_at(now) > record.outages_at(now)
}

/// Why the tier is left alone, whichever of its zones a move would be for.
fn unstable(
    zones: &BTreeMap<Zone, TierZoneCount>,
    seen: &BTreeMap<Zone, SeenZone>,
    now: Timestamp,
) -> Option<String> {
    let known = zones.iter().filter_map(|(zone, count)| Some((zone, count.health.as_ref()?)));
    if let Some(out) = several_zones_out(known, now) {
        return Some(format!(
            "{out}: nothing is evicted from tiers that use them until at most one is"
        ));
    }
    let nodes = seen.values().map(|zone| (zone.condition.nodes, zone.condition.usable));
    unstable_nodes(nodes)
}
