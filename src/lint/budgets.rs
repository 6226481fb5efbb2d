//! Disruption budgets: none, two, or one that never lets anybody go.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::text::cut;

use super::check::Check;
use super::declared::{Declared, DeclaredBudget, DeclaredWorkload};
use super::workload::Workload;
use super::{Context, Findings};

/// How many bytes of a controller's words are shown.
const SHOWN: usize = 200;

pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    for (at, workload) in context.workloads() {
        count(context, findings, at, workload);
    }
    for budget in &context.input.declared.budgets {
        one(context, findings, budget);
    }
}

fn protects(budget: &DeclaredBudget, workload: &Workload<'_>) -> bool {
    budget.object.namespace == workload.object.namespace && budget.protects(&workload.labels)
}

/// How many budgets protect a workload.
fn count(context: &Context<'_>, findings: &mut Findings, at: usize, workload: &Workload<'_>) {
    let budgets = context.input.declared.budgets.iter();
    let own: Vec<&str> = budgets
        .filter(|budget| protects(budget, workload))
        .map(|budget| budget.object.name.as_str())
        .collect();
    let title = workload.object.title();
    if own.is_empty() && workload.is_several() {
        let message = format!("{title}: no PodDisruptionBudget selects its pods");
        findings.of_workload(Check::NoBudget, context, at, message);
    } else if own.len() > 1 {
        let message = format!("{title}: its pods have {} budgets: {}", own.len(), own.join(", "));
        findings.of_workload(Check::TwoBudgets, context, at, message);
    }
}

fn one(context: &Context<'_>, findings: &mut Findings, budget: &DeclaredBudget) {
    let own: Vec<(usize, &Workload<'_>)> =
        context.workloads().filter(|(_, workload)| protects(budget, workload)).collect();
    let about = own.first().map(|(at, _)| *at);
    let title = budget.object.title();
    let mut found = |check: Check, message: String| {
        findings.add(check, &budget.object, about, message);
    };
    if let Some(why) = never_syncs(context.input.declared, budget) {
        found(Check::BudgetNeverSyncs, format!("{title}: {why}"));
        return;
    }
    let pods: i32 = own.iter().map(|(_, workload)| workload.replicas.max(workload.least())).sum();
    if let Some(why) = never_allows(budget, pods).filter(|_| pods > 0) {
        found(Check::BudgetNeverAllows, format!("{title}: {why}"));
    } else if let ([(_, only)], Some(IntOrString::Int(least))) = (&own[..], &budget.min_available)
        && let Some(autoscaler) = only.autoscaler.filter(|known| *least >= known.min_replicas)
    {
        let message = format!(
            "{title}: minAvailable is {least}, and {} may scale {} in to {}",
            autoscaler.object.title(),
            only.object.title(),
            autoscaler.min_replicas
        );
        found(Check::MinAvailableAboveAutoscaler, message);
    }
    if !budget.lets_unhealthy_go && pods > 0 {
        let message = format!("{title}: unhealthyPodEvictionPolicy is not AlwaysAllow");
        found(Check::BudgetKeepsUnhealthyPods, message);
    }
}

/// Why the controller cannot count a budget's pods.
fn never_syncs(declared: &Declared, budget: &DeclaredBudget) -> Option<String> {
    if let Some(told) = &budget.sync_failure {
        return Some(format!("its controller cannot count its pods: {}", cut(told, SHOWN)));
    }
    // A number of pods that must stay is compared with those that are there: no scale is asked.
    if matches!(budget.min_available, Some(IntOrString::Int(_))) {
        return None;
    }
    let on_each_node = |workload: &&DeclaredWorkload| {
        workload.is_on_each_node()
            && workload.object.namespace == budget.object.namespace
            && budget.protects(&workload.labels)
    };
    let found = declared.workloads.iter().find(on_each_node)?;
    Some(format!(
        "it selects the pods of {}, whose kind has no scale, and asks for a share of them",
        found.object.title()
    ))
}

/// Why a budget allows no eviction of so many pods, all of them healthy. Percentages are
/// rounded up, as in `pkg/controller/disruption/disruption.go`.
fn never_allows(budget: &DeclaredBudget, pods: i32) -> Option<String> {
    let scaled = |value: &IntOrString| match value {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => {
            let percent: i32 = text.strip_suffix('%')?.parse().ok()?;
            Some(pods.saturating_mul(percent).saturating_add(99) / 100)
        }
    };
    let written = |value: &IntOrString| match value {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    };
    if let Some(least) = &budget.min_available {
        let must = scaled(least)?;
        return (must >= pods)
            .then(|| format!("minAvailable is {} of {pods} pods", written(least)));
    }
    let most = budget.max_unavailable.as_ref()?;
    (scaled(most)? <= 0).then(|| format!("maxUnavailable is {}", written(most)))
}
