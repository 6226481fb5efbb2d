//! Every check fires where it should, and nowhere else.

mod manifests;
mod pods;
mod whole;

use crate::cli::offline::{Contents, Whole, read_into};
use crate::observe::Index;
use crate::predict::{Scheduler, SchedulerCache, SchedulerConfig};

use super::{Check, Declared, Input, Report, lint};

/// What is found in these documents, where so many zones are said to be.
fn report(documents: &str, zones: Option<usize>) -> Report {
    let mut index = Index::default();
    let mut declared = Declared::default();
    let mut whole = |Whole { kind, object, .. }: Whole| declared.add(&kind, &object, None).unwrap();
    let mut apply = |change| index.apply(change);
    let mut contents = Contents::default();
    read_into("test", documents.as_bytes(), &mut contents, &mut apply, Some(&mut whole))
        .unwrap_or_else(|error| panic!("{error}\n{documents}"));
    let config = SchedulerConfig::default();
    let cache = SchedulerCache::new(config.clone());
    let scheduler = Scheduler::new(index.cluster(), &cache);
    lint(Input {
        index: &index,
        declared: &declared,
        scheduler: &scheduler,
        config: &config,
        zones,
    })
}

/// What a check says of these documents.
fn messages(check: Check, documents: &[String], zones: Option<usize>) -> Vec<String> {
    let findings = report(&documents.join("---\n"), zones).findings.into_iter();
    findings.filter(|known| known.check == check).map(|known| known.message).collect()
}

/// A Deployment whose pods have more in their spec than a container with requests.
fn deployment(name: &str, replicas: i32, spec: &str) -> String {
    workload("Deployment", name, replicas, spec)
}

fn workload(kind: &str, name: &str, replicas: i32, spec: &str) -> String {
    let api = if kind == "Rollout" { "argoproj.io/v1alpha1" } else { "apps/v1" };
    let comma = if spec.is_empty() { "" } else { ", " };
    format!(
        "apiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop, uid: uid-{name}}}\n\
         spec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
         template:\n    metadata: {{labels: {{app: {name}, part-of: shop}}}}\n    \
         spec: {{containers: [{{name: main, resources: {{requests: {{cpu: 1m, memory: 1Mi}}}}}}]{comma}{spec}}}\n"
    )
}

/// A spread constraint of `web`: over zones, unless `more` says otherwise.
fn spread(action: &str, more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    let selector = if more.contains("labelSelector") {
        ""
    } else {
        ", labelSelector: {matchLabels: {app: web}}"
    };
    let key = if more.contains("topologyKey") {
        ""
    } else {
        ", topologyKey: topology.kubernetes.io/zone"
    };
    let skew = if more.contains("maxSkew") { "" } else { ", maxSkew: 1" };
    format!(
        "topologySpreadConstraints: [{{whenUnsatisfiable: {action}{key}{skew}{selector}{comma}{more}}}]"
    )
}

fn budget(spec: &str) -> String {
    named_budget("web", spec)
}

fn named_budget(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{selector: {{matchLabels: {{app: web}}}}, {spec}}}\n"
    )
}

fn autoscaler(least: i32, most: i32) -> String {
    format!(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web, namespace: shop}}\n\
         spec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}, minReplicas: {least}, maxReplicas: {most}}}\n"
    )
}

fn service(more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: shop}}\n\
         spec: {{selector: {{app: web}}, ports: [{{port: 443}}]{more}}}\n"
    )
}

/// Nodes whose zones are the first letters of their names.
fn nodes(names: &str) -> Vec<String> {
    let node = |name: &str| {
        let zone = &name[..1];
        format!(
            "apiVersion: v1\nkind: Node\nmetadata: {{name: {name}, labels: {{topology.kubernetes.io/zone: {zone}, kubernetes.io/hostname: {name}}}}}\n\
             status: {{allocatable: {{cpu: 4, memory: 16Gi, pods: 110}}, conditions: [{{type: Ready, status: 'True'}}]}}\n"
        )
    };
    names.split(' ').map(node).collect()
}

/// A Deployment or StatefulSet `web` and its pods on these nodes.
fn running(kind: &str, on: &str, spec: &str) -> Vec<String> {
    let pods: Vec<&str> = on.split(' ').collect();
    let replicas = i32::try_from(pods.len()).unwrap();
    let mut documents = vec![workload(kind, "web", replicas, spec)];
    let owner = if kind == "Deployment" {
        documents.push(
            workload("ReplicaSet", "web", replicas, spec)
                .replace("uid: uid-web", "uid: uid-set, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: uid-web, controller: true}]"),
        );
        "kind: ReplicaSet, name: web, uid: uid-set"
    } else {
        "kind: StatefulSet, name: web, uid: uid-web"
    };
    let comma = if spec.is_empty() { "" } else { ", " };
    for (at, node) in pods.into_iter().enumerate() {
        documents.push(format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: web-{at}, namespace: shop, uid: uid-web-{at}, labels: {{app: web, part-of: shop}}, ownerReferences: [{{apiVersion: apps/v1, {owner}, controller: true}}]}}\n\
             spec: {{nodeName: {node}, containers: [{{name: main, resources: {{requests: {{cpu: 1m, memory: 1Mi}}}}}}]{comma}{spec}}}\n\
             status: {{phase: Running, conditions: [{{type: Ready, status: 'True'}}]}}\n"
        ));
    }
    documents
}
