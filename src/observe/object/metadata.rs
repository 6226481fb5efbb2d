//! What is read of an object's metadata and conditions.
//!
//! `managedFields` are a third of a pod, and as [`ObjectMeta`] reads them a tree of maps; few
//! annotations are ours, and some hold whole manifests. They are skipped where they stand in
//! the text, so that nothing is allocated for them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// Marks on pods and storage classes that others define.
pub(in crate::observe) const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";
pub(in crate::observe) const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
pub(in crate::observe) const MIRROR: &str = "kubernetes.io/config.mirror";
/// A `ReplicaSet` that has too many pods removes first those with the lowest cost.
pub const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
pub(in crate::observe) const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// Our own annotations begin like this.
const OURS: &str = "zonespread.io/";

fn is_read(annotation: &str) -> bool {
    annotation.starts_with(OURS)
        || [DO_NOT_DISRUPT, SAFE_TO_EVICT, MIRROR, DELETION_COST, DEFAULT_CLASS]
            .contains(&annotation)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Slim {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<Annotations>,
    owner_references: Option<Vec<OwnerReference>>,
}

/// Reads metadata without `managedFields`, finalizers, and annotations that nobody asks for.
///
/// # Errors
/// When it is no metadata.
pub(in crate::observe) fn slim<'de, D: Deserializer<'de>>(from: D) -> Result<ObjectMeta, D::Error> {
    let slim = Slim::deserialize(from)?;
    Ok(ObjectMeta {
        name: slim.name,
        namespace: slim.namespace,
        uid: slim.uid,
        resource_version: slim.resource_version,
        generation: slim.generation,
        creation_timestamp: slim.creation_timestamp,
        deletion_timestamp: slim.deletion_timestamp,
        labels: slim.labels,
        annotations: slim.annotations.map(|annotations| annotations.0),
        owner_references: slim.owner_references,
        ..ObjectMeta::default()
    })
}

/// Those annotations that are read.
struct Annotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Chosen;

        impl<'de> Visitor<'de> for Chosen {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut chosen = BTreeMap::new();
                while let Some(Text(key)) = map.next_key()? {
                    if is_read(&key) {
                        chosen.insert(key.into_owned(), map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Annotations(chosen))
            }
        }

        deserializer.deserialize_map(Chosen)
    }
}

/// A text that is borrowed where it can be.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    last_transition_time: Option<Text<'a>>,
}

/// What is read of all conditions of a pod or node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::observe) struct Conditions {
    /// Since when Ready is True, 1970 where that is not said; none if it is not.
    pub ready_since: Option<Timestamp>,
    /// Why a resize in place has to wait, if one does.
    pub resize_pending: Option<ResizePending>,
}

/// The condition `PodResizePending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::observe) enum ResizePending {
    /// The node can never have the size that is asked for.
    Infeasible,
    /// It cannot now.
    Deferred,
}

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Conditions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("conditions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Conditions, A::Error> {
                let mut conditions = Conditions::default();
                while let Some(condition) = seq.next_element::<Condition<'de>>()? {
                    if conditions.ready_since.is_none()
                        && condition.r#type == "Ready"
                        && condition.status == "True"
                    {
                        conditions.ready_since = Some(time(condition.last_transition_time)?);
                    } else if conditions.resize_pending.is_none()
                        && condition.r#type == "PodResizePending"
                    {
                        let reason = condition.reason.map(|Text(reason)| reason);
                        conditions.resize_pending = Some(match reason.as_deref() {
                            Some("Infeasible") => ResizePending::Infeasible,
                            _ => ResizePending::Deferred,
                        });
                    }
                }
                Ok(conditions)
            }

            /// `conditions: null`
            fn visit_unit<E: de::Error>(self) -> Result<Conditions, E> {
                Ok(Conditions::default())
            }
        }

        deserializer.deserialize_any(List)
    }
}

