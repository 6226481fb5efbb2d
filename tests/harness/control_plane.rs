//! Starts the five processes, in the order in which they need each other.

use super::components::{Component, Components, START_TIMEOUT};
use super::credentials::{USERS, token, tokens, write, write_kubeconfig, write_signing_key};
use super::eventually::eventually;
use super::ports::Ports;
use super::process::Process;
use super::watchdog::Watchdog;
use super::{binaries, nodes};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Only what tests ask about is logged: requests of users and service accounts.
const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users:
  - system:apiserver
  - system:kube-controller-manager
  - system:kube-scheduler
  - kwok
  - karpenter
- level: None
  nonResourceURLs: ["*"]
- level: Metadata
"#;

/// Where one cluster keeps its files.
pub struct Files {
    pub directory: PathBuf,
    pub certificates: PathBuf,
    pub authority: PathBuf,
    pub signing_key: PathBuf,
    pub signing_public_key: PathBuf,
    pub audit_log: PathBuf,
    pub admin_kubeconfig: PathBuf,
}

impl Files {
    fn in_directory(directory: &Path) -> Self {
        let certificates = directory.join("certificates");
        Self {
            authority: certificates.join("apiserver.crt"),
            certificates,
            signing_key: directory.join("service-accounts.key"),
            signing_public_key: directory.join("service-accounts.pub"),
            audit_log: directory.join("audit.log"),
            admin_kubeconfig: directory.join("admin.kubeconfig"),
            directory: directory.to_owned(),
        }
    }

    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.directory.join(format!("{}.kubeconfig", user.replace(':', "-")))
    }
}

/// The running processes and how to reach them.
pub struct ControlPlane {
    pub components: Components,
    pub files: Files,
    pub server: String,
    pub etcd: String,
    pub client: Client,
}

/// What is special about a cluster's scheduler.
#[derive(Clone, Copy, Default)]
pub struct SchedulerSetup<'a> {
    /// Its minor version; none is that of the cluster.
    pub version: Option<&'a str>,
    /// More flags.
    pub flags: &'a [&'a str],
    /// The profiles of its `KubeSchedulerConfiguration`; none is no configuration.
    pub profiles: Option<&'a Value>,
}

/// What is started besides etcd and the API server.
#[derive(Clone, Copy)]
pub enum Parts<'a> {
    /// Controllers, kwok, and this scheduler.
    All { scheduler: SchedulerSetup<'a> },
    /// Nothing: objects stay as they were written, and only one program works on them.
    ApiServerOnly,
}

impl ControlPlane {
    /// Starts these parts in `directory` and waits until all of them are healthy.
    pub async fn start(
        directory: &Path,
        ports: &Ports,
        watchdog: &Arc<Watchdog>,
        parts: Parts<'_>,
    ) -> Self {
        let files = Files::in_directory(directory);
        std::fs::create_dir_all(&files.certificates).expect("a directory for certificates");
        write_signing_key(&files);
        write(&directory.join("tokens.csv"), &tokens());
        write(&directory.join("audit-policy.yaml"), AUDIT_POLICY);
        write(&directory.join("stages.yaml"), include_str!("stages.yaml"));
        let port = ports.next();
        let server = format!("https://127.0.0.1:{port}");
        let components = Components::default();
        let run = |component, arguments| {
            run(&components, (component, None), arguments, directory, watchdog);
        };

        let etcd_url = format!("http://127.0.0.1:{}", ports.next());
        run(Component::Etcd, etcd(directory, &etcd_url, ports.next()));
        run(Component::ApiServer, apiserver(&files, &etcd_url, port));
        // The certificate that clients trust is made by the API server itself.
        eventually(START_TIMEOUT, "the API server's certificate", async || {
            components.assert_running();
            // It is there a moment before it is written.
            let written = std::fs::read_to_string(&files.authority).unwrap_or_default();
            written.trim_end().ends_with("-----END CERTIFICATE-----").then_some(())
        })
        .await;
        for user in USERS {
            let path = files.kubeconfig(user);
            write_kubeconfig(&path, &server, &files.authority, user, &token(user));
        }
        let client = client(&files.admin_kubeconfig).await;
        components.healthy(&client, "/readyz").await;
        let control_plane = Self { components, files, server, etcd: etcd_url, client };
        if let Parts::All { scheduler } = parts {
            control_plane.start_controllers(ports, watchdog, scheduler).await;
        }
        control_plane
    }

