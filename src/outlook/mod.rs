//! Before the outage: what a zone takes with it, where the rest goes, and what waits.
//!
//! A zone is lost on paper. All of its pods that somebody re-creates are placed one by one,
//! in the order of their priority, by the model of kube-scheduler that plans moves, too.
//! An outage has two phases, and they differ: at first the nodes are unreachable and still
//! there, so that spread constraints count the zone as an empty domain; later they are gone.
//!
//! [`Outlook::of`] is a function of the index and the scheduler's configuration. Nothing in
//! here can evict.

mod forecast;
mod loss;
mod placement;
mod scenarios;
mod survey;
mod verdict;
mod workloads;

#[cfg(test)]
mod tests;

pub use crate::api::LossReason;
pub use forecast::{PolicyForecast, TierForecast};
pub use scenarios::{Scenario, TierScenarios, scenarios};
pub use survey::{KeptPlaces, Survey, tier_fingerprint};
pub use verdict::QUORUM_FROM;

use std::collections::BTreeMap;

use crate::observe::{Index, Name, Zone};
use crate::predict::SchedulerConfig;

/// How a zone's nodes are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Their kubelets are silent; the Node objects are still there.
    Unreachable,
    /// The Node objects are deleted.
    Gone,
}

/// What the loss of each zone would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// By zone.
    pub zones: Vec<ZoneOutlook>,
}

/// What the loss of a zone would do.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneOutlook {
    /// The zone.
    pub zone: Zone,
    /// Tiers of policies, by policy and name; then other workloads.
    pub tiers: Vec<TierOutlook>,
    /// What the pods ask for that stay Pending for lack of room, in the worse phase.
    pub missing: Missing,
}

/// What pods ask for that find no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Thousandths of a core.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory: i64,
    /// How many pods.
    pub pods: usize,
}

/// Whose pods these are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// A tier of a policy: the policy's name, and the tier's.
    Tier(Name, Name),
    /// A workload that no policy selects: kind and name of its outermost owner; a pod
    /// without one stands for itself.
    Workload(Name, Name),
}

/// What the loss of a zone would do to the pods of a tier, or of another workload.
#[derive(Clone, Debug, PartialEq)]
pub struct TierOutlook {
    /// Their namespace.
    pub namespace: Name,
    /// Whose they are.
    pub of: Of,
    /// How many there are now, those that wait for a node included.
    pub pods: usize,
    /// How many are on nodes of other zones, or of none.
    pub surviving: usize,
    /// How many are on nodes of the zone.
    pub lost: usize,
    /// A `StatefulSet` of three or more that loses its majority.
    pub quorum_lost: bool,
    /// Whether the policy accepts that the tier is in one zone, or the reason.
    pub accepted: bool,
    /// While the nodes are unreachable.
    pub unreachable: PhaseOutlook,
    /// Once the nodes are deleted.
    pub gone: PhaseOutlook,
    /// Why the zone is not safe to lose for them, and what would help.
    pub reason: Option<(LossReason, String)>,
}

/// Where the pods are in one phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhaseOutlook {
    /// How many stay Pending at most.
    pub pending: usize,
    /// How many stay Pending at least: a hard constraint lets more pods go elsewhere while
    /// others of the same node still count, and which is first is a matter of chance.
    pub fewest_pending: usize,
    /// How many nobody re-creates: bare pods, and those of a `StatefulSet` that keep their
    /// name until their node is deleted, or wait for the one before them.
    pub absent: usize,
    /// How many land where it cannot be predicted.
    pub unknown: usize,
    /// How many run, by zone.
    pub zones: BTreeMap<Zone, usize>,
}

impl TierOutlook {
    /// How many stay Pending in the worse phase.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.unreachable.pending.max(self.gone.pending)
    }

    /// The share that survives, in percent; an empty tier loses nothing.
    #[must_use]
    pub fn percent(&self) -> usize {
        (self.surviving * 100).checked_div(self.pods).unwrap_or(100)
    }

    /// Whether they are of a policy.
    #[must_use]
    pub const fn is_tier(&self) -> bool {
        matches!(self.of, Of::Tier(..))
    }
}

impl ZoneOutlook {
    /// How many pods stay Pending in this phase.
    #[must_use]
    pub fn pending(&self, phase: Phase) -> usize {
        let pending = |tier: &TierOutlook| match phase {
            Phase::Unreachable => tier.unreachable.pending,
            Phase::Gone => tier.gone.pending,
        };
        self.tiers.iter().map(pending).sum()
    }

    /// Whether no tier of a policy is in danger, or, where there are no policies, no workload.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.worst().is_none()
    }

    /// The tier that makes the zone unsafe to lose, the worst of them.
    #[must_use]
    pub fn worst(&self) -> Option<&TierOutlook> {
        let policies = self.tiers.iter().any(TierOutlook::is_tier);
        let judged = self.tiers.iter().filter(|tier| tier.is_tier() || !policies);
        let unsafe_ones = judged.filter(|tier| !tier.accepted && tier.reason.is_some());
        unsafe_ones.min_by_key(|tier| {
            let reason = tier.reason.as_ref().map(|(reason, _)| *reason);
            (reason, tier.percent(), std::cmp::Reverse(tier.pending()))
        })
    }
}

impl Outlook {
    /// Loses each of the zones that nodes are in, or only `zone`.
    #[must_use]
    pub fn of(index: &Index, config: &SchedulerConfig, only: Option<&Zone>) -> Self {
        let mut survey = Survey::begin(index, only);
        let mut zones = Vec::new();
        while !survey.is_over() {
            zones.extend(survey.step(index, config));
        }
        Self { zones }
    }
}
