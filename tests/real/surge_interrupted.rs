//! Surges that something comes in the way of: whatever it is, nothing is left behind, and
//! no endpoint is missed.

use crate::harness::{Cluster, Component, Operator, deployment, disruption_budget, eventually};
use crate::policy::{self, SOON, becomes_leader, phase, policy, ready, status, until};
use crate::surge::{
    HOLD, a_slow_pair, apply_pair, can_surge, install_surge, left_behind, lose_and_give_back,
    ready_endpoints,
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use zonespread::api::{MoveKind, MoveState, MoveStatus, Phase, Reason, ZoneSpreadPolicyStatus};

const MINUTES: Duration = Duration::from_mins(2);

/// Watches the endpoints of namespaces, until it is told to stop.
struct Watcher {
    fewest: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Watcher {
    fn start(cluster: &Arc<Cluster>, namespace: &'static str) -> Self {
        let fewest = Arc::new(AtomicUsize::new(2));
        let (cluster, seen_least) = (cluster.clone(), fewest.clone());
        let task = tokio::spawn(async move {
            loop {
                let seen = ready_endpoints(&cluster, namespace).await;
                seen_least.fetch_min(seen, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { fewest, task }
    }

    /// How many endpoints there were at the worst moment.
    fn fewest(&self) -> usize {
        self.fewest.load(Ordering::Relaxed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn last(status: &ZoneSpreadPolicyStatus) -> Option<&MoveStatus> {
    status.moves.last()
}

async fn surge_is(cluster: &Cluster, shop: &str, state: MoveState) -> MoveStatus {
    eventually(MINUTES, &format!("a surge of {shop} to be {state:?}"), async || {
        let status = status(cluster, shop, shop).await;
        let found = status.moves.iter().rev().find(|moved| moved.state == state);
        found.cloned().ok_or_else(|| format!("{:?}, {:?}", status.message, status.moves))
    })
    .await
}

async fn nothing_is_left(cluster: &Cluster, shop: &str) {
    eventually(MINUTES, &format!("nothing to be left behind in {shop}"), async || {
        let left = left_behind(cluster, shop).await;
        if left.is_empty() { Ok(()) } else { Err(left.join(" ")) }
    })
    .await;
}

/// So many pods, each with an owner.
async fn owned_pods(cluster: &Cluster, shop: &str, expected: usize) {
    eventually(MINUTES, &format!("{expected} pods with owners in {shop}"), async || {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), shop);
        let pods = pods.list(&ListParams::default()).await.unwrap().items;
        let owned = pods.iter().filter(|pod| !pod.owner_references().is_empty()).count();
        let seen = (pods.len(), owned);
        if seen == (expected, expected) { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

/// A cluster of zones a and c, with the operator and these shops; zone c has been out. Their
/// pods start so slowly that there is time.
async fn shops(
    shops: &[&'static str],
    delay: &str,
    rest: &str,
) -> (Arc<Cluster>, Operator, Vec<Watcher>) {
    let cluster = Arc::new(Cluster::start().await);
    for zone in ["a", "c"] {
        cluster.add_zone(zone, 2).await;
    }
    for shop in shops {
        apply_pair(&cluster, a_slow_pair(shop).start_delay(delay), shop, "minAvailable", 2.into())
            .await;
    }
    let kubeconfig = install_surge(&cluster).await;
    let operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    for shop in shops {
        cluster.apply(policy(shop, shop, rest)).await;
        phase(&cluster, shop, shop, Phase::Balanced).await;
    }
    can_surge(&operator).await;
    lose_and_give_back(&cluster, shops).await;
    let watchers = shops.iter().map(|shop| Watcher::start(&cluster, shop)).collect();
    (cluster, operator, watchers)
}

#[tokio::test]
async fn a_surge_is_ended_whatever_users_do_in_the_middle_of_it() {
    let names = ["rollout", "zero", "policy", "quota", "gone"];
    let rest = "  rebalance: {holdDown: 2s, landingTimeout: 20s}\n";
    let (cluster, _operator, watchers) = shops(&names, "6s", rest).await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"namespace": "quota", "name": "two"}, "spec": {"hard": {"pods": "2"}}});
    cluster.apply(quota.to_string()).await;
    let kubectl = async |arguments: &[&str]| cluster.kubectl(arguments).await.unwrap();

    let rollout = async {
        surge_is(&cluster, "rollout", MoveState::Released).await;
        kubectl(&["-n", "rollout", "rollout", "restart", "deployment/was"]).await;
        let undone = surge_is(&cluster, "rollout", MoveState::Refused).await;
        assert!(undone.message.contains("Deployment was is rolling out"), "{}", undone.message);
        nothing_is_left(&cluster, "rollout").await;
        owned_pods(&cluster, "rollout", 2).await;
    };
    let zero = async {
        surge_is(&cluster, "zero", MoveState::Released).await;
        kubectl(&["-n", "zero", "scale", "deployment/was", "--replicas=0"]).await;
        surge_is(&cluster, "zero", MoveState::Refused).await;
        owned_pods(&cluster, "zero", 0).await;
    };
    let policy = async {
        surge_is(&cluster, "policy", MoveState::Released).await;
        kubectl(&["-n", "policy", "delete", "zsp", "policy"]).await;
        nothing_is_left(&cluster, "policy").await;
        owned_pods(&cluster, "policy", 2).await;
    };
    let quota = async {
        // There is no room for a third pod: the surge is stuck, and undone at no cost.
        let stuck = surge_is(&cluster, "quota", MoveState::Stuck).await;
        assert!(stuck.message.contains("no replacement was made"), "{}", stuck.message);
        nothing_is_left(&cluster, "quota").await;
        owned_pods(&cluster, "quota", 2).await;
        policy::blocked(&cluster, "quota", "quota", "was", Reason::Backoff).await;
    };
    let gone = async {
        surge_is(&cluster, "gone", MoveState::Released).await;
        kubectl(&["-n", "gone", "delete", "deployment", "was"]).await;
        // The budget that is left behind holds the released pod; nobody else wants it.
        eventually(MINUTES, "only the released pod to be left", async || {
            let left = left_behind(&cluster, "gone").await;
            let pods = cluster.pods("gone", "app=was").await.len();
            if (left.len(), pods) == (1, 1) { Ok(()) } else { Err(format!("{left:?}, {pods}")) }
        })
        .await;
        kubectl(&["-n", "gone", "delete", "pdb", "was"]).await;
        owned_pods(&cluster, "gone", 0).await;
    };
    tokio::join!(rollout, zero, policy, quota, gone);
    for (shop, watcher) in names.iter().zip(&watchers) {
        let is_served = !matches!(*shop, "zero" | "gone");
        assert!(!is_served || watcher.fewest() == 2, "{shop}: {} endpoints", watcher.fewest());
    }
}

#[tokio::test]
async fn a_replacement_that_does_not_start_or_lands_elsewhere_costs_nothing() {
    let rest = "  rebalance: {holdDown: 2s, landingTimeout: 20s}\n";
    let (cluster, _operator, watchers) = shops(&["shop"], "2s", rest).await;
    cluster.freeze(Component::Scheduler).await;
    surge_is(&cluster, "shop", MoveState::Released).await;
    // Zone c is avoided from now on: the replacement goes to zone a. One that only thaws may
    // place it before it has read of the taints; one that starts reads all nodes first.
    let zone = "topology.kubernetes.io/zone=c";
    let taint = "busy=yes:PreferNoSchedule";
    cluster.kubectl(&["taint", "node", "-l", zone, taint]).await.unwrap();
    cluster.crash(Component::Scheduler, Duration::ZERO).await;
    let missed = surge_is(&cluster, "shop", MoveState::Missed).await;
    assert_eq!((missed.kind, &*missed.to), (MoveKind::Surge, "c"), "{missed:?}");
    nothing_is_left(&cluster, "shop").await;
    owned_pods(&cluster, "shop", 2).await;

    // Nothing starts in zone c any more, and it is not avoided.
    cluster.break_zone("c").await;
    cluster.kubectl(&["taint", "node", "-l", zone, "busy-"]).await.unwrap();
    surge_is(&cluster, "shop", MoveState::Stuck).await;
    nothing_is_left(&cluster, "shop").await;
    owned_pods(&cluster, "shop", 2).await;
    let spread = cluster.spread("shop", "app=was").await;
    assert_eq!(spread.get("a"), Some(&2), "{spread:?}");
    assert_eq!(crate::harness::evictions(&cluster), 0);
    assert_eq!(watchers[0].fewest(), 2);
}

#[tokio::test]
async fn a_leader_that_is_killed_in_the_middle_of_a_surge_leaves_its_end_to_the_next() {
    let shop = "shop";
    let (cluster, mut first, watchers) = shops(&[shop], "3s", HOLD).await;
    let mut second = policy::another(&cluster).await;
    for (round, delay) in [0, 2_800, 3_100].into_iter().enumerate() {
        surge_is(&cluster, shop, MoveState::Released).await;
        tokio::time::sleep(Duration::from_millis(delay)).await;
        first.kill().await;
        becomes_leader(&second, "the other replica to lead").await;
        nothing_is_left(&cluster, shop).await;
        let landed = eventually(MINUTES, "the surge to have landed", async || {
            let status = status(&cluster, shop, shop).await;
            let landed = status.moves.iter().filter(|moved| moved.state == MoveState::Landed);
            let landed = landed.count();
            if landed == round + 1 { Ok(landed) } else { Err(format!("{:?}", status.moves)) }
        })
        .await;
        owned_pods(&cluster, shop, 2).await;
        phase(&cluster, shop, shop, Phase::Balanced).await;
        first.start_again();
        first.ready().await;
        std::mem::swap(&mut first, &mut second);
        can_surge(&first).await;
        if landed < 3 {
            lose_and_give_back(&cluster, &[shop]).await;
        }
    }
    assert_eq!(crate::harness::evictions(&cluster), 3, "one for each surge");
    // Draining zone c for the next round is not ours.
    drop(watchers);
}

#[tokio::test]
async fn without_the_right_any_more_a_surge_ends_by_the_eviction_that_the_budget_allows() {
    let (cluster, operator, watchers) = shops(&["shop"], "6s", HOLD).await;
    surge_is(&cluster, "shop", MoveState::Released).await;
    let binding = ["delete", "clusterrolebinding", "zonespread-surge"];
    cluster.kubectl(&binding).await.unwrap();
    surge_is(&cluster, "shop", MoveState::Landed).await;
    nothing_is_left(&cluster, "shop").await;
    owned_pods(&cluster, "shop", 2).await;
    assert_eq!(watchers[0].fewest(), 2);
    assert!(!operator.log().contains("panicked"));
}

#[tokio::test]
async fn an_autoscaler_at_its_maximum_keeps_pods_from_surging_and_one_without_metrics_does_not() {
    let cluster = Cluster::start().await;
    cluster.add_zone("a", 2).await;
    apply_pair(&cluster, a_slow_pair("shop"), "shop", "minAvailable", 2.into()).await;
    let autoscaler = |most: i32| {
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"namespace": "shop", "name": "was"},
            "spec": {"minReplicas": 2, "maxReplicas": most,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "was"},
                "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 50}}}]}})
    };
    cluster.apply(autoscaler(2).to_string()).await;
    let kubeconfig = install_surge(&cluster).await;
    let operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    let strategy = "  rebalance: {holdDown: 2s, settle: 0s, strategy: Surge}\n";
    cluster.apply(policy("shop", "shop", strategy)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    can_surge(&operator).await;
    cluster.add_zone("c", 2).await;
    let why = policy::blocked(&cluster, "shop", "shop", "was", Reason::CannotSurge).await;
    assert!(why.contains("HorizontalPodAutoscaler was is at its maximum of 2"), "{why}");

    // Nobody serves metrics here: the autoscaler knows how many there are, and desires nothing.
    cluster.apply(autoscaler(4).to_string()).await;
    let status = ["get", "hpa", "was", "-n", "shop", "-o", "jsonpath={.status}"];
    let told = eventually(MINUTES, "the autoscaler to count the pods", async || {
        let told = cluster.kubectl(&status).await.unwrap();
        if told.contains("\"currentReplicas\":2") { Ok(told) } else { Err(told) }
    })
    .await;
    println!("{told}");
    until(&cluster, "shop", "shop", "the surge to land", |status| {
        last(status).is_some_and(|moved| moved.state == MoveState::Landed)
    })
    .await;
    nothing_is_left(&cluster, "shop").await;
}

/// Refuses every change of a template hash, whoever makes it.
const NO_RELABELLING: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-relabelling}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: ["*"], operations: [UPDATE], resources: [pods]}]
  validations:
  - expression: object.metadata.?labels[?"pod-template-hash"] == oldObject.metadata.?labels[?"pod-template-hash"]
    message: nobody changes a template hash here
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-relabelling}
spec: {policyName: no-relabelling, validationActions: [Deny]}
"#;

#[tokio::test]
async fn where_no_release_is_let_through_nothing_is_released_and_it_says_who_refuses() {
    let cluster = Cluster::start().await;
    cluster.add_zone("a", 2).await;
    cluster.namespace("shop").await;
    cluster.apply(deployment("shop", "was", 2).label("part-of", "shop").to_string()).await;
    cluster.apply(disruption_budget("shop", "was", "minAvailable", 2)).await;
    ready(&cluster, "shop", "app=was", 2).await;
    let kubeconfig = install_surge(&cluster).await;
    let strategy = "  rebalance: {holdDown: 2s, settle: 0s, strategy: Surge}\n";
    cluster.apply(policy("shop", "shop", strategy)).await;
    cluster.apply(NO_RELABELLING).await;
    eventually(SOON, "the admission policy to take effect", async || {
        let label = ["label", "pod", "-n", "shop", "-l", "app=was", "--overwrite"];
        let label = [&label[..], &["--dry-run=server", "pod-template-hash=x"]].concat();
        cluster.kubectl(&label).await.is_err().then_some(())
    })
    .await;
    let operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    eventually(SOON, "the operator to say why it does not surge", async || {
        operator.log().contains("nobody changes a template hash here").then_some(())
    })
    .await;
    cluster.add_zone("c", 2).await;
    let why = policy::blocked(&cluster, "shop", "shop", "was", Reason::CannotSurge).await;
    assert!(why.contains("no-relabelling"), "{why}");

    let policies = "validatingadmissionpolicybinding,validatingadmissionpolicy";
    cluster.kubectl(&["delete", policies, "no-relabelling"]).await.unwrap();
    until(&cluster, "shop", "shop", "the surge to land", |status| {
        last(status).is_some_and(|moved| moved.state == MoveState::Landed)
    })
    .await;
    assert!(status(&cluster, "shop", "shop").await.can_surge);
    nothing_is_left(&cluster, "shop").await;
}
