//! What steers new pods: the `MutatingAdmissionPolicy` of `deploy/steering` reads it from the
//! status of a policy.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// By this key in one of its expressions a preferred term of node affinity is known to be
/// steering. No node has such a label, and the expression says so.
pub const STEERED: &str = "zonespread.io/steered";

/// On an Event that is created as a dry run: the policy for which it is asked how a pod with
/// the Event's labels would be steered. The answer is the annotation [`STEERED`].
pub const STEERING_CHECK: &str = "zonespread.io/steering-check";

/// How the answer begins. It changes with `deploy/steering/policy.yaml`.
pub const STEERING_VERSION: &str = "v1";

/// Whether new pods can be steered into a zone, and which are.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Steering {
    /// Whether they can: deploy/steering is there, and works.
    pub available: bool,
    /// The tiers whose new pods are steered now. Atomic, since it is read as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), extend("x-kubernetes-list-type" = "atomic"))]
    pub tiers: Vec<SteeredTier>,
}

/// A tier whose new pods prefer a zone.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SteeredTier {
    /// The tier.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The zone that its new pods prefer, with weight 100.
    #[schemars(length(max = 63))]
    pub zone: String,
    /// Pods that are made later are not steered, whether or not the operator still runs.
    pub until: Time,
}
