//! The nodes' taints over time, and the zones as the tiers see them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::ZoneStatus;
use crate::observe::{Name, PolicyKey, Zone, ZoneEvent, zone_conditions};
use crate::plan::{DEFAULT_HOLD_DOWN, TierSettings, ZoneInput, ZoneLanding};
use crate::predict::NodeGroups;

use super::Operator;

/// For this long a landing may tell how a zone is: no hold-down lasts longer.
const LANDING_TELLS: SignedDuration = SignedDuration::from_hours(6);
/// So many landings are remembered.
const LANDINGS: usize = 1024;

impl Operator {
    /// What tiers are looked at with.
    pub(super) fn zone_input(&self) -> ZoneInput<'_> {
        ZoneInput {
            tracker: &self.zones,
            groups: &self.groups,
            regrouped: &self.regrouped,
            drained: &self.drained,
            landings: &self.landings,
        }
    }

    /// Notes which taints count as new, and counts the nodes of the zones again if that or
    /// the nodes have changed; whether the taints have.
    pub(super) fn note_recent_taints(&mut self, nodes_changed: bool, now: Timestamp) -> bool {
        let is_due = self.taints_due.is_some_and(|due| due <= now);
        if !nodes_changed && !is_due {
            return false;
        }
        let recent = self.taints.recent(now);
        self.taints_due = self.taints.next_change(now);
        let is_news = recent != **self.groups.recent();
        if is_news {
            self.groups = NodeGroups::new(Arc::new(recent));
        }
        let nodes = self.index.cluster().nodes().map(|(node, _)| node);
        self.conditions = zone_conditions(nodes, self.groups.recent());
        is_news
    }

    /// Notes which zones lost nodes only in order: without nodes, they are no outage.
    pub(super) fn note_drained(&mut self, left: BTreeMap<Zone, bool>, now: Timestamp) {
        self.drained = left.into_iter().filter_map(|(zone, all)| all.then_some(zone)).collect();
        for zone in &self.drained {
            if !self.conditions.contains_key(zone) {
                self.zones.on(ZoneEvent::Drained(zone), now);
            }
        }
    }

    /// Takes over what the Zone objects say of taints.
    pub(super) fn restore_taints(&mut self, zones: &[(Name, Arc<ZoneStatus>)], now: Timestamp) {
        let told = |status: &ZoneStatus| Some((Zone::new(&status.zone), status.taints.clone()?));
        let written: BTreeMap<_, _> = zones.iter().filter_map(|(_, status)| told(status)).collect();
        self.taints.observe(self.index.cluster(), now);
        self.taints.restore(written, now);
        self.note_recent_taints(true, now);
    }

    /// The longest hold-down of a policy's tiers.
    pub(super) fn hold_down_of(&self, key: &PolicyKey) -> Duration {
        let Some(policy) = self.index.policy(key) else { return DEFAULT_HOLD_DOWN };
        let tiers = policy.spec.tiers.iter().map(|tier| tier.name.as_str());
        let downs = tiers.chain([""]).map(|tier| TierSettings::of(&policy.spec, tier).hold_down);
        downs.max().unwrap_or(DEFAULT_HOLD_DOWN)
    }

    /// A move into a zone has ended.
    pub(super) fn note_landing(&mut self, landing: ZoneLanding) {
        let now = landing.at;
        if landing.came_up {
            self.openings.proven(&landing.zone);
        }
        self.landings.retain(|known| now.duration_since(known.at) < LANDING_TELLS);
        if self.landings.len() >= LANDINGS {
            self.landings.remove(0);
        }
        self.landings.push(landing);
    }
}
