//! Trouble at every turn: what may go wrong around the operator at 3 a.m. goes wrong
//! here, and each story counts the evictions that were made, and reads the reason shown.

mod answers;
mod api_server;
mod budgets;
mod kills;
mod landings;
mod mass;
mod watches;
mod webhooks;

use crate::harness::{Cluster, ScheduleAnyway, Workload, deployment, eventually};
use crate::policy::{self, evictions_in, phase, ready, zone};
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;
use zonespread::api::{MoveState, Phase, ZoneSpreadPolicyStatus};

/// Long enough for a recovery with trouble in it, on a busy machine.
const LONG: Duration = Duration::from_mins(4);

/// Zones a, b and c with two nodes each.
async fn three_zones(cluster: &Cluster) {
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
}

/// The deployment `web` of the policy `shop`, in its namespace.
fn web(namespace: &str, replicas: u32) -> Workload {
    deployment(namespace, "web", replicas).label("part-of", "shop").spread(ScheduleAnyway)
}

/// Three zones, and nine pods of web spread over them.
async fn a_shop(cluster: &Cluster, start_delay: &str) {
    three_zones(cluster).await;
    cluster.namespace("shop").await;
    cluster.apply(web("shop", 9).start_delay(start_delay).to_string()).await;
    ready(cluster, "shop", "app=web", 9).await;
}

/// The zone is cordoned and drained; web is whole again without it.
async fn lose(cluster: &Cluster, lost: &str) {
    cluster.cordon_zone(lost).await;
    phase(cluster, "shop", "shop", Phase::Frozen).await;
    cluster.evacuate_zone(lost).await;
    ready(cluster, "shop", "app=web", 9).await;
}

/// The zone may be used again, and is held; until when.
async fn give_back(cluster: &Cluster, lost: &str) -> Timestamp {
    cluster.uncordon_zone(lost).await;
    let held = phase(cluster, "shop", "shop", Phase::Holding).await;
    zone(&held, lost).hold_until.as_ref().unwrap().0
}

/// Waits for long until the policy is Balanced and nothing is under way, and gives its status.
async fn balanced(cluster: &Cluster, namespace: &str) -> ZoneSpreadPolicyStatus {
    eventually(LONG, &format!("{namespace} to be Balanced"), async || {
        let status = policy::status(cluster, namespace, "shop").await;
        let at_rest = !status.moves.iter().any(|moved| moved.state.is_under_way());
        if status.phase == Some(Phase::Balanced) && at_rest {
            Ok(status)
        } else {
            Err(format!("{status:#?}"))
        }
    })
    .await
}

/// Waits for the end of a recovery of `web`, and counts: three evictions since `before`,
/// each of another pod, none before the hold was over, and nothing that went wrong.
async fn three_moves_and_no_more(cluster: &Cluster, before: usize, hold_until: Timestamp) {
    let status = balanced(cluster, "shop").await;
    let counts: Vec<usize> = cluster.spread("shop", "app=web").await.into_values().collect();
    assert_eq!(counts, [3, 3, 3]);
    let made = &evictions_in(cluster, "shop")[before..];
    let pods: BTreeSet<&str> = made.iter().map(|request| request.name.as_str()).collect();
    assert_eq!((made.len(), pods.len()), (3, 3), "the fewest, each pod once: {made:?}");
    assert!(made.iter().all(|request| request.time >= hold_until), "{made:?}, {hold_until}");
    let wrong = |state: MoveState| matches!(state, MoveState::Missed | MoveState::Stuck);
    assert!(!status.moves.iter().any(|moved| wrong(moved.state)), "{:?}", status.moves);
}

/// Waits until so many evictions were made in the namespace.
async fn evicted(cluster: &Cluster, namespace: &str, expected: usize) {
    eventually(LONG, &format!("{expected} evictions in {namespace}"), async || {
        let made = evictions_in(cluster, namespace).len();
        if made >= expected { Ok(()) } else { Err(made.to_string()) }
    })
    .await;
}
