//! Scale-downs that keep the balance: the operator writes deletion costs, once to each pod, and
//! the ReplicaSet controller goes by them.

use crate::harness::{Cluster, OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, Request, eventually};
use crate::policy::{self, SOON, phase, policy, ready};
use crate::scale::a_shop;
use crate::surge::install_surge;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet};
use zonespread::api::{OWN_DELETION_COST, Phase};
use zonespread::observe::DELETION_COST;

const HOLD: &str = "  rebalance: {holdDown: 2s}\n";

/// What an autoscaler asks for, step by step.
const SIZES: [usize; 14] = [6, 3, 9, 5, 4, 11, 7, 3, 12, 8, 10, 3, 6, 9];

async fn scale(cluster: &Cluster, replicas: usize) {
    let replicas = format!("--replicas={replicas}");
    cluster.kubectl(&["scale", "-n", "shop", "deployment/web", &replicas]).await.unwrap();
}

/// The pods of web that stay.
async fn pods(cluster: &Cluster) -> Vec<Pod> {
    let mut pods = cluster.pods("shop", "app=web").await;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    pods
}

fn has_own_cost(pod: &Pod) -> bool {
    let annotations = pod.annotations();
    annotations.contains_key(OWN_DELETION_COST)
        && annotations.get(OWN_DELETION_COST) == annotations.get(DELETION_COST)
}

/// Waits until there are so many pods, of which so many have a cost of the operator's.
async fn guided(cluster: &Cluster, all: usize, own: usize) -> Vec<Pod> {
    ready(cluster, "shop", "app=web", all).await;
    eventually(SOON, &format!("{own} of {all} pods with costs"), async || {
        let pods = pods(cluster).await;
        let with = pods.iter().filter(|pod| has_own_cost(pod)).count();
        if (pods.len(), with) == (all, own) { Ok(pods) } else { Err(format!("{with}")) }
    })
    .await
}

/// The changes of pods that the operator made, by pod.
fn patches(cluster: &Cluster) -> BTreeMap<String, usize> {
    let requests = cluster.requests_by_service_account(OPERATOR_NAMESPACE, OPERATOR_ACCOUNT);
    let is_patch = |request: &Request| {
        let of_pod = request.resource == "pods" && request.verb == "patch";
        of_pod && !request.dry_run && request.namespace == "shop"
    };
    let mut patches = BTreeMap::new();
    for request in requests.into_iter().filter(is_patch) {
        assert_eq!(request.code, 200, "{request:?}");
        *patches.entry(request.name).or_default() += 1;
    }
    patches
}

#[tokio::test]
async fn scale_downs_never_unbalance_a_tier_and_each_pod_is_changed_once() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "0s").await;
    let kubeconfig = install_surge(&cluster).await;
    let _operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut note = |pods: Vec<Pod>| seen.extend(pods.iter().map(ResourceExt::name_any));
    note(guided(&cluster, 9, 9).await);
    for replicas in SIZES {
        scale(&cluster, replicas).await;
        eventually(SOON, &format!("{replicas} pods"), async || {
            (pods(&cluster).await.len() == replicas).then_some(())
        })
        .await;
        let spread = cluster.spread("shop", "app=web").await;
        let (fewest, most) = (spread.values().min().unwrap(), spread.values().max().unwrap());
        assert!(spread.len() == 3 && most - fewest <= 1, "at {replicas}: {spread:?}");
        note(guided(&cluster, replicas, replicas).await);
    }
    let patches = patches(&cluster);
    assert_eq!(patches.keys().cloned().collect::<BTreeSet<_>>(), seen);
    assert!(patches.values().all(|count| *count == 1), "{patches:?}");
    assert!(policy::evictions_in(&cluster, "shop").is_empty());
}

#[tokio::test]
async fn what_was_just_moved_stays_while_others_can_go() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "0s").await;
    let kubeconfig = install_surge(&cluster).await;
    let _operator = policy::replica(&cluster, &kubeconfig, &[]).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    guided(&cluster, 9, 9).await;
    cluster.cordon_zone("c").await;
    phase(&cluster, "shop", "shop", Phase::Frozen).await;
    cluster.evacuate_zone("c").await;
    ready(&cluster, "shop", "app=web", 9).await;
    cluster.uncordon_zone("c").await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    guided(&cluster, 9, 9).await;
    let moved: Vec<String> =
        cluster.zone_pods("c").await.iter().map(ResourceExt::name_any).collect();
    assert_eq!(moved.len(), 3);
    for replicas in [8, 7] {
        scale(&cluster, replicas).await;
        let left = guided(&cluster, replicas, replicas).await;
        let left: Vec<String> = left.iter().map(ResourceExt::name_any).collect();
        assert!(moved.iter().all(|pod| left.contains(pod)), "{moved:?} of {left:?}");
    }
    let spread = cluster.spread("shop", "app=web").await;
    assert_eq!(spread.values().copied().collect::<Vec<_>>(), [2, 2, 3]);
}

#[tokio::test]
async fn costs_of_others_stay_and_never_takes_back_the_operators() {
    let cluster = Cluster::start().await;
    a_shop(&cluster, "0s").await;
    // As deploy/base alone leaves it.
    let mut operator = policy::operator(&cluster).await;
    cluster.apply(policy("shop", "shop", HOLD)).await;
    phase(&cluster, "shop", "shop", Phase::Balanced).await;
    let told = || operator.log().matches("scale-downs are not guided").count();
    assert_eq!(told(), 1, "{}", operator.log());
    assert!(operator.log().contains("no right to annotate pods: deploy/surge gives it"));
    assert!(patches(&cluster).is_empty());

    let users = pods(&cluster).await.remove(0).name_any();
    let annotate = async |pod: &str, cost: &str| {
        let cost = format!("{DELETION_COST}={cost}");
        let arguments = ["annotate", "pod", "-n", "shop", pod, &cost, "--overwrite"];
        cluster.kubectl(&arguments).await.unwrap();
    };
    annotate(&users, "50").await;
    install_surge(&cluster).await;
    operator.terminate().await;
    operator.start_again();
    operator.ready().await;
    let guided_pods = guided(&cluster, 9, 8).await;
    // One that has the operator's cost is given another by hand, and keeps that.
    let also = guided_pods.iter().rfind(|pod| has_own_cost(pod)).unwrap().name_any();
    annotate(&also, "7").await;
    let left = guided(&cluster, 9, 7).await;
    assert!(left.iter().all(|pod| has_own_cost(pod) || [&users, &also].contains(&&pod.name_any())));

    cluster.apply(policy("shop", "shop", "  rebalance: {scaleIn: Never}\n")).await;
    guided(&cluster, 9, 0).await;
    for pod in pods(&cluster).await {
        let name = pod.name_any();
        let cost = pod.annotations().get(DELETION_COST).map(String::as_str);
        let expected = if name == users { Some("50") } else { (name == also).then_some("7") };
        assert_eq!(cost, expected, "{name}");
    }
    let patches = patches(&cluster);
    assert_eq!((patches.get(&users), patches.get(&also)), (None, Some(&1)), "{patches:?}");
}
