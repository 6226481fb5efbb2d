//! Findings that somebody knows of and accepts, with a reason.

use kube::core::SelectorExt;

use crate::observe::{Index, Name, PolicyEntry};

use super::check::Check;
use super::finding::Accepted;
use super::workload::Workload;

/// Who accepts this finding about a workload: a policy that selects its pods.
pub(super) fn accepted(index: &Index, workload: &Workload<'_>, check: Check) -> Option<Accepted> {
    let namespace = Name::from(workload.object.namespace.as_str());
    let selects = |policy: &&PolicyEntry| {
        policy.selector.as_ref().is_ok_and(|selector| selector.matches(&*workload.labels))
    };
    let mut policies = index.policies_in(&namespace).filter(selects);
    policies.find_map(|policy| {
        let reason = by_list(policy, check.code()).or_else(|| by_tier(policy, workload, check))?;
        let policy = format!("{}/{}", policy.key.namespace, policy.key.name);
        Some(Accepted { policy, reason: reason.to_owned() })
    })
}

/// Why the policy accepts findings with this code.
pub(super) fn by_list<'p>(policy: &'p PolicyEntry, code: &str) -> Option<&'p str> {
    let known = policy.spec.accept.iter().find(|known| known.check.eq_ignore_ascii_case(code))?;
    Some(&known.reason)
}

/// A tier that is accepted to be in one zone is accepted to have what follows from that.
fn by_tier<'p>(policy: &'p PolicyEntry, workload: &Workload<'_>, check: Check) -> Option<&'p str> {
    if !check.is_of_single_zone() {
        return None;
    }
    let tier = match &policy.spec.tier_label {
        Some(label) => workload.labels.get(label)?.as_str(),
        None => &policy.key.name,
    };
    let own = policy.spec.tiers.iter().find(|own| own.name == tier)?;
    let single = own.single_zone.as_ref().filter(|single| single.accepted)?;
    Some(&single.reason)
}
