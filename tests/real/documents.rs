//! Every command that the documents print is run here, one after the other, on a cluster with
//! the petclinic of `make demo`; or a remark above its block says which test runs it
//! (`<!-- run by NAME -->`), or why none does (`<!-- not run: REASON -->`).

use crate::harness::{Cluster, helm};
use crate::policy::{self, phase, ready};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zonespread::api::Phase;

/// In the order in which a user meets them; the last one takes everything away.
const DOCUMENTS: [&str; 14] = [
    "README.md",
    "deploy/README.md",
    "docs/settings.md",
    "docs/outlook.md",
    "docs/faq.md",
    "docs/ui.md",
    "docs/runbooks.md",
    "docs/argo-cd.md",
    "docs/neighbours.md",
    "docs/compatibility.md",
    "docs/rights.md",
    "docs/metrics.md",
    "docs/upgrade.md",
    "docs/uninstall.md",
];
/// What a command begins with. Other lines of a block are output, or go on.
const PROGRAMS: [&str; 5] = ["kubectl ", "zonespread ", "helm ", "docker ", "make "];
/// What is not run here, and why.
const NOT_RUN: [(&str, &str); 6] = [
    ("kubectl logs ", "kwok's nodes have no kubelet to ask for logs"),
    ("make ", "this is run by it"),
    ("zonespread approve ", "it takes a plan that waits: tests/real/consent.rs"),
    ("zonespread lint -f deploy/ ", "it is a folder of the reader's: tests/cli/lint.rs"),
    ("zonespread ui ", "it does not end: tests/real/ui.rs"),
    ("zonespread probe ", "it takes a pod: tests/cli/probe.rs"),
];

/// A command, and where it is printed.
#[derive(Debug)]
struct Printed {
    at: String,
    command: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The commands of a document that are to be run.
fn commands(document: &str) -> Vec<Printed> {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let mut found: Vec<Printed> = Vec::new();
    let (mut in_block, mut is_run, mut goes_on) = (false, true, false);
    let mut remark = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            in_block = !in_block;
            is_run = in_block && !remark;
            goes_on = false;
            continue;
        }
        if !in_block {
            remark = line.starts_with("<!-- run by ") || line.starts_with("<!-- not run: ");
            continue;
        }
        let line = line.trim_start_matches("$ ");
        let begins = PROGRAMS.iter().any(|program| line.starts_with(program));
        let is_left_out = NOT_RUN.iter().any(|(program, _)| line.starts_with(program));
        if goes_on {
            let last = found.last_mut().unwrap();
            last.command = format!("{}\n{line}", last.command);
        } else if is_run && begins && !is_left_out {
            let at = format!("{document}:{}", number + 1);
            found.push(Printed { at, command: line.to_owned() });
        } else {
            continue;
        }
        goes_on = found.last().unwrap().command.ends_with('\\');
    }
    found
}

/// Where commands are typed: the repository's folders, and the programs on the PATH.
struct Desk {
    folder: tempfile::TempDir,
    kubeconfig: PathBuf,
}

impl Desk {
    fn new(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let link = |from: &Path, name: &str| {
            std::os::unix::fs::symlink(from, folder.path().join(name)).unwrap();
        };
        for name in ["deploy", "crds", "docs", "tests"] {
            link(&root().join(name), name);
        }
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_zonespread"));
        link(binary, "bin/zonespread");
        link(binary, "bin/kubectl-zonespread");
        link(&Cluster::binaries().join("kubectl"), "bin/kubectl");
        link(helm(), "bin/helm");
        Self { folder, kubeconfig: cluster.admin_kubeconfig().to_owned() }
    }

    /// Runs it as a shell does; what it complains about.
    fn run(&self, command: &str) -> Result<(), String> {
        let path = std::env::var("PATH").unwrap();
        let bin = self.folder.path().join("bin");
        // What watches does not end.
        let watches = command.contains(" --watch");
        let output = Command::new("timeout")
            .args([if watches { "5" } else { "180" }, "bash", "-c", command])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBERC", "off")
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("bash starts");
        // 3: a check that the command makes does not hold, and it says so.
        let code = output.status.code();
        if output.status.success() || code == Some(3) || (watches && code == Some(124)) {
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&text)))
    }
}

async fn petclinic(cluster: &Cluster) {
    for zone in ["eu-west-2a", "eu-west-2b", "eu-west-2c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("petclinic").await;
    for file in ["petclinic.yaml", "policy.yaml"] {
        let text = std::fs::read_to_string(root().join("tests/demo").join(file)).unwrap();
        cluster.apply_to("petclinic", &text).await;
    }
    ready(cluster, "petclinic", "app=petclinic", 10).await;
}

#[tokio::test]
async fn every_command_in_the_documents_can_be_run() {
    let cluster = Cluster::start().await;
    let _operator = policy::operator(&cluster).await;
    petclinic(&cluster).await;
    phase(&cluster, "petclinic", "petclinic", Phase::Balanced).await;
    let desk = Desk::new(&cluster);
    let pods = "jsonpath={.items[0].metadata.name}";
    let pods = ["get", "pods", "-n", "petclinic", "-l", "tier=web", "-o", pods];
    let pod = cluster.kubectl(&pods).await.unwrap();
    let mut failed = Vec::new();
    let mut count = 0;
    for printed in DOCUMENTS.iter().flat_map(|document| commands(document)) {
        count += 1;
        // A pod's name is an example.
        let command = printed.command.replace("web-5d9c-x7k2p", &pod);
        if let Err(error) = desk.run(&command) {
            failed.push(format!("{}: {command}\n{error}", printed.at));
        }
    }
    assert!(failed.is_empty(), "commands that do not work:\n{}", failed.join("\n"));
    assert!(count > 40, "{count} commands were found");
}
