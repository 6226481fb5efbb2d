//! `zonespread status`: what the policies' statuses say.

use clap::Args;
use jiff::Timestamp;
use kube::api::{Api, ListParams};
use kube::{Client, Config, ResourceExt};
use serde::Serialize;

use crate::api::{
    Mode, Phase, ZoneObject, ZoneSpreadPolicy, ZoneSpreadPolicyStatus, ZoneState, ZoneStatus,
};

use super::Failure;
use super::age::age;
use super::cluster::Access;
use super::live::{block_on, client, policies_error};
use super::names;
use super::output::{Output, note};
use super::scope::Scope;
use super::table::{Grid, or_dash};
use super::view::policy_table;
use super::watch::watch;

/// Arguments of `zonespread status`.
#[derive(Debug, Args)]
pub struct Status {
    /// One policy, with its tiers, zones, plan and moves; as NAME or zsp/NAME
    #[arg(value_name = "POLICY")]
    policy: Option<String>,
    /// Go on, and print what changes
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Answer {
    policies: Vec<Known>,
    /// The zones, if they may be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    zones: Vec<ZoneStatus>,
}

/// A policy and its status.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
        let named = self.policy.as_deref().map(names::policy).transpose()?;
        let default = Some(config.default_namespace.as_str());
        let namespace = match &named {
            Some(named) => named.namespace_in(&self.scope, default),
            None => self.scope.namespace(default),
        };
        let (namespace, name) = (namespace.map(str::to_owned), named.map(|named| named.name));
        let place = Place { namespace: namespace.as_deref(), name };
        if self.watch {
            return block_on(watch(config, place, self.output))?;
        }
        let found = block_on(place.read(config.clone()))??;
        if found.is_empty() {
            let place = place.words();
            if let Some(name) = name {
                return Err(format!("no ZoneSpreadPolicy {name}{place}").into());
            }
            note(&format!("no ZoneSpreadPolicies{place}"));
        }
        // One policy shows those that it uses.
        let zones = if name.is_none() { block_on(read_zones(config))? } else { Vec::new() };
        let answer = Answer { policies: found, zones };
        let now = Timestamp::now();
        self.output.print(&answer, |answer| {
            if name.is_some() {
                let parts = answer.policies.iter().map(|policy| policy_table(policy, now));
                return parts.collect::<Vec<_>>().join("\n");
            }
            let policies = (!answer.policies.is_empty())
                .then(|| list(&answer.policies, namespace.is_none(), now));
            let zones = (!answer.zones.is_empty()).then(|| zone_list(&answer.zones, now));
            policies.into_iter().chain(zones).collect::<Vec<_>>().join("\n")
        })
    }
}

/// Which policies are asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The namespace; none for all.
    pub namespace: Option<&'a str>,
    /// The policy; none for all.
    pub name: Option<&'a str>,
}

impl Place<'_> {
    pub(super) fn words(self) -> String {
        self.namespace.map_or_else(String::new, |name| format!(" in namespace {name}"))
    }

    pub(super) fn api(self, client: Client) -> Api<ZoneSpreadPolicy> {
        match self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    /// What selects them, besides the namespace.
    pub(super) fn fields(self) -> Option<String> {
        self.name.map(|name| format!("metadata.name={name}"))
    }

    /// Whether the policy is one of them.
    pub(super) fn has(self, policy: &Known) -> bool {
        self.namespace.is_none_or(|namespace| namespace == policy.namespace)
            && self.name.is_none_or(|name| name == policy.name)
    }

    /// Reads one policy or all of them.
    pub(super) async fn read(self, config: Config) -> Result<Vec<Known>, Failure> {
        let address = config.cluster_url.to_string();
        let api = self.api(client(config)?);
        let mut page = ListParams::default().limit(500);
        page.field_selector = self.fields();
        let mut known = Vec::new();
        loop {
            let list = api.list(&page).await.map_err(|error| policies_error(error, &address))?;
            known.extend(list.items.into_iter().map(Known::from));
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(known),
            }
        }
    }
}

/// The zones; none if they may not be read, which is for those who see the whole cluster.
async fn read_zones(config: Config) -> Vec<ZoneStatus> {
    let Ok(client) = client(config) else { return Vec::new() };
    let zones: Api<ZoneObject> = Api::all(client);
    let listed = zones.list(&ListParams::default()).await;
    let statuses = listed.into_iter().flat_map(|list| list.items).filter_map(|zone| zone.status);
    // Of a Zone object that names no zone there is nothing to say.
    statuses.filter(|status| !status.zone.is_empty()).collect()
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
pub(super) fn list(policies: &[Known], with_namespace: bool, now: Timestamp) -> String {
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

/// The zones, as `kubectl get zones.zonespread.io` shows them.
fn zone_list(zones: &[ZoneStatus], now: Timestamp) -> String {
    let mut grid =
        Grid::new(["ZONE", "STATE", "USABLE", "SINCE", "OUTAGES", "SAFE-TO-LOSE", "REASON"]);
    for zone in zones {
        let since = zone.since.as_ref().map(|since| age(now.duration_since(since.0)));
        grid.row([
            zone.zone.as_str(),
            zone.state.map_or("-", ZoneState::as_str),
            &zone.usable,
            or_dash(since.as_deref()),
            &zone.outages.to_string(),
            or_dash(zone.safe_to_lose.map(|safe| if safe { "true" } else { "false" })),
            or_dash(zone.reason.as_deref()),
        ]);
    }
    grid.print()
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
