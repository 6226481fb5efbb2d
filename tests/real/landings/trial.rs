//! Evicts pods of one workload after the other, and looks where the replacements land.

use super::disturbance;
use super::field::{Field, NOMINATED, is_leaving, name, nominated, pods_of, verdict};
use super::landing::{self, Observed, Outcome};
use super::profiles;
use super::resizes;
use super::tally::Tally;
use super::workloads::{Workload, workload};
use super::world::World;
use crate::dice::Dice;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const WORKLOADS: usize = 8;
const EVICTIONS: usize = 14;
/// More than the scheduler's first back-off, a second.
const TRIED_AGAIN: Duration = Duration::from_secs(3);

/// Several workloads on one set of nodes, until `wanted` landings were seen.
pub async fn epoch(field: &mut Field, seed: u64, number: usize, nodes: usize, tally: &mut Tally) {
    let mut dice = Dice::new(seed);
    let count = if nodes > 0 { nodes } else { dice.between(3, 30) };
    field.begin(&mut dice, number, count).await;
    for at in 0..WORKLOADS {
        if tally.is_full() {
            return;
        }
        let mut workload = workload(&mut dice, number * WORKLOADS + at, &field.nodes);
        let settled = field.settle(&mut workload).await;
        if settled && workload.is_revisable() {
            field.revise(&workload, &mut dice).await;
        }
        if settled && field.resizes {
            resize_some(field, &mut dice, &workload).await;
        }
        if settled && evictions(field, &mut dice, &mut workload, seed, tally).await {
            field.keep(workload).await;
        } else {
            field.retire(workload).await;
        }
        if dice.chance(50) {
            field.stir_nodes(&mut dice).await;
        }
    }
}

/// Resizes some of the workload's pods in place.
async fn resize_some(field: &Field, dice: &mut Dice, workload: &Workload) {
    let pods: Vec<String> = field.mirror.look(|world| pods_of(world, workload).map(name).collect());
    for pod in pods {
        if dice.chance(50) {
            resizes::resize(field, dice, &workload.namespace, &pod).await;
        }
    }
}

/// Says whether all pods of the workload are placed in the end.
async fn evictions(
    field: &mut Field,
    dice: &mut Dice,
    workload: &mut Workload,
    seed: u64,
    tally: &mut Tally,
) -> bool {
    for _ in 0..EVICTIONS {
        if tally.is_full() {
            return true;
        }
        if field.is_full && dice.chance(70) {
            field.fill(dice).await;
        }
        let observed = eviction(field, dice, workload, seed, tally.steps(seed)).await;
        let placed = observed.is_placed && observed.landed.is_some();
        tally.add(observed);
        if !placed && !field.give_up_one(workload).await {
            return false;
        }
        if dice.chance(60) {
            bury(field, workload).await;
        }
        if dice.chance(20) {
            field.stir_tenants(dice).await;
        }
    }
    bury(field, workload).await;
    true
}

/// Longer than a score is kept for pods that are scheduled in batches.
const BATCH_AGE: Duration = Duration::from_millis(600);

async fn eviction(
    field: &Field,
    dice: &mut Dice,
    workload: &Workload,
    seed: u64,
    step: usize,
) -> Observed {
    // One without a grace period that was evicted before is about to be gone.
    let vanishing =
        |pod: &&Value| is_leaving(pod) && pod["spec"]["terminationGracePeriodSeconds"] == json!(0);
    field
        .mirror
        .until("evicted pods without a grace period to be gone", |world| {
            pods_of(world, workload).find(vanishing).is_none().then_some(())
        })
        .await;
    if profiles::is_batched(&workload.object["spec"]["template"]) {
        tokio::time::sleep(BATCH_AGE).await;
    }
    let steered = field.steer(dice, workload).await;
    let (victim, evicted, known, before, prediction) = field.mirror.look(|world| {
        let mut pods: Vec<_> = pods_of(world, workload).filter(|pod| !is_leaving(pod)).collect();
        pods.sort_by_key(|pod| pod["spec"]["nodeName"].as_str());
        let evicted = pods[dice.below(pods.len())].clone();
        let victim = name(&evicted);
        let known: BTreeSet<String> =
            pods_of(world, workload).map(|pod| pod["metadata"]["uid"].to_string()).collect();
        let version = field.version;
        let of = (&*workload.namespace, &*victim);
        let prediction = landing::predicted(&world.index, version, of, steered.as_deref());
        (victim, evicted, known, world.objects(), prediction)
    });
    let path = format!("/api/v1/namespaces/{}/pods/{victim}", workload.namespace);
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": victim, "namespace": workload.namespace}});
    field.requests.post(&format!("{path}/eviction"), &eviction).await;
    if workload.kind == "StatefulSet" {
        field.requests.delete_uid(&path, evicted["metadata"]["uid"].as_str().unwrap()).await;
    }
    let what = format!("the replacement of {victim} (seed {seed}, step {step})");
    let replacement = |world: &mut World| {
        let is_new = |pod: &&Value| !known.contains(&pod["metadata"]["uid"].to_string());
        verdict(pods_of(world, workload).find(is_new)?)
    };
    let mut left_alone = false;
    let mut landed = if let Some(landed) = field.mirror.within(NOMINATED, replacement).await {
        landed
    } else {
        // The scheduler has chosen, though it may leave the pod alone for long.
        let is_new = |pod: &&Value| !known.contains(&pod["metadata"]["uid"].to_string());
        let chosen = |world: &mut World| {
            let pod = pods_of(world, workload).find(is_new)?;
            let node = nominated(pod);
            verdict(pod)
                .map(|landed| (landed, false))
                .or_else(|| node.map(|node| (Some(node), true)))
        };
        let (landed, alone) = field.mirror.until(&what, chosen).await;
        left_alone = alone;
        landed
    };
    if landed.is_none() && workload.vanishes() {
        // Refused because of a pod that is gone a moment later: it is tried again.
        landed = field.mirror.within(TRIED_AGAIN, |world| replacement(world)?).await;
    }
    let mut outcome =
        field.mirror.look(|world| landing::outcome(&world.index, &prediction, landed.as_deref()));
    let after = disturbance::listed(&field.requests).await;
    if let Some(what) = disturbance::disturbance(&before, &after, &evicted) {
        println!("seed {seed}, step {step}: not counted, since {what}");
        outcome = Outcome::Disturbed;
    }
    let namespace = workload.namespace.clone();
    let scheduler = if matches!(outcome, Outcome::Miss | Outcome::CertainMiss) {
        let newcomer = after.iter().find(|(kind, pod)| {
            *kind == "Pod"
                && pod["metadata"]["namespace"] == *namespace
                && pod["metadata"]["labels"]["app"] == *workload.app
                && !known.contains(&pod["metadata"]["uid"].to_string())
        });
        let newcomer = newcomer.map(|(_, pod)| format!("{namespace}/{}", name(pod)));
        newcomer.map_or_else(Vec::new, |pod| field.scheduler_log.scores(&pod))
    } else {
        Vec::new()
    };
    Observed {
        version: field.version,
        seed,
        step,
        namespace,
        evicted: victim,
        steered,
        landed,
        is_placed: !left_alone,
        before,
        prediction,
        outcome,
        scheduler,
    }
}

/// Evicted pods go, as if their kubelets had ended them.
async fn bury(field: &Field, workload: &Workload) {
    let leaving: Vec<String> = field
        .mirror
        .look(|world| pods_of(world, workload).filter(|pod| is_leaving(pod)).map(name).collect());
    field.remove_pods(&workload.namespace, &leaving).await;
}
