//! What the index of a large cluster holds.

use zonespread::operator::Operator;

use super::cluster::LARGE;

/// Builds the index of the large cluster and prints what it costs.
pub fn measure() -> Operator {
    let before = resident();
    let operator = LARGE.build();
    let grown = resident().zip(before).map(|(after, before)| after.saturating_sub(before));
    match grown {
        Some(bytes) => println!(
            "index of {} nodes and {} pods: {:.1} MB resident (aim: 60 MB)\n",
            LARGE.nodes,
            LARGE.pods,
            bytes as f64 / 1e6
        ),
        None => println!("index: /proc/self/statm cannot be read here\n"),
    }
    operator
}

/// Bytes of this process in memory.
pub fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
