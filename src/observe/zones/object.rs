//! Zone objects as the index keeps them: the holds, and what was written last.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{ZoneObject, ZoneStatus, zone_of_object};

use super::health::Hold;
use crate::observe::value::name::Name;
use crate::observe::value::zone::Zone;

/// A Zone object.
#[derive(Clone, Debug)]
pub struct ZoneEntry {
    /// The zone it is for; none if its name is that of none.
    pub zone: Option<Zone>,
    /// The generation of its spec.
    pub generation: Option<i64>,
    /// How people hold the zone.
    pub hold: Option<Hold>,
    /// The status as last seen.
    pub status: Option<Arc<ZoneStatus>>,
}

impl ZoneEntry {
    pub(in crate::observe) fn new(object: ZoneObject) -> (Name, Self) {
        let name = object.metadata.name.unwrap_or_default();
        let hold = object
            .spec
            .hold
            .map(|hold| Hold { until: hold.until.0, reason: Arc::from(hold.reason) });
        let entry = Self {
            zone: zone_of_object(&name).map(|zone| Zone::new(&zone)),
            generation: object.metadata.generation,
            hold,
            status: object.status.map(Arc::new),
        };
        (Name::from(name), entry)
    }
}

/// The zones that people hold.
#[must_use]
pub fn holds_of<'a>(entries: impl IntoIterator<Item = &'a ZoneEntry>) -> BTreeMap<Zone, Hold> {
    entries
        .into_iter()
        .filter_map(|entry| Some((entry.zone.clone()?, entry.hold.clone()?)))
        .collect()
}
