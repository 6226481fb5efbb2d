//! A tier as the planner sees it: its pods per zone, desired and Available.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use rustc_hash::FxHashMap;

use crate::observe::{
    Index, Name, Owner, Pause, Pod, PodId, PolicyEntry, Template, Tier, Windows, Workload,
    WorkloadKind, Zone, ZoneTracker,
};
use crate::predict::Scheduler;

use super::settings::TierSettings;
use super::skew::skew_of;

/// The pods of a tier in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierZoneCount {
    /// Pods counted as the scheduler counts.
    pub pods: Vec<PodId>,
    /// How many of them are Available.
    pub available: i32,
    /// Whether people hold the zone: its pods are counted as lost.
    pub held: bool,
}

/// A tier as the planner sees it.
#[derive(Clone, Debug)]
pub struct TierView {
    /// Its name.
    pub name: Name,
    /// The policy's settings for it.
    pub settings: TierSettings,
    /// The object whose annotation pauses it.
    pub paused: Option<Pause>,
    /// When its evictions may start.
    pub windows: Windows,
    /// Every zone it may use, those without pods included.
    pub zones: BTreeMap<Zone, TierZoneCount>,
    /// Counted pods on nodes without a zone.
    pub unzoned: i32,
    /// How many pods its workloads want.
    pub desired: i32,
    /// How many are Available.
    pub available: i32,
    /// The longest that a pod of it must be Ready to be Available, in seconds.
    pub min_ready_seconds: i64,
    /// A workload that is rolling out.
    pub rolling_out: Option<String>,
    /// When a pod that is Ready becomes Available by time alone.
    pub available_later: Option<Timestamp>,
}

impl TierView {
    /// Pods per zone.
    pub fn counts(&self) -> impl Iterator<Item = i32> {
        self.zones.values().map(|zone| count(&zone.pods))
    }

    /// Most minus fewest.
    #[must_use]
    pub fn skew(&self) -> i32 {
        skew_of(self.counts())
    }

    /// Pods counted, in zones or not.
    #[must_use]
    pub fn pods(&self) -> i32 {
        self.counts().sum::<i32>() + self.unzoned
    }

    /// How many desired pods are not Available.
    #[must_use]
    pub fn missing(&self) -> i32 {
        (self.desired - self.available).max(0)
    }

    /// Whether its skew is at most `maxSkew`.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.skew() <= self.settings.max_skew
    }
}

/// A length as the i32 that Kubernetes counts in.
fn count<T>(things: &[T]) -> i32 {
    i32::try_from(things.len()).unwrap_or(i32::MAX)
}

/// The workloads that make pods for a policy, by tier.
#[must_use]
pub fn workloads_by_tier<'a>(
    index: &'a Index,
    policy: &'a PolicyEntry,
) -> BTreeMap<&'a str, Vec<&'a Workload>> {
    let mut tiers: BTreeMap<&str, Vec<&Workload>> = BTreeMap::new();
    for workload in index.workloads_of(policy) {
        let makes_pods = workload.key.kind != WorkloadKind::Deployment && workload.replicas > 0;
        if makes_pods && let Some(tier) = policy.tier_name(&workload.pod_labels) {
            tiers.entry(tier).or_default().push(workload);
        }
    }
    tiers
}

/// How many tiers a policy has.
#[must_use]
pub fn tier_count(index: &Index, policy: &PolicyEntry) -> usize {
    tier_names(policy, &workloads_by_tier(index, policy)).len()
}

fn tier_names<'a>(
    policy: &'a PolicyEntry,
    workloads: &BTreeMap<&'a str, Vec<&'a Workload>>,
) -> BTreeSet<&'a str> {
    policy.tiers.keys().map(|name| &**name).chain(workloads.keys().copied()).collect()
}

/// The tiers of a policy: those with pods, and those whose workloads want some.
#[must_use]
pub fn tiers_of(
    index: &Index,
    scheduler: &Scheduler<'_>,
    policy: &PolicyEntry,
    zones: &ZoneTracker,
    now: Timestamp,
) -> Vec<TierView> {
    let workloads = workloads_by_tier(index, policy);
    let none = Tier::new();
    tier_names(policy, &workloads)
        .into_iter()
        .map(|name| {
            let pods = policy.tiers.get(name).unwrap_or(&none);
            let workloads = workloads.get(name).map_or(&[][..], Vec::as_slice);
            let (mut view, templates) = view(index, policy, name, pods, workloads, now);
            add_zones(&mut view, &templates, scheduler, zones, now);
            view
        })
        .collect()
}

