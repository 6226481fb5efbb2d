//! What an answer costs: for one tier that changed, and for all of them.

use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;
use jiff::Timestamp;
use zonespread::observe::Change;
use zonespread::operator::Operator;

use super::cluster::{LARGE, MEDIUM, Size, read};

/// Plans after one event, and whole plans.
pub fn bench(criterion: &mut Criterion) {
    one_tier(criterion, "one balanced tier changed", 0);
    one_tier(criterion, "one tier without pods in a zone changed", 1_000_000);
    let mut group = criterion.benchmark_group("whole plan, 999 nodes, 10,000 pods, 500 tiers");
    for (name, unbalanced_every) in [("all balanced", 0), ("every 20th unbalanced", 20)] {
        let mut operator = seen(Size { unbalanced_every, ..MEDIUM });
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(operator.survey(|_| true, now())));
        });
    }
    group.finish();
    // Once: what takes seconds needs no statistics.
    for (name, unbalanced_every) in [("all balanced", 0), ("every 20th unbalanced", 20)] {
        let mut operator = seen(Size { unbalanced_every, ..LARGE });
        let began = Instant::now();
        let surveys = operator.survey(|_| true, now());
        let took = began.elapsed();
        let tiers = surveys.iter().flat_map(|survey| &survey.tiers);
        let moves: usize = tiers.map(|tier| tier.plan.moves.len()).sum();
        println!(
            "whole plan, 5,000 nodes, 150,000 pods, 2,000 tiers, {name}: {moves} moves in {took:.2?}"
        );
    }
}

/// The answer to one pod event; other tiers should not matter.
fn one_tier(criterion: &mut Criterion, name: &str, unbalanced_every: usize) {
    let mut group = criterion.benchmark_group(name);
    for others in [10, 2_000] {
        // Of ten tiers each, so that only the number of others differs.
        let size = Size {
            nodes: 999,
            pods: (others + 10) * 6,
            tiers: others + 10,
            tiers_per_policy: 10,
            unbalanced_every,
        };
        let mut operator = size.build();
        // What changed first is everything.
        operator.decide(now(), None);
        let mut ready = true;
        group.bench_function(format!("{others} others"), |bencher| {
            bencher.iter_custom(|times| {
                let mut took = std::time::Duration::ZERO;
                for _ in 0..times {
                    ready = !ready;
                    operator.apply(Change::Pod(read(size.pod(0, 2, ready))));
                    let began = Instant::now();
                    let decision = black_box(operator.decide(now(), None));
                    took += began.elapsed();
                    assert_eq!(decision.statuses.len(), 1, "one policy is asked");
                }
                took
            });
        });
    }
    group.finish();
}

/// A cluster of that size, with its zones looked at.
fn seen(size: Size) -> Operator {
    let mut operator = size.build();
    operator.recall(now());
    operator
}

fn now() -> Timestamp {
    "2026-05-04T10:00:00Z".parse().expect("a time")
}
