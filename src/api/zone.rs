//! `Zone`: what is known of an availability zone. The operator writes its status;
//! people write `spec.hold`.

use std::fmt::Write as _;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{ZoneState, schema};

/// An availability zone: a value of the node label `topology.kubernetes.io/zone`.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "zonespread.io",
    version = "v1alpha1",
    kind = "Zone",
    root = "ZoneObject",
    plural = "zones",
    shortname = "zsz",
    status = "ZoneStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "An availability zone, a value of the node label topology.kubernetes.io/zone. The operator makes one object for each zone and writes its status; people write spec.hold.",
    validation = Rule::new(schema::zone_name_rule()).message("metadata.name is the name of the zone; upper case letters, underscores and names that begin with x-- are encoded: let `zonespread hold ZONE` make the object"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(
        name = "Usable",
        type_ = "string",
        json_path = ".status.usable",
        description = "Nodes on which new pods can start, of all"
    ),
    printcolumn(
        name = "Since",
        type_ = "date",
        json_path = ".status.since",
        description = "For how long it has been in this state"
    ),
    printcolumn(
        name = "Outages",
        type_ = "integer",
        json_path = ".status.outages",
        description = "Outages of the last 6 hours"
    ),
    printcolumn(
        name = "Safe-To-Lose",
        type_ = "boolean",
        json_path = ".status.safeToLose",
        description = "Whether every tier of every policy would go on without this zone"
    ),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".status.zone", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct ZoneSpec {
    /// Holds the zone by hand: nothing is evicted from the tiers that use it, as in an
    /// outage. For failures that its nodes do not show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<ZoneHold>,
}

/// A hold by hand.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ZoneHold {
    /// When the hold ends by itself.
    #[serde(deserialize_with = "time_or_never")]
    #[schemars(schema_with = "schema::time")]
    pub until: Time,
    /// Why; shown to the person on call.
    #[schemars(length(min = 1, max = 256))]
    pub reason: String,
}

/// A time that cannot be read never comes: the hold stays until somebody ends it, and
/// does not keep all zones from being read.
fn time_or_never<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Time(text.parse().unwrap_or(Timestamp::MAX)))
}

/// What the operator knows of a zone. Written before an eviction relies on it, and read
/// by the next leader.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct ZoneStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The value of `topology.kubernetes.io/zone`; metadata.name may be an encoding of it.
    #[schemars(length(max = 63))]
    pub zone: String,
    /// Its state: of these the first that applies is Impaired, Held, Suspect, Recovering,
    /// Empty, Ready. Recovering and Suspect last for the longest hold-down of all policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ZoneState>,
    /// What its nodes alone say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<ZoneHealth>,
    /// Why it is not Ready, in a word: `NotReady`, `Cordoned`, `Tainted`, `NoNodes`, or
    /// `HeldByHand`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// One sentence for a human.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// Since when it is in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Outages, each within 6 hours of the one before; each doubles the hold-down.
    pub outages: i32,
    /// When the last outage began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_outage: Option<Time>,
    /// When it came back from the last outage: its hold-down runs from then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Time>,
    /// Whether a moved pod has become Available there since then.
    pub proven: bool,
    /// Whether the first pod moved there since then did not become Available.
    pub suspect: bool,
    /// Since when it has no nodes; kept until one that came since then is usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_nodes_since: Option<Time>,
    /// Usable nodes of all nodes: `3/4`.
    #[schemars(length(max = 32))]
    pub usable: String,
    /// Nodes on which new pods can start. Counts are written at most every 10 s.
    pub usable_nodes: i32,
    /// All nodes.
    pub nodes: i32,
    /// Whether every tier of every policy would go on without this zone; those left out whose
    /// single zone is accepted. None while it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safe_to_lose: Option<bool>,
    /// Taints of the zone's nodes that by themselves are neither a fault nor a pool's, those
    /// that appeared last first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub taints: Option<Vec<ZoneTaint>>,
    /// How it was opened, or was to be, while it had no nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opening: Option<ZoneOpening>,
    /// Ready and Held.
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What became of the probe pods that were to open a zone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ZoneOpening {
    /// Probes in a row that did not open it; each doubles the pause before the next.
    pub failures: i32,
    /// No probe before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Time>,
    /// When a probe was last Ready there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Time>,
    /// Why the last one failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// A taint of nodes in a zone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct ZoneTaint {
    /// Its key.
    #[schemars(length(max = 317))]
    pub key: String,
    /// Its value.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub value: String,
    /// Its effect.
    #[schemars(length(max = 32))]
    pub effect: String,
    /// When it last appeared on a node in use: it is a fault for an hour from then, and then
    /// a pool's. None if it has always been a pool's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// What the nodes of a zone alone say of it.
#[derive(
    Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum ZoneHealth {
    /// More than 45 % of the nodes are usable.
    Usable,
    /// An outage.
    Impaired,
    /// Without nodes for an hour.
    Empty,
}

/// Begins the object names of zones whose own name is not one.
const ENCODED: &str = "x--";

/// The name of the object for a zone. Label values may hold what names of objects may
/// not: then all but lower case letters and digits are written as `-` and two hex digits.
#[must_use]
pub fn zone_object_name(zone: &str) -> String {
    if is_plain(zone) {
        return zone.to_owned();
    }
    let mut name = ENCODED.to_owned();
    for byte in zone.bytes() {
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(name, "-{byte:02x}");
        }
    }
    name
}

