//! What moves that are under way may change on the nodes of a cluster, at most.

use rustc_hash::FxHashMap;

use crate::observe::{Cluster, Name, Template, Zone};
use crate::predict::{Arrivals, MostChange, Scheduler};

use super::open_landings::{OpenLanding, OpenLandings};

/// What moves may change on nodes.
#[derive(Default)]
pub(super) struct Touched<'o> {
    pub nodes: FxHashMap<&'o Name, TouchedNode<'o>>,
    /// Those that the move which may begin touches.
    pub of_next: Vec<&'o Name>,
    /// How much the best node of a zone may rise at most.
    rises: FxHashMap<Option<&'o Zone>, MostChange>,
    /// How much one pod that comes lowers a node at most.
    step: MostChange,
    /// How many may come to these zones.
    coming: FxHashMap<&'o [&'o Zone], usize>,
}

/// A node that pods leave or may come to.
pub(super) struct TouchedNode<'o> {
    pub zone: Option<&'o Zone>,
    /// How much its score may change.
    change: MostChange,
    /// Whether the pod of the move that may begin leaves it, or a pod of another move.
    pub left_by_next: bool,
    pub left_by_others: bool,
    /// What may come.
    pub coming: Arrivals,
}

impl<'o> Touched<'o> {
    /// By all moves that may be under way at once.
    pub fn by(
        cluster: &'o Cluster,
        scheduler: &Scheduler<'_>,
        open: &'o OpenLandings<'_>,
        next: &'o OpenLanding<'_>,
    ) -> Self {
        let mut touched = Self::default();
        let mut touch = |name: &'o Name, template: &'o Template, coming: bool, by_next: bool| {
            let zone = cluster.zone_of_node(name);
            if by_next {
                touched.of_next.push(name);
            }
            let node = touched.nodes.entry(name).or_insert_with(|| TouchedNode {
                zone,
                change: MostChange::default(),
                left_by_next: false,
                left_by_others: false,
                coming: scheduler.no_arrivals(),
            });
            let change = scheduler.most_change(name, template).unwrap_or_default();
            node.change = node.change.and(change);
            let rise = touched.rises.entry(zone).or_default();
            *rise = node.change.max(*rise);
            if coming {
                node.coming.add(template);
                touched.step = change.max(touched.step);
            } else {
                node.left_by_next |= by_next;
                node.left_by_others |= !by_next;
            }
        };
        for landing in open.landings.iter().chain([next]) {
            let by_next = std::ptr::eq(landing, next);
            let victim = landing.victim.and_then(|id| cluster.pod(id));
            if let Some((pod, name)) = victim.and_then(|pod| Some((pod, pod.node.as_ref()?))) {
                touch(name, &pod.template, false, by_next);
            }
            // It is made like the one or the other.
            let templates = || [&landing.pod.template].into_iter().chain(&landing.pod.as_now);
            for (name, template) in
                landing.nodes.iter().flat_map(|name| templates().map(move |made| (name, made)))
            {
                touch(name, template, true, by_next);
            }
        }
        let leaving = open.leaving.iter().filter_map(|id| cluster.pod(*id));
        for (pod, node) in leaving.filter_map(|pod| Some((pod, pod.node.as_ref()?))) {
            touch(node, &pod.template, false, false);
        }
        for landing in open.landings.iter().chain([next]) {
            *touched.coming.entry(&landing.to).or_default() += 1;
        }
        touched
    }

    /// By how many points the best node of another zone may rise.
    pub fn rise(&self, landing: &OpenLanding<'_>) -> i64 {
        let is_rival = |zone: Option<&Zone>| zone.is_none_or(|zone| !landing.to.contains(&zone));
        let rises = self.rises.iter().filter(|(zone, _)| is_rival(**zone));
        rises.map(|(_, rise)| rise.points()).max().unwrap_or(0)
    }

    /// By how many points the best of the nodes may fall when so many pods come to their
    /// zones: the one that gets the fewest gets no more than its share.
    pub fn fall(&self, arrivals: usize, spare: usize) -> i64 {
        match arrivals / spare.max(1) {
            0 => 0,
            share => self.step.times(share).points(),
        }
    }

    /// How many others may come to the zones where this one is expected.
    pub fn arrivals(&self, landing: &OpenLanding<'_>) -> usize {
        let shares = |zones: &[&Zone]| zones.iter().any(|zone| landing.to.contains(zone));
        let coming = self.coming.iter().filter(|(zones, _)| shares(zones));
        // It is one of them itself, if it goes anywhere.
        let all: usize = coming.map(|(_, count)| count).sum();
        all.saturating_sub(1)
    }
}
