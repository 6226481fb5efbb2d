//! Which nodes pods may use, and how these are: for the health of zones as a tier sees it.
//!
//! Nodes that differ in nothing that such pods ask of nodes are looked at together, so that
//! a change of one node costs as much for each tier as there are kinds of nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::observe::{
    ConditionCount, Generation, Name, Node, NodeFault, PodId, RecentTaints, Taint, Template, Zone,
    ZoneCondition,
};

use super::plugins::node_affinity;
use super::scheduler::Scheduler;

/// The nodes in groups, whichever taints appeared lately. Made anew when these change;
/// emptied by nodes that have changed.
#[derive(Debug, Default)]
pub struct NodeGroups {
    recent: Arc<RecentTaints>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    nodes: Generation,
    groupings: Vec<(Vec<Name>, Arc<Grouping>)>,
}

/// How many ways to group the nodes are kept: by different labels that pods ask for.
const KEPT: usize = 64;

/// The nodes, grouped by what pods that ask for these labels see of them.
#[derive(Debug)]
struct Grouping {
    groups: Vec<NodeGroup>,
    /// By row; none for virtual nodes.
    group_of_row: Vec<Option<u32>>,
}

/// Nodes that are the same in all that matters for a zone's health.
#[derive(Debug)]
struct NodeGroup {
    example: Arc<Node>,
    fault: Option<NodeFault>,
    /// Taints that appeared lately: faults to those who do not bear them.
    recent: Vec<Taint>,
    /// Other taints that mean nothing by themselves: a pool's.
    pool: Vec<Taint>,
    /// Whether the cluster's record counts them.
    is_in_record: bool,
    nodes: usize,
}

/// What tells groups apart, besides the labels.
type GroupKey = (u32, Option<NodeFault>, Vec<Taint>, Vec<Taint>);

impl Grouping {
    fn new(scheduler: &Scheduler<'_>, keys: &[Name], recent: &RecentTaints) -> Self {
        let by_name = keys.iter().any(|key| &**key == node_affinity::NAME_FIELD);
        let places = scheduler.snapshot.places(keys.to_vec());
        let mut numbers: FxHashMap<GroupKey, u32> = FxHashMap::default();
        let mut groups: Vec<NodeGroup> = Vec::new();
        let mut group_of_row = Vec::with_capacity(places.len());
        for (row, known) in scheduler.rows().iter().enumerate() {
            let node = &known.node;
            if node.is_virtual() {
                group_of_row.push(None);
                continue;
            }
            let place = if by_name { u32::try_from(row).unwrap_or(u32::MAX) } else { places[row] };
            let fault = NodeFault::of(node);
            let of_late = recent.on(&node.name);
            let hard =
                || node.taints.iter().filter(|taint| taint.keeps_away() && !taint.is_fault());
            let recent: Vec<Taint> =
                hard().filter(|taint| of_late.contains(taint)).cloned().collect();
            let pool: Vec<Taint> =
                hard().filter(|taint| !of_late.contains(taint)).cloned().collect();
            let next = u32::try_from(groups.len()).unwrap_or(u32::MAX);
            let key = (place, fault.clone(), recent.clone(), pool.clone());
            let number = *numbers.entry(key).or_insert(next);
            if number == next {
                groups.push(NodeGroup {
                    example: Arc::clone(node),
                    fault,
                    recent,
                    pool,
                    is_in_record: !node.runs_control_plane(),
                    nodes: 0,
                });
            }
            groups[number as usize].nodes += 1;
            group_of_row.push(Some(number));
        }
        Self { groups, group_of_row }
    }
}

impl NodeGroups {
    /// The nodes, of which these taints appeared lately.
    #[must_use]
    pub fn new(recent: Arc<RecentTaints>) -> Self {
        Self { recent, kept: Mutex::default() }
    }

    /// The taints that appeared lately.
    #[must_use]
    pub const fn recent(&self) -> &Arc<RecentTaints> {
        &self.recent
    }

    /// Which nodes pods may use that are made from any of these templates.
    #[must_use]
    pub fn eligible(&self, scheduler: &Scheduler<'_>, templates: &[Arc<Template>]) -> Eligible {
        let mut keys: Vec<Name> = Vec::new();
        for key in templates.iter().flat_map(|template| node_affinity::asked_labels(template)) {
            if !keys.iter().any(|known| **known == *key) {
                keys.push(Name::from(key));
            }
        }
        keys.sort_unstable();
        let grouping = self.grouping(scheduler, keys);
        let groups = grouping.groups.iter().map(|group| SeenGroup::new(group, templates)).collect();
        Eligible { grouping, groups, extra: BTreeSet::new() }
    }

    fn grouping(&self, scheduler: &Scheduler<'_>, keys: Vec<Name>) -> Arc<Grouping> {
        let nodes = scheduler.cluster.nodes_generation();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.nodes != nodes {
            *kept = Kept { nodes, groupings: Vec::new() };
        }
        if let Some((_, known)) = kept.groupings.iter().find(|(known, _)| *known == keys) {
            return Arc::clone(known);
        }
        let made = Arc::new(Grouping::new(scheduler, &keys, &self.recent));
        if kept.groupings.len() >= KEPT {
            kept.groupings.remove(0);
        }
        kept.groupings.push((keys, Arc::clone(&made)));
        made
    }
}

