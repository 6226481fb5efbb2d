//! Schemas that the derive cannot express: every string and list bounded, so
//! that the API server can bound the cost of the CEL rules.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::duration::{DurationBounds, MAX_LENGTH, PATTERN as DURATION};

/// A label selector of pods, bounded.
pub fn selector(_: &mut SchemaGenerator) -> Schema {
    selector_of("pod")
}

/// A label selector of policies, bounded.
pub fn policy_selector(_: &mut SchemaGenerator) -> Schema {
    selector_of("policy")
}

fn selector_of(what: &str) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "type": "object",
                "description": format!("Labels that a {what} must carry, all of them."),
                "maxProperties": 32,
                "additionalProperties": {"type": "string", "maxLength": 63},
            },
            "matchExpressions": {
                "type": "array",
                "description": format!("Requirements that a {what} must meet, all of them."),
                "maxItems": 32,
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"type": "string", "description": "The label key.", "minLength": 1, "maxLength": 317},
                        "operator": {"type": "string", "enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
                        "values": {
                            "type": "array",
                            "description": "The values, for In and NotIn.",
                            "maxItems": 64,
                            "items": {"type": "string", "maxLength": 63},
                        },
                    },
                },
            },
        },
    })
}

/// A label key: an optional DNS prefix, a slash, and a name.
pub fn label_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 317,
        "pattern": LABEL_KEY,
    })
}

const LABEL_KEY: &str =
    "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
const CRON: &str = "^[0-9A-Za-z*,/#-]+( +[0-9A-Za-z*,/#-]+){4}$";
const TIME_ZONE: &str = "^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$";

/// The CEL rule behind a message about label keys; a pattern cannot have one.
pub fn label_key_rule() -> String {
    format!("self.matches('{LABEL_KEY}')")
}

/// The CEL rule behind a message about durations, and their bounds.
pub fn duration_rule(bounds: DurationBounds) -> String {
    let DurationBounds { least, most } = bounds;
    format!(
        "self.matches('{DURATION}') && duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"
    )
}

/// A Go-style duration such as `90s` or `1h30m`.
pub fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": MAX_LENGTH,
        "pattern": DURATION,
    })
}

/// A cron schedule of five fields, by its letters; the operator reads the rest.
pub fn cron(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 128,
        "pattern": CRON,
    })
}

/// The CEL rule behind a message about schedules.
pub fn cron_rule() -> String {
    format!("self.matches('{CRON}')")
}

/// The name of a time zone, by its letters; the operator knows which there are.
pub fn time_zone(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 64,
        "pattern": TIME_ZONE,
    })
}

/// The CEL rule behind a message about time zones.
pub fn time_zone_rule() -> String {
    format!("self.matches('{TIME_ZONE}')")
}

/// A number from 1 to 10000, or a percentage from 1% to 100%.
pub fn int_or_percent(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "minimum": 1,
        "maximum": MOST_PODS,
        "maxLength": 4,
        "pattern": "^(100|[1-9][0-9]?)%$",
    })
}

const MOST_PODS: i32 = 10_000;

/// The CEL rule behind a message about numbers and percentages.
///
/// Kubernetes 1.33 estimates costs as if a string that may be a number, too,
/// were as long as a request, whatever its `maxLength`. Whatever reads the
/// string (`matches`, `string()`, even `type(self) == int`) exceeds the budget
/// in the list of tiers, and the API server refuses the CRD. The cost of `in`
/// depends only on the list.
pub fn int_or_percent_rule() -> String {
    let percentages: Vec<String> = (1..=100).map(|number| format!("'{number}%'")).collect();
    format!(
        "type(self) in [int] ? self >= 1 && self <= {MOST_PODS} : self in [{}]",
        percentages.join(", ")
    )
}

/// Conditions, merged by type under server-side apply.
pub fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let items =
        generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>();
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// A time in RFC 3339, with its offset; a CEL-free pattern, since the API server's
/// `date-time` takes more than that.
pub fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "format": "date-time",
        "maxLength": 40,
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$",
    })
}

/// The CEL rule behind a message about the names of Zones.
pub fn zone_name_rule() -> &'static str {
    "self.metadata.name.startsWith('x--') ? self.metadata.name.matches('^x--([a-z0-9]|-[0-9a-f]{2})+$') : size(self.metadata.name) <= 63"
}
