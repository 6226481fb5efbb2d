//! Constraints that say nothing, or something else than was meant.

use std::collections::BTreeSet;

use kube::core::{Selector, SelectorExt};

use crate::api::ZONE_LABEL;
use crate::observe::{Labels, PodAffinityTerm, SpreadConstraint, Template};

use super::check::Check;
use super::workload::Workload;
use super::{Context, Findings, ZONES_UNKNOWN};

/// The node label that names the node.
pub(super) const HOST_LABEL: &str = "kubernetes.io/hostname";
/// Labels that Kubernetes has removed.
const REMOVED: [&str; 3] = [
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.kubernetes.io/zone",
];
/// Those that every node has, or may have, of the names that Kubernetes keeps for itself.
const RESERVED: [&str; 7] = [
    HOST_LABEL,
    ZONE_LABEL,
    "topology.kubernetes.io/region",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/windows-build",
];
/// Labels that tell the revisions of a workload apart.
const REVISION_LABELS: [&str; 3] =
    ["pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash"];

pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    for (at, workload) in context.workloads() {
        zone_constraint(context, findings, at, workload);
        selectors(context, findings, at, workload);
        topology_keys(context, findings, at, workload);
        max_skew(context, findings, at, workload);
        min_domains(context, findings, at, workload);
        match_label_keys(context, findings, at, workload);
        anti_affinity(context, findings, at, workload);
        pinned(context, findings, at, workload);
        scheduler(context, findings, at, workload);
    }
}

/// What a person calls a constraint.
fn called(constraint: &SpreadConstraint) -> String {
    let action = if constraint.hard { "DoNotSchedule" } else { "ScheduleAnyway" };
    format!("its {action} constraint on {}", constraint.topology_key)
}

/// Terms of pod anti-affinity, required and preferred.
/// Whether a term is about pods of the workload itself.
pub(super) fn is_of_itself(term: &PodAffinityTerm, workload: &Workload<'_>) -> bool {
    let own = term.namespaces.is_empty() || term.namespaces.contains(&workload.object.namespace);
    own && selects(term.selector.as_ref(), &workload.labels)
}

fn selects(selector: Option<&Selector>, labels: &Labels) -> bool {
    selector.is_some_and(|selector| selector.matches(labels))
}

fn zone_constraint(
    context: &Context<'_>,
    findings: &mut Findings,
    at: usize,
    workload: &Workload<'_>,
) {
    let template = &workload.template;
    let spreads = template.spread.iter().any(SpreadConstraint::is_of_zones);
    let mut terms = template.anti_affinity().chain(&template.required_affinity);
    if spreads
        || terms.any(PodAffinityTerm::is_of_zones)
        || !workload.is_several()
        || context.is_single_zone()
        || zones_allowed(template).is_some_and(|zones| zones.len() == 1)
    {
        return;
    }
    let also = if template.spread.is_empty() {
        ""
    } else {
        "; the scheduler's own defaults count only where a pod has no constraint at all"
    };
    let message = format!(
        "{}: up to {} pods, and no constraint on {ZONE_LABEL}{also}",
        workload.object.title(),
        workload.most()
    );
    findings.of_workload(Check::NoZoneConstraint, context, at, message);
}

fn selectors(context: &Context<'_>, findings: &mut Findings, at: usize, workload: &Workload<'_>) {
    let title = workload.object.title();
    for constraint in &workload.template.spread {
        let Some(selector) = &constraint.selector else {
            let message = format!("{title}: {} has no labelSelector", called(constraint));
            findings.of_workload(Check::SelectorMissesOwnPods, context, at, message);
            continue;
        };
        if !selector.matches(&*workload.labels) {
            let message = format!(
                "{title}: the labelSelector of {} does not match its own pods",
                called(constraint)
            );
            findings.of_workload(Check::SelectorMissesOwnPods, context, at, message);
            continue;
        }
        let others = others(context, workload, constraint, selector);
        if let Some(first) = others.first() {
            let more = others.len() - 1;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let message = format!(
                "{title}: the labelSelector of {} also matches the pods of {first}{more}",
                called(constraint)
            );
            findings.of_workload(Check::SelectorMatchesOthers, context, at, message);
        }
    }
}

