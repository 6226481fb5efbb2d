//! The Zone objects: operators write them, people hold zones with them and delete them.

use crate::laws::Laws;
use crate::objects::{zone_name, zone_number};
use crate::script::Millis;
use crate::world::World;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;
use zonespread::api::{ZoneHold, ZoneObject, ZoneStatus};
use zonespread::observe::{Change, Kind, Name};
use zonespread::operator::ZoneWrite;

impl World {
    /// An operator writes a Zone; the object is made if there is none.
    pub fn write_zone(&mut self, operator: usize, incarnation: u32, write: &ZoneWrite) {
        self.check_hand(operator, incarnation, "a zone");
        let object = self.zones.entry(write.name.to_string()).or_default();
        object.metadata.name = Some(write.name.to_string());
        object.status = Some((*write.status).clone());
        self.show_zone(&write.name);
        let zone = zone_number(&write.status.zone);
        // What one that is dead had on its way comes too late for its successor.
        if self.lives(operator, incarnation) || !self.laws.is_succeeded() {
            self.laws.zone_written(zone, &write.status, self.now);
        }
        self.tell(|| {
            let ZoneStatus { state, outages, proven, usable, .. } = &*write.status;
            format!("  zone {}: {state:?} {usable} outages={outages} proven={proven}", write.name)
        });
    }

    /// What is written of zones.
    pub fn zone_statuses(&self) -> Vec<(Name, Arc<ZoneStatus>)> {
        let status = |(name, object): (&String, &ZoneObject)| {
            Some((Name::from(name.as_str()), Arc::new(object.status.clone()?)))
        };
        self.zones.iter().filter_map(status).collect()
    }

    /// Somebody holds a zone for a while, or releases it.
    pub fn hold(&mut self, zone: usize, lasts: Option<Millis>) {
        let until = lasts.map(|lasts| self.now + lasts);
        let name = zone_name(zone).to_owned();
        let object = self.zones.entry(name.clone()).or_default();
        object.metadata.name = Some(name.clone());
        object.metadata.generation = Some(object.metadata.generation.unwrap_or(0) + 1);
        object.spec.hold = until.map(|until| ZoneHold {
            until: Time(crate::objects::time(until)),
            reason: "it drops packets".to_owned(),
        });
        self.tell(|| format!("zone {name} is held until {until:?}"));
        self.show_zone(&name);
        self.laws.held(zone, until, self.now);
    }

    /// Somebody deletes a Zone, and its hold with it.
    pub fn delete_zone(&mut self, zone: usize) {
        let name = zone_name(zone).to_owned();
        if self.zones.remove(&name).is_some() {
            self.tell(|| format!("Zone {name} is deleted"));
            self.publish_gone(Kind::Zone, &name);
            self.laws.held(zone, None, self.now);
            self.laws.zone_gone(zone);
        }
    }

    fn show_zone(&mut self, name: &str) {
        let object = self.zones[name].clone();
        self.publish(Kind::Zone, &Change::Zone(object));
    }

    /// Law 10: the Zones count the nodes that there are.
    pub fn judge_zones(&mut self) {
        for zone in 0..=self.script.zones.len() {
            let own = || self.nodes.iter().filter(|node| node.zone == zone);
            // Whether such a node is a pool's, depends on who used it when.
            if own().any(|node| node.tainted && node.created.is_some()) {
                continue;
            }
            let counts = (own().filter(|node| node.is_usable()).count(), own().count());
            if counts.1 == 0 {
                continue;
            }
            let told = self.zones.get(zone_name(zone)).and_then(|object| object.status.as_ref());
            let usable = told.map_or_else(String::new, |told| told.usable.clone());
            if usable != format!("{}/{}", counts.0, counts.1) {
                let how =
                    format!("zone {zone} has {counts:?} nodes usable, its object says {usable}");
                self.laws.breaks(10, self.now, how);
            }
        }
    }
}

impl Laws {
    /// Law 1: nothing is evicted while people hold a zone, once whoever asks must have
    /// `heard` of it. A hold ends by the operator's own clock, which may be `ahead`.
    pub fn judge_holds_by_hand(&mut self, heard: Option<Millis>, ahead: Millis, now: Millis) {
        for zone in 0..self.zones.len() {
            let Some((since, until)) = self.zones[zone].held_by_hand() else { continue };
            let lasts = now + ahead < until;
            if lasts && heard.is_some_and(|heard| since < heard) {
                let how = format!("zone {zone} is held by hand since {since} until {until}");
                self.breaks(1, now, how);
            }
        }
    }
}
