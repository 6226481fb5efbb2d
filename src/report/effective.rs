//! Whether a policy protects anything: a typo in a selector, in the tier label or in the
//! name of a tier selects nothing, and nothing else would say so.

use std::collections::BTreeSet;

use crate::api::text::counted;
use crate::api::{NO_PODS, NO_TIER_LABEL, UNKNOWN_TIER_OVERRIDE};
use crate::observe::{Index, PolicyEntry};

use super::status::TierReport;

/// The reason of the condition Effective while nothing is wrong.
pub(super) const EFFECTIVE: &str = "Effective";
/// How many tiers a message names.
const NAMED: usize = 5;

/// Why a policy, or a part of it, has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ineffective {
    /// The reason, in a word, as the condition has it.
    pub reason: &'static str,
    /// What is wrong, and what would help.
    pub message: String,
    /// Whether the policy has no tier at all.
    pub is_all: bool,
}

/// What the policy fails to protect, if anything.
pub(super) fn ineffective(
    index: &Index,
    policy: &PolicyEntry,
    tiers: &[TierReport],
) -> Option<Ineffective> {
    let workload_tiers: BTreeSet<&str> = index
        .workloads_of(policy)
        .filter_map(|workload| policy.tier_name(&workload.pod_labels))
        .collect();
    if tiers.is_empty() && workload_tiers.is_empty() {
        return Some(without_tiers(index, policy));
    }
    let is_known = |name: &str| {
        workload_tiers.contains(name) || tiers.iter().any(|tier| *tier.view.name == *name)
    };
    let unknown: Vec<&str> = policy
        .spec
        .tiers
        .iter()
        .map(|tier| tier.name.as_str())
        .filter(|name| !is_known(name))
        .collect();
    if unknown.is_empty() {
        return None;
    }
    let known: Vec<&str> = tiers.iter().map(|tier| &*tier.view.name).collect();
    Some(Ineffective {
        reason: UNKNOWN_TIER_OVERRIDE.word,
        message: format!(
            "spec.tiers names {}, and there is no such tier: the tiers are {}; correct or remove the entry",
            listed(&unknown),
            listed(&known),
        ),
        is_all: false,
    })
}

fn without_tiers(index: &Index, policy: &PolicyEntry) -> Ineffective {
    let namespace = &policy.key.namespace;
    let workloads = index.workloads_of(policy).count();
    if policy.untiered.is_empty() && workloads == 0 {
        return Ineffective {
            reason: NO_PODS.word,
            message: format!(
                "spec.selector selects no pod and no workload in namespace {namespace}: compare it with the labels that `kubectl get pods -n {namespace} --show-labels` prints"
            ),
            is_all: true,
        };
    }
    let label = policy.spec.tier_label.as_deref().unwrap_or_default();
    let what = if policy.untiered.is_empty() {
        counted(workloads, "selected workload")
    } else {
        counted(policy.untiered.len(), "selected pod")
    };
    Ineffective {
        reason: NO_TIER_LABEL.word,
        message: format!(
            "{what}, and none with the label {label}: set spec.tierLabel to a label that the pods carry, or remove it to make them one tier"
        ),
        is_all: true,
    }
}

/// What to say beside all else of selected pods that are in no tier.
pub(super) fn untiered(policy: &PolicyEntry) -> Option<String> {
    let label = policy.spec.tier_label.as_deref()?;
    let (lack, are) = if policy.untiered.len() == 1 { ("lacks", "is") } else { ("lack", "are") };
    (!policy.untiered.is_empty()).then(|| {
        format!(
            "{} {lack} the label {label} (spec.tierLabel) and {are} left alone",
            counted(policy.untiered.len(), "selected pod")
        )
    })
}

fn listed(names: &[&str]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
