//! The settings of one tier: its overrides, else the policy's settings, else
//! the defaults.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::{
    LocalStorage, LossReason, Mode, OpenZones, Rebalance, ScaleIn, Strategy, Trigger,
    ZoneSpreadPolicySpec,
};

/// How long a recovered zone is held unless a policy says otherwise.
pub const DEFAULT_HOLD_DOWN: Duration = Duration::from_mins(10);
const DEFAULT_SETTLE: Duration = Duration::from_mins(10);
const DEFAULT_LANDING_TIMEOUT: Duration = Duration::from_mins(5);

/// The settings of one tier.
#[derive(Clone, Debug, PartialEq)]
pub struct TierSettings {
    /// The largest allowed difference between two zones, in pods.
    pub max_skew: i32,
    /// Whether pods are moved.
    pub mode: Mode,
    /// How long a recovered zone is held, before any doubling.
    pub hold_down: Duration,
    /// Whether imbalances that no outage explains are moved.
    pub trigger: Trigger,
    /// How long the tier must have been steady before those are.
    pub settle: Duration,
    /// How long a replacement may take to become Available.
    pub landing_timeout: Duration,
    /// Whether pods with emptyDir volumes are moved.
    pub local_storage: LocalStorage,
    /// How pods are moved.
    pub strategy: Strategy,
    /// Whether a probe may open a zone without nodes.
    pub open_zones: OpenZones,
    /// Whether scale-downs are guided.
    pub scale_in: ScaleIn,
    /// The user's reason for accepting a single zone, if accepted.
    pub single_zone: Option<String>,
    /// Reasons why a zone is not safe to lose that are accepted.
    pub accepted_losses: Vec<LossReason>,
    max_unavailable: Option<IntOrString>,
}

impl Default for TierSettings {
    fn default() -> Self {
        Self {
            max_skew: 1,
            mode: Mode::default(),
            hold_down: DEFAULT_HOLD_DOWN,
            trigger: Trigger::default(),
            settle: DEFAULT_SETTLE,
            landing_timeout: DEFAULT_LANDING_TIMEOUT,
            local_storage: LocalStorage::default(),
            strategy: Strategy::default(),
            open_zones: OpenZones::default(),
            scale_in: ScaleIn::default(),
            single_zone: None,
            accepted_losses: Vec::new(),
            max_unavailable: None,
        }
    }
}

impl TierSettings {
    /// The settings of `tier`.
    #[must_use]
    pub fn of(spec: &ZoneSpreadPolicySpec, tier: &str) -> Self {
        let own = spec.tiers.iter().find(|candidate| candidate.name == tier);
        let none = Rebalance::default();
        let first = own.map_or(&none, |own| &own.rebalance);
        let then = &spec.rebalance;
        Self {
            max_skew: own.and_then(|own| own.max_skew).unwrap_or(spec.max_skew).max(1),
            mode: own.and_then(|own| own.mode).unwrap_or(spec.mode),
            hold_down: first.hold_down.or(then.hold_down).unwrap_or(DEFAULT_HOLD_DOWN),
            trigger: first.trigger.or(then.trigger).unwrap_or_default(),
            settle: first.settle.or(then.settle).unwrap_or(DEFAULT_SETTLE),
            landing_timeout: first
                .landing_timeout
                .or(then.landing_timeout)
                .unwrap_or(DEFAULT_LANDING_TIMEOUT),
            local_storage: first.local_storage.or(then.local_storage).unwrap_or_default(),
            strategy: first.strategy.or(then.strategy).unwrap_or_default(),
            open_zones: first.open_zones.or(then.open_zones).unwrap_or_default(),
            scale_in: first.scale_in.or(then.scale_in).unwrap_or_default(),
            accepted_losses: spec.accepted_losses().collect(),
            single_zone: own
                .and_then(|own| own.single_zone.as_ref())
                .filter(|single| single.accepted)
                .map(|single| single.reason.clone()),
            max_unavailable: first.max_unavailable.clone().or_else(|| then.max_unavailable.clone()),
        }
    }

    /// How long a replacement of `tier` may take; the default without a policy.
    #[must_use]
    pub fn landing_timeout_of(spec: Option<&ZoneSpreadPolicySpec>, tier: &str) -> Duration {
        spec.map_or(DEFAULT_LANDING_TIMEOUT, |spec| Self::of(spec, tier).landing_timeout)
    }

    /// The most pods that may be missing or moving at once, of `replicas`.
    #[must_use]
    pub fn budget(&self, replicas: i32) -> i32 {
        let percent_of = |percent: i32| (i64::from(replicas) * i64::from(percent) / 100).max(1);
        let budget = match &self.max_unavailable {
            Some(IntOrString::Int(number)) => i64::from((*number).max(1)),
            Some(IntOrString::String(text)) => {
                // The schema lets nothing else through; 1 % is the safe reading.
                percent_of(text.strip_suffix('%').and_then(|text| text.parse().ok()).unwrap_or(1))
            }
            None if replicas <= 3 => 1,
            None => percent_of(10).max(2),
        };
        i32::try_from(budget).unwrap_or(i32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn spec(value: serde_json::Value) -> ZoneSpreadPolicySpec {
        serde_json::from_value(value).unwrap()
    }

    #[rstest]
    #[case(1, 1)]
    #[case(3, 1)]
    #[case(4, 2)]
    #[case(10, 2)]
    #[case(11, 2)]
    #[case(29, 2)]
    #[case(30, 3)]
    #[case(60, 6)]
    fn the_default_budget_grows_with_the_tier(#[case] replicas: i32, #[case] budget: i32) {
        let spec = spec(json!({"selector": {"matchLabels": {"app": "x"}}}));
        assert_eq!(TierSettings::of(&spec, "web").budget(replicas), budget);
    }

    #[test]
    fn a_tier_that_grows_is_never_moved_more_slowly() {
        let settings = TierSettings::of(&spec(json!({"selector": {}})), "web");
        assert!((1..2_000).map(|replicas| settings.budget(replicas)).is_sorted());
    }

    #[test]
    fn a_tier_overrides_field_by_field_what_the_policy_says() {
        let spec = spec(json!({
            "selector": {"matchLabels": {"app": "x"}},
            "maxSkew": 2,
            "rebalance": {"holdDown": "1h", "maxUnavailable": "50%", "settle": "1h", "trigger": "Recovery"},
            "tiers": [{"name": "was", "maxSkew": 1, "rebalance": {"holdDown": "90s", "settle": "2m"}},
                      {"name": "redis", "mode": "Observe", "singleZone": {"accepted": true, "reason": "cache"}}],
        }));
        let was = TierSettings::of(&spec, "was");
        assert_eq!(
            (was.max_skew, was.mode, was.hold_down),
            (1, Mode::Auto, Duration::from_secs(90))
        );
        assert_eq!((was.settle, was.trigger), (Duration::from_mins(2), Trigger::Recovery));
        let web = TierSettings::of(&spec, "web");
        assert_eq!((web.settle, web.trigger), (Duration::from_hours(1), Trigger::Recovery));
        assert_eq!(was.budget(7), 3);
        let redis = TierSettings::of(&spec, "redis");
        assert_eq!((redis.max_skew, redis.mode), (2, Mode::Observe));
        assert_eq!(redis.single_zone.as_deref(), Some("cache"));
        let web = TierSettings::of(&spec, "web");
        assert_eq!((web.hold_down, web.single_zone), (Duration::from_hours(1), None));
    }
}
