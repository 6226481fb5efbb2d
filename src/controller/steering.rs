//! Whether new pods can be steered, and are. Nobody is believed: a dry run shows it.
//!
//! To make a pod, even as a dry run, would take the right to make pods. So the admission policy
//! of `deploy/steering` answers on Events as well, which the operator may make: for an Event
//! with the labels of a pod it says how that pod would be steered, by the same expressions, the
//! same parameters and the same clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, ListParams, PostParams};
use kube::{Client, Resource};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::act::REQUEST_TIMEOUT;
use crate::api::{STEERED, STEERING_CHECK, STEERING_VERSION, ZoneSpreadPolicy};
use crate::moves::{ActionError, SteeredPod};
use crate::observe::{Labels, PolicyKey};
use crate::plan::SteeringRight;

use super::error_text::error_text;
use super::recorder::CONTROLLER;
use super::refusal::{action_error, no_answer};

/// How soon it is looked at again while there is no policy to ask about, or no answer.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How soon otherwise; before each move that is steered it is looked at as well.
const LOOK_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// Begins to look whether new pods can be steered; what is known of that is told whenever it
/// changes.
pub fn look_at_steering(client: Client) -> watch::Receiver<SteeringRight> {
    let (told, right) = watch::channel(SteeringRight::default());
    tokio::spawn(async move {
        let mut said = None;
        loop {
            let seen = look(&client).await;
            let again =
                if matches!(seen, Ok(Some(_))) { LOOK_AGAIN_AFTER } else { TRY_AGAIN_AFTER };
            match seen {
                Ok(Some(right)) => {
                    if said.as_ref() != Some(&right) {
                        say(&right);
                        said = Some(right.clone());
                    }
                    told.send_if_modified(|known| {
                        let is_news = *known != right;
                        *known = right;
                        is_news
                    });
                }
                // There is no policy yet.
                Ok(None) => {}
                // What was seen may still be so: before each move it is looked at again.
                Err(error) => {
                    let error = error_text(&error);
                    warn!(error, "whether new pods can be steered could not be looked at");
                }
            }
            tokio::time::sleep(again).await;
        }
    });
    right
}

fn say(right: &SteeringRight) {
    match right {
        SteeringRight::Proven => info!("new pods can be steered into a zone"),
        SteeringRight::Missing(why) => info!(%why, "new pods are not steered"),
    }
}

/// Whether the admission policy answers; none without a policy to ask about.
async fn look(client: &Client) -> Result<Option<SteeringRight>, kube::Error> {
    let policies: Api<ZoneSpreadPolicy> = Api::all(client.clone());
    let some = policies.list_metadata(&ListParams::default().limit(1)).await?.items;
    let Some(policy) = some.into_iter().next() else { return Ok(None) };
    let (namespace, name) = (policy.metadata.namespace, policy.metadata.name);
    let key = PolicyKey {
        namespace: namespace.as_deref().unwrap_or_default().into(),
        name: name.as_deref().unwrap_or_default().into(),
    };
    let answer = ask(client, &key, &Labels::default()).await?;
    Ok(Some(match answer.as_deref().map(zone_of) {
        Some(Some(_)) => SteeringRight::Proven,
        Some(None) => SteeringRight::Missing(
            "deploy/steering is of another version than the operator: apply this one's".to_owned(),
        ),
        None => SteeringRight::Missing(why_missing(client).await?),
    }))
}

async fn why_missing(client: &Client) -> Result<String, kube::Error> {
    let known = client.list_api_group_resources("admissionregistration.k8s.io/v1").await?;
    let serves = known.resources.iter().any(|kind| kind.name == "mutatingadmissionpolicies");
    Ok(if serves {
        "the MutatingAdmissionPolicy zonespread-steering or its binding is missing: deploy/steering has both".to_owned()
    } else {
        "the API server has no MutatingAdmissionPolicy v1: Kubernetes 1.36 has".to_owned()
    })
}

/// Whether a pod that is made now would be steered as it must be.
///
/// # Errors
/// When it would not, or that could not be seen.
pub async fn check(
    client: &Client,
    policy: &PolicyKey,
    pod: &SteeredPod,
) -> Result<(), ActionError> {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, ask(client, policy, &pod.labels)).await;
    let answer = answer.map_err(|_| no_answer())?.map_err(action_error)?;
    let wanted = pod.zone.as_ref().map_or("", |zone| zone.as_str());
    match answer.as_deref().map(zone_of) {
        Some(Some(zone)) if zone == wanted => Ok(()),
        Some(Some(zone)) => Err(ActionError::Stale(format!(
            "a dry run shows that new pods prefer {}, and not {}, as they must",
            zone_text(zone),
            zone_text(wanted)
        ))),
        _ => Err(ActionError::Stale(
            "a dry run shows that new pods are not steered: deploy/steering is missing, or of another version".to_owned(),
        )),
    }
}

fn zone_text(zone: &str) -> String {
    if zone.is_empty() { "no zone".to_owned() } else { format!("zone {zone}") }
}

/// The zone in an answer, empty for none; none if the answer is of another version.
fn zone_of(answer: &str) -> Option<&str> {
    answer.strip_prefix(STEERING_VERSION)?.strip_prefix(':')
}

/// What the admission policy says of a pod with these labels, by this parameter.
async fn ask(
    client: &Client,
    policy: &PolicyKey,
    labels: &Labels,
) -> Result<Option<String>, kube::Error> {
    let now = Timestamp::now();
    let event = Event {
        action: Some("Steer".to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            name: Some(format!("zonespread-steering.{:x}", now.as_nanosecond())),
            namespace: Some(policy.namespace.to_string()),
            labels: Some(labels.clone()),
            annotations: Some(BTreeMap::from([(
                STEERING_CHECK.to_owned(),
                policy.name.to_string(),
            )])),
            ..ObjectMeta::default()
        },
        note: Some("how new pods are steered (dry run)".to_owned()),
        reason: Some("SteeringCheck".to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(ZoneSpreadPolicy::api_version(&()).into_owned()),
            kind: Some(ZoneSpreadPolicy::kind(&()).into_owned()),
            name: Some(policy.name.to_string()),
            namespace: Some(policy.namespace.to_string()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some("steering-check".to_owned()),
        type_: Some("Normal".to_owned()),
        ..Event::default()
    };
    let events: Api<Event> = Api::namespaced(client.clone(), &policy.namespace);
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let seen = events.create(&params, &event).await?;
    Ok(seen.metadata.annotations.and_then(|mut annotations| annotations.remove(STEERED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_version_is_none() {
        assert_eq!(zone_of("v1:eu-west-2c"), Some("eu-west-2c"));
        assert_eq!(zone_of("v1:"), Some(""));
        assert_eq!(zone_of("v2:c"), None);
        assert_eq!(zone_of("v12:c"), None);
    }
}
