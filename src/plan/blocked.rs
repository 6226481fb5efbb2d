//! Why a tier cannot reach a lower skew, and what would help.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Blocked, Reason};
use crate::observe::{EMPTY_NODE, Index, Pod, PodId, VolumeSource, Zone};
use crate::predict::{Landing, NodeScore, Plugin, Prediction, Rejection};

use super::evictable::EvictionBlocker;
use super::tier::TierView;

fn blocked(reason: Reason, message: String) -> Blocked {
    Blocked { reason, message }
}

/// Why the replacement of `pod` would not land in any of `targets`, steered or not if it can
/// be steered.
pub fn would_not_land(
    pod: &Pod,
    targets: &BTreeSet<&Zone>,
    prediction: &Prediction,
    can_be_steered: bool,
) -> Blocked {
    match prediction {
        Prediction::Unpredictable(why) => blocked(
            Reason::Unpredictable,
            format!(
                "the landing of a replacement for pod {} cannot be predicted, and nothing is evicted on a guess: {why}",
                pod.name
            ),
        ),
        Prediction::Pending(rejections) => {
            rejected(pod, targets, rejections).unwrap_or_else(|| {
                let message = format!(
                    "a replacement for pod {0} would stay Pending: `zonespread predict {0} -n {1}` shows which node rejects it, and why",
                    pod.name, pod.namespace
                );
                blocked(Reason::WouldNotLand, message)
            })
        }
        Prediction::Lands(landing) => {
            if let Some(unless) = &landing.unless
                && is_only(targets, landing, &unless.prediction)
            {
                let blocked =
                    would_not_land(pod, targets, &unless.prediction, can_be_steered);
                let message = format!("{}; so it is if {}", blocked.message, unless.what);
                return Blocked { message, ..blocked };
            }
            let reachable = landing
                .scores
                .iter()
                .any(|score| score.zone.as_ref().is_some_and(|zone| targets.contains(zone)));
            let refused =
                if reachable { None } else { rejected(pod, targets, &landing.rejections) };
            refused.unwrap_or_else(|| outscored(pod, targets, landing, can_be_steered))
        }
    }
}

/// Whether the replacement lands in the targets, but for what may also be.
fn is_only(targets: &BTreeSet<&Zone>, landing: &Landing, unless: &Prediction) -> bool {
    let elsewhere = match unless {
        Prediction::Lands(other) => &other.zones[..],
        Prediction::Pending(_) | Prediction::Unpredictable(_) => &[],
    };
    let mut zones = landing.zones.iter().filter(|zone| !elsewhere.contains(zone));
    zones.all(|zone| targets.contains(zone))
}

/// How near a node came to taking the pod, by the filter that rejects it.
type Nearness = (bool, Plugin);

/// A node that a later filter rejects came nearer, and explains more. A rejection by the
/// pod's own node selector explains least.
fn nearness(plugin: Plugin) -> Nearness {
    (plugin != Plugin::NodeAffinity, plugin)
}

/// Every node of the targets rejects the pod: explained by the most common
/// rejection among the nodes that came nearest to taking it.
fn rejected(pod: &Pod, targets: &BTreeSet<&Zone>, rejections: &[Rejection]) -> Option<Blocked> {
    let mut counts: BTreeMap<(Nearness, &str), (usize, &Rejection)> = BTreeMap::new();
    for rejection in rejections {
        if rejection.zone.as_ref().is_some_and(|zone| targets.contains(zone)) {
            let key = (nearness(rejection.plugin), rejection.message.as_str());
            counts.entry(key).or_insert((0, rejection)).0 += 1;
        }
    }
    let nearest = counts.keys().map(|(passed, _)| *passed).max()?;
    let (_, (count, example)) = counts
        .into_iter()
        .filter(|((passed, _), _)| *passed == nearest)
        .max_by_key(|(_, (count, _))| *count)?;
    let zone = example.zone.as_ref().map(ToString::to_string).unwrap_or_default();
    let (reason, help) = match example.plugin {
        Plugin::NodeResourcesFit | Plugin::NodePorts | Plugin::NodeVolumeLimits => {
            (Reason::NoRoom, "free room or add a node there".to_owned())
        }
        Plugin::VolumeBinding | Plugin::VolumeZone => (
            Reason::Pinned,
            format!(
                "its volumes ({}) are tied to their zone; storage that spans zones would free it",
                claims(pod)
            ),
        ),
        plugin => (Reason::WouldNotLand, remedy(plugin).to_owned()),
    };
    let held_by = example.held_by.as_ref().map_or_else(String::new, |pods| {
        format!("; pods of lower priority hold room there, which is not taken: {pods}")
    });
    let others = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    Some(blocked(
        reason,
        format!(
            "no node in zone {zone} can run a replacement for pod {}: {} on {}{others} ({}): {help}{held_by}",
            pod.name, example.message, example.node, example.plugin
        ),
    ))
}

