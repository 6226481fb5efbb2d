//! Who says when pods may move: windows, pauses, approvals.

use crate::harness::{Cluster, ScheduleAnyway, deployment, eventually, holds_for};
use crate::policy::{self, SOON, blocked, evictions_in, phase, policy, ready, until};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;
use zonespread::api::{APPROVE, PAUSED, Phase, Reason};

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
        "  rebalance:\n    holdDown: 1s\n    settle: 0s\n    windows:\n    \
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
    assert!(message.contains(&opens), "{message}, {opens}");
    phase(&cluster, "shop", "shop", Phase::Blocked).await;

    // The next full minute that leaves time to be asleep before it: nobody wakes the operator.
    let soon = Timestamp::now() + SignedDuration::from_secs(90);
    let opens = Timestamp::from_second(soon.as_second() / 60 * 60).unwrap();
    cluster.apply(policy("shop", "shop", &windows(&daily(opens)))).await;
    let told = opens.strftime("%H:%M:00Z").to_string();
    until(&cluster, "shop", "shop", "the new window to be told", |status| {
        status.message.contains(&told)
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

const HOLD: &str = "  rebalance: {holdDown: 1s, settle: 0s}\n";

/// `kubectl annotate`, as a user types it.
async fn annotate(cluster: &Cluster, object: &[&str], annotation: &str) {
    let arguments = [&["annotate", "--overwrite"], object, &[annotation]].concat();
    cluster.kubectl(&arguments).await.unwrap();
}

/// Between two moves: the first has been made, and its pod takes a while to start.
#[tokio::test]
async fn a_pause_stops_the_next_move_on_a_policy_and_on_a_namespace() {
    let cluster = Cluster::start().await;
    a_recovered_zone(&cluster, "shop", "10s").await;
    let was = deployment("shop", "was", 6).label("part-of", "shop").spread(ScheduleAnyway);
    cluster.cordon_zone("c").await;
    cluster.apply(was.start_delay("10s").to_string()).await;
    ready(&cluster, "shop", "app=was", 6).await;
    cluster.uncordon_zone("c").await;
    let _operator = policy::operator(&cluster).await;
    // One move at a time, so that there are some between which to pause.
    let slowly = "  rebalance: {holdDown: 1s, settle: 0s, maxUnavailable: 1}\n  tiers:\n  - name: was\n    mode: Observe\n";
    cluster.apply(policy("shop", "shop", slowly)).await;
    let policy_object = ["zsp", "-n", "shop", "shop"];
    let namespace_object = ["namespace", "shop"];
    for (moves, object, what) in
        [(1, &policy_object[..], "policy shop"), (2, &namespace_object[..], "namespace shop")]
    {
        eventually(SOON, "the next move", async || {
            let made = evictions_in(&cluster, "shop").len();
            if made == moves { Ok(()) } else { Err(made.to_string()) }
        })
        .await;
        annotate(&cluster, object, &format!("{PAUSED}=true")).await;
        if moves == 2 {
            // The last move of web; another tier would go on.
            cluster.apply(policy("shop", "shop", HOLD)).await;
        }
        let tier = if moves == 1 { "web" } else { "was" };
        let message = blocked(&cluster, "shop", "shop", tier, Reason::Paused).await;
        assert!(message.starts_with(&format!("{what} is paused")), "{message}");
        // Longer than a start and a landing.
        holds_for(Duration::from_secs(15), "no eviction in a pause", moves, async || {
            evictions_in(&cluster, "shop").len()
        })
        .await;
        annotate(&cluster, object, &format!("{PAUSED}-")).await;
    }
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    assert_eq!(evictions_in(&cluster, "shop").len(), 4);
}

/// The plan that waits, and the command that its message names.
async fn a_plan_that_waits(cluster: &Cluster, but_not: &str) -> (String, Vec<String>) {
    let status = until(cluster, "shop", "shop", "a new plan that waits for approval", |status| {
        status.phase == Some(Phase::AwaitingApproval)
            && status.plan.as_ref().is_some_and(|plan| plan.id != but_not)
    })
    .await;
    let id = status.plan.as_ref().unwrap().id.clone();
    let (_, command) = status.message.split_once("waits for approval: kubectl ").unwrap();
    assert!(command.contains(&format!("zonespread.io/approve={id}")), "{command}");
    (id, command.split(' ').map(str::to_owned).collect())
}

async fn run(cluster: &Cluster, command: &[String]) {
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    cluster.kubectl(&command).await.unwrap();
}

#[tokio::test]
async fn exactly_the_approved_moves_are_made_until_the_world_has_left_the_plan() {
    let cluster = Cluster::start().await;
    a_recovered_zone(&cluster, "shop", "15s").await;
    let mut operator = policy::operator(&cluster).await;
    let slowly = "  mode: Approve\n  rebalance: {holdDown: 1s, settle: 0s, maxUnavailable: 1}\n";
    cluster.apply(policy("shop", "shop", slowly)).await;
    let (first, command) = a_plan_that_waits(&cluster, "").await;
    let shown = policy::status(&cluster, "shop", "shop").await.plan.unwrap();
    assert_eq!(shown.total, 2);
    annotate(&cluster, &["zsp", "-n", "shop", "shop"], &format!("{APPROVE}=0123456789")).await;
    holds_for(Duration::from_secs(5), "no eviction for another id", 0, async || {
        evictions_in(&cluster, "shop").len()
    })
    .await;

    run(&cluster, &command).await;
    eventually(SOON, "the first move", async || {
        let made = evictions_in(&cluster, "shop");
        (made.len() == 1).then_some(())
    })
    .await;
    eventually(SOON, "its replacement in zone c", async || {
        (cluster.spread("shop", "app=web").await.get("c") == Some(&1)).then_some(())
    })
    .await;
    // While that starts, the leader dies, and the next pod is replaced where it is.
    operator.kill().await;
    drop(operator);
    let left = policy::status(&cluster, "shop", "shop").await.approved.unwrap();
    assert_eq!(left.id, first);
    let made = evictions_in(&cluster, "shop");
    let next = shown.moves.iter().find(|planned| planned.pod != made[0].name).unwrap();
    for zone in ["a", "b"].into_iter().filter(|zone| next.from != *zone).chain(["c"]) {
        cluster.cordon_zone(zone).await;
    }
    cluster.kubectl(&["delete", "pod", "-n", "shop", &next.pod]).await.unwrap();
    ready(&cluster, "shop", "app=web", 6).await;
    for zone in ["a", "b", "c"] {
        cluster.uncordon_zone(zone).await;
    }
    let _operator = policy::operator(&cluster).await;
    let (second, command) = a_plan_that_waits(&cluster, &first).await;
    holds_for(Duration::from_secs(5), "no eviction that was not approved", 1, async || {
        evictions_in(&cluster, "shop").len()
    })
    .await;

    run(&cluster, &command).await;
    let after = phase(&cluster, "shop", "shop", Phase::Balanced).await;
    let approved = after.approved.unwrap();
    assert_eq!((approved.id, approved.moves.len()), (second, 0));
    let moved: Vec<String> =
        evictions_in(&cluster, "shop").into_iter().map(|request| request.name).collect();
    assert_eq!(moved.len(), 2, "{moved:?}");
    assert!(shown.moves.iter().any(|planned| planned.pod == moved[0]), "{moved:?}");
}
