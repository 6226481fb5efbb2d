//! Access to a cluster, as kubectl has it.

use std::path::PathBuf;

use clap::Args;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;

/// How the cluster is reached.
#[derive(Debug, Args)]
pub struct Access {
    /// The kubeconfig file; default $KUBECONFIG, ~/.kube/config, or the pod's service account
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
}

/// Why there is no access to a cluster.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The file named cannot be read.
    #[error("--kubeconfig {}: {}", .path.display(), kubeconfig_text(.source))]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: kube::config::KubeconfigError,
    },
    /// The context named cannot be used.
    #[error("--context {context}: {}", kubeconfig_text(.source))]
    Context {
        /// The context.
        context: String,
        /// Why.
        source: kube::config::KubeconfigError,
    },
    /// Neither a kubeconfig nor a service account.
    #[error("no cluster: {}; set --kubeconfig or KUBECONFIG, or run in a pod", kubeconfig_text(.0))]
    Nothing(#[source] kube::config::KubeconfigError),
    /// A pod whose service account cannot be used.
    #[error("the pod's service account cannot be used: {0}")]
    InCluster(#[source] kube::config::InClusterError),
}

/// What is wrong with a kubeconfig, as people write it.
fn kubeconfig_text(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(why, path) => {
            format!("cannot read {}: {why}", path.display())
        }
        KubeconfigError::LoadContext(context) => format!("there is no context {context}"),
        KubeconfigError::LoadClusterOfContext(cluster) => {
            format!("the context names the cluster {cluster}, which is not there")
        }
        error => error.to_string(),
    }
}

impl Access {
    /// The configuration of the client.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub async fn config(&self) -> Result<Config, AccessError> {
        if self.kubeconfig.is_none() && self.context.is_none() {
            return inferred().await;
        }
        let options =
            KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        match &self.kubeconfig {
            Some(path) => {
                let wrong = |source| AccessError::File { path: path.clone(), source };
                let file = Kubeconfig::read_from(path).map_err(wrong)?;
                Config::from_custom_kubeconfig(file, &options).await.map_err(wrong)
            }
            None => Config::from_kubeconfig(&options).await.map_err(|source| {
                AccessError::Context { context: self.context.clone().unwrap_or_default(), source }
            }),
        }
    }
}

/// What kubectl would use, or else the pod's service account.
async fn inferred() -> Result<Config, AccessError> {
    let kubeconfig = match Config::from_kubeconfig(&KubeConfigOptions::default()).await {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    let is_in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    Config::incluster().map_err(|error| {
        if is_in_pod { AccessError::InCluster(error) } else { AccessError::Nothing(kubeconfig) }
    })
}
