//! The workloads of a tier: whoever owns its pods. Labels may be added at admission, so
//! what the pods carry counts, and not what their owner's template says.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::observe::{
    Index, Owner, Pod, PodPhase, PolicyEntry, Workload, WorkloadKey, WorkloadKind,
};

/// A workload, and how many of the pods it wants belong to a tier.
#[derive(Clone, Copy, Debug)]
pub(super) struct TierWorkload<'a> {
    pub workload: &'a Workload,
    pub replicas: i32,
}

/// The owners of a tier's pods, and how many pods each has in it.
#[derive(Debug, Default)]
pub(super) struct PodOwners<'a>(FxHashMap<*const Owner, (Option<&'a Workload>, i32)>);

impl<'a> PodOwners<'a> {
    /// Counts a pod; gives the workload that made it, if that is known.
    pub fn add(&mut self, index: &'a Index, pod: &Pod) -> Option<&'a Workload> {
        // Owners are interned: one address for one owner.
        let owner = Arc::as_ptr(pod.owner.as_ref()?);
        let (workload, pods) = self.0.entry(owner).or_insert_with(|| (index.workload_of(pod), 0));
        *pods += i32::from(!pod.terminating && pod.phase != PodPhase::Finished);
        *workload
    }

    fn workloads(&self) -> impl Iterator<Item = (&'a Workload, i32)> {
        self.0.values().filter_map(|(workload, pods)| Some(((*workload)?, *pods)))
    }
}

/// How many pods a workload has, by tier.
type Places<'a> = Vec<(&'a str, i32)>;

/// The workloads that want pods, by tier, given who owns the pods of each.
pub(super) fn workloads_by_tier<'a>(
    index: &'a Index,
    policy: &'a PolicyEntry,
    owners: &BTreeMap<&'a str, PodOwners<'a>>,
) -> BTreeMap<&'a str, Vec<TierWorkload<'a>>> {
    let mut tiers: BTreeMap<&str, Vec<TierWorkload<'_>>> = BTreeMap::new();
    let mut places: BTreeMap<&WorkloadKey, (&Workload, Places<'_>)> = BTreeMap::new();
    for (tier, owners) in owners {
        for (workload, pods) in owners.workloads().filter(|(workload, _)| workload.replicas > 0) {
            places.entry(&workload.key).or_insert((workload, Vec::new())).1.push((tier, pods));
        }
    }
    for (workload, places) in places.values() {
        for (tier, replicas) in shares(policy, workload, places) {
            tiers.entry(tier).or_default().push(TierWorkload { workload, replicas });
        }
    }
    // Who has no pods yet makes them with the labels of the template, as far as is known.
    for workload in index.workloads_of(policy) {
        let makes_pods = workload.key.kind != WorkloadKind::Deployment && workload.replicas > 0;
        if makes_pods
            && !places.contains_key(&workload.key)
            && let Some(tier) = policy.tier_name(&workload.pod_labels)
        {
            let replicas = workload.replicas;
            tiers.entry(tier).or_default().push(TierWorkload { workload, replicas });
        }
    }
    // In the order of their names, whatever owners are counted by.
    for workloads in tiers.values_mut() {
        workloads.sort_by_key(|known| &known.workload.key);
    }
    tiers
}

/// How many of a workload's pods each of its tiers wants. With pods in several tiers, such
/// as before and after a webhook was changed, each keeps its own, and the next go where the
/// template says, or else where most are.
fn shares<'a>(
    policy: &'a PolicyEntry,
    workload: &'a Workload,
    places: &[(&'a str, i32)],
) -> Vec<(&'a str, i32)> {
    if let [(tier, _)] = places {
        return vec![(tier, workload.replicas)];
    }
    let named = policy.tier_name(&workload.pod_labels);
    let next = places
        .iter()
        .max_by_key(|(tier, pods)| (Some(*tier) == named, *pods))
        .map_or("", |(tier, _)| *tier);
    let missing = workload.replicas - places.iter().map(|(_, pods)| pods).sum::<i32>();
    let share = |(tier, pods): &(&'a str, i32)| {
        (*tier, if *tier == next { (pods + missing).max(0) } else { *pods })
    };
    places.iter().map(share).collect()
}

/// How many tiers a policy has, for its limit: those with pods, and those that templates name.
#[must_use]
pub fn tier_count(index: &Index, policy: &PolicyEntry) -> usize {
    let named = index
        .workloads_of(policy)
        .filter(|workload| workload.key.kind != WorkloadKind::Deployment && workload.replicas > 0)
        .filter_map(|workload| policy.tier_name(&workload.pod_labels))
        .filter(|tier| !policy.tiers.contains_key(*tier));
    policy.tiers.len() + named.collect::<std::collections::BTreeSet<_>>().len()
}
