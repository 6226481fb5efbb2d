//! Reads a `KubeSchedulerConfiguration` (kubescheduler.config.k8s.io/v1), as
//! kube-scheduler's `--config` does.

use k8s_openapi::api::core::v1::TopologySpreadConstraint;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::observe::{Name, SpreadConstraint};

use super::config::{DefaultConstraints, SchedulerConfig};
use super::plugins::{Plugin, Weights};

/// Why a configuration cannot be read.
#[derive(Debug, Error)]
pub enum ConfigFileError {
    /// No YAML, or a field of another type.
    #[error("{0}")]
    Syntax(#[from] serde_saphyr::Error),
    /// Arguments of a plugin that are of another type.
    #[error("defaultConstraints of PodTopologySpread: {0}")]
    Arguments(#[from] serde_json::Error),
    /// kube-scheduler refuses them, too.
    #[error("defaultConstraints of PodTopologySpread need `defaultingType: List`")]
    DefaultingType,
    /// kube-scheduler refuses it, too.
    #[error(
        "defaultConstraints of PodTopologySpread have no labelSelector: it is made from the pod's Services and owner"
    )]
    DefaultSelector,
    /// A constraint that cannot be read.
    #[error("defaultConstraints of PodTopologySpread: {0}")]
    Constraint(String),
    /// Something else than a scheduler's configuration.
    #[error(
        "kind is {0:?}: expected a KubeSchedulerConfiguration, the file that kube-scheduler gets as --config"
    )]
    Kind(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    kind: String,
    percentage_of_nodes_to_score: Option<i64>,
    parallelism: Option<usize>,
    profiles: Vec<Profile>,
    extenders: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Profile {
    scheduler_name: Option<String>,
    percentage_of_nodes_to_score: Option<i64>,
    plugins: Plugins,
    plugin_config: Vec<PluginConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Plugins {
    multi_point: PluginSet,
    filter: PluginSet,
    score: PluginSet,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PluginSet {
    enabled: Vec<PluginEntry>,
    disabled: Vec<PluginEntry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PluginEntry {
    name: String,
    weight: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PluginConfig {
    name: String,
    args: Value,
}

impl SchedulerConfig {
    /// Reads the file that kube-scheduler gets as `--config`. Of several
    /// profiles the one for `default-scheduler` counts, else the first. What
    /// is set but not modelled makes every pod unpredictable, by name.
    ///
    /// # Errors
    /// When it is no such file.
    pub fn read(text: &str) -> Result<Self, ConfigFileError> {
        // By default more than 32 lines of comments in a row are an error.
        let options = serde_saphyr::options! { emit_comments: false };
        let file: File = serde_saphyr::from_str_with_options(text, options)?;
        if file.kind != "KubeSchedulerConfiguration" {
            return Err(ConfigFileError::Kind(file.kind));
        }
        let mut config = Self::default();
        let is_default = |profile: &&Profile| {
            profile.scheduler_name.as_deref().is_none_or(|name| name == "default-scheduler")
        };
        let profile = file.profiles.iter().find(is_default).or(file.profiles.first());
        config.percentage_of_nodes_to_score = profile
            .and_then(|profile| profile.percentage_of_nodes_to_score)
            .or(file.percentage_of_nodes_to_score)
            .unwrap_or(0);
        if let Some(parallelism) = file.parallelism.filter(|workers| *workers > 0) {
            config.parallelism = parallelism;
        }
        if !file.extenders.is_empty() {
            config.not_modelled = Some("extenders".to_owned());
        }
        if let Some(profile) = profile {
            if let Some(name) = &profile.scheduler_name {
                config.names = vec![Name::from(name.as_str())];
            }
            config.take_plugins(&profile.plugins);
            for entry in &profile.plugin_config {
                if let Some(plugin) = Plugin::named(&entry.name) {
                    config.take_arguments(plugin, &entry.args)?;
                }
            }
        }
        Ok(config)
    }

    fn take_plugins(&mut self, plugins: &Plugins) {
        for set in [&plugins.multi_point, &plugins.score] {
            for entry in &set.disabled {
                match Plugin::named(&entry.name) {
                    Some(plugin) => self.weights.set(plugin, 0),
                    None if entry.name == ALL_PLUGINS => self.weights = Weights::NONE,
                    None => {}
                }
            }
            for entry in &set.enabled {
                let Some(plugin) = Plugin::named(&entry.name) else { continue };
                match entry.weight {
                    Some(weight) if weight > 0 => self.weights.set(plugin, weight),
                    // Without a weight a plugin counts once.
                    _ if self.weights.of(plugin) == 0 => self.weights.set(plugin, 1),
                    _ => {}
                }
            }
        }
        let filters = plugins.filter.disabled.iter().chain(&plugins.multi_point.disabled);
        if let Some(entry) = filters.into_iter().next() {
            self.give_up(format!("plugin {} is disabled", entry.name));
        }
        let enabled = [&plugins.multi_point, &plugins.filter, &plugins.score];
        let unknown = enabled
            .into_iter()
            .flat_map(|set| &set.enabled)
            .find(|entry| Plugin::named(&entry.name).is_none() && !decides_nothing(&entry.name));
        if let Some(entry) = unknown {
            self.give_up(format!("plugin {} is enabled", entry.name));
        }
    }

    fn take_default_constraints(&mut self, listed: &Value) -> Result<(), ConfigFileError> {
        let listed: Option<Vec<TopologySpreadConstraint>> = serde_json::from_value(listed.clone())?;
        let listed = listed.unwrap_or_default().into_iter();
        let constraints = listed
            .map(|mut constraint| {
                // What the pods are told apart by comes from their Services and owners.
                if constraint.label_selector.take().is_some() {
                    return Err(ConfigFileError::DefaultSelector);
                }
                constraint.match_label_keys = None;
                constraint.try_into().map_err(ConfigFileError::Constraint)
            })
            .collect::<Result<Vec<SpreadConstraint>, _>>()?;
        self.default_constraints = DefaultConstraints::List(constraints);
        Ok(())
    }

    fn take_arguments(&mut self, plugin: Plugin, args: &Value) -> Result<(), ConfigFileError> {
        let is_set = |field: &str| args.get(field).is_some_and(|value| !value.is_null());
        match plugin {
            Plugin::PodTopologySpread => {
                if args["defaultingType"].as_str() == Some("List") {
                    self.take_default_constraints(&args["defaultConstraints"])?;
                } else if is_list(&args["defaultConstraints"]) {
                    return Err(ConfigFileError::DefaultingType);
                }
            }
            Plugin::InterPodAffinity => {
                if let Some(weight) = args["hardPodAffinityWeight"].as_i64() {
                    self.hard_pod_affinity_weight = weight;
                }
                if args["ignorePreferredTermsOfExistingPods"].as_bool() == Some(true) {
                    self.give_up("InterPodAffinity ignores existing pods' preferences".to_owned());
                }
            }
            Plugin::NodeResourcesFit => {
                let strategy = &args["scoringStrategy"];
                let kind = strategy["type"].as_str().unwrap_or("LeastAllocated");
                let resources = strategy["resources"].as_array().map_or(&[][..], Vec::as_slice);
                let usual = resources.iter().all(|resource| {
                    matches!(resource["name"].as_str(), Some("cpu" | "memory"))
                        && matches!(resource["weight"].as_i64(), None | Some(1))
                });
                if kind != "LeastAllocated" || !usual || resources.len() == 1 {
                    self.give_up(format!("NodeResourcesFit scores by {kind}"));
                } else if is_set("ignoredResources") || is_set("ignoredResourceGroups") {
                    self.give_up("NodeResourcesFit ignores resources".to_owned());
                }
            }
            Plugin::NodeAffinity if is_set("addedAffinity") => {
                self.give_up("NodeAffinity has an addedAffinity".to_owned());
            }
            Plugin::NodeResourcesBalancedAllocation if is_set("resources") => {
                self.give_up("NodeResourcesBalancedAllocation has resources of its own".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn give_up(&mut self, why: String) {
        self.not_modelled.get_or_insert(why);
    }
}

fn is_list(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty())
}

/// Stands for every plugin.
const ALL_PLUGINS: &str = "*";

/// Whether this is one of the scheduler's own plugins that do not decide where a pod
/// lands, or do so only for pods that are unpredictable anyway.
fn decides_nothing(plugin: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "SchedulingGates",
        "PrioritySort",
        "NodeName",
        "DefaultPreemption",
        "DefaultBinder",
        "DynamicResources",
        "NodeDeclaredFeatures",
        "GangScheduling",
    ];
    plugin == ALL_PLUGINS || OTHERS.contains(&plugin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ZONE_LABEL;

    fn read(rest: &str) -> SchedulerConfig {
        let head = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";
        SchedulerConfig::read(&format!("{head}{rest}")).unwrap()
    }

    #[test]
    fn an_empty_configuration_is_the_default() {
        assert_eq!(read(""), SchedulerConfig::default());
    }

    #[test]
    fn comments_meet_no_limit() {
        let config = read(&format!("{}percentageOfNodesToScore: 50\n", "# a line\n".repeat(200)));
        assert_eq!(config.percentage_of_nodes_to_score, 50);
    }

    #[test]
    fn weights_disabled_scores_and_arguments_are_taken_over() {
        let config = read(
            "percentageOfNodesToScore: 50
parallelism: 8
profiles:
- schedulerName: mine
  plugins:
    score:
      disabled: [{name: ImageLocality}]
      enabled: [{name: PodTopologySpread, weight: 5}]
  pluginConfig:
  - name: PodTopologySpread
    args: {defaultingType: List}
  - name: InterPodAffinity
    args: {hardPodAffinityWeight: 7}
",
        );
        let of = |plugin| config.weights.of(plugin);
        assert_eq!(config.names, [Name::from("mine")]);
        assert_eq!((of(Plugin::ImageLocality), of(Plugin::PodTopologySpread)), (0, 5));
        assert_eq!(of(Plugin::TaintToleration), 3);
        assert_eq!(config.default_constraints, DefaultConstraints::List(Vec::new()));
        assert_eq!((config.hard_pod_affinity_weight, config.percentage_of_nodes_to_score), (7, 50));
        assert_eq!((config.parallelism, config.not_modelled), (8, None));
    }

    #[test]
    fn what_is_not_modelled_is_named() {
        let config = read(
            "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated}}}]}]",
        );
        assert_eq!(
            config.not_modelled.as_deref(),
            Some("NodeResourcesFit scores by MostAllocated")
        );
        let config = read("profiles: [{plugins: {score: {enabled: [{name: Coscheduling}]}}}]");
        assert_eq!(config.not_modelled.as_deref(), Some("plugin Coscheduling is enabled"));
        let config = read("profiles: [{plugins: {filter: {disabled: [{name: NodePorts}]}}}]");
        assert_eq!(config.not_modelled.as_deref(), Some("plugin NodePorts is disabled"));
    }

    fn spread_args(args: &str) -> String {
        format!("profiles: [{{pluginConfig: [{{name: PodTopologySpread, args: {args}}}]}}]")
    }

    #[test]
    fn default_constraints_are_taken_over() {
        let zone = "{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway}";
        let config =
            read(&spread_args(&format!("{{defaultingType: List, defaultConstraints: [{zone}]}}")));
        let DefaultConstraints::List(constraints) = &config.default_constraints else {
            panic!("{config:?}")
        };
        let [only] = &constraints[..] else { panic!("{constraints:?}") };
        assert_eq!((&*only.topology_key, only.max_skew, only.hard), (ZONE_LABEL, 1, false));
        assert_eq!((&config.not_modelled, only.selector.is_none()), (&None, true));
    }

    #[test]
    fn default_constraints_that_kube_scheduler_refuses_are_refused_here() {
        let zone = "maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway";
        for (args, remedy) in [
            (format!("{{defaultConstraints: [{{{zone}}}]}}"), "defaultingType: List"),
            (
                format!(
                    "{{defaultingType: List, defaultConstraints: [{{{zone}, labelSelector: {{}}}}]}}"
                ),
                "no labelSelector",
            ),
            (
                "{defaultingType: List, defaultConstraints: [{maxSkew: one}]}".to_owned(),
                "defaultConstraints",
            ),
        ] {
            let text = format!("kind: KubeSchedulerConfiguration\n{}", spread_args(&args));
            let error = SchedulerConfig::read(&text).unwrap_err().to_string();
            assert!(error.contains(remedy), "{error}");
        }
    }

    #[test]
    fn another_file_is_refused_with_what_is_expected() {
        let error = SchedulerConfig::read("kind: KubeletConfiguration").unwrap_err();
        assert!(error.to_string().contains("KubeSchedulerConfiguration"), "{error}");
        assert!(SchedulerConfig::read("kind: [").is_err());
    }
}
