//! kube-scheduler's plugins, as far as they decide where a pod lands: one file each.
//!
//! [`Plugin`] says which there are, and [`CycleState`] asks them. A file has what the
//! plugin has in kube-scheduler: `pre_filter` (or `pre_score`) looks at all nodes,
//! `add_pod` and `remove_pod` (or one `count_pod`) at what a move changes, `filter` says
//! why a node is rejected, `score` how good it is. Scores are ranges: of one value where
//! all nodes are scored, wider where only a sample is.

mod balanced_allocation;
mod image_locality;
mod inter_pod_affinity;
pub mod node_affinity;
mod node_ports;
pub mod node_resources;
pub mod node_unschedulable;
pub mod resource_fits;
pub mod score;
pub mod spread_constraints;
mod state;
pub mod taint_toleration;
mod topology_counts;
mod topology_spread;
mod volume_binding;
mod volume_limits;
mod volume_restrictions;
mod volume_zone;

pub use image_locality::Images;
pub use state::CycleState;

use std::borrow::Cow;
use std::fmt;

/// A plugin of kube-scheduler that filters or scores nodes, in the order of the default
/// configuration (`pkg/scheduler/apis/config/v1/default_plugins.go`, 1.37).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Plugin {
    /// Cordoned nodes.
    NodeUnschedulable,
    /// Taints.
    TaintToleration,
    /// Node selectors and node affinity.
    NodeAffinity,
    /// Host ports.
    NodePorts,
    /// Room, and how much of it stays free.
    NodeResourcesFit,
    /// Claims for one pod only.
    VolumeRestrictions,
    /// How many volumes can be attached.
    NodeVolumeLimits,
    /// Where volumes can be used or made.
    VolumeBinding,
    /// Zone labels of volumes.
    VolumeZone,
    /// Spread constraints.
    PodTopologySpread,
    /// Affinity and anti-affinity between pods.
    InterPodAffinity,
    /// Whether cores and memory run out together.
    NodeResourcesBalancedAllocation,
    /// Images that nodes hold already.
    ImageLocality,
}

/// What decides a plugin's answer for a node, so that it is asked no more than it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The pod alone: it is the same for all nodes.
    Pod,
    /// The node's own labels, taints and spec: moves do not change it.
    Static,
    /// What is on the node.
    Node,
    /// What is on all nodes that share a label's value.
    Topology,
}

impl Plugin {
    /// All of them, in order.
    pub const ALL: [Self; 13] = [
        Self::NodeUnschedulable,
        Self::TaintToleration,
        Self::NodeAffinity,
        Self::NodePorts,
        Self::NodeResourcesFit,
        Self::VolumeRestrictions,
        Self::NodeVolumeLimits,
        Self::VolumeBinding,
        Self::VolumeZone,
        Self::PodTopologySpread,
        Self::InterPodAffinity,
        Self::NodeResourcesBalancedAllocation,
        Self::ImageLocality,
    ];

    /// Its name in kube-scheduler's configuration, log and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NodeUnschedulable => "NodeUnschedulable",
            Self::TaintToleration => "TaintToleration",
            Self::NodeAffinity => "NodeAffinity",
            Self::NodePorts => "NodePorts",
            Self::NodeResourcesFit => "NodeResourcesFit",
            Self::VolumeRestrictions => "VolumeRestrictions",
            Self::NodeVolumeLimits => "NodeVolumeLimits",
            Self::VolumeBinding => "VolumeBinding",
            Self::VolumeZone => "VolumeZone",
            Self::PodTopologySpread => "PodTopologySpread",
            Self::InterPodAffinity => "InterPodAffinity",
            Self::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            Self::ImageLocality => "ImageLocality",
        }
    }

    /// The plugin of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|plugin| plugin.as_str() == name)
    }

    /// What decides its filter; none if it has no filter.
    const fn filter_scope(self) -> Option<Scope> {
        Some(match self {
            Self::VolumeRestrictions => Scope::Pod,
            Self::NodeUnschedulable | Self::TaintToleration | Self::NodeAffinity => Scope::Static,
            Self::NodePorts
            | Self::NodeResourcesFit
            | Self::NodeVolumeLimits
            | Self::VolumeBinding
            | Self::VolumeZone => Scope::Node,
            Self::PodTopologySpread | Self::InterPodAffinity => Scope::Topology,
            Self::NodeResourcesBalancedAllocation | Self::ImageLocality => return None,
        })
    }

    /// What decides its score, and how much that counts unless configured otherwise; none
    /// if it has no score.
    const fn score_scope(self) -> Option<(Scope, i64)> {
        Some(match self {
            Self::TaintToleration => (Scope::Static, 3),
            Self::NodeAffinity => (Scope::Static, 2),
            Self::NodeResourcesFit
            | Self::NodeResourcesBalancedAllocation
            | Self::ImageLocality => (Scope::Node, 1),
            Self::PodTopologySpread | Self::InterPodAffinity => (Scope::Topology, 2),
            _ => return None,
        })
    }

    /// Those with a filter that this decides, in order.
    #[must_use]
    pub const fn filters(scope: Scope) -> &'static [Self] {
        match scope {
            Scope::Pod => POD_FILTERS.as_slice(),
            Scope::Static => STATIC_FILTERS.as_slice(),
            Scope::Node => NODE_FILTERS.as_slice(),
            Scope::Topology => TOPOLOGY_FILTERS.as_slice(),
        }
    }

    /// Those with a score that this decides, in order.
    #[must_use]
    pub const fn scores(scope: Scope) -> &'static [Self] {
        match scope {
            Scope::Pod => &[],
            Scope::Static => STATIC_SCORES.as_slice(),
            Scope::Node => NODE_SCORES.as_slice(),
            Scope::Topology => TOPOLOGY_SCORES.as_slice(),
        }
    }

    /// Whether it has a score.
    #[must_use]
    pub const fn has_score(self) -> bool {
        self.score_scope().is_some()
    }
}

