//! The application: three tiers in two namespaces, one of them with a policy.

use crate::harness::{Cluster, Spread, eventually};
use std::time::Duration;

/// The namespace with the policy; the policy has the same name.
pub const MANAGED: &str = "petclinic";
/// The namespace without one.
pub const UNMANAGED: &str = "unmanaged";
/// The tiers and their replicas.
pub const TIERS: [(&str, usize); 3] = [("web", 6), ("was", 3), ("redis", 1)];
/// The policy, as the user writes it.
pub const POLICY: &str = include_str!("policy.yaml");

/// Deploys both and waits until all pods are Ready and the policy is Balanced.
pub async fn deploy(cluster: &Cluster) {
    for namespace in [MANAGED, UNMANAGED] {
        cluster.namespace(namespace).await;
        cluster.apply_to(namespace, include_str!("petclinic.yaml")).await;
    }
    cluster.apply(POLICY).await;
    all_ready(cluster).await;
    let soon = Duration::from_secs(20);
    eventually(soon, "the policy to be balanced", async || {
        let phase = status(cluster, "{.status.phase}").await;
        if phase == "Balanced" { Ok(()) } else { Err(format!("phase {phase:?}")) }
    })
    .await;
}

/// Waits until every pod of both applications is Ready.
pub async fn all_ready(cluster: &Cluster) {
    for namespace in [MANAGED, UNMANAGED] {
        for (tier, replicas) in TIERS {
            let what = format!("{replicas} ready pods of {tier} in {namespace}");
            eventually(Duration::from_secs(30), &what, async || {
                let seen = ready(cluster, namespace, tier).await;
                if seen == replicas { Ok(()) } else { Err(seen.to_string()) }
            })
            .await;
        }
    }
}

/// How many pods of a tier are Ready.
pub async fn ready(cluster: &Cluster, namespace: &str, tier: &str) -> usize {
    cluster.ready_pods(namespace, &format!("tier={tier}")).await
}

/// The pods of a tier by zone, counted without the operator.
pub async fn spread(cluster: &Cluster, namespace: &str, tier: &str) -> Spread {
    cluster.spread(namespace, &format!("tier={tier}")).await
}

/// A field of the policy, by JSON path; empty while it has none.
pub async fn status(cluster: &Cluster, path: &str) -> String {
    let output = format!("jsonpath={path}");
    let arguments = ["get", "zonespreadpolicy", "-n", MANAGED, MANAGED, "-o", &output];
    let value = cluster.kubectl(&arguments).await;
    value.unwrap_or_else(|error| panic!("{error}"))
}

/// The fewest evictions after which no zone has more than one pod more than another:
/// the pods above the even share, where the fullest zones keep the remainder.
pub fn minimum_moves(spread: &Spread) -> usize {
    let mut counts: Vec<usize> = spread.values().copied().collect();
    counts.sort_unstable_by(|one, other| other.cmp(one));
    let (share, remainder) = (
        counts.iter().sum::<usize>() / counts.len().max(1),
        counts.iter().sum::<usize>() % counts.len().max(1),
    );
    let kept = |place: usize| share + usize::from(place < remainder);
    let above = counts.iter().enumerate();
    above.map(|(place, count)| count.saturating_sub(kept(place))).sum()
}
