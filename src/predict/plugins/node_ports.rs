//! `NodePorts`: host ports that are taken.
//!
//! Follows `pkg/scheduler/framework/plugins/nodeports/node_ports.go` (1.33 to 1.37).

use crate::observe::HostPort;
use crate::predict::prefilter::{Cycle, PodRef};

const ALL_ADDRESSES: &str = "0.0.0.0";

/// The nodes where a host port that the pod wants is taken.
#[derive(Debug, Default)]
pub struct NodePorts {
    /// By row; empty when the pod wants none.
    taken: Vec<bool>,
}

impl NodePorts {
    /// Looks at the ports of all pods.
    pub fn pre_filter(cycle: &Cycle<'_>) -> Self {
        if cycle.pod.template.host_ports.is_empty() {
            return Self::default();
        }
        Self { taken: cycle.rows().map(|row| is_taken(cycle, row)).collect() }
    }

    /// A pod comes to the node.
    pub fn add_pod(&mut self, cycle: &Cycle<'_>, pod: PodRef<'_>, row: usize) {
        if let Some(taken) = self.taken.get_mut(row) {
            *taken |= conflict(&cycle.pod.template.host_ports, &pod.template.host_ports);
        }
    }

    /// A pod has left the node: another may have the same port at another address.
    pub fn remove_pod(&mut self, cycle: &Cycle<'_>, row: usize) {
        if let Some(taken) = self.taken.get_mut(row) {
            *taken = is_taken(cycle, row);
        }
    }

    /// Whether the pod wants no port.
    pub fn is_skipped(&self) -> bool {
        self.taken.is_empty()
    }

    /// Why the plugin rejects the node, if it does.
    pub fn filter(&self, row: usize) -> Option<&'static str> {
        let taken = self.taken.get(row).copied().unwrap_or(false);
        taken.then_some("node(s) didn't have free ports for the requested pod ports")
    }
}

fn is_taken(cycle: &Cycle<'_>, row: usize) -> bool {
    let taken = cycle.pods_on(row).flat_map(|pod| &pod.template.host_ports);
    conflict(&cycle.pod.template.host_ports, taken)
}

/// Whether any wanted port is taken.
fn conflict<'p>(wanted: &[HostPort], taken: impl IntoIterator<Item = &'p HostPort>) -> bool {
    taken.into_iter().any(|taken| wanted.iter().any(|wanted| is_same(wanted, taken)))
}

fn is_same(wanted: &HostPort, taken: &HostPort) -> bool {
    wanted.port == taken.port
        && wanted.protocol == taken.protocol
        && (wanted.ip == taken.ip || &*wanted.ip == ALL_ADDRESSES || &*taken.ip == ALL_ADDRESSES)
}
