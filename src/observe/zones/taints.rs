//! Since when nodes carry taints that by themselves say nothing: a pool's, or a fault.
//!
//! A taint that was there when its node came makes the node a pool's, for pods that do not
//! bear it. One that appears while the node is in use is a fault for an hour, and then a
//! pool's. Kubernetes does not say when most taints were added, so it is noted here, and
//! written into the Zone objects for the next process.
//!
//! What a process finds when it starts is a pool's, unless something speaks against that: a
//! time in the taint, a pod on the node that does not bear it and so was there before, other
//! nodes of the same pool without it, or a Zone object that knows the zone's taints, and not
//! this one. Then it counts as new: better an hour too careful than an eviction in an outage
//! (law 1).

use std::cell::OnceCell;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rustc_hash::FxHashMap;

use crate::api::{ZoneTaint, limit, seconds};
use crate::observe::object::node::Node;
use crate::observe::object::pod::PodPhase;
use crate::observe::object::taint::{Taint, TaintEffect};
use crate::observe::store::cluster::{Cluster, NodeEntry};
use crate::observe::value::name::Name;
use crate::observe::value::zone::Zone;

use super::node_pools::NodePools;

/// A taint that appeared is a pool's after this long.
const POOL_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// A node that nobody uses yet may get its pool's taints for this long.
const SET_UP_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Taints that appeared lately on nodes in use, by node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentTaints(FxHashMap<Name, Vec<Taint>>);

impl RecentTaints {
    /// Those of a node.
    #[must_use]
    pub fn on(&self, node: &str) -> &[Taint] {
        self.0.get(node).map_or(&[], Vec::as_slice)
    }
}

/// Since when a node carries a taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// As long as there is the node.
    Always,
    /// It was there when this process looked first.
    FirstLook,
    /// The same, and a pod on the node is older than the taint: new, as far as is known.
    UsedAtFirstLook(Timestamp),
    /// The same, and other nodes of its pool do not carry it: new, unless somebody wrote down
    /// that it is a pool's.
    OddAtFirstLook(Timestamp),
    /// It appeared on a node in use.
    At(Timestamp),
}

impl Since {
    const fn appeared(self) -> Option<Timestamp> {
        match self {
            Self::Always | Self::FirstLook => None,
            Self::UsedAtFirstLook(at) | Self::OddAtFirstLook(at) | Self::At(at) => Some(at),
        }
    }
}

/// The taints of a node, but for those whose key says what they mean.
#[derive(Clone, Debug)]
struct NodeTaints {
    created: Timestamp,
    zone: Option<Zone>,
    taints: Vec<(Taint, Since)>,
}

impl NodeTaints {
    fn since(&self, taint: &Taint) -> Option<Since> {
        self.taints.iter().find(|(known, _)| known == taint).map(|(_, since)| *since)
    }
}

/// Since when the nodes carry their taints.
#[derive(Debug, Default)]
pub struct TaintHistory {
    /// Every node.
    nodes: FxHashMap<Name, NodeTaints>,
    /// What the Zone objects are to say.
    records: BTreeMap<Zone, Vec<ZoneTaint>>,
    /// What they said when this process began to lead.
    written: BTreeMap<Zone, Vec<ZoneTaint>>,
}

impl TaintHistory {
    /// Compares the nodes with what is remembered of them.
    pub fn observe(&mut self, cluster: &Cluster, now: Timestamp) {
        let mut before = std::mem::take(&mut self.nodes);
        let pools = OnceCell::new();
        let is_odd = |node, taint| pools.get_or_init(|| NodePools::of(cluster)).is_odd(node, taint);
        for (node, entry) in cluster.nodes() {
            let known = before.remove(&node.name).filter(|known| known.created == node.created);
            let looked = Looked { cluster, node, entry };
            let taints = node.taints.iter().zip(&node.tainted_at);
            let taints = taints.filter(|(taint, _)| taint.keeps_away() && !taint.is_fault());
            let taints = taints.map(|(taint, added)| {
                let since = known.as_ref().and_then(|known| known.since(taint));
                let since = since.unwrap_or_else(|| match (added, &known) {
                    (Some(added), _) => looked.appeared((*added).min(now)),
                    (None, Some(_)) => looked.appeared(now),
                    (None, None) if looked.is_used_despite(taint) => Since::UsedAtFirstLook(now),
                    (None, None) if looked.is_set_up(now) => Since::Always,
                    (None, None) if is_odd(node, taint) => Since::OddAtFirstLook(now),
                    (None, None) => Since::FirstLook,
                });
                (taint.clone(), since)
            });
            let taints = taints.collect();
            let (created, zone) = (node.created, node.zone.clone());
            self.nodes.insert(Name::clone(&node.name), NodeTaints { created, zone, taints });
        }
        self.resolve(now);
        self.note_records();
    }

    /// Takes over what the Zone objects say. A zone whose object says nothing of taints is
    /// as if nobody had looked before.
    pub fn restore(&mut self, written: BTreeMap<Zone, Vec<ZoneTaint>>, now: Timestamp) {
        self.records.clear();
        self.written = written;
        self.resolve(now);
        self.note_records();
    }

