//! What volumes tie a pod to.

use rstest::rstest;
use serde_json::json;

use super::predict;
use super::stories::{landing, pending, three_zones, unpredictable, zones};
use crate::observe::fixtures::{PodFixture, claim, cluster, lazy_class, pod, zonal_volume};
use crate::observe::{Cluster, PersistentVolume, StorageClass};
use crate::predict::{InFlightPods, PendingPod, Plugin, Prediction};

fn claims(name: &str) -> PodFixture {
    let source = json!({"claimName": name});
    pod("db-0").spec("volumes", json!([{"name": "data", "persistentVolumeClaim": source}]))
}

fn goes(cluster: &Cluster, newcomer: PodFixture) -> Prediction {
    predict(cluster, &InFlightPods::default(), &PendingPod::like(&newcomer.build()))
}

fn empty() -> Cluster {
    cluster(three_zones(), [])
}

#[test]
fn a_bound_volume_keeps_the_pod_in_its_zone() {
    let mut cluster = empty();
    cluster.put_claim(claim("data", "fast", Some("pv-1")));
    cluster.put_volume(zonal_volume("pv-1", "b"));
    let landing = landing(goes(&cluster, claims("data")));
    assert_eq!((zones(&landing), landing.certain), (vec!["b"], true));
    let rejection = &landing.rejections[0];
    assert_eq!(rejection.plugin, Plugin::VolumeBinding);
    assert_eq!(rejection.message, "node(s) didn't match PersistentVolume's node affinity");
}

#[rstest]
#[case("topology.kubernetes.io/zone", "b", vec!["b"])]
#[case("failure-domain.beta.kubernetes.io/zone", "a__c", vec!["a", "c"])]
#[case::unreadable_labels_are_ignored("topology.kubernetes.io/zone", "a__", vec!["a", "b", "c"])]
#[case("topology.kubernetes.io/region", "elsewhere", vec![])]
fn zone_labels_tie_volumes_too(#[case] key: &str, #[case] value: &str, #[case] home: Vec<&str>) {
    let mut cluster = empty();
    cluster.put_claim(claim("data", "fast", Some("pv-1")));
    let volume = json!({"metadata": {"name": "pv-1", "labels": {key: value}}});
    cluster.put_volume(PersistentVolume::new(serde_json::from_value(volume).unwrap()));
    match goes(&cluster, claims("data")) {
        Prediction::Lands(landing) => assert_eq!(zones(&landing), home),
        Prediction::Pending(rejections) => {
            assert!(home.is_empty());
            assert_eq!(rejections[0].plugin, Plugin::VolumeZone);
        }
        Prediction::Unpredictable(reason) => panic!("{reason}"),
    }
}

#[test]
fn a_volume_that_is_still_to_be_made_goes_where_its_class_allows() {
    let mut cluster = empty();
    cluster.put_claim(claim("data", "fast", None));
    cluster.put_storage_class(lazy_class("fast", &["a", "c"]));
    let landing = landing(goes(&cluster, claims("data")));
    assert_eq!(zones(&landing), ["a", "c"]);
    assert_eq!(
        landing.rejections[0].message,
        "node(s) didn't find available persistent volumes to bind"
    );
}

#[test]
fn a_claim_made_for_the_pod_goes_where_its_class_allows() {
    let mut cluster = empty();
    let with = |class: &str| {
        let template = json!({"spec": {"storageClassName": class}});
        let source = json!({"volumeClaimTemplate": template});
        pod("web-0").spec("volumes", json!([{"name": "scratch", "ephemeral": source}]))
    };
    unpredictable(goes(&cluster, with("fast")));
    cluster.put_storage_class(lazy_class("fast", &["b"]));
    assert_eq!(zones(&landing(goes(&cluster, with("fast")))), ["b"]);
}

#[test]
fn missing_claims_and_volumes_leave_the_pod_pending() {
    let mut cluster = empty();
    let why = |cluster: &Cluster| pending(goes(cluster, claims("data")))[5].clone();
    assert_eq!(why(&cluster).message, "persistentvolumeclaim \"data\" not found");
    cluster.put_claim(claim("data", "fast", Some("pv-1")));
    assert_eq!(why(&cluster).message, "persistentvolume \"pv-1\" not found");
    cluster.put_claim(claim("data", "fast", None));
    assert_eq!(why(&cluster).message, "storageclass \"fast\" not found");
    let eager = json!({"metadata": {"name": "fast"}, "provisioner": "csi.example"});
    cluster.put_storage_class(StorageClass::new(serde_json::from_value(eager).unwrap()));
    assert_eq!(why(&cluster).message, "pod has unbound immediate PersistentVolumeClaims");
}

#[test]
fn volumes_made_by_hand_are_not_predictable() {
    let mut cluster = empty();
    cluster.put_claim(claim("data", "local", None));
    let local = json!({
        "metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    });
    cluster.put_storage_class(StorageClass::new(serde_json::from_value(local).unwrap()));
    assert!(unpredictable(goes(&cluster, claims("data"))).starts_with("claim data"));
}