static POD_FILTERS: List = List::filters(Scope::Pod);
static STATIC_FILTERS: List = List::filters(Scope::Static);
static NODE_FILTERS: List = List::filters(Scope::Node);
static TOPOLOGY_FILTERS: List = List::filters(Scope::Topology);
static STATIC_SCORES: List = List::scores(Scope::Static);
static NODE_SCORES: List = List::scores(Scope::Node);
static TOPOLOGY_SCORES: List = List::scores(Scope::Topology);

/// Some of the plugins. Made when compiled: they are asked for thousands of nodes.
struct List {
    plugins: [Plugin; Plugin::ALL.len()],
    count: usize,
}

impl List {
    const EMPTY: Self = Self { plugins: Plugin::ALL, count: 0 };

    const fn filters(scope: Scope) -> Self {
        let mut list = Self::EMPTY;
        let mut at = 0;
        while at < Plugin::ALL.len() {
            let plugin = Plugin::ALL[at];
            if let Some(known) = plugin.filter_scope()
                && known as u8 == scope as u8
            {
                list = list.with(plugin);
            }
            at += 1;
        }
        list
    }

    const fn scores(scope: Scope) -> Self {
        let mut list = Self::EMPTY;
        let mut at = 0;
        while at < Plugin::ALL.len() {
            let plugin = Plugin::ALL[at];
            if let Some((known, _)) = plugin.score_scope()
                && known as u8 == scope as u8
            {
                list = list.with(plugin);
            }
            at += 1;
        }
        list
    }

    const fn with(mut self, plugin: Plugin) -> Self {
        self.plugins[self.count] = plugin;
        self.count += 1;
        self
    }

    const fn as_slice(&self) -> &[Plugin] {
        self.plugins.split_at(self.count).0
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much each plugin's score counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights([i64; Plugin::ALL.len()]);

impl Default for Weights {
    fn default() -> Self {
        Self(Plugin::ALL.map(|plugin| plugin.score_scope().map_or(0, |(_, weight)| weight)))
    }
}

impl Weights {
    /// That no score counts.
    pub(super) const NONE: Self = Self([0; Plugin::ALL.len()]);

    /// How much the plugin's score counts; 0 if it has none.
    #[must_use]
    pub const fn of(&self, plugin: Plugin) -> i64 {
        self.0[plugin as usize]
    }

    /// Sets how much the plugin's score counts, if it has one.
    pub(super) fn set(&mut self, plugin: Plugin, weight: i64) {
        if plugin.has_score() {
            self.0[plugin as usize] = weight;
        }
    }
}

/// Why a filter rejects a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterFailure {
    /// The plugin whose filter it is.
    pub plugin: Plugin,
    /// In the scheduler's words.
    pub message: Cow<'static, str>,
}

impl FilterFailure {
    /// One with this message.
    pub fn new(plugin: Plugin, message: impl Into<Cow<'static, str>>) -> Self {
        Self { plugin, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_enum_and_each_name_is_found() {
        for (at, plugin) in Plugin::ALL.into_iter().enumerate() {
            assert_eq!(plugin as usize, at);
            assert_eq!(Plugin::named(plugin.as_str()), Some(plugin));
        }
        assert_eq!(Plugin::named("Coscheduling"), None);
    }

    #[test]
    fn every_plugin_filters_or_scores() {
        let scopes = [Scope::Pod, Scope::Static, Scope::Node, Scope::Topology];
        let filters = scopes.into_iter().flat_map(Plugin::filters);
        let scores = scopes.into_iter().flat_map(Plugin::scores);
        assert_eq!((filters.clone().count(), scores.clone().count()), (11, 7));
        let mut all: Vec<Plugin> = filters.chain(scores).copied().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, Plugin::ALL);
    }
}
