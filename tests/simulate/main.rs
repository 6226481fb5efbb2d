//! A million clusters in which everything goes wrong, and the eleven laws hold.
//!
//! ```text
//! script ─▶ world ──┬─ cloud, controllers   nodes, kubelets, workloads, scheduler
//!                   ├─ people               those who edit, pause and approve
//!                   ├─ probes               the node provisioner, and the pods that it waits for
//!   (a seed)        ├─ server               the API server
//!                   ├─ process              operators: the code that runs in production
//!                   └─ laws, landings, releases, holds, consent, calm, minimum, verdict: the
//!                   │  checker
//! campaign: many seeds on all cores; a seed that breaks a law is cut down to a story
//! ```
//! `SEEDS=n` decides how many, `SEED=s` where they begin; `make simulate` runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "../dice/mod.rs"]
mod dice;

mod calm;
mod campaign;
mod cloud;
mod consent;
mod controllers;
mod danger;
mod eviction;
mod hearing;
mod holds;
mod landings;
mod laws;
mod minimum;
mod mutants;
mod objects;
mod people;
mod pools;
mod probes;
mod process;
mod releases;
mod resizes;
mod scale_in;
mod script;
mod server;
mod steering;
mod surges;
mod verdict;
mod world;
mod zones;

use campaign::{campaign, caught};
use dice::setting;
use mutants::Mutant;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Worlds are small objects, made and dropped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[test]
fn the_laws_hold_in_every_world() {
    let worlds = setting("SEEDS", 3_000);
    let report = campaign(setting("SEED", 1), worlds);
    println!("{report}");
    assert!(report.broken.is_none(), "{}", report.story());
    // A few worlds, such as one that is replayed, cannot endanger them all.
    if worlds >= 1_000 {
        assert_eq!(report.untested(), [0_usize; 0], "laws that were never in danger");
        assert_eq!(report.undrawn(), [""; 0], "never drawn");
    }
}

#[test]
fn operators_that_are_broken_on_purpose_are_caught() {
    // `MUTANT=SkipsTheHold` tries one of them.
    let only = std::env::var("MUTANT").ok();
    let is_wanted =
        |mutant: Mutant| only.as_ref().is_none_or(|only| *only == format!("{mutant:?}"));
    let wanted: Vec<_> = Mutant::ALL.into_iter().filter(|(mutant, _)| is_wanted(*mutant)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((mutant, laws)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (worlds, broken) = caught(*mutant, laws, 10_000).unwrap_or_else(|| {
                panic!("{mutant:?} breaks none of the laws {laws:?} in 10,000 worlds")
            });
            println!(
                "{mutant:?} is caught after {worlds} worlds: law {}, {}",
                broken.law, broken.how
            );
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
}
