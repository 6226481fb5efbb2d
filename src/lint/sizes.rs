//! How many pods there are, what they ask for, and how long they take to start.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::text::counted;
use crate::api::written_duration;
use crate::observe::Name;
use kube::core::SelectorExt;

use super::check::Check;
use super::declared::{DeclaredContainer, DeclaredPod, DeclaredProbe, DeclaredService};
use super::workload::Workload;
use super::{Context, Findings, ZONES_UNKNOWN};

/// How long a replacement may take where no policy says it: `rebalance.landingTimeout`.
const LANDING_TIMEOUT: Duration = Duration::from_mins(5);

pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    for (at, workload) in context.workloads() {
        replicas(context, findings, at, workload);
        requests(context, findings, at, workload);
        start(context, findings, at, workload);
    }
    for service in &context.input.declared.services {
        same_zone_traffic(context, findings, service);
    }
}

fn replicas(context: &Context<'_>, findings: &mut Findings, at: usize, workload: &Workload<'_>) {
    let least = workload.least();
    let (title, scaled) = (workload.object.title(), workload.autoscaler);
    let wants = scaled.map_or_else(
        || format!("{title}: it wants {}", counted(least, "pod")),
        |scaled| format!("{title}: {} may scale it in to {least}", scaled.object.title()),
    );
    if least <= 1 {
        findings.of_workload(Check::SingleReplica, context, at, wants);
        return;
    }
    match context.zones_of(workload) {
        None => findings.skip(Check::FewerReplicasThanZones, ZONES_UNKNOWN),
        Some(zones) if usize::try_from(least).is_ok_and(|least| least < zones) => {
            let message = format!("{wants}, and there are {zones} zones");
            findings.of_workload(Check::FewerReplicasThanZones, context, at, message);
        }
        Some(_) => {}
    }
}

fn requests(context: &Context<'_>, findings: &mut Findings, at: usize, workload: &Workload<'_>) {
    let Some(spec) = workload.declared.map(|known| &known.spec) else { return };
    if spec.resources.is_some() || is_given_requests(context, workload) {
        return;
    }
    let asks = |container: &&DeclaredContainer| {
        let resources = container.resources.as_ref();
        // What is limited and not requested is requested as it is limited.
        let asked = resources.map(|known| [&known.requests, &known.limits]);
        let asked = asked.into_iter().flatten().flatten();
        asked.flat_map(BTreeMap::keys).any(|name| name == "cpu" || name == "memory")
    };
    let without: Vec<&str> = spec
        .containers
        .iter()
        .filter(|container| !asks(container))
        .map(|container| container.name.as_str())
        .collect();
    if !without.is_empty() {
        let what = if without.len() == 1 { "container" } else { "containers" };
        let message = format!(
            "{}: {what} {} request neither cpu nor memory",
            workload.object.title(),
            without.join(", ")
        );
        let message =
            if without.len() == 1 { message.replace(" request ", " requests ") } else { message };
        findings.of_workload(Check::NoRequests, context, at, message);
    }
}

/// Whether admission gives the pods requests that their template lacks, as a `LimitRange` does.
fn is_given_requests(context: &Context<'_>, workload: &Workload<'_>) -> bool {
    let cluster = context.input.index.cluster();
    let pod = workload.pods.first().and_then(|id| cluster.pod(*id));
    pod.is_some_and(|pod| !pod.template.best_effort && workload.template.best_effort)
}

/// How long a pod may take to become Available.
fn start_of(spec: &DeclaredPod, min_ready: i64) -> i64 {
    let own = |container: &DeclaredContainer| {
        let probe = container.startup_probe.as_ref();
        probe.map_or_else(
            || container.readiness_probe.as_ref().map_or(0, delay),
            |probe| {
                let failures = probe.failure_threshold.unwrap_or(3);
                let period = probe.period_seconds.unwrap_or(10);
                delay(probe) + failures * period
            },
        )
    };
    spec.containers.iter().map(own).max().unwrap_or(0) + min_ready
}

fn delay(probe: &DeclaredProbe) -> i64 {
    probe.initial_delay_seconds.unwrap_or(0)
}

fn start(context: &Context<'_>, findings: &mut Findings, at: usize, workload: &Workload<'_>) {
    let Some(declared) = workload.declared.filter(|_| workload.is_several()) else { return };
    let start = start_of(&declared.spec, declared.min_ready_seconds);
    let start = Duration::from_secs(u64::try_from(start).unwrap_or(0));
    let timeout = landing_timeout(context, workload);
    if start > timeout {
        let message = format!(
            "{}: a pod may take {} to become Available (startup probe and minReadySeconds), and a move {}",
            workload.object.title(),
            written_duration(start),
            written_duration(timeout)
        );
        findings.of_workload(Check::SlowStart, context, at, message);
    }
}

/// How long a move of the workload's pods may take.
fn landing_timeout(context: &Context<'_>, workload: &Workload<'_>) -> Duration {
    let namespace = Name::from(workload.object.namespace.as_str());
    let mut policies = context.input.index.policies_in(&namespace);
    let policy = policies.find(|policy| {
        policy.selector.as_ref().is_ok_and(|selector| selector.matches(&*workload.labels))
    });
    let own = policy.and_then(|policy| {
        let label = policy.spec.tier_label.as_ref();
        let tier = label.and_then(|label| workload.labels.get(label));
        let tier = tier.map_or(&*policy.key.name, String::as_str);
        let tier = policy.spec.tiers.iter().find(|own| own.name == tier);
        let tier = tier.and_then(|tier| tier.rebalance.landing_timeout);
        tier.or(policy.spec.rebalance.landing_timeout)
    });
    own.unwrap_or(LANDING_TIMEOUT)
}

fn same_zone_traffic(context: &Context<'_>, findings: &mut Findings, service: &DeclaredService) {
    let Some(same_zone) = &service.same_zone else { return };
    let own = context.workloads().filter(|(_, workload)| {
        workload.object.namespace == service.object.namespace && service.selects(&workload.labels)
    });
    let own: Vec<(usize, &Workload<'_>)> = own.collect();
    let Some((at, first)) = own.first() else { return };
    let pods: i32 = own.iter().map(|(_, workload)| workload.least()).sum();
    match context.zones_of(first) {
        None => findings.skip(Check::SameZoneTraffic, ZONES_UNKNOWN),
        Some(zones) if usize::try_from(pods).is_ok_and(|pods| pods < zones) => {
            let message = format!(
                "{}: {same_zone}, with {} in {zones} zones",
                service.object.title(),
                counted(pods, "pod")
            );
            findings.add(Check::SameZoneTraffic, &service.object, Some(*at), message);
        }
        Some(_) => {}
    }
}
