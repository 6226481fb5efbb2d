//! Who says when pods may move: windows, pauses, approvals.

use crate::harness::{Cluster, ScheduleAnyway, deployment, holds_for};
use crate::policy::{self, SOON, blocked, evictions_in, phase, policy, ready, until};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use zonespread::api::{Phase, Reason};

/// Six pods at 3/3/0, and zone c usable again.
async fn a_recovered_zone(cluster: &Cluster, namespace: &str, start_delay: &str) {
    for zone in ["a", "b", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace(namespace).await;
    let web = deployment(namespace, "web", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.cordon_zone("c").await;
    cluster.apply(web.start_delay(start_delay).to_string()).await;
    ready(cluster, namespace, "app=web", 6).await;
    cluster.uncordon_zone("c").await;
}

fn windows(schedule: &str) -> String {
    format!(
        "  rebalance:\n    holdDown: 1s\n    windows:\n    \
         - {{schedule: {schedule}, duration: 20m, timeZone: Asia/Tokyo}}\n"
    )
}

/// A schedule that starts once a day, at this time.
fn daily(start: Timestamp) -> String {
    let tokyo = start + SignedDuration::from_hours(9);
    tokyo.strftime("%M %H * * *").to_string()
}

#[tokio::test]
async fn pods_move_in_a_window_and_not_before() {
    let cluster = Cluster::start().await;
    a_recovered_zone(&cluster, "shop", "1s").await;
    let _operator = policy::operator(&cluster).await;
    let in_hours = Timestamp::now() + SignedDuration::from_hours(5);
    cluster.apply(policy("shop", "shop", &windows(&daily(in_hours)))).await;
    let message = blocked(&cluster, "shop", "shop", "web", Reason::OutsideWindow).await;
    let opens = in_hours.strftime("the next opens at %Y-%m-%d %H:%M:00Z").to_string();
    assert!(message.ends_with(&opens), "{message}, {opens}");
    phase(&cluster, "shop", "shop", Phase::Blocked).await;

    // The next full minute that leaves time to be asleep before it: nobody wakes the operator.
    let soon = Timestamp::now() + SignedDuration::from_secs(90);
    let opens = Timestamp::from_second(soon.as_second() / 60 * 60).unwrap();
    cluster.apply(policy("shop", "shop", &windows(&daily(opens)))).await;
    let told = opens.strftime("%H:%M:00Z").to_string();
    until(&cluster, "shop", "shop", "the new window to be told", |status| {
        status.message.ends_with(&told)
    })
    .await;
    let left = Duration::try_from(opens.duration_since(Timestamp::now())).unwrap_or_default();
    holds_for(left.saturating_sub(SOON / 10), "no eviction before the window", 0, async || {
        evictions_in(&cluster, "shop").len()
    })
    .await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    let made = evictions_in(&cluster, "shop");
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(made.iter().all(|request| request.time >= opens), "{opens}: {made:?}");
}
