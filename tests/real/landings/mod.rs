//! Predictions against the real kube-scheduler: random clusters and workloads, a pod
//! is evicted, and its replacement must land where `predict` said before.
//!
//! ```text
//! dice ─▶ terrain, workloads ─▶ field ─▶ trial ─▶ landing ─▶ tally
//!           containers, affinity   │ mirror, world, requests
//!                                  └ disturbance, scheduler_log
//! ```
//! `LANDINGS=n SEED=s NODES=n` decide how many, which, and on how many nodes.

mod affinity;
mod containers;
mod disturbance;
mod field;
mod fixtures;
mod landing;
mod mirror;
mod requests;
mod scheduler_log;
mod tally;
mod terrain;
mod trial;
mod workloads;
mod world;

use crate::dice::setting;
use crate::harness;
use field::Field;
use tally::Tally;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacements_land_where_it_was_predicted() {
    let cluster = harness::Cluster::start_with_scheduler(&[scheduler_log::FLAG]).await;
    let mut field = Field::on(&cluster).await;
    let nodes = usize::try_from(setting("NODES", 0)).unwrap();
    let mut tally = Tally::new(usize::try_from(setting("LANDINGS", 200)).unwrap());
    let first = setting("SEED", 1);
    for (number, seed) in (first..).enumerate() {
        if tally.is_full() {
            break;
        }
        trial::epoch(&mut field, seed, number, nodes, &mut tally).await;
    }
    assert!(tally.close(), "predictions are wrong: see above");
}
