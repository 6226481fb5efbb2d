//! The profiles of the scheduler that pods land by: that of a scheduler without a
//! configuration, and such as clouds and people make. One process has them all, and pods
//! choose by `schedulerName`.

use serde_json::{Value, json};
use zonespread::predict::{SchedulerCache, SchedulerConfig, SchedulerVersion};

use super::terrain::ZONE;
use crate::dice::Dice;

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

/// Chooses a profile for a workload; two thirds of them name none.
pub fn choose(dice: &mut Dice, spec: &mut Value) {
    if dice.chance(35) {
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
