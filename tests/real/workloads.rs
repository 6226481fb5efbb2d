//! What one outage does to workloads of every kind: some move, the others say why not.
//! Each has a namespace, a policy and a tier of the same name, all in one cluster.

use crate::harness::{
    Cluster, ScheduleAnyway, Workload, daemon_set, deployment, disruption_budget, eventually,
    evictions, holds_for, pod, stateful_set,
};
use crate::policy::{self, SOON, evictions_in, phase, ready, tier};
use kube::ResourceExt;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use zonespread::api::{MoveState, Phase, Reason, ZoneSpreadPolicyStatus};

/// What becomes of a tier after zone c was cordoned, emptied and opened again.
enum Then {
    /// So many moves bring it to these counts.
    Moves(usize, [usize; 3]),
    /// Nothing moves, in this phase, for this reason, with this in its message.
    Stays(Phase, Reason, &'static str),
}
use Then::{Moves, Stays};

/// A story: its name, what is applied, how many Ready pods that makes, what becomes of them.
struct Story {
    name: &'static str,
    objects: Vec<String>,
    policy: &'static str,
    ready: usize,
    then: Then,
}

fn story(name: &'static str, workloads: &[Workload], ready: usize, then: Then) -> Story {
    let objects = workloads
        .iter()
        .map(|workload| workload.clone().label("part-of", name).label("tier", name).to_string())
        .collect();
    Story { name, objects, policy: "", ready, then }
}

impl Story {
    /// With more in its policy.
    fn policy(self, policy: &'static str) -> Self {
        Self { policy, ..self }
    }

    /// With another object, not of its tier.
    fn and(mut self, object: String) -> Self {
        self.objects.push(object);
        self
    }
}

fn spread(name: &str, replicas: u32) -> Workload {
    deployment(name, name, replicas).spread(ScheduleAnyway)
}

fn with_empty_dir(workload: Workload) -> Workload {
    workload.pod_spec("volumes", json!([{"name": "scratch", "emptyDir": {}}]))
}

/// A pod without a controller, on this node.
fn bare(number: u32, node: &str) -> Workload {
    pod("bare", &format!("bare-{number}")).pod_spec("nodeName", node.into())
}

fn pinned(about: &'static str) -> Then {
    Stays(Phase::Blocked, Reason::Pinned, about)
}

/// Those that are unbalanced from the start: made while only zone a takes pods.
fn made_in_one_zone() -> Vec<Story> {
    let single = |number: u32| deployment("singles", &format!("single-{number}"), 1);
    vec![
        story(
            "singles",
            &[single(1), single(2), single(3)],
            3,
            Stays(
                Phase::Blocked,
                Reason::SingleReplica,
                "is the only replica of Deployment single-",
            ),
        ),
        story(
            "cache",
            &[deployment("cache", "cache", 2)],
            2,
            Stays(Phase::Balanced, Reason::SingleZoneAccepted, "session cache"),
        )
        .policy("  tiers: [{name: cache, singleZone: {accepted: true, reason: session cache}}]\n"),
        story("bare", &[bare(1, "a1"), bare(2, "a2")], 2, pinned("has no controller")),
    ]
}

/// Those that the outage brings out of balance.
fn unbalanced_by_the_outage() -> Vec<Story> {
    let marked = |name: &'static str, annotation: &str, value: &str| {
        spread(name, 3).annotation(annotation, value)
    };
    vec![
        story("web", &[spread("web", 6)], 6, Moves(2, [2, 2, 2])),
        story("db", &[stateful_set("db", "db", 3).spread(ScheduleAnyway)], 3, Moves(1, [1, 1, 1])),
        story("scratch", &[with_empty_dir(spread("scratch", 3))], 3, Moves(1, [1, 1, 1])),
        story(
            "store",
            &[with_empty_dir(stateful_set("store", "store", 3).spread(ScheduleAnyway))],
            3,
            pinned("emptyDir"),
        ),
        story("agent", &[daemon_set("agent", "agent")], 8, pinned("belongs to DaemonSet agent")),
        story(
            "keep",
            &[marked("keep", "zonespread.io/do-not-evict", "true")],
            3,
            pinned("zonespread.io/do-not-evict: \"true\""),
        ),
        story(
            "stay",
            &[marked("stay", "karpenter.sh/do-not-disrupt", "true")],
            3,
            pinned("karpenter.sh/do-not-disrupt: \"true\""),
        ),
        story(
            "unsafe",
            &[marked("unsafe", "cluster-autoscaler.kubernetes.io/safe-to-evict", "false")],
            3,
            pinned("cluster-autoscaler.kubernetes.io/safe-to-evict: \"false\""),
        ),
        story(
            "guarded",
            &[spread("guarded", 3)],
            3,
            Stays(Phase::Blocked, Reason::BudgetExhausted, "PodDisruptionBudget guarded"),
        )
        .and(disruption_budget("guarded", "guarded", "maxUnavailable", 0)),
        story(
            "twice",
            &[spread("twice", 3)],
            3,
            Stays(Phase::Blocked, Reason::MultipleBudgets, "one and two both select pod twice-"),
        )
        .and(named(&disruption_budget("twice", "twice", "maxUnavailable", 1), "one"))
        .and(named(&disruption_budget("twice", "twice", "maxUnavailable", 1), "two")),
        story(
            "sick",
            &[spread("sick", 5), deployment("sick", "broken", 1).never_ready()],
            5,
            Stays(Phase::Blocked, Reason::TierUnavailable, "5 of 6 pods are Available"),
        ),
        story(
            "watched",
            &[spread("watched", 6)],
            6,
            Stays(Phase::Observing, Reason::ObserveOnly, "set mode: Auto"),
        )
        .policy("  mode: Observe\n"),
        story("loose", &[spread("loose", 7)], 7, Moves(1, [3, 3, 1])).policy("  maxSkew: 2\n"),
        // Half of its pods have no tier, and are no business of anybody.
        story("mixed", &[spread("mixed", 3)], 5, Moves(1, [1, 1, 1]))
            .and(deployment("mixed", "stray", 2).label("part-of", "mixed").to_string()),
        story(
            "rollout",
            &[rollout()],
            6,
            Stays(Phase::Blocked, Reason::RolloutInProgress, "Deployment rollout is rolling out"),
        ),
    ]
}

