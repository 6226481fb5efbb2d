use super::*;
use crate::observe::fixtures::{NodeFixture, PodFixture, node, pod};

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

/// Node `n` of zone a, made in minute 0.
fn plain() -> NodeFixture {
    node("n").zone("a").created(at(0))
}

fn dedicated() -> NodeFixture {
    plain().taint("dedicated", "NoSchedule")
}

fn cluster(node: NodeFixture, pods: impl IntoIterator<Item = PodFixture>) -> Cluster {
    crate::observe::fixtures::cluster([node], pods)
}

fn is_new(history: &TaintHistory, minute: i64) -> bool {
    !history.recent(at(minute)).on("n").is_empty()
}

fn zone_a() -> Zone {
    Zone::new("a")
}

/// A process that leads from then on, and what it found in the Zone object.
fn started(cluster: &Cluster, written: &[ZoneTaint], minute: i64) -> TaintHistory {
    let mut history = TaintHistory::default();
    history.observe(cluster, at(minute));
    history.restore([(zone_a(), written.to_vec())].into(), at(minute));
    history
}

#[test]
fn a_taint_that_was_there_when_the_node_came_is_a_pools() {
    let mut history = TaintHistory::default();
    history.observe(&cluster(dedicated(), []), at(1));
    assert!(!is_new(&history, 1));
    assert_eq!(history.record(&zone_a())[0].since, None);
}

#[test]
fn a_taint_that_appears_on_a_node_in_use_is_new_for_an_hour() {
    let mut history = TaintHistory::default();
    history.observe(&cluster(plain(), []), at(100));
    history.observe(&cluster(dedicated(), []), at(120));
    history.observe(&cluster(dedicated(), []), at(130));
    assert!(is_new(&history, 120) && is_new(&history, 179));
    assert_eq!(history.next_change(at(130)), Some(at(180)));
    assert!(!is_new(&history, 180));
    // Away and back again is new again.
    history.observe(&cluster(plain(), []), at(200));
    history.observe(&cluster(dedicated(), []), at(201));
    assert!(is_new(&history, 260));
}

#[test]
fn a_pool_is_set_up_within_ten_minutes_unless_somebody_uses_the_node() {
    for (minute, pods, expected) in
        [(9, vec![], false), (11, vec![], true), (9, vec![pod("web").on("n")], true)]
    {
        let mut history = TaintHistory::default();
        history.observe(&cluster(plain(), []), at(1));
        history.observe(&cluster(dedicated(), pods), at(minute));
        assert_eq!(is_new(&history, minute), expected, "minute {minute}");
    }
}

#[test]
fn the_time_in_a_taint_is_believed() {
    let mut history = TaintHistory::default();
    let added = plain().taint_added("maintenance", "NoSchedule", at(300));
    history.observe(&cluster(added, []), at(310));
    assert!(is_new(&history, 359) && !is_new(&history, 360));
}

#[test]
fn a_pod_that_does_not_bear_the_taint_was_there_before_it() {
    let mut history = TaintHistory::default();
    history.observe(&cluster(dedicated(), [pod("web").on("n")]), at(1000));
    assert!(is_new(&history, 1059) && !is_new(&history, 1060));
    let others = [
        pod("agent").on("n").owner("DaemonSet", "agent"),
        pod("proxy").on("n").annotation("kubernetes.io/config.mirror", "x"),
        pod("gpu")
            .on("n")
            .spec("tolerations", serde_json::json!([{"key": "dedicated", "operator": "Exists"}])),
    ];
    for other in others {
        let mut history = TaintHistory::default();
        history.observe(&cluster(dedicated(), [other]), at(1000));
        assert!(!is_new(&history, 1000));
    }
}

#[test]
fn a_restart_goes_on_with_the_hour() {
    let mut before = TaintHistory::default();
    before.observe(&cluster(plain(), []), at(100));
    before.observe(&cluster(dedicated(), []), at(120));
    let written = before.record(&zone_a()).to_vec();
    let after = started(&cluster(dedicated(), []), &written, 150);
    assert!(is_new(&after, 179) && !is_new(&after, 180));
    // With a pod that was there before, it does not begin anew.
    let after = started(&cluster(dedicated(), [pod("web").on("n")]), &written, 150);
    assert!(is_new(&after, 179) && !is_new(&after, 180));
    // Nor does another restart forget that it was once new.
    assert_eq!(after.record(&zone_a()), written);
}

#[test]
fn a_taint_that_appeared_while_nobody_looked_is_new() {
    let after = started(&cluster(dedicated(), []), &[], 150);
    assert!(is_new(&after, 209) && !is_new(&after, 210));
    // Unless the node is new itself.
    let after = started(&cluster(dedicated(), []), &[], 5);
    assert!(!is_new(&after, 5));
}

#[test]
fn a_pools_taint_that_is_written_down_is_a_pools_after_a_restart() {
    let mut before = TaintHistory::default();
    before.observe(&cluster(dedicated(), []), at(1));
    let written = before.record(&zone_a()).to_vec();
    let after = started(&cluster(dedicated(), []), &written, 150);
    assert!(!is_new(&after, 150));
}

#[test]
fn without_a_zone_object_that_knows_taints_all_are_a_pools() {
    let mut history = TaintHistory::default();
    history.observe(&cluster(dedicated(), []), at(150));
    history.restore(BTreeMap::new(), at(150));
    assert!(!is_new(&history, 150));
}

/// Two nodes of one pool, the first of them with a taint that no pool's template has.
fn a_pool_in_maintenance(others: [NodeFixture; 1]) -> Cluster {
    let tainted = plain().label(POOL, "workers").taint("maintenance", "NoSchedule");
    crate::observe::fixtures::cluster(others.into_iter().chain([tainted]), [])
}

const POOL: &str = "eks.amazonaws.com/nodegroup";

#[test]
fn on_the_first_look_a_taint_that_only_some_nodes_of_a_pool_carry_is_new() {
    let other = || node("m").zone("a").created(at(0));
    let looked = |other: NodeFixture| {
        let mut history = TaintHistory::default();
        history.observe(&a_pool_in_maintenance([other]), at(1000));
        history
    };
    let odd = looked(other().label(POOL, "workers"));
    assert!(is_new(&odd, 1059) && !is_new(&odd, 1060));
    for alike in [
        other().label(POOL, "workers").taint("maintenance", "NoSchedule"),
        other().label(POOL, "batch"),
        other(),
    ] {
        assert!(!is_new(&looked(alike), 1000));
    }
    let unwritten = a_pool_in_maintenance([other().label(POOL, "workers")]);
    assert!(is_new(&started(&unwritten, &[], 1000), 1000));
    let known = ZoneTaint {
        key: "maintenance".to_owned(),
        value: String::new(),
        effect: "NoSchedule".to_owned(),
        since: None,
    };
    assert!(!is_new(&started(&unwritten, std::slice::from_ref(&known), 1000), 1000));
    // The hour goes on from where it was.
    let appeared = ZoneTaint { since: Some(seconds(at(970))), ..known };
    let after = started(&unwritten, &[appeared], 1000);
    assert!(is_new(&after, 1029) && !is_new(&after, 1030));
}
