//! The profiles of the scheduler that pods land by: that of a scheduler without a
//! configuration, and such as clouds and people make. One process has them all, and pods
//! choose by `schedulerName`.

use serde_json::{Value, json};
use zonespread::predict::{SchedulerCache, SchedulerConfig, SchedulerVersion};

use super::terrain::ZONE;
use crate::dice::{Dice, setting};

/// The profile of pods that name none.
const DEFAULT: &str = "default-scheduler";

/// The profile whose pods are scheduled in batches: a score may be half a second old
/// (`OpportunisticBatching`, 1.35).
const BATCHED: &str = "spreads-nothing";

/// All profiles, as a `KubeSchedulerConfiguration` lists them.
pub fn listed() -> Value {
    let spread = |constraints: Value| {
        let args = json!({"defaultingType": "List", "defaultConstraints": constraints});
        json!([{"name": "PodTopologySpread", "args": args}])
    };
    let zones = |max_skew: i32, action: &str| json!({"maxSkew": max_skew, "topologyKey": ZONE, "whenUnsatisfiable": action});
    let hosts = json!({"maxSkew": 2, "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway", "nodeTaintsPolicy": "Honor"});
    json!([
        {"schedulerName": DEFAULT},
        // As AKS configures it.
        {"schedulerName": "zones-softly",
            "pluginConfig": spread(json!([zones(1, "ScheduleAnyway")]))},
        {"schedulerName": "zones-strictly",
            "pluginConfig": spread(json!([zones(1, "DoNotSchedule"), hosts]))},
        {"schedulerName": BATCHED, "pluginConfig": spread(json!([]))},
        {"schedulerName": "other-weights",
            "plugins": {"score": {
                "disabled": [{"name": "NodeResourcesBalancedAllocation"}],
                "enabled": [{"name": "PodTopologySpread", "weight": 5},
                    {"name": "ImageLocality", "weight": 3}],
            }},
            "pluginConfig": [{"name": "InterPodAffinity", "args": {"hardPodAffinityWeight": 20}}]},
    ])
}

/// The profiles whose default constraints spread pods that have none of their own.
const SPREADING: [&str; 2] = ["zones-softly", "zones-strictly"];

/// Whether a default constraint over zones, of maxSkew 1, speaks for such pods.
pub fn spreads_by_default(template: &Value) -> bool {
    let profile = template["spec"]["schedulerName"].as_str().unwrap_or_default();
    let own = template["spec"]["topologySpreadConstraints"].as_array();
    SPREADING.contains(&profile) && own.is_none_or(Vec::is_empty)
}

/// Chooses a profile for a workload; more than half of them name none.
pub fn choose(dice: &mut Dice, spec: &mut Value) {
    let share = usize::try_from(setting("SHARE", 30)).unwrap();
    if dice.chance(share / 3) {
        spec.as_object_mut().unwrap().remove("topologySpreadConstraints");
        spec["schedulerName"] = json!(dice.pick(&SPREADING));
    } else if dice.chance(35) {
        let listed = listed();
        let profiles = listed.as_array().unwrap();
        spec["schedulerName"] =
            profiles[dice.between(1, profiles.len() - 1)]["schedulerName"].clone();
    }
}

/// Whether scores of this pod may be older than what the test did last.
pub fn is_batched(pod: &Value) -> bool {
    pod["spec"]["schedulerName"] == BATCHED
}

/// What is predicted with for pods that name this scheduler: what `--scheduler-config` reads
/// from the file that has its profile.
pub fn cache_of(version: SchedulerVersion, scheduler: &str) -> SchedulerCache {
    let mut listed = listed();
    let profiles = listed.as_array_mut().unwrap();
    profiles.retain(|profile| profile["schedulerName"] == scheduler);
    let file = json!({"kind": "KubeSchedulerConfiguration", "profiles": profiles});
    let config = SchedulerConfig::read(&file.to_string()).unwrap();
    SchedulerCache::new(SchedulerConfig { version, ..config })
}
