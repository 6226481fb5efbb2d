//! A plan for people and for programs: each policy's tiers, moves and reasons.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{PredictedScheduler, pod_names, shortened};
use crate::api::{Blocked, MoveKind, Phase};
use crate::cli::output::plain;
use crate::cli::table::{Grid, or_dash};
use crate::observe::Index;
use crate::operator::DryRun;
use crate::plan::PlannedMove;
use crate::report::TierReport;

/// The plans of the policies that were asked for.
#[derive(Debug, Serialize)]
pub struct Plans {
    pub scheduler: PredictedScheduler,
    pub policies: Vec<PolicyPlan>,
}

/// A policy's plan.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyPlan {
    namespace: String,
    name: String,
    phase: Option<Phase>,
    /// Why the policy cannot be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    tiers: Vec<TierRow>,
    /// The column of `kubectl get`, and its sentence: for the table.
    #[serde(skip)]
    summary: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TierRow {
    name: String,
    zones: BTreeMap<String, i32>,
    /// Pods in no zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    unzoned: Option<usize>,
    skew: i32,
    max_skew: i32,
    reachable_skew: i32,
    moves: Vec<MoveRow>,
    blocked: Option<Blocked>,
}

#[derive(Debug, Serialize)]
struct MoveRow {
    kind: MoveKind,
    namespace: String,
    pod: String,
    from: String,
    to: String,
    nodes: Vec<String>,
    /// The pods of negative priority that the replacement pushes out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    preempts: Vec<String>,
    /// The zone that the replacement is steered to, if it takes that to land there.
    #[serde(skip_serializing_if = "Option::is_none")]
    steered: Option<String>,
    /// How many nodes tie, those that are not named included: for the table.
    #[serde(skip)]
    tied: usize,
}

impl PolicyPlan {
    pub fn new(index: &Index, dry_run: DryRun) -> Self {
        let DryRun { policy, status, tiers } = dry_run;
        let is_invalid = status.phase == Some(Phase::Invalid);
        Self {
            namespace: policy.namespace.to_string(),
            name: policy.name.to_string(),
            phase: status.phase,
            summary: status.message.clone(),
            message: is_invalid.then_some(status.message),
            tiers: tiers.iter().map(|tier| TierRow::new(index, &policy.namespace, tier)).collect(),
        }
    }
}

impl TierRow {
    fn new(index: &Index, namespace: &str, tier: &TierReport) -> Self {
        let view = &tier.view;
        Self {
            name: view.name.to_string(),
            zones: view.zones.keys().map(ToString::to_string).zip(view.counts()).collect(),
            unzoned: Some(view.unzoned.len()).filter(|pods| *pods > 0),
            skew: view.skew(),
            max_skew: view.settings.max_skew,
            reachable_skew: tier.plan.reachable_skew,
            moves: tier
                .plan
                .moves
                .iter()
                .filter_map(|planned| MoveRow::new(index, namespace, planned))
                .collect(),
            blocked: tier.blocked.clone(),
        }
    }
}

impl MoveRow {
    fn new(index: &Index, namespace: &str, planned: &PlannedMove) -> Option<Self> {
        Some(Self {
            kind: planned.kind,
            namespace: namespace.to_owned(),
            pod: index.cluster().pod(planned.pod)?.name.to_string(),
            from: planned.from.to_string(),
            to: planned.to.first()?.to_string(),
            nodes: planned.nodes.iter().map(ToString::to_string).collect(),
            preempts: pod_names(index, &planned.preempts),
            steered: planned.steered.as_ref().map(ToString::to_string),
            tied: planned.tied,
        })
    }
}

/// The plans as text.
pub fn plan_table(answer: &Plans) -> String {
    let mut parts = Vec::new();
    for policy in &answer.policies {
        parts.push(policy_table(policy));
    }
    parts.join("\n")
}

fn policy_table(policy: &PolicyPlan) -> String {
    let phase = policy.phase.map_or("-", Phase::as_str);
    let mut text =
        plain(&format!("{}/{}: {phase}: {}", policy.namespace, policy.name, policy.summary))
            .into_owned();
    text.push('\n');
    if policy.tiers.is_empty() {
        return text;
    }
    let mut zones: Vec<&str> =
        policy.tiers.iter().flat_map(|tier| tier.zones.keys().map(String::as_str)).collect();
    zones.sort_unstable();
    zones.dedup();
    let is_unzoned = policy.tiers.iter().any(|tier| tier.unzoned.is_some());
    let columns = ["TIER"].into_iter().chain(zones.iter().copied());
    let columns = columns.chain(is_unzoned.then_some("NO ZONE"));
    let mut tiers = Grid::new(columns.chain(["SKEW", "MAX", "REACHABLE", "MOVES", "NOW"]));
    for tier in &policy.tiers {
        let count = |zone: &&str| tier.zones.get(*zone).map_or("-".to_owned(), i32::to_string);
        let mut cells = vec![tier.name.clone()];
        cells.extend(zones.iter().map(count));
        cells.extend(is_unzoned.then(|| tier.unzoned.unwrap_or(0).to_string()));
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
        let all = || policy.tiers.iter().flat_map(|tier| &tier.moves);
        let preempts = all().any(|planned| !planned.preempts.is_empty());
        let surges = all().any(|planned| planned.kind == MoveKind::Surge);
        let steers = all().any(|planned| planned.steered.is_some());
        let columns = ["MOVE"].into_iter().chain(surges.then_some("KIND"));
        let columns = columns.chain(["TIER", "FROM", "TO", "NODES"]);
        let columns = columns.chain(preempts.then_some("PREEMPTS"));
        let mut moves = Grid::new(columns.chain(steers.then_some("STEERED TO")));
        moves = moves.with_notes(["PREEMPTS", "NODES"]);
        for tier in &policy.tiers {
            for planned in &tier.moves {
                let nodes = shortened(&planned.nodes, planned.tied);
                let kind = surges.then(|| planned.kind.as_str().to_owned());
                let pod = [planned.pod.clone()].into_iter().chain(kind);
                let cells = [&tier.name, &planned.from, &planned.to, &nodes];
                let preempted = match &planned.preempts[..] {
                    [] => "-".to_owned(),
                    pods => shortened(pods, pods.len()),
                };
                let preempted = preempts.then_some(preempted);
                let steered = steers.then(|| or_dash(planned.steered.as_deref()).to_owned());
                let cells = pod.chain(cells.into_iter().cloned());
                moves.row(cells.chain(preempted).chain(steered));
            }
        }
        text.push('\n');
        text.push_str(&moves.print());
    }
    let blocked: Vec<_> =
        policy.tiers.iter().filter_map(|tier| Some((&tier.name, tier.blocked.as_ref()?))).collect();
    if !blocked.is_empty() {
        let mut why = Grid::new(["WHY NOT", "", ""]).with_notes([""]);
        for (tier, blocked) in blocked {
            why.row([tier.as_str(), blocked.reason.as_str(), &blocked.message]);
        }
        text.push('\n');
        text.push_str(&why.print());
    }
    text
}
