//! `zonespread outlook`: what the loss of each zone would do.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::observe::{Kind, Zone};
use crate::outlook::{
    Missing, Of, Outlook, Phase, PhaseOutlook, Scenario, TierOutlook, TierScenarios, ZoneOutlook,
    scenarios,
};

use super::Failure;
use super::cluster::Access;
use super::output::{Format, Output, note};
use super::source::{Asks, Source};
use super::view::{outlook_markdown, outlook_page, outlook_table};

/// Arguments of `zonespread outlook`.
#[derive(Debug, Args)]
pub struct OutlookArgs {
    /// Only this zone
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Adds where the pods of each tier are in each scenario: now, after a restart, with twice
    /// as many, and without each zone
    #[arg(long)]
    scenarios: bool,
    /// Compares them with what they would be if every workload had the recommended constraint
    #[arg(long)]
    if_spread: bool,
    #[command(flatten)]
    source: Source,
    /// How the answer is printed
    #[arg(short = 'o', long = "output", default_value = "table", value_name = "FORMAT")]
    format: ReportFormat,
}

/// A format of the outlook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// For people
    Table,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
    /// For a ticket or a wiki
    Markdown,
    /// A page with a picture, in one file
    Html,
}

impl ReportFormat {
    fn print(self, zones: &Zones) -> Result<(), Failure> {
        match self {
            Self::Table => Output::of(Format::Table).print(zones, outlook_table),
            Self::Json => Output::of(Format::Json).print(zones, outlook_table),
            Self::Yaml => Output::of(Format::Yaml).print(zones, outlook_table),
            Self::Markdown => Output::of(Format::Table).print(zones, outlook_markdown),
            Self::Html => Output::of(Format::Table).print(zones, outlook_page),
        }
    }
}

/// What the loss of each zone would do.
#[derive(Debug, Serialize)]
pub struct Zones {
    /// By zone.
    pub zones: Vec<ZoneLoss>,
    /// By tier, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenarios: Option<Vec<ScenarioTier>>,
}

/// A tier in each scenario.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScenarioTier {
    /// The namespace.
    pub namespace: String,
    /// The policy; null for a workload that none selects.
    pub policy: Option<String>,
    /// The tier; null for a workload that no policy selects.
    pub tier: Option<String>,
    /// Such a workload: `Deployment/web`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// As it is.
    pub today: Vec<Told>,
    /// As if it had the recommended constraint, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_spread: Option<Vec<Told>>,
}

/// Where the pods of a tier are in a scenario.
#[derive(Debug, Serialize)]
pub struct Told {
    /// normal, restart, scaleOut or lost.
    pub scenario: &'static str,
    /// The zone that is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Where the pods are; of the two phases of an outage, in the worse.
    #[serde(flatten)]
    pub pods: PhaseLoss,
}

/// What the loss of a zone would do.
#[derive(Debug, Serialize)]
pub struct ZoneLoss {
    /// The zone.
    pub zone: String,
    /// Whether no tier is in danger.
    pub safe: bool,
    /// Pods that stay Pending, in the worse phase.
    pub pending: usize,
    /// What they ask for that find no room.
    pub missing: MissingRoom,
    /// By phase.
    pub phases: Phases,
    /// By tier; other workloads come last.
    pub tiers: Vec<TierLoss>,
    /// For the table: the tier that makes the zone unsafe.
    #[serde(skip)]
    pub worst: Option<String>,
}

/// Room that is missing, as Kubernetes writes amounts.
#[derive(Debug, Serialize)]
pub struct MissingRoom {
    /// Cores.
    pub cpu: String,
    /// Bytes.
    pub memory: String,
    /// Pods.
    pub pods: usize,
}

/// Pods that stay Pending, by phase.
#[derive(Debug, Serialize)]
pub struct Phases {
    /// While the nodes are unreachable.
    pub unreachable: Pending,
    /// Once they are deleted.
    pub gone: Pending,
}

/// Pods that stay Pending.
#[derive(Debug, Serialize)]
pub struct Pending {
    /// How many.
    pub pending: usize,
}

