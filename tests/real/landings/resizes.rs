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

/// Whether the pod may be resized at all: that needs requests, and no limits.
fn is_resizable(pod: &Value) -> bool {
    let main = &pod["spec"]["containers"][0]["resources"];
    let statuses = pod["status"]["containerStatuses"].as_array();
    main["requests"]["cpu"].is_string()
        && main["limits"].is_null()
        && pod["spec"]["resources"].is_null()
        && statuses.is_none_or(Vec::is_empty)
        && !super::field::is_leaving(pod)
}

/// Resizes the first container of a pod, as far as some stage; false if it cannot be.
pub async fn resize(field: &Field, dice: &mut Dice, namespace: &str, name: &str) -> bool {
    let pod = field.mirror.look(|world| world.get("Pod", namespace, name).cloned());
    let Some(pod) = pod.filter(is_resizable) else { return false };
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    let before = pod["spec"]["containers"][0]["resources"]["requests"].clone();
    let mut after = before.clone();
    after["cpu"] = json!(dice.pick(&["10m", "50m", "300m", "1", "1500m", "3"]));
    if before["memory"].is_string() && dice.chance(40) {
        after["memory"] = json!(dice.pick(&["32Mi", "1Gi", "3Gi"]));
    }
    let stage = dice.pick(&STAGES);
    field.requests.patch(&format!("{path}/status"), &status(&pod, &before, &before, None)).await;
    let mut containers = pod["spec"]["containers"].clone();
    containers[0]["resources"]["requests"] = after.clone();
    let spec = json!({"spec": {"containers": containers}});
    // The API server (1.37) refuses what is more than the node has.
    let stage = if field.requests.patch_if_allowed(&format!("{path}/resize"), &spec).await {
        stage
    } else {
        after.clone_from(&before);
        Stage::Done
    };
    let (allocated, actual, pending) = match stage {
        Stage::Asked => (&before, &before, None),
        Stage::Deferred => (&before, &before, Some("Deferred")),
        Stage::Infeasible => (&before, &before, Some("Infeasible")),
        Stage::Allocated => (&after, &before, None),
        Stage::Done => (&after, &after, None),
    };
    field
        .requests
        .patch(&format!("{path}/status"), &status(&pod, allocated, actual, pending))
        .await;
    field
        .mirror
        .until("a resize", |world| {
            let pod = world.get("Pod", namespace, name)?;
            let shown = &pod["status"]["containerStatuses"][0];
            let is_shown = same(&shown["allocatedResources"], allocated)
                && same(&shown["resources"]["requests"], actual)
                && same(&pod["spec"]["containers"][0]["resources"]["requests"], &after);
            let reason = pending_reason(pod);
            (is_shown && reason.as_deref() == pending).then_some(())
        })
        .await;
    true
}

/// The API server writes quantities in its own way: it is enough that as many are there.
fn same(shown: &Value, sent: &Value) -> bool {
    let keys = |list: &Value| list.as_object().map(|list| list.keys().cloned().collect::<Vec<_>>());
    keys(shown) == keys(sent)
}

fn pending_reason(pod: &Value) -> Option<String> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let pending = conditions.iter().find(|condition| condition["type"] == "PodResizePending")?;
    pending["reason"].as_str().map(str::to_owned)
}

/// What a kubelet would write.
fn status(pod: &Value, allocated: &Value, actual: &Value, pending: Option<&str>) -> Value {
    let statuses: Vec<Value> = pod["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(at, container)| {
            let own = container["resources"]["requests"].clone();
            let (allocated, actual) =
                if at == 0 { (allocated.clone(), actual.clone()) } else { (own.clone(), own) };
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
