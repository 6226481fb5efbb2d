//! A tier as the planner sees it: its pods per zone, desired and Available.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::observe::{
    Index, Name, Pause, Pod, PodId, PolicyEntry, PolicyKey, Template, Tier, Windows, Zone,
    ZoneHealth, ZoneMemory,
};
use crate::predict::{Eligible, Scheduler};
use jiff::Timestamp;

use super::settings::TierSettings;
use super::skew::skew_of;
use super::tier_workloads::{PodOwners, TierWorkload, workloads_by_tier};
use super::tier_zones::{KnownZones, ZoneInput, see_zones};

/// The pods of a tier in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierZoneCount {
    /// Pods counted as the scheduler counts.
    pub pods: Vec<PodId>,
    /// How many of them are Available.
    pub available: i32,
    /// Whether people hold the zone: its pods are counted as lost.
    pub held: bool,
    /// How the zone is as the tier sees it; none where only virtual nodes are, which say
    /// nothing of it.
    pub health: Option<ZoneMemory>,
}

/// A tier as the planner sees it.
#[derive(Clone, Debug)]
pub struct TierView {
    /// Its policy.
    pub policy: PolicyKey,
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
    /// Counted pods on nodes without a zone, or on nodes that are gone.
    pub unzoned: Vec<PodId>,
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
    /// Why nothing is moved, whichever zone it is for: too many zones or nodes are bad.
    pub unstable: Option<String>,
    /// What is remembered of its zones until it is looked at again.
    pub known_zones: KnownZones,
    /// The nodes that it may use.
    pub eligible: Option<Arc<Eligible>>,
}

impl TierZoneCount {
    /// Whether pods may be moved there: the tier may use a node that can take some.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.health.as_ref().is_some_and(|memory| {
            memory.health == ZoneHealth::Usable
                && memory.condition.usable > 0
                && !memory.is_drilled()
        })
    }
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
        self.counts().sum::<i32>() + count(&self.unzoned)
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

/// The tiers of a policy: those with pods, and those whose workloads want some.
#[must_use]
pub fn tiers_of(
    index: &Index,
    scheduler: &Scheduler<'_>,
    policy: &PolicyEntry,
    zones: ZoneInput<'_>,
    known: &BTreeMap<Name, KnownZones>,
    now: Timestamp,
) -> Vec<TierView> {
    let mut counts = BTreeMap::new();
    let mut owners = BTreeMap::new();
    for (name, pods) in &policy.tiers {
        let (counted, owned) = count_pods(index, pods, now);
        counts.insert(&**name, counted);
        owners.insert(&**name, owned);
    }
    let workloads = workloads_by_tier(index, policy, &owners);
    let names: BTreeSet<&str> = counts.keys().chain(workloads.keys()).copied().collect();
    names
        .into_iter()
        .map(|name| {
            let counted = counts.remove(name).unwrap_or_default();
            let workloads = workloads.get(name).map_or(&[][..], Vec::as_slice);
            let (mut view, templates) = view(index, policy, name, counted, workloads);
            see_zones(&mut view, templates, scheduler, zones, known.get(name), now);
            view
        })
        .collect()
}

/// What a tier's pods alone show.
#[derive(Debug, Default)]
struct CountedPods {
    zones: BTreeMap<Zone, TierZoneCount>,
    unzoned: Vec<PodId>,
    available: i32,
    available_later: Option<Timestamp>,
    /// Those whose controller is not watched.
    unowned: i32,
    /// What these ask for.
    templates: Vec<Arc<Template>>,
    /// What released pods ask for.
    released: Option<Arc<Template>>,
}

fn count_pods<'a>(index: &'a Index, pods: &Tier, now: Timestamp) -> (CountedPods, PodOwners<'a>) {
    let cluster = index.cluster();
    let mut counted = CountedPods::default();
    let mut owners = PodOwners::default();
    let mut counts: Vec<(&Zone, TierZoneCount)> = Vec::new();
    for id in pods {
        let Some(pod) = cluster.pod(*id) else { continue };
        let workload = owners.add(index, pod);
        let min_ready = workload.map_or(0, |workload| workload.min_ready_seconds);
        let available = pod.is_available(min_ready, now);
        counted.available += i32::from(available);
        if !available {
            let known = counted.available_later.into_iter();
            counted.available_later = known.chain(available_later(pod, min_ready, now)).min();
        }
        if !pod.is_counted() {
            continue;
        }
        // A pod that was released has its successor counted in its place.
        let is_unowned = workload.is_none() && !pod.is_released();
        counted.unowned += i32::from(is_unowned);
        if pod.is_released() {
            counted.released = Some(Arc::clone(&pod.template));
        }
        let is_known = |known: &Arc<Template>| Arc::ptr_eq(known, &pod.template);
        if is_unowned && !counted.templates.iter().any(is_known) {
            counted.templates.push(Arc::clone(&pod.template));
        }
        let Some(zone) = cluster.zone_of_slot(*id) else {
            counted.unzoned.push(*id);
            continue;
        };
        let at = counts.iter().position(|(known, _)| *known == zone).unwrap_or_else(|| {
            counts.push((zone, TierZoneCount::default()));
            counts.len() - 1
        });
        counts[at].1.pods.push(*id);
        counts[at].1.available += i32::from(available);
    }
    counted.zones = counts.into_iter().map(|(zone, count)| (zone.clone(), count)).collect();
    (counted, owners)
}

/// A tier as its pods and workloads show it, and what its pods ask for.
fn view(
    index: &Index,
    policy: &PolicyEntry,
    name: &str,
    counted: CountedPods,
    workloads: &[TierWorkload<'_>],
) -> (TierView, Vec<Arc<Template>>) {
    let own = workloads.iter().map(|known| Arc::clone(&known.workload.template));
    let mut templates: Vec<_> = own.chain(counted.templates).collect();
    if templates.is_empty() {
        // Of a tier that nobody wants pods for, what is left says which zones were its own.
        templates.extend(counted.released);
    }
    let min_ready = workloads.iter().map(|known| known.workload.min_ready_seconds).max();
    let view = TierView {
        policy: policy.key.clone(),
        name: Name::from(name),
        settings: TierSettings::of(&policy.spec, name),
        paused: index.pauses().of(&policy.key),
        // A policy whose windows cannot be read is Invalid, and moves nothing.
        windows: policy.calendar.as_ref().map(|all| all.of_tier(name).clone()).unwrap_or_default(),
        zones: counted.zones,
        unzoned: counted.unzoned,
        // A pod whose controller is not watched counts as desired.
        desired: workloads.iter().map(|known| known.replicas).sum::<i32>() + counted.unowned,
        available: counted.available,
        min_ready_seconds: min_ready.unwrap_or(0),
        rolling_out: rolling_out(index, workloads),
        available_later: counted.available_later,
        unstable: None,
        known_zones: KnownZones::default(),
        eligible: None,
    };
    (view, templates)
}

/// When a pod that is Ready, but not for long enough, becomes Available.
fn available_later(pod: &Pod, min_ready: i64, now: Timestamp) -> Option<Timestamp> {
    let at = pod.ready_since?.time() + jiff::SignedDuration::from_secs(min_ready);
    (at > now).then_some(at)
}

/// The name of a workload that has pods of two revisions, or is about to.
fn rolling_out(index: &Index, workloads: &[TierWorkload<'_>]) -> Option<String> {
    let named = |kind: &str, name: &str| Some(format!("{kind} {name}"));
    let mut owners = BTreeSet::new();
    for TierWorkload { workload, .. } in workloads {
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
