//! What the loss of a zone does to small clusters.

use serde_json::{Value, json};

use super::{LossReason, Of, Outlook, Scenario, TierOutlook, ZoneOutlook, scenarios};
use crate::observe::fixtures::{NodeFixture, PodFixture, node, pod};
use crate::observe::{Change, Index, Zone};
use crate::predict::SchedulerConfig;

const ZONE: &str = "topology.kubernetes.io/zone";

fn index(
    nodes: impl IntoIterator<Item = NodeFixture>,
    pods: impl IntoIterator<Item = PodFixture>,
) -> Index {
    let mut index = Index::default();
    for node in nodes {
        index.apply(Change::Node(node.watched()));
    }
    for pod in pods {
        index.apply(Change::Pod(pod.watched()));
    }
    for name in ["web", "batch", "clinging"] {
        let set = workload(name, 1, "");
        index.apply(Change::ReplicaSet(serde_json::from_value(set).unwrap()));
    }
    index
}

/// A workload of pods with this `app`; the default spread constraints select by it.
fn workload(app: &str, replicas: i32, policy: &str) -> Value {
    json!({
        "metadata": {"name": app, "namespace": "default", "uid": format!("uid-{app}")},
        "spec": {
            "replicas": replicas, "podManagementPolicy": policy,
            "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": {"app": app}}, "spec": {"containers": []}},
        },
    })
}

/// Two nodes in each of the zones a, b and c: `a1`, `a2`, `b1`, ...
fn three_zones() -> Vec<NodeFixture> {
    ["a1", "a2", "b1", "b2", "c1", "c2"].map(|name| node(name).zone(&name[..1])).to_vec()
}

/// Pods of a `ReplicaSet` on these nodes.
fn web(nodes: &[&str], shape: impl Fn(PodFixture) -> PodFixture) -> Vec<PodFixture> {
    let pods = nodes.iter().enumerate();
    pods.map(|(at, node)| shape(pod(&format!("web-{at}"))).owner("ReplicaSet", "web").on(node))
        .collect()
}

fn lose(index: &Index, zone: &str) -> ZoneOutlook {
    let outlook = Outlook::of(index, &SchedulerConfig::default(), Some(&Zone::new(zone)));
    outlook.zones.into_iter().next().unwrap()
}

fn only(zone: &ZoneOutlook) -> &TierOutlook {
    let [tier] = &zone.tiers[..] else { panic!("{:?}", zone.tiers) };
    tier
}

fn counts(phase: &super::PhaseOutlook) -> (Vec<(&str, usize)>, usize, usize) {
    let zones = phase.zones.iter().map(|(zone, pods)| (zone.as_str(), *pods));
    (zones.collect(), phase.pending, phase.absent)
}

fn why(tier: &TierOutlook) -> (LossReason, &str) {
    let (reason, message) = tier.reason.as_ref().expect("a reason");
    (*reason, message)
}

#[test]
fn a_soft_constraint_lets_all_pods_go_elsewhere() {
    let index = index(
        three_zones(),
        web(&["a1", "a2", "b1", "b2", "c1", "c2"], |pod| pod.spread_soft(ZONE, 1)),
    );
    let zone = lose(&index, "c");
    let tier = only(&zone);
    assert_eq!((tier.pods, tier.surviving, tier.lost, tier.percent()), (6, 4, 2, 66));
    for phase in [&tier.unreachable, &tier.gone] {
        assert_eq!(counts(phase), (vec![("a", 3), ("b", 3)], 0, 0));
    }
    assert!(zone.is_safe() && tier.reason.is_none(), "{tier:?}");
}

#[test]
fn a_hard_constraint_counts_the_zone_until_its_nodes_are_deleted() {
    let nodes = ["a1", "a2", "b1", "b2", "c1", "c2"];
    let index = index(three_zones(), web(&nodes, |pod| pod.spread_hard(ZONE, 1)));
    let zone = lose(&index, "c");
    let tier = only(&zone);
    assert_eq!(counts(&tier.unreachable), (vec![("a", 2), ("b", 2)], 2, 0));
    assert_eq!(counts(&tier.gone), (vec![("a", 3), ("b", 3)], 0, 0));
    let (reason, message) = why(tier);
    assert_eq!(reason, LossReason::WouldPend);
    assert!(
        message.starts_with("2 pods would stay Pending while the nodes are unreachable: "),
        "{message}"
    );
    assert!(message.ends_with("set nodeTaintsPolicy: Honor"), "{message}");
}

