//! Why a tier is not moved, when several things keep it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::fixtures::{Story, three_three_zero};
use super::{
    Approval, ClusterFacts, GateInput, Imbalance, InFlight, MissHistory, Probe, TierPlan, TierView,
    gate,
};
use crate::api::{Blocked, Mode, Reason, Trigger};
use crate::observe::{Hold, Pause, RecentTaints, Zone, ZoneEvent, ZoneTracker, zone_conditions};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A tier, and everything that may keep it from being moved.
struct Situation {
    story: Story,
    tier: TierView,
    plan: TierPlan,
    zones: ZoneTracker,
    unstable: Option<String>,
    stale: Option<String>,
    throttled_until: Option<Timestamp>,
    history: MissHistory,
    in_flight: InFlight,
    imbalance: Option<Imbalance>,
}

impl Situation {
    /// 3/3/0, and nothing is in the way.
    fn clear() -> Self {
        let story = Story::new(three_three_zero());
        Self {
            tier: story.tier(),
            plan: story.plan(),
            zones: story.zones.clone(),
            story,
            unstable: None,
            stale: None,
            throttled_until: None,
            history: MissHistory::default(),
            in_flight: InFlight::default(),
            imbalance: None,
        }
    }

    fn blocked(&self) -> Option<Blocked> {
        let facts = ClusterFacts {
            now: NOW,
            unstable: self.unstable.clone(),
            stale: self.stale.clone(),
            throttled_until: self.throttled_until,
            openings: std::sync::Arc::default(),
        };
        let Self { story, plan, history, in_flight, .. } = self;
        let mut tier = self.tier.clone();
        for (zone, count) in &mut tier.zones {
            count.health = self.zones.get(zone).cloned();
        }
        let (facts, approval) = (&facts, &Approval::default());
        let imbalance = self.imbalance.as_ref();
        let input = GateInput { facts, approval, history, in_flight, imbalance };
        gate(&story.index, &tier, plan, &input)
    }

    fn message(&self) -> String {
        self.blocked().unwrap().message
    }
}

type Remedy = fn(&mut Situation);

fn later() -> Timestamp {
    NOW + SignedDuration::from_mins(42)
}

/// Zones none of which has a node that can be used.
fn all_zones_out(story: &Story) -> ZoneTracker {
    let mut conditions = zone_conditions(
        story.index.cluster().nodes().map(|(node, _)| node),
        &RecentTaints::default(),
    );
    for condition in conditions.values_mut() {
        condition.usable = 0;
    }
    let mut zones = ZoneTracker::default();
    zones.on(ZoneEvent::Nodes(&conditions), NOW);
    zones
}

/// Zones of which people hold one.
fn zone_c_is_held(story: &Story) -> ZoneTracker {
    let mut zones = story.zones.clone();
    let hold = Hold { until: later(), reason: "it drops packets".into() };
    zones.on(ZoneEvent::Holds(&[(Zone::new("c"), hold)].into()), NOW);
    zones
}

