//! What a user types, with the real kubectl.

use super::binaries;
use super::cluster::Cluster;
use super::eventually::eventually;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

impl Cluster {
    /// Runs kubectl as admin; stdout, or what it complained about.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.kubectl_with_input(arguments, "").await
    }

    /// `kubectl apply -f -` of one or more YAML or JSON documents.
    pub async fn apply(&self, documents: impl AsRef<str>) {
        self.kubectl_with_input(&["apply", "-f", "-"], documents.as_ref())
            .await
            .unwrap_or_else(|error| panic!("{error}\nin:\n{}", documents.as_ref()));
    }

    /// What `kubectl apply` answers, or complains about; of several documents all
    /// complaints. Nothing is changed.
    pub async fn try_apply(&self, documents: impl AsRef<str>) -> Result<String, String> {
        let arguments = ["apply", "--dry-run=server", "-f", "-"];
        self.kubectl_with_input(&arguments, documents.as_ref()).await
    }

    /// The same, into a namespace that the documents do not name.
    pub async fn apply_to(&self, namespace: &str, documents: &str) {
        self.kubectl_with_input(&["apply", "-n", namespace, "-f", "-"], documents)
            .await
            .unwrap_or_else(|error| panic!("{error}\nin:\n{documents}"));
    }

    /// Waits until all CRDs are served. `kubectl wait` gives up on one that is so new that its
    /// conditions are null, so it is asked again.
    pub async fn crds_are_established(&self) {
        let wait = ["wait", "--for=condition=Established", "--timeout=30s", "crd", "--all"];
        eventually(Duration::from_mins(1), "CRDs", async || self.kubectl(&wait).await).await;
    }

    /// `kubectl apply -k` of a directory.
    pub async fn apply_kustomize(&self, directory: &Path) {
        let directory = directory.to_str().expect("a path in UTF-8");
        if let Err(error) = self.kubectl(&["apply", "-k", directory]).await {
            panic!("{error}");
        }
    }

    async fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut child = Command::new(binaries::directory().join("kubectl"))
            .arg("--kubeconfig")
            .arg(self.admin_kubeconfig())
            .arg("--cache-dir")
            .arg(self.directory().join("kubectl-cache"))
            .args(arguments)
            // Colours and other habits of the person at the keyboard stay out.
            .env("KUBERC", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("kubectl starts");
        let mut stdin = child.stdin.take().expect("its stdin is piped");
        stdin.write_all(input.as_bytes()).await.map_err(|error| error.to_string())?;
        drop(stdin);
        let output = child.wait_with_output().await.map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!(
            "kubectl {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }
}