/// What helps against a rejection by a plugin.
const fn remedy(plugin: Plugin) -> &'static str {
    match plugin {
        Plugin::NodeUnschedulable => "uncordon the node",
        Plugin::TaintToleration => "remove the taint, or tolerate it in the pod's template",
        Plugin::NodeAffinity => {
            "change the template's node selector or affinity, or label the node"
        }
        Plugin::PodTopologySpread => {
            "change the template's spread constraint, such as its maxSkew, or set nodeTaintsPolicy: Honor"
        }
        Plugin::InterPodAffinity => "change the template's pod affinity or anti-affinity",
        Plugin::VolumeRestrictions => "a claim for one pod only (ReadWriteOncePod) keeps it",
        _ => "change the node or what the pod asks for",
    }
}

/// The claims of a pod, by name.
fn claims(pod: &Pod) -> String {
    let names = pod.template.volumes.iter().filter_map(|volume| match volume {
        VolumeSource::Claim(claim) => Some(claim.to_string()),
        VolumeSource::Ephemeral(volume) => Some(format!("{}-{volume}", pod.name)),
        VolumeSource::EmptyDir | VolumeSource::HostPath => None,
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The targets could take the pod, but the scheduler prefers another zone.
fn outscored(
    pod: &Pod,
    targets: &BTreeSet<&Zone>,
    landing: &Landing,
    can_be_steered: bool,
) -> Blocked {
    let all_of = |wanted: bool| {
        landing.scores.iter().filter(move |score| {
            score.zone.as_ref().is_some_and(|zone| targets.contains(zone)) == wanted
        })
    };
    let best_of = |wanted: bool| all_of(wanted).max_by_key(|score| score.total);
    let (Some(target), Some(winner)) = (best_of(true), best_of(false)) else {
        let zones: Vec<&str> = landing.zones.iter().map(Zone::as_str).collect();
        let zones = zones.join(", ");
        if !landing.preempts.is_empty() && !landing.zones.iter().any(|zone| targets.contains(zone))
        {
            let message = format!(
                "no node has room for a replacement for pod {}, and the scheduler would make room for it in zone {zones}, by preempting pods of negative priority: free room or add a node elsewhere",
                pod.name,
            );
            return blocked(Reason::WouldNotLand, message);
        }
        let message = format!(
            "the scheduler could put a replacement for pod {} into any of the zones {zones}: they tie, so the landing cannot be predicted; a DoNotSchedule constraint on zones would decide it",
            pod.name,
        );
        return blocked(Reason::Unpredictable, message);
    };
    if target.total > winner.total {
        let zones: Vec<&str> = landing.zones.iter().map(Zone::as_str).collect();
        let message = format!(
            "the scheduler scores only a sample of the nodes in large clusters, and could put a replacement for pod {} into any of the zones {}: a DoNotSchedule constraint on zones would decide it",
            pod.name,
            zones.join(", ")
        );
        return blocked(Reason::Unpredictable, message);
    }
    let decisive = winner
        .by_plugin
        .iter()
        .map(|(plugin, score)| {
            let other = target.by_plugin.iter().find(|(known, _)| known == plugin);
            (score - other.map_or(0, |(_, score)| *score), *plugin)
        })
        .max();
    let because = match decisive {
        Some((by, plugin)) if by > 0 => format!("{plugin} decides, by {by} points"),
        _ => "their scores are equal".to_owned(),
    };
    let lasting = |wanted: bool| all_of(wanted).map(lasting_points).max().unwrap_or(0);
    let lead = (winner.total - target.total, lasting(false) - lasting(true));
    let steering = steering_helps(target, lead, can_be_steered);
    let detail = target.note.as_deref().map(|note| format!(" ({note})")).unwrap_or_default();
    blocked(
        Reason::WouldNotLand,
        format!(
            "the scheduler would put a replacement for pod {} on {} ({} points) and not on {} ({}): {because}{detail}; a DoNotSchedule constraint on zones would decide it{steering}",
            pod.name, winner.node, winner.total, target.node, target.total
        ),
    )
}

/// What to add about steering, where the best node of other zones is so many points ahead of
/// the target now, and however full the zones are.
fn steering_helps(
    target: &NodeScore,
    (now, lasting): (i64, i64),
    can_be_steered: bool,
) -> &'static str {
    // A term of steering weighs 100, of which the plugin makes twice as many points; and it
    // makes up for the taint of empty nodes.
    let is_tainted = target.note.as_ref().is_some_and(|note| note.contains(EMPTY_NODE));
    let outweighs = if is_tainted { 500 } else { 200 };
    let can_be_outweighed = now < outweighs && lasting <= outweighs;
    match (can_be_steered, can_be_outweighed) {
        (false, true) => ", or deploy/steering",
        (true, false) => "; steering does not outweigh it however full the zones are",
        _ => "",
    }
}

/// What a node gets whatever pods the zones have: what spreading gives it changes from move to
/// move.
fn lasting_points(score: &NodeScore) -> i64 {
    let mut by_plugin = score.by_plugin.iter();
    let spread = by_plugin.find(|(plugin, _)| *plugin == Plugin::PodTopologySpread);
    score.total - spread.map_or(0, |(_, points)| *points)
}

/// Every pod that could lower the skew is not evictable.
pub fn none_evictable(index: &Index, blockers: &[&(PodId, EvictionBlocker)]) -> Blocked {
    let only_single =
        blockers.iter().all(|(_, blocker)| matches!(blocker, EvictionBlocker::SingleReplica(_)));
    let first = blockers
        .iter()
        .find(|(_, blocker)| only_single || !matches!(blocker, EvictionBlocker::SingleReplica(_)))
        .and_then(|(id, blocker)| Some(blocker.message(index.cluster().pod(*id)?)));
    let only_by_surge = !blockers.is_empty()
        && blockers.iter().all(|(_, blocker)| matches!(blocker, EvictionBlocker::CannotSurge(_)));
    match first {
        Some(message) if only_by_surge => blocked(Reason::CannotSurge, message),
        Some(message) if only_single => blocked(Reason::SingleReplica, message),
        Some(message) => blocked(Reason::Pinned, message),
        None => blocked(
            Reason::Pinned,
            "no further pod of the fullest zones can be moved now: others are already leaving"
                .to_owned(),
        ),
    }
}

/// No zone can take or give a pod: it is full of pods that cannot be evicted, or has no nodes.
pub fn no_target(
    index: &Index,
    tier: &TierView,
    blockers: &[&(PodId, EvictionBlocker)],
) -> Blocked {
    let least = tier.zones.values().map(|zone| zone.pods.len()).min().unwrap_or(0);
    let closed =
        tier.zones.iter().find(|(_, counted)| counted.pods.len() == least && !counted.is_open());
    match closed {
        Some((zone, counted)) => {
            let nodes = counted.health.as_ref().map_or(0, |memory| memory.condition.nodes);
            let what = if nodes == 0 { "no nodes for the tier" } else { "no usable node" };
            blocked(Reason::NoRoom, format!("zone {zone} has {what}: add a node there"))
        }
        None => none_evictable(index, blockers),
    }
}