/// Other workloads of the namespace whose pods a constraint counts, too.
fn others(
    context: &Context<'_>,
    workload: &Workload<'_>,
    constraint: &SpreadConstraint,
    selector: &Selector,
) -> Vec<String> {
    let keys = &constraint.match_label_keys;
    if keys.iter().any(|key| REVISION_LABELS.contains(&key.as_str())) {
        return Vec::new();
    }
    let same = |labels: &Labels| keys.iter().all(|key| labels.get(key) == workload.labels.get(key));
    let others = context.workloads.iter().filter(|other| {
        other.object.namespace == workload.object.namespace
            && (&other.object.kind, &other.object.name)
                != (&workload.object.kind, &workload.object.name)
    });
    let counted = others.filter(|other| selector.matches(&*other.labels) && same(&other.labels));
    counted.map(|other| other.object.title()).collect()
}

fn topology_keys(
    context: &Context<'_>,
    findings: &mut Findings,
    at: usize,
    workload: &Workload<'_>,
) {
    let template = &workload.template;
    let near = template.preferred_affinity.iter().map(|weighted| &weighted.term);
    let terms = template.anti_affinity().chain(&template.required_affinity).chain(near);
    let spread = template.spread.iter().map(|constraint| &constraint.topology_key);
    let keys: BTreeSet<&str> =
        spread.chain(terms.map(|term| &term.topology_key)).map(|key| &**key).collect();
    let title = workload.object.title();
    for key in keys {
        let known =
            context.input.index.cluster().nodes().any(|(node, _)| node.labels.contains_key(key));
        let says = if known || (!context.has_nodes() && RESERVED.contains(&key)) {
            continue;
        } else if REMOVED.contains(&key) {
            format!("{key}, which Kubernetes no longer sets: {ZONE_LABEL} took its place")
        } else if context.has_nodes() {
            format!("{key}, which no node carries")
        } else if is_reserved(key) {
            format!("{key}, which Kubernetes has never had")
        } else {
            findings.skip(
                Check::UnknownTopologyKey,
                "which labels nodes carry is not known: read a cluster or a dump",
            );
            continue;
        };
        let message = format!("{title}: a constraint has the topologyKey {says}");
        findings.of_workload(Check::UnknownTopologyKey, context, at, message);
    }
}

/// Whether only Kubernetes gives such names; clouds and drivers have some below it.
fn is_reserved(key: &str) -> bool {
    key.split_once('/')
        .is_some_and(|(prefix, _)| matches!(prefix, "kubernetes.io" | "topology.kubernetes.io"))
}

fn max_skew(context: &Context<'_>, findings: &mut Findings, at: usize, workload: &Workload<'_>) {
    let mut own = workload.template.spread.iter().filter(|known| known.is_of_zones());
    let Some(least) =
        own.next().map(|first| own.fold(first, |a, b| if b.max_skew < a.max_skew { b } else { a }))
    else {
        return;
    };
    if workload.is_several() && least.max_skew >= workload.most() {
        let message = format!(
            "{}: {} has maxSkew {}, and there are {} pods at most: all of them may be in one zone",
            workload.object.title(),
            called(least),
            least.max_skew,
            workload.most()
        );
        findings.of_workload(Check::MaxSkewWithoutEffect, context, at, message);
    }
}

