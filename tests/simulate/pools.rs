//! Nodes of another pool, which none of the tiers may use, and taints that come and go: the
//! first are no part of the tiers' zones, the second are an outage.

use crate::dice::Dice;
use crate::objects::Node;
use crate::script::{Millis, SECOND, Script, Trouble};
use crate::world::{Event, World};

/// For how long an agent keeps pods off a new node.
const STARTS: usize = 4_000;

impl Script {
    /// Some worlds have another pool, and people who taint nodes. Drawn apart, so that all
    /// else in a world is as it would be without.
    pub fn draw_pools(&mut self) {
        let dice = &mut Dice::new(self.seed ^ 0x0900_1a17);
        if !dice.chance(30) {
            return;
        }
        // The last zone has no other nodes.
        self.pool = (0..=self.zones.len()).map(|_| dice.below(3)).collect();
        self.starts_slowly = dice.chance(50);
        if self.kind.is_calm() {
            return;
        }
        for _ in 0..dice.between(1, 4) {
            let at = 20 * SECOND + dice.below(usize::try_from(self.end).unwrap()) as u64;
            let mut lasts = dice.pick(&[5, 20, 60, 200]) * SECOND;
            let zone = dice.below(self.zones.len());
            let (first, then) = if dice.chance(40) {
                (Trouble::FailPool(zone, true), Trouble::FailPool(zone, false))
            } else {
                let spared = dice.below(2);
                (Trouble::Taint(zone, spared, true), Trouble::Taint(zone, spared, false))
            };
            if matches!(first, Trouble::Taint(_, 0, true)) && dice.chance(60) {
                // The nodes are done one after the other: some are back before others.
                let left = 1 + dice.below(2);
                self.troubles.push((at + lasts, Trouble::Taint(zone, left, false)));
                lasts += dice.pick(&[20, 60, 200]) * SECOND;
            }
            self.troubles.push((at, first));
            self.troubles.push((at + lasts, then));
        }
        let quiet = self.end.saturating_sub(90 * SECOND);
        self.troubles.retain(|(at, trouble)| {
            // What has begun is ended, if only when the rest must be quiet.
            *at < quiet || !matches!(trouble, Trouble::FailPool(_, true) | Trouble::Taint(.., true))
        });
        for (at, trouble) in &mut self.troubles {
            if matches!(trouble, Trouble::FailPool(..) | Trouble::Taint(..)) {
                *at = (*at).min(quiet);
            }
        }
        self.troubles.sort_by_key(|(at, _)| *at);
    }
}

impl Node {
    /// Whether it counts for the health of the tiers' zones. Whose a new node is that was
    /// tainted before anybody used it, nobody can know.
    pub fn is_counted(&self) -> bool {
        let is_doubtful = self.tainted && self.created.is_some();
        !self.pool && !is_doubtful
    }
}

impl World {
    /// The nodes of the other pool in a zone are down, or up again.
    pub fn fail_pool(&mut self, zone: usize, fails: bool) {
        self.change_nodes(zone, |node| node.ready = if node.pool { !fails } else { node.ready });
    }

    /// All nodes of a zone that the tiers use, but the first few, get a taint, and lose their
    /// pods; or the taint is taken away.
    pub fn taint(&mut self, zone: usize, spared: usize, tainted: bool) {
        let own = self.nodes.iter().filter(|node| node.zone == zone && !node.pool);
        let hit: Vec<String> = own.skip(spared).map(|node| node.name.clone()).collect();
        self.change_nodes(zone, |node| {
            if hit.contains(&node.name) {
                node.tainted = tainted;
            }
        });
        if tainted {
            self.delete_pods(|_, pod| pod.node.as_ref().is_some_and(|node| hit.contains(node)));
        }
    }

    /// A node that has just been made: an agent keeps pods off it until it runs there.
    pub fn starts(&mut self, name: &str) {
        if self.now > 0 && self.script.starts_slowly {
            self.soon(500, STARTS, Event::StartedUp(name.to_owned()));
        }
    }

    pub fn started_up(&mut self, name: &str) {
        if let Some(zone) = self.node(name).map(|node| node.zone) {
            let name = name.to_owned();
            self.change_nodes(zone, |node| node.starting &= node.name != name);
        }
    }

    /// When a node is made.
    pub fn made_at(&self) -> Option<Millis> {
        (self.now > 0).then_some(self.now)
    }
}
