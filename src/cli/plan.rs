//! `zonespread plan`: what would be moved now, and why not.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use crate::api::{Blocked, Phase};
use crate::observe::{Index, Kind};
use crate::operator::Survey;
use crate::plan::PlannedMove;
use crate::report::TierReport;

use super::Failure;
use super::cluster::Access;
use super::output::{Output, note};
use super::source::Source;
use super::table::Grid;

/// Arguments of `zonespread plan`.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Answer {
    policies: Vec<PolicyPlan>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyPlan {
    namespace: String,
    name: String,
    phase: Option<Phase>,
    /// Why the policy cannot be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    tiers: Vec<TierOutlook>,
    /// The column of `kubectl get`, and its sentence: for the table.
    #[serde(skip)]
    summary: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TierOutlook {
    name: String,
    zones: BTreeMap<String, i32>,
    skew: i32,
    max_skew: i32,
    reachable_skew: i32,
    moves: Vec<MoveOutlook>,
    blocked: Option<Blocked>,
}

#[derive(Debug, Serialize)]
struct MoveOutlook {
    namespace: String,
    pod: String,
    from: String,
    to: String,
    nodes: Vec<String>,
    /// How many nodes tie, those that are not named included: for the table.
    #[serde(skip)]
    tied: usize,
}

impl Plan {
    /// Prints the plan.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let mut snapshot = self.source.look(access, &[Kind::Node, Kind::Policy])?;
        let namespace = snapshot.namespace.as_deref();
        let wanted = |policy: &crate::observe::PolicyKey| {
            namespace.is_none_or(|namespace| *policy.namespace == *namespace)
        };
        let surveys = snapshot.operator.survey(wanted, snapshot.now);
        if surveys.is_empty() {
            let place = namespace.map_or_else(String::new, |name| format!(" in namespace {name}"));
            note(&format!("no ZoneSpreadPolicies{place}; -A looks in all namespaces"));
        }
        let index = snapshot.operator.index();
        let policies = surveys.into_iter().map(|survey| PolicyPlan::new(index, survey)).collect();
        self.output.print(&Answer { policies }, table)
    }
}

impl PolicyPlan {
    fn new(index: &Index, survey: Survey) -> Self {
        let Survey { policy, status, tiers } = survey;
        let is_invalid = status.phase == Some(Phase::Invalid);
        Self {
            namespace: policy.namespace.to_string(),
            name: policy.name.to_string(),
            phase: status.phase,
            summary: status.message.clone(),
            message: is_invalid.then_some(status.message),
            tiers: tiers
                .iter()
                .map(|tier| TierOutlook::new(index, &policy.namespace, tier))
                .collect(),
        }
    }
}

impl TierOutlook {
    fn new(index: &Index, namespace: &str, tier: &TierReport) -> Self {
        let view = &tier.view;
        Self {
            name: view.name.to_string(),
            zones: view.zones.keys().map(ToString::to_string).zip(view.counts()).collect(),
            skew: view.skew(),
            max_skew: view.settings.max_skew,
            reachable_skew: tier.plan.reachable_skew,
            moves: tier
                .plan
                .moves
                .iter()
                .filter_map(|planned| MoveOutlook::new(index, namespace, planned))
                .collect(),
            blocked: tier.blocked.clone(),
        }
    }
}

impl MoveOutlook {
    fn new(index: &Index, namespace: &str, planned: &PlannedMove) -> Option<Self> {
        Some(Self {
            namespace: namespace.to_owned(),
            pod: index.cluster().pod(planned.pod)?.name.to_string(),
            from: planned.from.to_string(),
            to: planned.to.first()?.to_string(),
            nodes: planned.nodes.iter().map(ToString::to_string).collect(),
            tied: planned.tied,
        })
    }
}

/// Nodes that are named in a table.
const NODES_SHOWN: usize = 3;

fn table(answer: &Answer) -> String {
    let mut parts = Vec::new();
    for policy in &answer.policies {
        parts.push(policy_table(policy));
    }
    parts.join("\n")
}

fn policy_table(policy: &PolicyPlan) -> String {
    let phase = policy.phase.map_or("-", Phase::as_str);
    let mut text = super::output::plain(&format!(
        "{}/{}: {phase}: {}",
        policy.namespace, policy.name, policy.summary
    ))
    .into_owned();
    text.push('\n');
    if policy.tiers.is_empty() {
        return text;
    }
    let mut zones: Vec<&str> =
        policy.tiers.iter().flat_map(|tier| tier.zones.keys().map(String::as_str)).collect();
    zones.sort_unstable();
    zones.dedup();
    let columns = ["TIER"].into_iter().chain(zones.iter().copied());
    let mut tiers = Grid::new(columns.chain(["SKEW", "MAX", "REACHABLE", "MOVES", "NOW"]));
    for tier in &policy.tiers {
        let count = |zone: &&str| tier.zones.get(*zone).map_or("-".to_owned(), i32::to_string);
        let mut cells = vec![tier.name.clone()];
        cells.extend(zones.iter().map(count));
        cells.extend([tier.skew, tier.max_skew, tier.reachable_skew].map(|skew| skew.to_string()));
        cells.push(tier.moves.len().to_string());
        cells.push(match &tier.blocked {
            Some(blocked) => blocked.reason.to_string(),
            None if tier.skew <= tier.max_skew => "balanced".to_owned(),
            None => "may move".to_owned(),
        });
        tiers.row(cells);
    }
    text.push_str(&tiers.print());
    if policy.tiers.iter().any(|tier| !tier.moves.is_empty()) {
        let mut moves = Grid::new(["MOVE", "TIER", "FROM", "TO", "NODES"]);
        for tier in &policy.tiers {
            for planned in &tier.moves {
                moves.row([
                    &planned.pod,
                    &tier.name,
                    &planned.from,
                    &planned.to,
                    &shortened(&planned.nodes, planned.tied),
                ]);
            }
        }
        text.push('\n');
        text.push_str(&moves.print());
    }
    let blocked: Vec<_> =
        policy.tiers.iter().filter_map(|tier| Some((&tier.name, tier.blocked.as_ref()?))).collect();
    if !blocked.is_empty() {
        let mut why = Grid::new(["WHY NOT", "", ""]);
        for (tier, blocked) in blocked {
            why.row([tier.as_str(), blocked.reason.as_str(), &blocked.message]);
        }
        text.push('\n');
        text.push_str(&why.print());
    }
    text
}

/// The first names of a list of so many, and how many there are more.
pub fn shortened(names: &[String], total: usize) -> String {
    let shown = names.iter().take(NODES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match total.saturating_sub(NODES_SHOWN.min(names.len())) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
