//! `zonespread plan -f` with the dump of a large cluster.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cluster::LARGE;
use crate::{BINARY, dump, memory_of};

/// Writes a dump, has the plan for it printed, and prints what that cost.
pub fn measure() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cluster.json");
    dump::write(LARGE, File::create(&path).unwrap()).unwrap();
    let size = std::fs::metadata(&path).unwrap().len() as f64 / 1e6;
    let mut command = Command::new(BINARY);
    command.args(["plan", "-A", "-o", "json", "-f"]).arg(&path);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let mut process = command.spawn().expect("the binary starts");
    let mut most: f64 = 0.0;
    let status = loop {
        most = memory_of(process.id(), "VmHWM").map_or(most, |memory| memory.max(most));
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    println!(
        "plan -f of a JSON dump of {} nodes and {} pods, {size:.0} MB: {:.1} s, at most {most:.0} MB resident (aims: 15 s, 2000 MB); {status}\n",
        LARGE.nodes,
        LARGE.pods,
        began.elapsed().as_secs_f64(),
    );
}
