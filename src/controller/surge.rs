//! Whether the operator may replace pods before they stop: the right to change labels of pods,
//! the right to watch autoscalers, and the fence that lets it change nothing else. The fence is
//! tried, not believed in: as dry runs, what must be refused is asked for, and what must not be.
//! Behind the same fence it may write deletion costs; that takes no autoscalers.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::act::REQUEST_TIMEOUT;
use crate::api::{DO_NOT_EVICT, MOVE, OWN_DELETION_COST, ZoneSpreadPolicy};
use crate::moves::ActionError;
use crate::observe::{
    DELETION_COST, HASH_LABELS, Kind, Name, WatchEvent, WatchedPod, released_labels,
};
use crate::plan::{ScaleInRight, SurgeRight};

use super::refusal::{action_error, no_answer};
use super::rights::may;
use super::watches::watch_optional;

/// What the fence is called in `deploy/surge`: its refusals name it.
pub const FENCE: &str = "zonespread-surge";

/// How soon it is tried again while the fence is missing, or something could not be asked.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How soon after it was proven; before each surge the fence is tried as well.
const PROVE_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// How soon while there is no right that a fence would be needed for.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(5);

/// How many objects are looked at to find one to try with.
const A_FEW: u32 = 20;

/// Proves the right, again and again.
pub struct Prover {
    /// For requests that change nothing.
    pub client: Client,
    /// For the watches that the right comes with.
    pub watching: Client,
    /// The API server's address, for messages.
    pub server: String,
    /// What these show.
    pub events: mpsc::Sender<WatchEvent>,
    /// Where the operator's own pods are.
    pub namespace: String,
}

impl Prover {
    /// Begins; what is known of the rights is told whenever that changes.
    pub fn start(self) -> (watch::Receiver<SurgeRight>, watch::Receiver<ScaleInRight>) {
        let (told, right) = watch::channel(SurgeRight::default());
        let (told_costs, costs_right) = watch::channel(ScaleInRight::default());
        tokio::spawn(self.run(told, told_costs));
        (right, costs_right)
    }

    async fn run(self, told: watch::Sender<SurgeRight>, costs: watch::Sender<ScaleInRight>) {
        let mut watches = false;
        let mut said = false;
        loop {
            let (right, scale_in) = match self.prove().await {
                Ok(rights) => rights,
                Err(error) => {
                    let why = format!("the right could not be proven: {error}");
                    (SurgeRight::Missing(why.clone()), ScaleInRight::Missing(why))
                }
            };
            if *costs.borrow() != scale_in || !std::mem::replace(&mut said, true) {
                say(&scale_in);
                costs.send_replace(scale_in);
            }
            if right == SurgeRight::Proven && !std::mem::replace(&mut watches, true) {
                watch_optional(&self.watching, &self.server, &self.events);
            }
            if *told.borrow() != right {
                match &right {
                    SurgeRight::Proven => info!("pods can be replaced before they stop"),
                    SurgeRight::Missing(why) => {
                        warn!(%why, "pods are not replaced before they stop");
                    }
                }
                told.send_replace(right.clone());
            }
            tokio::time::sleep(match right {
                SurgeRight::Proven => PROVE_AGAIN_AFTER,
                SurgeRight::Missing(_) if right == SurgeRight::default() => ASK_AGAIN_AFTER,
                SurgeRight::Missing(_) => TRY_AGAIN_AFTER,
            })
            .await;
        }
    }

    async fn prove(&self) -> Result<(SurgeRight, ScaleInRight), kube::Error> {
        if !may(&self.client, "patch", Kind::Pod, None).await? {
            return Ok((SurgeRight::default(), ScaleInRight::default()));
        }
        let missing = |why: String| (SurgeRight::Missing(why.clone()), ScaleInRight::Missing(why));
        let Some((namespace, pod)) = self.some_pod().await? else {
            return Ok(missing("there is no pod to try the fence with".to_owned()));
        };
        for forbidden in forbidden() {
            if let Err(why) = try_fence(&self.client, &namespace, &pod, &forbidden).await {
                return Ok(missing(match why {
                    ActionError::Forbidden(why) => why,
                    other => format!("the fence could not be tried: {other:?}"),
                }));
            }
        }
        let surge = self.prove_surge(&namespace, &pod).await?;
        let cost =
            json!({"metadata": {"annotations": {DELETION_COST: "-2", OWN_DELETION_COST: "-2"}}});
        let scale_in = self.refusal("a deletion cost", &namespace, &pod, &cost).await;
        Ok((surge, scale_in.map_or(ScaleInRight::Proven, ScaleInRight::Missing)))
    }

    async fn prove_surge(&self, namespace: &str, pod: &str) -> Result<SurgeRight, kube::Error> {
        for verb in ["list", "watch"] {
            if !may(&self.client, verb, Kind::Autoscaler, None).await? {
                return Ok(SurgeRight::Missing(format!(
                    "the operator has no right to {verb} {}: deploy/surge gives it",
                    Kind::Autoscaler.resource()
                )));
            }
        }
        let mark = json!({"metadata": {"annotations": {MOVE: "{}"}}});
        if let Some(why) = self.refusal("a release", namespace, pod, &mark).await {
            return Ok(SurgeRight::Missing(why));
        }
        Ok(self.release_refused().await?.map_or(SurgeRight::Proven, SurgeRight::Missing))
    }

