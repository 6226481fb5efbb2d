//! The programs of a control plane, and what may happen to each: frozen, killed, started again.

use super::cluster::Cluster;
use super::process::{Process, stopped};
use kube::Client;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a program may take to become healthy.
pub const START_TIMEOUT: Duration = Duration::from_secs(90);

/// One program of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    Etcd,
    ApiServer,
    ControllerManager,
    Scheduler,
    Kwok,
    Rollouts,
    Karpenter,
}

impl Component {
    pub(super) const fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kwok => "kwok",
            Self::Rollouts => "rollouts-controller",
            Self::Karpenter => "karpenter",
        }
    }
}

/// All of them that were started.
#[derive(Default)]
pub struct Components(Mutex<BTreeMap<Component, Process>>);

impl Components {
    pub(super) fn add(&self, component: Component, process: Process) {
        self.lock().insert(component, process);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Component, Process>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, component: Component, act: impl FnOnce(&mut Process) -> T) -> T {
        act(self.lock().get_mut(&component).expect("it was started"))
    }

    pub(super) fn assert_running(&self) {
        self.lock().values_mut().for_each(Process::assert_running);
    }

    /// The process ids: etcd, API server, controller manager, scheduler, kwok.
    pub(super) fn process_ids(&self) -> Vec<u32> {
        self.lock().values().map(Process::id).collect()
    }

    /// Waits until `path` answers with success; panics when one of the programs ends.
    pub(super) async fn healthy(&self, client: &Client, path: &str) {
        let timeout = tokio::time::Instant::now() + START_TIMEOUT;
        loop {
            self.assert_running();
            let request = http::Request::get(path).body(Vec::new()).expect("a request");
            let asked = client.request_text(request);
            let seen = match tokio::time::timeout(Duration::from_secs(5), asked).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if tokio::time::Instant::now() > timeout {
                let tails: Vec<String> = self.lock().values().map(Process::tail).collect();
                panic!("{path} not healthy in time: {seen}\n{}", tails.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Cluster {
    /// SIGSTOP: its sockets stay open and nothing answers. Returns when it has stopped.
    pub async fn freeze(&self, component: Component) {
        let components = &self.control_plane().components;
        components.with(component, |process| process.signal(Signal::STOP));
        let is_stopped = || components.with(component, |process| process.is_stopped());
        stopped(component.program(), is_stopped).await;
    }

    /// SIGCONT: it goes on with what it was asked meanwhile.
    pub fn thaw(&self, component: Component) {
        self.control_plane().components.with(component, |process| process.signal(Signal::CONT));
    }

    /// SIGKILL, and a new start on the same ports with the same data; `down` passes in
    /// between. Returns when the control plane is healthy again.
    pub async fn crash(&self, component: Component, down: Duration) {
        let control_plane = self.control_plane();
        let components = &control_plane.components;
        components.with(component, |process| process.signal(Signal::KILL));
        super::eventually::eventually(
            Duration::from_secs(10),
            &format!("{} to end", component.program()),
            async || components.with(component, Process::exited),
        )
        .await;
        tokio::time::sleep(down).await;
        components.with(component, Process::start_again);
        components.healthy(&control_plane.client, "/readyz").await;
    }
}
