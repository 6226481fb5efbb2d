//! Probe pods: when one is started in a zone that has no node, how it is followed, and when it
//! goes. What is needed for that is on the pod, so whoever leads goes on with what it finds;
//! how often probes failed is in the Zone object. A probe that nobody wants goes (law 11).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::text::{bounded, cut};
use crate::api::{
    OpenZones, Reason, TierStatus, ZoneOpening, ZoneSpreadPolicyStatus, ZoneStatus, seconds,
};
use crate::moves::ProbePod;
use crate::observe::{Name, Pod, PodId, Zone};
use crate::plan::{OpeningRight, Openings, ProbeStage, TierView, Wish, wishes};
use crate::report::TierReport;

use super::Operator;
use super::decision::{Decision, ProbeAnswer, ProbeAsk, ProbeVerb};
use super::probe_pods::{Look, Patience, Record, ZoneOpenings, start, told, zone_of};

/// As many characters of what others say are shown.
const SAID: usize = 300;

impl Operator {
    /// The operator's own namespace, before anything is folded in.
    #[must_use]
    pub fn with_namespace(mut self, namespace: &str) -> Self {
        self.index.set_own_namespace(Name::from(namespace));
        self
    }

    /// How long a probe may take to become Ready.
    #[must_use]
    pub const fn with_probe_timeout(mut self, timeout: Duration) -> Self {
        self.openings.patience = Patience(timeout);
        self
    }

    /// Whether probes may be made, from now on.
    pub fn set_opening_right(&mut self, right: OpeningRight) {
        if self.openings_told.right != right {
            let zones = self.openings_told.zones.clone();
            self.openings_told = Arc::new(Openings { right, zones });
        }
    }

    /// Every probe pod: the zone that it is for, and its stage.
    pub fn probes(&self) -> impl Iterator<Item = (Zone, ProbeStage)> {
        let probes = self.index.cluster().probes();
        probes.filter_map(|(_, pod)| Some((zone_of(pod)?, ProbeStage::of(pod))))
    }

    /// Whether zones can be opened, or there is something left to be removed.
    pub(super) fn opens_zones(&self) -> bool {
        self.openings_told.right == OpeningRight::Proven
            || self.index.cluster().probes().next().is_some()
    }

    /// The probe that holds the room on one of these nodes.
    pub(super) fn probe_in(&self, tier: &TierView, nodes: &[Name]) -> Option<ProbePod> {
        let zone = self.index.cluster().zone_of_node(nodes.first()?)?;
        let (_, id, pod) = self.ready_probes().find(|(of, ..)| of == zone)?;
        self.probes_for(tier).contains(&id).then(|| ProbePod {
            namespace: Name::clone(&pod.namespace),
            name: Name::clone(&pod.name),
            uid: pod.uid.clone(),
        })
    }

    /// The probes whose room the tier may have: they go right before its pod does.
    pub(super) fn probes_for(&self, tier: &TierView) -> Vec<PodId> {
        let takes = tier.settings.open_zones == OpenZones::Always && !tier.is_balanced();
        let probes =
            self.ready_probes().filter(|(zone, ..)| takes && tier.zones.contains_key(zone));
        probes.map(|(_, id, _)| id).collect()
    }

    /// Probes that are Ready, and the zones that they are for.
    fn ready_probes(&self) -> impl Iterator<Item = (Zone, PodId, &Pod)> {
        let probes = self.index.cluster().probes().filter(|(_, pod)| !pod.terminating);
        let ready = probes.filter(|(_, pod)| ProbeStage::of(pod) == ProbeStage::Ready);
        ready.filter_map(|(id, pod)| Some((zone_of(pod)?, id, pod)))
    }

    /// A move was given the room of this probe, which is no failure of the zone.
    pub(super) fn probe_used(&mut self, probe: &ProbePod, now: Timestamp) {
        self.openings.used.insert(probe.uid.clone(), now);
    }

    /// Takes over what the Zone objects say of openings.
    pub(super) fn restore_openings(&mut self, zones: &[(Name, Arc<ZoneStatus>)]) {
        let restored = zones.iter().filter_map(|(_, status)| {
            let told = status.opening.as_ref()?;
            let record = Record {
                failures: u32::try_from(told.failures).unwrap_or(0),
                retry_at: told.retry_at.as_ref().map(|at| at.0),
                opened_at: told.opened_at.as_ref().map(|at| at.0),
                failure: told.message.clone(),
                ..Record::default()
            };
            Some((Zone::new(&status.zone), record))
        });
        let patience = self.openings.patience;
        self.openings =
            ZoneOpenings { zones: restored.collect(), patience, ..ZoneOpenings::default() };
    }

