//! What storage drivers and access modes have to say.

use serde_json::json;

use super::predict;
use super::stories::{evicted, landing, pending, three_zones, unpredictable, zones};
use crate::observe::fixtures::{
    PodFixture, claim, cluster, id_of, lazy_class, node, pod, stateful_set,
};
use crate::observe::{
    Claim, Cluster, CsiDriver, CsiNode, Interner, Name, PersistentVolume, WatchedClaim,
};
use crate::predict::{InFlightPods, PendingPod, Plugin, Prediction, Scheduler, SchedulerCache};

fn with_claim(pod: PodFixture, claim: &str) -> PodFixture {
    let source = json!({"claimName": claim});
    pod.spec("volumes", json!([{"name": "data", "persistentVolumeClaim": source}]))
}

/// A volume of the driver `csi.example`, and its claim of the same name.
fn put_volume(cluster: &mut Cluster, name: &str) {
    let volume = json!({"metadata": {"name": name},
        "spec": {"csi": {"driver": "csi.example", "volumeHandle": format!("disk-{name}")}}});
    cluster.put_volume(PersistentVolume::new(serde_json::from_value(volume).unwrap()));
    cluster.put_claim(claim(name, "fast", Some(name)));
}

/// The node can have this many volumes of the driver.
fn limit(cluster: &mut Cluster, node: &str, count: i32) {
    let shown = json!({"metadata": {"name": node}, "spec": {"drivers": [
        {"name": "csi.example", "nodeID": node, "allocatable": {"count": count}}]}});
    let shown = serde_json::from_value(shown).unwrap();
    cluster.put_csi_node(CsiNode::new(shown, &mut Interner::default()));
}

fn goes(cluster: &Cluster, newcomer: PodFixture) -> Prediction {
    predict(cluster, &InFlightPods::default(), &PendingPod::like(&newcomer.build()))
}

#[test]
fn a_node_takes_as_many_volumes_as_its_driver_can_attach() {
    let nodes = ["a1", "b1"].map(|name| node(name).zone(&name[..1]));
    let mut cluster = cluster(nodes, [with_claim(pod("db-0").on("a1"), "one")]);
    put_volume(&mut cluster, "one");
    put_volume(&mut cluster, "two");
    let newcomer = || with_claim(pod("db-1"), "two");
    assert_eq!(zones(&landing(goes(&cluster, newcomer()))), ["b"], "a1 has a pod already");
    limit(&mut cluster, "b1", 0);
    limit(&mut cluster, "a1", 2);
    let only = landing(goes(&cluster, newcomer()));
    assert_eq!(zones(&only), ["a"]);
    assert_eq!(only.rejections[0].plugin, Plugin::NodeVolumeLimits);
    assert_eq!(only.rejections[0].message, "node(s) exceed max volume count");
    limit(&mut cluster, "a1", 1);
    assert_eq!(pending(goes(&cluster, newcomer())).len(), 2);
    // The volume that is there already is no more than it was.
    assert_eq!(zones(&landing(goes(&cluster, with_claim(pod("db-1"), "one")))), ["a"]);
}

#[test]
fn volumes_that_are_still_to_be_made_count_too() {
    let mut cluster = cluster([node("a1").zone("a")], []);
    cluster.put_storage_class(lazy_class("fast", &[]));
    cluster.put_claim(claim("data", "fast", None));
    limit(&mut cluster, "a1", 0);
    assert_eq!(
        pending(goes(&cluster, with_claim(pod("db-0"), "data")))[0].plugin,
        Plugin::NodeVolumeLimits
    );
    let template = json!({"spec": {"storageClassName": "fast"}});
    let source = json!({"volumeClaimTemplate": template});
    let scratch = pod("web-0").spec("volumes", json!([{"name": "scratch", "ephemeral": source}]));
    assert_eq!(pending(goes(&cluster, scratch))[0].plugin, Plugin::NodeVolumeLimits);
    assert_eq!(zones(&landing(goes(&cluster, pod("web-0")))), ["a"], "it has no volumes");
}

