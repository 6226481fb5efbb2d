//! What the optimised binary costs as a process: at rest on a real control
//! plane, and reading the dump of a large cluster. Prints, and asserts nothing:
//! machines differ.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark, not the operator"
)]

#[path = "../scale/cluster.rs"]
#[allow(dead_code, reason = "shared with the other benchmark")]
mod cluster;
mod dump;
#[path = "../../tests/harness/mod.rs"]
mod harness;
mod offline;
mod rest;
#[allow(dead_code, reason = "shared with another benchmark")]
mod usage;

use usage::memory_of;

const BINARY: &str = env!("CARGO_BIN_EXE_zonespread");

fn main() {
    // `cargo test --benches` only wants to know that this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| name.contains(only));
    if wanted("rest") {
        rest::measure();
    }
    if wanted("offline") {
        offline::measure();
    }
}
