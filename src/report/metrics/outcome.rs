//! What is counted of evictions and moves: closed lists, since each is a label value.

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
}

impl MoveOutcome {
    /// Every outcome.
    pub const ALL: [Self; 3] = [Self::Landed, Self::Missed, Self::Stuck];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Landed => "landed",
            Self::Missed => "missed",
            Self::Stuck => "stuck",
        }
    }
}
