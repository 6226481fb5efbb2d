//! What it costs to lose each zone on paper.

use std::hint::black_box;
use std::time::{Duration, Instant};

use zonespread::observe::{Change, Zone};
use zonespread::operator::{Operator, OutlookProgress};
use zonespread::outlook::{Outlook, Phase};

use super::cluster::{HARD, LARGE, SOFT, Size, now, read};
use super::memory::resident;

/// How often each is measured; the best counts.
const TIMES: usize = 3;

/// The outlook of one zone of a large cluster, in both phases.
pub fn bench() {
    for (name, spread) in [("hard constraints", HARD), ("soft constraints", SOFT)] {
        let size = Size { spread, ..LARGE };
        let operator = size.build();
        let (index, config) = (operator.index(), operator.scheduler_config());
        let zone = Zone::new("c");
        let runs = (0..TIMES).map(|_| {
            let began = Instant::now();
            let outlook = black_box(Outlook::of(index, config, Some(&zone)));
            (began.elapsed(), outlook)
        });
        let (took, outlook) = runs.min_by_key(|(took, _)| *took).expect("it is measured");
        let lost: usize = outlook.zones[0].tiers.iter().map(|tier| tier.lost).sum();
        let pending =
            [Phase::Unreachable, Phase::Gone].map(|phase| outlook.zones[0].pending(phase));
        println!(
            "outlook of a zone, {} nodes, {} pods, {} tiers, {name}: {lost} pods placed twice in {took:.2?} (best of {TIMES}), {:.0} a second; {} and {} stay Pending",
            size.nodes,
            size.pods,
            size.tiers,
            2.0 * lost as f64 / took.as_secs_f64(),
            pending[0],
            pending[1],
        );
        one_tier(size, operator);
    }
}

/// The outlook of all zones when one tier has changed, step by step as the operator makes it.
fn one_tier(size: Size, mut operator: Operator) {
    operator.lead([], [], now());
    operator.decide(now(), None);
    let before = resident();
    let began = Instant::now();
    let (mut steps, mut longest, mut last) = (0, Duration::ZERO, Instant::now());
    operator.make_outlook(true, || {
        longest = longest.max(last.elapsed());
        (steps, last) = (steps + 1, Instant::now());
        true
    });
    println!(
        "outlook of all zones in the operator, {} steps: {:.2?}, the longest step {longest:.2?}, {:.1} MB more resident",
        steps,
        began.elapsed(),
        resident().zip(before).map_or(f64::NAN, |(now, before)| (now as f64 - before as f64) / 1e6)
    );
    let mut best = Duration::MAX;
    for at in 0..TIMES {
        let ready = at % 2 == 1;
        operator.apply(Change::Pod(read(size.pod(7, 0, ready))));
        operator.decide(now(), None);
        let began = Instant::now();
        let progress = operator.make_outlook(false, || true);
        assert_eq!(progress, OutlookProgress::Made { of_all: false }, "one tier has changed");
        best = best.min(began.elapsed());
    }
    println!("the same after a change of one tier: {best:.2?}, {:.2?} a zone", best / 3);
}
