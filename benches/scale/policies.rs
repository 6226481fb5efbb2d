//! What thousands of policies cost, and one policy for very many pods.

use std::time::{Duration, Instant};

use criterion::Criterion;
use serde_json::{Value, json};
use zonespread::api::ZoneSpreadPolicyStatus;
use zonespread::moves::{Effect, Outcome, StatusWrite};
use zonespread::observe::{Change, PolicyKey};
use zonespread::operator::Operator;

use super::cluster::{HARD, LARGE, Size, node, now, read};
use super::memory::resident;

const POLICIES: usize = 10_000;

/// All pods belong to one policy, in ten tiers.
const ONE_POLICY: Size = Size {
    nodes: 5_000,
    pods: 100_000,
    tiers: 10,
    tiers_per_policy: 10,
    unbalanced_every: 0,
    spread: HARD,
    pools: 0,
};

/// Policies that select nothing, then the same for pods of their own.
pub fn measure() {
    let mut operator = Operator::default();
    (0..9).for_each(|at| operator.apply(Change::Node(read(node(at, true)))));
    let before = resident();
    let began = Instant::now();
    (0..POLICIES).for_each(|at| operator.apply(policy(at)));
    let applied = began.elapsed();
    let began = Instant::now();
    operator.decide(now(), None);
    let decided = began.elapsed();
    let each = resident().zip(before).map_or(0, |(after, before)| after.saturating_sub(before));
    println!(
        "{POLICIES} idle policies in one namespace: {:.1} kB resident each; applied in {applied:.1?}, decided in {decided:.1?}",
        each as f64 / POLICIES as f64 / 1e3
    );
    let pods: Vec<Change> = (0..3 * POLICIES).map(pod).collect();
    let began = Instant::now();
    for pod in pods {
        operator.apply(pod);
    }
    let took = began.elapsed() / u32::try_from(3 * POLICIES).unwrap_or(1);
    let began = Instant::now();
    (0..POLICIES).for_each(|at| operator.apply(changed(at)));
    let changed = began.elapsed() / u32::try_from(POLICIES).unwrap_or(1);
    let began = Instant::now();
    operator.decide(now(), None);
    println!(
        "with 3 pods each: {took:.1?} for a pod's event, {changed:.1?} for a change of a policy; all of them decided in {:.1?}",
        began.elapsed()
    );
    lead(&mut operator);
}

/// The same policies of a process that leads: every one has a status to be written.
fn lead(operator: &mut Operator) {
    let before = resident();
    operator.lead(Vec::<(PolicyKey, &ZoneSpreadPolicyStatus)>::new(), [], now());
    let (first, took) = all_written(operator);
    let grown = resident().zip(before).map_or(0, |(after, before)| after.saturating_sub(before));
    println!(
        "leading: {first} statuses decided in {took:.1?}, {:.1} kB more resident each",
        grown as f64 / POLICIES as f64 / 1e3
    );
    let cordon = |at: usize, cordoned: bool| {
        let mut node = node(at, true);
        node["spec"]["unschedulable"] = json!(cordoned);
        Change::Node(read(node))
    };
    // Those of zone c, of nine.
    for cordoned in [true, false] {
        for at in [2, 5, 8] {
            operator.apply(cordon(at, cordoned));
        }
        let (written, took) = all_written(operator);
        let what = if cordoned { "is lost" } else { "is back" };
        println!("  a zone {what}: {written} statuses decided in {took:.1?}");
    }
    let (written, took) = all_written(operator);
    println!("  nothing changes: {written} statuses decided in {took:.1?}\n");
}

/// How many statuses are decided, and how long that takes; all of them get written.
fn all_written(operator: &mut Operator) -> (usize, Duration) {
    let began = Instant::now();
    let decision = operator.decide(now(), None);
    let took = began.elapsed();
    for zone in decision.zones {
        operator.zone_written(&zone, true, now());
    }
    let mut written = 0;
    for effect in decision.effects {
        if let Effect::WriteStatus(StatusWrite { policy, uid, status, .. }) = effect {
            written += 1;
            operator.outcome(Outcome::Written { policy, uid, status }, now());
        }
    }
    (written, took)
}

/// Events for one policy with 100,000 pods.
pub fn bench(criterion: &mut Criterion) {
    let mut operator = ONE_POLICY.build();
    operator.decide(now(), None);
    let mut group = criterion.benchmark_group("one policy for 100,000 pods in ten tiers");
    let toggled = |count: u64| -> Vec<Change> {
        (0..count).map(|at| Change::Pod(read(ONE_POLICY.pod(0, 7, at % 2 == 0)))).collect()
    };
    group.bench_function("pod became ready", |bencher| {
        bencher.iter_custom(|events| {
            let changes = toggled(events);
            let began = Instant::now();
            for change in changes {
                operator.apply(change);
            }
            began.elapsed()
        });
    });
    group.bench_function("decision after it", |bencher| {
        bencher.iter_custom(|times| {
            let mut took = Duration::ZERO;
            for change in toggled(times) {
                operator.apply(change);
                let began = Instant::now();
                operator.decide(now(), None);
                took += began.elapsed();
            }
            took
        });
    });
    group.finish();
}

fn policy(at: usize) -> Change {
    with_skew(at, 1)
}

fn changed(at: usize) -> Change {
    with_skew(at, 2)
}

fn with_skew(at: usize, max_skew: usize) -> Change {
    Change::Policy(read(json!({
        "apiVersion": "zonespread.io/v1alpha1", "kind": "ZoneSpreadPolicy",
        "metadata": {
            "name": format!("policy-{at}"), "namespace": "shop", "uid": format!("{at:08x}-2222-4000-8000-000000000000"),
            "creationTimestamp": "2026-05-04T08:00:00Z", "generation": max_skew,
        },
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/part-of": "shop", "app": format!("app-{at}")}},
            "maxSkew": max_skew,
        },
    })))
}

/// One of three pods of a policy.
fn pod(at: usize) -> Change {
    let app = at / 3;
    let mut pod = LARGE.pod(app, at % 3, true);
    pod["metadata"]["namespace"] = json!("shop");
    pod["metadata"]["labels"] = labels(app);
    pod["spec"]["nodeName"] = json!(format!("node-{}", at % 9));
    Change::Pod(read(pod))
}

fn labels(app: usize) -> Value {
    json!({"app.kubernetes.io/part-of": "shop", "app": format!("app-{app}"), "pod-template-hash": "6d4f9c8b7"})
}
