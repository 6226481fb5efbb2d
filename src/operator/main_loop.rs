//! The main loop without its IO: what comes in is heeded together, a leader first reads
//! what the one before it wrote, and time alone is an event, too.

mod drills;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api::{ZoneSpreadPolicyStatus, ZoneStatus};
use crate::moves::{Outcome, Signal};
use crate::observe::{ClockReading, Freshness, Kind, Name, PolicyKey, WatchEvent};

use crate::plan::{OpeningRight, ScaleInRight, SteeringRight, SurgeRight};

use super::{Decision, Operator, OutlookProgress, ProbeAnswer, ProbeAsk, ZoneWrite};

/// Events that arrive together are answered together, this often at most.
const DECIDE_EVERY: Duration = Duration::from_millis(100);
/// Zones and holds are looked at this often at least.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The outlook is made for this long at once, so that nothing waits for it ...
const OUTLOOK_SLICE: Duration = Duration::from_millis(4);
/// ... and rests so many times as long after that.
const OUTLOOK_REST: u32 = 9;
/// It is made anew so long after it was made, or so many times as long as it took. For tiers
/// that changed that is soon; for all pods, which corrects it, it may take a minute.
const OUTLOOK_EVERY: Duration = Duration::from_secs(2);
const OUTLOOK_EVERY_TIMES: u32 = 50;
/// Policies that could not be read are read again after a while.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The main loop without its IO: events go in, decisions come out when they are due.
#[derive(Debug)]
pub struct MainLoop {
    operator: Operator,
    freshness: Freshness,
    leads: bool,
    /// Whether that is news to the operator.
    lead_changed: bool,
    reading: Reading,
    /// Whether pods may be replaced before they stop, as far as rights go.
    surge: SurgeRight,
    /// Whether zones without nodes may be opened.
    opening: OpeningRight,
    decide_at: Instant,
    /// When it last decided.
    decided_at: Instant,
    /// When to go on with the outlook, at the earliest, and when to make one of all pods.
    outlook_at: Instant,
    whole_outlook_at: Instant,
    /// How long it took up to now.
    outlook_took: Duration,
    /// When to go on with the forecast of a drill, at the earliest.
    forecast_at: Instant,
}

/// How far a leader-to-be is with reading the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Idle,
    DueAt(Instant),
    UnderWay,
}

/// What is to be done after a [`MainLoop::tick`].
#[derive(Debug, Default)]
pub struct Look {
    /// Lists that are not complete yet: nothing is decided before.
    pub missing: Vec<&'static str>,
    /// Whether this process leads, if that changed. What was being read is of no use then.
    pub leads: Option<bool>,
    /// Whether all policies are to be read now, for [`MainLoop::policies_read`].
    pub read_policies: bool,
    /// What the operator decided, if it was time.
    pub decision: Option<Decision>,
}

impl MainLoop {
    /// One that has seen nothing yet. Without an election it leads from the beginning.
    #[must_use]
    pub fn new(operator: Operator, leads: bool, now: Instant) -> Self {
        Self {
            operator,
            freshness: Freshness::default(),
            leads,
            lead_changed: true,
            reading: Reading::Idle,
            surge: SurgeRight::default(),
            opening: OpeningRight::default(),
            decide_at: now,
            decided_at: now,
            outlook_at: now,
            whole_outlook_at: now,
            outlook_took: Duration::ZERO,
            forecast_at: now,
        }
    }

    /// The operator.
    #[must_use]
    pub const fn operator(&self) -> &Operator {
        &self.operator
    }

    /// How fresh its view is.
    #[must_use]
    pub const fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// A watch says something.
    pub fn watch_event(&mut self, event: WatchEvent, now: ClockReading) {
        // A list is in no order.
        if !self.freshness.is_listing(Kind::Pod) {
            self.operator.advance();
        }
        for change in self.freshness.note(event, self.operator.index(), now) {
            self.operator.apply(change);
        }
        self.decide_at = self.decide_at.min(now.monotonic + DECIDE_EVERY);
    }

    /// What became of an effect.
    pub fn outcome(&mut self, outcome: Outcome, now: ClockReading) -> Vec<Signal> {
        // Of hundreds that come at once, each must not cost a decision.
        let soon = now.monotonic.max(self.decided_at + DECIDE_EVERY);
        self.decide_at = self.decide_at.min(soon);
        self.operator.outcome(outcome, now.wall)
    }

    /// What became of a write of a Zone object.
    pub fn zone_written(&mut self, write: &ZoneWrite, is_written: bool, now: ClockReading) {
        let soon = now.monotonic.max(self.decided_at + DECIDE_EVERY);
        self.decide_at = self.decide_at.min(soon);
        self.operator.zone_written(write, is_written, now.wall);
    }

