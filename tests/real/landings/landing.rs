//! One landing: what was predicted, and what the scheduler did.

use super::profiles;
use super::scheduler_log::Score;
use super::world::{Objects, World};
use serde_json::{Value, json};
use zonespread::observe::{Index, Zone};
use zonespread::predict::{
    InFlightPods, Landing, PendingPod, Prediction, Release, Scheduler, SchedulerVersion,
};

/// A pod that was evicted, and where its replacement landed.
pub struct Observed {
    pub version: SchedulerVersion,
    pub seed: u64,
    pub step: usize,
    pub namespace: String,
    pub evicted: String,
    /// The zone that the replacement was made to prefer.
    pub steered: Option<String>,
    /// The node; none if the replacement stayed Pending.
    pub landed: Option<String>,
    /// Whether it was there when the test went on: the scheduler may choose a node, make room
    /// and leave the pod alone.
    pub is_placed: bool,
    pub before: Objects,
    pub prediction: Prediction,
    pub outcome: Outcome,
    /// What the scheduler gave the nodes, by its log; of misses only.
    pub scheduler: Vec<Score>,
}

/// How a prediction compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As predicted, in a zone that was certain or not.
    Hit {
        certain: bool,
        ties: usize,
    },
    /// Predicted and was Pending.
    Pending,
    Miss,
    /// A miss although the zone was certain.
    CertainMiss,
    Unpredictable,
    /// Something else happened meanwhile: it tells nothing.
    Disturbed,
}

/// Where the replacement of a pod would land.
pub fn predicted(
    index: &Index,
    version: SchedulerVersion,
    (namespace, evicted): (&str, &str),
    steered: Option<&str>,
) -> Prediction {
    let cluster = index.cluster();
    let id = cluster.pod_id(namespace, evicted).expect("the pod to be evicted");
    let mut in_flight = InFlightPods::default();
    in_flight.evict(id);
    let replacement = PendingPod::replacing(cluster, cluster.pod(id).expect("the pod of this id"));
    let replacement = replacement.steered(steered.map(Zone::new).as_ref());
    let cache = profiles::cache_of(version, &replacement.template.scheduler);
    Scheduler::new(cluster, &cache).predict(&in_flight, &replacement)
}

/// Whether the replacement stays Pending under one of the assumptions that may be right.
fn may_wait(landing: &Landing) -> bool {
    let unless = landing.unless.as_ref();
    unless.is_some_and(|unless| matches!(unless.prediction, Prediction::Pending(_)))
}

/// Compares. From 100 nodes on the scheduler looks at a sample, and only the
/// zones can be held against a prediction.
pub fn outcome(index: &Index, prediction: &Prediction, landed: Option<&str>) -> Outcome {
    let sampled = index.cluster().node_count() >= 100;
    match (prediction, landed) {
        (Prediction::Unpredictable(_), _) => Outcome::Unpredictable,
        (Prediction::Pending(_), None) => Outcome::Pending,
        (Prediction::Pending(_), Some(_)) => Outcome::CertainMiss,
        (Prediction::Lands(landing), None) if landing.certain => Outcome::CertainMiss,
        (Prediction::Lands(landing), None) if may_wait(landing) => Outcome::Pending,
        (Prediction::Lands(_), None) => Outcome::Miss,
        (Prediction::Lands(landing), Some(node)) => {
            let Landing { nodes, zones, certain, .. } = landing;
            let zone = index.cluster().zone_of_node(node);
            let in_set = nodes.iter().any(|known| **known == *node);
            let in_zone = zones.len() == 1 && zone == zones.first();
            let in_zones = zone.is_some_and(|zone| zones.contains(zone));
            // Nodes without a zone are in no list of zones.
            let fits_sample = sampled && (in_zones || (zone.is_none() && !certain));
            match (in_set || fits_sample, *certain) {
                (true, certain) => Outcome::Hit { certain, ties: nodes.len() },
                (false, false) => Outcome::Miss,
                (false, true) if in_zone => Outcome::Miss,
                (false, true) => Outcome::CertainMiss,
            }
        }
    }
}

impl Observed {
    /// What is kept of a mismatch: JSON, an object of the cluster in each line.
    pub fn to_fixture(&self) -> String {
        let head = json!({
            "version": self.version.as_str(), "seed": self.seed, "step": self.step,
            "namespace": self.namespace, "evicted": self.evicted, "landed": self.landed,
            "steered": self.steered,
        });
        let head = head.to_string();
        let list = self.before.to_list();
        let items: Vec<String> =
            list["items"].as_array().unwrap().iter().map(ToString::to_string).collect();
        let head = head.strip_suffix('}').unwrap();
        format!("{head},\"cluster\":{{\"items\":[\n{}\n]}}}}\n", items.join(",\n"))
    }
}

/// A fixture's world, prediction and outcome.
pub fn replay(fixture: &Value) -> (World, Prediction, Outcome) {
    let world = World::read(&fixture["cluster"]);
    let text = |field: &str| fixture[field].as_str();
    let version = text("version").and_then(Release::parse).map(SchedulerVersion::nearest);
    let (namespace, evicted) = (text("namespace").unwrap(), text("evicted").unwrap());
    let (version, of) = (version.unwrap_or_default(), (namespace, evicted));
    let prediction = predicted(&world.index, version, of, text("steered"));
    let outcome = outcome(&world.index, &prediction, text("landed"));
    (world, prediction, outcome)
}

/// What a reader needs to understand a mismatch.
pub fn explain(prediction: &Prediction, landed: Option<&str>) -> String {
    let landed = landed.unwrap_or("nowhere");
    let (rejections, scores) = match prediction {
        Prediction::Unpredictable(why) => return format!("unpredictable: {why}"),
        Prediction::Pending(rejections) => (rejections, &[][..]),
        Prediction::Lands(landing) => (&landing.rejections, &landing.scores[..]),
    };
    let mut lines = match prediction {
        Prediction::Lands(landing) => vec![format!(
            "predicted {:?} (certain: {}), landed on {landed}",
            landing.nodes, landing.certain
        )],
        _ => vec![format!("predicted Pending, landed on {landed}")],
    };
    let best = scores.iter().max_by_key(|score| score.total);
    let there = scores.iter().find(|score| *score.node == *landed);
    for score in best.into_iter().chain(there) {
        lines.push(format!("  {} {} {:?}", score.node, score.total, score.by_plugin));
    }
    if let Some(rejection) = rejections.iter().find(|rejection| *rejection.node == *landed) {
        lines.push(format!("  rejected: {rejection:?}"));
    }
    lines.join("\n")
}
