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

/// Megabytes that a process has in use: `VmRSS` now, or `VmHWM` at most so far.
fn memory_of(process: u32, what: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}
