//! Whether the operator may close a zone: the right to patch nodes, the fence that lets it change
//! nothing else of them, and the admission policy that keeps new pods out. None is believed in:
//! dry runs show it, for each drill anew.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, ObjectReference};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Error, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::act::REQUEST_TIMEOUT;
use crate::api::{DRILL_CHECK, DRILL_VERSION, DRILLED, ZoneDrill};
use crate::drill::DrillRight;
use crate::observe::{DrillMark, Kind, Name};
use crate::operator::KnownDrill;

use super::error_text::error_text;
use super::recorder::CONTROLLER;
use super::rights::may;
use super::zone_closer::changed;

/// What the fence is called in `deploy/drill`: its refusals name it.
const FENCE: &str = "zonespread-drill";
/// Policies take effect a moment after they were applied, and drills a moment after they were
/// made: so long it is tried to see them.
const TRIED_FOR: Duration = Duration::from_secs(10);
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What was proven, by the uid of the drill.
pub type Proven = BTreeMap<Name, DrillRight>;

/// Proves the right for each drill that waits for an answer.
pub fn prove(
    client: Client,
    namespace: String,
    mut known: watch::Receiver<Option<Vec<KnownDrill>>>,
) -> watch::Receiver<Proven> {
    let (told, right) = watch::channel(Proven::default());
    tokio::spawn(async move {
        loop {
            let drills = known.borrow_and_update().clone().unwrap_or_default();
            told.send_if_modified(|proven| {
                proven.retain(|uid, _| drills.iter().any(|drill| drill.uid == *uid));
                false
            });
            let is_known = |drill: &&KnownDrill| told.borrow().contains_key(&drill.uid);
            let next = drills.iter().find(|drill| drill.needs_right() && !is_known(drill));
            if let Some(drill) = next {
                let right = prove_for(&client, &namespace, &drill.name).await;
                match &right {
                    DrillRight::Proven => info!(drill = %drill.name, "the zone can be closed"),
                    DrillRight::Missing(why) => {
                        warn!(drill = %drill.name, %why, "the zone cannot be closed");
                    }
                }
                told.send_modify(|proven| drop(proven.insert(Name::clone(&drill.uid), right)));
            } else if known.changed().await.is_err() {
                return;
            }
        }
    });
    right
}

async fn prove_for(client: &Client, namespace: &str, drill: &str) -> DrillRight {
    match may(client, "patch", Kind::Node, None).await {
        Ok(true) => {}
        Ok(false) => return DrillRight::default(),
        Err(error) => return DrillRight::Missing(error_text(&error)),
    }
    let until = Instant::now() + TRIED_FOR;
    loop {
        match try_all(client, namespace, drill).await {
            Ok(()) => return DrillRight::Proven,
            Err(why) if Instant::now() >= until => return DrillRight::Missing(why),
            Err(_) => tokio::time::sleep(TRY_AGAIN_AFTER).await,
        }
    }
}

async fn try_all(client: &Client, namespace: &str, drill: &str) -> Result<(), String> {
    let nodes: Api<Node> = Api::all(client.clone());
    let some = nodes.list(&ListParams::default().limit(1)).await;
    let some = some.map_err(|error| error_text(&error))?.items.into_iter().next();
    let node = some.ok_or("there is no node to try the fence with")?;
    try_fence(client, &node.name_any()).await?;
    let mark = DrillMark { drill: drill.to_owned(), uid: String::new(), until: Timestamp::now() };
    dry_run(client, &node.name_any(), &changed(&node, Some(&mark))).await.map_err(|error| {
        format!("a taint of a drill is refused (as a dry run): {}", error_text(&error))
    })?;
    drilled_zone(client, namespace, drill).await?.map(drop).ok_or_else(|| {
        "nothing keeps new pods out of a closed zone: the MutatingAdmissionPolicy zonespread-drill or its binding is missing (deploy/drill; Kubernetes 1.36 and later)".to_owned()
    })
}

