//! `zonespread plan`: what would be moved now, and why not.

use clap::Args;

use crate::observe::Kind;

use super::Failure;
use super::cluster::Access;
use super::output::{Output, note};
use super::source::Source;
use super::view::{Plans, PolicyPlan, PredictedScheduler, plan_table};

/// Arguments of `zonespread plan`.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    output: Output,
}

impl Plan {
    /// Prints the plan.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let mut snapshot = self.source.look(access, &[Kind::Node, Kind::Policy])?;
        let namespace = snapshot.namespace.as_deref();
        let wanted = |policy: &crate::observe::PolicyKey| {
            namespace.is_none_or(|namespace| *policy.namespace == *namespace)
        };
        let dry_runs = snapshot.operator.dry_run(wanted, snapshot.now);
        if dry_runs.is_empty() {
            let place = namespace.map_or_else(String::new, |name| format!(" in namespace {name}"));
            note(&format!("no ZoneSpreadPolicies{place}; -A looks in all namespaces"));
        }
        let index = snapshot.operator.index();
        let policies =
            dry_runs.into_iter().map(|dry_run| PolicyPlan::new(index, dry_run)).collect();
        let scheduler = PredictedScheduler::from(snapshot.operator.scheduler_version());
        self.output.print(&Plans { scheduler, policies }, plan_table)
    }
}