    /// Whoever only looks knows of the right what the statuses show of its use.
    pub(super) fn recall_openings<'s>(
        &mut self,
        mut statuses: impl Iterator<Item = &'s ZoneSpreadPolicyStatus>,
        now: Timestamp,
    ) {
        let opens = |tier: &TierStatus| {
            tier.blocked.as_ref().is_some_and(|blocked| blocked.reason == Reason::OpeningZone)
        };
        let is_used = statuses.any(|status| status.tiers.iter().any(opens));
        if is_used || !self.openings.zones.is_empty() {
            self.set_opening_right(OpeningRight::Proven);
        }
        self.look_at_probes(now);
    }

    /// What is to be said of the zones as the index shows them now.
    pub(super) fn look_at_probes(&mut self, now: Timestamp) {
        let openings = std::mem::take(&mut self.openings);
        self.tell_openings(&openings, now);
        self.openings = openings;
    }

    /// What the Zone object says of its opening.
    pub(super) fn opening_status(&self, zone: &Zone) -> Option<ZoneOpening> {
        let record = self.openings.zones.get(zone)?;
        (record.failures > 0 || record.opened_at.is_some()).then(|| ZoneOpening {
            failures: i32::try_from(record.failures).unwrap_or(i32::MAX),
            retry_at: record.retry_at.map(seconds),
            opened_at: record.opened_at.map(seconds),
            message: bounded(&record.failure),
        })
    }

    /// What became of something that was asked for.
    pub(super) fn probe_answer(&mut self, ask: &ProbeAsk, answer: &ProbeAnswer, now: Timestamp) {
        let Some(record) = ask.zone.as_ref().and_then(|zone| self.openings.zones.get_mut(zone))
        else {
            return;
        };
        match (&ask.what, answer) {
            (ProbeVerb::Explain { uid }, ProbeAnswer::Explained(said)) => {
                let is_it = record.seen.as_ref().is_some_and(|(seen, _)| seen == uid);
                if is_it && said.is_some() {
                    record.said = said.as_ref().map(|said| bounded(cut(said, SAID)));
                }
            }
            (ProbeVerb::Start { .. }, ProbeAnswer::Failed(why)) => {
                record.failed(
                    format!("the probe could not be made: {why}"),
                    self.openings.patience,
                    now,
                );
                self.openings.asked.remove(&ask.name);
            }
            _ => {}
        }
    }

    /// Looks after the probes: removes those that nobody wants or that came too late, and
    /// starts those that are wanted. When to look again.
    pub(super) fn keep_probes(
        &mut self,
        now: Timestamp,
        decision: &mut Decision,
    ) -> Option<Timestamp> {
        let wishes = self.wishes();
        let may_open = self.openings_told.right == OpeningRight::Proven;
        let mut openings = std::mem::take(&mut self.openings);
        let longest = self.longest_hold_down();
        let mut next: Vec<Timestamp> = Vec::new();
        let mut present = BTreeSet::new();
        let mut asks = Vec::new();
        let pods: Vec<&Pod> = self.index.cluster().probes().map(|(_, pod)| pod).collect();
        for pod in &pods {
            let zone = zone_of(pod);
            let hold = zone.as_ref().and_then(|zone| self.zones.get(zone)?.hold_until(longest));
            let is_wanted = may_open && zone.as_ref().is_some_and(|zone| wishes.contains_key(zone));
            let patience = openings.patience;
            let look = Look { pod, zone: zone.as_ref(), hold, is_wanted, patience, now };
            asks.extend(look.follow(&mut openings, &mut next));
            present.extend(zone);
        }
        openings.note_gone(&present, now);
        for (zone, wish) in &wishes {
            let may_start = wish.begins && !present.contains(zone);
            if may_start && may_open {
                let back = self.zones.get(zone).and_then(|known| known.recovered_at);
                asks.extend(start((zone, wish), back, &mut openings, &mut next, now));
            }
        }
        let names: BTreeSet<&Name> = pods.iter().map(|pod| &pod.name).collect();
        openings.forget(&names, now);
        self.tell_openings(&openings, now);
        self.openings = openings;
        decision.probes.extend(asks);
        next.into_iter().filter(|at| *at > now).min()
    }

    /// What the tiers of a policy want.
    pub(super) fn wishes_of(&self, reports: &[TierReport]) -> Vec<Wish> {
        if !self.opens_zones() {
            return Vec::new();
        }
        let wishes = reports.iter().flat_map(|report| {
            wishes(&self.index, &report.view, &report.plan, report.blocked.as_ref())
        });
        wishes.collect()
    }

    /// What every tier wants, by zone: a wish to begin counts more than one to keep.
    fn wishes(&self) -> BTreeMap<Zone, Wish> {
        let mut wishes: BTreeMap<Zone, Wish> = BTreeMap::new();
        let policies = self.unbalanced.iter().filter_map(|key| self.policies.get(key));
        for wish in policies.flat_map(|memory| &memory.wishes) {
            let known = wishes.entry(wish.zone.clone()).or_insert_with(|| wish.clone());
            if wish.begins && !known.begins {
                *known = wish.clone();
            }
        }
        wishes
    }

    /// Whether there is anything to say of zones that was not there when policies were asked.
    pub(super) fn has_opening_news(&self) -> bool {
        !Arc::ptr_eq(&self.openings_told, &self.openings_asked)
    }

    /// Makes what gates and statuses say of the zones.
    fn tell_openings(&mut self, openings: &ZoneOpenings, now: Timestamp) {
        let (none, patience) = (Record::default(), openings.patience);
        let mut zones: BTreeSet<Zone> = openings.zones.keys().cloned().collect();
        zones.extend(self.index.cluster().probes().filter_map(|(_, pod)| zone_of(pod)));
        let zones = zones.into_iter().map(|zone| {
            let record = openings.zones.get(&zone).unwrap_or(&none);
            let told = told(&self.index, &zone, record, patience, now);
            (zone, told)
        });
        let told = Openings { right: self.openings_told.right.clone(), zones: zones.collect() };
        if told != *self.openings_told {
            self.openings_told = Arc::new(told);
        }
    }
}
