//! A child process with its log in a file, ended with this value.

use super::eventually::eventually;
use super::watchdog::Watchdog;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// One program, running or ended; it can be started again as it was started first.
pub struct Process {
    name: String,
    command: Command,
    child: Child,
    log: PathBuf,
    status: Option<ExitStatus>,
    watchdog: Arc<Watchdog>,
}

impl Process {
    /// Starts the command; stdout and stderr go to `<directory>/<name>.log`.
    pub fn start(
        name: &str,
        mut command: Command,
        directory: &Path,
        watchdog: &Arc<Watchdog>,
    ) -> Self {
        let log = directory.join(format!("{name}.log"));
        let out = File::create(&log).expect("a log file");
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle of the log"))
            .stderr(out)
            // Its own group: ^C ends the test runner, and the runner's end ends this.
            .process_group(0);
        let child = spawn(name, &mut command, watchdog);
        Self {
            name: name.to_owned(),
            command,
            child,
            log,
            status: None,
            watchdog: Arc::clone(watchdog),
        }
    }

    /// Starts it again, with the same arguments; its log goes on. It has ended before.
    pub fn start_again(&mut self) {
        assert!(self.exited().is_some(), "{} still runs", self.name);
        self.child = spawn(&self.name, &mut self.command, &self.watchdog);
        self.status = None;
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, or none while it runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("the state of our own child");
            if self.status.is_some() {
                self.watchdog.release(self.child.id());
            }
        }
        self.status
    }

    /// Sends a signal; one to a process that has ended is dropped.
    pub fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            kill_process(Pid::from_child(&self.child), signal)
                .unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
        }
    }

    /// One line of what the kernel says of it, without its key.
    pub fn status_line(&self, key: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("the process' status");
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(key));
        value.unwrap_or_else(|| panic!("no {key} in\n{status}")).trim().to_owned()
    }

    /// Whether it is stopped; the signal alone does not wait for that.
    pub fn is_stopped(&self) -> bool {
        self.status_line("State:").starts_with('T')
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its name and the last lines of its log, for an error message.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(25)..];
        format!("the last lines of {}'s log:\n{}", self.name, last.join("\n"))
    }

    /// Panics with the tail of the log when it no longer runs.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.exited() {
            panic!("{} ended with {status}; {}", self.name, self.tail());
        }
    }
}

/// Waits until a process that was told to stop has stopped.
pub async fn stopped(name: &str, is_stopped: impl Fn() -> bool) {
    let what = format!("{name} to stop");
    eventually(Duration::from_secs(10), &what, async || is_stopped().then_some(())).await;
}

fn spawn(name: &str, command: &mut Command, watchdog: &Watchdog) -> Child {
    let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
    watchdog.guard(child.id());
    child
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.watchdog.release(self.child.id());
        }
    }
}