    /// Starts what makes pods, places them, and lets them run.
    async fn start_controllers(
        &self,
        ports: &Ports,
        watchdog: &Arc<Watchdog>,
        setup: SchedulerSetup<'_>,
    ) {
        let (components, files) = (&self.components, &self.files);
        let run = |component, arguments| {
            let version = setup.version.filter(|_| component == Component::Scheduler);
            run(components, (component, version), arguments, &files.directory, watchdog);
        };
        let manager_port = ports.next();
        let scheduler_port = ports.next();
        run(Component::ControllerManager, controller_manager(files, manager_port));
        run(Component::Scheduler, scheduler(files, scheduler_port, setup));
        run(Component::Kwok, kwok(files));
        for port in [manager_port, scheduler_port] {
            components.healthy(&unverified_client(port), "/healthz").await;
        }
    }
}

/// Starts a program, of this version of Kubernetes if one is named.
pub(super) fn run(
    components: &Components,
    (component, version): (Component, Option<&str>),
    arguments: Vec<String>,
    directory: &Path,
    watchdog: &Arc<Watchdog>,
) {
    let name = component.program();
    let mut command = Command::new(binaries::program(component, version));
    command.args(arguments);
    components.add(component, Process::start(name, command, directory, watchdog));
}

fn etcd(directory: &Path, url: &str, peer_port: u16) -> Vec<String> {
    let peer_url = format!("http://127.0.0.1:{peer_port}");
    vec![
        "--name=test".to_owned(),
        format!("--data-dir={}", directory.join("etcd").display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        format!("--listen-peer-urls={peer_url}"),
        format!("--initial-advertise-peer-urls={peer_url}"),
        format!("--initial-cluster=test={peer_url}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn apiserver(files: &Files, etcd_url: &str, port: u16) -> Vec<String> {
    let path = |name: &str| files.directory.join(name).display().to_string();
    vec![
        format!("--etcd-servers={etcd_url}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--cert-dir={}", files.certificates.display()),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", files.signing_public_key.display()),
        format!("--service-account-signing-key-file={}", files.signing_key.display()),
        format!("--token-auth-file={}", path("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--anonymous-auth=false".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        format!("--audit-policy-file={}", path("audit-policy.yaml")),
        format!("--audit-log-path={}", files.audit_log.display()),
        // Blocking: a request is in the log before a test can ask for it.
        "--audit-log-mode=blocking".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn controller_manager(files: &Files, port: u16) -> Vec<String> {
    let mut arguments = component(files, "system:kube-controller-manager", port);
    arguments.extend([
        // The nodes here have no heartbeat, so none may be missed: an outage is
        // something a test says (see outage.rs), never a slow machine.
        "--node-monitor-grace-period=24h".to_owned(),
        "--node-monitor-period=1s".to_owned(),
        // By default one node in ten seconds gets its NoExecute taint.
        "--node-eviction-rate=100".to_owned(),
        "--secondary-node-eviction-rate=100".to_owned(),
    ]);
    arguments
}

fn scheduler(files: &Files, port: u16, setup: SchedulerSetup<'_>) -> Vec<String> {
    let user = "system:kube-scheduler";
    let mut arguments = component(files, user, port);
    arguments.extend(setup.flags.iter().map(ToString::to_string));
    if let Some(profiles) = setup.profiles {
        // The file takes the place of what the flags say of the connection.
        let config = json!({
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": files.kubeconfig(user), "qps": 500, "burst": 1000},
            "leaderElection": {"leaderElect": false},
            "profiles": profiles,
        });
        let path = files.directory.join("kube-scheduler.json");
        write(&path, &config.to_string());
        arguments.push(format!("--config={}", path.display()));
    }
    arguments
}

fn component(files: &Files, user: &str, port: u16) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", files.kubeconfig(user).display()),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", files.certificates.join(user).display()),
        "--kube-api-qps=500".to_owned(),
        "--kube-api-burst=1000".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn kwok(files: &Files) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", files.kubeconfig("kwok").display()),
        // A node that is down has no kubelet: kwok lets go of it and of its pods.
        format!("--manage-nodes-with-label-selector={}!=true", nodes::DOWN),
        "--node-lease-duration-seconds=0".to_owned(),
        format!("--config={}", files.directory.join("stages.yaml").display()),
        "--cidr=10.64.0.0/10".to_owned(),
    ]
}

/// A client with the rights of a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig just written");
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("a usable kubeconfig");
    Client::try_from(config).expect("a client")
}

/// For the health port of a component, whose certificate nobody has to know.
fn unverified_client(port: u16) -> Client {
    let server = format!("https://127.0.0.1:{port}").parse().expect("a URL");
    let mut config = kube::Config::new(server);
    config.accept_invalid_certs = true;
    Client::try_from(config).expect("a client")
}