fn named(object: &str, name: &str) -> String {
    let mut object: serde_json::Value = serde_json::from_str(object).unwrap();
    object["metadata"]["name"] = name.into();
    object.to_string()
}

/// One pod at a time, each takes a second: time enough to stop in the middle.
fn rollout() -> Workload {
    spread("rollout", 6)
        .start_delay("1s")
        .set("/spec/strategy", json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}))
}

/// Stops the rollout of a new version when some pods have it and others do not.
async fn stop_a_rollout_half_way(cluster: &Cluster) {
    let deployment = "deployment/rollout";
    let kubectl = async |arguments: &[&str]| {
        cluster.kubectl(&[arguments, &["-n", "rollout"]].concat()).await.unwrap()
    };
    kubectl(&["set", "env", deployment, "VERSION=2"]).await;
    eventually(SOON, "an updated pod", async || {
        let query = ["get", deployment, "-o", "jsonpath={.status.updatedReplicas}"];
        kubectl(&query).await.parse::<u32>().ok().filter(|updated| *updated > 0)
    })
    .await;
    kubectl(&["rollout", "pause", deployment]).await;
    ready(cluster, "rollout", "tier=rollout", 6).await;
}

async fn apply(cluster: &Cluster, stories: &[Story]) {
    for story in stories {
        cluster.namespace(story.name).await;
    }
    let objects: Vec<&str> =
        stories.iter().flat_map(|story| &story.objects).map(String::as_str).collect();
    cluster.apply(objects.join("\n---\n")).await;
    all_ready(cluster, stories).await;
}

async fn all_ready(cluster: &Cluster, stories: &[Story]) {
    for Story { name, ready: expected, .. } in stories {
        ready(cluster, name, &format!("part-of={name}"), *expected).await;
    }
}

#[tokio::test]
async fn after_an_outage_every_workload_moves_or_says_why_not() {
    let cluster = Cluster::start().await;
    // A DaemonSet has as many pods in a zone as there are nodes: four, two, two.
    for (zone, nodes) in [("a", 4), ("b", 2), ("c", 2)] {
        cluster.add_zone(zone, nodes).await;
    }
    tokio::join!(cluster.cordon_zone("b"), cluster.cordon_zone("c"));
    let mut stories = made_in_one_zone();
    apply(&cluster, &stories).await;
    tokio::join!(cluster.uncordon_zone("b"), cluster.uncordon_zone("c"));
    let others = unbalanced_by_the_outage();
    apply(&cluster, &others).await;
    stories.extend(others);

    let operator = policy::operator(&cluster).await;
    cluster.cordon_zone("c").await;
    let policies: Vec<String> = stories
        .iter()
        .map(|Story { name, policy, .. }| {
            let rest = format!("  tierLabel: tier\n  rebalance: {{holdDown: 2s}}\n{policy}");
            policy::policy_without_tier_label(name, name, &rest)
        })
        .collect();
    cluster.apply(policies.join("---\n")).await;
    cluster.evacuate_zone("c").await;
    all_ready(&cluster, &stories).await;
    stop_a_rollout_half_way(&cluster).await;
    for Story { name, .. } in &stories {
        phase(&cluster, name, name, Phase::Frozen).await;
    }
    assert_eq!(evictions(&cluster), 0);

    cluster.uncordon_zone("c").await;
    let mut expected = 0;
    for story in &stories {
        let name = story.name;
        let status = match story.then {
            Moves(moves, counts) => {
                expected += moves;
                moved(&cluster, name, moves, counts).await
            }
            Stays(phase, reason, about) => stays(&cluster, name, phase, reason, about).await,
        };
        assert_eq!(status.summary.tiers, 1, "{name}");
    }
    let three = Duration::from_secs(3);
    holds_for(three, "the number of evictions", expected, async || evictions(&cluster)).await;
    only_what_was_evicted_was_asked_for(&cluster, &stories);
    what_some_of_them_say_besides(&cluster).await;
    drop(operator);
}

