//! What an answer costs: for one tier that changed, and for all of them.

use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;
use zonespread::api::ZoneSpreadPolicyStatus;
use zonespread::moves::Effect;
use zonespread::observe::{Change, PolicyKey};
use zonespread::operator::Operator;

use super::cluster::{HARD, LARGE, MEDIUM, SOFT, Size, node, now, read};

/// What the tiers look like that a whole plan is made for.
const SCENES: [(&str, usize, &str); 4] = [
    ("all balanced", 0, HARD),
    ("every 20th without a pod in a recovered zone", 20, HARD),
    ("all without a pod in a recovered zone", 1, HARD),
    ("the same with soft constraints", 1, SOFT),
];

/// Plans after one event, and whole plans.
pub fn bench(criterion: &mut Criterion) {
    one_tier(criterion, "one balanced tier changed", 999, 0);
    one_tier(criterion, "one tier without pods in a zone changed", 999, 1_000_000);
    one_tier(criterion, "the same with 5,000 nodes", 5_000, 1_000_000);
    let mut group = criterion.benchmark_group("whole plan, 999 nodes, 10,000 pods, 500 tiers");
    for (name, unbalanced_every, spread) in SCENES {
        let mut operator = seen(Size { unbalanced_every, spread, ..MEDIUM });
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(operator.dry_run(|_| true, now())));
        });
    }
    group.finish();
    // A few times: what takes long needs no statistics.
    for (name, unbalanced_every, spread) in SCENES {
        let mut operator = seen(Size { unbalanced_every, spread, ..LARGE });
        let mut took = Vec::new();
        let mut moves = 0;
        for _ in 0..5 {
            // So that nothing is left of the plan before.
            operator.apply(Change::Node(read(node(0, took.len() % 2 == 0))));
            let began = Instant::now();
            let dry_runs = black_box(operator.dry_run(|_| true, now()));
            took.push(began.elapsed());
            let tiers = dry_runs.iter().flat_map(|dry_run| &dry_run.tiers);
            moves = tiers.map(|tier| tier.plan.moves.len()).sum::<usize>();
        }
        took.sort_unstable();
        println!(
            "whole plan, 5,000 nodes, 150,000 pods, 2,000 tiers, {name}: {moves} moves in {:.1?} (best of 5: {:.1?})",
            took[took.len() / 2],
            took[0]
        );
    }
}

/// The decision in which as many moves begin as may be under way: each is compared with all
/// before it.
pub fn measure() {
    for spread in [HARD, SOFT] {
        let mut operator = Size { unbalanced_every: 1, spread, ..LARGE }.build();
        operator.lead(Vec::<(PolicyKey, &ZoneSpreadPolicyStatus)>::new(), [], now());
        for zone in operator.decide(now(), None).zones {
            operator.zone_written(&zone, true, now());
        }
        let began = Instant::now();
        let decision = operator.decide(now(), None);
        let took = began.elapsed();
        let begun = decision.effects.iter().filter(|effect| matches!(effect, Effect::Act(_)));
        println!("{} moves begin at once, {spread}: {took:.1?} with all plans", begun.count());
    }
}

/// The answer to one pod event; other tiers should not matter.
fn one_tier(criterion: &mut Criterion, name: &str, nodes: usize, unbalanced_every: usize) {
    let mut group = criterion.benchmark_group(name);
    for others in [10, 2_000] {
        // Of ten tiers each, so that only the number of others differs.
        let size = Size {
            nodes,
            pods: (others + 10) * 30,
            tiers: others + 10,
            tiers_per_policy: 10,
            unbalanced_every,
            ..LARGE
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
