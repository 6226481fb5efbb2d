//! The binary under test, as a process of its own against a cluster.

use super::cluster::Cluster;
use super::eventually::eventually;
use super::metrics::{Sample, get};
use super::process::{Process, stopped};
use rustix::process::Signal;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// A running `zonespread run`; dropping it kills it. Drop it before its cluster.
pub struct Operator {
    process: Process,
    port: u16,
}

/// How an operator ended.
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    pub status: ExitStatus,
    pub after: Duration,
}

impl Operator {
    /// Starts `binary`, which tests pass as `env!("CARGO_BIN_EXE_zonespread")`.
    pub fn start(cluster: &Cluster, binary: &str, kubeconfig: &Path, arguments: &[&str]) -> Self {
        let port = cluster.next_port();
        let mut command = Command::new(binary);
        command
            .arg("run")
            .arg(format!("--metrics-bind-address=127.0.0.1:{port}"))
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("NO_COLOR", "1");
        let name = format!("operator-{port}");
        let process = Process::start(&name, command, cluster.directory(), cluster.watchdog());
        Self { process, port }
    }

    /// Waits until /readyz says yes; panics with its log when it ends instead.
    pub async fn ready(&mut self) {
        self.ready_within(Duration::from_secs(30)).await;
    }

    /// The same for a cluster whose objects take long to list.
    pub async fn ready_within(&mut self, timeout: Duration) {
        eventually(timeout, "the operator's /readyz", async || {
            self.process.assert_running();
            match get(self.port, "/readyz").await {
                Ok((200, _)) => Ok(()),
                Ok((code, body)) => Err(format!("{code} {body}")),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// A scrape of /metrics.
    pub async fn metrics(&self) -> Vec<Sample> {
        let (code, text) = self.get("/metrics").await;
        assert_eq!(code, 200, "/metrics: {text}");
        Sample::parse_all(&text)
    }

    /// The value of the one series with this name and these labels, if there is one.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.metrics().await;
        let mut matching = samples.iter().filter(|sample| sample.is(name, labels));
        let value = matching.next()?.value;
        assert!(matching.next().is_none(), "several series match {name} {labels:?}");
        Some(value)
    }

    /// Status and body of a path on the metrics port.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = get(self.port, path).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error}; {}", self.process.tail()))
    }

    /// SIGTERM, as the kubelet sends it; waits for the end.
    pub async fn terminate(&mut self) -> Exit {
        self.end_with(Signal::TERM).await
    }

    /// SIGKILL; waits for the end.
    pub async fn kill(&mut self) -> Exit {
        self.end_with(Signal::KILL).await
    }

    /// Starts it anew, on the same port and with the same arguments, after it has ended.
    pub fn start_again(&mut self) {
        self.process.start_again();
    }

    async fn end_with(&mut self, signal: Signal) -> Exit {
        let began = Instant::now();
        self.process.signal(signal);
        let what = format!("the operator to end after {signal:?}");
        let status = eventually(Duration::from_mins(1), &what, async || self.process.exited());
        Exit { status: status.await, after: began.elapsed() }
    }

    /// SIGSTOP: it keeps its connections and does nothing, as in a long pause. Returns
    /// when it has stopped: the signal alone does not wait for that.
    pub async fn stop_signal(&mut self) {
        self.process.signal(Signal::STOP);
        stopped("the operator", || self.process.is_stopped()).await;
    }

    /// SIGCONT: it goes on where it was stopped.
    pub fn cont_signal(&mut self) {
        self.process.signal(Signal::CONT);
    }

    /// How it ended, or none while it runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The memory it has in use, in bytes.
    pub fn rss_bytes(&self) -> u64 {
        let line = self.process.status_line("VmRSS:");
        let kilobytes = line.strip_suffix(" kB").expect("VmRSS in kB");
        kilobytes.parse::<u64>().expect("a number") * 1024
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The last lines of its log.
    pub fn last_words(&self) -> String {
        self.process.tail()
    }

    /// Where it serves /metrics, /livez and /readyz.
    pub fn port(&self) -> u16 {
        self.port
    }
}
