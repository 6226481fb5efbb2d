//! `zonespread status`: what the policies' statuses say.

use clap::Args;
use jiff::Timestamp;
use kube::api::{Api, ListParams};
use kube::{Config, ResourceExt};
use serde::Serialize;

use crate::api::{Mode, Phase, ZoneSpreadPolicy, ZoneSpreadPolicyStatus};

use super::Failure;
use super::age::age;
use super::cluster::Access;
use super::live::{block_on, client, policies_error};
use super::output::{Output, note};
use super::scope::Scope;
use super::table::Grid;
use super::view::policy_table;

/// Arguments of `zonespread status`.
#[derive(Debug, Args)]
pub struct Status {
    /// One policy, with its tiers, zones, plan and moves; as NAME or NAMESPACE/NAME
    #[arg(value_name = "POLICY")]
    policy: Option<String>,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Answer {
    policies: Vec<Known>,
}

/// A policy and its status.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its mode.
    pub mode: Mode,
    /// What the operator wrote.
    pub status: Option<ZoneSpreadPolicyStatus>,
    /// When it was made.
    #[serde(skip)]
    pub created: Option<Timestamp>,
    /// Whether the spec has changed since the status was written.
    #[serde(skip)]
    pub outdated: bool,
}

impl Status {
    /// Prints the statuses.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let config = block_on(access.config())??;
        let (namespace, name) = match self.policy.as_deref().map(|name| name.split_once('/')) {
            Some(Some((namespace, name))) => (Some(namespace), Some(name)),
            _ => (self.scope.namespace(Some(&config.default_namespace)), self.policy.as_deref()),
        };
        let found = block_on(read(config.clone(), namespace, name))??;
        if found.is_empty() {
            let place = namespace.map_or_else(String::new, |name| format!(" in namespace {name}"));
            if let Some(name) = name {
                return Err(format!("no ZoneSpreadPolicy {name}{place}").into());
            }
            note(&format!("no ZoneSpreadPolicies{place}"));
        }
        let answer = Answer { policies: found };
        self.output.print(&answer, |answer| {
            if name.is_some() {
                let parts: Vec<String> = answer.policies.iter().map(policy_table).collect();
                return parts.join("\n");
            }
            if answer.policies.is_empty() {
                return String::new();
            }
            list(&answer.policies, namespace.is_none(), Timestamp::now())
        })
    }
}

/// Reads one policy or all of them, in one namespace or all of them.
async fn read(
    config: Config,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<Vec<Known>, Failure> {
    let client = client(config)?;
    let api: Api<ZoneSpreadPolicy> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let mut page = ListParams::default().limit(500);
    if let Some(name) = name {
        page = page.fields(&format!("metadata.name={name}"));
    }
    let mut known = Vec::new();
    loop {
        let list = api.list(&page).await.map_err(policies_error)?;
        known.extend(list.items.into_iter().map(Known::from));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(known),
        }
    }
}

impl From<ZoneSpreadPolicy> for Known {
    fn from(policy: ZoneSpreadPolicy) -> Self {
        let seen = policy.status.as_ref().and_then(|status| status.observed_generation);
        Self {
            namespace: policy.namespace().unwrap_or_default(),
            name: policy.name_any(),
            mode: policy.spec.mode,
            created: policy.metadata.creation_timestamp.as_ref().map(|time| time.0),
            outdated: seen != policy.metadata.generation,
            status: policy.status,
        }
    }
}

/// The table that `kubectl get zonespreadpolicies` prints.
fn list(policies: &[Known], with_namespace: bool, now: Timestamp) -> String {
    let columns = ["NAME", "TIERS", "ZONES", "SKEW", "PHASE", "MOVES", "SURVIVES", "AGE"];
    let mut grid = Grid::new(with_namespace.then_some("NAMESPACE").into_iter().chain(columns));
    for policy in policies {
        let mut cells = Vec::new();
        cells.extend(with_namespace.then(|| policy.namespace.clone()));
        cells.push(policy.name.clone());
        match &policy.status {
            Some(status) => cells.extend([
                status.summary.tiers.to_string(),
                status.summary.zones.clone(),
                status.summary.skew.to_string(),
                status.phase.map_or("", Phase::as_str).to_owned(),
                status.summary.moves.clone(),
                status.summary.survives.clone(),
            ]),
            None => cells.extend([const { String::new() }; 6]),
        }
        let created = policy.created.map(|created| age(now.duration_since(created)));
        cells.push(created.unwrap_or_else(|| "<unknown>".to_owned()));
        grid.row(cells);
    }
    grid.print()
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
