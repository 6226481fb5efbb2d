//! One control plane with everything a test asks of it.

use super::access;
use super::control_plane::{ControlPlane, Parts, SchedulerSetup};
use super::eventually::eventually;
use super::ports::Ports;
use super::watchdog::Watchdog;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A cluster is half a GiB and ten seconds of a core to start up; then it mostly waits.
static PLACES: Semaphore = Semaphore::const_new(6);

async fn place() -> SemaphorePermit<'static> {
    PLACES.acquire().await.expect("never closed")
}

/// A running cluster; dropping it ends its processes and removes its files.
// Fields drop in this order: processes first, their guard and files after them.
pub struct Cluster {
    control_plane: ControlPlane,
    watchdog: Arc<Watchdog>,
    ports: Ports,
    directory: TempDir,
    _place: SemaphorePermit<'static>,
}

impl Cluster {
    /// Starts a cluster without nodes; waits for a place among those that run in this process.
    pub async fn start() -> Self {
        Self::start_with_scheduler(SchedulerSetup::default()).await
    }

    /// The same with a scheduler of its own kind.
    pub async fn start_with_scheduler(scheduler: SchedulerSetup<'_>) -> Self {
        Self::start_in(place().await, Parts::All { scheduler }).await
    }

    /// Starts etcd and the API server only: what is written stays as it is. Namespaces have
    /// no service account unless somebody creates one.
    pub async fn start_api_server_only() -> Self {
        Self::start_in(place().await, Parts::ApiServerOnly).await
    }

    /// Starts two clusters side by side, for which both places are taken at once: two
    /// tests that each hold one place and wait for another would wait for ever.
    pub async fn start_two() -> [Self; 2] {
        let mut both = PLACES.acquire_many(2).await.expect("never closed");
        let one = both.split(1).expect("one of two places");
        let parts = Parts::All { scheduler: SchedulerSetup::default() };
        let (first, second) = tokio::join!(Self::start_in(one, parts), Self::start_in(both, parts));
        [first, second]
    }

    async fn start_in(place: SemaphorePermit<'static>, parts: Parts<'_>) -> Self {
        let directory = TempDir::with_prefix("zonespread-").expect("a directory for the cluster");
        let watchdog = Arc::new(Watchdog::start(directory.path()));
        let ports = Ports::take();
        let control_plane = ControlPlane::start(directory.path(), &ports, &watchdog, parts).await;
        let cluster = Self { control_plane, watchdog, ports, directory, _place: place };
        if matches!(parts, Parts::All { .. }) {
            cluster.wait_for_service_account("default").await;
        }
        cluster
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.control_plane.client.clone()
    }

    /// A kubeconfig that may do everything.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.control_plane.files.admin_kubeconfig
    }

    /// The kubeconfig of a program of the control plane, by its user.
    pub(super) fn kubeconfig_of(&self, user: &str) -> PathBuf {
        self.control_plane.files.kubeconfig(user)
    }

    /// A client with the rights of a service account, as its pods would have.
    pub async fn client_for(&self, namespace: &str, service_account: &str) -> Client {
        let kubeconfig = self.service_account_kubeconfig(namespace, service_account).await;
        super::control_plane::client(&kubeconfig).await
    }

    /// A kubeconfig with a day's token of a service account that exists.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> PathBuf {
        let files = &self.control_plane.files;
        access::service_account_kubeconfig(
            self.client(),
            files,
            &self.control_plane.server,
            namespace,
            name,
        )
        .await
    }

    /// Creates a namespace and waits until pods can be created in it.
    pub async fn namespace(&self, name: &str) {
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        let created = Api::all(self.client()).create(&PostParams::default(), &namespace).await;
        let namespace: Namespace = created.expect("a new namespace");
        self.wait_for_service_account(&namespace.name_any()).await;
    }

    async fn wait_for_service_account(&self, namespace: &str) {
        let accounts = Api::<ServiceAccount>::namespaced(self.client(), namespace);
        eventually(
            Duration::from_secs(30),
            &format!("the default service account of namespace {namespace}"),
            async || accounts.get("default").await,
        )
        .await;
    }

    /// Where kubectl and the control plane's programs are.
    pub fn binaries() -> &'static Path {
        super::binaries::directory()
    }

    /// Where logs and kubeconfigs are; gone with the cluster.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where etcd listens; plain HTTP.
    pub fn etcd(&self) -> &str {
        &self.control_plane.etcd
    }

    /// The ids of etcd, API server, controller manager, scheduler and kwok.
    pub fn process_ids(&self) -> Vec<u32> {
        self.control_plane.components.process_ids()
    }

    pub(super) fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    pub(super) fn audit_log(&self) -> &Path {
        &self.control_plane.files.audit_log
    }

    pub(super) fn watchdog(&self) -> &Arc<Watchdog> {
        &self.watchdog
    }

    pub(super) fn next_port(&self) -> u16 {
        self.ports.next()
    }
}
