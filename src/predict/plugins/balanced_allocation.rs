//! `NodeResourcesBalancedAllocation`: cores and memory should run out together.
//!
//! Follows `pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go` (1.33 to
//! 1.37). Since 1.36 it scores what the pod changes; before, what comes of it.

use crate::observe::{Node, Template};

use crate::predict::plugins::node_resources::Usage;
use crate::predict::plugins::score::{MAX, float, whole};
use crate::predict::version::SchedulerVersion;

/// The plugin's score; pods that ask for neither cores nor memory get none anywhere.
pub fn score(version: SchedulerVersion, usage: &Usage, template: &Template, node: &Node) -> i64 {
    let asked = &template.requests;
    if asked.cpu_milli == 0 && asked.memory == 0 {
        return 0;
    }
    let used = &usage.requested;
    let has = &node.allocatable;
    let with = balance([
        (used.cpu_milli + asked.cpu_milli, has.cpu_milli),
        (used.memory + asked.memory, has.memory),
    ]);
    if version < SchedulerVersion::V1_36 {
        return with;
    }
    let without = balance([(used.cpu_milli, has.cpu_milli), (used.memory, has.memory)]);
    MAX / 2 + (MAX / 2 + with - without) / 2
}

/// From 50, one resource full and the other idle, to 100, both used alike.
fn balance(shares: [(i64, i64); 2]) -> i64 {
    let deviation = match shares {
        [(_, 0), _] | [_, (_, 0)] => 0.0,
        [(cpu, cpu_capacity), (memory, memory_capacity)] => {
            let cpu = (float(cpu) / float(cpu_capacity)).min(1.0);
            let memory = (float(memory) / float(memory_capacity)).min(1.0);
            ((cpu - memory) / 2.0).abs()
        }
    };
    whole((1.0 - deviation) * float(MAX))
}
