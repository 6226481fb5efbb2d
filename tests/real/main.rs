//! Stories on a real control plane: everything here runs against etcd, kube-apiserver,
//! kube-controller-manager and kube-scheduler, with kwok in the place of kubelets.
//! One binary, so that the harness is compiled once and its limit on clusters holds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "../dice/mod.rs"]
mod dice;
#[path = "../harness/mod.rs"]
mod harness;

mod access;
mod alerts;
mod argo_cd;
mod causes;
mod chaos;
mod chart;
mod commands;
mod consent;
mod documents;
mod drill_runs;
mod drills;
mod history;
mod landings;
mod leader;
mod mute_server;
mod nodes;
mod nominated;
mod opening;
mod outages;
mod outlooks;
mod policies;
mod policy;
mod pools;
mod reachable;
mod recovery;
mod rolling;
mod rollouts;
mod scale;
mod scale_in;
mod situations;
mod steering;
mod strangers;
mod surge;
mod surge_interrupted;
mod the_control_plane;
mod ui;
mod what_users_see;
mod workloads;
mod zones;