    /// Finds out what was there before this process looked.
    fn resolve(&mut self, now: Timestamp) {
        for node in self.nodes.values_mut() {
            let Some(zone) = &node.zone else { continue };
            let Some(written) = self.written.get(zone) else { continue };
            let records = self.records.get(zone).into_iter().flatten().chain(written);
            for (taint, since) in &mut node.taints {
                let mut records = records.clone();
                let record = records.find(|record| is_of(record, taint));
                let told = record.map(|record| record.since.as_ref().map(|since| since.0));
                *since = match (*since, told) {
                    // The hour goes on from where it was.
                    (
                        Since::FirstLook | Since::UsedAtFirstLook(_) | Since::OddAtFirstLook(_),
                        Some(Some(at)),
                    ) if node.created <= at => Since::At(at),
                    (Since::FirstLook | Since::OddAtFirstLook(_), None) => Since::At(now),
                    (Since::FirstLook | Since::OddAtFirstLook(_), _) => Since::Always,
                    (known, _) => known,
                };
            }
        }
        self.note_records();
    }

    /// The taints that appeared on nodes in use within the last hour.
    #[must_use]
    pub fn recent(&self, now: Timestamp) -> RecentTaints {
        let is_recent =
            |since: Since| since.appeared().is_some_and(|at| now.duration_since(at) < POOL_AFTER);
        let of_node = |(name, node): (&Name, &NodeTaints)| {
            let recent = node.taints.iter().filter(|(_, since)| is_recent(*since));
            let recent: Vec<Taint> = recent.map(|(taint, _)| taint.clone()).collect();
            (!recent.is_empty()).then(|| (Name::clone(name), recent))
        };
        RecentTaints(self.nodes.iter().filter_map(of_node).collect())
    }

    /// When the next of them will be a pool's.
    #[must_use]
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let taints = self.nodes.values().flat_map(|node| &node.taints);
        let ends = taints.filter_map(|(_, since)| since.appeared()?.checked_add(POOL_AFTER).ok());
        ends.filter(|at| *at > now).min()
    }

    /// What the object of a zone is to say, those that appeared last first.
    #[must_use]
    pub fn record(&self, zone: &Zone) -> &[ZoneTaint] {
        self.records.get(zone).map_or(&[], Vec::as_slice)
    }

    fn note_records(&mut self) {
        let mut last: BTreeMap<(&Zone, &str, &str, TaintEffect), Option<Timestamp>> =
            BTreeMap::new();
        for node in self.nodes.values() {
            let Some(zone) = &node.zone else { continue };
            for (taint, since) in &node.taints {
                let known = last.entry((zone, &taint.key, &taint.value, taint.effect));
                let known = known.or_default();
                *known = since.appeared().max(*known);
            }
        }
        let mut records: BTreeMap<Zone, Vec<ZoneTaint>> = BTreeMap::new();
        for ((zone, key, value, effect), since) in last {
            records.entry(zone.clone()).or_default().push(ZoneTaint {
                key: key.to_owned(),
                value: value.to_owned(),
                effect: effect.as_str().to_owned(),
                since: since.map(seconds),
            });
        }
        for records in records.values_mut() {
            records.sort_by_key(|taint| std::cmp::Reverse(taint.since.as_ref().map(|at| at.0)));
            records.truncate(limit::ZONE_TAINTS);
        }
        self.records = records;
    }
}

fn is_of(record: &ZoneTaint, taint: &Taint) -> bool {
    record.key == *taint.key
        && record.value == *taint.value
        && record.effect == taint.effect.as_str()
}

/// A node and what is on it.
struct Looked<'a> {
    cluster: &'a Cluster,
    node: &'a Node,
    entry: &'a NodeEntry,
}

impl Looked<'_> {
    /// A taint that appeared then is a pool's if nobody used the node.
    fn appeared(&self, at: Timestamp) -> Since {
        let is_used = || self.node.taints.iter().any(|taint| self.is_used_despite(taint));
        if self.is_set_up(at) && !is_used() { Since::Always } else { Since::At(at) }
    }

    /// Whether the node was new then.
    fn is_set_up(&self, at: Timestamp) -> bool {
        at.duration_since(self.node.created) <= SET_UP_WITHIN
    }

    /// Whether a pod on the node does not bear the taint: the pod was there first. Pods of
    /// `DaemonSets` and of the kubelet are on every node.
    fn is_used_despite(&self, taint: &Taint) -> bool {
        if taint.is_fault() || !taint.keeps_away() {
            return false;
        }
        let pods = self.entry.pods.iter().filter_map(|id| self.cluster.pod(*id));
        let mut workers = pods.filter(|pod| {
            let is_daemon = pod.owner.as_ref().is_some_and(|owner| &*owner.kind == "DaemonSet");
            !pod.mirror && !is_daemon && !pod.terminating && pod.phase != PodPhase::Finished
        });
        workers
            .any(|pod| !pod.template.tolerations.iter().any(|toleration| toleration.bears(taint)))
    }
}

#[cfg(test)]
#[path = "taints_tests.rs"]
mod tests;
