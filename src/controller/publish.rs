//! Publishes events, beside the performer: an event that waits for a slow API server
//! must not hold up a status or a move.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::api::text::bounded;
use crate::moves::Event as PolicyEvent;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How many events may wait.
const EVENTS_WAITING: usize = 256;

/// Takes events to be published; those that find no place in the queue are logged only.
#[derive(Clone)]
pub struct Publisher {
    queue: mpsc::Sender<(ObjectReference, PolicyEvent)>,
}

impl Publisher {
    /// Starts publishing in this replica's name.
    pub fn start(client: Client, identity: String) -> Self {
        let reporter =
            Reporter { controller: "zonespread.io/operator".to_owned(), instance: Some(identity) };
        // One for all: it counts repetitions.
        let recorder = Recorder::new(client, reporter);
        let (queue, events) = mpsc::channel(EVENTS_WAITING);
        tokio::spawn(publish_all(recorder, events));
        Self { queue }
    }

    /// Logs what happened to the policy, and publishes it when its turn comes.
    pub fn publish(&self, policy: ObjectReference, note: PolicyEvent) {
        let (namespace, name) = (policy.namespace.as_deref(), policy.name.as_deref());
        info!(namespace, policy = name, event = note.reason, "{}", note.text);
        if let Err(error) = self.queue.try_send((policy, note)) {
            warn!(%error, "an event was not published");
        }
    }
}

async fn publish_all(
    recorder: Recorder,
    mut events: mpsc::Receiver<(ObjectReference, PolicyEvent)>,
) {
    while let Some((policy, note)) = events.recv().await {
        let event = event_of(note, policy.namespace.clone());
        let published = recorder.publish(&event, &policy);
        let (namespace, name) = (policy.namespace.as_deref(), policy.name.as_deref());
        match tokio::time::timeout(REQUEST_TIMEOUT, published).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(namespace, policy = name, %error, "an event could not be published");
            }
            Err(_) => warn!(namespace, policy = name, "an event could not be published in time"),
        }
    }
}

fn event_of(note: PolicyEvent, namespace: Option<String>) -> Event {
    let secondary = note.related.map(|(kind, name)| ObjectReference {
        kind: Some(kind.to_owned()),
        name: Some(name),
        namespace,
        ..ObjectReference::default()
    });
    Event {
        type_: if note.warning { EventType::Warning } else { EventType::Normal },
        reason: note.reason.to_owned(),
        note: Some(bounded(&note.text)),
        action: note.action.to_owned(),
        secondary,
    }
}
