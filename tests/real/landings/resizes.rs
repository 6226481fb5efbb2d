//! Pods that are resized in place, as a kubelet would show it: nobody else writes the status
//! of pods here.
//!
//! The resize subresource refuses pods whose status shows no sizes, so these come first.

use super::field::Field;
use crate::dice::Dice;
use serde_json::{Value, json};

/// How far a resize is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Asked for, and not yet looked at.
    Asked,
    /// The node has no room for it now.
    Deferred,
    /// The node can never have room for it.
    Infeasible,
    /// Allocated, and not yet what the containers have.
    Allocated,
    /// All that was asked for.
    Done,
}

const STAGES: [Stage; 7] = [
    Stage::Asked,
    Stage::Asked,
    Stage::Deferred,
    Stage::Infeasible,
    Stage::Infeasible,
    Stage::Allocated,
    Stage::Done,
];

/// Whether a container may be resized: that needs requests, and no limits.
fn is_resizable(container: &Value) -> bool {
    let resources = &container["resources"];
    resources["requests"]["cpu"].is_string() && resources["limits"].is_null()
}

/// Whether the pod may be resized at all: its first container may be, and none was before.
fn may_be_resized(pod: &Value) -> bool {
    let statuses = pod["status"]["containerStatuses"].as_array();
    is_resizable(&pod["spec"]["containers"][0])
        && pod["spec"]["resources"].is_null()
        && statuses.is_none_or(Vec::is_empty)
        && !super::field::is_leaving(pod)
}

/// What was allocated to a container, and what it has.
struct Sizes {
    allocated: Value,
    actual: Value,
}

/// The requests of a container after a resize; as they were if it is not resized.
fn resized(dice: &mut Dice, container: &Value) -> Value {
    let mut after = container["resources"]["requests"].clone();
    after["cpu"] = json!(dice.pick(&["10m", "50m", "300m", "1", "1500m", "3"]));
    if after["memory"].is_string() && dice.chance(40) {
        after["memory"] = json!(dice.pick(&["32Mi", "1Gi", "3Gi"]));
    }
    after
}

/// How far a container is, where the pod is at this stage. Containers of a pod get their
/// sizes one after the other: some may have theirs, others not.
fn sizes(dice: &mut Dice, stage: Stage, before: &Value, after: &Value) -> Sizes {
    let (allocated, actual) = match stage {
        Stage::Asked | Stage::Deferred | Stage::Infeasible => (before, before),
        Stage::Allocated if dice.chance(70) => (after, before),
        Stage::Allocated | Stage::Done => (after, after),
    };
    Sizes { allocated: allocated.clone(), actual: actual.clone() }
}

/// Resizes containers of a pod, as far as some stage; false if it cannot be.
pub async fn resize(field: &Field, dice: &mut Dice, namespace: &str, name: &str) -> bool {
    let pod = field.mirror.look(|world| world.get("Pod", namespace, name).cloned());
    let Some(pod) = pod.filter(may_be_resized) else { return false };
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    let containers = pod["spec"]["containers"].as_array().unwrap();
    let before: Vec<Value> =
        containers.iter().map(|container| container["resources"]["requests"].clone()).collect();
    let mut after = before.clone();
    for (at, container) in containers.iter().enumerate() {
        if at == 0 || (is_resizable(container) && dice.chance(60)) {
            after[at] = resized(dice, container);
        }
    }
    let mut stage = dice.pick(&STAGES);
    let as_before: Vec<Sizes> =
        before.iter().map(|size| sizes(dice, Stage::Done, size, size)).collect();
    field.requests.patch(&format!("{path}/status"), &status(&pod, &as_before, None)).await;
    let mut changed = pod["spec"]["containers"].clone();
    for (container, size) in changed.as_array_mut().unwrap().iter_mut().zip(&after) {
        if size.is_object() {
            container["resources"]["requests"] = size.clone();
        }
    }
    let spec = json!({"spec": {"containers": changed}});
    // The API server (1.37) refuses what is more than the node has.
    if !field.requests.patch_if_allowed(&format!("{path}/resize"), &spec).await {
        after.clone_from(&before);
        stage = Stage::Done;
    }
    let pending = match stage {
        Stage::Deferred => Some("Deferred"),
        Stage::Infeasible => Some("Infeasible"),
        Stage::Asked | Stage::Allocated | Stage::Done => None,
    };
    let shown: Vec<Sizes> = before
        .iter()
        .zip(&after)
        .map(|(before, after)| sizes(dice, stage, before, after))
        .collect();
    let status = status(&pod, &shown, pending);
    let written = version(&field.requests.patch(&format!("{path}/status"), &status).await);
    field
        .mirror
        .until("a resize", |world| {
            let seen = world.get("Pod", namespace, name).map(version)?;
            (seen >= written).then_some(())
        })
        .await;
    true
}

/// Versions grow.
fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

/// What a kubelet would write.
fn status(pod: &Value, shown: &[Sizes], pending: Option<&str>) -> Value {
    let containers = pod["spec"]["containers"].as_array().unwrap();
    let statuses: Vec<Value> = containers
        .iter()
        .zip(shown)
        .map(|(container, Sizes { allocated, actual })| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": "",
                "ready": false, "restartCount": 0,
                "allocatedResources": allocated, "resources": {"requests": actual},
            })
        })
        .collect();
    let mut conditions: Vec<Value> =
        pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    if let Some(reason) = pending {
        conditions.push(json!({"type": "PodResizePending", "status": "True", "reason": reason,
            "message": "for the test", "lastTransitionTime": "2026-01-01T00:00:00Z"}));
    }
    json!({"status": {"containerStatuses": statuses, "conditions": conditions}})
}
