//! What the operator does on a real control plane, and what that costs: how long a mass
//! recovery takes ("pace"), how fast the outlook is beside the real scheduler ("outlook"), and
//! memory and processor time in a large cluster ("live").
//!
//! With `BASELINE=path/to/another/zonespread` that build is measured in the same run, and the
//! ratio is printed: machines differ, and so do the hours of a day. Prints, and asserts nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a benchmark, not the operator"
)]

#[path = "../scale/cluster.rs"]
#[allow(dead_code, reason = "shared with the other benchmarks")]
mod cluster;
#[path = "../process/dump.rs"]
#[allow(dead_code, reason = "shared with another benchmark")]
mod dump;
#[path = "../../tests/harness/mod.rs"]
mod harness;
#[path = "../process/usage.rs"]
mod usage;

mod beside;
mod build;
mod large;
mod pace;
mod pods;
mod resident;

fn main() {
    // `cargo test --benches` only wants to know that this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let builds = build::all();
    for scene in pace::SCENES.iter().filter(|scene| wanted(scene.name)) {
        runtime.block_on(pace::measure(scene, &builds));
    }
    if wanted("outlook beside") {
        runtime.block_on(beside::measure());
    }
    if wanted("live") {
        runtime.block_on(resident::measure(&builds));
    }
}
