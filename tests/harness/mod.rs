//! A real control plane for tests and the demo: etcd, kube-apiserver,
//! kube-controller-manager, kube-scheduler, and kwok in the place of kubelets.
//!
//! ```text
//! binaries ─▶ control_plane ─▶ cluster ──┬─ nodes, outage     what the cloud does
//!               │  process, watchdog     ├─ workload, spread  what users run, and where it is
//!               │  ports, credentials    ├─ kubectl, access   how one talks to it
//!               └─ stages.yaml (kwok)    ├─ karpenter         makes nodes for pods that wait
//!                                        ├─ prometheus        scrapes the operator
//!                                        ├─ audit             which requests were made
//!                                        └─ install, operator, metrics: the binary under test
//! ```
//! Use it with `#[path = "../harness/mod.rs"] mod harness;`. Everything here panics
//! with a sentence when the cluster does not do what was asked: a test cannot go on.

#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test support: a panic with the reason is the way to fail"
)]

mod access;
mod audit;
mod binaries;
mod cluster;
mod components;
mod control_plane;
mod credentials;
mod eventually;
mod install;
mod karpenter;
mod kubectl;
mod metrics;
mod nodes;
mod operator;
mod outage;
mod ports;
mod process;
mod prometheus;
mod proxy;
mod rollouts;
mod spread;
mod watchdog;
mod workload;

pub use audit::Request;
pub use binaries::{helm, kubernetes, lua, promtool};
pub use cluster::Cluster;
pub use components::Component;
pub use control_plane::SchedulerSetup;
pub use eventually::{eventually, holds_for};
pub use install::{
    OPERATOR_ACCOUNT, OPERATOR_NAMESPACE, evictions, install, install_build, uninstall_build,
};
pub use karpenter::node_pool;
pub use metrics::Sample;
pub use nodes::ZONE;
pub use operator::{Exit, Operator};
pub use prometheus::Prometheus;
pub use proxy::{Answer, Call, Fate, Proxy};
pub use rollouts::rollout;
pub use spread::Spread;
pub use workload::{
    Constraint, DoNotSchedule, ScheduleAnyway, Workload, daemon_set, deployment, disruption_budget,
    pod, stateful_set,
};
