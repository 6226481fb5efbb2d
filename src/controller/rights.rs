//! What not every installation may do.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::watch;

use crate::observe::Kind;
use crate::plan::{OpeningRight, ScaleInRight, SteeringRight, SurgeRight};

/// What is known of the rights that not every installation has.
pub struct Rights {
    /// To replace pods before they stop.
    pub surge: watch::Receiver<SurgeRight>,
    /// To write deletion costs.
    pub scale_in: watch::Receiver<ScaleInRight>,
    /// To make probe pods.
    pub opening: watch::Receiver<OpeningRight>,
    /// Whether new pods can be steered.
    pub steering: watch::Receiver<SteeringRight>,
}

/// Whether the operator may do that to all objects of the kind: in this namespace, or without
/// one everywhere.
///
/// # Errors
/// When that could not be asked.
pub async fn may(
    client: &Client,
    verb: &str,
    kind: Kind,
    namespace: Option<&str>,
) -> Result<bool, kube::Error> {
    let asked = ResourceAttributes {
        namespace: namespace.map(str::to_owned),
        group: Some(kind.group().to_owned()),
        resource: Some(kind.resource().to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(asked),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