/// A tier as its pods show it, and what its pods ask for.
fn view(
    index: &Index,
    policy: &PolicyEntry,
    name: &str,
    pods: &Tier,
    workloads: &[&Workload],
    now: Timestamp,
) -> (TierView, Vec<Arc<Template>>) {
    let cluster = index.cluster();
    let mut view = without_pods(index, policy, name, workloads);
    let mut templates: Vec<Arc<Template>> =
        workloads.iter().map(|workload| Arc::clone(&workload.template)).collect();
    let mut counts: Vec<(&Zone, TierZoneCount)> = Vec::new();
    let mut owners: FxHashMap<*const Owner, Option<&Workload>> = FxHashMap::default();
    for id in pods {
        let Some(pod) = cluster.pod(*id) else { continue };
        let workload = pod.owner.as_ref().and_then(|owner| {
            *owners.entry(Arc::as_ptr(owner)).or_insert_with(|| index.workload_of(pod))
        });
        let min_ready = workload.map_or(0, |workload| workload.min_ready_seconds);
        let available = pod.is_available(min_ready, now);
        view.available += i32::from(available);
        if !available {
            let known = view.available_later.into_iter();
            view.available_later = known.chain(available_later(pod, min_ready, now)).min();
        }
        if !pod.is_counted() {
            continue;
        }
        // A pod whose controller is not watched counts as desired.
        view.desired += i32::from(workload.is_none());
        if workload.is_none() && !templates.iter().any(|known| Arc::ptr_eq(known, &pod.template)) {
            templates.push(Arc::clone(&pod.template));
        }
        let Some(zone) = cluster.zone_of_slot(*id) else {
            view.unzoned += 1;
            continue;
        };
        let at = counts.iter().position(|(known, _)| *known == zone).unwrap_or_else(|| {
            counts.push((zone, TierZoneCount::default()));
            counts.len() - 1
        });
        counts[at].1.pods.push(*id);
        counts[at].1.available += i32::from(available);
    }
    view.zones = counts.into_iter().map(|(zone, count)| (zone.clone(), count)).collect();
    (view, templates)
}

/// Adds the zones that the tier may use and has no pods in; notes which are held.
fn add_zones(
    view: &mut TierView,
    templates: &[Arc<Template>],
    scheduler: &Scheduler<'_>,
    zones: &ZoneTracker,
    now: Timestamp,
) {
    for (zone, _) in zones.iter() {
        if !view.zones.contains_key(zone)
            && templates.iter().any(|template| scheduler.may_use_zone(template, zone))
        {
            view.zones.insert(zone.clone(), TierZoneCount::default());
        }
    }
    for (zone, count) in &mut view.zones {
        count.held = zones.get(zone).is_some_and(|memory| memory.held(now).is_some());
    }
}

/// The tier before its pods are counted.
fn without_pods(
    index: &Index,
    policy: &PolicyEntry,
    name: &str,
    workloads: &[&Workload],
) -> TierView {
    TierView {
        name: Name::from(name),
        settings: TierSettings::of(&policy.spec, name),
        paused: index.pauses().of(&policy.key),
        // A policy whose windows cannot be read is Invalid, and moves nothing.
        windows: policy.calendar.as_ref().map(|all| all.of_tier(name).clone()).unwrap_or_default(),
        zones: BTreeMap::new(),
        unzoned: 0,
        desired: workloads.iter().map(|workload| workload.replicas).sum(),
        available: 0,
        min_ready_seconds: workloads
            .iter()
            .map(|workload| workload.min_ready_seconds)
            .max()
            .unwrap_or(0),
        rolling_out: rolling_out(index, workloads),
        available_later: None,
    }
}

/// When a pod that is Ready, but not for long enough, becomes Available.
fn available_later(pod: &Pod, min_ready: i64, now: Timestamp) -> Option<Timestamp> {
    let at = pod.ready_since?.time() + jiff::SignedDuration::from_secs(min_ready);
    (at > now).then_some(at)
}

/// The name of a workload that has pods of two revisions, or is about to.
fn rolling_out(index: &Index, workloads: &[&Workload]) -> Option<String> {
    let named = |kind: &str, name: &str| Some(format!("{kind} {name}"));
    let mut owners = BTreeSet::new();
    for workload in workloads {
        if workload.rolling_out {
            return named(workload.key.kind.as_str(), &workload.key.name);
        }
        let Some(owner) = &workload.owner else { continue };
        // Two ReplicaSets of one owner that both want pods: a Deployment, or
        // an Argo Rollout, between two revisions.
        if !owners.insert(Name::clone(&owner.uid))
            || index.workload(&workload.key.namespace, owner).is_some_and(|owner| owner.rolling_out)
        {
            return named(&owner.kind, &owner.name);
        }
    }
    None
}
