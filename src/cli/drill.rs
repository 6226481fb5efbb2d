//! `zonespread drill`: what the drill of a zone would do, and what speaks against it.

use std::collections::BTreeMap;

use clap::Args;
use clap::error::ErrorKind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::{DrillPhase, ZoneDrillSpec};
use crate::observe::Kind;

use super::cluster::Access;
use super::hold::zone_name;
use super::output::Output;
use super::source::{Asks, Source};
use super::view::drill_table;
use super::{Failure, Unmet};

/// Arguments of `zonespread drill`.
#[derive(Debug, Args)]
pub struct Drill {
    /// The zone: a value of the node label topology.kubernetes.io/zone
    #[arg(value_name = "ZONE")]
    zone: String,
    /// Forecast only: nothing is evicted. This version has no other drills
    #[arg(long)]
    dry_run: bool,
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
        if !self.dry_run {
            let only = "this version has no other drills: use --dry-run for the forecast\n";
            clap::Error::raw(ErrorKind::MissingRequiredArgument, only).exit();
        }
        let needed = [Kind::Node, Kind::Pod, Kind::Policy];
        let snapshot = self.source.look(access, Asks::Everything, &needed)?;
        let zone = zone_name(&self.zone);
        let spec = ZoneDrillSpec {
            zone: zone.to_owned(),
            policies: self.policies.clone(),
            accept_risk: self.accept_risk.clone(),
            dry_run: self.dry_run,
        };
        let mut status = snapshot.operator.forecast_drill(&spec, snapshot.now);
        // It is now.
        status.decided_at = None;
        self.output.print(&status, |status| drill_table(zone, status))?;
        if status.phase == Some(DrillPhase::Refused) {
            let reason = status.reason.map_or("", |reason| reason.as_str());
            return Err(Unmet(format!("the drill would be refused: {reason}")).into());
        }
        Ok(())
    }
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
