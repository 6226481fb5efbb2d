//! What the whole cluster needs: DNS, what lets traffic in, webhooks that must answer, and
//! this operator. Each of them must not be in one zone.

use crate::api::text::counted;
use crate::observe::Labels;

use super::check::Check;
use super::declared::{DeclaredService, DeclaredWebhook};
use super::workload::Workload;
use super::{Context, Findings};

/// The label that most charts give their pods.
const NAME: &str = "app.kubernetes.io/name";
/// What it says of ingress controllers and gateways.
const INGRESS_NAMES: [&str; 14] = [
    "ingress-nginx",
    "nginx-ingress",
    "traefik",
    "haproxy-ingress",
    "kubernetes-ingress",
    "kong",
    "contour",
    "envoy",
    "envoy-gateway",
    "emissary-ingress",
    "istio-ingressgateway",
    "gateway-helm",
    "cilium-gateway",
    "3scale-kourier",
];
/// What the label `app` says of them.
const INGRESS_APPS: [&str; 6] = [
    "istio-ingressgateway",
    "ingress-nginx",
    "nginx-ingress",
    "traefik",
    "contour",
    "3scale-kourier-gateway",
];
const DNS_PORT: i32 = 53;

pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    dns(context, findings);
    for (at, workload) in context.workloads() {
        if is_ingress(workload) {
            one(context, findings, Check::IngressInOneZone, at, "what lets traffic in");
        }
        if is_operator(workload) {
            one(context, findings, Check::OperatorInOneZone, at, "this operator");
        }
    }
    for webhook in &context.input.declared.webhooks {
        answers(context, findings, webhook);
    }
    // The same in other words.
    let critical = [
        Check::DnsInOneZone,
        Check::IngressInOneZone,
        Check::WebhookInOneZone,
        Check::OperatorInOneZone,
    ];
    let told: Vec<Option<usize>> = findings
        .list
        .iter()
        .filter(|(finding, _)| critical.contains(&finding.check))
        .map(|(_, about)| *about)
        .collect();
    let repeats = [Check::SingleReplica, Check::AllInOneZone];
    findings
        .list
        .retain(|(finding, about)| !(repeats.contains(&finding.check) && told.contains(about)));
}

/// Why a zone takes all of some pods: they are in it, or there is one only.
fn in_one_zone(context: &Context<'_>, workload: &Workload<'_>) -> Option<String> {
    if workload.placed() > 0 {
        let zones: Vec<_> = workload.zones.keys().collect();
        let only = zones.first().filter(|_| zones.len() == 1 && context.zones.len() > 1)?;
        let pods = workload.placed();
        return Some(if pods == 1 {
            format!("its only pod is in zone {only}")
        } else {
            format!("all {pods} pods are in zone {only}")
        });
    }
    let least = workload.least();
    let is_pinned = !workload.may_use.is_empty() && workload.may_use.len() < context.zones.len();
    if least <= 1 && !context.is_single_zone() {
        Some(format!("it wants {}", counted(least, "pod")))
    } else if is_pinned && workload.may_use.len() == 1 {
        Some("it may use the nodes of one zone only".to_owned())
    } else {
        None
    }
}

fn one(context: &Context<'_>, findings: &mut Findings, check: Check, at: usize, what: &str) {
    let Some(workload) = context.workloads.get(at) else { return };
    if let Some(why) = in_one_zone(context, workload) {
        let message = format!("{}, {what}: {why}", workload.object.title());
        findings.of_workload(check, context, at, message);
    }
}

fn has(labels: &Labels, key: &str, values: &[&str]) -> bool {
    labels.get(key).is_some_and(|value| values.contains(&value.as_str()))
}

fn is_ingress(workload: &Workload<'_>) -> bool {
    // Charts give the same name to jobs and default backends.
    let component = workload.labels.get("app.kubernetes.io/component").map(String::as_str);
    let carries_traffic = !matches!(
        component,
        Some("default-backend" | "admission-webhook" | "certgen" | "defaultbackend")
    );
    carries_traffic
        && (has(&workload.labels, NAME, &INGRESS_NAMES)
            || has(&workload.labels, "app", &INGRESS_APPS))
}

fn is_operator(workload: &Workload<'_>) -> bool {
    has(&workload.labels, NAME, &["zonespread"])
}

/// The cluster's DNS: what answers on port 53 in kube-system.
fn dns(context: &Context<'_>, findings: &mut Findings) {
    let services = context.input.declared.services.iter().filter(|service| {
        service.object.namespace == "kube-system" && service.ports.contains(&DNS_PORT)
    });
    for service in services {
        for at in workloads_of(context, service) {
            one(context, findings, Check::DnsInOneZone, at, "the cluster's DNS");
        }
    }
}

/// The workloads whose pods a Service selects; none if a DaemonSet's are among them, which
/// are on every node.
fn workloads_of(context: &Context<'_>, service: &DeclaredService) -> Vec<usize> {
    let namespace = &service.object.namespace;
    let on_each_node = context.input.declared.workloads.iter().any(|known| {
        known.is_on_each_node()
            && known.object.namespace == *namespace
            && service.selects(&known.labels)
    });
    let own = context.workloads().filter(|(_, workload)| {
        workload.object.namespace == *namespace && service.selects(&workload.labels)
    });
    if on_each_node { Vec::new() } else { own.map(|(at, _)| at).collect() }
}

/// Who answers a webhook that must be answered.
fn answers(context: &Context<'_>, findings: &mut Findings, webhook: &DeclaredWebhook) {
    let (namespace, name) = &webhook.service;
    let is_it = |service: &&DeclaredService| {
        service.object.namespace == *namespace && service.object.name == *name
    };
    let Some(service) = context.input.declared.services.iter().find(is_it) else { return };
    let own = workloads_of(context, service);
    // Several workloads answer for each other.
    let [at] = own[..] else { return };
    if findings.has(Check::WebhookInOneZone, at) {
        return;
    }
    let Some(workload) = context.workloads.get(at) else { return };
    if let Some(why) = in_one_zone(context, workload) {
        let message = format!(
            "{}, which answers {} ({}, failurePolicy Fail): {why}",
            workload.object.title(),
            webhook.object.title(),
            webhook.name
        );
        findings.of_workload(Check::WebhookInOneZone, context, at, message);
    }
}
