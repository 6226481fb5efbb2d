//! Whether a zone is safe to lose for a tier: why not, and what would help.

use crate::api::{LossReason, Strategy, ZONE_LABEL};
use crate::observe::{Cluster, Template, Zone};
use crate::predict::{Hindrance, Plugin};

use super::placement::{Placed, Waiting};
use super::workloads::WorkloadPods;
use super::{Of, PhaseOutlook, TierOutlook};

/// What it means that this plugin keeps a pod Pending.
const fn reason_of(plugin: Plugin) -> LossReason {
    match plugin {
        Plugin::NodeResourcesFit | Plugin::NodeVolumeLimits => LossReason::NoRoom,
        Plugin::VolumeBinding | Plugin::VolumeZone | Plugin::VolumeRestrictions => {
            LossReason::PinnedVolume
        }
        _ => LossReason::WouldPend,
    }
}

/// A `StatefulSet` smaller than this has no majority to lose.
pub const QUORUM_FROM: usize = 3;

/// What the loss of a zone does to a workload, told from both phases: where its pods are then, and what became of those that had to be placed.
pub(super) fn judge(
    cluster: &Cluster,
    workload: &WorkloadPods,
    zone: &Zone,
    [unreachable, gone]: [PhaseOutlook; 2],
    placed: [Option<&Placed>; 2],
) -> TierOutlook {
    let (pods, lost) = (workload.pods.len(), workload.in_zone(zone));
    let surviving = pods.saturating_sub(lost + workload.waiting);
    let mut tier = TierOutlook {
        namespace: workload.namespace.clone(),
        of: workload.of.clone(),
        pods,
        surviving,
        lost,
        quorum_lost: workload.is_set && pods >= QUORUM_FROM && lost > 0 && surviving <= pods / 2,
        accepted: workload.accepted,
        unreachable,
        gone,
        reason: None,
    };
    if lost > 0 {
        tier.reason = reason(&tier, workload.waiting, zone, placed)
            .or_else(|| budget_reason(cluster, workload));
        let reason = tier.reason.as_ref().map(|(reason, _)| reason);
        tier.accepted |= reason.is_some_and(|reason| workload.accepted_losses.contains(reason));
    }
    tier
}

fn reason(
    tier: &TierOutlook,
    waiting_now: usize,
    zone: &Zone,
    placed: [Option<&Placed>; 2],
) -> Option<(LossReason, String)> {
    let TierOutlook { pods, surviving, lost, .. } = *tier;
    if tier.quorum_lost {
        let message = format!(
            "{lost} of {pods} members are in zone {zone}: the majority is lost with it; spread them evenly over three zones"
        );
        return Some((LossReason::QuorumLost, message));
    }
    if surviving == 0 {
        return Some((LossReason::SingleZone, single_zone_message(tier, zone)));
    }
    let [unreachable, gone] = placed.map(|placed| placed?.waiting.as_ref());
    let worse = if tier.gone.pending > tier.unreachable.pending { gone } else { unreachable };
    // Those that wait already are not the zone's.
    if let Some(waiting) = worse.filter(|waiting| waiting.pods > waiting_now) {
        return Some(pending_reason(tier, zone, waiting));
    }
    let cause = placed.into_iter().flatten().find_map(|placed| placed.cause.as_deref())?;
    let unknown = tier.unreachable.unknown.max(tier.gone.unknown);
    let message = format!("where {unknown} of its pods would land cannot be predicted: {cause}");
    Some((LossReason::Unpredictable, message))
}

fn single_zone_message(tier: &TierOutlook, zone: &Zone) -> String {
    let (what, help) = if tier.pods == 1 {
        ("its only pod is".to_owned(), "add a replica in another zone".to_owned())
    } else {
        let help = format!("add a topologySpreadConstraint on {ZONE_LABEL}");
        (format!("all {} pods that run are", tier.lost), help)
    };
    let or = match &tier.of {
        _ if tier.accepted => return format!("{what} in zone {zone}, which its policy accepts"),
        Of::Tier(..) => ", or accept it in tiers[].singleZone of its policy",
        Of::Workload(..) => "",
    };
    format!("{what} in zone {zone}: {help}{or}")
}

