//! What must be known before a zone is lost on purpose.

use std::collections::BTreeMap;

use crate::api::{DrillRefusal, DrillZone, DrilledPolicy, ZoneState};
use crate::observe::{Name, PolicyKey, Zone};

/// What is known of the cluster and of the tiers that a drill is about.
#[derive(Clone, Debug, Default)]
pub struct DrillFacts {
    /// Whether another zone has a node that can take pods.
    pub others_are_usable: bool,
    /// Zones that are neither Ready nor without nodes for long, as the cluster or a drilled
    /// tier sees them.
    pub not_ready: BTreeMap<Zone, ZoneState>,
    /// Why the cluster as a whole is in no state to lose a zone, if so.
    pub unstable: Option<String>,
    /// What may not be known.
    pub stale: Option<String>,
    /// Policies that cannot be followed, and why.
    pub invalid: Vec<(PolicyKey, String)>,
    /// The tiers of the drilled policies that may use the zone.
    pub tiers: Vec<TierFacts>,
    /// Why no zone may be closed, if so.
    pub cannot_close: Option<String>,
    /// Another drill that runs.
    pub other_drill: Option<String>,
    /// The drilled policies.
    pub policies: Vec<DrilledPolicy>,
    /// All other tiers of these policies.
    pub elsewhere: Vec<(PolicyKey, Name)>,
}

/// Whether the operator can close zones, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrillRight {
    /// It was seen that it can.
    Proven,
    /// What is missing, and what would help.
    Missing(String),
}

impl Default for DrillRight {
    fn default() -> Self {
        Self::Missing("the operator has no right to close zones: deploy/drill gives it".to_owned())
    }
}

/// What is known of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierFacts {
    /// Its policy.
    pub policy: PolicyKey,
    /// Its name.
    pub name: Name,
    /// Its pods by zone.
    pub zones: Vec<DrillZone>,
    /// Its pods in the zone.
    pub in_zone: i32,
    /// Most minus fewest pods over the zones.
    pub skew: i32,
    /// The largest allowed.
    pub max_skew: i32,
    /// Whether its policy accepts that it is in one zone: it need not be balanced.
    pub is_single_zone: bool,
    /// What is paused, with the command that ends it.
    pub paused: Option<String>,
    /// Whether it is only observed.
    pub observed: bool,
    /// Its moves under way.
    pub moves: usize,
    /// A workload that is rolling out.
    pub rolling_out: Option<String>,
    /// Why its part of the cluster is in no state to lose a zone.
    pub unstable: Option<String>,
    /// How many pods it wants, and how many of these are not Available.
    pub desired: i32,
    /// See `desired`.
    pub missing: i32,
    /// What its disruption budgets say against an eviction in the zone.
    pub budget: Option<DrillRefusal>,
    /// Pods in the zone that would not be evicted, and why the first of them is not.
    pub stays: i32,
    /// See `stays`.
    pub why_it_stays: Option<String>,
}

impl TierFacts {
    /// `shop/petclinic web`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{} {}", self.policy.namespace, self.policy.name, self.name)
    }

    /// Whether `acceptRisk` names it.
    #[must_use]
    pub fn is_accepted(&self, accepted: &[String]) -> bool {
        accepted.iter().any(|known| names(known, &self.policy, &self.name))
    }
}

/// Whether an entry of `acceptRisk` names this tier: `tier`, `policy/tier` or
/// `namespace/policy/tier`. A tier's name is a label value: no slash is in it.
#[must_use]
pub fn names(accepted: &str, policy: &PolicyKey, tier: &str) -> bool {
    let mut parts = accepted.rsplit('/');
    parts.next() == Some(tier)
        && parts.next().is_none_or(|name| name == &*policy.name)
        && parts.next().is_none_or(|namespace| namespace == &*policy.namespace)
        && parts.next().is_none()
}
