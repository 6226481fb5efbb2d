//! Access to a cluster, as kubectl has it.

use std::path::PathBuf;

use clap::Args;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
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
    #[error("--kubeconfig {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: kube::config::KubeconfigError,
    },
    /// The context named cannot be used.
    #[error("--context {context}: {source}")]
    Context {
        /// The context.
        context: String,
        /// Why.
        source: kube::config::KubeconfigError,
    },
    /// Neither a kubeconfig nor a service account.
    #[error("no cluster: set --kubeconfig or KUBECONFIG, or run in a pod ({0})")]
    Nothing(#[source] kube::config::InferConfigError),
}

impl Access {
    /// The configuration of the client.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub async fn config(&self) -> Result<Config, AccessError> {
        if self.kubeconfig.is_none() && self.context.is_none() {
            return Config::infer().await.map_err(AccessError::Nothing);
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