/// A group as pods with some templates see it.
#[derive(Clone, Debug)]
struct SeenGroup {
    /// Whether they may use these nodes, but for faults.
    is_eligible: bool,
    /// Whether the labels are right, whatever the taints are.
    is_matched: bool,
    fault: Option<NodeFault>,
}

impl SeenGroup {
    fn new(group: &NodeGroup, templates: &[Arc<Template>]) -> Self {
        let bears = |template: &Template, taint: &Taint| {
            template.tolerations.iter().any(|toleration| toleration.bears(taint))
        };
        let mut seen = Self { is_eligible: false, is_matched: false, fault: group.fault.clone() };
        // Of several templates, the one that sees no fault decides.
        let mut unborne: Option<&Taint> = None;
        for template in templates {
            if !node_affinity::matches_required(template, &group.example) {
                continue;
            }
            seen.is_matched = true;
            if !group.pool.iter().all(|taint| bears(template, taint)) {
                continue;
            }
            let fault = group.recent.iter().find(|taint| !bears(template, taint));
            unborne = if seen.is_eligible { unborne.and(fault) } else { fault };
            seen.is_eligible = true;
        }
        if seen.fault.is_none() {
            seen.fault = unborne.map(|taint| NodeFault::tainted(Name::clone(&taint.key)));
        }
        seen
    }
}

/// The nodes that a tier may use: those that its pods ask for, and those that run some.
#[derive(Clone, Debug)]
pub struct Eligible {
    grouping: Arc<Grouping>,
    groups: Vec<SeenGroup>,
    /// Rows that run a pod of the tier, which could not go there again.
    extra: BTreeSet<usize>,
}

/// A zone as a tier sees it.
#[derive(Clone, Debug, Default)]
pub struct SeenZone {
    /// The nodes that the tier may use.
    pub condition: ZoneCondition,
    /// Whether these, and their faults, are those of the cluster's record.
    pub is_whole: bool,
    /// Whether labels alone would let the tier's pods use a node there.
    pub is_matched: bool,
}

impl Eligible {
    /// A node that runs a pod of the tier is one of its nodes.
    pub fn add_node_of(&mut self, scheduler: &Scheduler<'_>, pod: PodId) {
        if let Some(row) = scheduler.row_of_pod(pod)
            && self.seen(row).is_some_and(|(_, seen)| !seen.is_eligible)
        {
            self.extra.insert(row);
        }
    }

    fn seen(&self, row: usize) -> Option<(&NodeGroup, &SeenGroup)> {
        let group = (*self.grouping.group_of_row.get(row)?)? as usize;
        Some((self.grouping.groups.get(group)?, self.groups.get(group)?))
    }

    fn fault_of_extra(group: &NodeGroup) -> Option<NodeFault> {
        let recent = || Some(NodeFault::tainted(Name::clone(&group.recent.first()?.key)));
        group.fault.clone().or_else(recent)
    }

    /// The zones in which there are nodes.
    #[must_use]
    pub fn zones(&self) -> BTreeMap<Zone, SeenZone> {
        let mut zones: BTreeMap<&Zone, (ConditionCount, bool, bool)> = BTreeMap::new();
        for (group, seen) in self.grouping.groups.iter().zip(&self.groups) {
            let Some(zone) = &group.example.zone else { continue };
            let (count, is_whole, is_matched) =
                zones.entry(zone).or_insert_with(|| (ConditionCount::default(), true, false));
            if seen.is_eligible {
                count.add(group.nodes, seen.fault.as_ref());
            }
            *is_whole &= seen.is_eligible == group.is_in_record;
            *is_whole &= !seen.is_eligible || seen.fault == Self::fault_of_extra(group);
            *is_matched |= seen.is_matched;
        }
        for row in &self.extra {
            let Some((group, _)) = self.seen(*row) else { continue };
            if let Some((count, ..)) =
                group.example.zone.as_ref().and_then(|zone| zones.get_mut(zone))
            {
                count.add(1, Self::fault_of_extra(group).as_ref());
            }
        }
        let seen = zones.into_iter().map(|(zone, (count, is_whole, is_matched))| {
            (zone.clone(), SeenZone { condition: count.condition(), is_whole, is_matched })
        });
        seen.collect()
    }

    /// Whether the tier may use a node.
    #[must_use]
    pub fn has(&self, scheduler: &Scheduler<'_>, node: &str) -> bool {
        let Some(row) = scheduler.row_of(node) else { return false };
        self.extra.contains(&row) || self.seen(row).is_some_and(|(_, seen)| seen.is_eligible)
    }

    /// The nodes that the tier may use, and the taints on each that do it no harm.
    pub fn nodes<'s>(
        &'s self,
        scheduler: &'s Scheduler<'_>,
    ) -> impl Iterator<Item = (Name, Vec<Taint>)> + 's {
        scheduler.rows().iter().enumerate().filter_map(|(row, known)| {
            let (group, seen) = self.seen(row)?;
            let is_extra = self.extra.contains(&row);
            (seen.is_eligible || is_extra).then(|| {
                let is_borne = !is_extra && seen.fault == group.fault;
                let borne = group.recent.iter().filter(|_| is_borne);
                let harmless = group.pool.iter().chain(borne).cloned().collect();
                (Name::clone(&known.node.name), harmless)
            })
        })
    }
}
