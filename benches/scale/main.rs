//! What the operator costs at the sizes it is made for. Prints, and asserts
//! nothing on time: machines differ.

#![allow(
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark, not the operator"
)]

mod cluster;
mod events;
mod memory;
mod outlook;
mod plans;
mod policies;
mod pools;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    // `cargo test --benches` only wants to know that this builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if only.as_deref() == Some("outlook") {
        return outlook::bench();
    }
    if only.as_deref() == Some("pools") {
        return pools::measure();
    }
    // First: what is freed later would blur it.
    let operator = memory::measure();
    policies::measure();
    pools::measure();
    plans::measure();
    let mut criterion = Criterion::default()
        .configure_from_args()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    events::bench(&mut criterion, operator);
    plans::bench(&mut criterion);
    policies::bench(&mut criterion);
    outlook::bench();
    criterion.final_summary();
}
