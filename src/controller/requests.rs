//! The requests that the executor asks for, as the API server gets them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Error, Resource};
use serde_json::json;
use tokio::sync::Mutex;
use tracing::{debug, info, warn};

use crate::act::{Answer, REQUEST_TIMEOUT, Request};
use crate::api::{FIELD_MANAGER, ZoneSpreadPolicy};
use crate::moves::{ActionRequest, PodPatch, StatusWrite, Verb, WriteFailure};
use crate::observe::{WatchedNode, WatchedPod};

use super::error_text::error_text;
use super::installed_schema::InstalledSchema;
use super::opening::give_room;
use super::publish::Publisher;
use super::refusal::{action_error, no_answer};
use super::steering;
use super::surge::{forbidden_annotation, try_fence};

/// How long a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests.
#[derive(Clone)]
pub struct Requests {
    client: Client,
    publisher: Publisher,
    nodes: Arc<AllNodes>,
    schema: InstalledSchema,
}

/// Reads all nodes, for many evictions at a time: whoever asks gets an answer to a read that
/// began after it asked, and shares it with all who asked by then.
#[derive(Default)]
struct AllNodes {
    /// How many reads have begun.
    begun: AtomicU64,
    /// The last one that has ended: its number, and the answer.
    last: Mutex<Option<(u64, Answer)>>,
}

impl AllNodes {
    async fn read(&self, client: &Client) -> Answer {
        let before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some((_, answer)) = last.as_ref().filter(|(number, _)| *number > before) {
            return answer.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let nodes: Api<WatchedNode> = Api::all(client.clone());
        let params = ListParams::default();
        let answer = read(async { Ok(nodes.list(&params).await?.items) }, Answer::nodes).await;
        *last = Some((number, answer.clone()));
        answer
    }
}

impl Requests {
    /// The client must not retry by itself: a PDB's 429 is an answer.
    pub fn new(client: Client, identity: String) -> Self {
        let publisher = Publisher::start(client.clone(), identity);
        Self { client, publisher, nodes: Arc::default(), schema: InstalledSchema::default() }
    }

    /// Sends one request, and waits for its answer, up to a time limit.
    pub async fn ask(&self, request: &Request) -> Answer {
        match request {
            Request::WriteStatus(write) => self.write(write).await,
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
            Request::Nodes => self.nodes.read(&self.client).await,
            Request::Node { name } => {
                let nodes: Api<WatchedNode> = Api::all(self.client.clone());
                let node = async { Ok(nodes.get_opt(name).await?.into_iter().collect()) };
                read(node, Answer::nodes).await
            }
            Request::Fence { request } => {
                let (namespace, pod) = (&request.policy.namespace, &request.pod);
                let forbidden = forbidden_annotation();
                Answer::Acted(try_fence(&self.client, namespace, pod, &forbidden).await)
            }
            Request::RemoveProbe { request } => match &request.probe {
                Some(probe) => Answer::Acted(give_room(&self.client, probe).await),
                None => Answer::Acted(Ok(())),
            },
            Request::Steering { policy, pod } => {
                Answer::Acted(steering::check(&self.client, policy, pod).await)
            }
            Request::Act { request, dry_run } => match (request.verb, &request.patch) {
                (Verb::Evict | Verb::Retire | Verb::Vacate | Verb::Remake, _) => {
                    self.evict(request, *dry_run).await
                }
                (_, Some(patch)) => self.patch(request, patch, *dry_run).await,
                (_, None) => Answer::Failed("there is nothing to change".to_owned()),
            },
        }
    }

    async fn write(&self, write: &StatusWrite) -> Answer {
        let StatusWrite { policy, uid, status, events } = write;
        let what = format!("policy {}/{}", policy.namespace, policy.name);
        let api: Api<ZoneSpreadPolicy> = Api::namespaced(self.client.clone(), &policy.namespace);
        // With the uid: a policy of the same name made since then is another one.
        let patch = json!({
            "apiVersion": ZoneSpreadPolicy::api_version(&()),
            "kind": ZoneSpreadPolicy::kind(&()),
            "metadata": {"name": &*policy.name, "uid": &**uid},
            "status": &**status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&patch);
        let request = api.patch_status(&policy.name, &params, &patch);
        let failure = match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(written)) => {
                for event in events {
                    self.publisher.publish(written.object_ref(&()), event.clone());
                }
                return Answer::Written;
            }
            Ok(Err(error)) => WriteFailure::Refused(self.schema.refused(&what, &error)),
            Err(_) => {
                warn!("the status of {what} could not be written: {}", WriteFailure::TimedOut);
                WriteFailure::TimedOut
            }
        };
        Answer::NotWritten(failure)
    }

    /// Changes labels and annotations of the pod with this uid, and nothing else.
    async fn patch(&self, request: &ActionRequest, patch: &PodPatch, dry_run: bool) -> Answer {
        let ActionRequest { policy, tier, zone, verb, .. } = request;
        let PodPatch { pod, uid, labels, annotations, resource_version } = patch;
        let pods: Api<WatchedPod> = Api::namespaced(self.client.clone(), &policy.namespace);
        let labels: BTreeMap<_, _> = labels.iter().map(|(key, value)| (*key, value)).collect();
        let annotations: BTreeMap<_, _> =
            annotations.iter().map(|(key, value)| (*key, value)).collect();
        // The API server refuses another uid than the pod has.
        let mut metadata =
            json!({"uid": uid.to_string(), "labels": labels, "annotations": annotations});
        if let Some(version) = resource_version {
            metadata["resourceVersion"] = json!(version);
        }
        let params = PatchParams { dry_run, ..PatchParams::default() };
        let patch = Patch::Merge(json!({"metadata": metadata}));
        let answer = pods.patch(pod, &params, &patch);
        Answer::Acted(match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(Ok(_)) => {
                let (namespace, policy) = (&policy.namespace, &policy.name);
                if *verb == Verb::SetCost {
                    debug!(%namespace, %policy, %tier, %pod, %zone, "{}", verb.what(false));
                } else if !dry_run {
                    info!(%namespace, %policy, %tier, %pod, %zone, "{}", verb.what(false));
                }
                Ok(())
            }
            Ok(Err(error)) => Err(action_error(error)),
            Err(_) => Err(no_answer()),
        })
    }

    async fn evict(&self, request: &ActionRequest, dry_run: bool) -> Answer {
        let ActionRequest { policy, tier, pod, uid, zone, .. } = request;
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
        Answer::Acted(match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(Ok(_)) => {
                if !dry_run {
                    let (namespace, policy) = (&policy.namespace, &policy.name);
                    info!(%namespace, %policy, %tier, %pod, %zone, "evicted");
                }
                Ok(())
            }
            Ok(Err(error)) => Err(action_error(error)),
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
        Ok(Err(error)) => Answer::Failed(error_text(&error)),
        Err(_) => Answer::Failed(format!("no answer within {}s", READ_TIMEOUT.as_secs())),
    }
}
