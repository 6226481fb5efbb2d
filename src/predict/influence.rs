//! How a pod that comes to a node, or leaves one, changes where another lands.

use crate::observe::{Template, VolumeSource};

use super::in_flight::PendingPod;
use super::plugins::Plugin;
use super::plugins::node_resources::Usage;
use super::plugins::score::MAX;
use super::plugins::spread_constraints::{Constraints, counts};
use super::prefilter::PodRef;
use super::scheduler::Scheduler;

impl Scheduler<'_> {
    /// Whether the landing of `pod` depends on pods like `other` in more than the room that
    /// they take: it counts them to be spread, a term of affinity of one matches the other,
    /// or both want ports or volumes.
    #[must_use]
    pub fn minds(&self, pod: &PendingPod, other: &PendingPod) -> bool {
        self.minds_presence(pod, other)
            || pod.namespace == other.namespace && self.is_spread_by(pod, other)
    }

    /// The same without spreading, for which pods that terminate no longer count.
    #[must_use]
    pub fn minds_presence(&self, pod: &PendingPod, other: &PendingPod) -> bool {
        let ports = |pod: &PendingPod| !pod.template.host_ports.is_empty();
        let claims = |pod: &PendingPod| has_claims(&pod.template);
        ports(pod) && ports(other)
            || claims(pod) && claims(other)
            || self.have_terms(PodRef::from(pod), PodRef::from(other))
    }

    /// Whether one of the pod's spread constraints counts the other.
    fn is_spread_by(&self, pod: &PendingPod, other: &PendingPod) -> bool {
        // What cannot be predicted may depend on anything.
        Constraints::of(self, pod).map_or(true, |known| {
            let mut constraints = known.constraints.iter();
            constraints.any(|constraint| counts(constraint.selector.as_ref(), &other.labels))
        })
    }

    /// By how many points at most the score of a node for any pod changes when a pod with
    /// this template comes to it or leaves it, if the node has room all the time. None if
    /// the node is not known.
    #[must_use]
    pub fn most_change(&self, node: &str, template: &Template) -> Option<i64> {
        let has = &self.rows()[self.row_of(node)?].node.allocatable;
        let share = |asked: i64, capacity: i64| {
            if capacity > 0 { asked.saturating_mul(100).div_euclid(capacity) + 1 } else { 0 }
        };
        let counted = template.counted();
        // Half of the sum, where the node has both resources.
        let (cpu, memory) = (
            share(counted.scored_cpu_milli, has.cpu_milli),
            share(counted.scored_memory, has.memory),
        );
        let halves = if has.cpu_milli > 0 && has.memory > 0 { 2 } else { 1 };
        let least_allocated = (cpu + memory) / halves + 1;
        // By half of what the distance of the shares changes, and roundings.
        let asked = counted.requests;
        let distance = share(asked.cpu_milli, has.cpu_milli).max(share(asked.memory, has.memory));
        let balanced = distance.div_euclid(2) + 3;
        let weight = |plugin| self.config.weights.of(plugin).abs();
        Some(
            weight(Plugin::NodeResourcesFit) * least_allocated
                + weight(Plugin::NodeResourcesBalancedAllocation) * balanced,
        )
    }

    /// By how many points at most the score of any node for `pod` grows when a pod like
    /// `other` starts somewhere: its images are on one node more.
    #[must_use]
    pub fn most_image_gain(&self, pod: &PendingPod, other: &PendingPod) -> i64 {
        let images = self.snapshot.images();
        let gain = images.most_gain(&pod.template, &other.template, self.rows().len());
        self.config.weights.of(Plugin::ImageLocality).abs() * gain
    }

    /// The highest score that images can give a node.
    #[must_use]
    pub fn most_image_score(&self) -> i64 {
        self.config.weights.of(Plugin::ImageLocality).abs() * MAX
    }

    /// Whether a node has no room for the pod, as the cluster shows it and when these others
    /// have come.
    #[must_use]
    pub fn is_full<'t>(
        &self,
        node: &str,
        pod: &PendingPod,
        others: impl IntoIterator<Item = &'t Template>,
    ) -> bool {
        self.row_of(node).is_none_or(|row| {
            let (node, entry) = (&self.rows()[row].node, self.entry(row));
            let mut usage = Usage::of(entry);
            others.into_iter().for_each(|other| usage.add(other));
            usage.shortages(&pod.template, node, entry).next().is_some()
        })
    }
}

fn has_claims(template: &Template) -> bool {
    let is_claim = |volume: &VolumeSource| {
        matches!(volume, VolumeSource::Claim(_) | VolumeSource::Ephemeral(_))
    };
    template.volumes.iter().any(is_claim)
}
