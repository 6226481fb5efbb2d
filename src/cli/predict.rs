//! `zonespread predict POD`: where its replacement would land.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use crate::observe::{Index, Kind, Name, Owner, Pod, PodId, PolicyEntry, Zone};
use crate::operator::Operator;
use crate::plan::{TierSettings, eviction_blocker};
use crate::predict::{Landing, NodeScore, Prediction, Rejection};

use super::Failure;
use super::cluster::Access;
use super::names::{Named, NamedKind};
use super::output::{Output, note};
use super::source::{Asks, Source};
use super::view::{PredictedScheduler, PredictionTable, pod_names};

/// Arguments of `zonespread predict`.
#[derive(Debug, Args)]
pub struct Predict {
    /// The pod, as NAME or pod/NAME, or a workload whose fullest zone gives one, as
    /// deploy/NAME, rs/NAME or sts/NAME
    #[arg(value_name = "POD")]
    pod: String,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    output: Output,
}

/// Where the replacement of a pod would land.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
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
    /// The zone that new pods of its tier are steered to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steered: Option<String>,
    /// What becomes of it if it is made otherwise, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unless: Option<Otherwise>,
    /// Why it cannot be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpredictable: Option<String>,
    /// Why the operator never evicts it, whatever is predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never_moved: Option<String>,
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
        let named = Named::parse(&self.pod, NamedKind::Pod, &KINDS)?;
        let snapshot =
            self.source.look(access, Asks::Namespace(named.namespace), &[Kind::Node, Kind::Pod])?;
        let index = snapshot.operator.index();
        let (id, pod) = find(index, &named, snapshot.namespace.as_deref())?;
        if named.kind != NamedKind::Pod {
            note(&format!("of {} this is asked about pod {}", self.pod, pod.name));
        }
        let mut in_flight = snapshot.operator.in_flight_pods();
        in_flight.evict(id);
        let scheduler = snapshot.operator.scheduler();
        let steered = steered(&snapshot.operator, id, snapshot.now);
        let replacement = scheduler.replacing(pod).steered(steered.as_ref());
        let prediction = scheduler.predict(&in_flight, &replacement);
        let answer = Answer {
            scheduler: PredictedScheduler::from(snapshot.operator.scheduler_version()),
            never_moved: never_moved(index, id, pod),
            steered: steered.as_ref().map(ToString::to_string),
            ..Answer::new(index, pod, prediction)
        };
        self.output.print(&answer, |answer| PredictionTable::of(answer).to_string())
    }
}

/// What can be asked about.
const KINDS: [NamedKind; 4] =
    [NamedKind::Pod, NamedKind::Deployment, NamedKind::ReplicaSet, NamedKind::StatefulSet];

/// The policy and the tier that have the pod.
fn tier_of(index: &Index, id: PodId) -> Option<(&PolicyEntry, &Name)> {
    index.policies().find_map(|policy| {
        let (tier, _) = policy.tiers.iter().find(|(_, pods)| pods.contains(&id))?;
        Some((policy, tier))
    })
}

/// The zone that new pods of the pod's tier are steered to.
fn steered(operator: &Operator, id: PodId, now: Timestamp) -> Option<Zone> {
    let (policy, tier) = tier_of(operator.index(), id)?;
    operator.steered_zone(&policy.key, tier, now).cloned()
}

/// Why the operator never evicts this pod, if so.
fn never_moved(index: &Index, id: PodId, pod: &Pod) -> Option<String> {
    let owner = tier_of(index, id);
    let settings = owner
        .map_or_else(TierSettings::default, |(policy, tier)| TierSettings::of(&policy.spec, tier));
    if let (Some((policy, _)), Some(reason)) = (owner, &settings.single_zone) {
        return Some(format!("policy {} accepts a single zone: {reason}", policy.key.name));
    }
    eviction_blocker(index, pod, &settings).map_or_else(
        || owner.is_none().then(|| "no policy has it in a tier".to_owned()),
        |blocker| Some(blocker.message(pod)),
    )
}

/// The pod that is asked about.
fn find<'a>(
    index: &'a Index,
    named: &Named<'_>,
    namespace: Option<&str>,
) -> Result<(PodId, &'a Pod), Failure> {
    let name = named.name;
    let within = |pod: &Pod| namespace.is_none_or(|namespace| *pod.namespace == *namespace);
    let found: Vec<(PodId, &Pod)> = index
        .cluster()
        .pods()
        .filter(|(_, pod)| within(pod))
        .filter(|(_, pod)| match named.kind {
            NamedKind::Pod => *pod.name == *name,
            kind => is_of(index, pod, kind, name) && pod.is_counted(),
        })
        .collect();
    let what = match named.kind {
        NamedKind::Pod => format!("pod {name}"),
        kind => format!("running pod of {kind:?} {name}"),
    };
    let place = namespace.map_or_else(String::new, |name| format!(" in namespace {name}"));
    let mut namespaces: Vec<&str> = found.iter().map(|(_, pod)| &*pod.namespace).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    match namespaces[..] {
        [] => Err(format!("no {what}{place}").into()),
        [_] => fullest(index, found).ok_or_else(|| format!("no {what}{place}").into()),
        _ => {
            Err(format!("{name} is in the namespaces {}: say which with -n", namespaces.join(", "))
                .into())
        }
    }
}

/// Whether a pod belongs to this workload, by way of a `ReplicaSet` where it is a Deployment.
fn is_of(index: &Index, pod: &Pod, kind: NamedKind, name: &str) -> bool {
    let is_named = |owner: &Owner| {
        let of_kind = match kind {
            NamedKind::Deployment => "Deployment",
            NamedKind::ReplicaSet => "ReplicaSet",
            _ => "StatefulSet",
        };
        *owner.kind == *of_kind && *owner.name == *name
    };
    if kind != NamedKind::Deployment {
        return pod.owner.as_deref().is_some_and(is_named);
    }
    let set = index.workload_of(pod);
    set.and_then(|set| set.owner.as_ref()).is_some_and(is_named)
}

/// Of several pods one of the zone that has most of them, the first by name: the planner
/// looks there, too.
fn fullest<'a>(index: &'a Index, mut pods: Vec<(PodId, &'a Pod)>) -> Option<(PodId, &'a Pod)> {
    let mut counts: BTreeMap<&Zone, usize> = BTreeMap::new();
    for (_, pod) in &pods {
        if let Some(zone) = index.cluster().zone_of(pod) {
            *counts.entry(zone).or_default() += 1;
        }
    }
    let count = |pod: &Pod| index.cluster().zone_of(pod).and_then(|zone| counts.get(zone)).copied();
    pods.sort_by(|(_, one), (_, other)| {
        count(other).cmp(&count(one)).then_with(|| one.name.cmp(&other.name))
    });
    pods.first().copied()
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
            steered: None,
            unless: None,
            unpredictable: None,
            never_moved: None,
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
