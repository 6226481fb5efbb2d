//! Whether anything but the landing happened: what a prediction was made from is
//! compared with what the API server lists afterwards.
//!
//! The test and the scheduler each hear of pods, nodes, claims … by watches that
//! keep no order among each other. A landing counts only if the objects that it
//! was predicted from were still the same when it was over: then the scheduler
//! cannot have seen others.

use super::requests::Requests;
use super::world::{KINDS, Objects, pruned};
use serde_json::Value;

/// Everything that there is now, afresh.
pub async fn listed(requests: &Requests) -> Objects {
    let lists = KINDS.iter().map(async |(kind, path)| {
        let objects = requests.list(path).await;
        objects.into_iter().map(|object| (*kind, object)).collect::<Vec<_>>()
    });
    futures::future::join_all(lists).await.into_iter().flatten().collect()
}

/// What else happened to a cluster in which one pod was to be replaced by
/// another: the first thing found, for a human.
pub fn disturbance(before: &Objects, after: &Objects, evicted: &Value) -> Option<String> {
    let mut newcomers = 0;
    for (kind, object) in after.iter() {
        let known = before.same(kind, object);
        match (kind, known) {
            ("Pod", None) if is_like(object, evicted) => newcomers += 1,
            ("Node" | "Pod" | "Service" | "Namespace", None) => {
                return Some(told(kind, object, "came"));
            }
            (_, Some(known)) if uid(known) != uid(evicted) && differs(kind, known, object) => {
                return Some(told(kind, object, "changed"));
            }
            _ => {}
        }
    }
    // One without a node was given up: nobody minded it.
    // One of negative priority may have given way.
    let assigned = |kind: &str, object: &Value| {
        kind != "Pod"
            || (object["spec"]["nodeName"].is_string()
                && object["spec"]["priority"].as_i64().unwrap_or_default() >= 0)
    };
    for (kind, object) in before.iter().filter(|(kind, object)| assigned(kind, object)) {
        let leaves_marks = matches!(kind, "Node" | "Pod" | "Service" | "Namespace");
        if leaves_marks && uid(object) != uid(evicted) && after.same(kind, object).is_none() {
            return Some(told(kind, object, "is gone"));
        }
    }
    (newcomers > 1).then(|| "more than one replacement".to_owned())
}

fn uid(object: &Value) -> Option<&str> {
    object["metadata"]["uid"].as_str()
}

/// Whether a pod is of the same workload.
fn is_like(pod: &Value, evicted: &Value) -> bool {
    pod["metadata"]["namespace"] == evicted["metadata"]["namespace"]
        && pod["metadata"]["labels"]["app"] == evicted["metadata"]["labels"]["app"]
}

/// Whether the scheduler would mind the difference.
fn differs(kind: &'static str, known: &Value, object: &Value) -> bool {
    match kind {
        // Claims for the pods themselves come and go with them.
        "PersistentVolumeClaim" => known["spec"]["volumeName"] != object["spec"]["volumeName"],
        "Deployment" | "ReplicaSet" | "StatefulSet" => {
            known["spec"]["selector"] != object["spec"]["selector"]
        }
        _ => minded(kind, known) != minded(kind, object),
    }
}

fn minded(kind: &'static str, object: &Value) -> Value {
    let mut minded = pruned(kind, object.clone());
    minded["metadata"]["annotations"].take();
    // Listed objects do not say what a watched one does.
    minded["apiVersion"].take();
    minded
}

fn told(kind: &str, object: &Value, what: &str) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let leaving =
        if object["metadata"]["deletionTimestamp"].is_string() { ", leaving," } else { "" };
    let node = object["spec"]["nodeName"].as_str().map(|node| format!(" on {node}"));
    format!("{kind} {name}{leaving}{} {what}", node.unwrap_or_default())
}
