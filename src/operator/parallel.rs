//! Plans that are made before they are asked for, on all cores. With many tiers most of
//! the time goes into plans, and none of them depends on another: only on what they are
//! made from, which is compared before a plan is used.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::observe::{PolicyEntry, PolicyKey, ZoneTracker};
use crate::plan::{PlanInput, TierPlan, TierView, ZoneLanding, plan_tier, tiers_of};

use super::Operator;
use super::invalidity::invalidity;
use super::policy_state::PolicyState;

/// With fewer tiers it takes longer to share the work than to do it.
const WORTH_SHARING: usize = 64;

/// A tier, and its plan if that was made ahead.
#[derive(Debug)]
pub(super) struct Planned {
    pub view: TierView,
    pub ahead: Option<(PlanInput, TierPlan)>,
}

/// Plans that were made ahead.
#[derive(Debug, Default)]
pub(super) struct ParallelPlans {
    zones: ZoneTracker,
    landings: Vec<ZoneLanding>,
    /// And how long each took.
    policies: BTreeMap<PolicyKey, (Vec<Planned>, Duration)>,
}

impl Operator {
    /// Makes the plans of these policies, if that is worth it.
    pub(super) fn plan_in_parallel<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k PolicyKey>,
        now: Timestamp,
    ) -> ParallelPlans {
        let policies = keys.into_iter().filter_map(|key| self.index.policy(key));
        let mut policies: Vec<&PolicyEntry> = policies.collect();
        if policies.iter().map(|policy| policy.tiers.len()).sum::<usize>() < WORTH_SHARING {
            return ParallelPlans::default();
        }
        policies.retain(|policy| invalidity(&self.index, policy).is_none());
        let cores = thread::available_parallelism().map_or(1, usize::from).min(policies.len());
        if cores < 2 {
            return ParallelPlans::default();
        }
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some(policy) = policies.get(next.fetch_add(1, Ordering::Relaxed)) {
                let began = Instant::now();
                let planned = self.plan_policy(policy, now);
                done.push((policy.key.clone(), (planned, began.elapsed())));
            }
            done
        };
        let policies = thread::scope(|scope| {
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
            let done = workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
            done.flatten().collect()
        });
        ParallelPlans { zones: self.zones.clone(), landings: self.landings.clone(), policies }
    }

    fn plan_policy(&self, policy: &PolicyEntry, now: Timestamp) -> Vec<Planned> {
        let unknown = PolicyState::default();
        let memory = self.policies.get(&policy.key).unwrap_or(&unknown);
        let views = self.views(policy, memory, now);
        let plan = |view: TierView| {
            let input = self.plan_input(policy, &view, memory);
            let plan = self.plan_from(&view, &input);
            Planned { view, ahead: Some((input, plan)) }
        };
        views.into_iter().map(plan).collect()
    }

    /// The tiers of a policy, with the plans that were made ahead, and how long these took.
    pub(super) fn planned(
        &mut self,
        key: &PolicyKey,
        memory: &PolicyState,
        now: Timestamp,
    ) -> (Vec<Planned>, Duration) {
        let ahead = self.parallel.policies.remove(key).filter(|_| {
            self.parallel.zones == self.zones && self.parallel.landings == self.landings
        });
        if let Some(planned) = ahead {
            return planned;
        }
        let Some(policy) = self.index.policy(key) else {
            return (Vec::new(), Duration::ZERO);
        };
        let views = self.views(policy, memory, now);
        let planned = views.into_iter().map(|view| Planned { view, ahead: None });
        (planned.collect(), Duration::ZERO)
    }

    pub(super) fn views(
        &self,
        policy: &PolicyEntry,
        memory: &PolicyState,
        now: Timestamp,
    ) -> Vec<TierView> {
        let (scheduler, zones) = (self.scheduler(), self.zone_input());
        tiers_of(&self.index, &scheduler, policy, zones, &memory.tier_zones, now)
    }

    /// What the plan of a tier is made from now.
    pub(super) fn plan_input(
        &self,
        policy: &PolicyEntry,
        view: &TierView,
        memory: &PolicyState,
    ) -> PlanInput {
        let mut in_flight = self.in_flight_with(&policy.key, memory);
        for probe in self.probes_for(view) {
            in_flight.remove(probe);
        }
        PlanInput {
            approval: memory.approval_of(view),
            in_flight,
            leaving: self.leaving_of(&policy.key, view, memory),
            expected: self.expected(&policy.key, view, memory),
            just_moved: memory.just_moved(),
            surge_replacements: memory.surge_replacements(),
            surge: self.surge.clone(),
            steering: self.steering_of(&view.name, memory),
        }
    }

    pub(super) fn plan_from(&self, view: &TierView, input: &PlanInput) -> TierPlan {
        plan_tier(&self.index, &self.scheduler(), view, input)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::an_outage;

    #[test]
    fn plans_are_the_same_whether_made_ahead_or_not() {
        let mut world = an_outage();
        let apps: Vec<String> = (0..80).map(|at| format!("app-{at}")).collect();
        for app in &apps {
            world.replica_set(app, &["a1", "b1", "a2", "b2"]);
            world.policy(app, json!({}));
        }
        world.open("c");
        world.pass(1);
        let now = world.now;
        let plans = |dry_runs: Vec<crate::operator::DryRun>| -> Vec<(String, String)> {
            let tiers = dry_runs.into_iter().flat_map(|dry_run| dry_run.tiers);
            tiers.map(|tier| (tier.view.name.to_string(), format!("{:?}", tier.plan))).collect()
        };
        let ahead = world.operator.plan_in_parallel(
            &world.operator.index().policies().map(|policy| policy.key.clone()).collect::<Vec<_>>(),
            now,
        );
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        assert_eq!(ahead.policies.len(), if cores > 1 { 81 } else { 0 });
        let together = plans(world.operator.dry_run(|_| true, now));
        let mut alone = Vec::new();
        for (name, _) in &together {
            alone.extend(plans(world.operator.dry_run(|key| *key.name == **name, now)));
        }
        assert_eq!(together.len(), 81);
        assert!(together.iter().all(|(_, plan)| plan.contains("PlannedMove")));
        assert_eq!(together, alone);
    }
}
