//! Where the pods are, and what an outage would do to them.

use std::collections::BTreeMap;

use crate::api::LossReason;
use crate::api::text::counted;
use crate::observe::Zone;
use crate::outlook::{Of, Outlook, QUORUM_FROM, TierOutlook};

use super::accept::by_list;
use super::check::Check;
use super::declared::Object;
use super::finding::Accepted;
use super::paper::Paper;
use super::workload::Workload;
use super::{Context, Findings, ZONES_UNKNOWN};

/// Kinds whose members often need a majority.
const QUORUM_KINDS: [&str; 2] = ["StatefulSet", "StrimziPodSet"];

pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    for (at, workload) in context.workloads() {
        if workload.placed() >= 2 {
            if context.zones.len() > 1 {
                zones(context, findings, at, workload);
            }
            all_on_one_node(context, findings, at, workload);
        }
    }
    let has_pods = context.workloads.iter().any(|workload| workload.placed() > 0);
    if has_pods {
        let outlook = Outlook::of(context.input.index, context.input.config, None);
        pending(context, findings, &outlook, "");
    } else {
        without_pods(context, findings);
    }
}

fn zones(context: &Context<'_>, findings: &mut Findings, at: usize, workload: &Workload<'_>) {
    let Some((zone, most)) = workload.fullest() else { return };
    let (pods, spread) = (workload.placed(), workload.spread());
    let left = pods - most;
    let title = workload.object.title();
    let is_quorum = QUORUM_KINDS.contains(&workload.object.kind.as_str());
    if most == pods {
        let message = format!("{title}: all {pods} pods are in zone {zone}");
        findings.of_workload(Check::AllInOneZone, context, at, message);
    } else if is_quorum && pods >= QUORUM_FROM && left <= pods / 2 {
        let message = format!(
            "{title}: {most} of {pods} members are in zone {zone} ({spread}): with it {left} are left, no majority"
        );
        findings.of_workload(Check::QuorumInOneZone, context, at, message);
    } else if pods >= 3 && most * 2 > pods {
        let message = format!("{title}: {most} of {pods} pods are in zone {zone} ({spread})");
        findings.of_workload(Check::MoreThanHalfInOneZone, context, at, message);
    }
}

fn all_on_one_node(
    context: &Context<'_>,
    findings: &mut Findings,
    at: usize,
    workload: &Workload<'_>,
) {
    let cluster = context.input.index.cluster();
    let nodes = workload.nodes(cluster);
    if let (Some(node), 1, true) = (nodes.first(), nodes.len(), cluster.node_count() > 1) {
        let (title, pods) = (workload.object.title(), workload.placed());
        let message = format!("{title}: all {pods} pods are on node {node}");
        findings.of_workload(Check::AllOnOneNode, context, at, message);
    }
}

/// What the outlook says of pods that find no place: for each tier or workload the worst zone.
fn pending(context: &Context<'_>, findings: &mut Findings, outlook: &Outlook, where_from: &str) {
    let mut worst: BTreeMap<(&str, &Of), (&Zone, &TierOutlook, usize)> = BTreeMap::new();
    for zone in &outlook.zones {
        for tier in &zone.tiers {
            // Those that wait already are not the zone's.
            let waiting = tier.pods - tier.surviving - tier.lost;
            let more = tier.pending().saturating_sub(waiting);
            let known = worst.get(&(&*tier.namespace, &tier.of)).map_or(0, |known| known.2);
            if more > known {
                worst.insert((&tier.namespace, &tier.of), (&zone.zone, tier, more));
            }
        }
    }
    for (zone, tier, more) in worst.into_values() {
        let (object, about) = object_of(context, tier);
        let tells = |reason: &LossReason| {
            matches!(reason, LossReason::WouldPend | LossReason::NoRoom | LossReason::PinnedVolume)
        };
        let why = tier.reason.as_ref().filter(|(reason, _)| tells(reason));
        let why = why.map_or_else(
            || format!("{} would stay Pending", counted(more, "pod")),
            |(_, message)| message.clone(),
        );
        let what = match &tier.of {
            Of::Tier(_, name) => format!("{} tier {name}", object.title()),
            Of::Workload(..) => object.title(),
        };
        let message = format!("{what}: without zone {zone}{where_from} {why}");
        findings.add(Check::WouldStayPending, &object, about, message);
        accept_tier(context, findings, tier);
    }
}

/// What the last finding is about is accepted by the tier's policy.
fn accept_tier(context: &Context<'_>, findings: &mut Findings, tier: &TierOutlook) {
    let Of::Tier(name, _) = &tier.of else { return };
    let policy =
        context.input.index.policies_in(&tier.namespace).find(|known| known.key.name == *name);
    let Some(policy) = policy else { return };
    let reason = tier.reason.as_ref().and_then(|(reason, _)| by_list(policy, reason.as_str()));
    let reason = by_list(policy, Check::WouldStayPending.code()).or(reason);
    if let (Some(reason), Some((finding, _))) = (reason, findings.list.last_mut()) {
        let policy = format!("{}/{}", policy.key.namespace, policy.key.name);
        finding.accepted = Some(Accepted { policy, reason: reason.to_owned() });
    }
}

/// The object that a tier's outlook is about, and the workload.
fn object_of(context: &Context<'_>, tier: &TierOutlook) -> (Object, Option<usize>) {
    let (kind, name) = match &tier.of {
        Of::Tier(policy, _) => ("ZoneSpreadPolicy", policy),
        Of::Workload(kind, name) => (&**kind, name),
    };
    let is_it = |object: &Object| {
        object.namespace == *tier.namespace && object.kind == kind && object.name == **name
    };
    let at = context.workloads.iter().position(|workload| is_it(&workload.object));
    let known = at.and_then(|at| context.workloads.get(at));
    let object = known.map_or_else(
        || Object {
            kind: kind.to_owned(),
            namespace: tier.namespace.to_string(),
            name: name.to_string(),
            ..Object::default()
        },
        |workload| workload.object.clone(),
    );
    (object, at)
}

/// The outlook of manifests: their pods are spread evenly over as many zones as are said.
fn without_pods(context: &Context<'_>, findings: &mut Findings) {
    let several = context.workloads.iter().filter(|workload| workload.is_several());
    let Some(zones) = context.input.zones.filter(|_| context.zones.is_empty()) else {
        for _ in several {
            let why = if context.zones.is_empty() { ZONES_UNKNOWN } else { "there are no pods" };
            findings.skip(Check::WouldStayPending, why);
        }
        return;
    };
    let paper = Paper::of(&context.workloads, zones);
    for why in &paper.left_out {
        findings.skip(Check::WouldStayPending, why);
    }
    let outlook = Outlook::of(&paper.index, context.input.config, None);
    let where_from = format!(" of {zones}, from an even spread,");
    pending(context, findings, &outlook, &where_from);
}