    /// The API server says which version it is, or nothing. The next decision minds it.
    pub fn server_version(&mut self, reported: Option<&str>) {
        if let Some(reported) = reported {
            self.operator.server_version(reported);
        }
    }

    /// What is known of the right to replace pods before they stop.
    pub fn surge_right(&mut self, right: SurgeRight, now: Instant) {
        self.surge = right;
        self.decide_at = now;
    }

    /// What is known of the right to make probe pods.
    pub fn opening_right(&mut self, right: OpeningRight, now: Instant) {
        self.opening = right;
        self.decide_at = now;
    }

    /// What became of something that was asked for about a probe pod.
    pub fn probe_answered(&mut self, ask: &ProbeAsk, answer: &ProbeAnswer, now: ClockReading) {
        let soon = now.monotonic.max(self.decided_at + DECIDE_EVERY);
        self.decide_at = self.decide_at.min(soon);
        self.operator.probe_answered(ask, answer, now.wall);
    }

    /// What is known of the right to write deletion costs.
    pub fn scale_in_right(&mut self, right: ScaleInRight, now: Instant) {
        self.operator.set_scale_in_right(right);
        self.decide_at = now;
    }

    /// What is known of whether new pods can be steered.
    pub fn steering_right(&mut self, right: SteeringRight, now: Instant) {
        self.operator.set_steering_right(right);
        self.decide_at = now;
    }

    /// The right, if what speaks against a surge is known as well.
    fn surge_right_now(&self, now: ClockReading) -> SurgeRight {
        if self.surge == SurgeRight::Proven && !self.freshness.works(Kind::Autoscaler, now) {
            let missing = "horizontal pod autoscalers cannot be watched now";
            return SurgeRight::Missing(missing.to_owned());
        }
        self.surge.clone()
    }

    /// The election says whether this process leads.
    pub fn elected(&mut self, leads: bool, now: Instant) {
        self.leads = leads;
        self.lead_changed = true;
        self.reading = Reading::Idle;
        self.decide_at = now;
    }

    /// What the leader before us wrote, into policies and into Zone objects; none if it
    /// could not be read.
    pub fn policies_read<'a>(
        &mut self,
        statuses: Option<impl IntoIterator<Item = (PolicyKey, &'a ZoneSpreadPolicyStatus)>>,
        zones: Vec<(Name, Arc<ZoneStatus>)>,
        now: ClockReading,
    ) {
        if self.reading != Reading::UnderWay {
            return;
        }
        let Some(statuses) = statuses else {
            self.reading = Reading::DueAt(now.monotonic + READ_AGAIN_AFTER);
            return;
        };
        self.reading = Reading::Idle;
        self.operator.lead(statuses, zones, now.wall);
        self.decide_at = now.monotonic;
    }

    /// When to [`tick`](Self::tick) next.
    #[must_use]
    pub fn next(&self) -> Instant {
        match self.reading {
            Reading::DueAt(at) => at.min(self.decide_at),
            Reading::Idle | Reading::UnderWay => self.decide_at,
        }
    }

    /// When to go on with the outlook, or with the forecast of a drill, for which somebody
    /// waits; none while there is nothing to do.
    #[must_use]
    pub fn outlook_at(&self) -> Option<Instant> {
        let knows_all = !self.lead_changed && self.freshness.missing().is_empty();
        if knows_all && self.operator.forecast_is_due() {
            return Some(self.forecast_at);
        }
        if !knows_all || !self.operator.outlook_is_due() {
            return None;
        }
        let is_quick = self.operator.outlook_is_quick();
        Some(if is_quick { self.outlook_at } else { self.outlook_at.max(self.whole_outlook_at) })
    }

    /// Goes on with the outlook for a moment, by this clock.
    pub fn make_outlook(&mut self, clock: impl Fn() -> Instant) {
        let began = clock();
        if self.operator.forecast_is_due() {
            let slice_ends = began + OUTLOOK_SLICE;
            let is_made = self.operator.make_forecast(|| clock() < slice_ends);
            let now = clock();
            self.forecast_at = now + now.saturating_duration_since(began) * OUTLOOK_REST;
            if is_made {
                self.decide_at = self.decide_at.min(now.max(self.decided_at + DECIDE_EVERY));
            }
            return;
        }
        let may_be_of_all = self.whole_outlook_at <= began;
        let slice_ends = began + OUTLOOK_SLICE;
        let progress = self.operator.make_outlook(may_be_of_all, || clock() < slice_ends);
        let now = clock();
        let took = now.saturating_duration_since(began);
        self.outlook_took += took;
        let rest = if progress == OutlookProgress::GoesOn {
            took * OUTLOOK_REST
        } else {
            OUTLOOK_EVERY.max(std::mem::take(&mut self.outlook_took) * OUTLOOK_EVERY_TIMES)
        };
        self.outlook_at = now + rest;
        if progress == (OutlookProgress::Made { of_all: true }) {
            (self.whole_outlook_at, self.outlook_at) = (now + rest, now + OUTLOOK_EVERY);
        }
        if self.operator.outlook_has_news() {
            self.decide_at = self.decide_at.min(now.max(self.decided_at + DECIDE_EVERY));
        }
    }

