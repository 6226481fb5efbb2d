//! What concerns everything at once: nodes that change their zones, policies that are
//! all deleted and made again. Never a mass of evictions.

use super::{a_shop, give_back, lose, three_moves_and_no_more, three_zones, web};
use crate::harness::{Cluster, ZONE, eventually, evictions, holds_for};
use crate::policy::{self, SOON, evictions_in, phase, policy, ready, until, zone, zone_object};
use std::time::Duration;
use zonespread::api::{Phase, ZoneState};

#[tokio::test]
async fn policies_made_anew_reset_no_hold() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "0s").await;
    let _operator = policy::operator(&cluster).await;
    let hold = policy("shop", "shop", "  rebalance: {holdDown: 12s}\n");
    cluster.apply(&hold).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    lose(&cluster, "c").await;

    // In the outage, and in the hold.
    let anew = async || {
        cluster.kubectl(&["delete", "zsp", "--all", "-n", "shop"]).await.unwrap();
        cluster.apply(&hold).await;
    };
    anew().await;
    phase(&cluster, "shop", "shop", Phase::Frozen).await;
    let hold_until = give_back(&cluster, "c").await;
    for _ in 0..2 {
        anew().await;
        let holding = phase(&cluster, "shop", "shop", Phase::Holding).await;
        let told = zone(&holding, "c");
        assert_eq!(told.hold_until.as_ref().unwrap().0, hold_until, "{told:?}");
        assert_eq!(told.state, ZoneState::Recovering);
        assert_eq!(zone_object(&cluster, "c").await.outages, 1);
    }
    assert_eq!(evictions(&cluster), 0);
    three_moves_and_no_more(&cluster, 0, hold_until).await;
}

#[tokio::test]
async fn nodes_that_all_change_their_zones_cause_no_mass_of_evictions() {
    let cluster = Cluster::start().await;
    three_zones(&cluster).await;
    let shops: Vec<String> = (1..=6).map(|number| format!("shop-{number}")).collect();
    // All pods are on the first node of their zone.
    cluster.kubectl(&["cordon", "a2", "b2", "c2"]).await.unwrap();
    for namespace in &shops {
        cluster.namespace(namespace).await;
        cluster.apply(web(namespace, 6).to_string()).await;
        ready(&cluster, namespace, "app=web", 6).await;
    }
    cluster.kubectl(&["uncordon", "a2", "b2", "c2"]).await.unwrap();
    let _operator = policy::operator(&cluster).await;
    for namespace in &shops {
        cluster.apply(policy(namespace, "shop", "  rebalance: {holdDown: 20s}\n")).await;
        phase(&cluster, namespace, "shop", Phase::Balanced).await;
    }

    // Two nodes each as before, but others: what was 2/2/2 is 4/0/2 now.
    for (node, zone) in [("b1", "a"), ("a2", "b")] {
        let label = format!("{ZONE}={zone}");
        cluster.kubectl(&["label", "node", node, &label, "--overwrite"]).await.unwrap();
    }
    for namespace in &shops {
        until(&cluster, namespace, "shop", "the skew", |status| status.summary.skew == 4).await;
    }
    let ten = Duration::from_secs(10);
    holds_for(ten, "no eviction", 0, async || evictions(&cluster)).await;
    // Relabelled to zones that nobody knew: the old ones are gone.
    for node in ["a1", "a2", "b1", "b2", "c1", "c2"] {
        let label = format!("{ZONE}=new-{}", &node[1..]);
        cluster.kubectl(&["label", "node", node, &label, "--overwrite"]).await.unwrap();
    }
    for namespace in &shops {
        eventually(SOON, "the zones to be gone", async || {
            let status = policy::status(&cluster, namespace, "shop").await;
            let frozen = status.phase == Some(Phase::Frozen);
            if frozen { Ok(()) } else { Err(format!("{:?} {:?}", status.phase, status.zones)) }
        })
        .await;
    }
    holds_for(ten, "no eviction", 0, async || evictions(&cluster)).await;
    assert!(shops.iter().all(|namespace| evictions_in(&cluster, namespace).is_empty()));
}