fn min_domains(context: &Context<'_>, findings: &mut Findings, at: usize, workload: &Workload<'_>) {
    let hard = workload.template.spread.iter().filter(|own| own.hard);
    for constraint in hard.filter(|own| own.is_of_zones()) {
        let Some(wanted) = constraint.min_domains.and_then(|most| usize::try_from(most).ok())
        else {
            continue;
        };
        let Some(zones) = context.zones_of(workload) else {
            findings.skip(Check::MinDomainsAboveZones, ZONES_UNKNOWN);
            continue;
        };
        if wanted > zones {
            let message = format!(
                "{}: {} has minDomains {wanted}, and there are {zones} zones: at most {} pods start in each",
                workload.object.title(),
                called(constraint),
                constraint.max_skew
            );
            findings.of_workload(Check::MinDomainsAboveZones, context, at, message);
        }
    }
}

fn match_label_keys(
    context: &Context<'_>,
    findings: &mut Findings,
    at: usize,
    workload: &Workload<'_>,
) {
    // A StatefulSet's rollout replaces each pod where its ordinal is: it cannot become uneven.
    if !matches!(workload.object.kind.as_str(), "Deployment" | "Rollout") || !workload.is_several()
    {
        return;
    }
    let lacks = |known: &&SpreadConstraint| {
        known.hard && !known.match_label_keys.iter().any(|key| REVISION_LABELS.contains(&&**key))
    };
    if let Some(constraint) = workload.template.spread.iter().find(lacks) {
        let message = format!(
            "{}: {} has no matchLabelKeys with the revision's hash",
            workload.object.title(),
            called(constraint)
        );
        findings.of_workload(Check::NoMatchLabelKeys, context, at, message);
    }
}

fn anti_affinity(
    context: &Context<'_>,
    findings: &mut Findings,
    at: usize,
    workload: &Workload<'_>,
) {
    let mut required = workload.template.required_anti_affinity.iter();
    let is_one_per_zone =
        |term: &PodAffinityTerm| term.is_of_zones() && is_of_itself(term, workload);
    if !workload.is_several() || !required.any(is_one_per_zone) {
        return;
    }
    match context.zones_of(workload) {
        None => findings.skip(Check::AntiAffinityAboveZones, ZONES_UNKNOWN),
        Some(zones) if usize::try_from(workload.most()).is_ok_and(|most| most > zones) => {
            let message = format!(
                "{}: its required anti-affinity allows one pod in each of {zones} zones, and there may be {} pods",
                workload.object.title(),
                workload.most()
            );
            findings.of_workload(Check::AntiAffinityAboveZones, context, at, message);
        }
        Some(_) => {}
    }
}

fn pinned(context: &Context<'_>, findings: &mut Findings, at: usize, workload: &Workload<'_>) {
    let Some(zones) = zones_allowed(&workload.template) else { return };
    if let (1, Some(zone), false) = (zones.len(), zones.first(), context.is_single_zone()) {
        let message = format!(
            "{}: its node selector or required node affinity allows zone {zone} only",
            workload.object.title()
        );
        findings.of_workload(Check::PinnedToZone, context, at, message);
    }
}

/// The zones that node selector and required node affinity name; none if they leave all.
fn zones_allowed(template: &Template) -> Option<BTreeSet<String>> {
    let is_zone = |key: &str| key == ZONE_LABEL || REMOVED.contains(&key);
    let mut selected = template.node_selector.iter().filter(|(key, _)| is_zone(key));
    if let Some((_, zone)) = selected.next() {
        return Some(BTreeSet::from([zone.clone()]));
    }
    let affinity = template.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    let mut zones = BTreeSet::new();
    for term in &required.node_selector_terms {
        let mut asked = term.match_expressions.iter().flatten();
        let zone = asked.find(|asked| is_zone(&asked.key) && asked.operator == "In")?;
        zones.extend(zone.values.iter().flatten().cloned());
    }
    Some(zones)
}

fn scheduler(context: &Context<'_>, findings: &mut Findings, at: usize, workload: &Workload<'_>) {
    let name = &workload.template.scheduler;
    if !name.is_empty() && !context.input.config.names.contains(name) {
        let message = format!("{}: its schedulerName is {name}", workload.object.title());
        findings.of_workload(Check::OtherScheduler, context, at, message);
    }
}
