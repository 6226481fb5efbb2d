use rstest::rstest;

use super::*;

const HOLD: Duration = Duration::from_mins(10);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn zone_c() -> Zone {
    Zone::new("c")
}

fn nodes(usable: usize, nodes: usize) -> BTreeMap<Zone, ZoneCondition> {
    BTreeMap::from([(zone_c(), ZoneCondition { nodes, usable, leaving: 0, fault: None })])
}

fn nodes_of_which_leave(
    usable: usize,
    nodes: usize,
    leaving: usize,
) -> BTreeMap<Zone, ZoneCondition> {
    BTreeMap::from([(zone_c(), ZoneCondition { nodes, usable, leaving, fault: None })])
}

fn no_nodes() -> BTreeMap<Zone, ZoneCondition> {
    BTreeMap::new()
}

fn state(tracker: &ZoneTracker, seconds: i64) -> ZoneState {
    tracker.get(&zone_c()).unwrap().state(HOLD, at(seconds))
}

#[rstest]
#[case(0, 10, ZoneState::Impaired)]
#[case(4, 10, ZoneState::Impaired)]
#[case(9, 20, ZoneState::Impaired)]
#[case(10, 20, ZoneState::Ready)]
#[case(1, 1, ZoneState::Ready)]
#[case(0, 1, ZoneState::Impaired)]
fn a_zone_is_out_when_at_most_45_percent_of_its_nodes_are_usable(
    #[case] usable: usize,
    #[case] all: usize,
    #[case] expected: ZoneState,
) {
    let mut tracker = ZoneTracker::default();
    tracker.observe(&nodes(usable, all), at(0));
    assert_eq!(state(&tracker, 0), expected);
}

#[rstest]
#[case::all_leave(0, 3, 3, ZoneState::Ready)]
#[case::one_stays(1, 3, 2, ZoneState::Ready)]
#[case::the_one_that_stays_is_bad(0, 3, 2, ZoneState::Impaired)]
#[case::half_of_those_that_stay(2, 8, 4, ZoneState::Ready)]
#[case::fewer_than_that(1, 8, 4, ZoneState::Impaired)]
fn nodes_that_are_removed_in_order_do_not_count(
    #[case] usable: usize,
    #[case] all: usize,
    #[case] leaving: usize,
    #[case] expected: ZoneState,
) {
    let mut tracker = ZoneTracker::default();
    tracker.observe(&nodes(all, all), at(0));
    tracker.observe(&nodes_of_which_leave(usable, all, leaving), at(1));
    assert_eq!(state(&tracker, 1), expected);
}

#[test]
fn that_the_nodes_of_a_zone_that_is_out_are_removed_does_not_bring_it_back() {
    let mut tracker = ZoneTracker::default();
    tracker.observe(&nodes(3, 3), at(0));
    tracker.observe(&nodes(0, 3), at(1));
    tracker.observe(&nodes_of_which_leave(0, 3, 3), at(2));
    tracker.on(ZoneEvent::Drained(&zone_c()), at(3));
    tracker.observe(&no_nodes(), at(3));
    assert_eq!(state(&tracker, 3), ZoneState::Impaired);
    assert_eq!(tracker.get(&zone_c()).unwrap().outages, 1);
}

#[test]
fn a_zone_whose_last_nodes_were_removed_in_order_is_empty_at_once_and_had_no_outage() {
    let mut tracker = ZoneTracker::default();
    tracker.observe(&nodes(1, 1), at(0));
    tracker.on(ZoneEvent::Drained(&zone_c()), at(10));
    tracker.observe(&no_nodes(), at(10));
    let memory = tracker.get(&zone_c()).unwrap().clone();
    assert_eq!((state(&tracker, 10), memory.outages), (ZoneState::Empty, 0));
    assert!(memory.was_drained());
    let written = memory.to_status(&zone_c(), HOLD, &[], None, at(10));
    let mut next = ZoneTracker::default();
    next.restore(ZoneMemory::from_status(&written));
    next.observe(&no_nodes(), at(20));
    assert_eq!(state(&next, 20), ZoneState::Empty);
    assert!(next.get(&zone_c()).unwrap().was_drained());
    next.observe(&nodes(1, 1), at(30));
    assert_eq!(state(&next, 30), ZoneState::Recovering, "its node is new: a canary first");
    assert_eq!(next.get(&zone_c()).unwrap().outages, 0);
}

#[test]
fn a_healthy_zone_seen_for_the_first_time_is_not_held() {
    let mut tracker = ZoneTracker::default();
    tracker.observe(&nodes(3, 3), at(0));
    assert_eq!(state(&tracker, 0), ZoneState::Ready);
    assert!(!tracker.get(&zone_c()).unwrap().needs_canary());
}

