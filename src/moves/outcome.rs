//! What became of what was asked. What is counted comes in closed lists, since each is a
//! label value.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use crate::api::{MoveKind, ZoneSpreadPolicyStatus};
use crate::observe::{Name, PolicyKey};

use super::request::Verb;

/// What became of an effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A status was written.
    Written {
        /// The policy.
        policy: PolicyKey,
        /// Its uid.
        uid: Name,
        /// What was written.
        status: Arc<ZoneSpreadPolicyStatus>,
    },
    /// A status could not be written.
    NotWritten {
        /// The policy.
        policy: PolicyKey,
        /// Its uid.
        uid: Name,
        /// What was to be written.
        status: Arc<ZoneSpreadPolicyStatus>,
        /// Why not.
        failure: WriteFailure,
    },
    /// What was asked for a move is done.
    Acted {
        /// What that was.
        verb: Verb,
        /// The policy.
        policy: PolicyKey,
        /// The pod's uid.
        uid: Name,
    },
    /// It is not done.
    Refused {
        /// What was asked.
        verb: Verb,
        /// The policy.
        policy: PolicyKey,
        /// The pod's uid.
        uid: Name,
        /// Why not.
        refusal: ActionError,
    },
}

impl Outcome {
    /// Whether it is part of a drill, and of no move.
    #[must_use]
    pub const fn is_of_drill(&self) -> bool {
        match self {
            Self::Acted { verb, .. } | Self::Refused { verb, .. } => verb.is_of_drill(),
            Self::Written { .. } | Self::NotWritten { .. } => false,
        }
    }

    /// The policy it is about.
    #[must_use]
    pub const fn policy(&self) -> &PolicyKey {
        match self {
            Self::Written { policy, .. }
            | Self::NotWritten { policy, .. }
            | Self::Acted { policy, .. }
            | Self::Refused { policy, .. } => policy,
        }
    }
}

/// Why a status was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteFailure {
    /// The API server said no, or could not be reached.
    #[error("{0}")]
    Refused(String),
    /// No answer in time: it may be written all the same.
    #[error("no answer in time")]
    TimedOut,
}

/// Why a pod was not evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionError {
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
    /// The request to the API server failed; nothing was evicted.
    Failed(String),
    /// Whether it was evicted is not known.
    Unknown(String),
}

impl ActionError {
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
        /// How the pod was moved.
        kind: MoveKind,
        /// How it ended.
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
    /// A status could not be written.
    WriteFailed {
        /// The policy.
        policy: PolicyKey,
        /// How it failed.
        category: ErrorCategory,
    },
}

/// A step that failed, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCategory {
    /// Reading all policies, as a leader does first.
    ReadPolicies,
    /// Writing a status: the API server said no, or could not be reached.
    WriteStatus,
    /// Writing a status: no answer in time.
    WriteStatusTimeout,
    /// Writing a Zone, whatever the reason.
    WriteZone,
}

impl ErrorCategory {
    /// Every category.
    pub const ALL: [Self; 4] =
        [Self::ReadPolicies, Self::WriteStatus, Self::WriteStatusTimeout, Self::WriteZone];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadPolicies => "read_policies",
            Self::WriteStatus => "write_status",
            Self::WriteStatusTimeout => "write_status_timeout",
            Self::WriteZone => "write_zone",
        }
    }
}

impl From<&WriteFailure> for ErrorCategory {
    fn from(failure: &WriteFailure) -> Self {
        match failure {
            WriteFailure::Refused(_) => Self::WriteStatus,
            WriteFailure::TimedOut => Self::WriteStatusTimeout,
        }
    }
}

/// How the API server answered an eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvictionResult {
    /// Accepted.
    Evicted,
    /// A `PodDisruptionBudget` says no.
    RefusedBudget,
    /// The API server asks for fewer requests.
    Throttled,
    /// Rights, a terminating namespace, or a webhook.
    Forbidden,
    /// The pod is gone, or another one by now.
    Gone,
    /// Anything else.
    Error,
}

impl EvictionResult {
    /// Every result.
    pub const ALL: [Self; 6] = [
        Self::Evicted,
        Self::RefusedBudget,
        Self::Throttled,
        Self::Forbidden,
        Self::Gone,
        Self::Error,
    ];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::RefusedBudget => "refused_budget",
            Self::Throttled => "throttled",
            Self::Forbidden => "forbidden",
            Self::Gone => "gone",
            Self::Error => "error",
        }
    }
}

/// How a move ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MoveOutcome {
    /// The replacement is Available in the target zone.
    Landed,
    /// The replacement is in another zone.
    Missed,
    /// No replacement was Available in time.
    Stuck,
    /// A scale-down or a rollout made it needless.
    Discarded,
}

impl MoveOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Landed, Self::Missed, Self::Stuck, Self::Discarded];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Landed => "landed",
            Self::Missed => "missed",
            Self::Stuck => "stuck",
            Self::Discarded => "discarded",
        }
    }
}
