//! `zonespread predict POD`: where its replacement would land.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use crate::observe::{Index, Kind, Pod, PodId};
use crate::predict::{Landing, NodeScore, Prediction, Rejection};

use super::Failure;
use super::cluster::Access;
use super::output::{Output, note};
use super::source::Source;
use super::view::{PredictedScheduler, PredictionTable, pod_names};

/// Arguments of `zonespread predict`.
#[derive(Debug, Args)]
pub struct Predict {
    /// The pod, as NAME or NAMESPACE/NAME
    #[arg(value_name = "POD")]
    pod: String,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    output: Output,
}

/// Where the replacement of a pod would land.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// The pod.
    pub pod: String,
    /// The zones of `nodes`.
    pub zones: Vec<String>,
    /// The nodes that tie for best.
    pub nodes: Vec<String>,
    /// Whether the zone is.
    pub certain: bool,
    /// How probable each zone is, 0 to 1, rounded to hundredths.
    pub probability: BTreeMap<String, f64>,
    /// The pods of negative priority that it pushes out of the first node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preempts: Vec<String>,
    /// What becomes of it if it is made otherwise, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unless: Option<Otherwise>,
    /// Why it cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpredictable: Option<String>,
    /// Nodes that cannot take it.
    pub filtered: Vec<Filtered>,
    /// The others, the best first.
    pub scores: Vec<Scored>,
    /// The scheduler that this is about.
    pub scheduler: PredictedScheduler,
    /// For the table: `shop/web-1, now on node a1 in zone a`.
    #[serde(skip)]
    pub title: String,
}

/// What becomes of a replacement under another assumption.
#[derive(Debug, Serialize)]
pub struct Otherwise {
    /// The assumption.
    pub what: String,
    /// The zones in which it may land then; none if it would stay Pending.
    pub zones: Vec<String>,
}

/// A node that cannot take the pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Filtered {
    /// The node.
    pub node: String,
    /// The scheduler's plugin that says no.
    pub plugin: &'static str,
    /// Why.
    pub message: String,
    /// Pods of lower, but not negative, priority whose room would do and is not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// For the table.
    #[serde(skip)]
    pub zone: Option<String>,
}

/// A node that can take the pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scored {
    /// The node.
    pub node: String,
    /// Its points.
    pub total: i64,
    /// Points by plugin, weighted.
    pub by_plugin: BTreeMap<&'static str, i64>,
    /// For the table.
    #[serde(skip)]
    pub zone: Option<String>,
    /// For the table: what took points from it.
    #[serde(skip)]
    pub note: Option<String>,
}

impl Predict {
    /// Prints the prediction.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let snapshot = self.source.look(access, &[Kind::Node, Kind::Pod])?;
        let index = snapshot.operator.index();
        let (id, pod) = find(index, &self.pod, snapshot.namespace.as_deref())?;
        if pod.owner.is_none() {
            note(&format!("pod {} has no controller: nothing would replace it", pod.name));
        }
        let mut in_flight = snapshot.operator.in_flight_pods();
        in_flight.evict(id);
        let scheduler = snapshot.operator.scheduler();
        let prediction = scheduler.predict(&in_flight, &scheduler.replacing(pod));
        let known = PredictedScheduler::from(snapshot.operator.scheduler_version());
        let answer = Answer { scheduler: known, ..Answer::new(index, pod, prediction) };
        self.output.print(&answer, |answer| PredictionTable::of(answer).to_string())
    }
}

/// The pod of that name.
fn find<'a>(
    index: &'a Index,
    name: &str,
    namespace: Option<&str>,
) -> Result<(PodId, &'a Pod), Failure> {
    let (namespace, name) = match name.strip_prefix("pod/").unwrap_or(name).split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (namespace, name),
    };
    let found: Vec<(PodId, &Pod)> = match namespace {
        Some(namespace) => {
            let id = index.cluster().pod_id(namespace, name);
            id.and_then(|id| Some((id, index.cluster().pod(id)?))).into_iter().collect()
        }
        None => index.cluster().pods().filter(|(_, pod)| *pod.name == *name).collect(),
    };
    match (found[..].split_first(), namespace) {
        (Some((only, [])), _) => Ok(*only),
        (None, Some(namespace)) => Err(format!("no pod {name} in namespace {namespace}").into()),
        (None, None) => Err(format!("no pod {name}").into()),
        (Some(_), _) => {
            let mut namespaces: Vec<&str> = found.iter().map(|(_, pod)| &*pod.namespace).collect();
            namespaces.sort_unstable();
            Err(format!(
                "pods {name} are in the namespaces {}: say which with -n",
                namespaces.join(", ")
            )
            .into())
        }
    }
}

impl Answer {
    fn new(index: &Index, pod: &Pod, prediction: Prediction) -> Self {
        let node = pod.node.as_deref().map_or("no node".to_owned(), |node| format!("node {node}"));
        let zone = index.cluster().zone_of(pod);
        let zone = zone.map_or_else(String::new, |zone| format!(" in zone {zone}"));
        let mut answer = Self {
            pod: pod.name.to_string(),
            zones: Vec::new(),
            nodes: Vec::new(),
            certain: false,
            probability: BTreeMap::new(),
            preempts: Vec::new(),
            unless: None,
            unpredictable: None,
            filtered: Vec::new(),
            scores: Vec::new(),
            scheduler: PredictedScheduler::default(),
            title: format!("{}/{}, now on {node}{zone}", pod.namespace, pod.name),
        };
        match prediction {
            Prediction::Lands(landing) => {
                answer.preempts = pod_names(index, &landing.preempts);
                answer.lands(landing);
            }
            Prediction::Pending(rejections) => {
                answer.filtered = rejections.into_iter().map(Filtered::from).collect();
            }
            Prediction::Unpredictable(reason) => answer.unpredictable = Some(reason),
        }
        answer
    }

    fn lands(&mut self, landing: Landing) {
        self.zones = landing.zones.iter().map(ToString::to_string).collect();
        self.nodes = landing.nodes.iter().map(ToString::to_string).collect();
        self.certain = landing.certain;
        self.unless = landing.unless.map(|unless| Otherwise {
            what: unless.what,
            zones: match unless.prediction {
                Prediction::Lands(landing) => {
                    landing.zones.iter().map(ToString::to_string).collect()
                }
                Prediction::Pending(_) | Prediction::Unpredictable(_) => Vec::new(),
            },
        });
        let rounded = |share: f64| (share * 100.0).round() / 100.0;
        let odds = landing
            .zone_probability
            .iter()
            .map(|(zone, share)| (zone.to_string(), rounded(*share)));
        self.probability = odds.collect();
        self.filtered = landing.rejections.into_iter().map(Filtered::from).collect();
        self.scores = landing.scores.into_iter().map(Scored::from).collect();
        self.scores.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.node.cmp(&b.node)));
    }
}

impl From<Rejection> for Filtered {
    fn from(rejection: Rejection) -> Self {
        Self {
            node: rejection.node.to_string(),
            plugin: rejection.plugin.as_str(),
            message: rejection.message,
            held_by: rejection.held_by,
            zone: rejection.zone.map(|zone| zone.to_string()),
        }
    }
}

impl From<NodeScore> for Scored {
    fn from(score: NodeScore) -> Self {
        Self {
            node: score.node.to_string(),
            total: score.total,
            by_plugin: score
                .by_plugin
                .into_iter()
                .map(|(plugin, points)| (plugin.as_str(), points))
                .collect(),
            zone: score.zone.map(|zone| zone.to_string()),
            note: score.note,
        }
    }
}