/// What the loss of a zone would do to a tier, or another workload.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TierLoss {
    /// The namespace.
    pub namespace: String,
    /// The policy; null for a workload that none selects.
    pub policy: Option<String>,
    /// The tier; null for a workload that no policy selects.
    pub tier: Option<String>,
    /// Such a workload: `Deployment/web`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Pods now.
    pub pods: usize,
    /// Pods on nodes of the zone.
    #[serde(skip)]
    pub lost: usize,
    /// Pods on nodes of other zones.
    pub surviving: usize,
    /// The same in percent.
    pub percent: usize,
    /// Pods that stay Pending, in the worse phase.
    pub pending: usize,
    /// While the nodes are unreachable.
    pub unreachable: PhaseLoss,
    /// Once they are deleted.
    pub gone: PhaseLoss,
    /// Whether a `StatefulSet` loses its majority.
    pub quorum_lost: bool,
    /// Whether the policy accepts that the tier is in one zone.
    pub accepted: bool,
    /// Why the zone is not safe to lose for it.
    pub reason: Option<&'static str>,
    /// That in words, and what would help.
    pub message: Option<String>,
}

/// Where the pods are in one phase.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PhaseLoss {
    /// Pods that stay Pending at most.
    pub pending: usize,
    /// Pods that stay Pending at least: of the pods of one node some may be replaced before
    /// the others are deleted.
    pub fewest_pending: usize,
    /// Pods that nobody re-creates in this phase.
    pub absent: usize,
    /// Pods of which it cannot be predicted where they land.
    pub unknown: usize,
    /// Pods by zone.
    pub zones: BTreeMap<String, usize>,
}

impl OutlookArgs {
    /// Prints the outlook; gives whether every zone is safe to lose.
    pub fn run(&self, access: &Access) -> Result<bool, Failure> {
        let snapshot = self.source.look(access, Asks::Everything, &[Kind::Node, Kind::Pod])?;
        let index = snapshot.operator.index();
        let only = self.zone.as_deref().map(Zone::new);
        let outlook = Outlook::of(index, snapshot.operator.scheduler_config(), only.as_ref());
        if outlook.zones.is_empty() {
            return Err(match &self.zone {
                Some(zone) => format!("no node is in zone {zone}"),
                None => "no node is in any zone: the label topology.kubernetes.io/zone is missing"
                    .to_owned(),
            }
            .into());
        }
        if index.policies().next().is_none() {
            note("no ZoneSpreadPolicies: every workload decides whether a zone is safe to lose");
        }
        let wanted = |namespace: &str| {
            snapshot.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
        };
        let safe = outlook.zones.iter().all(ZoneOutlook::is_safe);
        let zones = outlook.zones.iter().map(|zone| ZoneLoss::new(zone, wanted)).collect();
        let scenarios = (self.scenarios || self.if_spread).then(|| {
            let config = snapshot.operator.scheduler_config();
            let tiers = scenarios(index, config, self.if_spread).into_iter();
            let tiers = tiers.filter(|tier| tier.pods > 0 && wanted(&tier.namespace));
            tiers.map(|tier| ScenarioTier::new(tier, only.as_ref())).collect()
        });
        self.format.print(&Zones { zones, scenarios })?;
        Ok(safe)
    }
}

impl ZoneLoss {
    fn new(zone: &ZoneOutlook, wanted: impl Fn(&str) -> bool) -> Self {
        let [unreachable, gone] =
            [Phase::Unreachable, Phase::Gone].map(|phase| zone.pending(phase));
        let tiers = zone.tiers.iter().filter(|tier| tier.pods > 0 && wanted(&tier.namespace));
        Self {
            zone: zone.zone.to_string(),
            safe: zone.is_safe(),
            pending: unreachable.max(gone),
            missing: MissingRoom::new(zone.missing),
            phases: Phases {
                unreachable: Pending { pending: unreachable },
                gone: Pending { pending: gone },
            },
            tiers: tiers.map(TierLoss::new).collect(),
            worst: zone.worst().and_then(|tier| {
                let loss = TierLoss::new(tier);
                Some(format!("{}: {}", loss.name(), loss.reason?))
            }),
        }
    }
}

