//! Probe pods, in the operator's own namespace: whether they may be made, and what is done
//! about them, one request at a time.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, LocalObjectReference, Pod};
use kube::api::{Api, DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Client, Error};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::act::REQUEST_TIMEOUT;
use crate::moves::{ActionError, ProbePod};
use crate::observe::{Kind, Uid};
use crate::operator::{ProbeAnswer, ProbeAsk, ProbeVerb};
use crate::plan::OpeningRight;

use super::error_text::error_text;
use super::lease::Leadership;
use super::probe_pod::{Image, probe_pod};
use super::refusal::{action_error, no_answer};
use super::rights::may;

/// How soon the right is asked for again.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// How soon while something is missing but the right may be there.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The scheduler says why a pod waits; autoscalers say whether they do anything about it.
const SCHEDULER: &str = "default-scheduler";

/// Looks after probe pods.
#[derive(Clone)]
pub struct ProbeKeeper {
    client: Client,
    leadership: Leadership,
    namespace: String,
    /// The name of the pod that this process runs in.
    own_pod: Option<String>,
    image: watch::Sender<Option<Image>>,
}

impl ProbeKeeper {
    /// One that asks for the lease before each request (law 8). Without an image, probes have
    /// that of the operator's own pod.
    pub fn new(
        client: Client,
        leadership: Leadership,
        namespace: String,
        own_pod: Option<String>,
        image: Option<String>,
    ) -> Self {
        let image = image.map(|name| Image { name, pull_secrets: Vec::new() });
        let (image, _) = watch::channel(image);
        Self { client, leadership, namespace, own_pod, image }
    }

    /// Asks for the right again and again; what is known of it is told whenever that changes.
    pub fn right(&self) -> watch::Receiver<OpeningRight> {
        let (told, right) = watch::channel(OpeningRight::default());
        let keeper = self.clone();
        tokio::spawn(async move {
            loop {
                let known = keeper.prove().await.unwrap_or_else(|error| {
                    OpeningRight::Missing(format!(
                        "the right could not be asked for: {}",
                        error_text(&error)
                    ))
                });
                if *told.borrow() != known {
                    match &known {
                        OpeningRight::Proven => info!("zones without nodes can be opened"),
                        OpeningRight::Missing(why) => {
                            warn!(%why, "zones without nodes are not opened");
                        }
                    }
                    told.send_replace(known.clone());
                }
                let is_settled = known == OpeningRight::Proven || known == OpeningRight::default();
                tokio::time::sleep(if is_settled { ASK_AGAIN_AFTER } else { TRY_AGAIN_AFTER })
                    .await;
            }
        });
        right
    }

    async fn prove(&self) -> Result<OpeningRight, Error> {
        for verb in ["create", "delete"] {
            if !may(&self.client, verb, Kind::Pod, Some(&self.namespace)).await? {
                return Ok(OpeningRight::default());
            }
        }
        if self.image.borrow().is_some() {
            return Ok(OpeningRight::Proven);
        }
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let own = match &self.own_pod {
            Some(name) => pods.get_opt(name).await?,
            None => None,
        };
        let image = own.and_then(|pod| {
            let spec = pod.spec?;
            let name = spec.containers.into_iter().next()?.image?;
            let secrets = spec.image_pull_secrets.unwrap_or_default();
            let pull_secrets = secrets.into_iter().map(|LocalObjectReference { name }| name);
            Some(Image { name, pull_secrets: pull_secrets.collect() })
        });
        let Some(image) = image else {
            return Ok(OpeningRight::Missing(
                "the image for probe pods is not known: set POD_NAME, or run --probe-image"
                    .to_owned(),
            ));
        };
        self.image.send_replace(Some(image));
        Ok(OpeningRight::Proven)
    }

    /// Does what comes in, and tells what became of it.
    pub async fn run(
        self,
        mut asks: mpsc::UnboundedReceiver<ProbeAsk>,
        answers: mpsc::UnboundedSender<(ProbeAsk, ProbeAnswer)>,
    ) {
        while let Some(ask) = asks.recv().await {
            let answer = if !ask.is_of_late(Timestamp::now()) {
                ProbeAnswer::Failed("the API server is slow: decided too long ago".to_owned())
            } else if !self.leadership.may_act() {
                ProbeAnswer::Failed("this replica no longer leads".to_owned())
            } else {
                let answer = tokio::time::timeout(REQUEST_TIMEOUT, self.answer(&ask)).await;
                let waited = REQUEST_TIMEOUT.as_secs();
                answer
                    .unwrap_or_else(|_| ProbeAnswer::Failed(format!("no answer within {waited}s")))
            };
            if let ProbeAnswer::Failed(error) = &answer {
                warn!(pod = %ask.name, %error, "the probe pod could not be looked after");
            }
            if answers.send((ask, answer)).is_err() {
                return;
            }
        }
    }