#[test]
fn of_everything_that_is_in_the_way_the_first_reason_in_the_order_is_shown() {
    let mut now = Situation::clear();
    now.story = Story::new(three_three_zero()).budget("web", json!({"app": "web"}), 0);
    now.zones = all_zones_out(&now.story);
    now.unstable = Some("two zones".to_owned());
    now.stale = Some("no pods are known".to_owned());
    now.throttled_until = Some(later());
    now.tier.paused = Some(Pause::Policy);
    now.tier.settings.mode = Mode::Observe;
    let newyear = json!([{"schedule": "0 12 1 1 *", "duration": "1m"}]);
    let spec =
        json!({"selector": {"matchLabels": {"app": "web"}}, "rebalance": {"windows": newyear}});
    now.tier.windows = Story::new(three_three_zero()).policy(spec).tier().windows;
    now.tier.available = 5;
    now.tier.rolling_out = Some("Deployment web".to_owned());
    now.in_flight.canary = Some("zone c (web-1)".to_owned());
    now.in_flight.probe = Some(Probe { zone: Zone::new("c"), pod: "shop/web-7".to_owned() });
    now.imbalance = Some(Imbalance { since: NOW, steady_since: NOW, outage: false, origin: None });
    now.tier.settings.trigger = Trigger::Recovery;
    now.history.misses = 1;
    now.history.retry_at = Some(later());
    let forbidden = Blocked { reason: Reason::Forbidden, message: "no".to_owned() };
    now.history.refused = Some((forbidden, later()));

    let remedies: [(Reason, Remedy); 18] = [
        (Reason::ZoneImpaired, |now| now.zones = zone_c_is_held(&now.story)),
        (Reason::ZoneHeld, |now| now.zones = now.story.zones.clone()),
        (Reason::ZoneSuspect, |now| now.in_flight.probe = None),
        (Reason::ClusterUnstable, |now| now.unstable = None),
        (Reason::StaleView, |now| now.stale = None),
        (Reason::Paused, |now| now.tier.paused = None),
        (Reason::ObserveOnly, |now| now.tier.settings.mode = Mode::Approve),
        (Reason::NotARecovery, |now| now.tier.settings.trigger = Trigger::Always),
        (Reason::AwaitingApproval, |now| now.tier.settings.mode = Mode::Auto),
        (Reason::OutsideWindow, |now| now.tier.windows = Situation::clear().tier.windows),
        (Reason::TierUnavailable, |now| now.tier.available = 6),
        (Reason::RolloutInProgress, |now| now.tier.rolling_out = None),
        (Reason::Settling, |now| now.tier.settings.settle = Duration::ZERO),
        (Reason::MovesUnderWay, |now| now.in_flight.canary = None),
        (Reason::BudgetExhausted, |now| now.story = Situation::clear().story),
        (Reason::Backoff, |now| now.history.retry_at = None),
        (Reason::Forbidden, |now| now.history.refused = None),
        (Reason::Throttled, |now| now.throttled_until = None),
    ];
    for (reason, remedy) in remedies {
        assert_eq!(now.blocked().map(|blocked| blocked.reason), Some(reason));
        remedy(&mut now);
    }
    assert_eq!(now.blocked(), None);
    assert!(remedies.is_sorted_by_key(|(reason, _)| *reason));
}

#[test]
fn what_keeps_the_plan_empty_has_its_place_in_the_order() {
    let mut now = Situation::clear();
    now.history.misses = 3;
    assert_eq!(now.blocked().unwrap().reason, Reason::MissedTooOften);
    now.plan.moves.clear();
    let obstacle = |reason| Some(Blocked { reason, message: String::new() });
    now.plan.obstacle = obstacle(Reason::NoRoom);
    assert_eq!(now.blocked().unwrap().reason, Reason::NoRoom);
    now.tier.available = 5;
    assert_eq!(now.blocked().unwrap().reason, Reason::TierUnavailable);
    now.plan.obstacle = obstacle(Reason::SingleReplica);
    assert_eq!(now.blocked().unwrap().reason, Reason::SingleReplica);
}

#[test]
fn an_empty_plan_without_an_obstacle_waits_for_the_moves_under_way() {
    let mut now = Situation::clear();
    now.plan.moves.clear();
    now.in_flight.moves = 1;
    assert_eq!(now.message(), "1 move is under way: the next begins when one has ended");
}

#[test]
fn a_miss_is_told_with_its_landing_and_what_ends_the_wait() {
    let mut now = Situation::clear();
    now.history.misses = 2;
    now.history.retry_at = Some(later());
    now.in_flight.last_miss = Some("web-x landed on b1 in zone b, expected in c".to_owned());
    assert_eq!(
        now.message(),
        "2 of 3 allowed misses (web-x landed on b1 in zone b, expected in c); next try at 00:42:00Z"
    );
    now.history.misses = 3;
    now.in_flight.last_miss = None;
    assert_eq!(
        now.message(),
        "3 of 3 allowed misses: nothing is moved until the next recovery or any change of the policy's spec"
    );
}
