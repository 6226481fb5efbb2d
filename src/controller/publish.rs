//! Publishes events, beside the performer: an event that waits for a slow API server
//! must not hold up a status or a move.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::moves::Event;

use super::recorder::Recorder;

/// How many events may wait.
const EVENTS_WAITING: usize = 256;

/// Takes events to be published; those that find no place in the queue are logged only.
#[derive(Clone)]
pub struct Publisher {
    queue: mpsc::Sender<(ObjectReference, Event)>,
}

impl Publisher {
    /// Starts publishing in this replica's name.
    pub fn start(client: Client, identity: String) -> Self {
        let recorder = Recorder::new(client, identity);
        let (queue, events) = mpsc::channel(EVENTS_WAITING);
        tokio::spawn(publish_all(recorder, events));
        Self { queue }
    }

    /// Logs what happened to the policy, and publishes it when its turn comes.
    pub fn publish(&self, policy: ObjectReference, event: Event) {
        let (namespace, name) = (policy.namespace.as_deref(), policy.name.as_deref());
        info!(namespace, policy = name, event = event.reason, "{}", event.text);
        if let Err(error) = self.queue.try_send((policy, event)) {
            warn!(%error, "an event was not published");
        }
    }
}

async fn publish_all(mut recorder: Recorder, mut events: mpsc::Receiver<(ObjectReference, Event)>) {
    while let Some((policy, event)) = events.recv().await {
        if let Err(error) = recorder.publish(&policy, event, Timestamp::now()).await {
            let (namespace, name) = (policy.namespace.as_deref(), policy.name.as_deref());
            warn!(namespace, policy = name, error, "an event could not be published");
        }
    }
}
