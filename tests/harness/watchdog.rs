//! Ends our processes when we cannot: after kill -9, an abort, a crash.
//!
//! A shell reads from a pipe that only this process writes to. When this process is
//! gone the pipe closes, whatever the reason, and the shell ends what it was told to
//! guard and removes the working directory. Death signals (`PR_SET_PDEATHSIG`) would
//! not do: they fire when the *thread* that started the child ends.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
guarded=' '
while read -r what pid; do
  case $what in
    guard) guarded="$guarded$pid " ;;
    release) guarded="${guarded%% $pid *} ${guarded#* $pid }" ;;
  esac
done
[ "$guarded" = ' ' ] || kill -KILL $guarded 2>/dev/null
sleep 0.2
rm -rf -- "$1"
"#;

/// The guard of one cluster's processes and of its directory.
pub struct Watchdog {
    shell: Mutex<(Child, ChildStdin)>,
}

impl Watchdog {
    /// Starts guarding `directory`; processes are added with [`Watchdog::guard`].
    pub fn start(directory: &Path) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "watchdog"])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its own group, so that ^C on the test runner does not reach it.
            .process_group(0)
            .spawn()
            .expect("a shell");
        let stdin = shell.stdin.take().expect("its stdin is piped");
        Self { shell: Mutex::new((shell, stdin)) }
    }

    /// The process shall not outlive this one.
    pub fn guard(&self, pid: u32) {
        self.tell("guard", pid);
    }

    /// The process has ended and its id may be given to another.
    pub fn release(&self, pid: u32) {
        self.tell("release", pid);
    }

    fn tell(&self, what: &str, pid: u32) {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        // A watchdog that is gone cannot be helped here, and drop must not panic.
        let _ = writeln!(shell.1, "{what} {pid}");
    }
}

impl Drop for Watchdog {
    /// By now every process has been ended and released; the shell has nothing left to do.
    fn drop(&mut self) {
        let mut shell = self.shell.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = shell.0.kill();
        let _ = shell.0.wait();
    }
}
