//! `zonespread drill`: what the drill of a zone would do, what speaks against it, and the drill
//! itself.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Subcommand};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::{DrillAbort, DrillPhase, DurationBounds, ZoneDrillSpec, parse_duration};
use crate::observe::Kind;

use super::cluster::Access;
use super::drill_live::{abort, create, follow};
use super::hold::zone_name;
use super::output::Output;
use super::source::{Asks, Source};
use super::view::{drill_result, drill_table};
use super::{Failure, Unmet};

/// Arguments of `zonespread drill`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Drill {
    #[command(subcommand)]
    what: Option<What>,
    /// The zone: a value of the node label topology.kubernetes.io/zone
    #[arg(value_name = "ZONE", required = true)]
    zone: Option<String>,
    /// Forecast only: nothing is evicted
    #[arg(long)]
    dry_run: bool,
    /// Drill: create the ZoneDrill, follow it to its end, and print what it has shown
    #[arg(long, conflicts_with_all = ["dry_run", "filenames"])]
    yes: bool,
    /// The name of the ZoneDrill; default drill-ZONE-TIME
    #[arg(long, value_name = "NAME", requires = "yes")]
    name: Option<String>,
    /// How long the zone may be closed at most: 10s to 2h, default 30m
    #[arg(long, value_name = "DURATION", value_parser = longest)]
    max_duration: Option<Duration>,
    /// How long it stays closed once all is up elsewhere: 1s to 2h, default 1m
    #[arg(long, value_name = "DURATION", value_parser = part)]
    observe_for: Option<Duration>,
    /// Open it when a pod waits for a node this long: 1s to 2h, default 2m
    #[arg(long, value_name = "DURATION", value_parser = part)]
    abort_pending_for: Option<Duration>,
    /// Only policies with these labels of their own: key=value, separated by commas
    #[arg(long, value_name = "LABELS", value_parser = labels)]
    policies: Option<LabelSelector>,
    /// A tier that may be harmed: TIER, POLICY/TIER or NAMESPACE/POLICY/TIER; may be repeated
    #[arg(long, value_name = "TIER")]
    accept_risk: Vec<String>,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    output: Output,
}

/// More about drills.
#[derive(Debug, Subcommand)]
enum What {
    /// End a drill early: its zone is opened at once
    Abort {
        /// The ZoneDrill
        #[arg(value_name = "NAME")]
        name: String,
        /// Open the nodes from here, with your own rights: where no operator runs any more
        #[arg(long)]
        force: bool,
    },
}

fn longest(text: &str) -> Result<Duration, String> {
    parse_duration(text, DurationBounds { least: "10s", most: "2h" })
}

fn part(text: &str) -> Result<Duration, String> {
    parse_duration(text, DurationBounds { least: "1s", most: "2h" })
}

/// Reads `key=value,key=value`.
fn labels(text: &str) -> Result<LabelSelector, String> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let (key, value) = (key.trim(), value.trim());
        (!key.is_empty() && !value.contains('=')).then(|| (key.to_owned(), value.to_owned()))
    };
    let pairs: Option<BTreeMap<String, String>> = text.split(',').map(pair).collect();
    let match_labels = pairs.ok_or_else(|| format!("{text:?} is not key=value,key=value"))?;
    Ok(LabelSelector { match_labels: Some(match_labels), ..LabelSelector::default() })
}

impl Drill {
    /// Prints the forecast, and what speaks against the drill.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        if let Some(What::Abort { name, force }) = &self.what {
            return abort(access, name, *force);
        }
        if !self.dry_run && !self.yes {
            let which = "a drill evicts pods: --dry-run shows what it would do, --yes does it\n";
            clap::Error::raw(ErrorKind::MissingRequiredArgument, which).exit();
        }
        let needed = [Kind::Node, Kind::Pod, Kind::Policy];
        let snapshot = self.source.look(access, Asks::Everything, &needed)?;
        let zone = zone_name(self.zone.as_deref().unwrap_or_default());
        let abort_on = self.abort_pending_for.map(|pending_for| DrillAbort {
            pending_for: Some(pending_for),
            ..DrillAbort::default()
        });
        let mut spec = ZoneDrillSpec {
            zone: zone.to_owned(),
            policies: self.policies.clone(),
            accept_risk: self.accept_risk.clone(),
            dry_run: true,
            max_duration: self.max_duration,
            observe_for: self.observe_for,
            abort_on,
        };
        let mut status = snapshot.operator.forecast_drill(&spec, snapshot.now);
        // It is now.
        status.decided_at = None;
        if self.yes {
            // To stderr: what is printed is the result.
            eprint!("{}", drill_table(zone, &status));
        } else {
            self.output.print(&status, |status| drill_table(zone, status))?;
        }
        if status.phase == Some(DrillPhase::Refused) {
            let reason = status.reason.map_or("", |reason| reason.as_str());
            return Err(Unmet(format!("the drill would be refused: {reason}")).into());
        }
        if !self.yes {
            return Ok(());
        }
        spec.dry_run = false;
        let name = self.name.clone().unwrap_or_else(|| default_name(zone));
        create(access, &name, spec)?;
        let status = follow(access, &name)?;
        self.output.print(&status, drill_result)?;
        match status.phase {
            Some(DrillPhase::Succeeded) => Ok(()),
            phase => {
                let phase = phase.map_or("", DrillPhase::as_str);
                Err(Unmet(format!("drill {name}: {phase}: {}", status.message)).into())
            }
        }
    }
}

/// A name for a drill: `drill-eu-west-2a-20261128-0502`.
fn default_name(zone: &str) -> String {
    let zone: String = zone.to_ascii_lowercase().chars().take(40).collect();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let zone: String = zone.chars().map(plain).collect();
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    format!("drill-{zone}-{now}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("app=web", Some(1))]
    #[case("app=web, team=shop", Some(2))]
    #[case("app=", Some(1))]
    #[case("app", None)]
    #[case("=web", None)]
    #[case("app==web", None)]
    #[case("", None)]
    fn labels_read_as_in_kubectl(#[case] text: &str, #[case] known: Option<usize>) {
        let read = labels(text).ok().and_then(|selector| selector.match_labels);
        assert_eq!(read.map(|labels| labels.len()), known);
    }
}
