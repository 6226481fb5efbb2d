//! A child process with its log in a file, ended with this value.

use super::watchdog::Watchdog;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

/// One running program.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    status: Option<ExitStatus>,
    watchdog: Arc<Watchdog>,
}

impl Process {
    /// Starts the command; stdout and stderr go to `<directory>/<name>.log`.
    pub fn start(
        name: &str,
        command: &mut Command,
        directory: &Path,
        watchdog: &Arc<Watchdog>,
    ) -> Self {
        let log = directory.join(format!("{name}.log"));
        let out = File::create(&log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle of the log"))
            .stderr(out)
            // Its own group: ^C ends the test runner, and the runner's end ends this.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        watchdog.guard(child.id());
        Self { name: name.to_owned(), child, log, status: None, watchdog: Arc::clone(watchdog) }
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

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.watchdog.release(self.child.id());
        }
    }
}
