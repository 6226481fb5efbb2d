//! What kube-scheduler would do: where the replacement of an evicted pod lands.
//!
//! Pure functions of a [`Cluster`](crate::observe::Cluster), the moves already under way ([`InFlightPods`])
//! and the pod to be placed. One file per plugin of kube-scheduler, named in its doc with
//! the versions that it follows; all of them in the order of the default configuration.
//! The scheduler's minor version is an input ([`SchedulerVersion`]).
//!
//! [`Scheduler::predict`] answers one question. To plan many moves, ask it for a
//! [`Simulation`] and apply each move to it: it computes only what the move changes.

mod cache;
mod classes;
mod comings_and_goings;
mod config;
mod config_file;
mod explain;
mod in_flight;
mod influence;
mod known_version;
mod node_groups;
mod plugins;
mod preemption;
mod prefilter;
mod reach;
mod replacement;
mod revision;
mod rival;
mod sampling;
mod scheduler;
mod simulation;
mod snapshot;
mod supposition;
mod unpredictable;
mod version;

#[cfg(test)]
mod tests;

pub use cache::SchedulerCache;
pub use config::{DefaultConstraints, SchedulerConfig};
pub use config_file::ConfigFileError;
pub use explain::Hindrance;
pub use in_flight::{InFlightPods, PendingPod};
pub use influence::{Minding, MostChange};
pub use known_version::{KnownVersion, VersionSource};
pub use node_groups::{Eligible, NodeGroups, SeenZone};
pub use plugins::node_resources::{Arrivals, Usage};
pub use plugins::{Plugin, Weights};
pub use rival::{Rival, Rivals};
pub use scheduler::Scheduler;
pub use simulation::{Best, Simulation};
pub use supposition::{PlacedPods, Supposition};
pub use version::{Release, SchedulerVersion};

use k8s_openapi::api::core::v1::NodeSelector;

use crate::observe::{Name, Node, PodId, Zone};

/// Whether a node selector, such as that of a volume, selects a node.
#[must_use]
pub fn selects_node(selector: &NodeSelector, node: &Node) -> bool {
    plugins::node_affinity::selects(selector, &node.labels, Some(&node.name))
}

/// Where a pod would land.
#[derive(Clone, Debug, PartialEq)]
pub enum Prediction {
    /// On one of these nodes.
    Lands(Landing),
    /// Nowhere: every node is rejected; the pod would stay Pending.
    Pending(Vec<Rejection>),
    /// It cannot be known, and why not, by name.
    Unpredictable(String),
}

/// Where a pod would land.
#[derive(Clone, Debug, PartialEq)]
pub struct Landing {
    /// The nodes that tie for best, by name.
    pub nodes: Vec<Name>,
    /// The zones in which the pod can land, each once, by name: those of the
    /// nodes that tie, and where the scheduler scores only a sample of the
    /// nodes, those that may win in some. A node without a zone adds none.
    pub zones: Vec<Zone>,
    /// Whether the zone is certain: there is no other.
    pub certain: bool,
    /// What would become of it otherwise, where that is something else.
    pub unless: Option<Box<Unless>>,
    /// The pods of negative priority that are pushed out of the first of the nodes.
    pub preempts: Vec<PodId>,
    /// How probable each zone is, by name. Where the scheduler scores only a
    /// sample, this is an estimate: the order of the nodes is not known.
    pub zone_probability: Vec<(Zone, f64)>,
    /// Nodes that were rejected.
    pub rejections: Vec<Rejection>,
    /// The other nodes, and what each plugin gave them.
    pub scores: Vec<NodeScore>,
}

/// What would become of a pod under another assumption that may be the right one.
#[derive(Clone, Debug, PartialEq)]
pub struct Unless {
    /// The assumption, for a human: `its replacement is as large as the pod is now`.
    pub what: String,
    /// What becomes of it then.
    pub prediction: Prediction,
}

/// A node that cannot take the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The node.
    pub node: Name,
    /// Its zone.
    pub zone: Option<Zone>,
    /// The scheduler's plugin that rejects it.
    pub plugin: Plugin,
    /// In the scheduler's words: `Insufficient cpu`.
    pub message: String,
    /// Pods of lower, but not negative, priority whose room would do and is not taken.
    pub held_by: Option<String>,
}

/// A node that can take the pod, and how well it fits.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeScore {
    /// The node.
    pub node: Name,
    /// Its zone.
    pub zone: Option<Zone>,
    /// The weighted sum.
    pub total: i64,
    /// Weighted scores by plugin.
    pub by_plugin: Vec<(Plugin, i64)>,
    /// What took points from it, for a human: `untolerated taint maintenance:PreferNoSchedule`.
    pub note: Option<String>,
}
