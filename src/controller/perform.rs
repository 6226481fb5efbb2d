//! Carries effects out, one after the other, while this process leads.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use serde_json::json;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::act::{Evictor, Leadership};
use crate::api::{FIELD_MANAGER, ZoneSpreadPolicy, ZoneSpreadPolicyStatus};
use crate::observe::PolicyKey;
use crate::operator::{Effect, EvictionRequest, Outcome, Refusal};
use crate::report::Note;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Carries effects out.
pub struct Performer<E> {
    client: Client,
    evictor: E,
    leadership: Leadership,
    recorder: Recorder,
    /// Policies whose last status could not be written: they evict nothing.
    unwritten: BTreeSet<PolicyKey>,
}

impl<E: Evictor> Performer<E> {
    /// A performer that evicts through `evictor`.
    pub fn new(client: Client, evictor: E, leadership: Leadership, identity: String) -> Self {
        let reporter =
            Reporter { controller: "zonespread.io/operator".to_owned(), instance: Some(identity) };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, evictor, leadership, recorder, unwritten: BTreeSet::new() }
    }

    /// Carries out what comes in, and tells what became of it.
    pub async fn run(
        mut self,
        mut effects: mpsc::Receiver<Effect>,
        outcomes: mpsc::Sender<Outcome>,
    ) {
        while let Some(effect) = effects.recv().await {
            let outcome = match effect {
                Effect::WriteStatus { policy, uid, status, notes } => {
                    self.write(policy, &uid, &status, notes).await
                }
                Effect::Evict(request) => self.evict(&request).await,
            };
            if outcomes.send(outcome).await.is_err() {
                return;
            }
        }
    }

    async fn write(
        &mut self,
        policy: PolicyKey,
        uid: &str,
        status: &ZoneSpreadPolicyStatus,
        notes: Vec<Note>,
    ) -> Outcome {
        match self.apply_status(&policy, uid, status).await {
            Ok(Some(written)) => {
                self.unwritten.remove(&policy);
                for note in notes {
                    self.publish(&written, note).await;
                }
                Outcome::Written { policy }
            }
            Ok(None) => {
                self.unwritten.insert(policy.clone());
                Outcome::NotWritten { policy }
            }
            Err(error) => {
                warn!(namespace = %policy.namespace, policy = %policy.name, %error, "the status could not be written");
                self.unwritten.insert(policy.clone());
                Outcome::NotWritten { policy }
            }
        }
    }

    /// None if this process may not act any more, or the API server is silent.
    async fn apply_status(
        &self,
        policy: &PolicyKey,
        uid: &str,
        status: &ZoneSpreadPolicyStatus,
    ) -> Result<Option<ZoneSpreadPolicy>, kube::Error> {
        if !self.leadership.may_act() {
            return Ok(None);
        }
        let api: Api<ZoneSpreadPolicy> = Api::namespaced(self.client.clone(), &policy.namespace);
        // With the uid: a policy of the same name made since then is another one.
        let patch = json!({
            "apiVersion": ZoneSpreadPolicy::api_version(&()),
            "kind": ZoneSpreadPolicy::kind(&()),
            "metadata": {"name": &*policy.name, "uid": uid},
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&patch);
        let request = api.patch_status(&policy.name, &params, &patch);
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(answer) => answer.map(Some),
            Err(_) => Ok(None),
        }
    }

    async fn publish(&self, policy: &ZoneSpreadPolicy, note: Note) {
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
        info!(namespace, policy = name, event = note.reason, "{}", note.text);
        let mut text = note.text;
        // The API bounds an event's note at 1024 bytes.
        if text.len() > 1000 {
            let end = (0..=1000).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
        }
        let secondary = note.related.map(|(kind, name)| ObjectReference {
            kind: Some(kind.to_owned()),
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            ..ObjectReference::default()
        });
        let event = Event {
            type_: if note.warning { EventType::Warning } else { EventType::Normal },
            reason: note.reason.to_owned(),
            note: Some(text),
            action: note.action.to_owned(),
            secondary,
        };
        let reference = policy.object_ref(&());
        let published = self.recorder.publish(&event, &reference);
        if let Ok(Err(error)) = tokio::time::timeout(REQUEST_TIMEOUT, published).await {
            warn!(namespace, policy = name, %error, "an event could not be published");
        }
    }

    async fn evict(&self, request: &EvictionRequest) -> Outcome {
        let (policy, uid) = (request.policy.clone(), request.uid.clone());
        if self.unwritten.contains(&policy) {
            let refusal = Refusal::Outdated("the status could not be written before it".to_owned());
            return Outcome::Refused { policy, uid, refusal };
        }
        let fields = (&policy.namespace, &policy.name, &request.tier, &request.pod);
        match self.evictor.evict(request).await {
            Ok(()) => {
                let (namespace, name, tier, pod) = fields;
                info!(%namespace, policy = %name, %tier, %pod, zone = %request.zone, "evicted");
                Outcome::Evicted { policy, uid }
            }
            Err(refusal) => {
                let (namespace, name, tier, pod) = fields;
                warn!(%namespace, policy = %name, %tier, %pod, ?refusal, "not evicted");
                Outcome::Refused { policy, uid, refusal }
            }
        }
    }
}