#[test]
fn node_taints_policy_honor_cures_that_and_min_domains_undoes_it() {
    let nodes = ["a1", "a2", "b1", "b2", "c1", "c2"];
    let honor = json!({"nodeTaintsPolicy": "Honor"});
    let cured = |pod: PodFixture| pod.spread(ZONE, 1, "DoNotSchedule", honor.clone());
    let zone = lose(&index(three_zones(), web(&nodes, cured)), "c");
    assert_eq!(counts(&only(&zone).unreachable), (vec![("a", 3), ("b", 3)], 0, 0));
    assert!(zone.is_safe());

    let both = json!({"nodeTaintsPolicy": "Honor", "minDomains": 3});
    let undone = |pod: PodFixture| pod.spread(ZONE, 1, "DoNotSchedule", both.clone());
    let zone = lose(&index(three_zones(), web(&nodes, undone)), "c");
    let tier = only(&zone);
    assert_eq!((tier.unreachable.pending, tier.gone.pending), (2, 2));
    assert!(
        why(tier).1.ends_with("minDomains 3 counts the lost zone as an empty one: lower it to 2"),
        "{:?}",
        tier.reason
    );
}

#[test]
fn room_is_used_up_pod_by_pod_and_by_priority() {
    let nodes = ["a1", "b1"].map(|name| node(name).zone(&name[..1]).cpu("2"));
    let small = |name: &str, owner: &str, node: &str, priority: i32| {
        pod(name).owner("ReplicaSet", owner).cpu("900m").on(node).spec("priority", json!(priority))
    };
    // Room for one more in zone b: the important one gets it, and 900m are missing.
    let index = index(
        nodes,
        [
            small("batch-0", "batch", "a1", 0),
            small("web-0", "web", "a1", 10),
            small("web-1", "web", "b1", 10),
        ],
    );
    let zone = lose(&index, "a");
    let [batch, web] = &zone.tiers[..] else { panic!("{:?}", zone.tiers) };
    assert_eq!(web.of, Of::Workload("ReplicaSet".into(), "web".into()));
    assert_eq!(counts(&web.gone), (vec![("b", 2)], 0, 0));
    assert_eq!(counts(&batch.gone), (vec![], 1, 0));
    assert_eq!((zone.missing.pods, zone.missing.cpu_milli), (1, 900));
    // It is the only pod of its workload as well, which is worse.
    assert_eq!(why(batch).0, LossReason::SingleZone);
    assert_eq!(web.reason, None);
}

#[test]
fn sets_keep_their_names_until_the_nodes_are_deleted_and_their_volumes_for_ever() {
    let mut index = index(three_zones(), []);
    for (at, node) in ["a1", "b1", "c1"].iter().enumerate() {
        let claim_name = format!("data-db-{at}");
        let volume = json!([{"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}]);
        let pod =
            pod(&format!("db-{at}")).owner("StatefulSet", "db").on(node).spec("volumes", volume);
        index.apply(Change::Pod(pod.watched()));
        let volume_name = format!("volume-{at}");
        for change in volume_of(&claim_name, &volume_name, &node[..1]) {
            index.apply(change);
        }
    }
    index.apply(set("Parallel"));
    let zone = lose(&index, "c");
    let tier = only(&zone);
    assert_eq!(counts(&tier.unreachable), (vec![("a", 1), ("b", 1)], 0, 1));
    assert_eq!(counts(&tier.gone), (vec![("a", 1), ("b", 1)], 1, 0));
    let (reason, message) = why(tier);
    assert_eq!(reason, LossReason::PinnedVolume);
    assert!(
        message.contains("once the nodes are deleted") && message.contains("cannot leave zone c"),
        "{message}"
    );
}

fn volume_of(claim: &str, volume: &str, zone: &str) -> [Change; 2] {
    let wanted = json!({
        "metadata": {"name": claim, "namespace": "default"},
        "spec": {"volumeName": volume, "storageClassName": "zonal"},
    });
    let made = json!({
        "metadata": {"name": volume},
        "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
            {"key": ZONE, "operator": "In", "values": [zone]}
        ]}]}}},
    });
    [
        Change::Claim(serde_json::from_value(wanted).unwrap()),
        Change::Volume(serde_json::from_value(made).unwrap()),
    ]
}