fn time<E: de::Error>(text: Option<Text<'_>>) -> Result<Timestamp, E> {
    let Some(Text(text)) = text else { return Ok(Timestamp::UNIX_EPOCH) };
    text.parse().map_err(|error| E::custom(format_args!("lastTransitionTime {text}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(metadata: &Value) -> ObjectMeta {
        slim(&mut serde_json::Deserializer::from_str(&metadata.to_string())).unwrap()
    }

    #[test]
    fn of_metadata_only_what_is_asked_for_is_kept() {
        let mut metadata = json!({
            "name": "web-1", "namespace": "shop", "uid": "u", "resourceVersion": "7",
            "generation": 3, "creationTimestamp": "2026-05-04T08:30:00Z",
            "deletionTimestamp": "2026-05-04T08:31:00.5Z",
            "labels": {"app": "web"}, "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "r",
                "controller": true,
            }],
        });
        let whole: ObjectMeta = serde_json::from_value(metadata.clone()).unwrap();
        assert_eq!(read(&metadata), whole);
        metadata["managedFields"] = json!([{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]);
        metadata["finalizers"] = json!(["a/b"]);
        assert_eq!(read(&metadata), whole);
        metadata["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
        assert_eq!(read(&metadata).annotations, Some(BTreeMap::new()));
        metadata["annotations"] = json!({
            "zonespread.io/paused": "true", "karpenter.sh/do-not-disrupt": "true",
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
            "kubernetes.io/config.mirror": "x", "controller.kubernetes.io/pod-deletion-cost": "-1",
            "storageclass.kubernetes.io/is-default-class": "true", "other": "thing \u{e9}",
        });
        let kept = read(&metadata).annotations.unwrap();
        assert_eq!(kept.len(), 6, "{kept:?}");
        assert_eq!(read(&json!({"annotations": null, "labels": null})), ObjectMeta::default());
    }

    #[test]
    fn a_thing_is_ready_since_its_condition_says_so() {
        let ready = |conditions: Value| -> Result<Conditions, serde_json::Error> {
            // From a text and from a value: the one is borrowed, the other is not.
            let told: Result<Conditions, _> = serde_json::from_str(&conditions.to_string());
            let of_value: Result<Conditions, _> = serde_json::from_value(conditions);
            assert_eq!(told.as_ref().ok(), of_value.ok().as_ref());
            told
        };
        let since =
            |conditions| ready(conditions).unwrap().ready_since.map(|since| since.to_string());
        let at = "2026-05-04T08:30:20Z";
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": at, "lastProbeTime": null});
        assert_eq!(since(json!(null)), None);
        assert_eq!(since(json!([condition("ContainersReady", "True")])), None);
        assert_eq!(since(json!([condition("Ready", "Unknown")])), None);
        let both = json!([condition("Initialized", "True"), condition("Ready", "True")]);
        assert_eq!(since(both).as_deref(), Some(at));
        let untimed = json!([{"type": "Ready", "status": "True", "lastTransitionTime": null}]);
        assert_eq!(since(untimed).as_deref(), Some("1970-01-01T00:00:00Z"));
        let bad = json!([{"type": "Ready", "status": "True", "lastTransitionTime": "noon"}]);
        assert!(ready(bad).is_err());
        assert!(ready(json!("Ready")).is_err());
    }

    #[test]
    fn a_resize_that_waits_says_why() {
        let pending = |reason: Value| {
            let conditions = json!([
                {"type": "PodResizePending", "status": "True", "reason": reason},
                {"type": "Ready", "status": "True"},
            ]);
            serde_json::from_value::<Conditions>(conditions).unwrap().resize_pending
        };
        assert_eq!(pending(json!("Infeasible")), Some(ResizePending::Infeasible));
        assert_eq!(pending(json!("Deferred")), Some(ResizePending::Deferred));
        assert_eq!(pending(json!(null)), Some(ResizePending::Deferred));
        assert_eq!(serde_json::from_value::<Conditions>(json!([])).unwrap().resize_pending, None);
    }
}
