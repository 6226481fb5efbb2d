//! Asking the API server for an eviction: fresh reads, a dry run with the uid,
//! then the eviction with the uid (law 6).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::api::{Api, PostParams};
use kube::core::Status;
use kube::{Client, Error};

use crate::observe::{HealthRules, Interner, Node, Pod, WatchedNode, WatchedPod, unusable};
use crate::operator::{EvictionRequest, Refusal};

use super::lease::Leadership;

/// A decision older than this is not carried out.
const DECISION_HOLDS: SignedDuration = SignedDuration::from_secs(15);
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to leave a throttling API server alone when it does not say.
const THROTTLED_FOR: SignedDuration = SignedDuration::from_secs(10);

/// Evicts pods. A trait, so that a simulation can do it too.
pub trait Evictor {
    /// Evicts the pod if what was decided on is still true.
    fn evict(&self, request: &EvictionRequest) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// Evicts pods through the API server.
#[derive(Clone)]
pub struct ApiEvictor {
    client: Client,
    leadership: Leadership,
    rules: HealthRules,
}

impl ApiEvictor {
    /// An evictor. The client must not retry by itself: a PDB's 429 is an answer.
    #[must_use]
    pub const fn new(client: Client, leadership: Leadership, rules: HealthRules) -> Self {
        Self { client, leadership, rules }
    }

    /// Reads pod and node anew: a watch may be behind.
    async fn look_again(&self, request: &EvictionRequest) -> Result<(), Refusal> {
        let outdated = |why: String| Err(Refusal::Outdated(why));
        let pods: Api<WatchedPod> = Api::namespaced(self.client.clone(), &request.policy.namespace);
        let read_failed = |error: Error| Refusal::Outdated(format!("a fresh read failed: {error}"));
        let Some(pod) = timely(pods.get_opt(&request.pod)).await?.map_err(read_failed)? else {
            return Err(Refusal::Gone);
        };
        let mut interner = Interner::default();
        let pod = Pod::new(pod, &mut interner);
        if pod.uid != *request.uid {
            return Err(Refusal::Gone);
        }
        if pod.terminating || pod.ready_since.is_none() || pod.node.as_ref() != Some(&request.node)
        {
            return outdated(format!("pod {} is no longer Ready on {}", pod.name, request.node));
        }
        if let Some(mark) = pod.keep {
            return outdated(format!("pod {} is marked {}", pod.name, mark.annotation()));
        }
        let nodes: Api<WatchedNode> = Api::all(self.client.clone());
        let node = timely(nodes.get_opt(&request.target)).await?.map_err(read_failed)?;
        let Some(node) = node.map(|node| Node::new(node, &mut interner)) else {
            return outdated(format!("node {} is gone", request.target));
        };
        if let Some(reason) = unusable(&node, &self.rules.allowed_taints) {
            return outdated(format!(
                "node {} is no longer usable: {}",
                node.name,
                reason.as_str()
            ));
        }
        if node.zone.as_ref().is_none_or(|zone| zone.as_str() != &*request.zone) {
            return outdated(format!("node {} is no longer in zone {}", node.name, request.zone));
        }
        Ok(())
    }

    async fn ask(&self, request: &EvictionRequest, dry_run: bool) -> Result<(), Refusal> {
        if !self.leadership.may_act() {
            return Err(Refusal::Outdated("this replica no longer leads".to_owned()));
        }
        let pods: Api<WatchedPod> = Api::namespaced(self.client.clone(), &request.policy.namespace);
        // Not `Api::evict`: it loses the preconditions (kube 5.0).
        let eviction = Eviction {
            metadata: ObjectMeta {
                name: Some(request.pod.to_string()),
                namespace: Some(request.policy.namespace.to_string()),
                ..ObjectMeta::default()
            },
            delete_options: Some(DeleteOptions {
                preconditions: Some(Preconditions {
                    uid: Some(request.uid.to_string()),
                    resource_version: None,
                }),
                ..DeleteOptions::default()
            }),
        };
        let params = PostParams { dry_run, ..PostParams::default() };
        let answer = timely(pods.create_subresource::<_, serde_json::Value>(
            "eviction",
            &request.pod,
            &params,
            &eviction,
        ));
        match answer.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(refusal_of(error)),
            Err(refusal) => Err(refusal),
        }
    }
}