/// The set `db` that makes its pods in this order.
fn set(policy: &str) -> Change {
    Change::StatefulSet(serde_json::from_value(workload("db", 5, policy)).unwrap())
}

#[test]
fn an_ordered_set_makes_no_pod_after_one_that_waits() {
    for (policy, expected) in [("OrderedReady", (1, 2)), ("Parallel", (3, 0))] {
        let pods = ["c1", "c1", "c2", "a1", "b1"].iter().enumerate().map(|(at, node)| {
            let only_c = json!({ZONE: "c"});
            let pod = pod(&format!("db-{at}")).owner("StatefulSet", "db").on(node);
            if at < 3 { pod.spec("nodeSelector", only_c) } else { pod }
        });
        let mut index = index(three_zones(), pods);
        index.apply(set(policy));
        let zone = lose(&index, "c");
        let tier = only(&zone);
        assert_eq!((tier.gone.pending, tier.gone.absent), expected, "{policy}");
        assert!(tier.quorum_lost, "3 of 5 are in zone c");
        assert_eq!(why(tier).0, LossReason::QuorumLost);
    }
}

#[test]
fn what_goes_with_its_node_or_has_no_controller_is_not_placed() {
    let agent = pod("agent-0").owner("DaemonSet", "agent").on("c1");
    let bare = pod("bare").on("c1");
    let clinging = pod("clinging-0")
        .owner("ReplicaSet", "clinging")
        .on("c2")
        .tolerates("node.kubernetes.io/unreachable", "NoExecute");
    let leaving = pod("leaving-0").owner("ReplicaSet", "leaving").on("c1").terminating();
    let index = index(three_zones(), [agent, bare, clinging, leaving]);
    let zone = lose(&index, "c");
    let names: Vec<&Of> = zone.tiers.iter().map(|tier| &tier.of).collect();
    let expected = [("Pod", "bare"), ("ReplicaSet", "clinging")];
    assert_eq!(
        names,
        expected
            .map(|(kind, name)| Of::Workload(kind.into(), name.into()))
            .iter()
            .collect::<Vec<_>>()
    );
    let [bare, clinging] = &zone.tiers[..] else { panic!() };
    assert_eq!((counts(&bare.unreachable), counts(&bare.gone)), ((vec![], 0, 1), (vec![], 0, 1)));
    // It is not deleted from a silent node, since it bears the taint for ever.
    assert_eq!(counts(&clinging.unreachable), (vec![], 0, 1));
    assert_eq!(counts(&clinging.gone).2, 0);
    assert_eq!(clinging.gone.zones.values().sum::<usize>(), 1);
}

#[test]
fn pods_that_wait_already_wait_still() {
    let nodes = [node("a1").zone("a").cpu("1"), node("b1").zone("b").cpu("1")];
    let pods = [
        pod("web-0").owner("ReplicaSet", "web").cpu("600m").on("a1"),
        pod("web-1").owner("ReplicaSet", "web").cpu("600m").on("b1"),
        pod("web-2").owner("ReplicaSet", "web").cpu("600m").phase("Pending").not_ready(),
    ];
    let zone = lose(&index(nodes, pods), "a");
    let tier = only(&zone);
    assert_eq!((tier.pods, tier.surviving, tier.lost), (3, 1, 1));
    assert_eq!(counts(&tier.gone), (vec![("b", 1)], 2, 0));
    assert_eq!(why(tier).0, LossReason::NoRoom);
}

#[test]
fn the_cluster_itself_is_left_as_it_is() {
    let index = index(three_zones(), web(&["a1", "b1", "c1"], |pod| pod.spread_soft(ZONE, 1)));
    let before = index.cluster().nodes_generation();
    let outlook = Outlook::of(&index, &SchedulerConfig::default(), None);
    assert_eq!(outlook.zones.len(), 3);
    assert_eq!(index.cluster().nodes_generation(), before);
    assert_eq!(index.cluster().pods().count(), 3);
}

