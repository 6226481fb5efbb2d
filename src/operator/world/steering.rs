//! Steering in the small world: what the status says holds at once.

use super::World;
use crate::observe::fixtures::{NodeFixture, node};
use crate::observe::{Change, EMPTY_NODE, Zone};
use crate::plan::SteeringRight;

impl World {
    /// `kubectl apply -k deploy/steering`, and the end of that.
    pub fn install_steering(&mut self, steers: bool) {
        self.steers = steers;
        self.operator.set_steering_right(self.steering_right());
    }

    pub(super) fn steering_right(&self) -> SteeringRight {
        if self.steers { SteeringRight::Proven } else { SteeringRight::default() }
    }

    /// The zone that a new pod in place of this one prefers.
    pub(super) fn steered(&self, pod: &str) -> Option<Zone> {
        let cluster = self.operator.index().cluster();
        let app = &cluster.pod(cluster.pod_id("default", pod)?)?.labels["app"];
        let steering = self.statuses.get(app)?.steering.as_ref().filter(|_| self.steers)?;
        let tier = steering.tiers.iter().find(|tier| tier.name == *app)?;
        (tier.until.0 > self.now).then(|| Zone::new(&tier.zone))
    }

    /// The zone's nodes take pods, though the scheduler avoids them.
    pub fn open_unloved(&mut self, zone: &str) {
        for name in self.nodes_in(zone) {
            let shown = node(name).zone(zone).taint(EMPTY_NODE, "PreferNoSchedule");
            self.operator.apply(Change::Node(shown.watched()));
        }
    }

    /// A node as it is now.
    pub(super) fn shown_node(&self, name: &str, zone: &str) -> Option<NodeFixture> {
        let known = self.operator.index().cluster().node(name)?.0;
        let mut shown = node(name).zone(zone);
        if known.unschedulable {
            shown = shown.cordoned();
        }
        if known.taints.iter().any(|taint| &*taint.key == EMPTY_NODE) {
            shown = shown.taint(EMPTY_NODE, "PreferNoSchedule");
        }
        if let Some(mark) = &known.drill {
            shown = shown.drilled(mark);
        }
        Some(shown)
    }
}