    async fn answer(&self, ask: &ProbeAsk) -> ProbeAnswer {
        let done = match &ask.what {
            ProbeVerb::Start { template, requests } => {
                let (Some(zone), Some(image)) = (&ask.zone, self.image.borrow().clone()) else {
                    return ProbeAnswer::Failed("no image is known".to_owned());
                };
                let pod = probe_pod(&ask.name, zone, &image, template, requests);
                let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
                info!(pod = %ask.name, %zone, "starting a probe pod");
                pods.create(&PostParams::default(), &pod).await.map(drop)
            }
            ProbeVerb::Remove { uid } => {
                info!(pod = %ask.name, "removing the probe pod");
                self.delete(&ask.name, uid).await
            }
            ProbeVerb::Explain { uid } => return self.explain(&ask.name, uid).await,
        };
        match done {
            Ok(()) => ProbeAnswer::Done,
            // It is there, or gone, already.
            Err(Error::Api(status)) if status.is_already_exists() || status.is_not_found() => {
                ProbeAnswer::Done
            }
            // Another pod of that name by now.
            Err(Error::Api(status))
                if matches!(&ask.what, ProbeVerb::Remove { .. }) && status.is_conflict() =>
            {
                ProbeAnswer::Done
            }
            Err(error) => ProbeAnswer::Failed(error_text(&error)),
        }
    }

    async fn delete(&self, name: &str, uid: &Uid) -> Result<(), Error> {
        delete_probe(&self.client, &self.namespace, name, uid).await
    }

    /// What others say of the pod: an autoscaler, or else the scheduler or the kubelet.
    async fn explain(&self, name: &str, uid: &Uid) -> ProbeAnswer {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let fields = format!("involvedObject.name={name},involvedObject.uid={uid}");
        match events.list(&ListParams::default().fields(&fields)).await {
            Ok(list) => ProbeAnswer::Explained(said(&list.items)),
            Err(error) => ProbeAnswer::Failed(error_text(&error)),
        }
    }
}

/// Deletes the probe with this uid, at once: it has nothing to end in order, and what waits
/// for its room must not wait for a kubelet.
async fn delete_probe(
    client: &Client,
    namespace: &str,
    name: &str,
    uid: &Uid,
) -> Result<(), Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: Some(uid.to_string()), resource_version: None }),
        ..DeleteParams::default()
    };
    pods.delete(name, &params).await.map(drop)
}

/// Deletes the probe that holds the room for a move, right before that.
///
/// # Errors
/// When it is not known to be gone.
pub async fn give_room(client: &Client, probe: &ProbePod) -> Result<(), ActionError> {
    let ProbePod { namespace, name, uid } = probe;
    let deleting = delete_probe(client, namespace, name, uid);
    match tokio::time::timeout(REQUEST_TIMEOUT, deleting).await {
        Ok(Ok(())) => {
            info!(pod = %name, "the probe pod gives its room to a move");
            Ok(())
        }
        Ok(Err(error)) => Err(action_error(error)),
        Err(_) => Err(no_answer()),
    }
}

/// The latest words of an autoscaler, or else of whoever spoke last.
fn said(events: &[Event]) -> Option<String> {
    let source = |event: &Event| {
        let reported = event.reporting_component.clone().filter(|name| !name.is_empty());
        let source = event.source.as_ref().and_then(|source| source.component.clone());
        reported.or(source).unwrap_or_default()
    };
    let at = |event: &Event| {
        let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
        let times = [
            series.map(|time| time.0),
            event.event_time.as_ref().map(|time| time.0),
            event.last_timestamp.as_ref().map(|time| time.0),
        ];
        times.into_iter().flatten().max()
    };
    let rank = |event: &&Event| (source(event) != SCHEDULER, at(event));
    let event = events.iter().filter(|event| event.message.is_some()).max_by_key(rank)?;
    Some(format!("{}: {}", source(event), event.message.as_deref().unwrap_or_default()))
}