    /// Does what is due by now.
    pub fn tick(&mut self, now: ClockReading) -> Look {
        let mut look = Look::default();
        if self.decide_at <= now.monotonic {
            self.look(now, &mut look);
        }
        if matches!(self.reading, Reading::DueAt(at) if at <= now.monotonic) {
            self.reading = Reading::UnderWay;
            look.read_policies = true;
        }
        look
    }

    fn look(&mut self, now: ClockReading, look: &mut Look) {
        look.missing = self.freshness.missing();
        if !look.missing.is_empty() {
            self.decide_at = now.monotonic + LOOK_EVERY;
            return;
        }
        if std::mem::take(&mut self.lead_changed) {
            // A leader-to-be goes on as a follower until it knows what the one before it
            // wrote: zones fail and come back meanwhile, too.
            self.operator.follow();
            self.reading = if self.leads { Reading::DueAt(now.monotonic) } else { Reading::Idle };
            look.leads = Some(self.leads);
        }
        self.operator.set_surge_right(self.surge_right_now(now));
        // A watch that fails for a moment is not worth a write to every policy.
        self.operator.set_surge_proven(self.surge.clone());
        self.operator.set_opening_right(self.opening.clone());
        let decision = self.operator.decide(now.wall, self.freshness.stale(now));
        self.decided_at = now.monotonic;
        let wait = decision.next.map_or(LOOK_EVERY, |next| {
            Duration::try_from(next.duration_since(now.wall)).unwrap_or_default()
        });
        let by_time = now.monotonic + wait.clamp(DECIDE_EVERY, LOOK_EVERY);
        let by_silence = self.freshness.next_change(now.monotonic).unwrap_or(by_time);
        self.decide_at = by_silence.max(now.monotonic + DECIDE_EVERY).min(by_time);
        look.decision = Some(decision);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Change;
    use crate::observe::fixtures::pod;

    const NOTHING: Option<[(PolicyKey, &ZoneSpreadPolicyStatus); 0]> = Some([]);

    struct Story {
        main_loop: MainLoop,
        start: ClockReading,
    }

    impl Story {
        /// One that has seen an empty cluster.
        fn synced() -> Self {
            let mut story = Self::begun();
            let start = story.start;
            for kind in Kind::ALL {
                story.main_loop.watch_event(WatchEvent::ListEnds(kind), start);
            }
            story
        }

        fn begun() -> Self {
            let start = ClockReading { monotonic: Instant::now(), wall: jiff::Timestamp::now() };
            let operator = Operator::default();
            Self { main_loop: MainLoop::new(operator, false, start.monotonic), start }
        }

        fn at(&self, millis: u64) -> ClockReading {
            let later = Duration::from_millis(millis);
            ClockReading {
                monotonic: self.start.monotonic + later,
                wall: self.start.wall.checked_add(later).unwrap(),
            }
        }

        fn tick(&mut self, millis: u64) -> Look {
            self.main_loop.tick(self.at(millis))
        }

        fn elected(&mut self, leads: bool, millis: u64) {
            let now = self.at(millis).monotonic;
            self.main_loop.elected(leads, now);
        }

        /// In milliseconds since it began.
        fn next(&self) -> u128 {
            self.main_loop.next().duration_since(self.start.monotonic).as_millis()
        }

        fn leads(&self) -> bool {
            self.main_loop.operator.leading
        }
    }

    #[test]
    fn nothing_is_decided_before_every_list_is_complete() {
        let mut story = Story::begun();
        let look = story.tick(0);
        let needed = Kind::ALL.into_iter().filter(|kind| !kind.is_optional());
        assert_eq!(look.missing.len(), needed.count());
        assert!(look.decision.is_none());
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Budget) {
            story.main_loop.watch_event(WatchEvent::ListEnds(kind), story.at(10));
        }
        assert_eq!(story.tick(110).missing, ["poddisruptionbudgets"]);
        story.main_loop.watch_event(WatchEvent::ListEnds(Kind::Budget), story.at(120));
        assert!(story.tick(220).decision.is_some());
    }

