//! Pods without a node that wait for a certain one.

use rstest::rstest;
use serde_json::{Value, json};

use super::stories::{ZONE, landing, pending, zones};
use super::{PendingPod, predict};
use crate::observe::fixtures::{PodFixture, node, pod};
use crate::observe::{Change, Index, Name};
use crate::predict::{InFlightPods, Prediction, Scheduler, SchedulerCache};

/// Two pods of web in zone a and one in b, of one core each, and others.
fn index(others: impl IntoIterator<Item = PodFixture>) -> Index {
    let mut index = Index::default();
    for name in ["a1", "b1", "c1"] {
        index.apply(Change::Node(node(name).zone(&name[..1]).watched()));
    }
    for (at, node) in ["a1", "a1", "b1"].into_iter().enumerate() {
        let web = pod(&format!("web-{at}")).cpu("1").spread_hard(ZONE, 1);
        index.apply(Change::Pod(web.on(node).watched()));
    }
    others.into_iter().for_each(|other| index.apply(Change::Pod(other.watched())));
    index
}

fn goes(index: &Index) -> Prediction {
    let cluster = index.cluster();
    let id = cluster.pod_id("default", "web-0").unwrap();
    let mut in_flight = InFlightPods::default();
    in_flight.evict(id);
    predict(cluster, &in_flight, &PendingPod::replacing(cluster, cluster.pod(id).unwrap()))
}

fn waiting(name: &str, cpu: &str) -> PodFixture {
    pod(name).cpu(cpu).phase("Pending").not_ready()
}

fn daemon(cpu: &str, node: &str) -> PodFixture {
    let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    let terms = json!({"nodeSelectorTerms": [{"matchFields": [field]}]});
    let affinity = json!({"requiredDuringSchedulingIgnoredDuringExecution": terms});
    waiting("agent-0", cpu)
        .owner("DaemonSet", "agent")
        .spec("affinity", json!({"nodeAffinity": affinity}))
}

fn nominated(cpu: &str, node: &str) -> PodFixture {
    waiting("job-0", cpu).status("nominatedNodeName", json!(node))
}

#[rstest]
#[case::a_daemon_waits_for_its_node(daemon("3500m", "c1"))]
#[case::room_is_being_made_for_another(nominated("3500m", "c1"))]
fn room_that_somebody_waits_for_is_not_certain(#[case] other: PodFixture) {
    let index = index([other]);
    let landing = landing(goes(&index));
    assert_eq!((zones(&landing), landing.certain), (vec!["c"], false));
    let unless = landing.unless.unwrap();
    assert!(unless.what.contains("wait for a certain node"), "{}", unless.what);
    pending(unless.prediction);
    let cache = SchedulerCache::default();
    let scheduler = Scheduler::new(index.cluster(), &cache);
    let like = PendingPod::like(&pod("web-9").cpu("1").build());
    let best = scheduler.simulate(&InFlightPods::default(), &like).unwrap().best().unwrap();
    assert!(!best.may_wait, "there is room elsewhere");
}

#[rstest]
#[case::there_is_room_for_both(daemon("3", "c1"))]
#[case::it_waits_for_any(waiting("job-0", "3500m"))]
#[case::a_daemon_elsewhere(daemon("3500m", "b1"))]
#[case::it_is_placed(daemon("1", "c1").on("c1"))]
#[case::it_leaves(daemon("3500m", "c1").terminating())]
#[case::it_is_done(daemon("3500m", "c1").phase("Failed"))]
#[case::no_daemon(daemon("3500m", "c1").owner("ReplicaSet", "agent"))]
#[case::nominated_nowhere(nominated("3500m", ""))]
fn others_do_not_matter(#[case] other: PodFixture) {
    assert!(landing(goes(&index([other]))).certain);
}

/// Those that room is made of leave as the pod comes.
#[test]
fn who_leaves_for_a_nominated_pod_does_not_count_beside_it() {
    let leaving = pod("old-0").cpu("3").spec("priority", json!(-1)).on("c1").terminating();
    let comes = |cpu: &str| goes(&index([leaving.clone(), nominated(cpu, "c1")]));
    assert!(landing(comes("2")).certain);
    assert!(!landing(comes("3500m")).certain);
}

/// The move's own replacement is not counted twice while it waits for its victims to go.
#[test]
fn the_replacement_that_is_assumed_is_not_another() {
    let mut index = index([nominated("2", "c1").owner("ReplicaSet", "web")]);
    let like = PendingPod::like(&pod("other-9").cpu("2").owner("ReplicaSet", "web").build());
    let newcomer = PendingPod::like(&pod("web-8").cpu("2").spread_hard(ZONE, 1).build());
    let best = |index: &Index, in_flight: &InFlightPods| {
        let cache = SchedulerCache::default();
        let scheduler = Scheduler::new(index.cluster(), &cache);
        let simulation = scheduler.simulate(in_flight, &newcomer).unwrap();
        simulation.best().map(|best| best.may_wait)
    };
    let mut in_flight = InFlightPods::default();
    in_flight.assume(like, Name::from("c1"));
    assert_eq!(best(&index, &in_flight), Some(false));
    index.apply(Change::Pod(nominated("2", "c1").named("job-1").watched()));
    assert_eq!(best(&index, &in_flight), Some(true), "that one is another's");
}

/// A node that is found in every term is the only one.
#[rstest]
#[case(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c1"]}]}]), Some("c1"))]
#[case(json!([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["c1"]}]}]), None)]
#[case(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c1", "c2"]}]}]), None)]
#[case(json!([{"matchExpressions": [{"key": "metadata.name", "operator": "In", "values": ["c1"]}]}]), None)]
#[case(json!([
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c1"]}]},
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["c2"]}]},
]), None)]
fn the_only_node_is_found(#[case] terms: Value, #[case] node: Option<&str>) {
    let affinity =
        json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
    let pod = pod("a-0").spec("affinity", json!({"nodeAffinity": affinity})).build();
    assert_eq!(pod.template.only_node(), node);
}