impl MissingRoom {
    fn new(missing: Missing) -> Self {
        const MEBI: i64 = 1 << 20;
        let cpu = if missing.cpu_milli % 1000 == 0 {
            (missing.cpu_milli / 1000).to_string()
        } else {
            format!("{}m", missing.cpu_milli)
        };
        let memory = match missing.memory {
            bytes if bytes % MEBI == 0 && bytes > 0 => format!("{}Mi", bytes / MEBI),
            bytes => bytes.to_string(),
        };
        Self { cpu, memory, pods: missing.pods }
    }
}

impl TierLoss {
    fn new(tier: &TierOutlook) -> Self {
        let (policy, name, owner) = names(&tier.of);
        let (reason, message) = tier
            .reason
            .as_ref()
            .map(|(reason, message)| (reason.as_str(), message.clone()))
            .unzip();
        Self {
            namespace: tier.namespace.to_string(),
            policy,
            tier: name,
            owner,
            pods: tier.pods,
            lost: tier.lost,
            surviving: tier.surviving,
            percent: tier.percent(),
            pending: tier.pending(),
            unreachable: PhaseLoss::new(&tier.unreachable),
            gone: PhaseLoss::new(&tier.gone),
            quorum_lost: tier.quorum_lost,
            accepted: tier.accepted,
            reason,
            message,
        }
    }

    /// `shop/petclinic web`, `shop Deployment/web`.
    pub fn name(&self) -> String {
        let Self { namespace, policy, tier, owner, .. } = self;
        full_name(namespace, policy.as_deref(), tier.as_deref(), owner.as_deref())
    }
}

/// The policy and its tier, or else the owner.
fn names(of: &Of) -> (Option<String>, Option<String>, Option<String>) {
    match of {
        Of::Tier(policy, tier) => (Some(policy.to_string()), Some(tier.to_string()), None),
        Of::Workload(kind, name) => (None, None, Some(format!("{kind}/{name}"))),
    }
}

fn full_name(
    namespace: &str,
    policy: Option<&str>,
    tier: Option<&str>,
    owner: Option<&str>,
) -> String {
    match (policy, tier) {
        (Some(policy), Some(tier)) => format!("{namespace}/{policy} {tier}"),
        _ => format!("{namespace} {}", owner.unwrap_or_default()),
    }
}

impl ScenarioTier {
    fn new(tier: TierScenarios, only: Option<&Zone>) -> Self {
        let (policy, name, owner) = names(&tier.of);
        let wanted = |scenario: &Scenario| match scenario {
            Scenario::Lost(zone) => only.is_none_or(|only| only == zone),
            _ => true,
        };
        let told = |all: Vec<(Scenario, PhaseOutlook)>| {
            let all = all.into_iter().filter(|(scenario, _)| wanted(scenario));
            all.map(|(scenario, pods)| Told::new(scenario, &pods)).collect()
        };
        Self {
            namespace: tier.namespace.to_string(),
            policy,
            tier: name,
            owner,
            today: told(tier.today),
            if_spread: tier.if_spread.map(told),
        }
    }

    /// `shop/petclinic web`, `shop Deployment/web`.
    pub fn name(&self) -> String {
        let Self { namespace, policy, tier, owner, .. } = self;
        full_name(namespace, policy.as_deref(), tier.as_deref(), owner.as_deref())
    }
}

impl Told {
    fn new(scenario: Scenario, pods: &PhaseOutlook) -> Self {
        let (scenario, zone) = match scenario {
            Scenario::Normal => ("normal", None),
            Scenario::Restart => ("restart", None),
            Scenario::ScaleOut => ("scaleOut", None),
            Scenario::Lost(zone) => ("lost", Some(zone.to_string())),
        };
        Self { scenario, zone, pods: PhaseLoss::new(pods) }
    }
}

impl PhaseLoss {
    fn new(phase: &PhaseOutlook) -> Self {
        Self {
            pending: phase.pending,
            fewest_pending: phase.fewest_pending,
            absent: phase.absent,
            unknown: phase.unknown,
            zones: phase.zones.iter().map(|(zone, pods)| (zone.to_string(), *pods)).collect(),
        }
    }
}