#[test]
fn a_silent_zone_is_evicted_node_by_node() {
    // 2/1/2: when the first pod of zone c leaves, the second still counts, and it may go to b.
    let pods = web(&["a1", "a2", "b1", "c1", "c2"], |pod| pod.spread_hard(ZONE, 1));
    let zone = lose(&index(three_zones(), pods), "c");
    assert_eq!(counts(&only(&zone).unreachable), (vec![("a", 2), ("b", 2)], 1, 0));
    // Both on one node leave together, and the zone is empty at once.
    let pods = web(&["a1", "a2", "b1", "c1", "c1"], |pod| pod.spread_hard(ZONE, 1));
    let zone = lose(&index(three_zones(), pods), "c");
    assert_eq!(counts(&only(&zone).unreachable), (vec![("a", 2), ("b", 1)], 2, 0));
    // Unless the first is replaced before the second is deleted.
    assert_eq!(only(&zone).unreachable.fewest_pending, 1);
}

/// Where the pods of the only workload are in a scenario.
fn in_scenario(told: &[(Scenario, super::PhaseOutlook)], wanted: &Scenario) -> String {
    let (_, phase) = told.iter().find(|(known, _)| known == wanted).expect("the scenario");
    let (zones, pending, absent) = counts(phase);
    let zones: Vec<String> = zones.iter().map(|(zone, pods)| format!("{zone}:{pods}")).collect();
    format!("{} pending:{pending} absent:{absent}", zones.join(" "))
}

#[test]
fn a_hard_constraint_is_compared_with_what_it_should_be() {
    let nodes = ["a1", "a1", "a2", "a2", "b1", "b2"];
    let index = index(three_zones(), web(&nodes, |pod| pod.spread_hard(ZONE, 1)));
    let all = scenarios(&index, &SchedulerConfig::default(), true);
    let [web] = &all[..] else { panic!("{all:?}") };
    let then = web.if_spread.as_ref().unwrap();
    let lost = Scenario::Lost(Zone::new("a"));
    assert_eq!(in_scenario(&web.today, &Scenario::Normal), "a:4 b:2 pending:0 absent:0");
    assert_eq!(in_scenario(&web.today, &Scenario::Restart), "a:2 b:2 c:2 pending:0 absent:0");
    assert_eq!(in_scenario(then, &Scenario::Normal), "a:2 b:2 c:2 pending:0 absent:0");
    assert_eq!(in_scenario(then, &Scenario::ScaleOut), "a:4 b:4 c:4 pending:0 absent:0");
    // Today the lost zone counts as long as its nodes are there.
    assert!(!in_scenario(&web.today, &lost).contains("pending:0"), "{web:?}");
    assert_eq!(in_scenario(then, &lost), "b:3 c:3 pending:0 absent:0");
}

#[test]
fn without_a_constraint_a_restart_does_not_bring_pods_home() {
    let shunned = three_zones().into_iter().map(|node| node.taint("busy", "PreferNoSchedule"));
    let nodes: Vec<NodeFixture> =
        three_zones().into_iter().take(4).chain(shunned.skip(4)).collect();
    let index = index(nodes, web(&["a1", "a2", "b1", "b2"], |pod| pod.spread_soft(ZONE, 1)));
    let all = scenarios(&index, &SchedulerConfig::default(), true);
    let then = all[0].if_spread.as_ref().unwrap();
    assert_eq!(in_scenario(&all[0].today, &Scenario::Restart), "a:2 b:2 pending:0 absent:0");
    let counts = in_scenario(then, &Scenario::Normal);
    assert!(counts.contains("c:1"), "{counts}");
}

#[test]
fn what_nobody_makes_again_is_absent_after_a_restart() {
    let index = index(three_zones(), [pod("alone").on("a1")]);
    let all = scenarios(&index, &SchedulerConfig::default(), false);
    assert_eq!(in_scenario(&all[0].today, &Scenario::Restart), " pending:0 absent:1");
    assert_eq!(all[0].if_spread, None);
}
