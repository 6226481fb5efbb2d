//! Hard constraints on zones and on hosts that leave no node together.

use crate::api::ZONE_LABEL;

use super::check::Check;
use super::constraints::{HOST_LABEL, is_of_itself};
use super::workload::Workload;
use super::{Context, Findings};

/// More pods tell nothing new.
const MOST_PODS: i32 = 1_000;

pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    for (at, workload) in context.workloads() {
        let Some((by_zone, by_host)) = limits(workload).filter(|_| workload.is_several()) else {
            continue;
        };
        if workload.may_use.is_empty() {
            findings.skip(
                Check::ConstraintsLock,
                "how many nodes each zone has is not known: read a cluster or a dump",
            );
            continue;
        }
        let nodes: Vec<usize> = workload.may_use.values().copied().collect();
        let most = workload.most().min(MOST_PODS);
        let fit = placeable(&nodes, by_zone, by_host, most);
        if fit < most {
            let zones = workload.may_use.iter().map(|(zone, nodes)| format!("{zone}:{nodes}"));
            let message = format!(
                "{}: of up to {most} pods {fit} can be placed, since the zones have different numbers of nodes ({}) and both constraints are hard",
                workload.object.title(),
                zones.collect::<Vec<_>>().join(" ")
            );
            findings.of_workload(Check::ConstraintsLock, context, at, message);
        }
    }
}

/// How its hosts are limited.
#[derive(Clone, Copy)]
enum ByHost {
    /// One pod each.
    One,
    /// So far the hosts may differ.
    Skew(i32),
}

/// How far its zones may differ, and how its hosts are limited, if both are hard.
fn limits(workload: &Workload<'_>) -> Option<(i32, ByHost)> {
    let template = &workload.template;
    let hard = |key: &'static str| {
        let own = template.spread.iter().filter(move |own| own.hard && *own.topology_key == *key);
        own.map(|own| own.max_skew).min()
    };
    let by_zone = hard(ZONE_LABEL)?;
    let mut apart = template.required_anti_affinity.iter();
    let is_one =
        apart.any(|term| *term.topology_key == *HOST_LABEL && is_of_itself(term, workload));
    let by_host = if is_one { ByHost::One } else { ByHost::Skew(hard(HOST_LABEL)?) };
    Some((by_zone, by_host))
}

/// How many of `most` pods find a node, each put where there are the fewest.
fn placeable(nodes: &[usize], by_zone: i32, by_host: ByHost, most: i32) -> i32 {
    let mut hosts: Vec<Vec<i32>> = nodes.iter().map(|nodes| vec![0; *nodes]).collect();
    for placed in 0..most {
        let zones: Vec<i32> = hosts.iter().map(|hosts| hosts.iter().sum()).collect();
        let fewest_in_zone = zones.iter().min().copied().unwrap_or(0);
        let fewest_on_host = hosts.iter().flatten().min().copied().unwrap_or(0);
        let may_take = |pods: i32| match by_host {
            ByHost::One => pods == 0,
            ByHost::Skew(skew) => pods + 1 - fewest_on_host <= skew,
        };
        let open = (0..hosts.len()).filter(|zone| zones[*zone] + 1 - fewest_in_zone <= by_zone);
        let free = open.filter_map(|zone| {
            let host = (0..hosts[zone].len()).min_by_key(|host| hosts[zone][*host])?;
            may_take(hosts[zone][host]).then_some((zone, host))
        });
        let best = free.min_by_key(|(zone, host)| (zones[*zone], hosts[*zone][*host]));
        let Some((zone, host)) = best else { return placed };
        hosts[zone][host] += 1;
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::as_many_nodes_each(&[2, 2, 2], 1, ByHost::Skew(1), 60, 60)]
    #[case::five_nodes_against_one(&[5, 1], 1, ByHost::Skew(1), 10, 3)]
    #[case::a_wider_skew(&[5, 1], 1, ByHost::Skew(10), 20, 20)]
    #[case::one_per_host(&[3, 3, 1], 1, ByHost::One, 9, 5)]
    #[case::one_per_host_and_few_pods(&[3, 3, 1], 1, ByHost::One, 3, 3)]
    fn the_room_that_both_constraints_leave(
        #[case] nodes: &[usize],
        #[case] by_zone: i32,
        #[case] by_host: ByHost,
        #[case] most: i32,
        #[case] fit: i32,
    ) {
        assert_eq!(placeable(nodes, by_zone, by_host, most), fit);
    }
}
