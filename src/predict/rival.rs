//! Schedulers that a cluster may have instead of the one that is assumed: clouds configure
//! theirs, and do not show it. Where a landing is missed and one of these would have chosen
//! as the cluster's scheduler did, that is said, with the flag that tells the truth.

use crate::api::ZONE_LABEL;
use crate::observe::{Cluster, SpreadConstraint, Zone};

use super::cache::SchedulerCache;
use super::config::{DefaultConstraints, SchedulerConfig};
use super::in_flight::{InFlightPods, PendingPod};
use super::scheduler::Scheduler;
use super::version::SchedulerVersion;

/// A scheduler that a cluster may have instead of the assumed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rival {
    /// It spreads pods without constraints softly over zones with maxSkew 1, as AKS does.
    ZonesSoftly,
    /// It does not spread pods without constraints.
    NoDefaults,
    /// It spreads pods without constraints as kube-scheduler does by itself.
    SystemDefaults,
    /// One from before 1.36: while a control plane is upgraded, its scheduler is the last.
    Before1_36,
    /// One of 1.36 or later.
    Since1_36,
}

impl Rival {
    /// What is different about it, and what to do if the cluster has it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::ZonesSoftly => {
                "a scheduler with defaultConstraints of maxSkew 1 over zones, as AKS has them, chooses so: if this one does, set --scheduler-config"
            }
            Self::NoDefaults => {
                "a scheduler without defaultConstraints (defaultingType: List) chooses so: if this one has none, set --scheduler-config"
            }
            Self::SystemDefaults => {
                "a scheduler with the system's default constraints chooses so: see --scheduler-config"
            }
            Self::Before1_36 => {
                "kube-scheduler before 1.36 chooses so: if that runs here, set --scheduler-version"
            }
            Self::Since1_36 => {
                "kube-scheduler 1.36 or later chooses so: if that runs here, set --scheduler-version"
            }
        }
    }

    /// Whether it differs in what pods get that have no spread constraints.
    const fn is_of_defaults(self) -> bool {
        matches!(self, Self::ZonesSoftly | Self::NoDefaults | Self::SystemDefaults)
    }
}

/// The rivals of a scheduler.
#[derive(Debug)]
pub struct Rivals(Vec<(Rival, SchedulerCache)>);

impl Default for Rivals {
    fn default() -> Self {
        Self::of(&SchedulerConfig::default())
    }
}

impl Rivals {
    /// Those of a scheduler that is configured like this.
    #[must_use]
    pub fn of(config: &SchedulerConfig) -> Self {
        let spreading = |rival, default_constraints| {
            (rival, SchedulerConfig { default_constraints, ..config.clone() })
        };
        let of_version = |rival, version| (rival, SchedulerConfig { version, ..config.clone() });
        let mut rivals = match &config.default_constraints {
            DefaultConstraints::System => vec![
                spreading(
                    Rival::ZonesSoftly,
                    DefaultConstraints::List(vec![SpreadConstraint::soft(ZONE_LABEL, 1)]),
                ),
                spreading(Rival::NoDefaults, DefaultConstraints::List(Vec::new())),
            ],
            DefaultConstraints::List(_) => {
                vec![spreading(Rival::SystemDefaults, DefaultConstraints::System)]
            }
        };
        rivals.push(if config.version < SchedulerVersion::V1_36 {
            of_version(Rival::Since1_36, SchedulerVersion::NEWEST)
        } else {
            of_version(Rival::Before1_36, SchedulerVersion::V1_35)
        });
        Self(
            rivals
                .into_iter()
                .map(|(rival, config)| (rival, SchedulerCache::new(config)))
                .collect(),
        )
    }

    /// Where those put the pod that choose another zone than the expected ones.
    #[must_use]
    pub fn dissent(
        &self,
        cluster: &Cluster,
        in_flight: &InFlightPods,
        pod: &PendingPod,
        expected: &[Zone],
    ) -> Vec<(Rival, Vec<Zone>)> {
        let has_own = !pod.template.spread.is_empty();
        let asked = self.0.iter().filter(|(rival, _)| !(has_own && rival.is_of_defaults()));
        asked
            .filter_map(|(rival, cache)| {
                let scheduler = Scheduler::new(cluster, cache);
                let zones = scheduler.simulate(in_flight, pod).ok()?.best()?.zones;
                let is_other = zones.iter().any(|zone| !expected.contains(zone));
                is_other.then_some((*rival, zones))
            })
            .collect()
    }
}
