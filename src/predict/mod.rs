//! What kube-scheduler would do: where the replacement of an evicted pod lands.
//!
//! Pure functions of a [`Cluster`], the moves already under way (a [`Ledger`])
//! and the pod to be placed.

mod ledger;

pub use ledger::{Ledger, Placement};

use crate::observe::{Cluster, Name, Template, Zone};

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
    /// Their zones, each once, by name. A node without a zone adds none.
    pub zones: Vec<Zone>,
    /// Whether the zone is certain: all nodes that tie share it.
    pub certain: bool,
    /// Nodes that were rejected.
    pub rejections: Vec<Rejection>,
    /// The other nodes, and what each plugin gave them.
    pub scores: Vec<NodeScore>,
}

/// A node that cannot take the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The node.
    pub node: Name,
    /// Its zone.
    pub zone: Option<Zone>,
    /// The scheduler's plugin that rejects it, such as `NodeResourcesFit`.
    pub plugin: &'static str,
    /// In the scheduler's words: `Insufficient cpu`.
    pub message: String,
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
    pub by_plugin: Vec<(&'static str, i64)>,
    /// What took points from it, for a human: `untolerated taint maintenance:PreferNoSchedule`.
    pub note: Option<String>,
}

/// Where `pod` would land, if it were created now, after what the ledger holds.
#[must_use]
pub fn predict(cluster: &Cluster, ledger: &Ledger, pod: &Placement) -> Prediction {
    let _ = (cluster, ledger, pod);
    Prediction::Unpredictable("the model of the scheduler is not there yet".to_owned())
}

/// Whether pods with this template could ever be placed in `zone`: a node
/// there matches their node selector and required node affinity, or, while it
/// has no nodes, nothing in these speaks against the zone itself.
#[must_use]
pub fn may_use_zone(cluster: &Cluster, template: &Template, zone: &Zone) -> bool {
    let _ = (cluster, template, zone);
    true
}