#[test]
fn moves_under_way_take_and_give_back_volumes() {
    let nodes = ["a1", "b1"].map(|name| node(name).zone(&name[..1]));
    let mut cluster = cluster(nodes, [with_claim(pod("db-0").on("a1"), "one")]);
    put_volume(&mut cluster, "one");
    put_volume(&mut cluster, "two");
    limit(&mut cluster, "a1", 1);
    limit(&mut cluster, "b1", 1);
    let other = PendingPod::like(&with_claim(pod("db-1"), "two").build());
    let newcomer = PendingPod::like(&with_claim(pod("db-2"), "one").build());
    let cache = SchedulerCache::default();
    let scheduler = Scheduler::new(&cluster, &cache);
    let mut simulation = scheduler.simulate(&InFlightPods::default(), &newcomer).unwrap();
    assert_eq!(simulation.best().unwrap().nodes.len(), 1, "b1 is emptier");
    simulation.assume(other, Name::from("b1"));
    assert_eq!(simulation.best().unwrap().zones[0].as_str(), "a", "b1 is full, a1 has the volume");
}

fn sole(name: &str) -> Claim {
    let claim = json!({"metadata": {"name": name, "namespace": "default"},
        "spec": {"volumeName": name, "storageClassName": "fast", "accessModes": ["ReadWriteOncePod"]}});
    let claim: WatchedClaim = serde_json::from_value(claim).unwrap();
    Claim::new(claim, &mut Interner::default())
}

#[test]
fn a_claim_for_one_pod_only_keeps_all_others_waiting() {
    let mut cluster = cluster(three_zones(), [with_claim(pod("db-0").on("a1"), "one")]);
    put_volume(&mut cluster, "one");
    assert_eq!(landing(goes(&cluster, with_claim(pod("db-1"), "one"))).rejections, []);
    cluster.put_claim(sole("one"));
    let rejections = pending(goes(&cluster, with_claim(pod("db-1"), "one")));
    assert_eq!(rejections[0].plugin, Plugin::VolumeRestrictions);
    // An evicted pod still uses it while it terminates.
    assert_eq!(pending(evicted(&cluster, "db-0")).len(), 6);
}

#[test]
fn a_stateful_pod_takes_its_claim_along() {
    let db = with_claim(pod("db-0").on("a1").owner("StatefulSet", "db"), "one");
    let mut cluster = cluster(three_zones(), [db]);
    cluster.put_workload(stateful_set("db", "db"));
    put_volume(&mut cluster, "one");
    cluster.put_claim(sole("one"));
    assert!(!landing(evicted(&cluster, "db-0")).nodes.is_empty());
    let id = id_of(&cluster, "db-0");
    let cache = SchedulerCache::default();
    let scheduler = Scheduler::new(&cluster, &cache);
    let like = PendingPod::like(cluster.pod(id).unwrap());
    let mut simulation = scheduler.simulate(&InFlightPods::default(), &like).unwrap();
    assert_eq!(simulation.best(), None, "the pod is still there");
    simulation.evict(id);
    assert!(simulation.best().is_some());
    simulation.undo_evict(id);
    assert_eq!(simulation.best(), None);
}

#[test]
fn free_storage_that_a_driver_tracks_is_not_known() {
    let mut cluster = cluster(three_zones(), []);
    cluster.put_storage_class(lazy_class("fast", &[]));
    cluster.put_claim(claim("data", "fast", None));
    let newcomer = || with_claim(pod("db-0"), "data");
    let driver = |tracks: bool| {
        let driver =
            json!({"metadata": {"name": "csi.example"}, "spec": {"storageCapacity": tracks}});
        CsiDriver::new(serde_json::from_value(driver).unwrap())
    };
    cluster.put_csi_driver(driver(false));
    assert_eq!(zones(&landing(goes(&cluster, newcomer()))), ["a", "b", "c"]);
    cluster.put_csi_driver(driver(true));
    let why = unpredictable(goes(&cluster, newcomer()));
    assert!(why.starts_with("storage class fast") && why.contains("csi.example"), "{why}");
    // A volume that is there already asks for no more.
    put_volume(&mut cluster, "data");
    assert!(!landing(goes(&cluster, newcomer())).nodes.is_empty());
}