/// What the fence must refuse, whatever the node.
fn forbidden() -> [Value; 3] {
    [
        json!({"metadata": {"labels": {"zonespread.io/fence": "open"}}}),
        json!({"metadata": {"annotations": {"zonespread.io/fence": "open"}}}),
        json!({"spec": {"taints": [{"key": "zonespread.io/fence", "effect": "NoSchedule"}]}}),
    ]
}

async fn dry_run(client: &Client, node: &str, change: &Value) -> Result<(), Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    nodes.patch(node, &params, &Patch::Merge(change)).await.map(drop)
}

/// Asks for changes that the fence must refuse, as dry runs.
///
/// # Errors
/// When it does not, or nobody knows.
pub async fn try_fence(client: &Client, node: &str) -> Result<(), String> {
    for change in forbidden() {
        let tried = tokio::time::timeout(REQUEST_TIMEOUT, dry_run(client, node, &change)).await;
        match tried {
            Ok(Err(Error::Api(status))) if is_of_fence(&status.message) => {}
            Ok(Ok(())) => {
                return Err(format!(
                    "nothing keeps the operator from changing anything of a node: the ValidatingAdmissionPolicy {FENCE} or its binding is missing (deploy/drill)"
                ));
            }
            Ok(Err(error)) => {
                return Err(format!("the fence could not be tried: {}", error_text(&error)));
            }
            Err(_) => return Err("the fence could not be tried: no answer".to_owned()),
        }
    }
    Ok(())
}

fn is_of_fence(refusal: &str) -> bool {
    refusal.contains(&format!("ValidatingAdmissionPolicy '{FENCE}'"))
}

/// Which zone new pods are kept out of for a drill, empty for none; none if nothing answers.
///
/// # Errors
/// When that could not be asked.
pub async fn drilled_zone(
    client: &Client,
    namespace: &str,
    drill: &str,
) -> Result<Option<String>, String> {
    let now = Timestamp::now();
    let annotations = BTreeMap::from([(DRILL_CHECK.to_owned(), drill.to_owned())]);
    let event = Event {
        action: Some("Drill".to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            name: Some(format!("zonespread-drill.{:x}", now.as_nanosecond())),
            namespace: Some(namespace.to_owned()),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        note: Some("which zone new pods are kept out of (dry run)".to_owned()),
        reason: Some("DrillCheck".to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(ZoneDrill::api_version(&()).into_owned()),
            kind: Some(ZoneDrill::kind(&()).into_owned()),
            name: Some(drill.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some("drill-check".to_owned()),
        type_: Some("Normal".to_owned()),
        ..Event::default()
    };
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let seen = tokio::time::timeout(REQUEST_TIMEOUT, events.create(&params, &event)).await;
    let seen = seen.map_err(|_| "no answer to a dry run".to_owned())?;
    let seen = seen.map_err(|error| error_text(&error))?;
    let answer = seen.metadata.annotations.and_then(|mut all| all.remove(DRILLED));
    Ok(answer.as_deref().and_then(zone_of).map(str::to_owned))
}

/// The zone in an answer, empty for none; none if the answer is of another version.
fn zone_of(answer: &str) -> Option<&str> {
    answer.strip_prefix(DRILL_VERSION)?.strip_prefix(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_another_reason_is_none_of_the_fence() {
        let refusal = "nodes \"a1\" is forbidden: ValidatingAdmissionPolicy 'zonespread-drill' with binding 'zonespread-drill' denied request: no label";
        assert!(is_of_fence(refusal));
        assert!(!is_of_fence("nodes \"a1\" is forbidden: User \"x\" cannot patch resource"));
    }

    #[test]
    fn an_answer_of_another_version_is_none() {
        assert_eq!(zone_of("v1:c"), Some("c"));
        assert_eq!(zone_of("v1:"), Some(""));
        assert_eq!(zone_of("v2:c"), None);
    }
}
