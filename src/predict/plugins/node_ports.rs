//! `NodePorts`: host ports that are taken.
//!
//! Follows `pkg/scheduler/framework/plugins/nodeports/node_ports.go` (1.37).

use crate::observe::HostPort;

const ALL_ADDRESSES: &str = "0.0.0.0";

/// Whether any wanted port is taken.
pub fn conflict<'p>(wanted: &[HostPort], taken: impl IntoIterator<Item = &'p HostPort>) -> bool {
    taken.into_iter().any(|taken| wanted.iter().any(|wanted| is_same(wanted, taken)))
}

fn is_same(wanted: &HostPort, taken: &HostPort) -> bool {
    wanted.port == taken.port
        && wanted.protocol == taken.protocol
        && (wanted.ip == taken.ip || &*wanted.ip == ALL_ADDRESSES || &*taken.ip == ALL_ADDRESSES)
}