#[test]
fn a_recovered_zone_is_held_and_then_ready_and_needs_a_canary() {
    let mut tracker = ZoneTracker::default();
    tracker.observe(&nodes(3, 3), at(0));
    tracker.observe(&nodes(0, 3), at(10));
    assert_eq!(state(&tracker, 10), ZoneState::Impaired);
    tracker.observe(&nodes(3, 3), at(100));
    assert_eq!(state(&tracker, 100), ZoneState::Recovering);
    assert_eq!(state(&tracker, 699), ZoneState::Recovering);
    assert_eq!(state(&tracker, 700), ZoneState::Ready);
    assert!(tracker.get(&zone_c()).unwrap().needs_canary());
    assert_eq!(tracker.next_change(&[HOLD], at(100)), Some(at(700)));
    tracker.on(ZoneEvent::Proven(&zone_c()), at(0));
    assert!(!tracker.get(&zone_c()).unwrap().needs_canary());
}

#[test]
fn a_pod_that_an_outage_caught_casts_no_doubt_on_the_zone() {
    let mut tracker = ZoneTracker::default();
    let doubts =
        |tracker: &ZoneTracker, began| tracker.get(&zone_c()).unwrap().is_doubted_by(at(began));
    tracker.observe(&nodes(0, 3), at(10));
    tracker.observe(&nodes(3, 3), at(100));
    assert!(doubts(&tracker, 701), "the canary of this return");
    assert!(!doubts(&tracker, 90), "one from before it");
    tracker.observe(&nodes(0, 3), at(710));
    assert!(!doubts(&tracker, 701), "the zone is out: that is why");
    tracker.observe(&nodes(3, 3), at(720));
    assert!(!doubts(&tracker, 701), "it was out meanwhile");
    assert!(doubts(&tracker, 2000));
    tracker.on(ZoneEvent::Suspected(&zone_c()), at(2060));
    assert!(!doubts(&tracker, 2001), "a second pod of that time says nothing new");
}

#[test]
fn each_flap_within_six_hours_doubles_the_hold_up_to_six_hours() {
    let mut tracker = ZoneTracker::default();
    let mut now = 0;
    tracker.observe(&nodes(1, 1), at(now));
    let mut holds = Vec::new();
    for _ in 0..8 {
        now += 60;
        tracker.observe(&nodes(0, 1), at(now));
        now += 60;
        tracker.observe(&nodes(1, 1), at(now));
        let until = tracker.get(&zone_c()).unwrap().hold_until(HOLD).unwrap();
        holds.push(until.duration_since(at(now)).as_secs() / 60);
    }
    assert_eq!(holds, [10, 20, 40, 80, 160, 320, 360, 360]);
}

#[test]
fn an_outage_after_six_quiet_hours_starts_from_the_base_hold() {
    let mut tracker = ZoneTracker::default();
    tracker.observe(&nodes(1, 1), at(0));
    tracker.observe(&nodes(0, 1), at(10));
    tracker.observe(&nodes(1, 1), at(20));
    let later = 20 + 6 * 3600 + 1;
    assert_eq!(tracker.get(&zone_c()).unwrap().outages_at(at(later)), 0);
    tracker.observe(&nodes(0, 1), at(later));
    tracker.observe(&nodes(1, 1), at(later + 10));
    assert_eq!(tracker.get(&zone_c()).unwrap().hold_until(HOLD), Some(at(later + 10 + 600)));
}

#[test]
fn a_zone_without_nodes_is_out_for_an_hour_then_empty_and_forgotten_after_a_week() {
    let mut tracker = ZoneTracker::default();
    tracker.observe(&nodes(1, 1), at(0));
    tracker.observe(&no_nodes(), at(100));
    assert_eq!(state(&tracker, 100), ZoneState::Impaired);
    tracker.observe(&no_nodes(), at(100 + 3599));
    assert_eq!(state(&tracker, 100 + 3599), ZoneState::Impaired);
    assert_eq!(tracker.next_change(&[HOLD], at(100 + 3599)), Some(at(100 + 3600)));
    tracker.observe(&no_nodes(), at(100 + 3600));
    assert_eq!(state(&tracker, 100 + 3600), ZoneState::Empty);
    tracker.observe(&nodes(1, 1), at(8000));
    assert_eq!(state(&tracker, 8000), ZoneState::Recovering);
    tracker.observe(&no_nodes(), at(9000));
    tracker.observe(&no_nodes(), at(9000 + 7 * 24 * 3600));
    assert!(tracker.get(&zone_c()).is_none());
}

