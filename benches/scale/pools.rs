//! What it costs that each tier sees zones by the nodes that it may use.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zonespread::observe::Change;
use zonespread::operator::Operator;

use super::cluster::{LARGE, Size, now, read};

const TIMES: usize = 7;

/// A look at all tiers when nothing has changed, when a node has, and when one has got a taint
/// that nobody knows, without pools and with more and more of them.
pub fn measure() {
    for pools in [0, 1, 20, 100] {
        let size = Size { pools, ..LARGE };
        let mut operator = size.build();
        operator.recall(now());
        operator.decide(now(), None);
        let again = median(|_| timed(|| drop(black_box(operator.dry_run(|_| true, now())))));
        let changed = median(|time| {
            let mut node = size.node(0);
            node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"] = json!(time.to_string());
            after(&mut operator, node)
        });
        let tainted = median(|time| {
            let mut node = size.node(0);
            if time % 2 == 0 {
                let taint = json!({"key": "maintenance", "effect": "NoSchedule"});
                let taints = node["spec"].as_object_mut().expect("a spec").entry("taints");
                taints.or_insert(json!([])).as_array_mut().expect("a list").push(taint);
            }
            after(&mut operator, node)
        });
        println!(
            "zones by tier, 5,000 nodes in {pools} pools, 2,000 tiers: {again:.1?} for a look at \
             all, {changed:.1?} after a change of a node, {tainted:.1?} after an unknown taint"
        );
    }
}

/// How long it takes to decide after this node has changed.
fn after(operator: &mut Operator, node: Value) -> Duration {
    operator.apply(Change::Node(read(node)));
    timed(|| drop(black_box(operator.decide(now(), None))))
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn median(mut measured: impl FnMut(usize) -> Duration) -> Duration {
    let mut took: Vec<Duration> = (0..TIMES).map(&mut measured).collect();
    took.sort_unstable();
    took[TIMES / 2]
}
