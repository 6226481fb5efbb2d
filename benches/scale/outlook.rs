//! What it costs to lose each zone on paper.

use std::hint::black_box;
use std::time::Instant;

use zonespread::observe::Zone;
use zonespread::outlook::{Outlook, Phase};

use super::cluster::{HARD, LARGE, SOFT, Size};

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
    }
}
