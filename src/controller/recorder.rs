//! Kubernetes Events, each of which reads as it was sent.
//!
//! kube-runtime's recorder, like client-go's, takes two events of one reason about one
//! object for repetitions whatever their notes say: the first text is shown with the last
//! time. Here only an event with the same text is a repetition.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use serde_json::json;

use super::error_text::{error_text, no_answer};
use crate::api::text::{bounded, cut};
use crate::moves::Event as PolicyEvent;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// An event within this time of the same one is its repetition.
const REPEATS_WITHIN: SignedDuration = SignedDuration::from_mins(6);
/// Events that are remembered. Of one that is forgotten a repetition is an event of its own.
const REMEMBERED: usize = 4096;
/// Of an object's name in the name of its events, in bytes: names have 253 at most.
const NAME_PART: usize = 200;
/// What events say who reports them.
pub const CONTROLLER: &str = "zonespread.io/operator";

/// Publishes events, and knows those of the last minutes.
pub struct Recorder {
    client: Client,
    instance: String,
    known: HashMap<Key, Published>,
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    object: Option<String>,
    event: PolicyEvent,
}

/// What was published.
#[derive(Clone, Debug)]
struct Published {
    name: String,
    count: i32,
    last: Timestamp,
}

impl Recorder {
    /// A recorder in this replica's name.
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance, known: HashMap::new() }
    }

    /// Publishes an event about a policy, or counts it as a repetition.
    ///
    /// # Errors
    /// When the API server refuses it, or does not answer in time.
    pub async fn publish(
        &mut self,
        policy: &ObjectReference,
        event: PolicyEvent,
        now: Timestamp,
    ) -> Result<(), String> {
        self.known.retain(|_, known| now.duration_since(known.last) < REPEATS_WITHIN);
        let namespace = policy.namespace.as_deref().unwrap_or("default");
        let events = Api::<Event>::namespaced(self.client.clone(), namespace);
        let key = Key { object: policy.uid.clone(), event };
        if let Some(known) = self.known.get_mut(&key) {
            let series = EventSeries { count: known.count + 1, last_observed_time: MicroTime(now) };
            let patch = Patch::Merge(json!({"series": series}));
            match within(events.patch(&known.name, &PatchParams::default(), &patch)).await? {
                Ok(_) => {
                    (known.count, known.last) = (known.count + 1, now);
                    return Ok(());
                }
                // It has expired: this is the first again.
                Err(Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(error_text(&error)),
            }
        }
        let event = event_of(&key.event, policy, &self.instance, now);
        let name = event.metadata.name.clone().unwrap_or_default();
        within(events.create(&PostParams::default(), &event))
            .await?
            .map_err(|error| error_text(&error))?;
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(key, Published { name, count: 1, last: now });
        Ok(())
    }
}

async fn within<T>(
    request: impl Future<Output = Result<T, Error>>,
) -> Result<Result<T, Error>, String> {
    tokio::time::timeout(REQUEST_TIMEOUT, request).await.map_err(|_| no_answer())
}

fn event_of(
    event: &PolicyEvent,
    policy: &ObjectReference,
    instance: &str,
    now: Timestamp,
) -> Event {
    let related = event.related.as_ref().map(|(kind, name)| ObjectReference {
        kind: Some((*kind).to_owned()),
        name: Some(name.clone()),
        namespace: policy.namespace.clone(),
        ..ObjectReference::default()
    });
    let object = cut(policy.name.as_deref().unwrap_or("zonespread"), NAME_PART);
    // What is cut may end where no part of a name may.
    let object = object.trim_end_matches(['-', '.']);
    Event {
        action: Some(event.action.to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            name: Some(format!("{object}.{:x}", now.as_nanosecond())),
            namespace: policy.namespace.clone(),
            ..ObjectMeta::default()
        },
        note: Some(bounded(&event.text)),
        reason: Some(event.reason.to_owned()),
        regarding: Some(policy.clone()),
        related,
        reporting_controller: Some(CONTROLLER.to_owned()),
        // As long as the API takes.
        reporting_instance: Some(cut(instance, 128).to_owned()),
        type_: Some(if event.warning { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_about_the_longest_name_has_a_name() {
        let name = format!("{}-{}", "a".repeat(NAME_PART - 1), "b".repeat(53));
        let policy = ObjectReference { name: Some(name), ..ObjectReference::default() };
        let event = PolicyEvent {
            warning: true,
            reason: "Invalid",
            action: "Validate",
            text: "x".repeat(5000),
            related: None,
        };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let event = event_of(&event, &policy, "replica", now);
        let name = event.metadata.name.unwrap();
        assert!(name.starts_with("aaa") && name.contains("a.18"), "{name}");
        assert!(name.len() < 253 && event.note.unwrap().len() <= 1024);
        assert_eq!(event.type_.as_deref(), Some("Warning"));
    }
}
