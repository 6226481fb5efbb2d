//! Sends what [`Performance`] asks for, one request after the other.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Error, Resource};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::act::{Answer, Next, Performance, REQUEST_TIMEOUT, Request};
use crate::api::{FIELD_MANAGER, ZoneSpreadPolicy, ZoneSpreadPolicyStatus};
use crate::moves::{Effect, EvictionRequest, Note, Outcome};
use crate::observe::{HealthRules, Pauses, PolicyKey, WatchedNode, WatchedPod};

use super::lease::Leadership;
use super::publish::Publisher;
use super::refusal::{no_answer, refusal_of};

/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Carries effects out.
pub struct Performer {
    client: Client,
    performance: Performance,
    leadership: Leadership,
    pauses: watch::Receiver<Arc<Pauses>>,
    publisher: Publisher,
}

impl Performer {
    /// A performer. The client must not retry by itself: a PDB's 429 is an answer.
    pub fn new(
        client: Client,
        rules: HealthRules,
        leadership: Leadership,
        pauses: watch::Receiver<Arc<Pauses>>,
        identity: String,
    ) -> Self {
        let publisher = Publisher::start(client.clone(), identity);
        Self { client, performance: Performance::new(rules), leadership, pauses, publisher }
    }

    /// Carries out what comes in, and tells what became of it.
    pub async fn run(
        mut self,
        mut effects: mpsc::Receiver<Effect>,
        outcomes: mpsc::Sender<Outcome>,
    ) {
        while let Some(effect) = effects.recv().await {
            let may_act = self.leadership.may_act();
            self.performance.heed(&self.pauses.borrow());
            let mut next = self.performance.begin(effect, may_act, Timestamp::now());
            let outcome = loop {
                match next {
                    Next::Ask(asked) => {
                        let answer = self.ask(&asked.request).await;
                        self.performance.heed(&self.pauses.borrow());
                        let (may_act, now) = (self.leadership.may_act(), Timestamp::now());
                        next = self.performance.answered(*asked, answer, may_act, now);
                    }
                    Next::Done(outcome) => break outcome,
                }
            };
            if let Outcome::Refused { policy, uid, refusal } = &outcome {
                let (namespace, policy) = (&policy.namespace, &policy.name);
                warn!(%namespace, %policy, %uid, ?refusal, "not evicted");
            }
            if outcomes.send(outcome).await.is_err() {
                return;
            }
        }
    }

    async fn ask(&self, request: &Request) -> Answer {
        match request {
            Request::WriteStatus { policy, uid, status, notes } => {
                self.write(policy, uid, status, notes).await
            }
            Request::Pods { namespace, selector } => {
                let pods: Api<WatchedPod> = Api::namespaced(self.client.clone(), namespace);
                let params = ListParams::default().labels(selector);
                read(async { Ok(pods.list(&params).await?.items) }, Answer::Pods).await
            }
            Request::Pod { namespace, name } => {
                let pods: Api<WatchedPod> = Api::namespaced(self.client.clone(), namespace);
                let pod = async { Ok(pods.get_opt(name).await?.into_iter().collect()) };
                read(pod, Answer::Pods).await
            }
            Request::Nodes => {
                let nodes: Api<WatchedNode> = Api::all(self.client.clone());
                let params = ListParams::default();
                read(async { Ok(nodes.list(&params).await?.items) }, Answer::Nodes).await
            }
            Request::Node { name } => {
                let nodes: Api<WatchedNode> = Api::all(self.client.clone());
                let node = async { Ok(nodes.get_opt(name).await?.into_iter().collect()) };
                read(node, Answer::Nodes).await
            }
            Request::Evict { request, dry_run } => self.evict(request, *dry_run).await,
        }
    }

    async fn write(
        &self,
        policy: &PolicyKey,
        uid: &str,
        status: &ZoneSpreadPolicyStatus,
        notes: &[Note],
    ) -> Answer {
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
        let failed = |error: String| {
            warn!(namespace = %policy.namespace, policy = %policy.name, %error, "the status could not be written");
            Answer::Failed(error)
        };
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(written)) => {
                for note in notes {
                    self.publisher.publish(written.object_ref(&()), note.clone());
                }
                Answer::Written
            }
            Ok(Err(error)) => failed(error.to_string()),
            Err(_) => failed(format!("no answer within {}s", REQUEST_TIMEOUT.as_secs())),
        }
    }

    async fn evict(&self, request: &EvictionRequest, dry_run: bool) -> Answer {
        let EvictionRequest { policy, tier, pod, uid, zone, .. } = request;
        let pods: Api<WatchedPod> = Api::namespaced(self.client.clone(), &policy.namespace);
        // Not `Api::evict`: it loses the preconditions (kube 5.0).
        let eviction = Eviction {
            metadata: ObjectMeta {
                name: Some(pod.to_string()),
                namespace: Some(policy.namespace.to_string()),
                ..ObjectMeta::default()
            },
            delete_options: Some(DeleteOptions {
                preconditions: Some(Preconditions {
                    uid: Some(uid.to_string()),
                    resource_version: None,
                }),
                ..DeleteOptions::default()
            }),
        };
        let params = PostParams { dry_run, ..PostParams::default() };
        let answer =
            pods.create_subresource::<_, serde_json::Value>("eviction", pod, &params, &eviction);
        Answer::Evicted(match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(Ok(_)) => {
                if !dry_run {
                    let (namespace, policy) = (&policy.namespace, &policy.name);
                    info!(%namespace, %policy, %tier, %pod, %zone, "evicted");
                }
                Ok(())
            }
            Ok(Err(error)) => Err(refusal_of(error)),
            Err(_) => Err(no_answer()),
        })
    }
}

async fn read<T>(
    request: impl Future<Output = Result<Vec<T>, Error>>,
    into: impl Fn(Vec<T>) -> Answer,
) -> Answer {
    match tokio::time::timeout(READ_TIMEOUT, request).await {
        Ok(Ok(objects)) => into(objects),
        Ok(Err(error)) => Answer::Failed(error.to_string()),
        Err(_) => Answer::Failed(format!("no answer within {}s", READ_TIMEOUT.as_secs())),
    }
}
