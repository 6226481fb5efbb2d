//! What a process uses, by the kernel's books.

use std::time::Duration;

/// Megabytes that a process has in use: `VmRSS` now, or `VmHWM` at most so far.
pub fn memory_of(process: u32, what: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024.0 / 1e6)
}

/// The processor time that a process has used so far, in user and kernel mode.
pub fn cpu_of(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows is numbers (proc_pid_stat(5)).
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, kernel): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let ticks = (user + kernel) as f64;
    Some(Duration::from_secs_f64(ticks / rustix::param::clock_ticks_per_second() as f64))
}
