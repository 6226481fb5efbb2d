//! What has to be said about a cluster, as it does not show it itself.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::predict::{KnownVersion, SchedulerConfig, VersionSource};

use super::Failure;

/// What a cluster does not say about itself. The operator and the commands that answer
/// as it would must be told the same.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    /// The KubeSchedulerConfiguration of the cluster's scheduler, if it has one
    #[arg(long, value_name = "FILE")]
    scheduler_config: Option<PathBuf>,
    /// The version of the cluster's kube-scheduler, such as 1.35; default that of the API
    /// server, or in files that of the control-plane nodes' newest kubelet, else of all nodes'
    #[arg(long, value_name = "VERSION", value_parser = version)]
    scheduler_version: Option<KnownVersion>,
}

fn version(text: &str) -> Result<KnownVersion, &'static str> {
    KnownVersion::parse(VersionSource::Flag, text)
        .ok_or("expected a version such as 1.35 or v1.35.4")
}

impl ClusterArgs {
    /// The scheduler's version, if it is said here.
    #[must_use]
    pub fn scheduler_version(&self) -> Option<KnownVersion> {
        self.scheduler_version.clone()
    }

    /// The scheduler's configuration; the default without a file.
    ///
    /// # Errors
    /// When the file cannot be read, or is something else.
    pub fn scheduler(&self) -> Result<SchedulerConfig, Failure> {
        self.scheduler_config.as_deref().map_or_else(|| Ok(SchedulerConfig::default()), read)
    }
}

fn read(path: &Path) -> Result<SchedulerConfig, Failure> {
    let wrong = |error: &dyn std::error::Error| {
        Failure::from(format!("--scheduler-config {}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    SchedulerConfig::read(&text).map_err(|error| wrong(&error))
}
