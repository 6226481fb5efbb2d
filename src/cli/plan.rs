//! `zonespread plan`: what would be moved now, and why not.

use clap::Args;

use crate::api::text::counted;
use crate::api::{Phase, Reason};
use crate::observe::{Kind, PolicyEntry, PolicyKey};
use crate::operator::DryRun;
use crate::plan::SurgeRight;

use super::cluster::Access;
use super::names;
use super::output::{Output, note};
use super::source::{Asks, Source};
use super::view::{Plans, PolicyPlan, PredictedScheduler, plan_table};
use super::{Failure, Unmet};

/// Arguments of `zonespread plan`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 3: a policy is Invalid or Ineffective, or a tier is blocked.")]
pub struct Plan {
    /// One policy, as NAME or zsp/NAME
    #[arg(value_name = "POLICY")]
    policy: Option<String>,
    /// Plan as if the operator had the right to replace pods before they stop (deploy/surge);
    /// default: whether a policy's status says that it has
    #[arg(long)]
    surge: bool,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    output: Output,
}

impl Plan {
    /// Prints the plan.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let named = self.policy.as_deref().map(names::policy).transpose()?;
        let within = named.and_then(|named| named.namespace);
        let mut snapshot =
            self.source.look(access, Asks::Namespace(within), &[Kind::Node, Kind::Policy])?;
        let namespace = snapshot.namespace.as_deref();
        let wanted = |policy: &PolicyKey| {
            namespace.is_none_or(|namespace| *policy.namespace == *namespace)
                && named.is_none_or(|named| *policy.name == *named.name)
        };
        let is_proven =
            |policy: &PolicyEntry| policy.status.as_ref().is_some_and(|status| status.can_surge);
        let can_surge = self.surge || snapshot.operator.index().policies().any(is_proven);
        if can_surge {
            snapshot.operator.set_surge_right(SurgeRight::Proven);
        }
        let dry_runs = snapshot.operator.dry_run(wanted, snapshot.now);
        if !can_surge && dry_runs.iter().any(waits_for_a_surge) {
            note(
                "no status says that the operator can replace pods before they stop (canSurge): --surge plans as if it could",
            );
        }
        if dry_runs.is_empty() {
            let place = namespace.map_or_else(String::new, |name| format!(" in namespace {name}"));
            if let Some(named) = named {
                return Err(format!("no ZoneSpreadPolicy {}{place}", named.name).into());
            }
            note(&format!("no ZoneSpreadPolicies{place}; -A looks in all namespaces"));
        }
        let unmet = unmet(&dry_runs);
        let index = snapshot.operator.index();
        let policies =
            dry_runs.into_iter().map(|dry_run| PolicyPlan::new(index, dry_run)).collect();
        let scheduler = PredictedScheduler::from(snapshot.operator.scheduler_version());
        self.output.print(&Plans { scheduler, policies }, plan_table)?;
        unmet.map_or(Ok(()), |unmet| Err(unmet.into()))
    }
}

/// Whether a tier might be moved by a surge, if the operator had the right to.
fn waits_for_a_surge(run: &DryRun) -> bool {
    let mut blocked = run.tiers.iter().filter_map(|tier| tier.blocked.as_ref());
    blocked.any(|why| matches!(why.reason, Reason::BudgetExhausted | Reason::CannotSurge))
}

/// What of the plans cannot be carried out now, if anything.
fn unmet(dry_runs: &[DryRun]) -> Option<Unmet> {
    let without_effect = dry_runs
        .iter()
        .filter(|run| matches!(run.status.phase, Some(Phase::Invalid | Phase::Ineffective)))
        .count();
    let blocked = dry_runs
        .iter()
        .flat_map(|run| &run.tiers)
        .filter_map(|tier| tier.blocked.as_ref())
        // The others wait for nobody.
        .filter(|why| !matches!(why.reason, Reason::MovesUnderWay | Reason::SingleZoneAccepted))
        .count();
    let tiers = (blocked > 0).then(|| format!("blocked: {}", counted(blocked, "tier")));
    let policies = (without_effect > 0).then(|| {
        let policies = if without_effect == 1 { "policy" } else { "policies" };
        format!("Invalid or Ineffective: {without_effect} {policies}")
    });
    let all: Vec<String> = policies.into_iter().chain(tiers).collect();
    (!all.is_empty()).then(|| Unmet(all.join("; ")))
}