    /// Why the API server refuses a change that a surge takes, as a dry run, if it does.
    async fn refusal(
        &self,
        what: &str,
        namespace: &str,
        pod: &str,
        change: &Value,
    ) -> Option<String> {
        let pods: Api<WatchedPod> = Api::namespaced(self.client.clone(), namespace);
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        let patch = Patch::Merge(change);
        let answer = pods.patch(pod, &params, &patch);
        let error = match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => action_error(error),
            Err(_) => no_answer(),
        };
        match error {
            // It was there a moment ago: the next one is tried soon.
            ActionError::Gone => None,
            ActionError::Forbidden(why) => {
                Some(format!("{what} of pod {namespace}/{pod} is refused (as a dry run): {why}"))
            }
            other => Some(format!("{what} of pod {namespace}/{pod} could not be tried: {other:?}")),
        }
    }

    /// Why no pod can be released wherever that was tried; none if one can, and where there is
    /// no policy yet: there nothing is released.
    async fn release_refused(&self) -> Result<Option<String>, kube::Error> {
        let policies: Api<ZoneSpreadPolicy> = Api::all(self.client.clone());
        let policies = policies.list(&ListParams::default().limit(A_FEW)).await?.items;
        let namespaces: BTreeSet<String> =
            policies.into_iter().filter_map(|policy| policy.metadata.namespace).collect();
        let mut refused = None;
        for namespace in namespaces {
            let Some((pod, release)) = self.some_release(&namespace).await? else { continue };
            match self.refusal("a release", &namespace, &pod, &release).await {
                None => return Ok(None),
                Some(why) => refused = refused.or(Some(why)),
            }
        }
        Ok(refused)
    }

    /// A pod of the namespace, and what would release it.
    async fn some_release(&self, namespace: &str) -> Result<Option<(String, Value)>, kube::Error> {
        let pods: Api<WatchedPod> = Api::namespaced(self.client.clone(), namespace);
        for key in HASH_LABELS {
            let params = ListParams::default().labels(key).limit(A_FEW);
            for pod in pods.list(&params).await?.items {
                let released = released_labels(&pod.metadata.labels.unwrap_or_default());
                if let (Some(name), Some(labels)) = (pod.metadata.name, released) {
                    let metadata =
                        json!({"labels": {key: labels.get(key)}, "annotations": {MOVE: "{}"}});
                    return Ok(Some((name, json!({"metadata": metadata}))));
                }
            }
        }
        Ok(None)
    }

    /// A pod to try the fence with: one of our own if there is one, and one that nobody
    /// else has given a deletion cost.
    async fn some_pod(&self) -> Result<Option<(Name, Name)>, kube::Error> {
        let params = ListParams::default().limit(A_FEW);
        let own: Api<WatchedPod> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut pods = own.list(&params).await?.items;
        if pods.is_empty() {
            let all: Api<WatchedPod> = Api::all(self.client.clone());
            pods = all.list(&params).await?.items;
        }
        let is_own = |pod: &WatchedPod| {
            let annotations = pod.metadata.annotations.as_ref();
            annotations.is_none_or(|known| known.get(DELETION_COST) == known.get(OWN_DELETION_COST))
        };
        let at = pods.iter().position(is_own).unwrap_or(0);
        Ok(pods.into_iter().nth(at).map(|pod| {
            let text = |part: Option<String>| Name::from(part.unwrap_or_default());
            (text(pod.metadata.namespace), text(pod.metadata.name))
        }))
    }
}

fn say(right: &ScaleInRight) {
    match right {
        ScaleInRight::Proven => info!("scale-downs are guided: pods get deletion costs"),
        ScaleInRight::Missing(why) => info!(%why, "scale-downs are not guided"),
    }
}

/// What the fence must refuse, whatever the pod.
fn forbidden() -> [Value; 3] {
    [
        forbidden_annotation(),
        json!({"metadata": {"finalizers": ["zonespread.io/fence"]}}),
        json!({"metadata": {"labels": {"zonespread.io/fence": "open"}}}),
    ]
}

/// An annotation that is none of a surge.
pub fn forbidden_annotation() -> Value {
    json!({"metadata": {"annotations": {DO_NOT_EVICT: "false"}}})
}

/// Asks for a change that the fence must refuse, as a dry run.
///
/// # Errors
/// When it does not.
pub async fn try_fence(
    client: &Client,
    namespace: &str,
    pod: &str,
    forbidden: &Value,
) -> Result<(), ActionError> {
    let pods: Api<WatchedPod> = Api::namespaced(client.clone(), namespace);
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let patch = Patch::Merge(forbidden);
    match tokio::time::timeout(REQUEST_TIMEOUT, pods.patch(pod, &params, &patch)).await {
        Ok(Ok(_)) => Err(ActionError::Forbidden(format!(
            "nothing keeps the operator from changing anything of a pod: the ValidatingAdmissionPolicy {FENCE} or its binding is missing (deploy/surge)"
        ))),
        Ok(Err(error)) => match action_error(error) {
            ActionError::Forbidden(why) if is_of_fence(&why) => Ok(()),
            other => Err(other),
        },
        Err(_) => Err(no_answer()),
    }
}

/// Whether it is the fence that refuses; or, of labels where there is no policy, its part for
/// namespaces.
fn is_of_fence(refusal: &str) -> bool {
    refusal.contains(&format!("ValidatingAdmissionPolicy '{FENCE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_for_another_reason_is_none_of_the_fence() {
        let refusal = "pods \"web-1\" is forbidden: ValidatingAdmissionPolicy 'zonespread-surge' with binding 'zonespread-surge' denied request: no other label";
        assert!(is_of_fence(refusal));
        let rights = "pods \"web-1\" is forbidden: User \"x\" cannot patch resource \"pods\"";
        assert!(!is_of_fence(rights));
        assert!(!is_of_fence("ValidatingAdmissionPolicy 'somebody-elses' denied request"));
    }
}
