//! What is remembered of probe pods, and what becomes of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::{ZONE_LABEL, written_duration, zone_object_name};
use crate::observe::{Index, Name, OUTAGE_MEMORY, Pod, Uid, Zone};
use crate::plan::{ProbeStage, Wish, ZoneProbe};

use super::decision::{ProbeAsk, ProbeVerb};

/// A probe that is not Ready by then is removed, unless somebody says otherwise; the first
/// pause after that is as long.
const PROBE_TIMEOUT: Duration = Duration::from_mins(10);
/// No pause is longer.
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(6);
/// For how long a probe that is Ready holds the room for a pod that is not moved, after the
/// zone's hold.
const HOLDS_ROOM: SignedDuration = SignedDuration::from_mins(30);
/// What was asked for shows in the watch by then, or is asked for again.
const SHOWS_WITHIN: SignedDuration = SignedDuration::from_secs(15);
/// So long after a move was given its room a probe that is gone is no failure.
const USED_FOR: SignedDuration = SignedDuration::from_mins(2);
/// How often the events of a probe that waits are read.
const EXPLAIN_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// Begins the names of probe pods.
const PROBE_NAME: &str = "zonespread-probe-";

/// How long a probe may take to become Ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience(pub Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(PROBE_TIMEOUT)
    }
}

impl Patience {
    fn length(self) -> SignedDuration {
        SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX)
    }

    /// By then a probe must be Ready.
    fn deadline(self, pod: &Pod) -> Timestamp {
        pod.created.time().checked_add(self.length()).unwrap_or(Timestamp::MAX)
    }
}

/// What is remembered of the zones that are, or were, opened.
#[derive(Debug, Default)]
pub(super) struct ZoneOpenings {
    pub patience: Patience,
    pub zones: BTreeMap<Zone, Record>,
    /// What was asked for last of each pod, by name, and when.
    pub asked: BTreeMap<Name, (ProbeVerb, Timestamp)>,
    /// Probes whose room a move has been given, and when.
    pub used: BTreeMap<Uid, Timestamp>,
}

/// What is remembered of one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub failures: u32,
    pub retry_at: Option<Timestamp>,
    pub opened_at: Option<Timestamp>,
    /// Why the last probe failed.
    pub failure: String,
    /// The probe that was last seen, and whether it was Ready.
    pub seen: Option<(Uid, bool)>,
    /// The probe that was decided to be removed: it fails once only.
    pub removing: Option<Uid>,
    /// When a probe last failed.
    pub failed_at: Option<Timestamp>,
    /// What others say of it.
    pub said: Option<String>,
    pub said_at: Option<Timestamp>,
}

impl Record {
    pub fn failed(&mut self, why: String, patience: Patience, now: Timestamp) {
        let doublings = self.failures.min(10);
        let pause = patience.length().saturating_mul(1 << doublings).min(MAX_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.checked_add(pause).ok();
        self.failed_at = Some(now);
        self.failure = why;
    }

    pub fn was_opened(&self, now: Timestamp) -> bool {
        self.opened_at.is_some_and(|at| now.duration_since(at) < OUTAGE_MEMORY)
    }

    /// Whether the pause is over; nodes that came since the last probe failed end it.
    fn may_start(&self, recovered_at: Option<Timestamp>, now: Timestamp) -> bool {
        let has_news = self.failed_at.is_some() && recovered_at > self.failed_at;
        has_news || self.retry_at.is_none_or(|at| at <= now)
    }

    pub fn is_worth_keeping(&self, now: Timestamp) -> bool {
        let is_late = |at: Timestamp| now.duration_since(at) < OUTAGE_MEMORY;
        self.was_opened(now) || self.seen.is_some() || self.retry_at.is_some_and(is_late)
    }

    fn said(&self) -> String {
        self.said.as_ref().map_or_else(String::new, |said| format!(" ({said})"))
    }
}

/// The zone that a probe pod is for.
pub(super) fn zone_of(pod: &Pod) -> Option<Zone> {
    pod.template.node_selector.get(ZONE_LABEL).map(|zone| Zone::new(zone))
}

fn short(time: Timestamp) -> String {
    time.strftime("%H:%M:%SZ").to_string()
}

impl ZoneOpenings {
    /// A pod that was moved there became Available: whatever went wrong before is over.
    pub fn proven(&mut self, zone: &Zone) {
        if let Some(record) = self.zones.get_mut(zone) {
            (record.failures, record.retry_at) = (0, None);
            record.failure.clear();
        }
    }