#[test]
fn a_suspect_zone_is_held_twice_as_long_and_needs_a_canary_again() {
    let mut tracker = ZoneTracker::default();
    tracker.observe(&nodes(1, 1), at(0));
    tracker.observe(&nodes(0, 1), at(10));
    tracker.observe(&nodes(1, 1), at(20));
    tracker.on(ZoneEvent::Suspected(&zone_c()), at(1000));
    assert_eq!(state(&tracker, 1000), ZoneState::Suspect);
    assert_eq!(state(&tracker, 1000 + 1199), ZoneState::Suspect);
    assert_eq!(state(&tracker, 1000 + 1200), ZoneState::Ready);
    assert!(tracker.get(&zone_c()).unwrap().needs_canary());
}

#[test]
fn the_more_cautious_of_two_memories_is_restored() {
    let mut first = ZoneTracker::default();
    first.observe(&nodes(1, 1), at(0));
    let mut second = first.clone();
    second.observe(&nodes(0, 1), at(10));
    second.observe(&nodes(1, 1), at(20));
    let mut restored = ZoneTracker::default();
    restored.restore([&first, &second].map(written));
    assert_eq!(state(&restored, 30), ZoneState::Recovering);
    restored.observe(&nodes(1, 1), at(40));
    assert_eq!(restored.get(&zone_c()).unwrap().hold_until(HOLD), Some(at(620)));
}

#[test]
fn an_outage_between_two_leaders_is_counted_after_those_before() {
    let mut first = ZoneTracker::default();
    for (second, usable) in [(0, 1), (100, 0), (200, 1)] {
        first.observe(&nodes(usable, 1), at(second));
    }
    let before = written(&first);
    // Another replica starts, and sees an outage while nobody leads.
    let mut second = ZoneTracker::default();
    for (second_at, usable) in [(300, 1), (400, 0), (405, 1)] {
        second.observe(&nodes(usable, 1), at(second_at));
    }
    second.restore([before.clone(), before.clone()]);
    let memory = second.get(&zone_c()).unwrap();
    assert_eq!(memory.outages, 2, "told by two policies, and counted once");
    assert_eq!(memory.hold_until(HOLD), Some(at(405 + 1200)));
    // Who saw both of them counts neither twice.
    first.observe(&nodes(0, 1), at(400));
    first.observe(&nodes(1, 1), at(405));
    first.restore([before]);
    assert_eq!(first.get(&zone_c()).unwrap().outages, 2);
}

#[test]
fn an_outage_that_several_tell_of_is_counted_once_however_often_one_leads() {
    let mut first = ZoneTracker::default();
    for (second, usable) in [(0, 1), (100, 0)] {
        first.observe(&nodes(usable, 1), at(second));
    }
    // One replica comes when the outage is over, another while it lasts.
    let mut after = ZoneTracker::default();
    after.observe(&nodes(1, 1), at(200));
    let mut during = ZoneTracker::default();
    during.observe(&nodes(0, 1), at(150));
    during.observe(&nodes(1, 1), at(200));
    for mut tracker in [after, during] {
        tracker.restore([written(&first), written(&first)]);
        tracker.observe(&nodes(1, 1), at(210));
        assert_eq!(tracker.get(&zone_c()).unwrap().outages, 1);
        for _again in 0..2 {
            tracker.restore([written(&tracker), written(&first)]);
            assert_eq!(tracker.get(&zone_c()).unwrap().outages, 1);
        }
    }
}

#[test]
fn an_outage_that_the_leader_missed_is_counted_after_its_doubts() {
    let (mut leader, mut other) = (ZoneTracker::default(), ZoneTracker::default());
    for (second, usable) in [(0, 1), (100, 0), (200, 1)] {
        leader.observe(&nodes(usable, 1), at(second));
        other.observe(&nodes(usable, 1), at(second + 1));
    }
    leader.on(ZoneEvent::Suspected(&zone_c()), at(900));
    // Its watch fails, it is killed, and the other takes over.
    other.observe(&nodes(0, 1), at(1000));
    other.observe(&nodes(1, 1), at(1001));
    other.restore([written(&leader)]);
    let memory = other.get(&zone_c()).unwrap();
    assert_eq!((memory.outages, memory.last_outage), (3, Some(at(1000))));
    assert_eq!(memory.hold_until(HOLD), Some(at(1001 + 4 * 600)));
}

/// A zone as a policy's status has it.
fn written(tracker: &ZoneTracker) -> (Zone, ZoneMemory) {
    let mut memory = tracker.get(&zone_c()).unwrap().clone();
    memory.observed = ObservedOutages::from(memory.last_outage.unwrap_or(memory.since));
    (zone_c(), memory)
}
