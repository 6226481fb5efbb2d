//! Which version of kube-scheduler a cluster runs, as far as is known, and from where.

use crate::observe::{Cluster, Name};

use super::version::{Release, SchedulerVersion};

/// The labels of control-plane nodes: of today, and before 1.24.
const CONTROL_PLANE: [&str; 2] =
    ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// Who says which version of Kubernetes it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionSource {
    /// Nobody.
    #[default]
    Nobody,
    /// The newest kubelet: a control plane is never older. Where no control-plane node is
    /// shown, as in clouds that run it themselves.
    Nodes,
    /// The newest kubelet of the control-plane nodes.
    ControlPlaneNodes,
    /// The API server.
    ApiServer,
    /// A person.
    Flag,
}

impl VersionSource {
    /// For programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "Unknown",
            Self::Nodes => "Nodes",
            Self::ControlPlaneNodes => "ControlPlaneNodes",
            Self::ApiServer => "APIServer",
            Self::Flag => "Flag",
        }
    }
}

/// Which version of kube-scheduler a cluster runs, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownVersion {
    /// Who says so.
    pub source: VersionSource,
    /// What is said: `v1.35.4-eks-3025e55`.
    pub reported: Option<(Name, Release)>,
}

impl KnownVersion {
    /// What `source` reports, if that is a version.
    #[must_use]
    pub fn parse(source: VersionSource, reported: &str) -> Option<Self> {
        let release = Release::parse(reported)?;
        Some(Self { source, reported: Some((Name::from(reported), release)) })
    }

    /// What the nodes of a cluster say.
    #[must_use]
    pub fn of_nodes(cluster: &Cluster) -> Self {
        let mut newest = Self::default();
        for (node, _) in cluster.nodes() {
            let Some(kubelet) = &node.kubelet else { continue };
            let Some(release) = Release::parse(kubelet) else { continue };
            let is_control_plane =
                CONTROL_PLANE.iter().any(|label| node.labels.contains_key(*label));
            let source = if is_control_plane {
                VersionSource::ControlPlaneNodes
            } else {
                VersionSource::Nodes
            };
            let known = newest.reported.as_ref().map(|(_, release)| *release);
            // One control-plane node says more than all others.
            if (source as u8, Some(release)) > (newest.source as u8, known) {
                newest = Self { source, reported: Some((Name::clone(kubelet), release)) };
            }
        }
        newest
    }

    /// The version that is predicted.
    #[must_use]
    pub fn modelled(&self) -> SchedulerVersion {
        let release = self.reported.as_ref().map(|(_, release)| *release);
        release.map_or(SchedulerVersion::NEWEST, SchedulerVersion::nearest)
    }

    /// Whether nobody but nodes says which version it is, if anybody does.
    #[must_use]
    pub const fn is_of_nodes(&self) -> bool {
        matches!(
            self.source,
            VersionSource::Nobody | VersionSource::Nodes | VersionSource::ControlPlaneNodes
        )
    }

    /// What is predicted, and by whose word: `kube-scheduler 1.35 (the API server is v1.35.4)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let version = self.modelled();
        let Some((reported, _)) = &self.reported else {
            return format!("kube-scheduler {version} (its version is not known)");
        };
        let whose = match self.source {
            VersionSource::Nobody => "",
            VersionSource::Nodes => "the newest kubelet is ",
            VersionSource::ControlPlaneNodes => "the newest kubelet of the control-plane nodes is ",
            VersionSource::ApiServer => "the API server is ",
            VersionSource::Flag => "--scheduler-version ",
        };
        format!("kube-scheduler {version} ({whose}{reported})")
    }

    /// What a person should know of it: that the version is not modelled, or not known.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let version = self.modelled();
        let Some((reported, release)) = &self.reported else {
            return Some(format!(
                "the version of kube-scheduler is not known: predictions are those of {version}; \
                 --scheduler-version says which it is"
            ));
        };
        if *release == version.release() {
            return None;
        }
        let (oldest, newest) = (SchedulerVersion::OLDEST, SchedulerVersion::NEWEST);
        let than = if *release < version.release() { "older" } else { "newer" };
        Some(format!(
            "Kubernetes {reported} is {than} than the schedulers that are predicted ({oldest} to \
             {newest}): predictions are those of {version}, the nearest"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::fixtures::{NodeFixture, cluster, node};

    fn of(nodes: impl IntoIterator<Item = NodeFixture>) -> KnownVersion {
        KnownVersion::of_nodes(&cluster(nodes, []))
    }

    #[test]
    fn the_newest_kubelet_of_the_control_plane_tells_the_version() {
        let nodes = || {
            [
                node("a1").kubelet("v1.34.9"),
                node("b1").kubelet("v1.36.2-eks-1"),
                node("c1"),
                node("d1").kubelet("nonsense"),
            ]
        };
        let known = of(nodes());
        assert_eq!(known.modelled(), SchedulerVersion::V1_36);
        assert_eq!(known.describe(), "kube-scheduler 1.36 (the newest kubelet is v1.36.2-eks-1)");
        let masters = ["v1.34.1", "v1.35.0"].map(|version| {
            node(version).kubelet(version).label("node-role.kubernetes.io/control-plane", "")
        });
        let known = of(nodes().into_iter().chain(masters));
        assert_eq!(known.source, VersionSource::ControlPlaneNodes);
        assert_eq!((known.modelled(), known.warning()), (SchedulerVersion::V1_35, None));
    }

    #[test]
    fn a_version_that_is_not_modelled_or_not_known_is_said() {
        let known = |text| KnownVersion::parse(VersionSource::ApiServer, text).unwrap();
        assert_eq!(known("v1.37.1").warning(), None);
        let newer = known("v1.38.0").warning().unwrap();
        assert!(newer.contains("v1.38.0 is newer") && newer.contains("those of 1.37"), "{newer}");
        let older = known("v1.31.4").warning().unwrap();
        assert!(older.contains("v1.31.4 is older") && older.contains("those of 1.33"), "{older}");
        let unknown = of([node("a1")]);
        assert_eq!(unknown, KnownVersion::default());
        assert!(unknown.warning().unwrap().contains("--scheduler-version"));
        assert_eq!(KnownVersion::parse(VersionSource::Flag, "latest"), None);
    }
}