    /// Forgets what no longer matters, given the names of the probes that are there.
    pub fn forget(&mut self, names: &BTreeSet<&Name>, now: Timestamp) {
        self.used.retain(|_, at| now.duration_since(*at) < USED_FOR);
        self.asked.retain(|name, (verb, at)| {
            let may_show = now.duration_since(*at) < SHOWS_WITHIN;
            names.contains(name) || (may_show && matches!(verb, ProbeVerb::Start { .. }))
        });
        self.zones.retain(|_, record| record.is_worth_keeping(now));
    }

    /// Probes that are gone: used by a move, or removed by somebody else.
    pub fn note_gone(&mut self, present: &BTreeSet<Zone>, now: Timestamp) {
        let patience = self.patience;
        for (zone, record) in &mut self.zones {
            if present.contains(zone) {
                continue;
            }
            let Some((uid, was_ready)) = record.seen.take() else { continue };
            record.said = None;
            let is_ours = record.removing.take() == Some(uid.clone());
            if !is_ours && self.used.remove(&uid).is_none() {
                let what = if was_ready { "it was Ready" } else { "before it was Ready" };
                record.failed(format!("somebody removed the probe, {what}"), patience, now);
            }
        }
    }

    /// Asks for something, unless that was asked for a moment ago.
    fn ask(
        &mut self,
        zone: Option<&Zone>,
        name: &Name,
        what: ProbeVerb,
        now: Timestamp,
    ) -> Option<ProbeAsk> {
        let is_same =
            |known: &ProbeVerb| std::mem::discriminant(known) == std::mem::discriminant(&what);
        let asked = self.asked.get(name);
        if asked.is_some_and(|(known, at)| is_same(known) && now.duration_since(*at) < SHOWS_WITHIN)
        {
            return None;
        }
        self.asked.insert(Name::clone(name), (what.clone(), now));
        Some(ProbeAsk { zone: zone.cloned(), name: Name::clone(name), what, decided: now })
    }
}

/// A look at a probe pod that is there.
pub(super) struct Look<'a> {
    pub pod: &'a Pod,
    pub zone: Option<&'a Zone>,
    /// Until when its zone is held.
    pub hold: Option<Timestamp>,
    pub is_wanted: bool,
    pub patience: Patience,
    pub now: Timestamp,
}