    #[test]
    fn while_autoscalers_cannot_be_watched_nothing_is_released_and_no_status_changes() {
        let mut story = Story::synced();
        let rights = |story: &Story| {
            let Operator { surge, surge_proven, .. } = &story.main_loop.operator;
            (*surge == SurgeRight::Proven, *surge_proven == SurgeRight::Proven)
        };
        let now = story.at(0).monotonic;
        story.main_loop.surge_right(SurgeRight::Proven, now);
        story.tick(0);
        assert_eq!(rights(&story), (true, true));
        story.main_loop.watch_event(WatchEvent::Failed(Kind::Autoscaler), story.at(1_000));
        story.tick(2_100);
        assert_eq!(rights(&story), (false, true));
        let now = story.at(3_000).monotonic;
        story.main_loop.surge_right(SurgeRight::default(), now);
        story.tick(3_000);
        assert_eq!(rights(&story), (false, false));
    }

    #[test]
    fn events_that_arrive_together_are_answered_together() {
        let mut story = Story::synced();
        assert!(story.tick(0).decision.is_some());
        assert_eq!(story.next(), 10_000, "zones and holds are looked at");
        story.main_loop.watch_event(WatchEvent::Alive(Kind::Pod), story.at(1_000));
        story.main_loop.watch_event(WatchEvent::Alive(Kind::Node), story.at(1_050));
        assert_eq!(story.next(), 1_100);
        assert!(story.tick(1_099).decision.is_none());
        assert!(story.tick(1_100).decision.is_some());
    }

    #[test]
    fn a_leader_to_be_goes_on_as_a_follower_until_it_has_read_the_policies() {
        let mut story = Story::synced();
        assert_eq!(story.tick(0).leads, Some(false));
        story.elected(true, 50);
        let look = story.tick(50);
        assert_eq!(look.leads, Some(true));
        assert!(look.read_policies && look.decision.is_some());
        assert!(!story.leads());
        // The first try fails.
        story.main_loop.policies_read(NOTHING.filter(|_| false), Vec::new(), story.at(60));
        assert!(!story.tick(1_059).read_policies);
        assert!(story.tick(1_060).read_policies);
        assert!(!story.leads());
        story.main_loop.policies_read(NOTHING, Vec::new(), story.at(1_100));
        assert!(story.leads());
        assert_eq!(story.next(), 1_100, "at once");
        assert_eq!(story.tick(1_100).leads, None);
        assert!(story.leads());
    }

    #[test]
    fn what_was_read_for_a_lead_that_is_lost_is_of_no_use() {
        let mut story = Story::synced();
        story.elected(true, 0);
        assert!(story.tick(0).read_policies);
        story.elected(false, 10);
        story.main_loop.policies_read(NOTHING, Vec::new(), story.at(20));
        assert!(!story.leads());
        let look = story.tick(20);
        assert_eq!(look.leads, Some(false));
        assert!(!look.read_policies);
    }

    #[test]
    fn what_a_list_shows_is_seen_at_once_and_what_a_watch_shows_in_its_order() {
        let mut story = Story::synced();
        let mut event = |event| story.main_loop.watch_event(event, story.start);
        let shown = |name| {
            let shown = Change::Pod(pod(name).on("a1").watched());
            WatchEvent::Change(Kind::Pod, Box::new(shown))
        };
        event(WatchEvent::ListBegins(Kind::Pod));
        ["web-1", "web-2"].map(shown).into_iter().for_each(&mut event);
        event(WatchEvent::ListEnds(Kind::Pod));
        ["web-4", "web-3", "web-1"].map(shown).into_iter().for_each(&mut event);
        let cluster = story.main_loop.operator.index().cluster();
        let seen = ["web-1", "web-2", "web-4", "web-3"].map(|name| {
            let id = cluster.pod_id("default", name).unwrap();
            cluster.pod(id).unwrap().seen
        });
        assert_eq!(seen[0], seen[1]);
        assert!(seen[1] < seen[2] && seen[2] < seen[3], "{seen:?}");
    }

    #[test]
    fn a_jump_of_the_wall_clock_hides_no_watch_that_is_silent() {
        let mut story = Story::synced();
        story.main_loop.watch_event(WatchEvent::Alive(Kind::Pod), story.at(0));
        let jumped = story.start.wall.checked_sub(Duration::from_hours(1)).unwrap();
        let silent = ClockReading { wall: jumped, ..story.at(25_000) };
        story.main_loop.tick(silent);
        let cluster_state = &story.main_loop.operator.cluster_state;
        assert!(
            cluster_state.stale.as_ref().is_some_and(|why| why.contains("pods")),
            "{cluster_state:?}"
        );
    }
}