impl Evictor for ApiEvictor {
    async fn evict(&self, request: &EvictionRequest) -> Result<(), Refusal> {
        if Timestamp::now().duration_since(request.decided) > DECISION_HOLDS {
            return Err(Refusal::Outdated("the decision is too old".to_owned()));
        }
        self.look_again(request).await?;
        // A failed uid precondition spends the budget all the same; a dry run does not.
        self.ask(request, true).await.map_err(|refusal| match refusal {
            Refusal::Unknown(why) => Refusal::Outdated(why),
            other => other,
        })?;
        self.ask(request, false).await
    }
}

async fn timely<T>(request: impl Future<Output = T>) -> Result<T, Refusal> {
    tokio::time::timeout(REQUEST_TIMEOUT, request)
        .await
        .map_err(|_| Refusal::Unknown(format!("no answer within {}s", REQUEST_TIMEOUT.as_secs())))
}

/// The table of answers of the eviction API.
fn refusal_of(error: Error) -> Refusal {
    let Error::Api(status) = error else {
        return Refusal::Unknown(error.to_string());
    };
    let message = status.message.clone();
    match status.code {
        429 if has_cause(&status, "DisruptionBudget") => Refusal::Budget(message),
        429 => Refusal::Throttled { retry_after: retry_after(&status) },
        500 if message.contains("more than one PodDisruptionBudget") => {
            Refusal::MultipleBudgets(message)
        }
        404 | 409 => Refusal::Gone,
        400..=403 | 405..=499 => Refusal::Forbidden(message),
        _ => Refusal::Unknown(message),
    }
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status
        .details
        .as_ref()
        .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == reason))
}

fn retry_after(status: &Status) -> SignedDuration {
    status
        .details
        .as_ref()
        .map(|details| details.retry_after_seconds)
        .filter(|seconds| *seconds > 0)
        .map_or(THROTTLED_FOR, |seconds| SignedDuration::from_secs(i64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn answer(code: u16, message: &str, details: serde_json::Value) -> Error {
        let status = json!({"code": code, "message": message, "reason": "", "details": details});
        Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[rstest]
    #[case(429, json!({"causes": [{"reason": "DisruptionBudget", "message": "m", "field": ""}]}), Refusal::Budget("m".into()))]
    #[case(429, json!({"retryAfterSeconds": 7}), Refusal::Throttled { retry_after: SignedDuration::from_secs(7) })]
    #[case(429, json!({}), Refusal::Throttled { retry_after: THROTTLED_FOR })]
    #[case(404, json!({}), Refusal::Gone)]
    #[case(409, json!({}), Refusal::Gone)]
    #[case(403, json!({}), Refusal::Forbidden("m".into()))]
    #[case(422, json!({}), Refusal::Forbidden("m".into()))]
    #[case(500, json!({}), Refusal::Unknown("m".into()))]
    #[case(503, json!({}), Refusal::Unknown("m".into()))]
    fn every_answer_of_the_eviction_api_has_its_meaning(
        #[case] code: u16,
        #[case] details: serde_json::Value,
        #[case] expected: Refusal,
    ) {
        assert_eq!(refusal_of(answer(code, "m", details)), expected);
    }

    #[test]
    fn two_budgets_on_one_pod_are_told_from_other_failures() {
        let message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
        let refusal = refusal_of(answer(500, message, json!({})));
        assert_eq!(refusal, Refusal::MultipleBudgets(message.to_owned()));
    }
}