async fn moved(
    cluster: &Cluster,
    name: &str,
    moves: usize,
    counts: [usize; 3],
) -> ZoneSpreadPolicyStatus {
    let status = phase(cluster, name, name, Phase::Balanced).await;
    assert_eq!(evictions_in(cluster, name).len(), moves, "{name}");
    let mut spread: Vec<usize> =
        cluster.spread(name, &format!("tier={name}")).await.into_values().collect();
    spread.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(spread, counts, "{name}");
    assert_eq!(status.moves.len(), moves, "{name}: {:?}", status.moves);
    for moved in &status.moves {
        assert_eq!((moved.state, moved.to.as_str()), (MoveState::Landed, "c"), "{name}");
    }
    status
}

async fn stays(
    cluster: &Cluster,
    name: &str,
    expected: Phase,
    reason: Reason,
    about: &str,
) -> ZoneSpreadPolicyStatus {
    let message = policy::blocked(cluster, name, name, name, reason).await;
    assert!(message.contains(about), "{name}: {message}");
    let status = phase(cluster, name, name, expected).await;
    let degraded = status.conditions.iter().find(|condition| condition.type_ == "Degraded");
    let is_degraded = degraded.unwrap().status == "True";
    assert_eq!(is_degraded, expected == Phase::Blocked, "{name}: {degraded:?}");
    assert!(status.moves.is_empty(), "{name}: {:?}", status.moves);
    status
}

/// A pod that stays was not even asked for: a refused eviction is somebody's alert.
fn only_what_was_evicted_was_asked_for(cluster: &Cluster, stories: &[Story]) {
    let user = (crate::harness::OPERATOR_NAMESPACE, crate::harness::OPERATOR_ACCOUNT);
    let requests = cluster.requests_by_service_account(user.0, user.1);
    let asked: BTreeSet<&str> = requests
        .iter()
        .filter(|request| request.subresource == "eviction")
        .map(|request| request.namespace.as_str())
        .collect();
    let moved = stories.iter().filter(|story| matches!(story.then, Moves(..)));
    assert_eq!(asked, moved.map(|story| story.name).collect());
}

async fn what_some_of_them_say_besides(cluster: &Cluster) {
    let status = policy::status(cluster, "db", "db").await;
    let moved = &status.moves[0];
    assert_eq!(moved.replacement.as_deref(), Some(moved.pod.as_str()), "a StatefulSet's name");
    assert_eq!(moved.owner, "StatefulSet/db");

    let status = policy::status(cluster, "watched", "watched").await;
    let plan = status.plan.as_ref().unwrap();
    assert_eq!((plan.total, plan.moves.len()), (2, 2), "the plan is shown, not carried out");
    assert!(plan.moves.iter().all(|planned| planned.tier == "watched" && planned.to == "c"));
    let pods: Vec<String> =
        cluster.pods("watched", "").await.iter().map(ResourceExt::name_any).collect();
    assert!(plan.moves.iter().all(|planned| pods.contains(&planned.pod)), "{plan:?}");
    assert_eq!(tier(&status, "watched").reachable_skew, 0);

    let status = policy::status(cluster, "mixed", "mixed").await;
    assert_eq!((status.untiered_pods, tier(&status, "mixed").pods), (2, 3));
    let status = policy::status(cluster, "cache", "cache").await;
    assert_eq!((tier(&status, "cache").skew, status.phase), (2, Some(Phase::Balanced)));
    let status = policy::status(cluster, "agent", "agent").await;
    let counts: Vec<i32> = tier(&status, "agent").zones.iter().map(|zone| zone.pods).collect();
    assert_eq!(counts, [4, 2, 2]);
    assert_eq!(tier(&status, "agent").reachable_skew, 2);
}
