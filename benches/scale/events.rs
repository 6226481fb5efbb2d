//! What one watch event costs, at the size of a large cluster.

use std::time::{Duration, Instant};

use criterion::Criterion;
use serde_json::Value;
use zonespread::observe::{Change, Kind, Name, WatchedPod};
use zonespread::operator::Operator;

use super::cluster::{LARGE, node, read};

/// The tier whose pods come and go.
const TIER: usize = 1_000;

/// Events for a large cluster.
pub fn bench(criterion: &mut Criterion, mut operator: Operator) {
    let mut group = criterion.benchmark_group("event, 5,000 nodes and 150,000 pods");
    group.bench_function("pod added", |bencher| {
        bencher.iter_custom(|events| timed(&mut operator, added(events), gone(events)));
    });
    group.bench_function("pod deleted", |bencher| {
        bencher.iter_custom(|events| {
            apply(&mut operator, added(events));
            timed(&mut operator, gone(events), Vec::new())
        });
    });
    group.bench_function("pod became ready", |bencher| {
        let (ready, unready) = (existing(true), existing(false));
        let toggled = |count: u64| {
            (0..count).map(|at| Change::Pod(if at % 2 == 0 { &unready } else { &ready }.clone()))
        };
        bencher.iter_custom(|events| timed(&mut operator, toggled(events).collect(), Vec::new()));
    });
    group.bench_function("node heartbeat", |bencher| {
        let beats = |count: u64| (0..count).map(|_| Change::Node(read(node(77, true)))).collect();
        bencher.iter_custom(|events| timed(&mut operator, beats(events), Vec::new()));
    });
    group.bench_function("pod added, read from JSON first", |bencher| {
        let text = LARGE.pod(TIER, 1_000_000, true).to_string();
        bencher.iter_custom(|events| {
            let began = Instant::now();
            for _ in 0..events {
                let pod: WatchedPod = serde_json::from_str(&text).expect("it was just written");
                operator.apply(Change::Pod(pod));
            }
            let took = began.elapsed();
            apply(&mut operator, vec![Change::Gone(Kind::Pod, namespace(), name(1_000_000))]);
            took
        });
    });
    group.finish();
}

/// How long `changes` take; `after` puts things back.
fn timed(operator: &mut Operator, changes: Vec<Change>, after: Vec<Change>) -> Duration {
    let began = Instant::now();
    apply(operator, changes);
    let took = began.elapsed();
    apply(operator, after);
    took
}

fn apply(operator: &mut Operator, changes: Vec<Change>) {
    for change in changes {
        operator.apply(change);
    }
}

/// So many new pods.
fn added(count: u64) -> Vec<Change> {
    new(count).map(|at| Change::Pod(read(LARGE.pod(TIER, at, true)))).collect()
}

/// These pods, gone.
fn gone(count: u64) -> Vec<Change> {
    new(count).map(|at| Change::Gone(Kind::Pod, namespace(), name(at))).collect()
}

/// Numbers that no pod of the tier has.
fn new(count: u64) -> impl Iterator<Item = usize> {
    (1_000_000..).take(usize::try_from(count).unwrap_or(usize::MAX))
}

fn existing(ready: bool) -> WatchedPod {
    read(LARGE.pod(TIER, 3, ready))
}

fn namespace() -> Name {
    text(&LARGE.pod(TIER, 0, true), "namespace")
}

fn name(at: usize) -> Name {
    text(&LARGE.pod(TIER, at, true), "name")
}

fn text(pod: &Value, field: &str) -> Name {
    Name::from(pod["metadata"][field].as_str().expect("pods have one"))
}
