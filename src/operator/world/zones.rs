//! The Zone objects of the small world.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::World;
use crate::api::{ZoneHold, ZoneStatus};
use crate::observe::{Change, Kind};
use crate::operator::ZoneWrite;

impl World {
    pub(super) fn write_zone(&mut self, write: ZoneWrite) {
        let is_written = !self.trouble.zone_writes_fail && !self.trouble.writes_fail;
        if is_written {
            self.zone_writes += 1;
            let object = self.zones.entry(write.name.to_string()).or_default();
            object.metadata.name = Some(write.name.to_string());
            object.status = Some((*write.status).clone());
            let object = object.clone();
            self.operator.apply(Change::Zone(object));
        }
        self.operator.zone_written(&write, is_written && !self.trouble.answers_are_lost, self.now);
    }

    /// `zonespread hold`, or `release` without an end.
    pub fn hold(&mut self, zone: &str, until: Option<Timestamp>) {
        let object = self.zones.entry(zone.to_owned()).or_default();
        object.metadata.name = Some(zone.to_owned());
        let hold = until
            .map(|until| ZoneHold { until: Time(until), reason: "it drops packets".to_owned() });
        object.spec.hold = hold;
        let object = object.clone();
        self.operator.apply(Change::Zone(object));
    }

    /// Somebody deletes a Zone object.
    pub fn delete_zone(&mut self, zone: &str) {
        self.zones.remove(zone);
        self.gone(Kind::Zone, "", zone);
    }

    /// What a Zone object says.
    pub fn zone(&self, zone: &str) -> &ZoneStatus {
        self.zones[zone].status.as_ref().expect("the operator has written it")
    }
}
