//! What the operator wants done, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::act::Siblings;
use crate::api::ZoneSpreadPolicyStatus;
use crate::observe::{Name, PolicyKey, Uid, Zone};
use crate::report::{EvictionResult, MoveOutcome, Note};

/// Something to be done, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write a status, and publish the events that tell of it.
    WriteStatus {
        /// The policy.
        policy: PolicyKey,
        /// Its uid.
        uid: Name,
        /// What to write.
        status: Arc<ZoneSpreadPolicyStatus>,
        /// The events.
        notes: Vec<Note>,
    },
    /// Evict a pod; only if the policy's status before it could be written (law 7).
    Evict(EvictionRequest),
}

/// A pod to be evicted, and what must still be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvictionRequest {
    /// The policy.
    pub policy: PolicyKey,
    /// The tier.
    pub tier: Name,
    /// The pod's name.
    pub pod: Name,
    /// The pod's uid.
    pub uid: Name,
    /// The node that the pod must still be on.
    pub node: Name,
    /// The node on which the replacement is expected; it must still take pods.
    pub target: Name,
    /// The zone that this node must still be in.
    pub zone: Name,
    /// What the decision stands on, to be read anew.
    pub ground: Ground,
    /// When this was decided.
    pub decided: Timestamp,
    /// When the window closes in which it may start; none if there are no windows.
    pub closes: Option<Timestamp>,
}

/// What a decision stands on, to be read anew before it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// What selects the tier's pods, as in a URL. None when they are too many
    /// to be listed for one move: then only the pod itself is read.
    pub tier_selector: Option<String>,
    /// The pods that the owner of the pod to be evicted has: if there is another one, who
    /// knows whose replacement it is.
    pub siblings: Arc<Siblings>,
    /// How many more it may have: replacements for other moves that are under way.
    pub awaited: usize,
    /// How many of the tier's other pods must be Available: all but those under way (law 3).
    pub available: usize,
    /// Replacements that are known of those under way: whether they are Available by now
    /// says nothing about the others.
    pub coming: Box<[Uid]>,
    /// How long a pod must be Ready to be Available, in seconds.
    pub min_ready_seconds: i64,
    /// The tier's zones with nodes: none of them may be out (law 1).
    pub zones: Vec<Zone>,
    /// Whether all nodes are read: there are not too many.
    pub all_nodes: bool,
}

/// What became of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A status was written.
    Written {
        /// The policy.
        policy: PolicyKey,
    },
    /// A status could not be written.
    NotWritten {
        /// The policy.
        policy: PolicyKey,
    },
    /// A pod was evicted.
    Evicted {
        /// The policy.
        policy: PolicyKey,
        /// The pod's uid.
        uid: Name,
    },
    /// A pod was not evicted.
    Refused {
        /// The policy.
        policy: PolicyKey,
        /// The pod's uid.
        uid: Name,
        /// Why not.
        refusal: Refusal,
    },
}

impl Outcome {
    /// The policy it is about.
    #[must_use]
    pub const fn policy(&self) -> &PolicyKey {
        match self {
            Self::Written { policy }
            | Self::NotWritten { policy }
            | Self::Evicted { policy, .. }
            | Self::Refused { policy, .. } => policy,
        }
    }
}

/// Why a pod was not evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A `PodDisruptionBudget` says no.
    Budget(String),
    /// More than one `PodDisruptionBudget` selects it.
    MultipleBudgets(String),
    /// The API server asks for fewer requests.
    Throttled {
        /// For how long.
        retry_after: SignedDuration,
    },
    /// RBAC, a terminating namespace, or a webhook.
    Forbidden(String),
    /// The pod is gone, or another of the same name is there.
    Gone,
    /// The decision no longer holds; nothing was asked.
    Outdated(String),
    /// A fresh read shows another cluster than the watch; nothing was asked.
    Stale(String),
    /// The API server did not answer as it should; nothing was evicted.
    Failed(String),
    /// Whether it was evicted is not known.
    Unknown(String),
}

impl Refusal {
    /// How it is counted; none if nothing was asked.
    #[must_use]
    pub const fn result(&self) -> Option<EvictionResult> {
        match self {
            Self::Budget(_) | Self::MultipleBudgets(_) => Some(EvictionResult::RefusedBudget),
            Self::Throttled { .. } => Some(EvictionResult::Throttled),
            Self::Forbidden(_) => Some(EvictionResult::Forbidden),
            Self::Gone => Some(EvictionResult::Gone),
            Self::Unknown(_) => Some(EvictionResult::Error),
            Self::Outdated(_) | Self::Stale(_) | Self::Failed(_) => None,
        }
    }
}

/// What counters and logs want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// A move ended.
    MoveEnded {
        /// The policy.
        policy: PolicyKey,
        /// The tier.
        tier: String,
        /// How.
        outcome: MoveOutcome,
        /// From the eviction to Available.
        took: Option<Duration>,
        /// Whether the replacement landed where it was predicted; none if it did not land.
        predicted: Option<bool>,
    },
    /// An eviction was answered.
    EvictionAnswered {
        /// The policy.
        policy: PolicyKey,
        /// The tier.
        tier: String,
        /// How.
        result: EvictionResult,
    },
}

/// What to do, in order, and when to ask again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What to do; nothing while another process leads.
    pub effects: Vec<Effect>,
    /// The statuses of the policies that were asked, for the metrics.
    pub statuses: Vec<(PolicyKey, Arc<ZoneSpreadPolicyStatus>)>,
    /// Policies that are gone.
    pub gone: Vec<PolicyKey>,
    /// What counters want to know.
    pub signals: Vec<Signal>,
    /// When to ask again at the latest.
    pub next: Option<Timestamp>,
}