/// The zone that the object of this name is for; none if it is for none.
#[must_use]
pub fn zone_of_object(name: &str) -> Option<String> {
    let Some(encoded) = name.strip_prefix(ENCODED) else {
        return is_plain(name).then(|| name.to_owned());
    };
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'-' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*byte);
        }
    }
    let zone = String::from_utf8(bytes).ok()?;
    // One name for each zone, and no other; an empty label is no zone.
    (!zone.is_empty() && zone_object_name(&zone) == name).then_some(zone)
}

/// Whether a zone's name is that of its object, too: a DNS subdomain.
fn is_plain(zone: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(allowed)
    };
    zone.len() <= 63 && !zone.starts_with(ENCODED) && zone.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("eu-west-2a", "eu-west-2a")]
    #[case("rack1.row2", "rack1.row2")]
    #[case("Zone_A", "x---5aone-5f-41")]
    #[case("a.-b", "x--a-2e-2db")]
    #[case("x--a", "x--x-2d-2da")]
    fn a_zone_has_an_object_name_that_tells_it(#[case] zone: &str, #[case] name: &str) {
        assert_eq!(zone_object_name(zone), name);
        assert_eq!(zone_of_object(name).as_deref(), Some(zone));
    }

    #[rstest]
    #[case("x--a")]
    #[case("x--")]
    #[case("x---5")]
    #[case("x---ff")]
    #[case("x---5Aone")]
    #[case("a..b")]
    fn a_name_that_no_zone_has_is_for_none(#[case] name: &str) {
        assert_eq!(zone_of_object(name), None);
    }

    proptest! {
        #[test]
        fn every_label_value_has_a_valid_name_of_its_own(
            zone in "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?",
        ) {
            let name = zone_object_name(&zone);
            prop_assert!(name.len() <= 253);
            let is_label = |label: &str| {
                let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
                ends(label.bytes().next()) && ends(label.bytes().last())
            };
            prop_assert!(name.split('.').all(is_label), "{}", name);
            prop_assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_'));
            prop_assert_eq!(zone_of_object(&name), Some(zone));
        }
    }

    #[test]
    fn a_hold_whose_end_cannot_be_read_does_not_end_by_itself() {
        let read = |until: &str| -> ZoneHold {
            serde_json::from_value(serde_json::json!({"until": until, "reason": "r"})).unwrap()
        };
        assert_eq!(read("2026-01-02T03:04Z").until.0.to_string(), "2026-01-02T03:04:00Z");
        assert_eq!(read("tomorrow").until.0, Timestamp::MAX);
    }
}