/// A budget that allows no eviction while all pods are healthy keeps them from coming back
/// after the outage, unless they may be replaced before they stop.
fn budget_reason(cluster: &Cluster, workload: &WorkloadPods) -> Option<(LossReason, String)> {
    let is_tier = matches!(workload.of, Of::Tier(..));
    let evicts = workload.is_set || workload.strategy == Strategy::Evict;
    if !is_tier || workload.not_ready > 0 || !evicts {
        return None;
    }
    let pod = cluster.pod(*workload.pods.first()?)?;
    let budget = cluster.budgets_of(pod).find(|budget| budget.never_allows)?;
    let message = format!(
        "PodDisruptionBudget {} would keep its pods from coming back after the outage: {}",
        budget.name, budget.why
    );
    Some((LossReason::BudgetBlocks, message))
}

fn pending_reason(tier: &TierOutlook, zone: &Zone, waiting: &Waiting) -> (LossReason, String) {
    let pods = waiting.pods;
    let would = if pods == 1 {
        "1 pod would stay Pending".to_owned()
    } else {
        format!("{pods} pods would stay Pending")
    };
    let when = match (tier.unreachable.pending, tier.gone.pending) {
        (_, 0) => " while the nodes are unreachable",
        (0, _) => " once the nodes are deleted",
        _ => "",
    };
    let Some(hindrance) = &waiting.hindrance else {
        let message = format!(
            "{would}{when}: its tolerations let the scheduler put it on an unreachable node; drop the toleration of every taint"
        );
        return (LossReason::WouldPend, message);
    };
    let Hindrance { plugin, message } = hindrance;
    let help = remedy(*plugin, &waiting.template, tier, zone);
    let message = format!("{would}{when}: {message} ({plugin}); {help}");
    (reason_of(*plugin), message)
}

fn remedy(plugin: Plugin, template: &Template, tier: &TierOutlook, zone: &Zone) -> String {
    match plugin {
        Plugin::PodTopologySpread => spread_remedy(template, tier),
        Plugin::NodeResourcesFit => {
            "add room in the other zones, or pods of negative priority that hold it".to_owned()
        }
        Plugin::NodeVolumeLimits => "add nodes in the other zones".to_owned(),
        Plugin::VolumeBinding | Plugin::VolumeZone | Plugin::VolumeRestrictions => {
            format!("its volumes cannot leave zone {zone}: replicate the data to another zone")
        }
        Plugin::InterPodAffinity => {
            "its required affinity or anti-affinity leaves no node: prefer instead of require"
                .to_owned()
        }
        Plugin::NodeAffinity => {
            "its node selector or required node affinity allows no node of another zone".to_owned()
        }
        Plugin::TaintToleration => "it tolerates no taint of the nodes that are left".to_owned(),
        Plugin::NodeUnschedulable => "uncordon nodes in the other zones".to_owned(),
        _ => "see kube-scheduler's message".to_owned(),
    }
}

fn spread_remedy(template: &Template, tier: &TierOutlook) -> String {
    let zones = tier.unreachable.zones.len().max(tier.gone.zones.len());
    let mut hard = template.spread.iter().filter(|constraint| constraint.hard);
    let Some(constraint) = hard.clone().find(|constraint| constraint.is_of_zones()) else {
        let key = hard.next().map_or("its key", |constraint| &*constraint.topology_key);
        return format!(
            "its DoNotSchedule constraint on {key} leaves no node: raise maxSkew or use ScheduleAnyway"
        );
    };
    let above = constraint.min_domains.and_then(|domains| usize::try_from(domains).ok());
    if let Some(domains) = above.filter(|domains| *domains > zones) {
        return format!(
            "minDomains {domains} counts the lost zone as an empty one: lower it to {zones}"
        );
    }
    // Once the nodes are deleted, the lost zone is no domain any more: another one is short.
    if constraint.honor_taints || tier.gone.pending > 0 {
        format!(
            "its DoNotSchedule constraint waits for a zone that takes none of its pods: make room there, raise its maxSkew of {} or use ScheduleAnyway",
            constraint.max_skew
        )
    } else {
        "its DoNotSchedule constraint counts the zone's nodes while they are unreachable: set nodeTaintsPolicy: Honor".to_owned()
    }
}
