//! The mark on a pod whose move starts its replacement before it stops: the state of a
//! surge is on the pod itself, so that whoever leads can end it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::observe::value::name::Labels;

/// The labels by which Deployments and Argo Rollouts tell their `ReplicaSets` apart.
pub const HASH_LABELS: [&str; 2] = ["pod-template-hash", "rollouts-pod-template-hash"];

/// What is appended to the value of such a label: no `ReplicaSet` selects the pod then.
const RELEASED: &str = "-released";

/// What `zonespread.io/move` says: on the pod that is moved, and, while a surge is undone,
/// on its replacement.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct MoveMark {
    /// The policy, in the pod's namespace.
    pub policy: String,
    /// The tier.
    pub tier: String,
    /// The pod that is moved.
    pub pod: String,
    /// Its uid: together with the start it tells one move from another.
    pub uid: String,
    /// The controller that makes the replacement, as `Kind/name`.
    pub owner: String,
    /// The zone that the pod leaves.
    pub from: String,
    /// The zones in which its replacement is expected.
    pub to: Vec<String>,
    /// The label's value before.
    pub hash: String,
    /// When it was decided.
    pub started_at: Timestamp,
    /// When it must be over: the pod is gone, or its `ReplicaSet` has it back.
    pub deadline: Timestamp,
    /// On a replacement that is to go: its `controller.kubernetes.io/pod-deletion-cost` before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost: i32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(cost: &i32) -> bool {
    *cost == 0
}

impl MoveMark {
    /// The mark in the words of the annotation; none if it is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl std::fmt::Display for MoveMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| std::fmt::Error)?)
    }
}

/// The label that ties a pod to its `ReplicaSet`, and its value.
#[must_use]
pub fn hash_label(labels: &Labels) -> Option<(&'static str, &str)> {
    HASH_LABELS.into_iter().find_map(|key| Some((key, labels.get(key)?.as_str())))
}

/// The value that releases a pod.
#[must_use]
pub fn released_hash(hash: &str) -> String {
    format!("{hash}{RELEASED}")
}

/// The value before the pod was released; none if it is not.
#[must_use]
pub fn hash_before(labels: &Labels) -> Option<(&'static str, &str)> {
    let (key, hash) = hash_label(labels)?;
    Some((key, hash.strip_suffix(RELEASED)?))
}

/// The same labels once the pod is released; none if it has no such label, or is released.
#[must_use]
pub fn released_labels(labels: &Labels) -> Option<Labels> {
    let (key, hash) = hash_label(labels)?;
    if hash.ends_with(RELEASED) {
        return None;
    }
    let mut released = labels.clone();
    released.insert(key.to_owned(), released_hash(hash));
    Some(released)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(hash: &str) -> Labels {
        let pairs = [("app", "web"), ("rollouts-pod-template-hash", hash)];
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn a_released_pod_is_known_by_its_label_alone() {
        let before = labels("5d9c");
        let released = released_labels(&before).unwrap();
        assert_eq!(released, labels("5d9c-released"));
        assert_eq!(hash_before(&released), Some(("rollouts-pod-template-hash", "5d9c")));
        assert_eq!((hash_before(&before), released_labels(&released)), (None, None));
        assert_eq!(released_labels(&Labels::new()), None);
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let mark = MoveMark {
            policy: "petclinic".into(),
            tier: "was".into(),
            pod: "was-1".into(),
            uid: "u".into(),
            owner: "ReplicaSet/was-5d9c".into(),
            from: "a".into(),
            to: vec!["c".into()],
            hash: "5d9c".into(),
            started_at: "2026-05-04T08:30:00Z".parse().unwrap(),
            deadline: "2026-05-04T08:36:00Z".parse().unwrap(),
            cost: 0,
        };
        assert_eq!(MoveMark::parse(&mark.to_string()), Some(mark));
        assert_eq!(MoveMark::parse("true"), None);
    }
}
