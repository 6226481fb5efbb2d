//! `zonespread history`: recoveries that are over, and the one under way.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;

use crate::api::{LowestReady, PastRecovery, Recovery};
use crate::observe::{Change, Kind};

use super::Failure;
use super::cluster::Access;
use super::live::block_on;
use super::names;
use super::offline::{name_of, read_files};
use super::output::{Output, note};
use super::scope::Scope;
use super::status::{Known, Place};
use super::view::history_table;

/// Arguments of `zonespread history`.
#[derive(Debug, Args)]
pub struct History {
    /// One policy, as NAME or zsp/NAME
    #[arg(value_name = "POLICY")]
    policy: Option<String>,
    /// Reads files instead of a cluster: what `kubectl get zsp -A -o yaml` (or json) prints;
    /// - is stdin; may be repeated
    #[arg(short, long = "filename", value_name = "FILE")]
    filenames: Vec<PathBuf>,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    output: Output,
}

/// Recoveries of policies, the oldest first.
#[derive(Debug, Serialize)]
pub struct Recoveries {
    /// All of them.
    pub recoveries: Vec<ToldRecovery>,
    /// Whether they are those of more than one namespace.
    #[serde(skip)]
    pub with_namespace: bool,
}

/// A recovery of a policy.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToldRecovery {
    /// The policy's namespace.
    pub namespace: String,
    /// The policy.
    pub policy: String,
    /// The zone that came back; null if no outage was seen.
    pub zone: Option<String>,
    /// When its outage began.
    pub lost_at: Option<Time>,
    /// When it came back, or else when the first move was planned.
    pub started_at: Time,
    /// When its hold ended, or ends.
    pub held_until: Option<Time>,
    /// When the recovery was over; null while it is under way.
    pub ended_at: Option<Time>,
    /// Balanced, Interrupted or `UnderWay`.
    pub outcome: &'static str,
    /// Moves that landed.
    pub moves: i32,
    /// Moves that did not help.
    pub misses: i32,
    /// The worst moment: of the tier that had the smallest share of its replicas Available.
    pub lowest: Option<LowestReady>,
}

impl History {
    /// Prints the recoveries.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let named = self.policy.as_deref().map(names::policy).transpose()?;
        let name = named.map(|named| named.name);
        let namespace_of = |default: Option<&str>| match &named {
            Some(named) => named.namespace_in(&self.scope, default).map(str::to_owned),
            None => self.scope.namespace(default).map(str::to_owned),
        };
        let (policies, namespace) = if self.filenames.is_empty() {
            let config = block_on(access.config())??;
            let namespace = namespace_of(Some(&config.default_namespace));
            let place = Place { namespace: namespace.as_deref(), name };
            (block_on(place.read(config))??, namespace)
        } else {
            let namespace = namespace_of(None);
            (self.read_files(Place { namespace: namespace.as_deref(), name })?, namespace)
        };
        let place = Place { namespace: namespace.as_deref(), name }.words();
        match name {
            Some(name) if policies.is_empty() => {
                return Err(format!("no ZoneSpreadPolicy {name}{place}").into());
            }
            None if policies.is_empty() => note(&format!("no ZoneSpreadPolicies{place}")),
            _ => {}
        }
        let recoveries = recoveries_of(&policies);
        if recoveries.is_empty() && !policies.is_empty() {
            note("no recovery yet");
        }
        let now = Timestamp::now();
        let answer = Recoveries { recoveries, with_namespace: namespace.is_none() };
        self.output.print(&answer, |answer| history_table(answer, now))
    }

    fn read_files(&self, place: Place<'_>) -> Result<Vec<Known>, Failure> {
        let mut policies = Vec::new();
        let contents = read_files(&self.filenames, &mut |change| {
            if let Change::Policy(policy) = change {
                policies.push(Known::from(policy));
            }
        })?;
        if contents.count(Kind::Policy) == 0 {
            let files: Vec<String> = self.filenames.iter().map(|path| name_of(path)).collect();
            return Err(format!(
                "no zonespreadpolicies in {}: add the output of `kubectl get zsp -A -o yaml` with another -f",
                files.join(", ")
            )
            .into());
        }
        policies.retain(|policy| place.has(policy));
        Ok(policies)
    }
}

/// What the statuses say, the oldest first.
pub fn recoveries_of<'a>(policies: impl IntoIterator<Item = &'a Known>) -> Vec<ToldRecovery> {
    let mut told: Vec<ToldRecovery> = policies.into_iter().flat_map(of_policy).collect();
    told.sort_by_key(|told| told.started_at.0);
    told
}

fn of_policy(policy: &Known) -> Vec<ToldRecovery> {
    let Some(status) = &policy.status else { return Vec::new() };
    let over = status.history.iter().map(|past| ToldRecovery::past(policy, past));
    let open = status.recovery.iter().filter(|recovery| recovery.balanced_at.is_none());
    over.chain(open.map(|recovery| ToldRecovery::under_way(policy, recovery))).collect()
}

impl ToldRecovery {
    fn past(policy: &Known, past: &PastRecovery) -> Self {
        Self {
            namespace: policy.namespace.clone(),
            policy: policy.name.clone(),
            zone: past.zone.clone(),
            lost_at: past.lost_at.clone(),
            started_at: past.started_at.clone(),
            held_until: past.held_until.clone(),
            ended_at: Some(past.ended_at.clone()),
            outcome: past.outcome.as_str(),
            moves: past.moves,
            misses: past.misses,
            lowest: past.lowest.clone(),
        }
    }

    fn under_way(policy: &Known, recovery: &Recovery) -> Self {
        Self {
            namespace: policy.namespace.clone(),
            policy: policy.name.clone(),
            zone: recovery.zone.clone(),
            lost_at: recovery.lost_at.clone(),
            started_at: recovery.started_at.clone(),
            held_until: recovery.held_until.clone(),
            ended_at: None,
            outcome: "UnderWay",
            moves: recovery.moves_done,
            misses: recovery.misses,
            lowest: recovery.lowest.clone(),
        }
    }
}
