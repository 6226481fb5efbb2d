//! How a pod that comes to a node, or leaves one, changes where another lands.

use crate::observe::{Pod, Template, VolumeSource};

use super::in_flight::PendingPod;
use super::plugins::Plugin;
use super::plugins::node_resources::{Arrivals, Usage};
use super::plugins::score::MAX;
use super::plugins::spread_constraints::{Constraints, counts};
use super::prefilter::PodRef;
use super::scheduler::Scheduler;

const THOUSAND: i64 = 1000;

/// How much the score of a node changes at most when pods come to it or leave it.
///
/// What the pods ask for adds up; what kube-scheduler rounds off, it does once for a node,
/// however many pods they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MostChange {
    /// In thousandths of a point.
    thousandths: i64,
    /// In points.
    rounding: i64,
}

impl MostChange {
    /// When the pods of both come or leave.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            thousandths: self.thousandths.saturating_add(other.thousandths),
            rounding: self.rounding.max(other.rounding),
        }
    }

    /// When so many times the pods come or leave.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if count == 0 {
            return Self::default();
        }
        Self { thousandths: self.thousandths.saturating_mul(count), ..self }
    }

    /// The larger of both, in either respect.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            thousandths: self.thousandths.max(other.thousandths),
            rounding: self.rounding.max(other.rounding),
        }
    }

    /// In points, rounded up.
    #[must_use]
    pub fn points(self) -> i64 {
        (self.thousandths / THOUSAND).saturating_add(1).saturating_add(self.rounding)
    }

    /// The sum of what two plugins give.
    const fn plus(self, other: Self) -> Self {
        Self {
            thousandths: self.thousandths + other.thousandths,
            rounding: self.rounding + other.rounding,
        }
    }

    const fn weighted(self, weight: i64) -> Self {
        Self { thousandths: self.thousandths * weight, rounding: self.rounding * weight }
    }
}

/// On which others the landing of a pod depends.
pub struct Minding<'a> {
    scheduler: &'a Scheduler<'a>,
    pod: &'a PendingPod,
    /// None if they cannot be known: it may depend on anything then.
    constraints: Option<Constraints>,
}

impl Minding<'_> {
    /// Whether the landing depends on pods like this in more than the room that they take: it
    /// counts them to be spread, a term of affinity of one matches the other, or both want
    /// ports or volumes.
    #[must_use]
    pub fn minds(&self, other: &PendingPod) -> bool {
        self.minds_any(PodRef::from(other))
    }

    /// The same of a pod that is there.
    #[must_use]
    pub fn minds_pod(&self, other: &Pod) -> bool {
        self.minds_any(PodRef::from(other))
    }

    fn minds_any(&self, other: PodRef<'_>) -> bool {
        self.pod.namespace == *other.namespace && self.is_spread_by(other)
            || self.scheduler.minds_any_presence(self.pod, other)
    }

    /// Whether one of the pod's spread constraints counts the other.
    fn is_spread_by(&self, other: PodRef<'_>) -> bool {
        self.constraints.as_ref().is_none_or(|known| {
            let mut constraints = known.constraints.iter();
            constraints.any(|constraint| counts(constraint.selector.as_ref(), other.labels))
        })
    }
}

impl Scheduler<'_> {
    /// What the landing of `pod` depends on, to be asked about many others.
    #[must_use]
    pub fn minding<'a>(&'a self, pod: &'a PendingPod) -> Minding<'a> {
        Minding { scheduler: self, pod, constraints: Constraints::of(self, pod).ok() }
    }

    /// Whether the landing of `pod` depends on pods like `other` in more than the room that
    /// they take, spreading left aside: for that, pods that terminate no longer count.
    #[must_use]
    pub fn minds_presence(&self, pod: &PendingPod, other: &PendingPod) -> bool {
        self.minds_any_presence(pod, PodRef::from(other))
    }

    fn minds_any_presence(&self, pod: &PendingPod, other: PodRef<'_>) -> bool {
        let ports = |template: &Template| !template.host_ports.is_empty();
        ports(&pod.template) && ports(other.template)
            || has_claims(&pod.template) && has_claims(other.template)
            || self.have_terms(PodRef::from(pod), other)
    }

    /// How the score of a node for any pod changes at most when a pod with this template comes
    /// to it or leaves it, if the node has room all the time. None if the node is not known.
    #[must_use]
    pub fn most_change(&self, node: &str, template: &Template) -> Option<MostChange> {
        let has = &self.rows()[self.row_of(node)?].node.allocatable;
        let share = |asked: i64, capacity: i64| {
            if capacity > 0 { asked.saturating_mul(100 * THOUSAND) / capacity + 1 } else { 0 }
        };
        let counted = template.counted();
        let more = template.more_by_container().copied().unwrap_or_default();
        // Half of the sum, where the node has both resources; both are rounded, and the half.
        let (cpu, memory) = (
            share(counted.scored_cpu_milli + more.scored_cpu_milli.max(0), has.cpu_milli),
            share(counted.scored_memory + more.scored_memory.max(0), has.memory),
        );
        let halves = if has.cpu_milli > 0 && has.memory > 0 { 2 } else { 1 };
        let least_allocated = MostChange { thousandths: (cpu + memory) / halves + 1, rounding: 2 };
        // By half of what the distance of the shares changes.
        let asked = counted.requests;
        let distance = share(asked.cpu_milli + more.cpu_milli.max(0), has.cpu_milli)
            .max(share(asked.memory + more.memory.max(0), has.memory));
        let balanced = MostChange { thousandths: distance / 2 + 1, rounding: 3 };
        let weight = |plugin| self.config.weights.of(plugin).abs();
        Some(
            least_allocated
                .weighted(weight(Plugin::NodeResourcesFit))
                .plus(balanced.weighted(weight(Plugin::NodeResourcesBalancedAllocation))),
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

    /// Pods that may come to a node: none yet.
    #[must_use]
    pub fn no_arrivals(&self) -> Arrivals {
        Arrivals::none(self.version())
    }

    /// Whether a node has no room for the pod, as the cluster shows it and when pods that ask
    /// for so much have come.
    #[must_use]
    pub fn is_full(&self, node: &str, pod: &PendingPod, coming: Option<&Usage>) -> bool {
        self.row_of(node).is_none_or(|row| {
            let (node, entry) = (&self.rows()[row].node, self.entry(row));
            let mut usage = self.usage(row);
            if let Some(coming) = coming {
                usage.combine(coming);
            }
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
