//! A look at the policies without consequences: what `zonespread plan` shows.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::ZoneSpreadPolicyStatus;
use crate::moves::ActionRequest;
use crate::observe::{Name, PolicyKey, ZoneEvent};
use crate::plan::SteeringRight;
use crate::predict::InFlightPods;
use crate::report::TierReport;

use super::Operator;
use super::cluster_state::ClusterState;
use super::decision::Decision;
use super::in_flight::in_flight_pods;
use super::parallel::ParallelPlans;
use super::policy_state::PolicyState;

/// A policy, and what would be done now.
#[derive(Clone, Debug)]
pub struct DryRun {
    /// The policy.
    pub policy: PolicyKey,
    /// What its status would say.
    pub status: ZoneSpreadPolicyStatus,
    /// Its tiers, by name; none when the policy cannot be followed.
    pub tiers: Vec<TierReport>,
}

/// What is seen when a policy is looked at; what `reconcile` acts upon.
pub(super) struct Evaluation {
    /// The policy's uid.
    pub uid: Name,
    /// What its status should say.
    pub status: ZoneSpreadPolicyStatus,
    /// Its tiers; none when it cannot be followed.
    pub tiers: Vec<TierReport>,
    /// Moves that were started; none unless this process leads.
    pub requests: Vec<ActionRequest>,
    /// What is remembered of the policy; taken out, to be put back.
    pub memory: PolicyState,
}

impl Operator {
    /// Takes over what the statuses of the policies in the index remember, and
    /// looks at the zones as they are. Does not lead: nothing will be started.
    pub fn recall(&mut self, now: Timestamp) {
        let statuses: Vec<_> = self
            .index
            .policies()
            .filter_map(|policy| Some((policy.key.clone(), policy.status.clone()?)))
            .collect();
        let zones: Vec<_> = self
            .index
            .zone_objects()
            .filter_map(|(name, entry)| Some((Name::clone(name), entry.status.clone()?)))
            .collect();
        let steers = |(_, status): &(_, Arc<ZoneSpreadPolicyStatus>)| {
            status.steering.as_ref().is_some_and(|steering| steering.available)
        };
        if statuses.iter().any(steers) {
            self.set_steering_right(SteeringRight::Proven);
        }
        let known = statuses.iter().map(|(key, status)| (key.clone(), &**status));
        self.lead(known, zones, now);
        self.leading = false;
        self.recall_openings(statuses.iter().map(|(_, status)| &**status), now);
        self.look_at_kubelets();
        self.zones.on(ZoneEvent::Nodes(&self.conditions), now);
        self.zones.on(ZoneEvent::Holds(self.index.pauses().holds()), now);
        self.cluster_state = ClusterState { unstable: self.unstable(now), stale: None };
    }

    /// What would be done now for the policies that are `wanted`, by name.
    pub fn dry_run(&mut self, wanted: impl Fn(&PolicyKey) -> bool, now: Timestamp) -> Vec<DryRun> {
        let keys: Vec<PolicyKey> = self
            .index
            .policies()
            .map(|policy| policy.key.clone())
            .filter(|key| wanted(key))
            .collect();
        self.parallel = self.plan_in_parallel(&keys, now);
        let mut dry_runs = Vec::with_capacity(keys.len());
        for policy in keys {
            // Moves that have ended meanwhile are signals for counters, which nobody keeps here.
            let mut unheard = Decision::default();
            let Some(look) = self.evaluate(&policy, now, &mut unheard) else { continue };
            self.remember(policy.clone(), look.memory);
            dry_runs.push(DryRun { policy, status: look.status, tiers: look.tiers });
        }
        self.parallel = ParallelPlans::default();
        dry_runs
    }

    /// The moves under way, of every policy.
    #[must_use]
    pub fn in_flight_pods(&self) -> InFlightPods {
        let moves = self
            .policies
            .iter()
            .flat_map(|(key, memory)| memory.under_way().map(move |moved| (key, moved)));
        in_flight_pods(&self.index, moves)
    }
}
