//! Predictions against the real kube-scheduler: random clusters and workloads, a pod
//! is evicted, and its replacement must land where `predict` said before.
//!
//! ```text
//! dice ─▶ terrain, workloads ─▶ field ─▶ trial ─▶ landing ─▶ tally
//!           containers, affinity   │ mirror, world, requests, resizes
//!                                  └ disturbance, scheduler_log
//! ```
//! `LANDINGS=n SEED=s NODES=n` decide how many, which, and on how many nodes;
//! `KUBERNETES=1.35` runs another version. In `SHARE=percent` of the clusters pods are resized
//! in place, in as many some hold room for others, in as many there is a pool; of a third as
//! many workloads the pods are spread by default constraints of maxSkew 1.

mod affinity;
mod containers;
mod disturbance;
mod field;
mod fixtures;
mod landing;
mod mirror;
mod profiles;
mod requests;
mod resizes;
mod scheduler_log;
mod steering;
mod tally;
mod terrain;
mod trial;
mod workloads;
mod world;

use crate::dice::setting;
use crate::harness::{self, Cluster, SchedulerSetup};
use field::Field;
pub use requests::Requests;
use tally::Tally;
use zonespread::predict::{Release, SchedulerVersion};

/// One that is neither the oldest nor the newest, and whose scores are others than since 1.36.
const OLDER: &str = "1.35";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacements_land_where_it_was_predicted() {
    assert!(land(None, false, setting("LANDINGS", 200)).await, "predictions are wrong: see above");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steered_replacements_land_where_it_was_predicted() {
    if harness::kubernetes().is_some() {
        return println!("what steers takes the newest version");
    }
    assert!(land(None, true, setting("LANDINGS", 60)).await, "predictions are wrong: see above");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_scheduler_is_predicted_as_it_is() {
    if harness::kubernetes().is_some() {
        return println!("the older version is what runs, or it is of another minor");
    }
    assert!(land(Some(OLDER), false, 60).await, "predictions are wrong: see above");
}

/// Says whether so many landings were as predicted for the scheduler of this version, or for
/// that of the version that tests run on; with replacements that are steered, or not.
async fn land(older: Option<&str>, steers: bool, wanted: u64) -> bool {
    let profiles = profiles::listed();
    let scheduler =
        SchedulerSetup { version: older, flags: &[scheduler_log::FLAG], profiles: Some(&profiles) };
    let cluster = Cluster::start_with_scheduler(scheduler).await;
    let served = cluster.client().apiserver_version().await.unwrap().git_version;
    let version = SchedulerVersion::nearest(Release::parse(older.unwrap_or(&served)).unwrap());
    println!("kube-scheduler {version}, kube-apiserver {served}");
    let mut field = Field::on(&cluster, version).await;
    if steers {
        field.install_steering(&cluster).await;
    }
    let nodes = usize::try_from(setting("NODES", 0)).unwrap();
    let mut tally = Tally::new(version, usize::try_from(wanted).unwrap());
    let first = setting("SEED", 1);
    for (number, seed) in (first..).enumerate() {
        if tally.is_full() {
            break;
        }
        trial::epoch(&mut field, seed, number, nodes, &mut tally).await;
    }
    tally.close()
}