impl Look<'_> {
    pub fn follow(
        &self,
        openings: &mut ZoneOpenings,
        next: &mut Vec<Timestamp>,
    ) -> Option<ProbeAsk> {
        let Self { pod, now, .. } = *self;
        let remove = |openings: &mut ZoneOpenings, next: &mut Vec<Timestamp>| {
            next.extend(now.checked_add(SHOWS_WITHIN).ok());
            openings.ask(self.zone, &pod.name, ProbeVerb::Remove { uid: pod.uid.clone() }, now)
        };
        // A pod of that label that is for no zone is none of the operator's making.
        let Some(zone) = self.zone else { return remove(openings, next) };
        let used = openings.used.contains_key(&pod.uid);
        let record = openings.zones.entry(zone.clone()).or_default();
        let is_known = record.seen.as_ref().is_some_and(|(uid, _)| *uid == pod.uid);
        let stage = ProbeStage::of(pod);
        let is_ready = stage == ProbeStage::Ready;
        if !is_known {
            (record.said, record.said_at) = (None, None);
        }
        if is_ready && record.seen.as_ref().is_none_or(|(_, was_ready)| !was_ready) {
            record.opened_at = Some(now);
        }
        record.seen = Some((pod.uid.clone(), is_ready));
        if pod.terminating {
            return None;
        }
        if record.removing.as_ref() == Some(&pod.uid) {
            return remove(openings, next);
        }
        if let Some(failure) = self.failure(record, stage, used) {
            if failure.counts {
                record.failed(failure.why, self.patience, now);
            }
            record.removing = Some(pod.uid.clone());
            return remove(openings, next);
        }
        if is_ready {
            record.said = None;
            next.extend(self.holds_until());
            return None;
        }
        next.push(self.patience.deadline(pod));
        let every = EXPLAIN_EVERY.min(self.patience.length() / 4);
        let is_due = record.said_at.is_none_or(|at| now.duration_since(at) >= every);
        next.extend(now.checked_add(every).ok());
        if !is_due {
            return None;
        }
        record.said_at = Some(now);
        let what = ProbeVerb::Explain { uid: pod.uid.clone() };
        Some(ProbeAsk {
            zone: Some(zone.clone()),
            name: Name::clone(&pod.name),
            what,
            decided: now,
        })
    }

    /// Until when it may hold the room.
    fn holds_until(&self) -> Option<Timestamp> {
        let ready = self.pod.ready_since?.time();
        self.hold.map_or(ready, |hold| hold.max(ready)).checked_add(HOLDS_ROOM).ok()
    }

    /// Why it is to be removed, if so.
    fn failure(&self, record: &Record, stage: ProbeStage, used: bool) -> Option<Failure> {
        let counts = |why: String| Some(Failure { why, counts: true });
        let is_ready = stage == ProbeStage::Ready;
        if self.pod.is_finished() {
            return counts("the probe ended by itself".to_owned());
        }
        if !self.is_wanted {
            // A node that was made for nobody is not made again at once.
            let counts = is_ready && !used;
            return Some(Failure { why: "no pod was moved there".to_owned(), counts });
        }
        if !is_ready && self.now >= self.patience.deadline(self.pod) {
            let what = match stage {
                ProbeStage::Pending => "did not get a node",
                _ => "was not Ready",
            };
            let length = written_duration(self.patience.0);
            return counts(format!("the last probe {what} within {length}{}", record.said()));
        }
        let is_idle = is_ready && self.holds_until().is_some_and(|until| until <= self.now);
        if is_idle {
            return counts("no pod was moved there while the probe held the room".to_owned());
        }
        None
    }
}

/// Why a probe is removed.
struct Failure {
    why: String,
    /// Whether the next one waits.
    counts: bool,
}

/// Starts the probe of a zone, if it is time for it.
pub(super) fn start(
    (zone, wish): (&Zone, &Wish),
    recovered_at: Option<Timestamp>,
    openings: &mut ZoneOpenings,
    next: &mut Vec<Timestamp>,
    now: Timestamp,
) -> Option<ProbeAsk> {
    let record = openings.zones.entry(zone.clone()).or_default();
    if !record.may_start(recovered_at, now) {
        next.extend(record.retry_at);
        return None;
    }
    let name = Name::from(format!("{PROBE_NAME}{}", zone_object_name(zone.as_str())));
    let what =
        ProbeVerb::Start { template: Arc::clone(&wish.template), requests: wish.requests.clone() };
    next.extend(now.checked_add(SHOWS_WITHIN).ok());
    openings.ask(Some(zone), &name, what, now)
}

/// What there is to say of a zone.
pub(super) fn told(
    index: &Index,
    zone: &Zone,
    record: &Record,
    patience: Patience,
    now: Timestamp,
) -> ZoneProbe {
    let mut pods = index.cluster().probes().map(|(_, pod)| pod);
    let pod = pods.find(|pod| zone_of(pod).as_ref() == Some(zone) && !pod.terminating);
    let was_opened = record.was_opened(now);
    let (stage, text) = match pod {
        Some(pod) => (ProbeStage::of(pod), text_of(pod, record, patience)),
        None if record.failures > 0 => {
            let at = record
                .retry_at
                .map_or_else(String::new, |at| format!("; the next from {} on", short(at)));
            (ProbeStage::Failed, format!("{}{at}", record.failure))
        }
        None => (ProbeStage::Absent, "a probe pod is about to open it".to_owned()),
    };
    ZoneProbe { stage, was_opened, text }
}

fn text_of(pod: &Pod, record: &Record, patience: Patience) -> String {
    let name = format!("probe pod {}/{}", pod.namespace, pod.name);
    let until = short(patience.deadline(pod));
    match (ProbeStage::of(pod), &pod.node) {
        (ProbeStage::Ready, _) => format!("{name} is Ready and holds the room"),
        (_, Some(node)) => format!(
            "{name} is on node {node} and has until {until} to become Ready{}",
            record.said()
        ),
        (_, None) => format!("{name} waits for a node until {until}{}", record.said()),
    }
}
