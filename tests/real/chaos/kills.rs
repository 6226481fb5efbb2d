//! Kill it anywhere (law 7): SIGKILL every second, in the hold and among moves.

use super::{a_shop, give_back, lose, three_moves_and_no_more};
use crate::harness::{Cluster, Operator, install};
use crate::policy::{self, another, becomes_leader, evictions_in, phase, policy, zone};
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;
use zonespread::api::{Phase, ZoneState};

/// About a second each, so that the end comes at another point each time.
const LIVES: [u64; 7] = [1000, 700, 1300, 850, 1150, 600, 1400];
/// More than any recovery here takes.
const ALL_LIVES: usize = 60;

/// Kills the operator every second and starts it again, until web is balanced; it runs
/// then. No life may shorten the hold of the zone. How many lives it took.
async fn dies_every_second(
    cluster: &Cluster,
    operator: &mut Operator,
    held: &str,
    hold_until: Timestamp,
) -> usize {
    for (life, milliseconds) in LIVES.iter().cycle().take(ALL_LIVES).enumerate() {
        tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
        operator.kill().await;
        operator.start_again();
        operator.ready().await;
        let status = policy::status(cluster, "shop", "shop").await;
        let zone = zone(&status, held);
        let told = zone.hold_until.as_ref().map(|at| at.0);
        assert!(told.is_none_or(|told| told >= hold_until), "{zone:?} was held until {hold_until}");
        let early = zone.state == ZoneState::Ready && Timestamp::now() < hold_until;
        assert!(!early, "{zone:?} was held until {hold_until}");
        if status.phase == Some(Phase::Balanced) {
            return life + 1;
        }
    }
    ALL_LIVES
}

#[tokio::test]
async fn killed_every_second_it_makes_the_fewest_evictions_and_shortens_no_hold() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "1s").await;
    let kubeconfig = install(&cluster).await;
    // Alone and without an election it goes on at once after each end.
    let mut operator = policy::replica(&cluster, &kubeconfig, &["--leader-elect=false"]).await;
    let slowly = "  rebalance: {holdDown: 6s, maxUnavailable: 1}\n";
    cluster.apply(policy("shop", "shop", slowly)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    lose(&cluster, "c").await;
    let hold_until = give_back(&cluster, "c").await;
    let lives = dies_every_second(&cluster, &mut operator, "c", hold_until).await;
    three_moves_and_no_more(&cluster, 0, hold_until).await;
    println!("alone it took {lives} lives");
    operator.kill().await;

    // Of two replicas that elect a leader, the leader is killed every second: the other
    // one takes over, and is left in peace.
    let mut dying = another(&cluster).await;
    becomes_leader(&dying, "the one that will be killed to lead").await;
    let _living = another(&cluster).await;
    lose(&cluster, "b").await;
    let hold_until = give_back(&cluster, "b").await;
    let lives = dies_every_second(&cluster, &mut dying, "b", hold_until).await;
    three_moves_and_no_more(&cluster, 3, hold_until).await;
    println!("with a second replica it took {lives} lives");
    assert_eq!(evictions_in(&cluster, "shop").len(), 6);
}
