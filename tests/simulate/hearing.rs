//! What an operator must have heard of by now.

use crate::script::{Millis, SECOND, Watch};
use crate::world::World;
use zonespread::observe::Kind;

impl World {
    /// Up to when an operator must know what people said; none if it cannot be told. And
    /// since when a request that arrives now may have been on its way.
    pub fn news_of(&self, operator: usize) -> (Option<Millis>, Millis) {
        // Within a second.
        let heard = self.heard_of(operator, &[Watch::Policies], SECOND);
        (heard, self.now.saturating_sub(self.request_takes()))
    }

    fn request_takes(&self) -> Millis {
        let in_trouble = self.fault.is_some_and(|(_, until)| until + 6 * SECOND > self.now);
        if in_trouble { 5 * SECOND } else { 100 }
    }

    /// Up to when an operator must know what these watches show, if what it does now was
    /// decided so long before at most; none if it cannot be told.
    pub fn heard_of(&self, operator: usize, watches: &[Watch], decided: Millis) -> Option<Millis> {
        let streams = &self.streams[operator];
        let is_meant = |kind: &Kind| watches.iter().any(|watch| kinds(*watch).contains(kind));
        let deaf = streams.silent.iter().chain(&streams.failing);
        let silent = deaf.filter(|(kind, _)| is_meant(kind)).map(|(_, until)| *until).max();
        let frozen = self.processes[operator].as_ref().and_then(|process| process.frozen_until);
        let deaf_until = frozen.unwrap_or(0).max(silent.unwrap_or(0));
        let late = self.request_takes() + self.script.watch_delay + decided;
        (deaf_until + late < self.now).then(|| self.now.saturating_sub(late))
    }
}

/// What a watch that is troubled shows.
pub fn kinds(watch: Watch) -> &'static [Kind] {
    match watch {
        Watch::Pods => &[Kind::Pod],
        Watch::Nodes => &[Kind::Node],
        Watch::Workloads => &[Kind::ReplicaSet, Kind::StatefulSet, Kind::Deployment, Kind::Budget],
        Watch::Policies => &[Kind::Policy, Kind::Namespace, Kind::Zone],
    }
}
