//! `make demo`: a zone fails and comes back, on a real control plane, with the operator
//! as it would be installed. Exits with 1 when the end is not balanced.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a demo talks to the terminal, and can only stop when a step fails"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod narrator;
mod petclinic;
mod recovery;

use futures::FutureExt;
use harness::{Cluster, Operator, eventually};
use narrator::Narrator;
use petclinic::{MANAGED, UNMANAGED};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Long names, as clouds have them: the operator cuts the common prefix.
const ZONES: [&str; 3] = ["eu-west-2a", "eu-west-2b", "eu-west-2c"];
const LOST: &str = ZONES[2];

#[tokio::main]
async fn main() -> ExitCode {
    let keep = std::env::var("KEEP").is_ok_and(|keep| !keep.is_empty() && keep != "0");
    // What went wrong is in the message; where in this file it was noticed is not.
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("stopped");
        eprintln!("\n   {message}");
    }));
    let mut say = Narrator::new();
    say.title("zonespread: a zone fails, and comes back");

    let cluster = a_cluster(&mut say).await;
    let mut operator = the_operator(&cluster, &mut say).await;
    let story = AssertUnwindSafe(the_story(&cluster, &mut operator, &mut say));
    // A step that fails panics; the operator's log says why.
    let balanced = story.catch_unwind().await.unwrap_or_default();
    if !balanced {
        say.failed("This is not how it should end.");
        say.output(&operator.last_words());
    }
    if keep {
        keep_running(&cluster, &mut say).await;
    }
    if balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn a_cluster(say: &mut Narrator) -> Cluster {
    say.step("A cluster with three zones");
    say.line("etcd, kube-apiserver, kube-controller-manager and kube-scheduler run on this");
    say.line("machine as they do in production. Only the nodes are simulated, by kwok.");
    let began = Instant::now();
    let cluster = Cluster::start().await;
    for zone in ZONES {
        cluster.add_zone(zone, 2).await;
    }
    say.line(&format!("Ready after {:.0} s.", began.elapsed().as_secs_f64()));
    say.kubectl(&cluster, &["get", "nodes", "-L", harness::ZONE]).await;
    cluster
}

async fn the_operator(cluster: &Cluster, say: &mut Narrator) -> Operator {
    say.step("The operator");
    let kubeconfig = harness::install(cluster).await;
    let mut operator = Operator::start(
        cluster,
        env!("CARGO_BIN_EXE_zonespread"),
        &kubeconfig,
        &["--namespace", harness::OPERATOR_NAMESPACE],
    );
    operator.ready().await;
    say.line("The CRD and the access rules are those of crds/ and deploy/base. The operator");
    say.line("runs under its own service account: it may evict pods, and write no workload.");
    operator
}

/// The outage and the recovery; whether the end is balanced.
async fn the_story(cluster: &Cluster, operator: &mut Operator, say: &mut Narrator) -> bool {
    say.step("A petclinic, twice");
    say.line("web (6 pods), was (3) and redis (1), with the spread constraints people use:");
    say.line(&format!("in namespace {MANAGED} with the policy below, in {UNMANAGED} without one."));
    say.document(petclinic::POLICY);
    petclinic::deploy(cluster).await;
    say.counts(cluster).await;
    say.policies(cluster).await;

    say.step(&format!("Zone {LOST} fails"));
    say.line("Its nodes are cordoned and its pods evicted, as a zonal shift and a drain do.");
    cluster.cordon_zone(LOST).await;
    cluster.evacuate_zone(LOST).await;
    petclinic::all_ready(cluster).await;
    let soon = Duration::from_secs(20);
    eventually(soon, "the policy to notice the outage", async || {
        let phase = petclinic::status(cluster, "{.status.phase}").await;
        if phase == "Frozen" { Ok(()) } else { Err(format!("phase {phase:?}")) }
    })
    .await;
    say.counts(cluster).await;
    say.policies(cluster).await;
    say.quote(&petclinic::status(cluster, "{.status.message}").await);

    say.step(&format!("Zone {LOST} is back"));
    say.line("Its nodes take pods again. Watch what changes, and when:");
    cluster.uncordon_zone(LOST).await;
    let recovery = recovery::watch(cluster, operator, say).await;

    say.step("The end");
    say.counts(cluster).await;
    recovery.tell(say);
    recovery.is_balanced()
}

async fn keep_running(cluster: &Cluster, say: &mut Narrator) {
    say.step("It keeps running");
    say.line("Ctrl-C ends it and removes everything. Until then, in another terminal:");
    say.output(&format!(
        "export KUBECONFIG={}\n\
         export PATH={}:$PATH\n\
         kubectl get zonespreadpolicies -A\n\
         kubectl zonespread status {MANAGED} -n {MANAGED}\n\
         kubectl zonespread outlook -A\n\
         kubectl zonespread ui -A",
        cluster.admin_kubeconfig().display(),
        programs(cluster).display(),
    ));
    tokio::signal::ctrl_c().await.expect("a signal");
}

/// A folder with kubectl, and with our binary as a command and as a plugin of kubectl.
fn programs(cluster: &Cluster) -> PathBuf {
    let folder = cluster.directory().join("bin");
    std::fs::create_dir_all(&folder).expect("a folder for programs");
    let own = Path::new(env!("CARGO_BIN_EXE_zonespread"));
    let kubectl = Cluster::binaries().join("kubectl");
    for (program, name) in
        [(own, "zonespread"), (own, "kubectl-zonespread"), (kubectl.as_path(), "kubectl")]
    {
        std::os::unix::fs::symlink(program, folder.join(name)).expect("a link");
    }
    folder
}
